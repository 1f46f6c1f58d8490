#include "packet/flow.h"

#include "base/hash.h"
#include "base/table.h"

#include <stdlib.h>
#include <string.h>

#define NONE  UINT32_MAX
#define SHARE 8 /* a host with more than 1/SHARE of a full table makes room for others */

/* Neighbours in order of use, apart from the flows so that a touch dirties few cache lines. */
struct link {
	uint32_t older, newer;
};

struct list {
	uint32_t oldest, newest;
};

/* A host and its flows; a chain by hash, or the list of what is free. */
struct holder {
	struct host_key host;
	struct list flows;
	uint32_t count, next;
};

struct flow_table {
	char *flow; /* of the owner's size each */
	struct flow_owner owner;
	struct link *all, *own; /* in order of use: of all flows, of its host's */
	uint32_t *bucket;       /* first flow of a chain, by hash */
	uint32_t capacity, mask, count;
	uint32_t fresh;     /* slots from here on were never used */
	uint32_t free_head; /* slots given back, last first */
	struct list use;
	struct holder *holder;
	uint32_t *holder_of, *holder_bucket; /* by flow; by hash */
	uint32_t holders_fresh, holders_free;
	uint32_t heavy;      /* a host that had more than its share; or NONE */
	struct hash_key key; /* decides chains only: never what is evicted, or in what order */
};

/* Clients choose ports and addresses, and must not be able to choose chains. */
static uint64_t hash(const struct flow_table *t, const struct flow_key *key)
{
	uint64_t word[5];
	memcpy(word, &key->client, 16);
	memcpy(word + 2, &key->server, 16);
	word[4] = (uint64_t)key->client_port << 32 | (uint64_t)key->server_port << 16 |
		  key->transport;
	return hash_words(t->key.k, word, 5, 0);
}

static struct flow_entry *entry_at(const struct flow_table *t, uint32_t slot)
{
	return (struct flow_entry *)(t->flow + slot * t->owner.size);
}

static bool same(const struct flow_key *a, const struct flow_key *b)
{
	return a->client_port == b->client_port && a->server_port == b->server_port &&
	       a->transport == b->transport && address_equal(&a->client, &b->client) &&
	       address_equal(&a->server, &b->server);
}

struct flow_table *flow_table_new(uint32_t capacity, const struct flow_owner *owner)
{
	struct flow_table *t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	uint32_t buckets = 1;
	while (buckets < capacity && buckets < 1u << 31)
		buckets *= 2;
	*t = (struct flow_table){.capacity = capacity,
				 .owner = *owner,
				 .mask = buckets - 1,
				 .free_head = NONE,
				 .use = {NONE, NONE},
				 .holders_free = NONE,
				 .heavy = NONE};
	t->flow = table_new(capacity, owner->size);
	t->all = table_new(capacity, sizeof *t->all);
	t->own = table_new(capacity, sizeof *t->own);
	t->holder = table_new(capacity, sizeof *t->holder);
	t->holder_of = table_new(capacity, sizeof *t->holder_of);
	t->bucket = table_new(buckets, sizeof *t->bucket);
	t->holder_bucket = table_new(buckets, sizeof *t->holder_bucket);
	if (!t->flow || !t->all || !t->own || !t->holder || !t->holder_of || !t->bucket ||
	    !t->holder_bucket || !hash_key_random(&t->key)) {
		flow_table_free(t);
		return NULL;
	}
	memset(t->bucket, 0xff, buckets * sizeof *t->bucket);
	memset(t->holder_bucket, 0xff, buckets * sizeof *t->holder_bucket);
	return t;
}

void flow_table_free(struct flow_table *t)
{
	if (!t)
		return;
	table_free(t->flow, t->capacity, t->owner.size);
	table_free(t->all, t->capacity, sizeof *t->all);
	table_free(t->own, t->capacity, sizeof *t->own);
	table_free(t->holder, t->capacity, sizeof *t->holder);
	table_free(t->holder_of, t->capacity, sizeof *t->holder_of);
	table_free(t->bucket, t->mask + 1ul, sizeof *t->bucket);
	table_free(t->holder_bucket, t->mask + 1ul, sizeof *t->holder_bucket);
	free(t);
}

