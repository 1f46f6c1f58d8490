/* Readers find an address in an index of cache-line buckets, then copy the session from its slot.
 * Bucket and slot each carry a sequence number that is odd while the writer changes them; a reader
 * that saw it odd or changed looks again. All shared words are atomics (acquire loads, release
 * stores), so that the order holds without fences. */
#include "identity/session.h"

#include "base/clock.h"
#include "base/table.h"
#include "identity/session_index.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

#define SLOT_NONE SESSION_INDEX_NONE
#define WORDS     (sizeof(struct session) / sizeof(uint64_t))

_Static_assert(sizeof(struct session) % sizeof(uint64_t) == 0, "copied by words");
_Static_assert(SESSION_ADDRESSES ==
		       sizeof((struct session_view){0}.address) / sizeof(struct address),
	       "a view holds all addresses of a session");

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
	uint32_t where[SESSION_ADDRESSES];  /* in the index */
	uint32_t network[SESSION_NETWORKS]; /* the same */
	uint32_t count, networks, next_free;
	/* round: open flows, as this round tells; shown: all, as of the last round */
	struct traffic ended, round, shown;
	bool summed;
};

enum { CHANGES = SESSION_CHANGES };

struct sessions {
	struct session_index index;
	struct slot *slots;
	struct owner *owners;
	int64_t *end; /* earliest possible end of each slot's session, INT64_MAX: none */
	uint32_t capacity;
	uint32_t used_to; /* slots from here on were never used */
	uint32_t free;    /* first of the list of slots used before */
	uint64_t host_seed, serial;
	struct network change[CHANGES]; /* whom the last ones concerned */
	uint64_t changes;
	_Atomic uint32_t count;
	_Atomic uint64_t generation;
};

struct sessions *sessions_new(uint32_t capacity)
{
	struct sessions *s = calloc(1, sizeof *s);
	if (!s || capacity == 0 || capacity > UINT32_MAX / 16) {
		free(s);
		return NULL;
	}
	s->capacity = capacity;
	s->free = SLOT_NONE;
	if (getrandom(&s->host_seed, sizeof s->host_seed, 0) != sizeof s->host_seed)
		s->host_seed = (uint64_t)clock_now();
	bool indexed = session_index_init(&s->index, capacity);
	s->slots = table_new(capacity, sizeof *s->slots);
	s->owners = table_new(capacity, sizeof *s->owners);
	s->end = table_new(capacity, sizeof *s->end);
	if (!indexed || !s->slots || !s->owners || !s->end) {
		sessions_free(s);
		return NULL;
	}
	return s;
}

void sessions_free(struct sessions *s)
{
	if (!s)
		return;
	session_index_deinit(&s->index);
	table_free(s->slots, s->capacity, sizeof *s->slots);
	table_free(s->owners, s->capacity, sizeof *s->owners);
	table_free(s->end, s->capacity, sizeof *s->end);
	free(s);
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

/* ---- readers ---- */

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
	struct session_key k = session_index_key(&s->index, a);
	for (;;) {
		struct session_found found;
		uint32_t seq, slot = session_index_look(&s->index, &k, &found);
		if (slot == SLOT_NONE)
			return false;
		bool used = slot_copy(&s->slots[slot], out, &seq);
		/* The address may have moved to another session between the two looks, and the
		 * slot with it: what was copied counts only if the address is still the slot's. */
		if (!session_index_stayed(&found) || ACQUIRE(&s->slots[slot].seq) != seq)
			continue;
		return used && now < end_of(out);
	}
}

void session_fetch_address(const struct sessions *s, const struct address *a)
{
	const struct session_key k = session_index_key(&s->index, a);
	session_index_fetch(&s->index, &k);
}

void session_fetch(const struct sessions *s, const struct address *a)
{
	const struct session_key k = session_index_key(&s->index, a);
	uint32_t slot = session_index_find(&s->index, &k);
	if (slot == SLOT_NONE)
		return;
	for (size_t i = 0; i < sizeof s->slots[slot]; i += 64)
		__builtin_prefetch((const char *)&s->slots[slot] + i);
}

