#include "packet/share.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#define ON_SEGMENT (UINT64_C(1) << 63) /* no IPv4 address has it, and no /64 this second word */

struct host_key host_key_mac(const uint8_t mac[static 6])
{
	struct host_key k = {{0, ON_SEGMENT}};
	for (int i = 0; i < 6; i++)
		k.word[1] |= (uint64_t)mac[i] << 8 * i;
	return k;
}

struct host_key host_key_unconfirmed(void)
{
	return (struct host_key){{0, ON_SEGMENT | UINT64_C(1) << 48}};
}

bool host_key_is_mac(const struct host_key *k)
{
	return k->word[0] == 0 && k->word[1] >> 48 == ON_SEGMENT >> 48;
}

struct host_key host_key_address(const struct address *a)
{
	struct host_key k;
	memcpy(k.word, a->bytes, sizeof k.word);
	if (!address_is4(a))
		k.word[1] = 0;
	return k;
}

/* Who has none has no entry, so that twice as many buckets as things are enough, and linear probing
 * stays short. */
struct entry {
	struct host_key host;
	uint32_t count;
};

struct shares {
	struct hash_key key;
	uint32_t total, per_host, count, buckets;
	struct entry *entries;
};

struct shares *shares_new(uint32_t total, uint32_t per_host)
{
	struct shares *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->total = total;
	s->per_host = per_host;
	s->buckets = 2 * total + 1;
	s->entries = calloc(s->buckets, sizeof *s->entries);
	if (!s->entries || !hash_key_random(&s->key)) {
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

static uint32_t bucket_of(const struct shares *s, const struct host_key *host)
{
	return (uint32_t)((hash_words(s->key.k, host->word, 2, 0) >> 32) % s->buckets);
}

/* The entry of a host, or the empty one where it would stand. */
static struct entry *find(struct shares *s, const struct host_key *host)
{
	uint32_t i = bucket_of(s, host);
	while (s->entries[i].count && !host_key_equal(&s->entries[i].host, host))
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
		uint32_t home = bucket_of(s, &s->entries[i].host);
		uint32_t from_home = (i + s->buckets - home) % s->buckets;
		uint32_t from_hole = (i + s->buckets - hole) % s->buckets;
		if (from_home < from_hole)
			continue;
		s->entries[hole] = s->entries[i];
		s->entries[i].count = 0;
		hole = i;
	}
}

bool share_take(struct shares *s, const struct host_key *host)
{
	struct entry *e = find(s, host);
	if (s->count == s->total || e->count >= s->per_host)
		return false;
	e->host = *host;
	e->count++;
	s->count++;
	return true;
}

void share_give(struct shares *s, const struct host_key *host)
{
	struct entry *e = find(s, host);
	if (!e->count)
		return;
	s->count--;
	if (--e->count == 0)
		clear(s, e);
}
