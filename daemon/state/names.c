#include "state/encode.h"
#include "state/state.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

#define KIND    "names"
#define VERSION 2

int state_save_names(struct store *to, struct seen *s)
{
	struct seen_entry e;
	struct blob b;
	uint32_t slot = 0;
	if (!blob_open(&b))
		return -ENOMEM;
	while (seen_each(s, &slot, &e)) {
		put_u64(b.to, e.order);
		put_u64(b.to, (uint64_t)e.good_until);
		put_address(b.to, &e.client);
		put_address(b.to, &e.address);
		put_host(b.to, &e.host);
	}
	return blob_save(&b, to, KIND, VERSION);
}

static void take_entry(struct cursor *c, int64_t shift, struct seen_entry *e)
{
	e->order = cursor_u64(c);
	e->good_until = clock_add((int64_t)cursor_u64(c), shift);
	take_address(c, &e->client);
	take_address(c, &e->address);
	take_host(c, &e->host);
}

/* Where an entry is; they are given back in their order. */
struct spot {
	uint64_t order;
	struct cursor at;
};

static int by_order(const void *a, const void *b)
{
	const struct spot *x = a, *y = b;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* Finds every entry that is still good; NULL where memory ran out. */
static struct spot *find_spots(struct cursor c, int64_t shift, int64_t now, size_t *count)
{
	size_t cap = 1024;
	struct spot *spots = malloc(cap * sizeof *spots);
	struct seen_entry e;
	*count = 0;
	while (spots && cursor_left(&c)) {
		struct cursor at = c;
		take_entry(&c, shift, &e);
		if (c.bad)
			break;
		if (e.good_until <= now || e.host.len == 0)
			continue;
		if (*count == cap) {
			struct spot *more = realloc(spots, (cap *= 2) * sizeof *spots);
			if (!more)
				break;
			spots = more;
		}
		spots[(*count)++] = (struct spot){e.order, at};
	}
	if (c.bad)
		log_warn("the state of names ends in the middle of one");
	return spots;
}

unsigned state_load_names(struct store *from, struct seen *s, int64_t now)
{
	size_t count = 0;
	struct cursor c;
	int64_t shift;
	char *bytes = blob_load(from, KIND, VERSION, &c, &shift);
	if (!bytes)
		return 0;
	struct spot *spots = find_spots(c, shift, now, &count);
	if (count)
		qsort(spots, count, sizeof *spots, by_order);
	for (size_t i = 0; i < count; i++) {
		struct seen_entry e;
		take_entry(&spots[i].at, shift, &e);
		seen_restore(s, &e);
	}
	free(spots);
	free(bytes);
	return (unsigned)count;
}
