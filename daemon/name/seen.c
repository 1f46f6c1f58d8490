#include "name/seen.h"
#include "base/clock.h"
#include "base/table.h"
#include "name/chain.h"
#include "name/intern.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#define ENTRIES_MIN 8
#define SHARE       8  /* a client with more than 1/SHARE of a full table drops its own */
#define CHANCES     8  /* entries used since, that may stay at one eviction */
#define FRESH       16 /* what is among the newest 1/FRESH of a full table is not moved again */
#define CLIENTS(n)  ((n) + 1) /* a newcomer is there before an entry leaves for it */
#define WALK_MAX    1024      /* entries of a pair that seen_names looks at */

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
	_Atomic uint32_t pair, host, older, spare;
	_Atomic uint32_t used; /* by a reader, since it was last moved */
	uint32_t newer;        /* in the pair's list */
	struct links by_age, by_client;
	uint64_t order;
};
_Static_assert(sizeof(struct entry) == 64, "an entry is a cache line");

/* (client, address), and its entries, newest first. */
struct pair {
	_Atomic uint64_t key[4];
	_Atomic uint32_t newest;
	uint32_t client;
	uint64_t hash, spare[2];
};
_Static_assert(sizeof(struct pair) == 64, "a pair is a cache line");

struct client { /* the writer's own */
	struct address address;
	struct list entries;
	uint32_t count;
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
	struct chains by_all, by_pair, by_address; /* of entries, pairs, clients */
	struct entry *entry;
	struct pair *pair;
	struct client *client;
	struct intern *hosts;
	struct list by_age;
	uint64_t order;
	_Atomic uint64_t count, added, evicted;
};

static struct asker asker_of(const struct seen *s, const struct address *client)
{
	struct asker a = {0};
	if (!s->any_client)
		memcpy(a.address, client, 16);
	a.hash = hash_words(s->seed, a.address, 2, 1);
	return a;
}

struct seen *seen_new(uint32_t entries, int64_t grace, bool any_client)
{
	struct seen *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	if (entries < ENTRIES_MIN)
		entries = ENTRIES_MIN;
	if (getrandom(s->seed, sizeof s->seed, 0) != sizeof s->seed)
		goto fail;
	pthread_mutex_init(&s->writing, NULL);
	s->grace = grace;
	s->any_client = any_client;
	s->everyone = asker_of(s, &(struct address){0});
	s->entries = entries;
	s->entry = table_new(entries + 1ul, sizeof *s->entry);
	s->pair = table_new(entries + 1ul, sizeof *s->pair);
	s->client = table_new(CLIENTS(entries) + 1ul, sizeof *s->client);
	s->hosts = intern_new(entries, s->seed);
	if (chains_init(&s->by_all, entries) && chains_init(&s->by_pair, entries) &&
	    chains_init(&s->by_address, CLIENTS(entries)) && s->entry && s->pair && s->client &&
	    s->hosts)
		return s;
fail:
	seen_free(s);
	return NULL;
}

void seen_free(struct seen *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->writing);
	chains_deinit(&s->by_all);
	chains_deinit(&s->by_pair);
	chains_deinit(&s->by_address);
	table_free(s->entry, s->entries + 1ul, sizeof *s->entry);
	table_free(s->pair, s->entries + 1ul, sizeof *s->pair);
	table_free(s->client, CLIENTS(s->entries) + 1ul, sizeof *s->client);
	intern_free(s->hosts);
	free(s);
}

/* Keys and times */

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

uint64_t seen_hash(const struct seen *s, const struct host *host)
{
	struct intern_key name;
	intern_key(s->hosts, host, &name);
	return name.hash;
}

static uint64_t good_word(int64_t until, uint64_t generation)
{
	int64_t ms = until <= 0 ? 0 : (until - 1) / NS_PER_MS + 1;
	return (uint64_t)ms << 16 | (generation & 0xffff);
}

static int64_t good_until(uint64_t word)
{
	return (int64_t)(word >> 16) * NS_PER_MS;
}

/* Readers: each loop starts anew where the chain changed under it. */

