#include "base/error.h"

#include <stdarg.h>
#include <stdlib.h>

static void append(struct errors *e, char *line)
{
	if (e->count == e->cap) {
		size_t cap = e->cap ? e->cap * 2 : 16;
		char **lines = realloc(e->lines, cap * sizeof *lines);
		if (!lines) {
			free(line);
			return;
		}
		e->lines = lines;
		e->cap = cap;
	}
	e->lines[e->count++] = line;
}

void errors_add(struct errors *e, const char *file, int line, const char *format, ...)
{
	char *what = NULL, *whole = NULL;
	va_list args;
	va_start(args, format);
	int n = vasprintf(&what, format, args);
	va_end(args);
	if (n < 0)
		return;
	if (file && line > 0)
		n = asprintf(&whole, "%s:%d: %s", file, line, what);
	else if (file)
		n = asprintf(&whole, "%s: %s", file, what);
	else
		n = asprintf(&whole, "%s", what);
	free(what);
	if (n >= 0)
		append(e, whole);
}

void errors_print(const struct errors *e, FILE *to)
{
	for (size_t i = 0; i < e->count; i++)
		fprintf(to, "%s\n", e->lines[i]);
}

void errors_deinit(struct errors *e)
{
	for (size_t i = 0; i < e->count; i++)
		free(e->lines[i]);
	free(e->lines);
	*e = (struct errors){0};
}
