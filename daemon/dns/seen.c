#include "dns/seen_inner.h"

#include "base/table.h"

#include <stdlib.h>
#include <sys/random.h>

#define ENTRIES_MIN 8
#define CHANCES     8  /* entries used since, that may stay at one eviction */
#define FRESH       16 /* what is among the newest 1/FRESH of a full table is not moved again */
#define HOLDERS(n)  ((n) + 1) /* a newcomer is there before an entry leaves for it */

static struct host_key by_address(void *ctx, const struct address *client)
{
	return host_key_address(client);
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
	s->whose = by_address;
	s->everyone = asker_of(s, &(struct address){0});
	s->entries = entries;
	s->entry = table_new(entries + 1ul, sizeof *s->entry);
	s->pair = table_new(entries + 1ul, sizeof *s->pair);
	s->holder = table_new(HOLDERS(entries) + 1ul, sizeof *s->holder);
	s->hosts = intern_new(entries, s->seed);
	if (chains_init(&s->by_all, entries) && chains_init(&s->by_pair, entries) &&
	    chains_init(&s->by_host, HOLDERS(entries)) && s->entry && s->pair && s->holder &&
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
	chains_deinit(&s->by_host);
	table_free(s->entry, s->entries + 1ul, sizeof *s->entry);
	table_free(s->pair, s->entries + 1ul, sizeof *s->pair);
	table_free(s->holder, HOLDERS(s->entries) + 1ul, sizeof *s->holder);
	intern_free(s->hosts);
	free(s);
}

void seen_hosts(struct seen *s, struct host_key (*whose)(void *ctx, const struct address *client),
		void *ctx)
{
	s->whose = whose;
	s->ctx = ctx;
}

struct host_key seen_whose(const struct seen *s, const struct address *client)
{
	return s->whose(s->ctx, client);
}

uint64_t seen_hash(const struct seen *s, const struct host *host)
{
	struct intern_key name;
	intern_key(s->hosts, host, &name);
	return name.hash;
}

/* Lists of the writer's own */

enum which { BY_AGE, BY_HOLDER, BY_SIZE };

static struct links *links_of(struct seen *s, uint32_t i, enum which which)
{
	switch (which) {
	case BY_AGE: return &s->entry[i].by_age;
	case BY_HOLDER: return &s->entry[i].by_holder;
	case BY_SIZE: break;
	}
	return &s->holder[i].of_size;
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

static void make_newest(struct seen *s, uint32_t i)
{
	struct holder *h = &s->holder[s->entry[i].holder];
	list_drop(s, &s->by_age, i, BY_AGE);
	list_push(s, &s->by_age, i, BY_AGE);
	list_drop(s, &h->entries, i, BY_HOLDER);
	list_push(s, &h->entries, i, BY_HOLDER);
	seq_store(&s->entry[i].used, 0);
}

/* Holders */

static uint32_t holder_get(struct seen *s, const struct address *client)
{
	struct host_key host = s->whose(s->ctx, client);
	uint64_t hash = hash_words(s->seed, host.word, 2, 2);
	const struct bucket *b = chain_bucket(&s->by_host, hash);
	uint32_t count = seq_load(&b->lock.count);
	uint32_t i = chain_first(&s->by_host, b, count, hash);
	while (i && !host_key_equal(&s->holder[i].host, &host))
		i = chain_next(&s->by_host, b, count, i, hash);
	if (i)
		return i;
	i = chain_take(&s->by_host);
	s->holder[i] = (struct holder){.host = host, .hash = hash};
	chain_push(&s->by_host, hash, i);
	return i;
}

static void holder_drop(struct seen *s, uint32_t i)
{
	chain_drop(&s->by_host, s->holder[i].hash, i);
	chain_give(&s->by_host, i);
}

static struct list *size_list(struct seen *s, uint32_t count)
{
	return &s->by_size[31 - __builtin_clz(count)];
}

static void holder_resize(struct seen *s, uint32_t i, uint32_t count)
{
	struct holder *h = &s->holder[i];
	struct list *from = h->count ? size_list(s, h->count) : NULL;
	struct list *to = count ? size_list(s, count) : NULL;
	h->count = count;
	if (from == to)
		return;
	if (from)
		list_drop(s, from, i, BY_SIZE);
	if (to)
		list_push(s, to, i, BY_SIZE);
}

/* One of those who have the most, give or take a factor of two. */
static uint32_t holder_largest(struct seen *s)
{
	int size = 31;
	while (!s->by_size[size].newest)
		size--;
	return s->by_size[size].newest;
}

/* Pairs. All changes to a pair's list are made under the pair's bucket. */

static struct bucket *pair_bucket(struct seen *s, const struct pair *p)
{
	return chain_bucket(&s->by_pair, p->hash);
}

static uint32_t pair_get(struct seen *s, const struct key *key)
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

/* `keep` is the holder of the entry that comes in its place: it stays, even without entries. */
static void evict(struct seen *s, uint32_t i, uint32_t keep)
{
	uint32_t holder = s->entry[i].holder;
	struct holder *h = &s->holder[holder];
	list_drop(s, &s->by_age, i, BY_AGE);
	list_drop(s, &h->entries, i, BY_HOLDER);
	holder_resize(s, holder, h->count - 1);
	chain_drop(&s->by_all, seq_load(&s->entry[i].hash), i);
	pair_leave(s, i);
	intern_put(s->hosts, seq_load(&s->entry[i].host));
	seq_store(&s->entry[i].host, INTERN_NONE); /* what tells a free slot */
	if (h->count == 0 && holder != keep)
		holder_drop(s, holder);
	chain_give(&s->by_all, i);
	seq_store(&s->count, seq_load(&s->count) - 1);
	seq_store(&s->evicted, seq_load(&s->evicted) + 1);
}

/* What is no longer good goes first; else the oldest of a host that has the most, whoever wants the
 * room: none pushes out one that has less. */
static void evict_for(struct seen *s, uint32_t newcomer, int64_t now)
{
	uint32_t i = s->by_age.oldest;
	if (good_until(seq_load(&s->entry[i].good)) >= now) {
		struct list *l = &s->holder[holder_largest(s)].entries;
		for (int k = 0; k < CHANCES && seq_load(&s->entry[l->oldest].used); k++)
			make_newest(s, l->oldest);
		i = l->oldest;
	}
	evict(s, i, newcomer);
}

/* What an answer adds: whose it is, and the times. */
struct adding {
	uint32_t holder;
	int64_t until, now;
};

static void entry_new(struct seen *s, const struct key *key, uint32_t host, const struct adding *a)
{
	if (seq_load(&s->count) == s->entries)
		evict_for(s, a->holder, a->now);
	intern_hold(s->hosts, host);
	uint32_t pair = pair_get(s, key);
	uint32_t i = chain_take(&s->by_all);
	struct entry *e = &s->entry[i];
	seq_store(&e->good, good_word(a->until, seq_load(&e->good) + 1));
	seq_store(&e->hash, key->hash);
	seq_store(&e->pair, pair);
	seq_store(&e->host, host);
	seq_store(&e->used, 0);
	e->order = ++s->order;
	e->holder = a->holder;

	chain_push(&s->by_all, key->hash, i);
	struct bucket *b = pair_bucket(s, &s->pair[pair]);
	seq_write_begin(&b->lock);
	pair_push(s, &s->pair[pair], i);
	seq_write_end(&b->lock);

	struct holder *h = &s->holder[a->holder];
	list_push(s, &s->by_age, i, BY_AGE);
	list_push(s, &h->entries, i, BY_HOLDER);
	holder_resize(s, a->holder, h->count + 1);
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

static void add(struct seen *s, const struct key *key, uint32_t host, const struct adding *a)
{
	uint32_t i = entry_find(s, key, host);
	if (i)
		entry_renew(s, i, a->until);
	else
		entry_new(s, key, host, a);
}

/* The name's number, which is good until it is put back. */
static uint32_t hold_host(struct seen *s, const struct intern_key *name, const struct adding *a)
{
	uint32_t host;
	while ((host = intern_get(s->hosts, name)) == INTERN_NONE)
		evict_for(s, a->holder, a->now);
	return host;
}

/* A holder that got no entry in the end is not kept. */
static void let_go(struct seen *s, uint32_t number, uint32_t holder)
{
	intern_put(s->hosts, number);
	if (s->holder[holder].count == 0)
		holder_drop(s, holder);
}

void seen_add_all(struct seen *s, const struct address *client, const struct host *host,
		  const struct seen_told *told, size_t count, int64_t now)
{
	struct asker asker[3];
	struct intern_key name;
	if (host->len == 0 || count == 0)
		return;
	int askers = askers_of(s, client, asker);
	if (!s->any_client)
		asker[askers++] = s->everyone;
	intern_key(s->hosts, host, &name);
	pthread_mutex_lock(&s->writing);
	struct adding a = {.holder = holder_get(s, client), .now = now};
	uint32_t number = hold_host(s, &name, &a);
	for (size_t i = 0; i < count; i++) {
		nat64_told(&s->nat64, host, &told[i].address);
		struct address plain = nat64_plain(&s->nat64, &told[i].address);
		a.until = now + told[i].ttl + s->grace;
		for (int k = 0; k < askers; k++) {
			struct key key = key_of(s, &asker[k], &plain, name.hash);
			add(s, &key, number, &a);
		}
	}
	let_go(s, number, a.holder);
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
	pthread_mutex_lock(&s->writing);
	nat64_told(&s->nat64, &e->host, &e->address);
	struct address plain = nat64_plain(&s->nat64, &e->address);
	struct key key = key_of(s, &asker, &plain, name.hash);
	struct adding a = {.holder = holder_get(s, &e->client), .until = e->good_until};
	uint32_t number = hold_host(s, &name, &a);
	add(s, &key, number, &a);
	let_go(s, number, a.holder);
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

static const struct metric rows[] = {
	METRIC(seen_counters, entries, GAUGE, "names",
	       "pairs of address and name that are remembered"),
	METRIC(seen_counters, added, COUNTER, "names", "pairs that were new"),
	METRIC(seen_counters, evicted, COUNTER, "names",
	       "pairs forgotten for others, the table being full"),
};
METRICS(seen_metrics, "seen", seen_counters, rows);