static bool pair_is(const struct pair *p, const struct key *key)
{
	return seq_load(&p->key[0]) == key->asker->address[0] &&
	       seq_load(&p->key[1]) == key->asker->address[1] &&
	       seq_load(&p->key[2]) == key->address[0] && seq_load(&p->key[3]) == key->address[1];
}

static bool entry_is(const struct seen *s, const struct entry *e, const struct key *key,
		     const struct intern_key *host)
{
	return seq_load(&e->hash) == key->hash && pair_is(&s->pair[seq_load(&e->pair)], key) &&
	       intern_is(s->hosts, seq_load(&e->host), host);
}

/* The entry of a key and its word `good`; 0: none. */
static uint32_t find(const struct seen *s, const struct key *key, const struct intern_key *host,
		     uint64_t *good)
{
	const struct bucket *b = chain_bucket(&s->by_all, key->hash);
	for (;;) {
		uint32_t count = seq_read_begin(&b->lock);
		uint32_t i = chain_first(&s->by_all, b, count, key->hash);
		while (i && !entry_is(s, &s->entry[i], key, host))
			i = chain_next(&s->by_all, b, count, i, key->hash);
		*good = seq_load(&s->entry[i].good);
		if (!seq_changed(&b->lock, count))
			return i;
	}
}

static uint32_t find_pair(const struct seen *s, const struct key *key, const struct bucket *b,
			  uint32_t count)
{
	uint32_t i = chain_first(&s->by_pair, b, count, key->pair_hash);
	while (i && !pair_is(&s->pair[i], key))
		i = chain_next(&s->by_pair, b, count, i, key->pair_hash);
	return i;
}

static void mark_used(struct entry *e)
{
	if (!seq_load(&e->used))
		seq_store(&e->used, 1);
}

/* The entry of what this one was told, and its word `good`. */
static uint32_t find_for(const struct seen *s, const struct asker *asker,
			 const struct address *address, const struct intern_key *host,
			 uint64_t *good)
{
	struct key key = key_of(s, asker, address, host->hash);
	return find(s, &key, host, good);
}

bool seen_agrees(struct seen *s, const struct address *client, const struct address *address,
		 const struct host *host, int64_t now)
{
	struct asker own = asker_of(s, client);
	struct intern_key name;
	uint64_t good;
	intern_key(s->hosts, host, &name);
	uint32_t i = find_for(s, &own, address, &name, &good);
	if (!i || good_until(good) < now)
		i = find_for(s, &s->everyone, address, &name, &good);
	if (!i || good_until(good) < now)
		return false;
	mark_used(&s->entry[i]);
	return true;
}

size_t seen_names(struct seen *s, const struct address *client, const struct address *address,
		  int64_t now, struct host *out, size_t max)
{
	struct asker asker = asker_of(s, client);
	struct key key = key_of(s, &asker, address, 0);
	const struct bucket *b = chain_bucket(&s->by_pair, key.pair_hash);
	for (;;) {
		uint32_t count = seq_read_begin(&b->lock);
		uint32_t pair = find_pair(s, &key, b, count);
		uint32_t i = pair ? seq_load(&s->pair[pair].newest) : 0;
		size_t n = 0;
		for (unsigned looked = 0; i && n < max && looked < WALK_MAX; looked++) {
			struct entry *e = &s->entry[i];
			if (seq_changed(&b->lock, count))
				break;
			if (good_until(seq_load(&e->good)) >= now) {
				intern_copy(s->hosts, seq_load(&e->host), &out[n++]);
				mark_used(e);
			}
			i = seq_load(&e->older);
		}
		if (!seq_changed(&b->lock, count))
			return n;
	}
}

/* The generation in `good` keeps this from a slot that was given to another entry meanwhile. Who
 * comes in between has just renewed or dropped the entry, so there is no second try. */
