/* seen_inner: what the files seen*.c share: the table. For them only. */
#pragma once
#include "base/clock.h"
#include "dns/chain.h"
#include "dns/intern.h"
#include "dns/nat64.h"
#include "dns/seen.h"

#include <pthread.h>

/* A doubly linked list, newest first, through links that stand in each entry. */
struct list {
	uint32_t newest, oldest;
};
struct links {
	uint32_t newer, older;
};

/* (client, address, host). In the chain of all three, and in its pair's list. One cache line. */
struct entry {
	_Atomic uint64_t good; /* until when, in ms << 16; below, the slot's generation */
	_Atomic uint64_t hash;
	_Atomic uint32_t pair, host, older;
	uint32_t holder;
	_Atomic uint32_t used; /* by a reader, since it was last moved */
	uint32_t newer;        /* in the pair's list */
	struct links by_age, by_holder;
	uint64_t order;
};
_Static_assert(sizeof(struct entry) == 64, "an entry is a cache line");

/* (client, address), and its entries, newest first. */
struct pair {
	_Atomic uint64_t key[4];
	_Atomic uint32_t newest;
	uint64_t hash, spare[2];
};
_Static_assert(sizeof(struct pair) == 64, "a pair is a cache line");

/* A host and the entries that it brought in, its own and those of everyone. The writer's own. */
struct holder {
	struct host_key host;
	struct list entries;
	uint32_t count;
	struct links of_size; /* among the holders of about so many */
	uint64_t hash;
};

/* Who was told, and what an entry is found by besides its host's text or (the writer) number. */
struct asker {
	uint64_t address[2], hash;
};
struct key {
	const struct asker *asker;
	uint64_t address[2], pair_hash, hash;
};

struct seen {
	pthread_mutex_t writing;
	uint64_t seed[2];
	int64_t grace;
	bool any_client;
	struct asker everyone; /* what any client was told is kept once more as told to this one */
	uint32_t entries;
	struct chains by_all, by_pair, by_host; /* of entries, pairs, holders */
	struct entry *entry;
	struct pair *pair;
	struct holder *holder;
	struct intern *hosts;
	struct list by_age, by_size[32]; /* entries; holders of 2^n to 2^(n+1)-1 */
	uint64_t order;
	struct nat64 nat64;
	struct host_key (*whose)(void *ctx, const struct address *client);
	void *ctx;
	_Atomic uint64_t count, added, evicted;
};

static inline struct asker asker_of(const struct seen *s, const struct address *client)
{
	struct asker a = {0};
	if (!s->any_client)
		memcpy(a.address, client, 16);
	a.hash = hash_words(s->seed, a.address, 2, 1);
	return a;
}

/* Who may have asked for a client: its address, and its host where that is known by its MAC
 * address, for it asks over one IP version and connects over the other. Returns how many they are.
 */
static inline int askers_of(const struct seen *s, const struct address *client,
			    struct asker out[static 2])
{
	out[0] = asker_of(s, client);
	if (s->any_client)
		return 1;
	struct host_key host = s->whose(s->ctx, client);
	if (!host_key_is_mac(&host))
		return 1;
	memcpy(out[1].address, host.word, 16);
	out[1].hash = hash_words(s->seed, out[1].address, 2, 1);
	return 2;
}

/* host_hash: 0 where the pair alone is looked for. */
static inline struct key key_of(const struct seen *s, const struct asker *asker,
				const struct address *address, uint64_t host_hash)
{
	struct key k = {.asker = asker};
	memcpy(k.address, address, 16);
	k.pair_hash = hash_words(s->seed, k.address, 2, asker->hash);
	k.hash = hash_mix(k.pair_hash ^ s->seed[1], host_hash | 1);
	return k;
}

static inline uint64_t good_word(int64_t until, uint64_t generation)
{
	int64_t ms = until <= 0 ? 0 : (until - 1) / NS_PER_MS + 1;
	return (uint64_t)ms << 16 | (generation & 0xffff);
}

static inline int64_t good_until(uint64_t word)
{
	return (int64_t)(word >> 16) * NS_PER_MS;
}

static inline bool pair_is(const struct pair *p, const struct key *key)
{
	return seq_load(&p->key[0]) == key->asker->address[0] &&
	       seq_load(&p->key[1]) == key->asker->address[1] &&
	       seq_load(&p->key[2]) == key->address[0] && seq_load(&p->key[3]) == key->address[1];
}

static inline uint32_t find_pair(const struct seen *s, const struct key *key,
				 const struct bucket *b, uint32_t count)
{
	uint32_t i = chain_first(&s->by_pair, b, count, key->pair_hash);
	while (i && !pair_is(&s->pair[i], key))
		i = chain_next(&s->by_pair, b, count, i, key->pair_hash);
	return i;
}
