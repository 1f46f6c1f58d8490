#include "base/memstream.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct memstream {
	char **text;
	size_t *len, room;
	bool failed;
};

/* 0 is an error to stdio; a later piece may not stand where this one is missing. */
static ssize_t take(void *ctx, const char *bytes, size_t len)
{
	struct memstream *m = ctx;
	size_t left = m->room - *m->len - 1, room = 2 * m->room + len;
	char *text = m->failed || len <= left ? *m->text : realloc(*m->text, room);
	m->failed |= !text;
	if (m->failed) {
		errno = ENOMEM;
		return 0;
	}
	m->room = len <= left ? m->room : room;
	*m->text = text;
	memcpy(text + *m->len, bytes, len);
	*m->len += len;
	text[*m->len] = '\0';
	return (ssize_t)len;
}

static int end(void *ctx)
{
	struct memstream *m = ctx;
	bool failed = m->failed;
	if (failed) {
		free(*m->text);
		*m->text = NULL;
		*m->len = 0;
		errno = ENOMEM;
	}
	free(m);
	return failed ? -1 : 0;
}

FILE *memstream_open(char **text, size_t *len)
{
	static const cookie_io_functions_t functions = {.write = take, .close = end};
	struct memstream *m = malloc(sizeof *m);
	char *first = calloc(1, 1);
	FILE *to = m && first ? fopencookie(m, "w", functions) : NULL;
	*text = to ? first : NULL;
	*len = 0;
	if (to) {
		*m = (struct memstream){.text = text, .len = len, .room = 1};
	} else {
		free(first);
		free(m);
	}
	return to;
}
