#include "identity/onlink.h"

#include "base/hash.h"
#include "base/table.h"
#include "identity/session_index.h"

#include <stdlib.h>
#include <string.h>

#define WAYS   8
#define ROUTES 64
#define USED   (UINT64_C(1) << 48)

/* Addresses that fall together. seq is odd while the writer changes them; a reader that saw it odd
 * or changed looks again. */
struct bucket {
	_Alignas(64) _Atomic uint32_t seq;
	_Atomic uint64_t mac[WAYS]; /* with USED; 0: free */
	_Atomic uint64_t high[WAYS], low[WAYS];
};

struct route {
	_Atomic uint64_t high, low; /* of the network's base */
	_Atomic uint32_t bits, ours;
	_Atomic int link;
};

struct onlink {
	struct hash_key key;
	struct bucket *buckets;
	uint32_t mask;
	_Atomic uint32_t routes_seq, routes;
	struct route route[ROUTES];
};

struct onlink *onlink_new(uint32_t capacity)
{
	struct onlink *o = calloc(1, sizeof *o);
	uint32_t buckets = 1;
	if (!o)
		return NULL;
	while (buckets < capacity / (WAYS / 4)) /* a quarter full at most */
		buckets *= 2;
	o->mask = buckets - 1;
	o->buckets = table_new(buckets, sizeof *o->buckets);
	if (!o->buckets || !hash_key_random(&o->key)) {
		onlink_free(o);
		return NULL;
	}
	return o;
}

void onlink_free(struct onlink *o)
{
	if (!o)
		return;
	table_free(o->buckets, o->mask + 1ul, sizeof *o->buckets);
	free(o);
}

static void words_of(const struct address *a, uint64_t out[static 2])
{
	memcpy(out, a->bytes, sizeof a->bytes);
}

static struct bucket *bucket_of(const struct onlink *o, const uint64_t words[static 2])
{
	return &o->buckets[hash_words(o->key.k, words, 2, 0) & o->mask];
}

static uint64_t mac_word(const uint8_t mac[static 6])
{
	uint64_t w = 0;
	memcpy(&w, mac, 6);
	return w | USED;
}

/* ---- readers ---- */

/* The MAC address at an address, as one word; 0: none. */
static uint64_t mac_at(const struct onlink *o, const struct address *a)
{
	uint64_t words[2];
	words_of(a, words);
	const struct bucket *b = bucket_of(o, words);
	for (;;) {
		uint32_t seq = ACQUIRE(&b->seq);
		uint64_t found = 0;
		for (int i = 0; i < WAYS && !found; i++)
			if (ACQUIRE(&b->high[i]) == words[0] && ACQUIRE(&b->low[i]) == words[1])
				found = ACQUIRE(&b->mac[i]);
		if (!(seq & 1) && ACQUIRE(&b->seq) == seq)
			return found;
	}
}

/* The longest of the networks that holds an address; -1: none does. */
static int route_to(const struct onlink *o, const struct address *a)
{
	for (;;) {
		uint32_t seq = ACQUIRE(&o->routes_seq);
		int best = -1, bits = -1;
		for (uint32_t i = 0; i < ACQUIRE(&o->routes) && i < ROUTES; i++) {
			struct network n = {.bits = (uint8_t)ACQUIRE(&o->route[i].bits)};
			uint64_t words[2] = {ACQUIRE(&o->route[i].high), ACQUIRE(&o->route[i].low)};
			memcpy(n.base.bytes, words, sizeof words);
			if (n.bits > bits && network_has(&n, a)) {
				best = (int)i;
				bits = n.bits;
			}
		}
		bool ours = best >= 0 && ACQUIRE(&o->route[best].ours);
		if (!(seq & 1) && ACQUIRE(&o->routes_seq) == seq)
			return ours ? best : -1;
	}
}

enum onlink_word onlink_at(const struct onlink *o, const struct address *a, uint8_t mac[static 6])
{
	uint64_t word = mac_at(o, a);
	if (!word)
		return route_to(o, a) < 0 ? ONLINK_ELSEWHERE : ONLINK_UNCONFIRMED;
	memcpy(mac, &word, 6);
	return ONLINK_HERE;
}