bool session_of_host(struct sessions *s, const struct address *a, const uint8_t mac[6], int64_t now,
		     struct session *out)
{
	const struct address network = host_network(s, a, mac);
	return !address_is4(a) && session_at(s, &network, now, out);
}

void session_touch(struct sessions *s, const struct address *a, int64_t now)
{
	struct session_key k = session_index_key(&s->index, a);
	uint32_t slot = session_index_find(&s->index, &k);
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

static void note(struct sessions *s, const struct address *a, uint8_t bits)
{
	struct network *n = &s->change[s->changes++ % CHANGES];
	*n = (struct network){*a, bits};
	if (bits == 64)
		memset(n->base.bytes + 8, 0, 8);
}

/* Whom a session is of: its addresses, and what its host may have in its networks. */
static void note_all(struct sessions *s, const struct owner *o)
{
	for (uint32_t i = 0; i < o->count; i++) {
		struct address a = session_index_address(&s->index, o->where[i]);
		note(s, &a, 128);
	}
	for (uint32_t i = 0; i < o->networks; i++) {
		struct address a = session_index_address(&s->index, o->network[i]);
		uint64_t high;
		memcpy(&high, a.bytes, sizeof high);
		high ^= s->host_seed;
		memcpy(a.bytes, &high, sizeof high);
		note(s, &a, 64);
	}
}

size_t sessions_changes(const struct sessions *s, uint64_t *since,
			struct network out[static SESSION_CHANGES])
{
	uint64_t n = s->changes - *since;
	size_t copied = n > CHANGES ? 0 : (size_t)n;
	for (size_t i = 0; i < copied; i++)
		out[i] = s->change[(*since + i) % CHANGES];
	*since = s->changes;
	return n > CHANGES ? SIZE_MAX : copied;
}

static void changed(struct sessions *s)
{
	atomic_fetch_add_explicit(&s->generation, 1, memory_order_release);
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
	note_all(s, o);
	while (o->count)
		session_index_remove(&s->index, o->where[--o->count]);
	while (o->networks)
		session_index_remove(&s->index, o->network[--o->networks]);
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
static bool renew(struct sessions *s, const struct session_key *k, struct session *session)
{
	struct session before;
	uint32_t slot = session_index_find(&s->index, k);
	if (slot == SLOT_NONE)
		return false;
	slot_read(s, slot, &before);
	if (strcmp(before.user, session->user) != 0)
		return false;
	session->id = ++s->serial << 32 | slot;
	if (!session->has_mac) {
		session->has_mac = before.has_mac;
		memcpy(session->mac, before.mac, sizeof session->mac);
	}
	slot_write(&s->slots[slot], session, true);
	s->end[slot] = end_of(session);
	forget_traffic(&s->owners[slot]);
	note_all(s, &s->owners[slot]);
	changed(s);
	return true;
}

/* Who reads a session compares and keeps texts as they lie there, whole. */
static void zero_behind(char *text, size_t room)
{
	size_t len = strnlen(text, room - 1);
	memset(text + len, 0, room - len);
}

int session_open(struct sessions *s, const struct address *a, const struct session *what,
		 int64_t now)
{
	struct session_key k = session_index_key(&s->index, a);
	struct session session = *what;
	session.last_seen = now;
	zero_behind(session.user, sizeof session.user);
	zero_behind(session.tier, sizeof session.tier);
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
	if (session_index_add(&s->index, &k, slot, &o->where[0]) < 0) {
		slot_write(&s->slots[slot], &(struct session){0}, false);
		slot_give(s, slot);
		return -ENOSPC;
	}
	o->count = 1;
	note(s, a, 128);
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
	struct session_key k = session_index_key(&s->index, a);
	uint32_t slot = slot_by_id(s, id);
	if (slot == SLOT_NONE)
		return -ENOENT;
	uint32_t there = session_index_find(&s->index, &k);
	if (there == slot)
		return 0;
	struct owner *o = &s->owners[slot];
	if (o->count == SESSION_ADDRESSES)
		return -ENOSPC;
	if (there != SLOT_NONE)
		close_slot(s, there);
	int e = session_index_add(&s->index, &k, slot, &o->where[o->count]);
	if (e == 0)
		o->count++;
	note(s, a, 128);
	changed(s);
	return e;
}

bool session_drop_address(struct sessions *s, const struct address *a)
{
	struct session_key k = session_index_key(&s->index, a);
	uint32_t slot = session_index_find(&s->index, &k), i = 0;
	if (slot == SLOT_NONE)
		return false;
	struct owner *o = &s->owners[slot];
	if (o->count == 1) {
		close_slot(s, slot);
		return true;
	}
	for (; i < o->count; i++) {
		struct address at = session_index_address(&s->index, o->where[i]);
		if (address_equal(&at, a))
			break;
	}
	session_index_remove(&s->index, o->where[i]);
	note(s, a, 128);
	o->count--;
	memmove(&o->where[i], &o->where[i + 1], (o->count - i) * sizeof o->where[0]);
	changed(s);
	return true;
}

void session_drop_network(struct sessions *s, const struct address *a, const uint8_t mac[6])
{
	const struct address network = host_network(s, a, mac);
	struct session_key k = session_index_key(&s->index, &network);
	uint32_t slot = session_index_find(&s->index, &k), i = 0;
	if (slot == SLOT_NONE)
		return;
	struct owner *o = &s->owners[slot];
	for (; i < o->networks; i++) {
		struct address at = session_index_address(&s->index, o->network[i]);
		if (address_equal(&at, &network))
			break;
	}
	session_index_remove(&s->index, o->network[i]);
	o->network[i] = o->network[--o->networks];
	note(s, a, 64);
	changed(s);
}

void session_add_network(struct sessions *s, uint64_t id, const struct address *a,
			 const uint8_t mac[6])
{
	const struct address network = host_network(s, a, mac);
	struct session_key k = session_index_key(&s->index, &network);
	uint32_t slot = slot_by_id(s, id), there = session_index_find(&s->index, &k);
	if (slot == SLOT_NONE || there == slot || address_is4(a))
		return;
	if (there != SLOT_NONE)
		session_drop_network(s, a, mac);
	struct owner *o = &s->owners[slot];
	if (o->networks < SESSION_NETWORKS &&
	    session_index_add(&s->index, &k, slot, &o->network[o->networks]) == 0)
		o->networks++;
	note(s, a, 64);
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
	note_all(s, &s->owners[slot]);
	changed(s);
}

unsigned session_close_address(struct sessions *s, const struct address *a)
{
	struct session_key k = session_index_key(&s->index, a);
	uint32_t slot = session_index_find(&s->index, &k);
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
		if (user_name_same(session.user, user)) {
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
	struct session_key k = session_index_key(&s->index, a);
	uint32_t slot = session_index_find(&s->index, &k);
	if (slot != SLOT_NONE)
		add_flow(&s->owners[slot].ended, bytes);
}

void session_flow_open(struct sessions *s, const struct address *a, uint64_t bytes)
{
	struct session_key k = session_index_key(&s->index, a);
	uint32_t slot = session_index_find(&s->index, &k);
	if (slot != SLOT_NONE)
		add_flow(&s->owners[slot].round, bytes);
}

/* A session's first round has nothing to compare with. A sum falls by a flow that does not count
 * any more, being denied or undecided again: that is nobody's traffic. */
void sessions_round(struct sessions *s, int64_t now)
{
	for (uint32_t slot = 0; slot < s->used_to; slot++) {
		struct owner *o = &s->owners[slot];
		const struct traffic all = {o->ended.bytes + o->round.bytes,
					    o->ended.flows + o->round.flows};
		if (!slot_used(s, slot))
			continue;
		if (o->summed && all.bytes > o->shown.bytes &&
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
			out->address[i] = session_index_address(&s->index, o->where[i]);
		++*slot;
		return true;
	}
	return false;
}
