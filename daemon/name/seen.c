#include "name/seen.h"
#include "base/clock.h"
#include "base/table.h"
#include "name/intern.h"
#include "name/seqlock.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#define ENTRIES_MIN 8
#define SHARE       8    /* a client with more than 1/SHARE of a full table drops its own */
#define CHANCES     8    /* entries used since, that may stay at one eviction */
#define WALK_MAX    1024 /* entries of a pair that seen_names looks at */

struct bucket {
	struct seqlock lock;
	_Atomic uint32_t head;
};

/* A doubly linked list, newest first, through links that stand in each entry. */
struct list {
	uint32_t newest, oldest;
};
struct links {
	uint32_t newer, older;
};

/* (client, address, host). Linked from the bucket of all three, and in its pair's list. One cache
 * line. */
struct entry {
	_Atomic uint64_t good; /* until when, in ms << 16; below, the slot's generation */
	_Atomic uint64_t hash;
	_Atomic uint32_t pair, host, hash_next, older;
	_Atomic uint32_t used; /* by a reader, since it was last moved */
	uint32_t newer;        /* in the pair's list */
	struct links by_age, by_client;
	uint64_t order;
};
_Static_assert(sizeof(struct entry) == 64, "an entry is a cache line");

/* (client, address), and its entries, newest first. */
struct pair {
	_Atomic uint64_t key[4];
	_Atomic uint32_t hash_next, newest;
	uint32_t client, spare;
	uint64_t hash, more;
};
_Static_assert(sizeof(struct pair) == 64, "a pair is a cache line");

struct client { /* the writer's own */
	struct address address;
	struct list entries;
	uint32_t count, hash_next;
	uint64_t hash;
};

struct slots { /* 1 .. entries: those given back, then those never used */
	uint32_t fresh, free;
};

struct seen {
	pthread_mutex_t writing;
	uint64_t seed[2];
	int64_t grace;
	bool any_client;
	uint32_t entries, mask;
	struct bucket *entry_bucket, *pair_bucket;
	uint32_t *client_bucket;
	struct entry *entry;
	struct pair *pair;
	struct client *client;
	struct intern *hosts;
	struct slots entry_slots, pair_slots, client_slots;
	struct list by_age;
	uint64_t order;
	_Atomic uint64_t count, added, evicted;
};

/* What any client was told is kept once more as told to everyone. */
static const struct address everyone;

struct key {
	uint64_t pair[4], pair_hash, hash;
	struct intern_key host;
};

struct seen *seen_new(uint32_t entries, int64_t grace, bool any_client)
{
	struct seen *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	if (entries < ENTRIES_MIN)
		entries = ENTRIES_MIN;
	uint32_t buckets = ENTRIES_MIN;
	while (buckets < entries && buckets < 1u << 31)
		buckets *= 2;
	if (getrandom(s->seed, sizeof s->seed, 0) != sizeof s->seed)
		goto fail;
	pthread_mutex_init(&s->writing, NULL);
	s->grace = grace;
	s->any_client = any_client;
	s->entries = entries;
	s->mask = buckets - 1;
	s->entry_bucket = table_new(buckets, sizeof *s->entry_bucket);
	s->pair_bucket = table_new(buckets, sizeof *s->pair_bucket);
	s->client_bucket = table_new(buckets, sizeof *s->client_bucket);
	s->entry = table_new(entries + 1ul, sizeof *s->entry);
	s->pair = table_new(entries + 1ul, sizeof *s->pair);
	s->client = table_new(entries + 1ul, sizeof *s->client);
	s->hosts = intern_new(entries, s->seed);
	s->entry_slots.fresh = s->pair_slots.fresh = s->client_slots.fresh = 1;
	if (s->entry_bucket && s->pair_bucket && s->client_bucket && s->entry && s->pair &&
	    s->client && s->hosts)
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
	size_t buckets = s->mask + 1ul, slots = s->entries + 1ul;
	table_free(s->entry_bucket, buckets, sizeof *s->entry_bucket);
	table_free(s->pair_bucket, buckets, sizeof *s->pair_bucket);
	table_free(s->client_bucket, buckets, sizeof *s->client_bucket);
	table_free(s->entry, slots, sizeof *s->entry);
	table_free(s->pair, slots, sizeof *s->pair);
	table_free(s->client, slots, sizeof *s->client);
	intern_free(s->hosts);
	free(s);
}

/* Keys and times */

static void key_of_pair(const struct seen *s, const struct address *client,
			const struct address *address, struct key *out)
{
	memset(out->pair, 0, 16);
	if (!s->any_client)
		memcpy(out->pair, client, 16);
	memcpy(out->pair + 2, address, 16);
	out->pair_hash = hash_words(s->seed, out->pair, 4, 0);
}

/* The host of the key is there already. */
static void key_complete(const struct seen *s, const struct address *client,
			 const struct address *address, struct key *out)
{
	key_of_pair(s, client, address, out);
	out->hash = hash_mix(out->pair_hash ^ s->seed[1], out->host.hash | 1);
}

