#include "packet/held.h"

#include <stdlib.h>

#define NIL UINT32_MAX

struct slot {
	uint64_t id;
	uint32_t next; /* of the flow's packets, newest last; or of the free list */
};

/* How many packets a client holds. A client with none has no entry, so twice as many buckets as
 * packets are enough, and linear probing stays short. */
struct client {
	struct address address;
	uint32_t count;
};

struct held {
	uint32_t total, per_client, count, free, buckets;
	struct slot *slots;
	struct client *clients;
	struct flow **holding; /* flows with held packets, any order */
	uint32_t holding_count;
};

struct held *held_new(uint32_t total, uint32_t per_client)
{
	struct held *h = calloc(1, sizeof *h);
	if (!h)
		return NULL;
	h->total = total;
	h->per_client = per_client;
	h->buckets = 2 * total + 1;
	h->slots = calloc(total, sizeof *h->slots);
	h->clients = calloc(h->buckets, sizeof *h->clients);
	h->holding = calloc(total, sizeof(struct flow *));
	if (!h->slots || !h->clients || !h->holding) {
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
	free(h->clients);
	free(h->holding);
	free(h);
}

static uint32_t bucket_of(const struct held *h, const struct address *a)
{
	uint64_t x, y;
	memcpy(&x, a->bytes, 8);
	memcpy(&y, a->bytes + 8, 8);
	x = (x ^ y * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
	return (uint32_t)((x >> 32) % h->buckets);
}

/* The entry of a client, or the empty one where it would stand. */
static struct client *client_find(struct held *h, const struct address *a)
{
	uint32_t i = bucket_of(h, a);
	while (h->clients[i].count && !address_equal(&h->clients[i].address, a))
		i = (i + 1) % h->buckets;
	return &h->clients[i];
}

/* Empties an entry and moves up those behind it that probing would no longer find. */
static void client_remove(struct held *h, struct client *gone)
{
	uint32_t hole = (uint32_t)(gone - h->clients), i = hole;
	h->clients[hole].count = 0;
	for (;;) {
		i = (i + 1) % h->buckets;
		if (!h->clients[i].count)
			return;
		uint32_t home = bucket_of(h, &h->clients[i].address);
		uint32_t from_home = (i + h->buckets - home) % h->buckets;
		uint32_t from_hole = (i + h->buckets - hole) % h->buckets;
		if (from_home < from_hole)
			continue;
		h->clients[hole] = h->clients[i];
		h->clients[i].count = 0;
		hole = i;
	}
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
	struct client *c = client_find(h, &f->key.client);
	if (h->free == NIL || c->count >= h->per_client)
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
	c->address = f->key.client;
	c->count++;
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
	struct client *c = client_find(h, &f->key.client);
	if (--c->count == 0)
		client_remove(h, c);
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
