/* Readers find an address in an index of cache-line buckets, then copy the session from its slot.
 * Bucket and slot each carry a sequence number that is odd while the writer changes them; a reader
 * that saw it odd or changed looks again. All shared words are atomics (acquire loads, release
 * stores), so that the order holds without fences. */
#include "identity/session.h"

#include "base/clock.h"
#include "base/table.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

#define SLOT_NONE      UINT32_MAX
#define BUCKET_ENTRIES 3
#define PROBE_MAX      64 /* buckets looked at for one address */
#define WORDS          (sizeof(struct session) / sizeof(uint64_t))

_Static_assert(sizeof(struct session) % sizeof(uint64_t) == 0, "copied by words");
_Static_assert(SESSION_ADDRESSES ==
		       sizeof((struct session_view){0}.address) / sizeof(struct address),
	       "a view holds all addresses of a session");

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

struct slot {
	_Alignas(64) _Atomic uint32_t seq;
	_Atomic uint32_t used;
	_Atomic int64_t last_seen;
	_Atomic uint64_t word[WORDS];
};

struct traffic {
	uint64_t bytes, flows;
};

/* What only the writer looks at. */
struct owner {
	uint32_t where[SESSION_ADDRESSES];  /* bucket * BUCKET_ENTRIES + entry */
	uint32_t network[SESSION_NETWORKS]; /* the same */
	uint32_t count, networks, next_free;
	/* round: open flows, as this round tells; shown: all, as of the last round */
	struct traffic ended, round, shown;
	bool summed;
};

struct sessions {
	struct bucket *buckets;
	struct slot *slots;
	struct owner *owners;
	int64_t *end; /* earliest possible end of each slot's session, INT64_MAX: none */
	uint32_t capacity, bucket_mask;
	uint32_t used_to; /* slots from here on were never used */
	uint32_t free;    /* first of the list of slots used before */
	uint64_t seed, host_seed, serial;
	_Atomic uint32_t count;
	_Atomic uint64_t generation;
};

static size_t bucket_bytes(const struct sessions *s)
{
	return ((size_t)s->bucket_mask + 1) * sizeof *s->buckets;
}

/* A quarter of the entries are taken where every session has one address. */
struct sessions *sessions_new(uint32_t capacity)
{
	struct sessions *s = calloc(1, sizeof *s);
	if (!s || capacity == 0 || capacity > UINT32_MAX / 16) {
		free(s);
		return NULL;
	}
	uint32_t buckets = 16;
	while (buckets < (uint64_t)capacity * 4 / BUCKET_ENTRIES)
		buckets *= 2;
	s->capacity = capacity;
	s->bucket_mask = buckets - 1;
	s->free = SLOT_NONE;
	if (getrandom(&s->seed, sizeof s->seed, 0) != sizeof s->seed ||
	    getrandom(&s->host_seed, sizeof s->host_seed, 0) != sizeof s->host_seed)
		s->seed = s->host_seed = (uint64_t)clock_now();
	s->buckets = table_new(1, bucket_bytes(s));
	s->slots = table_new(capacity, sizeof *s->slots);
	s->owners = table_new(capacity, sizeof *s->owners);
	s->end = table_new(capacity, sizeof *s->end);
	if (!s->buckets || !s->slots || !s->owners || !s->end) {
		sessions_free(s);
		return NULL;
	}
	return s;
}

void sessions_free(struct sessions *s)
{
	if (!s)
		return;
	table_free(s->buckets, 1, bucket_bytes(s));
	table_free(s->slots, s->capacity, sizeof *s->slots);
	table_free(s->owners, s->capacity, sizeof *s->owners);
	table_free(s->end, s->capacity, sizeof *s->end);
	free(s);
}

struct key {
	uint64_t high, low;
	uint32_t bucket;
};

static struct key key_of(const struct sessions *s, const struct address *a)
{
	struct key k;
	memcpy(&k.high, a->bytes, 8);
	memcpy(&k.low, a->bytes + 8, 8);
	uint64_t h = (k.high ^ s->seed) * UINT64_C(0x9e3779b97f4a7c15);
	h = (h ^ h >> 32 ^ k.low) * UINT64_C(0xd6e8feb86659fd93);
	h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
	k.bucket = (uint32_t)(h >> 32) & s->bucket_mask;
	return k;
}