static void key_of(const struct seen *s, const struct address *client,
		   const struct address *address, const struct host *host, struct key *out)
{
	intern_key(s->hosts, host, &out->host);
	key_complete(s, client, address, out);
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
	return seq_load(&p->key[3]) == key->pair[3] && seq_load(&p->key[1]) == key->pair[1] &&
	       seq_load(&p->key[2]) == key->pair[2] && seq_load(&p->key[0]) == key->pair[0];
}

static bool entry_is(const struct seen *s, const struct entry *e, const struct key *key)
{
	return seq_load(&e->hash) == key->hash && pair_is(&s->pair[seq_load(&e->pair)], key) &&
	       intern_is(s->hosts, seq_load(&e->host), &key->host);
}

/* The entry of a key and its word `good`; 0: none. */
static uint32_t find(const struct seen *s, const struct key *key, uint64_t *good)
{
	const struct bucket *b = &s->entry_bucket[key->hash & s->mask];
	for (;;) {
		uint32_t count = seq_read_begin(&b->lock);
		uint32_t i = seq_load(&b->head);
		while (i && !seq_changed(&b->lock, count) && !entry_is(s, &s->entry[i], key))
			i = seq_load(&s->entry[i].hash_next);
		*good = seq_load(&s->entry[i].good);
		if (!seq_changed(&b->lock, count))
			return i;
	}
}

static uint32_t find_pair(const struct seen *s, const struct key *key, const struct bucket *b,
			  uint32_t count)
{
	uint32_t i = seq_load(&b->head);
	while (i && !seq_changed(&b->lock, count) && !pair_is(&s->pair[i], key))
		i = seq_load(&s->pair[i].hash_next);
	return i;
}

static void mark_used(struct entry *e)
{
	if (!seq_load(&e->used))
		seq_store(&e->used, 1);
}

bool seen_agrees(struct seen *s, const struct address *client, const struct address *address,
		 const struct host *host, int64_t now)
{
	struct key key;
	uint64_t good;
	key_of(s, client, address, host, &key);
	uint32_t i = find(s, &key, &good);
	if (!i || good_until(good) < now) {
		key_complete(s, &everyone, address, &key);
		i = find(s, &key, &good);
	}
	if (!i || good_until(good) < now)
		return false;
	mark_used(&s->entry[i]);
	return true;
}

