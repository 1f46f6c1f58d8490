/* chain: the hash chains of a table of slots, and which slots are free.
 *
 * The chains stand apart from what the slots hold, with a part of each slot's hash: a walk, and
 * most of all one to nothing, stays in few cache lines. One writer; readers walk a bucket's chain
 * under its seqlock. */
#pragma once
#include "base/seqlock.h"
#include <stdint.h>

struct bucket {
	struct seqlock lock;
	_Atomic uint32_t head;
};

struct chain_link {
	_Atomic uint32_t tag, next; /* next: of the chain, or of the free slots */
};

struct chains {
	uint32_t slots, mask, fresh, free; /* slots 1 .. slots; 0: none */
	struct bucket *bucket;
	struct chain_link *link;
};

/* False where memory ran out. */
bool chains_init(struct chains *c, uint32_t slots);
void chains_deinit(struct chains *c);

static inline struct bucket *chain_bucket(const struct chains *c, uint64_t hash)
{
	return &c->bucket[hash & c->mask];
}

/* From slot i of b's chain on, the first whose hash may be this one; 0: none, or the chain is no
 * longer that of `count`. */
static inline uint32_t chain_match(const struct chains *c, const struct bucket *b, uint32_t count,
				   uint32_t i, uint64_t hash)
{
	while (i && seq_load(&c->link[i].tag) != (uint32_t)(hash >> 32))
		i = seq_changed(&b->lock, count) ? 0 : seq_load(&c->link[i].next);
	return i;
}

static inline uint32_t chain_first(const struct chains *c, const struct bucket *b, uint32_t count,
				   uint64_t hash)
{
	return chain_match(c, b, count, seq_load(&b->head), hash);
}

static inline uint32_t chain_next(const struct chains *c, const struct bucket *b, uint32_t count,
				  uint32_t i, uint64_t hash)
{
	return seq_changed(&b->lock, count)
		       ? 0
		       : chain_match(c, b, count, seq_load(&c->link[i].next), hash);
}

/* The writer's. take: a free slot, of which there must be one. push and drop are a write section
 * of the hash's bucket; unlink stands in one. */

static inline uint32_t chain_take(struct chains *c)
{
	uint32_t i = c->free;
	if (!i)
		return c->fresh++;
	c->free = seq_load(&c->link[i].next);
	return i;
}

static inline void chain_give(struct chains *c, uint32_t i)
{
	seq_store(&c->link[i].next, c->free);
	c->free = i;
}

static inline void chain_push(struct chains *c, uint64_t hash, uint32_t i)
{
	struct bucket *b = chain_bucket(c, hash);
	seq_write_begin(&b->lock);
	seq_store(&c->link[i].tag, (uint32_t)(hash >> 32));
	seq_store(&c->link[i].next, seq_load(&b->head));
	seq_store(&b->head, i);
	seq_write_end(&b->lock);
}

static inline void chain_unlink(struct chains *c, uint64_t hash, uint32_t i)
{
	_Atomic uint32_t *link = &chain_bucket(c, hash)->head;
	while (seq_load(link) != i)
		link = &c->link[seq_load(link)].next;
	seq_store(link, seq_load(&c->link[i].next));
}

static inline void chain_drop(struct chains *c, uint64_t hash, uint32_t i)
{
	struct bucket *b = chain_bucket(c, hash);
	seq_write_begin(&b->lock);
	chain_unlink(c, hash, i);
	seq_write_end(&b->lock);
}
