#include "base/unique.h"

#include "base/hash.h"
#include "base/pool.h"
#include "base/table.h"

#include <stdlib.h>
#include <string.h>

/* Records of a kind are mostly short: each takes room of the first size that it fits into. */
static const uint16_t sizes[] = {32, 48, 80, 144, UNIQUE_MAX};
enum { SIZES = sizeof sizes / sizeof *sizes, SLOT_BITS = 28 };

struct entry {
	uint32_t uses, next; /* next: of the chain, as in a bucket */
	uint32_t hash, len;
	uint64_t words[]; /* the record, zeros behind it */
};

struct unique {
	struct pool *pool[SIZES]; /* by size, as far as records have it */
	uint32_t *bucket; /* number of the pool and 1 + slot, so that what is never used is never
			     touched; 0: none */
	uint32_t mask, count, capacity;
	size_t size; /* of the longest record */
	struct hash_key key;
};

/* The first size that is at least len. */
static unsigned size_of(size_t len)
{
	unsigned i = 0;
	while (sizes[i] < len)
		i++;
	return i;
}

static bool pools_new(struct unique *u, uint32_t capacity)
{
	for (unsigned i = 0; i <= size_of(u->size); i++)
		if (!(u->pool[i] = pool_new(capacity, sizeof(struct entry) + sizes[i])))
			return false;
	return true;
}

struct unique *unique_new(uint32_t capacity, size_t size)
{
	struct unique *u = calloc(1, sizeof *u);
	if (!u)
		return NULL;
	uint32_t buckets = 1;
	while (buckets < capacity && buckets < 1u << SLOT_BITS)
		buckets *= 2;
	u->mask = buckets - 1;
	u->capacity = capacity;
	u->size = size < UNIQUE_MAX ? size : UNIQUE_MAX;
	u->bucket = table_new(buckets, sizeof *u->bucket);
	if (capacity < 1u << SLOT_BITS && pools_new(u, capacity) && u->bucket &&
	    hash_key_random(&u->key))
		return u;
	unique_free(u);
	return NULL;
}

void unique_free(struct unique *u)
{
	if (!u)
		return;
	for (unsigned i = 0; i < SIZES; i++)
		pool_free(u->pool[i]);
	table_free(u->bucket, u->mask + 1ul, sizeof *u->bucket);
	free(u);
}

static struct entry *entry_at(const struct unique *u, uint32_t number)
{
	return pool_at(u->pool[number >> SLOT_BITS], (number & ((1u << SLOT_BITS) - 1)) - 1);
}

static uint32_t number_of(const struct unique *u, const struct entry *e)
{
	unsigned size = size_of(e->len);
	return size << SLOT_BITS | (1 + pool_slot(u->pool[size], e));
}

static struct entry *find(const struct unique *u, uint32_t hash, const void *record, size_t len)
{
	for (uint32_t at = u->bucket[hash & u->mask]; at;) {
		struct entry *e = entry_at(u, at);
		if (e->hash == hash && e->len == len && memcmp(e->words, record, len) == 0)
			return e;
		at = e->next;
	}
	return NULL;
}

static struct entry *add(struct unique *u, uint32_t hash, const void *record, size_t len)
{
	struct entry *e = u->count < u->capacity ? pool_take(u->pool[size_of(len)]) : NULL;
	if (!e)
		return NULL;
	u->count++;
	uint32_t *bucket = &u->bucket[hash & u->mask];
	e->next = *bucket;
	e->hash = hash;
	e->len = (uint32_t)len;
	memcpy(e->words, record, len);
	*bucket = number_of(u, e);
	return e;
}

const void *unique_get(struct unique *u, const void *record, size_t len)
{
	uint64_t words[UNIQUE_MAX / 8] = {0};
	if (len > u->size)
		return NULL;
	memcpy(words, record, len);
	uint32_t hash = (uint32_t)hash_words(u->key.k, words, (len + 7) / 8, len);
	struct entry *e = find(u, hash, record, len);
	if (!e && !(e = add(u, hash, record, len)))
		return NULL;
	e->uses++;
	return e->words;
}

void unique_put(struct unique *u, const void *record)
{
	if (!record)
		return;
	struct entry *e = (struct entry *)((char *)record - offsetof(struct entry, words));
	if (--e->uses)
		return;
	uint32_t mine = number_of(u, e), *at = &u->bucket[e->hash & u->mask];
	while (*at != mine)
		at = &entry_at(u, *at)->next;
	*at = e->next;
	pool_give(u->pool[size_of(e->len)], e);
	u->count--;
}

uint32_t unique_count(const struct unique *u)
{
	return u->count;
}