/* What stands in the index for a host's MAC address in a /64: no address that anybody could choose.
 */
static struct address host_network(const struct sessions *s, const struct address *a,
				   const uint8_t mac[6])
{
	struct address out = {0};
	uint64_t high;
	memcpy(&high, a->bytes, sizeof high);
	high ^= s->host_seed;
	memcpy(out.bytes, &high, sizeof high);
	memcpy(out.bytes + 8, mac, 6);
	return out;
}

#define ACQUIRE(p)    atomic_load_explicit(p, memory_order_acquire)
#define RELEASE(p, v) atomic_store_explicit(p, v, memory_order_release)

/* ---- readers ---- */

enum look { LOOK_HERE, LOOK_ON, LOOK_END };

/* One bucket as it was at one moment. */
static enum look bucket_look(struct bucket *b, const struct key *k, uint32_t *slot)
{
	for (;;) {
		uint16_t seq = ACQUIRE(&b->seq);
		uint32_t found = 0;
		for (int i = 0; i < BUCKET_ENTRIES; i++) {
			uint32_t at = ACQUIRE(&b->slot[i]);
			if (at && ACQUIRE(&b->entry[i].low) == k->low &&
			    ACQUIRE(&b->entry[i].high) == k->high)
				found = at;
		}
		uint16_t passed = ACQUIRE(&b->passed);
		if ((seq & 1) || ACQUIRE(&b->seq) != seq)
			continue;
		*slot = found - 1;
		return found ? LOOK_HERE : passed ? LOOK_ON : LOOK_END;
	}
}

static uint32_t find(struct sessions *s, const struct key *k)
{
	uint32_t slot;
	for (uint32_t n = 0; n < PROBE_MAX; n++) {
		enum look look =
			bucket_look(&s->buckets[(k->bucket + n) & s->bucket_mask], k, &slot);
		if (look != LOOK_ON)
			return look == LOOK_HERE ? slot : SLOT_NONE;
	}
	return SLOT_NONE;
}

/* Copies a slot as it was at one moment; false where it was free. seq says which moment. */
static bool slot_copy(struct slot *from, struct session *out, uint32_t *seq)
{
	uint64_t word[WORDS];
	for (;;) {
		*seq = ACQUIRE(&from->seq);
		uint32_t used = ACQUIRE(&from->used);
		for (size_t i = 0; i < WORDS; i++)
			word[i] = ACQUIRE(&from->word[i]);
		int64_t last_seen = ACQUIRE(&from->last_seen);
		if ((*seq & 1) || ACQUIRE(&from->seq) != *seq)
			continue;
		memcpy(out, word, sizeof *out);
		out->last_seen = last_seen;
		return used;
	}
}

static int64_t end_of(const struct session *s)
{
	int64_t end = s->until ? s->until : INT64_MAX;
	if (s->idle > 0 && s->last_seen < INT64_MAX - s->idle && s->last_seen + s->idle < end)
		end = s->last_seen + s->idle;
	return end;
}

bool session_at(struct sessions *s, const struct address *a, int64_t now, struct session *out)
{
	struct key k = key_of(s, a);
	for (;;) {
		uint32_t seq, slot = find(s, &k);
		if (slot == SLOT_NONE)
			return false;
		bool used = slot_copy(&s->slots[slot], out, &seq);
		/* The address may have moved to another session between the two looks, and the
		 * slot with it: what was copied counts only if the address is still the slot's. */
		if (find(s, &k) != slot || ACQUIRE(&s->slots[slot].seq) != seq)
			continue;
		return used && now < end_of(out);
	}
}

bool session_of_host(struct sessions *s, const struct address *a, const uint8_t mac[6], int64_t now,
		     struct session *out)
{
	const struct address network = host_network(s, a, mac);
	return !address_is4(a) && session_at(s, &network, now, out);
}

void session_touch(struct sessions *s, const struct address *a, int64_t now)
{
	struct key k = key_of(s, a);
	uint32_t slot = find(s, &k);
	if (slot == SLOT_NONE)
		return;
	/* At most one store a second, so that workers do not fight for the cache line. */
	_Atomic int64_t *last = &s->slots[slot].last_seen;
	if (now - NS_PER_S >= atomic_load_explicit(last, memory_order_relaxed))
		RELEASE(last, now);
}

