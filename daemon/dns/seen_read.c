#include "dns/seen_inner.h"

#define WALK_MAX 1024 /* entries of a pair that seen_names looks at */

/* Readers: each loop starts anew where the chain changed under it. */

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

/* What client or else anybody was told, still good at now; 0: nothing. What its host was told is
 * everybody's, too. */
static uint32_t find_good(const struct seen *s, const struct asker *own,
			  const struct address *address, const struct intern_key *name, int64_t now)
{
	uint64_t good;
	uint32_t i = find_for(s, own, address, name, &good);
	if (!i || good_until(good) < now)
		i = find_for(s, &s->everyone, address, name, &good);
	return i && good_until(good) >= now ? i : 0;
}

/* The address that is looked for, and what it is on the wire, where something may have been told
 * before its NAT64 prefix was known; returns how many they are. */
static int meant_by(const struct seen *s, const struct address *a, struct address out[static 2])
{
	out[0] = nat64_plain(&s->nat64, a);
	out[1] = *a;
	return address_equal(&out[0], a) ? 1 : 2;
}

bool seen_agrees(struct seen *s, const struct address *client, const struct address *address,
		 const struct host *host, int64_t now)
{
	struct asker own = asker_of(s, client);
	struct address meant[2];
	struct intern_key name;
	uint32_t i = 0;
	intern_key(s->hosts, host, &name);
	for (int k = 0, n = meant_by(s, address, meant); k < n && !i; k++)
		i = find_good(s, &own, &meant[k], &name, now);
	if (i)
		mark_used(&s->entry[i]);
	return i;
}

static size_t names_of(struct seen *s, const struct asker *asker, const struct address *address,
		       int64_t now, struct host *out, size_t max)
{
	struct key key = key_of(s, asker, address, 0);
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

size_t seen_names(struct seen *s, const struct address *client, const struct address *address,
		  int64_t now, struct host *out, size_t max)
{
	struct asker asker[2];
	struct address meant[2];
	size_t count = 0;
	for (int a = 0, askers = askers_of(s, client, asker); a < askers; a++)
		for (int k = 0, n = meant_by(s, address, meant); k < n; k++)
			count += names_of(s, &asker[a], &meant[k], now, out + count, max - count);
	return count;
}

/* The generation in `good` keeps this from a slot that was given to another entry meanwhile. Who
 * comes in between has just renewed or dropped the entry, so there is no second try. */
static void refresh(struct seen *s, const struct asker *told, const struct address *address,
		    const struct intern_key *name, int64_t now)
{
	uint64_t good;
	uint32_t slot = find_for(s, told, address, name, &good);
	uint64_t later = good_word(now + s->grace, good);
	if (!slot)
		return;
	mark_used(&s->entry[slot]);
	if (later > good)
		atomic_compare_exchange_strong(&s->entry[slot].good, &good, later);
}

void seen_refresh(struct seen *s, const struct address *client, const struct address *address,
		  const struct host *host, int64_t now)
{
	struct asker asker[3];
	struct address meant[2];
	struct intern_key name;
	int askers = askers_of(s, client, asker);
	asker[askers++] = s->everyone;
	intern_key(s->hosts, host, &name);
	for (int a = 0; a < askers; a++)
		for (int k = 0, n = meant_by(s, address, meant); k < n; k++)
			refresh(s, &asker[a], &meant[k], &name, now);
}

struct address seen_meant(const struct seen *s, const struct address *address)
{
	return nat64_plain(&s->nat64, address);
}