uint32_t flow_slot(const struct flow_table *t, const void *flow)
{
	return (uint32_t)((size_t)((const char *)flow - t->flow) / t->owner.size);
}

static void list_drop(struct list *l, struct link *link, uint32_t slot)
{
	struct link at = link[slot];
	*(at.older == NONE ? &l->oldest : &link[at.older].newer) = at.newer;
	*(at.newer == NONE ? &l->newest : &link[at.newer].older) = at.older;
}

static void list_push(struct list *l, struct link *link, uint32_t slot)
{
	link[slot] = (struct link){.older = l->newest, .newer = NONE};
	*(l->newest == NONE ? &l->oldest : &link[l->newest].newer) = slot;
	l->newest = slot;
}

static void list_touch(struct list *l, struct link *link, uint32_t slot)
{
	if (slot == l->newest)
		return;
	list_drop(l, link, slot);
	list_push(l, link, slot);
}

/* ---- hosts ---- */

static uint32_t *holder_chain(const struct flow_table *t, const struct host_key *host)
{
	return &t->holder_bucket[hash_words(t->key.k, host->word, 2, 1) & t->mask];
}

static uint32_t holder_find(const struct flow_table *t, const struct host_key *host)
{
	uint32_t i = *holder_chain(t, host);
	while (i != NONE && !host_key_equal(&t->holder[i].host, host))
		i = t->holder[i].next;
	return i;
}

static uint32_t holder_get(struct flow_table *t, const struct host_key *host)
{
	uint32_t i = holder_find(t, host), *chain = holder_chain(t, host);
	if (i != NONE)
		return i;
	i = t->holders_free;
	if (i == NONE)
		i = t->holders_fresh++;
	else
		t->holders_free = t->holder[i].next;
	t->holder[i] = (struct holder){.host = *host, .flows = {NONE, NONE}, .next = *chain};
	*chain = i;
	return i;
}

static void holder_add(struct flow_table *t, const struct host_key *host, uint32_t slot)
{
	uint32_t i = t->holder_of[slot] = holder_get(t, host);
	list_push(&t->holder[i].flows, t->own, slot);
	if (++t->holder[i].count > t->capacity / SHARE)
		t->heavy = i;
}

static void holder_drop(struct flow_table *t, uint32_t slot)
{
	uint32_t i = t->holder_of[slot];
	struct holder *h = &t->holder[i];
	list_drop(&h->flows, t->own, slot);
	if (--h->count <= t->capacity / SHARE && t->heavy == i)
		t->heavy = NONE;
	if (h->count)
		return;
	uint32_t *at = holder_chain(t, &h->host);
	while (*at != i)
		at = &t->holder[*at].next;
	*at = h->next;
	h->next = t->holders_free;
	t->holders_free = i;
}

uint64_t flow_hash(const struct flow_table *t, const struct flow_key *key)
{
	return hash(t, key);
}

void flow_fetch_chain(const struct flow_table *t, uint64_t hash)
{
	__builtin_prefetch(&t->bucket[hash & t->mask]);
}

bool flow_fetch(const struct flow_table *t, uint64_t hash)
{
	uint32_t slot = t->bucket[hash & t->mask];
	if (slot == NONE)
		return false;
	const char *entry = (const char *)entry_at(t, slot);
	for (size_t i = 0; i < t->owner.size; i += 64)
		__builtin_prefetch(entry + i, 1);
	__builtin_prefetch(&t->all[slot], 1);
	__builtin_prefetch(&t->own[slot], 1);
	__builtin_prefetch(&t->holder_of[slot]);
	return true;
}

/* Those on both sides in a list are written when a flow becomes its newest. */
static void fetch_beside(const struct link *link, uint32_t slot)
{
	if (link[slot].older != NONE)
		__builtin_prefetch(&link[link[slot].older], 1);
	if (link[slot].newer != NONE)
		__builtin_prefetch(&link[link[slot].newer], 1);
}