size_t seen_names(struct seen *s, const struct address *client, const struct address *address,
		  int64_t now, struct host *out, size_t max)
{
	struct key key;
	key_of_pair(s, client, address, &key);
	const struct bucket *b = &s->pair_bucket[key.pair_hash & s->mask];
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
static void refresh(struct seen *s, const struct key *key, int64_t until)
{
	uint64_t good;
	uint32_t slot = find(s, key, &good);
	if (!slot)
		return;
	mark_used(&s->entry[slot]);
	uint64_t later = good_word(until, good);
	if (later > good)
		atomic_compare_exchange_strong(&s->entry[slot].good, &good, later);
}

void seen_refresh(struct seen *s, const struct address *client, const struct address *address,
		  const struct host *host, int64_t now)
{
	struct key key;
	key_of(s, client, address, host, &key);
	refresh(s, &key, now + s->grace);
	key_complete(s, &everyone, address, &key);
	refresh(s, &key, now + s->grace);
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

static uint32_t slot_take(struct slots *l, uint32_t next_free)
{
	if (!l->free)
		return l->fresh++;
	uint32_t i = l->free;
	l->free = next_free;
	return i;
}

static void chain_push(struct bucket *b, _Atomic uint32_t *next, uint32_t i)
{
	seq_write_begin(&b->lock);
	seq_store(next, seq_load(&b->head));
	seq_store(&b->head, i);
	seq_write_end(&b->lock);
}

/* Clients */

static uint32_t client_get(struct seen *s, const struct key *key)
{
	uint64_t hash = hash_words(s->seed, key->pair, 2, 1);
	uint32_t *bucket = &s->client_bucket[hash & s->mask];
	for (uint32_t i = *bucket; i; i = s->client[i].hash_next)
		if (memcmp(&s->client[i].address, key->pair, 16) == 0)
			return i;
	uint32_t i = slot_take(&s->client_slots, s->client[s->client_slots.free].hash_next);
	s->client[i] = (struct client){.hash = hash, .hash_next = *bucket};
	memcpy(&s->client[i].address, key->pair, 16);
	*bucket = i;
	return i;
}

static void client_drop(struct seen *s, uint32_t i)
{
	uint32_t *link = &s->client_bucket[s->client[i].hash & s->mask];
	while (*link != i)
		link = &s->client[*link].hash_next;
	*link = s->client[i].hash_next;
	s->client[i].hash_next = s->client_slots.free;
	s->client_slots.free = i;
}

/* Pairs. All changes to a pair's list are made under the pair's bucket. */

static struct bucket *pair_bucket(struct seen *s, const struct pair *p)
{
	return &s->pair_bucket[p->hash & s->mask];
}

static uint32_t pair_get(struct seen *s, const struct key *key, uint32_t client)
{
	struct bucket *b = &s->pair_bucket[key->pair_hash & s->mask];
	uint32_t i = find_pair(s, key, b, seq_load(&b->lock.count));
	if (i)
		return i;
	i = slot_take(&s->pair_slots, seq_load(&s->pair[s->pair_slots.free].hash_next));
	struct pair *p = &s->pair[i];
	for (int k = 0; k < 4; k++)
		seq_store(&p->key[k], key->pair[k]);
	seq_store(&p->newest, 0);
	p->hash = key->pair_hash;
	p->client = client;
	chain_push(b, &p->hash_next, i);
	return i;
}

static void chain_drop_pair(struct seen *s, struct bucket *b, uint32_t i)
{
	_Atomic uint32_t *link = &b->head;
	while (seq_load(link) != i)
		link = &s->pair[seq_load(link)].hash_next;
	seq_store(link, seq_load(&s->pair[i].hash_next));
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
		chain_drop_pair(s, b, at);
	seq_write_end(&b->lock);
	if (empty) {
		seq_store(&p->hash_next, s->pair_slots.free);
		s->pair_slots.free = at;
	}
}

/* Entries */

static void chain_drop_entry(struct seen *s, uint32_t i)
{
	struct bucket *b = &s->entry_bucket[seq_load(&s->entry[i].hash) & s->mask];
	_Atomic uint32_t *link = &b->head;
	while (seq_load(link) != i)
		link = &s->entry[seq_load(link)].hash_next;
	seq_write_begin(&b->lock);
	seq_store(link, seq_load(&s->entry[i].hash_next));
	seq_write_end(&b->lock);
}

/* `keep` is the client of the entry that comes in its place: it stays, even without entries. */
static void evict(struct seen *s, uint32_t i, uint32_t keep)
{
	struct client *c = client_of(s, i);
	list_drop(s, &s->by_age, i, BY_AGE);
	list_drop(s, &c->entries, i, BY_CLIENT);
	c->count--;
	chain_drop_entry(s, i);
	pair_leave(s, i);
	intern_put(s->hosts, seq_load(&s->entry[i].host));
	seq_store(&s->entry[i].host, INTERN_NONE); /* what tells a free slot */
	if (c->count == 0 && c != &s->client[keep])
		client_drop(s, (uint32_t)(c - s->client));
	seq_store(&s->entry[i].hash_next, s->entry_slots.free);
	s->entry_slots.free = i;
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

static void entry_new(struct seen *s, const struct key *key, int64_t until)
{
	uint32_t client = client_get(s, key), host;
	if (seq_load(&s->count) == s->entries)
		evict_for(s, client);
	while ((host = intern_get(s->hosts, &key->host)) == INTERN_NONE)
		evict_for(s, client);
	uint32_t pair = pair_get(s, key, client);
	uint32_t i = slot_take(&s->entry_slots, seq_load(&s->entry[s->entry_slots.free].hash_next));
	struct entry *e = &s->entry[i];
	seq_store(&e->good, good_word(until, seq_load(&e->good) + 1));
	seq_store(&e->hash, key->hash);
	seq_store(&e->pair, pair);
	seq_store(&e->host, host);
	seq_store(&e->used, 0);
	e->order = ++s->order;

	chain_push(&s->entry_bucket[key->hash & s->mask], &e->hash_next, i);
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
	e->order = ++s->order;
	make_newest(s, i);
	struct pair *p = &s->pair[seq_load(&e->pair)];
	if (seq_load(&p->newest) == i)
		return;
	struct bucket *b = pair_bucket(s, p);
	seq_write_begin(&b->lock);
	pair_unlink(s, p, i);
	pair_push(s, p, i);
	seq_write_end(&b->lock);
}

static void add(struct seen *s, const struct key *key, int64_t until)
{
	uint64_t good;
	uint32_t i = find(s, key, &good);
	if (i)
		entry_renew(s, i, until);
	else
		entry_new(s, key, until);
}

void seen_add(struct seen *s, const struct address *client, const struct address *address,
	      const struct host *host, int64_t ttl, int64_t now)
{
	struct key key;
	if (host->len == 0)
		return;
	key_of(s, client, address, host, &key);
	pthread_mutex_lock(&s->writing);
	add(s, &key, now + ttl + s->grace);
	if (!s->any_client) {
		key_complete(s, &everyone, address, &key);
		add(s, &key, now + ttl + s->grace);
	}
	seq_store(&s->added, seq_load(&s->added) + 1);
	pthread_mutex_unlock(&s->writing);
}

void seen_restore(struct seen *s, const struct seen_entry *e)
{
	struct key key;
	if (e->host.len == 0)
		return;
	key_of(s, &e->client, &e->address, &e->host, &key);
	pthread_mutex_lock(&s->writing);
	add(s, &key, e->good_until);
	pthread_mutex_unlock(&s->writing);
}

/* State */

bool seen_each(struct seen *s, uint32_t *slot, struct seen_entry *out)
{
	bool found = false;
	pthread_mutex_lock(&s->writing);
	while (!found && ++*slot < s->entry_slots.fresh) {
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
