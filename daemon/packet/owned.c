#include "packet/owned.h"

#include "base/hash.h"

#include <stdlib.h>

#define NONE UINT32_MAX

/* A doubly linked list, newest first, through links that stand in an array. */
struct list {
	uint32_t newest, oldest;
};
struct link {
	uint32_t newer, older;
};

struct holder {
	struct host_key host;
	struct list slots;
	uint32_t count, next; /* next: of the bucket, or of those that are free */
};

struct owned {
	struct hash_key key;
	uint32_t slots, per_host, mask;
	uint32_t free, fresh, holders_free, holders_fresh;
	struct list by_size[32];         /* holders of 2^n to 2^(n+1)-1 slots */
	struct link *slot, *holder_link; /* a free slot's next stands in `older` */
	uint32_t *holder_of, *bucket;
	struct holder *holder;
};

static void list_push(struct list *l, struct link *links, uint32_t i)
{
	links[i] = (struct link){NONE, l->newest};
	if (l->newest != NONE)
		links[l->newest].newer = i;
	else
		l->oldest = i;
	l->newest = i;
}

static void list_drop(struct list *l, struct link *links, uint32_t i)
{
	struct link at = links[i];
	if (at.newer != NONE)
		links[at.newer].older = at.older;
	else
		l->newest = at.older;
	if (at.older != NONE)
		links[at.older].newer = at.newer;
	else
		l->oldest = at.newer;
}

/* A newcomer is there before a slot leaves for it, so there is a holder more than slots. */
struct owned *owned_new(uint32_t slots, uint32_t per_host)
{
	struct owned *o = calloc(1, sizeof *o);
	if (!o)
		return NULL;
	o->slots = slots;
	o->per_host = per_host ? per_host : 1;
	for (o->mask = 1; o->mask < slots && o->mask < 1u << 31;)
		o->mask *= 2;
	o->mask--;
	o->slot = calloc(slots, sizeof *o->slot);
	o->holder_of = calloc(slots, sizeof *o->holder_of);
	o->holder = calloc(slots + 1ul, sizeof *o->holder);
	o->holder_link = calloc(slots + 1ul, sizeof *o->holder_link);
	o->bucket = malloc((o->mask + 1ul) * sizeof *o->bucket);
	if (!o->slot || !o->holder_of || !o->holder || !o->holder_link || !o->bucket ||
	    !hash_key_random(&o->key)) {
		owned_free(o);
		return NULL;
	}
	for (size_t i = 0; i <= o->mask; i++)
		o->bucket[i] = NONE;
	for (int i = 0; i < 32; i++)
		o->by_size[i] = (struct list){NONE, NONE};
	o->free = o->holders_free = NONE;
	return o;
}

void owned_free(struct owned *o)
{
	if (!o)
		return;
	free(o->slot);
	free(o->holder_of);
	free(o->holder);
	free(o->holder_link);
	free(o->bucket);
	free(o);
}

static uint32_t *chain_of(struct owned *o, const struct host_key *host)
{
	return &o->bucket[hash_words(o->key.k, host->word, 2, 0) & o->mask];
}

static uint32_t holder_get(struct owned *o, const struct host_key *host)
{
	uint32_t *chain = chain_of(o, host), i = *chain;
	while (i != NONE && !host_key_equal(&o->holder[i].host, host))
		i = o->holder[i].next;
	if (i != NONE)
		return i;
	i = o->holders_free;
	if (i == NONE)
		i = o->holders_fresh++;
	else
		o->holders_free = o->holder[i].next;
	o->holder[i] = (struct holder){.host = *host, .slots = {NONE, NONE}, .next = *chain};
	*chain = i;
	return i;
}

static void holder_drop(struct owned *o, uint32_t i)
{
	uint32_t *at = chain_of(o, &o->holder[i].host);
	while (*at != i)
		at = &o->holder[*at].next;
	*at = o->holder[i].next;
	o->holder[i].next = o->holders_free;
	o->holders_free = i;
}

static void holder_resize(struct owned *o, uint32_t i, uint32_t count)
{
	struct holder *h = &o->holder[i];
	int from = h->count ? 31 - __builtin_clz(h->count) : -1;
	int to = count ? 31 - __builtin_clz(count) : -1;
	h->count = count;
	if (from == to)
		return;
	if (from >= 0)
		list_drop(&o->by_size[from], o->holder_link, i);
	if (to >= 0)
		list_push(&o->by_size[to], o->holder_link, i);
}

/* The least recently used of one of those who have the most, give or take a factor of two. */
static uint32_t oldest_of_largest(const struct owned *o)
{
	int size = 31;
	while (o->by_size[size].newest == NONE)
		size--;
	return o->holder[o->by_size[size].newest].slots.oldest;
}

static void leave(struct owned *o, uint32_t slot)
{
	uint32_t i = o->holder_of[slot];
	list_drop(&o->holder[i].slots, o->slot, slot);
	holder_resize(o, i, o->holder[i].count - 1);
}

static uint32_t to_evict(const struct owned *o, const struct holder *newcomer)
{
	if (newcomer->count >= o->per_host)
		return newcomer->slots.oldest;
	return o->free == NONE && o->fresh == o->slots ? oldest_of_largest(o) : NONE;
}

uint32_t owned_take(struct owned *o, const struct host_key *host, bool *evicted)
{
	uint32_t i = holder_get(o, host), slot = to_evict(o, &o->holder[i]);
	*evicted = slot != NONE;
	if (*evicted) {
		uint32_t before = o->holder_of[slot];
		leave(o, slot);
		if (before != i && o->holder[before].count == 0)
			holder_drop(o, before);
	} else if (o->free != NONE) {
		slot = o->free;
		o->free = o->slot[slot].older;
	} else {
		slot = o->fresh++;
	}
	o->holder_of[slot] = i;
	list_push(&o->holder[i].slots, o->slot, slot);
	holder_resize(o, i, o->holder[i].count + 1);
	return slot;
}

void owned_touch(struct owned *o, uint32_t slot)
{
	struct list *l = &o->holder[o->holder_of[slot]].slots;
	if (l->newest == slot)
		return;
	list_drop(l, o->slot, slot);
	list_push(l, o->slot, slot);
}

void owned_give(struct owned *o, uint32_t slot)
{
	uint32_t i = o->holder_of[slot];
	leave(o, slot);
	if (o->holder[i].count == 0)
		holder_drop(o, i);
	o->slot[slot].older = o->free;
	o->free = slot;
}
