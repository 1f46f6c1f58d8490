/* metrics: what the daemon counts, in the text format of Prometheus (exposition format 0.0.4). */
#include "ctl/ctl.h"

#include "base/memstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Backslashes and ends of lines, and in a label's value quotes, are escaped. */
static void put_escaped(FILE *to, const char *text, bool quotes)
{
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\\n", to);
		else if (*text == '\\' || (quotes && *text == '"'))
			fprintf(to, "\\%c", *text);
		else
			putc(*text, to);
	}
}

static void put_labels(FILE *to, const json_t *labels)
{
	const char *key, *before = "{";
	json_t *value;
	json_object_foreach((json_t *)labels, key, value)
	{
		fprintf(to, "%s%s=\"", before, key);
		put_escaped(to, json_string_value(value), true);
		fputs("\"", to);
		before = ",";
	}
	if (json_object_size(labels))
		fputs("}", to);
}

static void put_family(FILE *to, const json_t *family)
{
	const char *name = ctl_text(family, "name");
	size_t i;
	json_t *s;
	fprintf(to, "# HELP %s ", name);
	put_escaped(to, ctl_text(family, "help"), false);
	fprintf(to, "\n# TYPE %s %s\n", name, ctl_text(family, "type"));
	json_array_foreach(json_object_get(family, "samples"), i, s)
	{
		fprintf(to, "%s%s", name, ctl_text(s, "end"));
		put_labels(to, json_object_get(s, "labels"));
		fprintf(to, " %.17g\n", json_number_value(json_object_get(s, "value")));
	}
}

static void put_families(FILE *to, const json_t *result)
{
	size_t i;
	json_t *family;
	json_array_foreach(json_object_get(result, "families"), i, family) put_family(to, family);
}

/* One request of HTTP/1 on standard input, as systemd hands over a connection (Accept=yes): its
 * head is read, since a connection that is closed with bytes unread is reset. False: it is not a
 * GET. */
static bool take_request(void)
{
	char line[1024];
	bool get = fgets(line, sizeof line, stdin) && strncmp(line, "GET /", 5) == 0;
	for (int lines = 0; lines < 100 && fgets(line, sizeof line, stdin); lines++)
		if (strcmp(line, "\r\n") == 0 || strcmp(line, "\n") == 0)
			return get;
	return false;
}

static void answer(const char *status, const char *body, size_t len)
{
	printf("HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
	       "Content-Length: %zu\r\nConnection: close\r\n\r\n",
	       status, len);
	fwrite(body, 1, len, stdout);
}

/* result: NULL where the daemon can't be asked. */
static void serve(const json_t *result)
{
	char *body = NULL;
	size_t len = 0;
	bool get = take_request();
	FILE *to = memstream_open(&body, &len);
	if (to) {
		put_families(to, result);
		fclose(to);
	}
	if (!get)
		answer("405 Method Not Allowed", "", 0);
	else if (!result || !body)
		answer("503 Service Unavailable", "", 0);
	else
		answer("200 OK", body, len);
	free(body);
}

int ctl_metrics(int argc, char **argv)
{
	bool http = false;
	const struct ctl_option options[] = {{"http", NULL, &http}, {0}};
	int status;
	if (!ctl_options(argc, argv, options, NULL) || ctl.help)
		return ctl_usage("metrics [--json | --http]", NULL);
	json_t *result = ctl_ask("metrics", NULL, &status);
	if (http)
		serve(result);
	else if (result && ctl.json)
		ctl_put_json(result);
	else
		put_families(stdout, result);
	json_decref(result);
	return status;
}
