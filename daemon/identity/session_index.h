/* session_index: address -> slot of a session. Cache-line buckets; one writer, lock-free readers.
 * For session.c alone. */
#pragma once
#include "base/address.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SESSION_INDEX_NONE UINT32_MAX

/* Shared words are atomics, so that their order holds without fences. */
#define ACQUIRE(p)    atomic_load_explicit(p, memory_order_acquire)
#define RELEASE(p, v) atomic_store_explicit(p, v, memory_order_release)

struct session_index {
	struct bucket *buckets;
	uint32_t mask;
	uint64_t seed;
};

struct session_key {
	uint64_t high, low;
	uint32_t bucket;
};

/* Room for one address of each of capacity sessions in a quarter of the entries. */
bool session_index_init(struct session_index *ix, uint32_t capacity);
void session_index_deinit(struct session_index *ix);

struct session_key session_index_key(const struct session_index *ix, const struct address *a);

/* Any thread, no lock. The slot, or SESSION_INDEX_NONE. */
uint32_t session_index_find(const struct session_index *ix, const struct session_key *k);

/* The same, and where it was found, so that a reader can tell whether it was there all the time. */
struct session_found {
	const _Atomic uint16_t *seq;
	uint16_t at;
};
uint32_t session_index_look(const struct session_index *ix, const struct session_key *k,
			    struct session_found *found);
static inline bool session_index_stayed(const struct session_found *f)
{
	return ACQUIRE(f->seq) == f->at;
}

/* The bucket of a key comes into the cache. */
void session_index_fetch(const struct session_index *ix, const struct session_key *k);

/* The writer's. *where names the entry; 0 or -ENOSPC. */
int session_index_add(struct session_index *ix, const struct session_key *k, uint32_t slot,
		      uint32_t *where);
void session_index_remove(struct session_index *ix, uint32_t where);
struct address session_index_address(const struct session_index *ix, uint32_t where);
