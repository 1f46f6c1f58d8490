#include "packet/share.h"

#include <stdlib.h>
#include <string.h>

/* Who has none has no entry. A thing counts for an address and perhaps a network, so four times as
 * many buckets as things are enough, and linear probing stays short. */
struct entry {
	struct address address;
	bool network; /* the /64 that the address begins */
	uint32_t count;
};

struct shares {
	uint32_t total, per_client, per_network, count, buckets;
	struct entry *entries;
};

struct shares *shares_new(uint32_t total, uint32_t per_client)
{
	struct shares *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->total = total;
	s->per_client = per_client;
	s->per_network = total / 2 > per_client ? total / 2 : per_client;
	s->buckets = 4 * total + 1;
	s->entries = calloc(s->buckets, sizeof *s->entries);
	if (!s->entries) {
		shares_free(s);
		return NULL;
	}
	return s;
}

void shares_free(struct shares *s)
{
	if (!s)
		return;
	free(s->entries);
	free(s);
}

static uint32_t bucket_of(const struct shares *s, const struct entry *e)
{
	uint64_t x, y;
	memcpy(&x, e->address.bytes, 8);
	memcpy(&y, e->address.bytes + 8, 8);
	x = (x ^ (y + e->network) * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
	return (uint32_t)((x >> 32) % s->buckets);
}

/* The entry of a client or network, or the empty one where it would stand. */
static struct entry *find(struct shares *s, const struct entry *e)
{
	uint32_t i = bucket_of(s, e);
	while (s->entries[i].count && (s->entries[i].network != e->network ||
				       !address_equal(&s->entries[i].address, &e->address)))
		i = (i + 1) % s->buckets;
	return &s->entries[i];
}

/* Empties an entry and moves up those behind it that probing would no longer find. */
static void clear(struct shares *s, struct entry *gone)
{
	uint32_t hole = (uint32_t)(gone - s->entries), i = hole;
	s->entries[hole].count = 0;
	for (;;) {
		i = (i + 1) % s->buckets;
		if (!s->entries[i].count)
			return;
		uint32_t home = bucket_of(s, &s->entries[i]);
		uint32_t from_home = (i + s->buckets - home) % s->buckets;
		uint32_t from_hole = (i + s->buckets - hole) % s->buckets;
		if (from_home < from_hole)
			continue;
		s->entries[hole] = s->entries[i];
		s->entries[i].count = 0;
		hole = i;
	}
}

static struct entry network_of(const struct address *client)
{
	struct entry e = {.address = *client, .network = true};
	memset(e.address.bytes + 8, 0, 8);
	return e;
}

static void add(struct shares *s, const struct entry *who)
{
	struct entry *e = find(s, who);
	uint32_t count = e->count + 1;
	*e = *who;
	e->count = count;
}

static void sub(struct shares *s, const struct entry *who)
{
	struct entry *e = find(s, who);
	if (e->count && --e->count == 0)
		clear(s, e);
}

bool share_take(struct shares *s, const struct address *client)
{
	struct entry one = {.address = *client}, all = network_of(client);
	bool six = !address_is4(client);
	if (s->count == s->total || find(s, &one)->count >= s->per_client ||
	    (six && find(s, &all)->count >= s->per_network))
		return false;
	add(s, &one);
	if (six)
		add(s, &all);
	s->count++;
	return true;
}

void share_give(struct shares *s, const struct address *client)
{
	struct entry one = {.address = *client}, all = network_of(client);
	sub(s, &one);
	if (!address_is4(client))
		sub(s, &all);
	s->count--;
}
