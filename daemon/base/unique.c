#include "base/unique.h"

#include "base/hash.h"
#include "base/pool.h"
#include "base/table.h"

#include <stdlib.h>
#include <string.h>

struct entry {
	uint32_t uses, next; /* next: of the chain, as in a bucket */
	uint32_t hash, len;
	uint64_t words[]; /* the record, zeros behind it */
};

struct unique {
	struct pool *pool;
	uint32_t *bucket; /* 1 + slot, so that what is never used is never touched; 0: none */
	uint32_t mask;
	size_t size; /* of the longest record */
	struct hash_key key;
};

struct unique *unique_new(uint32_t capacity, size_t size)
{
	struct unique *u = calloc(1, sizeof *u);
	if (!u)
		return NULL;
	uint32_t buckets = 1;
	while (buckets < capacity && buckets < 1u << 31)
		buckets *= 2;
	u->mask = buckets - 1;
	u->size = size < UNIQUE_MAX ? size : UNIQUE_MAX;
	u->pool = pool_new(capacity, sizeof(struct entry) + u->size);
	u->bucket = table_new(buckets, sizeof *u->bucket);
	if (!u->pool || !u->bucket || !hash_key_random(&u->key)) {
		unique_free(u);
		return NULL;
	}
	return u;
}

void unique_free(struct unique *u)
{
	if (!u)
		return;
	pool_free(u->pool);
	table_free(u->bucket, u->mask + 1ul, sizeof *u->bucket);
	free(u);
}

static struct entry *find(const struct unique *u, uint32_t hash, const void *record, size_t len)
{
	for (uint32_t at = u->bucket[hash & u->mask]; at;) {
		struct entry *e = pool_at(u->pool, at - 1);
		if (e->hash == hash && e->len == len && memcmp(e->words, record, len) == 0)
			return e;
		at = e->next;
	}
	return NULL;
}

static struct entry *add(struct unique *u, uint32_t hash, const void *record, size_t len)
{
	struct entry *e = pool_take(u->pool);
	if (!e)
		return NULL;
	uint32_t *bucket = &u->bucket[hash & u->mask];
	e->next = *bucket;
	e->hash = hash;
	e->len = (uint32_t)len;
	memcpy(e->words, record, len);
	*bucket = 1 + pool_slot(u->pool, e);
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
	uint32_t mine = 1 + pool_slot(u->pool, e), *at = &u->bucket[e->hash & u->mask];
	while (*at != mine)
		at = &((struct entry *)pool_at(u->pool, *at - 1))->next;
	*at = e->next;
	pool_give(u->pool, e);
}

uint32_t unique_count(const struct unique *u)
{
	return pool_taken(u->pool);
}
