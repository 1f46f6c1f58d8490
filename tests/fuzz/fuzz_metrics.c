/* The input is what a scraper sends to `tiergatectl metrics --http` and, behind a NUL, what the
 * daemon answers. Whatever the two are, one answer of HTTP comes, as long as it says, and only to a
 * GET is it what was counted; no text of the daemon's begins a line of its own there. */
#include "ctl/metrics.c" /* a command: no library has it */

#include "base/cursor.h"

#include <stdint.h>

struct ctl_common ctl;

static json_t *said; /* by the daemon; or NULL */

static void require(bool holds)
{
	if (!holds)
		abort();
}

bool ctl_options(int argc, char **argv, const struct ctl_option *options, int *next)
{
	*options[0].flag = true;
	return true;
}

int ctl_usage(const char *usage, const char *wrong)
{
	abort();
}

json_t *ctl_ask(const char *command, json_t *members, int *status)
{
	*status = said ? EXIT_DONE : EXIT_CANNOT;
	return json_incref(said);
}

void ctl_put_json(const json_t *j)
{
	abort();
}

const char *ctl_text(const json_t *j, const char *key)
{
	const char *text = json_string_value(json_object_get(j, key));
	return text ? text : "";
}

/* ---- what is to come ---- */

/* Lines of what the daemon said; SIZE_MAX where a name holds an end of line, which none of ours
 * does. */
static size_t lines_of(void)
{
	size_t i, n, lines = 0;
	json_t *family, *sample, *label;
	const char *key;
	bool odd = false;
	json_array_foreach(json_object_get(said, "families"), i, family)
	{
		odd |= strchr(ctl_text(family, "name"), '\n') ||
		       strchr(ctl_text(family, "type"), '\n');
		lines += 2;
		json_array_foreach(json_object_get(family, "samples"), n, sample)
		{
			lines++;
			json_object_foreach(json_object_get(sample, "labels"), key, label) odd |=
				strchr(key, '\n') != NULL;
		}
	}
	return odd ? SIZE_MAX : lines;
}

static bool is_get(const char *head, size_t len)
{
	const char *line = memchr(head, '\n', len);
	return len >= 5 && memcmp(head, "GET /", 5) == 0 && line;
}

static void check(const char *out, size_t len, const char *head, size_t head_len)
{
	unsigned status = 0;
	size_t length = SIZE_MAX, lines = 0, want = lines_of();
	const char *body = memmem(out, len, "\r\n\r\n", 4), *at = strstr(out, "Content-Length: ");
	require(body && sscanf(out, "HTTP/1.1 %u ", &status) == 1);
	require(at && at < body && sscanf(at, "Content-Length: %zu\r\n", &length) == 1);
	body += 4;
	require(length == len - (size_t)(body - out));
	require(status == 405 || is_get(head, head_len));
	require(status == 200 || length == 0);
	require(status == 405 || status == (said ? 200 : 503));
	for (size_t i = 0; i < length; i++)
		lines += body[i] == '\n';
	require(status != 200 || want == SIZE_MAX || lines == want);
}

static void ask(const char *head, size_t len)
{
	static char name[] = "metrics";
	char *argv[] = {name, NULL}, *out = NULL;
	size_t out_len = 0;
	FILE *in = stdin, *to = stdout;
	stdin = fmemopen((void *)(len ? head : ""), len ? len : 1, "r");
	stdout = open_memstream(&out, &out_len);
	require(stdin && stdout);
	require(ctl_metrics(1, argv) == (said ? EXIT_DONE : EXIT_CANNOT));
	fclose(stdin);
	fclose(stdout);
	stdin = in;
	stdout = to;
	check(out, out_len, head, len);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, 0, size) : NULL;
	size_t head = end ? (size_t)(end - data) : size;
	said = end ? json_loadb((const char *)end + 1, size - head - 1, 0, NULL) : NULL;
	ask((const char *)data, head);
	json_decref(said);
	return 0;
}
