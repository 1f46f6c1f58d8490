#include "state/encode.h"
#include "state/state.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

#define KIND    "hits"
#define VERSION 1

int state_save_hits(struct store *to, const struct hits *h, bool last)
{
	struct blob b;
	if (!blob_open(&b))
		return -ENOMEM;
	put_u64(b.to, (uint64_t)h->since);
	put_u64(b.to, (uint64_t)h->lost_from);
	put_u64(b.to, (uint64_t)h->lost_to);
	put_u64(b.to, (uint64_t)clock_wall());
	put_u8(b.to, last);
	for (size_t i = 0; i < h->count; i++) {
		struct hit hit = hits_at(h, i);
		put_u64(b.to, hit.key);
		put_u64(b.to, hit.count);
		put_u32(b.to, hit.since);
		put_u32(b.to, hit.last);
	}
	return blob_save(&b, to, KIND, VERSION);
}

/* Times to come are of a clock that was wrong: they would make a line look used for ever. */
static uint32_t not_later(uint32_t time, int64_t wall)
{
	return time > wall / NS_PER_S ? (uint32_t)(wall / NS_PER_S) : time;
}

static void take_all(struct cursor *c, struct hits *h, int64_t wall)
{
	size_t room = cursor_left(c) / 24;
	h->item = calloc(room + 1, sizeof *h->item);
	while (h->item && cursor_left(c) && h->count < room) {
		struct hit *hit = &h->item[h->count++];
		hit->key = cursor_u64(c);
		hit->count = cursor_u64(c);
		hit->since = not_later(cursor_u32(c), wall);
		hit->last = not_later(cursor_u32(c), wall);
	}
	if (cursor_left(c))
		log_error("the state of hit counters is cut; what is missing is counted anew");
}

unsigned state_load_hits(struct store *from, struct hits *h, int64_t wall)
{
	struct cursor c;
	int64_t shift; /* of another clock than theirs */
	char *bytes = blob_load(from, KIND, VERSION, &c, &shift);
	*h = (struct hits){0};
	if (!bytes)
		return 0;
	h->since = (int64_t)cursor_u64(&c);
	h->lost_from = (int64_t)cursor_u64(&c);
	h->lost_to = (int64_t)cursor_u64(&c);
	int64_t saved = (int64_t)cursor_u64(&c);
	if (!cursor_u8(&c) && !c.bad) {
		h->lost_from = saved;
		h->lost_to = wall;
	}
	if (h->since > wall || c.bad)
		h->since = wall;
	take_all(&c, h, wall);
	free(bytes);
	return (unsigned)h->count;
}
