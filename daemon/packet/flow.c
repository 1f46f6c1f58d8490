#include "packet/flow.h"

#include "base/table.h"

#include <stdlib.h>
#include <sys/random.h>

#define NONE UINT32_MAX

/* Neighbours in order of use, apart from the flows so that a touch dirties few cache lines. */
struct link {
	uint32_t older, newer;
};

struct flow_table {
	struct flow *flow;
	struct link *link;
	uint32_t *bucket; /* first flow of a chain, by hash */
	uint32_t capacity, mask, count;
	uint32_t fresh;     /* slots from here on were never used */
	uint32_t free_head; /* slots given back, last first */
	uint32_t oldest, newest;
	uint64_t seed[2]; /* decides chains only: never what is evicted, or in what order */
};

static uint64_t rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32) + v[3];
	v[2] += v[1];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

/* SipHash-1-3: clients choose ports and addresses, and must not be able to choose chains. */
static uint64_t hash(const struct flow_table *t, const struct flow_key *key)
{
	uint64_t word[5];
	memcpy(word, &key->client, 16);
	memcpy(word + 2, &key->server, 16);
	word[4] = (uint64_t)key->client_port << 32 | (uint64_t)key->server_port << 16 |
		  key->transport;
	uint64_t v[4] = {t->seed[0] ^ 0x736f6d6570736575, t->seed[1] ^ 0x646f72616e646f6d,
			 t->seed[0] ^ 0x6c7967656e657261, t->seed[1] ^ 0x7465646279746573};
	for (int i = 0; i < 5; i++) {
		v[3] ^= word[i];
		sip_round(v);
		v[0] ^= word[i];
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static bool same(const struct flow_key *a, const struct flow_key *b)
{
	return a->client_port == b->client_port && a->server_port == b->server_port &&
	       a->transport == b->transport && address_equal(&a->client, &b->client) &&
	       address_equal(&a->server, &b->server);
}

struct flow_table *flow_table_new(uint32_t capacity)
{
	struct flow_table *t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	uint32_t buckets = 1;
	while (buckets < capacity && buckets < 1u << 31)
		buckets *= 2;
	*t = (struct flow_table){.capacity = capacity,
				 .mask = buckets - 1,
				 .free_head = NONE,
				 .oldest = NONE,
				 .newest = NONE};
	t->flow = table_new(capacity, sizeof *t->flow);
	t->link = table_new(capacity, sizeof *t->link);
	t->bucket = table_new(buckets, sizeof *t->bucket);
	if (!t->flow || !t->link || !t->bucket ||
	    getrandom(t->seed, sizeof t->seed, 0) != sizeof t->seed) {
		flow_table_free(t);
		return NULL;
	}
	memset(t->bucket, 0xff, buckets * sizeof *t->bucket);
	return t;
}

void flow_table_free(struct flow_table *t)
{
	if (!t)
		return;
	table_free(t->flow, t->capacity, sizeof *t->flow);
	table_free(t->link, t->capacity, sizeof *t->link);
	table_free(t->bucket, t->mask + 1ul, sizeof *t->bucket);
	free(t);
}

uint32_t flow_slot(const struct flow_table *t, const struct flow *f)
{
	return (uint32_t)(f - t->flow);
}

static void unlink_use(struct flow_table *t, uint32_t slot)
{
	struct link l = t->link[slot];
	*(l.older == NONE ? &t->oldest : &t->link[l.older].newer) = l.newer;
	*(l.newer == NONE ? &t->newest : &t->link[l.newer].older) = l.older;
}

static void link_newest(struct flow_table *t, uint32_t slot)
{
	t->link[slot] = (struct link){.older = t->newest, .newer = NONE};
	*(t->newest == NONE ? &t->oldest : &t->link[t->newest].newer) = slot;
	t->newest = slot;
}

struct flow *flow_find(struct flow_table *t, const struct flow_key *key)
{
	uint32_t slot = t->bucket[hash(t, key) & t->mask];
	while (slot != NONE && !same(&t->flow[slot].key, key))
		slot = t->flow[slot].next_;
	if (slot == NONE)
		return NULL;
	if (slot != t->newest) {
		unlink_use(t, slot);
		link_newest(t, slot);
	}
	return &t->flow[slot];
}

static bool evict_one(struct flow_table *t, void (*evicted)(void *, struct flow *), void *ctx)
{
	uint32_t slot = t->oldest;
	while (slot != NONE && t->flow[slot].held_count > 0)
		slot = t->link[slot].newer;
	if (slot == NONE)
		return false;
	if (evicted)
		evicted(ctx, &t->flow[slot]);
	flow_remove(t, &t->flow[slot]);
	return true;
}

static uint32_t take_slot(struct flow_table *t)
{
	uint32_t slot = t->free_head;
	if (slot == NONE)
		return t->fresh++;
	t->free_head = t->flow[slot].next_;
	return slot;
}

struct flow *flow_add(struct flow_table *t, const struct flow_key *key, int64_t now,
		      void (*evicted)(void *ctx, struct flow *), void *ctx)
{
	if (t->count == t->capacity && !evict_one(t, evicted, ctx))
		return NULL;
	uint32_t slot = take_slot(t);
	uint32_t *bucket = &t->bucket[hash(t, key) & t->mask];
	struct flow *f = &t->flow[slot];
	*f = (struct flow){.key = *key, .used = true, .next_ = *bucket, .first = now, .last = now};
	*bucket = slot;
	link_newest(t, slot);
	t->count++;
	return f;
}

void flow_remove(struct flow_table *t, struct flow *f)
{
	uint32_t slot = flow_slot(t, f);
	uint32_t *at = &t->bucket[hash(t, &f->key) & t->mask];
	while (*at != slot)
		at = &t->flow[*at].next_;
	*at = f->next_;
	unlink_use(t, slot);
	f->used = false;
	f->next_ = t->free_head;
	t->free_head = slot;
	t->count--;
}

struct flow *flow_each(struct flow_table *t, uint32_t *slot)
{
	while (*slot < t->fresh) {
		struct flow *f = &t->flow[(*slot)++];
		if (f->used)
			return f;
	}
	return NULL;
}

struct flow *flow_oldest(struct flow_table *t)
{
	return t->oldest == NONE ? NULL : &t->flow[t->oldest];
}

uint32_t flow_count(const struct flow_table *t)
{
	return t->count;
}

uint32_t flow_capacity(const struct flow_table *t)
{
	return t->capacity;
}
