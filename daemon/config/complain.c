#include "config/load.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static size_t file_index(const struct loader *l, const char *file)
{
	size_t i = 0;
	while (i < l->c->files.count && strcmp(l->c->files.item[i], file) != 0)
		i++;
	return i;
}

void complain(struct loader *l, const char *file, int line, const char *format, ...)
{
	struct complaint c = {.place = {file, line}, .order = l->complaint_count};
	va_list args;
	va_start(args, format);
	if (vasprintf(&c.text, format, args) < 0)
		abort();
	va_end(args);
	for (char *p = c.text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?'; /* quoted from a file, and bound for a terminal */
	c.file = file_index(l, file);
	l->complaints = array_grow(l->complaints, &l->complaint_count, sizeof c);
	l->complaints[l->complaint_count - 1] = c;
}

static int by_place(const void *a, const void *b)
{
	const struct complaint *x = a, *y = b;
	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	if (x->place.line != y->place.line)
		return x->place.line < y->place.line ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

void complaints_pardon(struct loader *l, size_t first)
{
	for (size_t i = first; i < l->complaint_count; i++) {
		const struct complaint *c = &l->complaints[i];
		errors_add(&l->c->notes, c->place.file, c->place.line, "%s", c->text);
		free(c->text);
	}
	l->complaint_count = first;
}

void complaints_pass(struct loader *l, struct errors *to)
{
	if (l->complaint_count)
		qsort(l->complaints, l->complaint_count, sizeof *l->complaints, by_place);
	for (size_t i = 0; i < l->complaint_count; i++)
		errors_add(to, l->complaints[i].place.file, l->complaints[i].place.line, "%s",
			   l->complaints[i].text);
}
