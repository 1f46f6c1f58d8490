/* metrics: what the daemon counts, as Prometheus reads it. */
#include "ctl/ctl.h"

#include "base/memstream.h"
#include "control/exposition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	printf("HTTP/1.1 %s\r\nContent-Type: " EXPOSITION_TYPE "\r\n"
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
		exposition_put(to, result);
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
		exposition_put(stdout, result);
	json_decref(result);
	return status;
}
