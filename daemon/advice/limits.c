#include "advice/limits.h"

#include "base/array.h"
#include "policy/quota.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct limits {
	char **known; /* few: those of lines, and of lines that stand together */
	size_t count;
};

struct limits *limits_new(void)
{
	return must(calloc(1, sizeof(struct limits)));
}

void limits_free(struct limits *l)
{
	for (size_t i = 0; l && i < l->count; i++)
		free(l->known[i]);
	if (l)
		free(l->known);
	free(l);
}

static int by_words(const void *a, const void *b)
{
	const struct quota *const *x = a, *const *y = b;
	return strcmp((*x)->words, (*y)->words);
}

static char *join(const struct quota **quota, size_t count)
{
	char *text = NULL;
	size_t size;
	FILE *f = must(open_memstream(&text, &size));
	qsort(quota, count, sizeof *quota, by_words);
	for (size_t i = 0; i < count; i++)
		fprintf(f, "%s%s", i ? "; and " : "", quota[i]->words);
	fclose(f);
	return must(text);
}

static const char *keep(struct limits *l, char *text)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->known[i], text) == 0) {
			free(text);
			return l->known[i];
		}
	l->known = array_grow(l->known, &l->count, sizeof *l->known);
	return l->known[l->count - 1] = text;
}

const char *limits_of(struct limits *l, const struct snapshot *s, const struct facts *f,
		      int64_t now)
{
	size_t room, count;
	if (decide(s, f, now).action != ACTION_ALLOW)
		return NULL;
	snapshot_quotas(s, &room);
	if (!room)
		return "";
	const struct quota **quota = must(calloc(room, sizeof *quota));
	count = decide_limits(s, f, now, quota);
	const char *words = count ? keep(l, join(quota, count)) : "";
	free(quota);
	return words;
}