struct host_key onlink_host(const struct onlink *o, const struct address *a)
{
	uint8_t mac[6];
	switch (onlink_at(o, a, mac)) {
	case ONLINK_HERE: return host_key_mac(mac);
	case ONLINK_UNCONFIRMED: return host_key_unconfirmed();
	default: return host_key_address(a);
	}
}

/* ---- the writer ---- */

static void begin(_Atomic uint32_t *seq)
{
	RELEASE(seq, ACQUIRE(seq) + 1);
}
#define end begin

static int way_of(const struct bucket *b, const uint64_t words[static 2])
{
	for (int i = 0; i < WAYS; i++)
		if (ACQUIRE(&b->mac[i]) && ACQUIRE(&b->high[i]) == words[0] &&
		    ACQUIRE(&b->low[i]) == words[1])
			return i;
	return -1;
}

static int free_way(const struct bucket *b)
{
	for (int i = 0; i < WAYS; i++)
		if (!ACQUIRE(&b->mac[i]))
			return i;
	return -1;
}

void onlink_set(struct onlink *o, const struct address *a, const uint8_t mac[static 6])
{
	uint64_t words[2];
	words_of(a, words);
	struct bucket *b = bucket_of(o, words);
	int way = way_of(b, words);
	if (way < 0 && (way = free_way(b)) < 0)
		return;
	begin(&b->seq);
	RELEASE(&b->high[way], words[0]);
	RELEASE(&b->low[way], words[1]);
	RELEASE(&b->mac[way], mac_word(mac));
	end(&b->seq);
}

static void way_clear(struct bucket *b, int way)
{
	begin(&b->seq);
	RELEASE(&b->mac[way], 0);
	RELEASE(&b->high[way], 0);
	RELEASE(&b->low[way], 0);
	end(&b->seq);
}

void onlink_drop(struct onlink *o, const struct address *a)
{
	uint64_t words[2];
	words_of(a, words);
	struct bucket *b = bucket_of(o, words);
	int way = way_of(b, words);
	if (way >= 0)
		way_clear(b, way);
}

static int find_route(const struct onlink *o, const struct network *n, int link)
{
	uint64_t words[2];
	words_of(&n->base, words);
	for (uint32_t i = 0; i < o->routes; i++)
		if (o->route[i].high == words[0] && o->route[i].low == words[1] &&
		    o->route[i].bits == n->bits && o->route[i].link == link)
			return (int)i;
	return -1;
}

static void route_write(struct onlink *o, uint32_t i, const uint64_t words[static 2], uint32_t bits,
			bool ours)
{
	RELEASE(&o->route[i].high, words[0]);
	RELEASE(&o->route[i].low, words[1]);
	RELEASE(&o->route[i].bits, bits);
	RELEASE(&o->route[i].ours, ours);
}

bool onlink_route(struct onlink *o, const struct network *n, int link, bool ours)
{
	uint64_t words[2];
	int i = find_route(o, n, link);
	if (i < 0 && o->routes == ROUTES)
		return false;
	uint32_t at = i < 0 ? o->routes : (uint32_t)i;
	words_of(&n->base, words);
	begin(&o->routes_seq);
	route_write(o, at, words, n->bits, ours);
	o->route[at].link = link;
	if (i < 0)
		RELEASE(&o->routes, at + 1);
	end(&o->routes_seq);
	return true;
}

void onlink_route_gone(struct onlink *o, const struct network *n, int link)
{
	int i = find_route(o, n, link);
	if (i < 0)
		return;
	const struct route *last = &o->route[o->routes - 1];
	const uint64_t words[2] = {last->high, last->low};
	begin(&o->routes_seq);
	route_write(o, (uint32_t)i, words, last->bits, last->ours);
	o->route[i].link = last->link;
	RELEASE(&o->routes, o->routes - 1);
	end(&o->routes_seq);
}

int onlink_link(const struct onlink *o, const struct address *a)
{
	int i = route_to(o, a);
	return i < 0 ? 0 : o->route[i].link;
}

void onlink_clear(struct onlink *o)
{
	for (uint32_t i = 0; i <= o->mask; i++)
		for (int way = 0; way < WAYS; way++)
			if (ACQUIRE(&o->buckets[i].mac[way]))
				way_clear(&o->buckets[i], way);
	begin(&o->routes_seq);
	RELEASE(&o->routes, 0);
	end(&o->routes_seq);
}
