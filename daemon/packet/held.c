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
	struct flow **holding; /* flows with held packets, any order */
	uint32_t holding_count;
};

struct held *held_new(uint32_t total, uint32_t per_client)
{
	struct held *h = calloc(1, sizeof *h);
	if (!h)
		return NULL;
	h->slots = calloc(total, sizeof *h->slots);
	h->shares = shares_new(total, per_client);
	h->holding = calloc(total, sizeof(struct flow *));
	if (!h->slots || !h->shares || !h->holding) {
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
	free(h->holding);
	free(h);
}

static void list_add(struct held *h, struct flow *f)
{
	f->holding_at = h->holding_count;
	h->holding[h->holding_count++] = f;
}

static void list_remove(struct held *h, struct flow *f)
{
	struct flow *last = h->holding[--h->holding_count];
	h->holding[f->holding_at] = last;
	last->holding_at = f->holding_at;
}

bool held_add(struct held *h, struct flow *f, uint64_t id, int64_t now)
{
	if (!share_take(h->shares, &f->host_key))
		return false;
	uint32_t slot = h->free;
	h->free = h->slots[slot].next;
	h->slots[slot] = (struct slot){.id = id, .next = NIL};
	if (f->held_count == 0) {
		f->held_first = slot;
		f->held_since = now;
		list_add(h, f);
	} else {
		h->slots[f->held_last].next = slot;
	}
	f->held_last = slot;
	f->held_count++;
	h->count++;
	return true;
}

bool held_take(struct held *h, struct flow *f, uint64_t *id)
{
	if (f->held_count == 0)
		return false;
	uint32_t slot = f->held_first;
	*id = h->slots[slot].id;
	f->held_first = h->slots[slot].next;
	h->slots[slot].next = h->free;
	h->free = slot;
	h->count--;
	if (--f->held_count == 0)
		list_remove(h, f);
	share_give(h->shares, &f->host_key);
	return true;
}

struct flow *held_overdue(struct held *h, int64_t before)
{
	for (uint32_t i = 0; i < h->holding_count; i++)
		if (h->holding[i]->held_since <= before)
			return h->holding[i];
	return NULL;
}

uint32_t held_count(const struct held *h)
{
	return h->count;
}
