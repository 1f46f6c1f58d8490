#include "packet/held.h"
#include "packet/share.h"

#include <stdlib.h>

#define NIL UINT32_MAX

struct slot {
	uint64_t id;
	uint32_t next; /* of the flow's packets, newest last; or of the free list */
};

struct held {
	uint32_t count, free;
	struct slot *slots;
	struct shares *shares;
	struct held_flow **waiting; /* flows whose message is waited for, any order */
	uint32_t waiting_count, waiting_max;
};

struct held *held_new(uint32_t total, uint32_t per_client)
{
	struct held *h = calloc(1, sizeof *h);
	if (!h)
		return NULL;
	h->slots = calloc(total, sizeof *h->slots);
	h->shares = shares_new(total, per_client);
	h->waiting_max = 2 * total; /* some have let go what they held */
	h->waiting = calloc(h->waiting_max, sizeof(struct held_flow *));
	if (!h->slots || !h->shares || !h->waiting) {
		held_free(h);
		return NULL;
	}
	for (uint32_t i = 0; i < total; i++)
		h->slots[i].next = i + 1 < total ? i + 1 : NIL;
	h->free = total ? 0 : NIL;
	return h;
}

void held_free(struct held *h)
{
	if (!h)
		return;
	free(h->slots);
	shares_free(h->shares);
	free(h->waiting);
	free(h);
}

static bool wait_for(struct held *h, struct held_flow *f, int64_t now)
{
	if (f->since)
		return true;
	if (h->waiting_count == h->waiting_max)
		return false;
	f->since = now;
	f->waiting_at = h->waiting_count;
	h->waiting[h->waiting_count++] = f;
	return true;
}

void held_done(struct held *h, struct held_flow *f)
{
	if (!f->since)
		return;
	struct held_flow *last = h->waiting[--h->waiting_count];
	h->waiting[f->waiting_at] = last;
	last->waiting_at = f->waiting_at;
	f->since = 0;
}

bool held_add(struct held *h, struct held_flow *f, const struct host_key *host, uint64_t id,
	      int64_t now)
{
	if (!wait_for(h, f, now ? now : 1) || !share_take(h->shares, host))
		return false;
	uint32_t slot = h->free;
	h->free = h->slots[slot].next;
	h->slots[slot] = (struct slot){.id = id, .next = NIL};
	if (f->count == 0) {
		f->first = slot;
	} else {
		h->slots[f->last].next = slot;
	}
	f->last = slot;
	f->at = now;
	f->count++;
	h->count++;
	return true;
}

bool held_take(struct held *h, struct held_flow *f, const struct host_key *host, uint64_t *id)
{
	if (f->count == 0)
		return false;
	uint32_t slot = f->first;
	*id = h->slots[slot].id;
	f->first = h->slots[slot].next;
	h->slots[slot].next = h->free;
	h->free = slot;
	h->count--;
	f->count--;
	share_give(h->shares, host);
	return true;
}

bool held_late(const struct held *h, const struct held_flow *f, int64_t now, int64_t limit)
{
	bool roomy = h->waiting_count <= h->waiting_max / 2 && h->count <= h->waiting_max / 4;
	return f->since && now - f->since >= (f->lossy && roomy ? HELD_LOSSY * limit : limit);
}

struct held_flow *held_overdue(struct held *h, int64_t now, int64_t limit)
{
	for (uint32_t i = 0; i < h->waiting_count; i++)
		if (held_late(h, h->waiting[i], now, limit))
			return h->waiting[i];
	return NULL;
}

struct held_flow *held_quiet(struct held *h, int64_t before)
{
	for (uint32_t i = 0; i < h->waiting_count; i++)
		if (h->waiting[i]->count && h->waiting[i]->at <= before)
			return h->waiting[i];
	return NULL;
}

bool held_waits(const struct held *h)
{
	return h->waiting_count > 0;
}

uint32_t held_count(const struct held *h)
{
	return h->count;
}
