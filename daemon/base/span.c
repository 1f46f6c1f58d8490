#include "base/span.h"

#include <stdlib.h>

static int by_from(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	return (x->from > y->from) - (x->from < y->from);
}

size_t spans_join(struct span *s, size_t count)
{
	size_t kept = 0;
	if (count)
		qsort(s, count, sizeof *s, by_from);
	for (size_t i = 0; i < count; i++) {
		if (s[i].from >= s[i].to)
			continue;
		if (kept && s[i].from <= s[kept - 1].to)
			s[kept - 1].to = s[i].to > s[kept - 1].to ? s[i].to : s[kept - 1].to;
		else
			s[kept++] = s[i];
	}
	return kept;
}

/* The first span that ends after a time; count: none. */
static size_t open_at(const struct span *s, size_t count, int64_t at)
{
	size_t low = 0, high = count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (s[middle].to <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool spans_have(const struct span *s, size_t count, int64_t at)
{
	size_t i = open_at(s, count, at);
	return i < count && s[i].from <= at;
}

int64_t spans_next(const struct span *s, size_t count, int64_t at)
{
	size_t i = open_at(s, count, at);
	if (i == count)
		return INT64_MAX;
	return s[i].from > at ? s[i].from : s[i].to;
}
