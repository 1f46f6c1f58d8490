#include "policy/hits.h"

#include "base/clock.h"

#include <stdlib.h>

void hits_free(struct hits *h)
{
	free(h->item);
	*h = (struct hits){0};
}

struct hit hits_at(const struct hits *h, size_t i)
{
	struct hit all = h->item[i];
	if (h->counted) {
		struct hit more = counted_sum(h->counted, i);
		all.count += more.count;
		all.last = more.last ? more.last : all.last; /* heals what a wrong clock left */
	}
	return all;
}

void hits_fold(struct hits *h)
{
	for (size_t i = 0; h->counted && i < h->count; i++)
		h->item[i] = hits_at(h, i);
	h->counted = NULL;
}

static int key_order(const void *a, const void *b)
{
	const struct hit *x = a, *y = b;
	return x->key < y->key ? -1 : x->key > y->key;
}

void hits_sort(struct hits *h)
{
	if (h->count)
		qsort(h->item, h->count, sizeof *h->item, key_order);
}

const struct hit *hits_find(const struct hits *h, uint64_t key)
{
	const struct hit want = {.key = key};
	return h->count ? bsearch(&want, h->item, h->count, sizeof want, key_order) : NULL;
}

bool hits_follow(struct hits *h, const struct counted *c, int64_t wall)
{
	size_t count = counted_lines(c) + counted_entries(c);
	struct hit *item = calloc(count + 1, sizeof *item);
	uint32_t now = (uint32_t)(wall / NS_PER_S);
	if (!item)
		return false;
	hits_sort(h);
	for (size_t i = 0; i < count; i++) {
		uint64_t key = counted_key(c, i);
		const struct hit *old = hits_find(h, key);
		item[i] = old ? *old : (struct hit){.key = key, .since = now};
	}
	free(h->item);
	h->item = item;
	h->count = count;
	h->counted = c;
	if (!h->since)
		h->since = wall;
	return true;
}