uint64_t sessions_generation(const struct sessions *s)
{
	return ACQUIRE(&s->generation);
}

uint32_t sessions_count(const struct sessions *s)
{
	return ACQUIRE(&s->count);
}

/* ---- the writer ---- */

static void changed(struct sessions *s)
{
	atomic_fetch_add_explicit(&s->generation, 1, memory_order_release);
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
static int index_add(struct sessions *s, const struct key *k, uint32_t slot, uint32_t *where)
{
	for (uint32_t n = 0; n < PROBE_MAX && n <= s->bucket_mask; n++) {
		uint32_t at = (k->bucket + n) & s->bucket_mask;
		struct bucket *b = &s->buckets[at];
		for (uint32_t i = 0; i < BUCKET_ENTRIES; i++) {
			if (ACQUIRE(&b->slot[i]))
				continue;
			bucket_begin(b);
			RELEASE(&b->entry[i].high, k->high);
			RELEASE(&b->entry[i].low, k->low);
			RELEASE(&b->slot[i], slot + 1);
			bucket_end(b);
			while (n--)
				passed_add(&s->buckets[(k->bucket + n) & s->bucket_mask], 1);
			*where = at * BUCKET_ENTRIES + i;
			return 0;
		}
	}
	return -ENOSPC;
}

static struct address address_where(const struct sessions *s, uint32_t where)
{
	const struct entry *e = &s->buckets[where / BUCKET_ENTRIES].entry[where % BUCKET_ENTRIES];
	uint64_t words[2] = {ACQUIRE(&e->high), ACQUIRE(&e->low)};
	struct address a;
	memcpy(a.bytes, words, sizeof a.bytes);
	return a;
}

static void index_remove(struct sessions *s, uint32_t where)
{
	struct address a = address_where(s, where);
	struct key k = key_of(s, &a);
	uint32_t at = where / BUCKET_ENTRIES;
	struct bucket *b = &s->buckets[at];
	bucket_begin(b);
	RELEASE(&b->slot[where % BUCKET_ENTRIES], 0);
	bucket_end(b);
	for (; k.bucket != at; k.bucket = (k.bucket + 1) & s->bucket_mask)
		passed_add(&s->buckets[k.bucket], -1);
}

static void slot_write(struct slot *to, const struct session *what, bool used)
{
	uint64_t word[WORDS];
	memcpy(word, what, sizeof *what);
	uint32_t seq = ACQUIRE(&to->seq);
	RELEASE(&to->seq, seq + 1);
	RELEASE(&to->used, used);
	for (size_t i = 0; i < WORDS; i++)
		RELEASE(&to->word[i], word[i]);
	RELEASE(&to->last_seen, what->last_seen);
	RELEASE(&to->seq, seq + 2);
}

static bool slot_used(const struct sessions *s, uint32_t slot)
{
	return ACQUIRE(&s->slots[slot].used);
}

/* No seq here: the writer alone changes slots. */
static void slot_read(const struct sessions *s, uint32_t slot, struct session *out)
{
	uint32_t seq;
	slot_copy(&s->slots[slot], out, &seq);
}

static uint32_t slot_take(struct sessions *s)
{
	uint32_t slot = s->free;
	if (slot != SLOT_NONE) {
		s->free = s->owners[slot].next_free;
		return slot;
	}
	return s->used_to < s->capacity ? s->used_to++ : SLOT_NONE;
}

static void slot_give(struct sessions *s, uint32_t slot)
{
	s->owners[slot].next_free = s->free;
	s->end[slot] = INT64_MAX;
	s->free = slot;
}

static void close_slot(struct sessions *s, uint32_t slot)
{
	struct owner *o = &s->owners[slot];
	while (o->count)
		index_remove(s, o->where[--o->count]);
	while (o->networks)
		index_remove(s, o->network[--o->networks]);
	slot_write(&s->slots[slot], &(struct session){0}, false);
	slot_give(s, slot);
	atomic_fetch_sub_explicit(&s->count, 1, memory_order_release);
	changed(s);
}

static void forget_traffic(struct owner *o)
{
	o->ended = o->round = o->shown = (struct traffic){0};
	o->summed = false;
}

/* The same user's session at an address becomes `session`: readers see one or the other. */
static bool renew(struct sessions *s, const struct key *k, struct session *session)
{
	struct session before;
	uint32_t slot = find(s, k);
	if (slot == SLOT_NONE)
		return false;
	slot_read(s, slot, &before);
	if (strcmp(before.user, session->user) != 0)
		return false;
	session->id = ++s->serial << 32 | slot;
	session->has_mac = before.has_mac;
	memcpy(session->mac, before.mac, sizeof session->mac);
	slot_write(&s->slots[slot], session, true);
	s->end[slot] = end_of(session);
	forget_traffic(&s->owners[slot]);
	changed(s);
	return true;
}

int session_open(struct sessions *s, const struct address *a, const struct session *what,
		 int64_t now)
{
	struct key k = key_of(s, a);
	struct session session = *what;
	session.last_seen = now;
	if (renew(s, &k, &session))
		return 0;
	session_close_address(s, a);
	uint32_t slot = slot_take(s);
	if (slot == SLOT_NONE)
		return -ENOSPC;
	session.id = ++s->serial << 32 | slot;
	slot_write(&s->slots[slot], &session, true);
	struct owner *o = &s->owners[slot];
	o->count = o->networks = 0;
	forget_traffic(o);
	if (index_add(s, &k, slot, &o->where[0]) < 0) {
		slot_write(&s->slots[slot], &(struct session){0}, false);
		slot_give(s, slot);
		return -ENOSPC;
	}
	o->count = 1;
	s->end[slot] = end_of(&session);
	atomic_fetch_add_explicit(&s->count, 1, memory_order_release);
	changed(s);
	return 0;
}

/* The slot of a session, or SLOT_NONE where the session has ended. */
static uint32_t slot_by_id(const struct sessions *s, uint64_t id)
{
	struct session session;
	uint32_t slot = (uint32_t)id;
	if (slot >= s->used_to || !slot_used(s, slot))
		return SLOT_NONE;
	slot_read(s, slot, &session);
	return session.id == id ? slot : SLOT_NONE;
}

int session_add_address(struct sessions *s, uint64_t id, const struct address *a)
{
	struct key k = key_of(s, a);
	uint32_t slot = slot_by_id(s, id);
	if (slot == SLOT_NONE)
		return -ENOENT;
	uint32_t there = find(s, &k);
	if (there == slot)
		return 0;
	struct owner *o = &s->owners[slot];
	if (o->count == SESSION_ADDRESSES)
		return -ENOSPC;
	if (there != SLOT_NONE)
		close_slot(s, there);
	int e = index_add(s, &k, slot, &o->where[o->count]);
	if (e == 0)
		o->count++;
	changed(s);
	return e;
}

bool session_drop_address(struct sessions *s, const struct address *a)
{
	struct key k = key_of(s, a);
	uint32_t slot = find(s, &k), i = 0;
	if (slot == SLOT_NONE)
		return false;
	struct owner *o = &s->owners[slot];
	if (o->count == 1) {
		close_slot(s, slot);
		return true;
	}
	for (; i < o->count; i++) {
		struct address at = address_where(s, o->where[i]);
		if (address_equal(&at, a))
			break;
	}
	index_remove(s, o->where[i]);
	o->count--;
	memmove(&o->where[i], &o->where[i + 1], (o->count - i) * sizeof o->where[0]);
	changed(s);
	return true;
}

void session_drop_network(struct sessions *s, const struct address *a, const uint8_t mac[6])
{
	const struct address network = host_network(s, a, mac);
	struct key k = key_of(s, &network);
	uint32_t slot = find(s, &k), i = 0;
	if (slot == SLOT_NONE)
		return;
	struct owner *o = &s->owners[slot];
	for (; i < o->networks; i++) {
		struct address at = address_where(s, o->network[i]);
		if (address_equal(&at, &network))
			break;
	}
	index_remove(s, o->network[i]);
	o->network[i] = o->network[--o->networks];
	changed(s);
}

void session_add_network(struct sessions *s, uint64_t id, const struct address *a,
			 const uint8_t mac[6])
{
	const struct address network = host_network(s, a, mac);
	struct key k = key_of(s, &network);
	uint32_t slot = slot_by_id(s, id), there = find(s, &k);
	if (slot == SLOT_NONE || there == slot || address_is4(a))
		return;
	if (there != SLOT_NONE)
		session_drop_network(s, a, mac);
	struct owner *o = &s->owners[slot];
	if (o->networks < SESSION_NETWORKS && index_add(s, &k, slot, &o->network[o->networks]) == 0)
		o->networks++;
	changed(s);
}

void session_bind(struct sessions *s, uint64_t id, const uint8_t mac[6])
{
	struct session session;
	uint32_t slot = slot_by_id(s, id);
	if (slot == SLOT_NONE)
		return;
	slot_read(s, slot, &session);
	memcpy(session.mac, mac, sizeof session.mac);
	session.has_mac = true;
	slot_write(&s->slots[slot], &session, true);
	changed(s);
}

unsigned session_close_address(struct sessions *s, const struct address *a)
{
	struct key k = key_of(s, a);
	uint32_t slot = find(s, &k);
	if (slot == SLOT_NONE)
		return 0;
	close_slot(s, slot);
	return 1;
}

unsigned session_close_user(struct sessions *s, const char *user)
{
	unsigned closed = 0;
	struct session session;
	for (uint32_t slot = 0; slot < s->used_to; slot++) {
		if (!slot_used(s, slot))
			continue;
		slot_read(s, slot, &session);
		if (strcmp(session.user, user) == 0) {
			close_slot(s, slot);
			closed++;
		}
	}
	return closed;
}

unsigned sessions_expire(struct sessions *s, int64_t now, int64_t *next)
{
	unsigned closed = 0;
	struct session session;
	int64_t earliest = INT64_MAX;
	for (uint32_t slot = 0; slot < s->used_to; slot++) {
		if (s->end[slot] <= now && slot_used(s, slot)) {
			slot_read(s, slot, &session);
			s->end[slot] = end_of(&session); /* traffic may have moved it */
			if (s->end[slot] <= now) {
				close_slot(s, slot);
				closed++;
			}
		}
		if (s->end[slot] < earliest)
			earliest = s->end[slot];
	}
	*next = earliest == INT64_MAX ? 0 : earliest;
	return closed;
}

static void add_flow(struct traffic *t, uint64_t bytes)
{
	t->bytes += bytes;
	t->flows++;
}

void session_flow_ended(struct sessions *s, const struct address *a, uint64_t bytes)
{
	struct key k = key_of(s, a);
	uint32_t slot = find(s, &k);
	if (slot != SLOT_NONE)
		add_flow(&s->owners[slot].ended, bytes);
}

void session_flow_open(struct sessions *s, const struct address *a, uint64_t bytes)
{
	struct key k = key_of(s, a);
	uint32_t slot = find(s, &k);
	if (slot != SLOT_NONE)
		add_flow(&s->owners[slot].round, bytes);
}

/* A session's first round has nothing to compare with. */
void sessions_round(struct sessions *s, int64_t now)
{
	for (uint32_t slot = 0; slot < s->used_to; slot++) {
		struct owner *o = &s->owners[slot];
		const struct traffic all = {o->ended.bytes + o->round.bytes,
					    o->ended.flows + o->round.flows};
		if (!slot_used(s, slot))
			continue;
		if (o->summed && all.bytes != o->shown.bytes &&
		    ACQUIRE(&s->slots[slot].last_seen) < now)
			RELEASE(&s->slots[slot].last_seen, now);
		o->shown = all;
		o->round = (struct traffic){0};
		o->summed = true;
	}
}

bool session_each(struct sessions *s, uint32_t *slot, struct session_view *out)
{
	for (; *slot < s->used_to; ++*slot) {
		if (!slot_used(s, *slot))
			continue;
		const struct owner *o = &s->owners[*slot];
		slot_read(s, *slot, &out->session);
		out->address_count = o->count;
		out->bytes = o->shown.bytes;
		out->flows = o->shown.flows;
		for (unsigned i = 0; i < o->count; i++)
			out->address[i] = address_where(s, o->where[i]);
		++*slot;
		return true;
	}
	return false;
}