void seen_refresh(struct seen *s, const struct address *client, const struct address *address,
		  const struct host *host, int64_t now)
{
	struct asker own = asker_of(s, client);
	const struct asker *told[] = {&own, &s->everyone};
	struct intern_key name;
	uint64_t good;
	intern_key(s->hosts, host, &name);
	for (int i = 0; i < 2; i++) {
		uint32_t slot = find_for(s, told[i], address, &name, &good);
		uint64_t later = good_word(now + s->grace, good);
		if (!slot)
			continue;
		mark_used(&s->entry[slot]);
		if (later > good)
			atomic_compare_exchange_strong(&s->entry[slot].good, &good, later);
	}
}

/* Lists of the writer's own */

enum which { BY_AGE, BY_CLIENT };

static struct links *links_of(struct seen *s, uint32_t i, enum which which)
{
	return which == BY_AGE ? &s->entry[i].by_age : &s->entry[i].by_client;
}

static void list_push(struct seen *s, struct list *l, uint32_t i, enum which which)
{
	*links_of(s, i, which) = (struct links){0, l->newest};
	if (l->newest)
		links_of(s, l->newest, which)->newer = i;
	else
		l->oldest = i;
	l->newest = i;
}

static void list_drop(struct seen *s, struct list *l, uint32_t i, enum which which)
{
	struct links at = *links_of(s, i, which);
	if (at.newer)
		links_of(s, at.newer, which)->older = at.older;
	else
		l->newest = at.older;
	if (at.older)
		links_of(s, at.older, which)->newer = at.newer;
	else
		l->oldest = at.newer;
}

static struct client *client_of(struct seen *s, uint32_t i)
{
	return &s->client[s->pair[seq_load(&s->entry[i].pair)].client];
}

static void make_newest(struct seen *s, uint32_t i)
{
	struct client *c = client_of(s, i);
	list_drop(s, &s->by_age, i, BY_AGE);
	list_push(s, &s->by_age, i, BY_AGE);
	list_drop(s, &c->entries, i, BY_CLIENT);
	list_push(s, &c->entries, i, BY_CLIENT);
	seq_store(&s->entry[i].used, 0);
}

/* Clients */

static uint32_t client_get(struct seen *s, const struct asker *a)
{
	const struct bucket *b = chain_bucket(&s->by_address, a->hash);
	uint32_t count = seq_load(&b->lock.count);
	uint32_t i = chain_first(&s->by_address, b, count, a->hash);
	while (i && memcmp(&s->client[i].address, a->address, 16) != 0)
		i = chain_next(&s->by_address, b, count, i, a->hash);
	if (i)
		return i;
	i = chain_take(&s->by_address);
	s->client[i] = (struct client){.hash = a->hash};
	memcpy(&s->client[i].address, a->address, 16);
	chain_push(&s->by_address, a->hash, i);
	return i;
}

static void client_drop(struct seen *s, uint32_t i)
{
	chain_drop(&s->by_address, s->client[i].hash, i);
	chain_give(&s->by_address, i);
}

/* Pairs. All changes to a pair's list are made under the pair's bucket. */

static struct bucket *pair_bucket(struct seen *s, const struct pair *p)
{
	return chain_bucket(&s->by_pair, p->hash);
}

static uint32_t pair_get(struct seen *s, const struct key *key, uint32_t client)
{
	struct bucket *b = chain_bucket(&s->by_pair, key->pair_hash);
	uint32_t i = find_pair(s, key, b, seq_load(&b->lock.count));
	if (i)
		return i;
	i = chain_take(&s->by_pair);
	struct pair *p = &s->pair[i];
	for (int k = 0; k < 2; k++) {
		seq_store(&p->key[k], key->asker->address[k]);
		seq_store(&p->key[2 + k], key->address[k]);
	}
	seq_store(&p->newest, 0);
	p->hash = key->pair_hash;
	p->client = client;
	chain_push(&s->by_pair, key->pair_hash, i);
	return i;
}

static void pair_push(struct seen *s, struct pair *p, uint32_t i)
{
	uint32_t newest = seq_load(&p->newest);
	s->entry[i].newer = 0;
	seq_store(&s->entry[i].older, newest);
	if (newest)
		s->entry[newest].newer = i;
	seq_store(&p->newest, i);
}

