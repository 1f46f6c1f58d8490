#include "identity/session_index.h"

#include "base/clock.h"
#include "base/table.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define BUCKET_ENTRIES 3
#define PROBE_MAX      64 /* buckets looked at for one address */

struct entry {
	_Atomic uint64_t high, low; /* the address */
};

/* passed counts the entries that belong here or before and had to go further: where it is zero a
 * reader need not look on. Entries never move. */
struct bucket {
	_Alignas(64) struct entry entry[BUCKET_ENTRIES];
	_Atomic uint32_t slot[BUCKET_ENTRIES]; /* slot + 1; 0: free */
	_Atomic uint16_t seq, passed;
};
_Static_assert(sizeof(struct bucket) == 64, "one cache line");

static size_t bucket_bytes(const struct session_index *ix)
{
	return ((size_t)ix->mask + 1) * sizeof *ix->buckets;
}

bool session_index_init(struct session_index *ix, uint32_t capacity)
{
	uint32_t buckets = 16;
	while (buckets < (uint64_t)capacity * 4 / BUCKET_ENTRIES)
		buckets *= 2;
	ix->mask = buckets - 1;
	if (getrandom(&ix->seed, sizeof ix->seed, 0) != sizeof ix->seed)
		ix->seed = (uint64_t)clock_now();
	ix->buckets = table_new(1, bucket_bytes(ix));
	return ix->buckets != NULL;
}

void session_index_deinit(struct session_index *ix)
{
	table_free(ix->buckets, 1, bucket_bytes(ix));
}

struct session_key session_index_key(const struct session_index *ix, const struct address *a)
{
	struct session_key k;
	memcpy(&k.high, a->bytes, 8);
	memcpy(&k.low, a->bytes + 8, 8);
	uint64_t h = (k.high ^ ix->seed) * UINT64_C(0x9e3779b97f4a7c15);
	h = (h ^ h >> 32 ^ k.low) * UINT64_C(0xd6e8feb86659fd93);
	h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
	k.bucket = (uint32_t)(h >> 32) & ix->mask;
	return k;
}

enum look { LOOK_HERE, LOOK_ON, LOOK_END };

/* One bucket as it was at one moment, which *seq tells. */
static enum look bucket_look(struct bucket *b, const struct session_key *k, uint32_t *slot,
			     uint16_t *seq)
{
	for (;;) {
		uint32_t found = 0;
		*seq = ACQUIRE(&b->seq);
		for (int i = 0; i < BUCKET_ENTRIES; i++)
			if (ACQUIRE(&b->entry[i].low) == k->low &&
			    ACQUIRE(&b->entry[i].high) == k->high && ACQUIRE(&b->slot[i]))
				found = ACQUIRE(&b->slot[i]);
		uint16_t passed = ACQUIRE(&b->passed);
		if ((*seq & 1) || ACQUIRE(&b->seq) != *seq)
			continue;
		*slot = found - 1;
		return found ? LOOK_HERE : passed ? LOOK_ON : LOOK_END;
	}
}

uint32_t session_index_look(const struct session_index *ix, const struct session_key *k,
			    struct session_found *found)
{
	uint32_t slot;
	for (uint32_t n = 0; n < PROBE_MAX; n++) {
		struct bucket *b = &ix->buckets[(k->bucket + n) & ix->mask];
		enum look look = bucket_look(b, k, &slot, &found->at);
		found->seq = &b->seq;
		if (look != LOOK_ON)
			return look == LOOK_HERE ? slot : SESSION_INDEX_NONE;
	}
	return SESSION_INDEX_NONE;
}

void session_index_fetch(const struct session_index *ix, const struct session_key *k)
{
	__builtin_prefetch(&ix->buckets[k->bucket]);
}

uint32_t session_index_find(const struct session_index *ix, const struct session_key *k)
{
	struct session_found found;
	return session_index_look(ix, k, &found);
}

static void bucket_begin(struct bucket *b)
{
	RELEASE(&b->seq, (uint16_t)(ACQUIRE(&b->seq) + 1));
}
#define bucket_end bucket_begin

static void passed_add(struct bucket *b, int n)
{
	bucket_begin(b);
	RELEASE(&b->passed, (uint16_t)(ACQUIRE(&b->passed) + n));
	bucket_end(b);
}

/* The entry is written before the buckets on the way say "look on": a reader misses it until then
 * and so sees the address without a session, as it was. */
int session_index_add(struct session_index *ix, const struct session_key *k, uint32_t slot,
		      uint32_t *where)
{
	for (uint32_t n = 0; n < PROBE_MAX && n <= ix->mask; n++) {
		uint32_t at = (k->bucket + n) & ix->mask;
		struct bucket *b = &ix->buckets[at];
		for (uint32_t i = 0; i < BUCKET_ENTRIES; i++) {
			if (ACQUIRE(&b->slot[i]))
				continue;
			bucket_begin(b);
			RELEASE(&b->entry[i].high, k->high);
			RELEASE(&b->entry[i].low, k->low);
			RELEASE(&b->slot[i], slot + 1);
			bucket_end(b);
			while (n--)
				passed_add(&ix->buckets[(k->bucket + n) & ix->mask], 1);
			*where = at * BUCKET_ENTRIES + i;
			return 0;
		}
	}
	return -ENOSPC;
}

struct address session_index_address(const struct session_index *ix, uint32_t where)
{
	const struct entry *e = &ix->buckets[where / BUCKET_ENTRIES].entry[where % BUCKET_ENTRIES];
	uint64_t words[2] = {ACQUIRE(&e->high), ACQUIRE(&e->low)};
	struct address a;
	memcpy(a.bytes, words, sizeof a.bytes);
	return a;
}

void session_index_remove(struct session_index *ix, uint32_t where)
{
	struct address a = session_index_address(ix, where);
	struct session_key k = session_index_key(ix, &a);
	uint32_t at = where / BUCKET_ENTRIES;
	struct bucket *b = &ix->buckets[at];
	bucket_begin(b);
	RELEASE(&b->slot[where % BUCKET_ENTRIES], 0);
	bucket_end(b);
	for (; k.bucket != at; k.bucket = (k.bucket + 1) & ix->mask)
		passed_add(&ix->buckets[k.bucket], -1);
}