void flow_fetch_neighbours(const struct flow_table *t, uint64_t hash)
{
	uint32_t slot = t->bucket[hash & t->mask];
	if (slot == NONE)
		return;
	fetch_beside(t->all, slot);
	fetch_beside(t->own, slot);
	__builtin_prefetch(&t->holder[t->holder_of[slot]], 1);
}

static uint32_t slot_of(const struct flow_table *t, const struct flow_key *key)
{
	uint32_t slot = t->bucket[hash(t, key) & t->mask];
	while (slot != NONE && !same(&entry_at(t, slot)->key, key))
		slot = entry_at(t, slot)->next;
	return slot;
}

bool flow_known(const struct flow_table *t, const struct flow_key *key)
{
	return slot_of(t, key) != NONE;
}

void *flow_find(struct flow_table *t, const struct flow_key *key)
{
	uint32_t slot = slot_of(t, key);
	if (slot == NONE)
		return NULL;
	list_touch(&t->use, t->all, slot);
	list_touch(&t->holder[t->holder_of[slot]].flows, t->own, slot);
	return entry_at(t, slot);
}

/* The least recently used that may go; NONE where all stay. */
static uint32_t oldest_free(const struct flow_table *t, uint32_t slot, const struct link *link)
{
	while (slot != NONE && t->owner.stays && t->owner.stays(entry_at(t, slot)))
		slot = link[slot].newer;
	return slot;
}

/* The newcomer's own where its host has more than its share, else of another that has. */
static uint32_t to_evict(const struct flow_table *t, const struct host_key *newcomer)
{
	uint32_t i = holder_find(t, newcomer), slot = NONE;
	if (i == NONE || t->holder[i].count < t->capacity / SHARE)
		i = t->heavy;
	if (i != NONE)
		slot = oldest_free(t, t->holder[i].flows.oldest, t->own);
	return slot != NONE ? slot : oldest_free(t, t->use.oldest, t->all);
}

static bool evict_one(struct flow_table *t, const struct host_key *newcomer)
{
	uint32_t slot = to_evict(t, newcomer);
	if (slot == NONE)
		return false;
	if (t->owner.evicted)
		t->owner.evicted(t->owner.ctx, entry_at(t, slot));
	flow_remove(t, entry_at(t, slot));
	return true;
}

static uint32_t take_slot(struct flow_table *t)
{
	uint32_t slot = t->free_head;
	if (slot == NONE)
		return t->fresh++;
	t->free_head = entry_at(t, slot)->next;
	return slot;
}

void *flow_add(struct flow_table *t, const struct flow_key *key, const struct host_key *host)
{
	if (t->count == t->capacity && !evict_one(t, host))
		return NULL;
	uint32_t slot = take_slot(t);
	uint32_t *bucket = &t->bucket[hash(t, key) & t->mask];
	struct flow_entry *e = memset(entry_at(t, slot), 0, t->owner.size);
	*e = (struct flow_entry){.key = *key, .used = true, .next = *bucket};
	*bucket = slot;
	list_push(&t->use, t->all, slot);
	holder_add(t, host, slot);
	t->count++;
	return e;
}

void flow_remove(struct flow_table *t, void *flow)
{
	struct flow_entry *e = flow;
	uint32_t slot = flow_slot(t, flow);
	uint32_t *at = &t->bucket[hash(t, &e->key) & t->mask];
	while (*at != slot)
		at = &entry_at(t, *at)->next;
	*at = e->next;
	list_drop(&t->use, t->all, slot);
	holder_drop(t, slot);
	e->used = false;
	e->next = t->free_head;
	t->free_head = slot;
	t->count--;
}

void *flow_each(struct flow_table *t, uint32_t *slot)
{
	while (*slot < t->fresh) {
		struct flow_entry *e = entry_at(t, (*slot)++);
		if (e->used)
			return e;
	}
	return NULL;
}

void *flow_oldest(struct flow_table *t)
{
	return t->use.oldest == NONE ? NULL : entry_at(t, t->use.oldest);
}

uint32_t flow_count(const struct flow_table *t)
{
	return t->count;
}

uint32_t flow_capacity(const struct flow_table *t)
{
	return t->capacity;
}