static void pair_unlink(struct seen *s, struct pair *p, uint32_t i)
{
	uint32_t newer = s->entry[i].newer, older = seq_load(&s->entry[i].older);
	seq_store(newer ? &s->entry[newer].older : &p->newest, older);
	if (older)
		s->entry[older].newer = newer;
}

/* Takes the entry out of its pair; the last one takes the pair with it. */
static void pair_leave(struct seen *s, uint32_t i)
{
	uint32_t at = seq_load(&s->entry[i].pair);
	struct pair *p = &s->pair[at];
	struct bucket *b = pair_bucket(s, p);
	seq_write_begin(&b->lock);
	pair_unlink(s, p, i);
	bool empty = !seq_load(&p->newest);
	if (empty)
		chain_unlink(&s->by_pair, p->hash, at);
	seq_write_end(&b->lock);
	if (empty)
		chain_give(&s->by_pair, at);
}

/* Entries */

/* `keep` is the client of the entry that comes in its place: it stays, even without entries. */
static void evict(struct seen *s, uint32_t i, uint32_t keep)
{
	struct client *c = client_of(s, i);
	list_drop(s, &s->by_age, i, BY_AGE);
	list_drop(s, &c->entries, i, BY_CLIENT);
	c->count--;
	chain_drop(&s->by_all, seq_load(&s->entry[i].hash), i);
	pair_leave(s, i);
	intern_put(s->hosts, seq_load(&s->entry[i].host));
	seq_store(&s->entry[i].host, INTERN_NONE); /* what tells a free slot */
	if (c->count == 0 && c != &s->client[keep])
		client_drop(s, (uint32_t)(c - s->client));
	chain_give(&s->by_all, i);
	seq_store(&s->count, seq_load(&s->count) - 1);
	seq_store(&s->evicted, seq_load(&s->evicted) + 1);
}

static void evict_for(struct seen *s, uint32_t client)
{
	struct client *c = &s->client[client];
	struct list *l = c->count > s->entries / SHARE ? &c->entries : &s->by_age;
	for (int i = 0; i < CHANCES && seq_load(&s->entry[l->oldest].used); i++)
		make_newest(s, l->oldest);
	evict(s, l->oldest, client);
}

static void entry_new(struct seen *s, const struct key *key, uint32_t host, int64_t until)
{
	uint32_t client = client_get(s, key->asker);
	if (seq_load(&s->count) == s->entries)
		evict_for(s, client);
	intern_hold(s->hosts, host);
	uint32_t pair = pair_get(s, key, client);
	uint32_t i = chain_take(&s->by_all);
	struct entry *e = &s->entry[i];
	seq_store(&e->good, good_word(until, seq_load(&e->good) + 1));
	seq_store(&e->hash, key->hash);
	seq_store(&e->pair, pair);
	seq_store(&e->host, host);
	seq_store(&e->used, 0);
	e->order = ++s->order;

	chain_push(&s->by_all, key->hash, i);
	struct bucket *b = pair_bucket(s, &s->pair[pair]);
	seq_write_begin(&b->lock);
	pair_push(s, &s->pair[pair], i);
	seq_write_end(&b->lock);

	list_push(s, &s->by_age, i, BY_AGE);
	list_push(s, &s->client[client].entries, i, BY_CLIENT);
	s->client[client].count++;
	seq_store(&s->count, seq_load(&s->count) + 1);
}

/* The same answer again. A shorter TTL does not take back what was promised before. */
static void entry_renew(struct seen *s, uint32_t i, int64_t until)
{
	struct entry *e = &s->entry[i];
	uint64_t good = seq_load(&e->good), later = good_word(until, good);
	while (later > good && !atomic_compare_exchange_weak(&e->good, &good, later))
		;
	struct pair *p = &s->pair[seq_load(&e->pair)];
	bool newest = seq_load(&p->newest) == i;
	if (newest && s->order - e->order < s->entries / FRESH)
		return;
	e->order = ++s->order;
	make_newest(s, i);
	if (newest)
		return;
	struct bucket *b = pair_bucket(s, p);
	seq_write_begin(&b->lock);
	pair_unlink(s, p, i);
	pair_push(s, p, i);
	seq_write_end(&b->lock);
}

/* For the writer, under whom no chain changes. */
static uint32_t entry_find(const struct seen *s, const struct key *key, uint32_t host)
{
	const struct bucket *b = chain_bucket(&s->by_all, key->hash);
	uint32_t count = seq_load(&b->lock.count);
	uint32_t i = chain_first(&s->by_all, b, count, key->hash);
	while (i && (seq_load(&s->entry[i].host) != host ||
		     !pair_is(&s->pair[seq_load(&s->entry[i].pair)], key)))
		i = chain_next(&s->by_all, b, count, i, key->hash);
	return i;
}

static void add(struct seen *s, const struct key *key, uint32_t host, int64_t until)
{
	uint32_t i = entry_find(s, key, host);
	if (i)
		entry_renew(s, i, until);
	else
		entry_new(s, key, host, until);
}

/* The name's number, which is good until it is put back. */
static uint32_t hold_host(struct seen *s, const struct asker *asker, const struct intern_key *name)
{
	uint32_t host;
	while ((host = intern_get(s->hosts, name)) == INTERN_NONE)
		evict_for(s, client_get(s, asker));
	return host;
}

void seen_add_all(struct seen *s, const struct address *client, const struct host *host,
		  const struct seen_told *told, size_t count, int64_t now)
{
	struct asker own = asker_of(s, client);
	struct intern_key name;
	if (host->len == 0 || count == 0)
		return;
	intern_key(s->hosts, host, &name);
	pthread_mutex_lock(&s->writing);
	uint32_t number = hold_host(s, &own, &name);
	for (size_t i = 0; i < count; i++) {
		struct key key = key_of(s, &own, &told[i].address, name.hash);
		int64_t until = now + told[i].ttl + s->grace;
		add(s, &key, number, until);
		if (s->any_client)
			continue;
		key = key_of(s, &s->everyone, &told[i].address, name.hash);
		add(s, &key, number, until);
	}
	intern_put(s->hosts, number);
	seq_store(&s->added, seq_load(&s->added) + count);
	pthread_mutex_unlock(&s->writing);
}

void seen_add(struct seen *s, const struct address *client, const struct address *address,
	      const struct host *host, int64_t ttl, int64_t now)
{
	seen_add_all(s, client, host, &(struct seen_told){*address, ttl}, 1, now);
}

void seen_restore(struct seen *s, const struct seen_entry *e)
{
	struct intern_key name;
	if (e->host.len == 0)
		return;
	intern_key(s->hosts, &e->host, &name);
	struct asker asker = asker_of(s, &e->client);
	struct key key = key_of(s, &asker, &e->address, name.hash);
	pthread_mutex_lock(&s->writing);
	uint32_t host = hold_host(s, &asker, &name);
	add(s, &key, host, e->good_until);
	intern_put(s->hosts, host);
	pthread_mutex_unlock(&s->writing);
}

/* State */

bool seen_each(struct seen *s, uint32_t *slot, struct seen_entry *out)
{
	bool found = false;
	pthread_mutex_lock(&s->writing);
	while (!found && ++*slot < s->by_all.fresh) {
		struct entry *e = &s->entry[*slot];
		found = seq_load(&e->host) != INTERN_NONE;
		if (!found)
			continue;
		struct pair *p = &s->pair[seq_load(&e->pair)];
		for (int k = 0; k < 4; k++) {
			uint64_t word = seq_load(&p->key[k]);
			memcpy((k < 2 ? out->client.bytes : out->address.bytes) + k % 2 * 8, &word,
			       8);
		}
		found = !seen_is_target(&out->address);
		intern_copy(s->hosts, seq_load(&e->host), &out->host);
		out->good_until = good_until(seq_load(&e->good));
		out->order = e->order;
	}
	pthread_mutex_unlock(&s->writing);
	return found;
}

void seen_count(const struct seen *s, struct seen_counters *out)
{
	out->entries = seq_load(&s->count);
	out->added = seq_load(&s->added);
	out->evicted = seq_load(&s->evicted);
}
