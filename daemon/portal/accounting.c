#include "portal/accounting.h"

#include "base/clock.h"

#include <stdlib.h>

#define NONE UINT32_MAX
#define REMEMBERS                                                                                  \
	(600 * NS_PER_S) /* so long, at least, a session that has ended is known as such */

enum state { FREE, OPEN, ENDED };

struct entry {
	uint8_t nas[ACCOUNTING_KEY], session[ACCOUNTING_KEY];
	char user[USER_MAX], tier[TIER_MAX];
	int64_t started, last; /* times of reports */
	uint32_t session_time;
	uint32_t next; /* with the same hash; or next free one */
	uint8_t state;
	uint8_t addresses;
	bool adopted; /* not under its key yet */
	bool lost;    /* somebody else ended it: only a new Start opens it again */
	struct {
		struct address address;
		uint32_t next; /* entry * RADIUS_ADDRESSES + index */
	} at[RADIUS_ADDRESSES];
};

struct accounting {
	struct entry *entries;
	int64_t *deadline; /* of each entry; INT64_MAX: free */
	uint32_t *by_key, *by_address;
	uint32_t capacity, mask, used_to, free;
	int64_t window, remembers;
	const struct accounting_ops *ops;
	void *ctx;
	struct accounting_counters counters;
};

static const struct {
	const char *text;
	bool answered;
} results[] = {
#define X(id, text, answered) {text, answered},
	ACCOUNTING_LIST(X)
#undef X
};

const char *accounting_text(enum accounting_result r)
{
	return results[r].text;
}

bool accounting_answered(enum accounting_result r)
{
	return results[r].answered;
}

struct accounting *accounting_new(uint32_t capacity, int64_t window,
				  const struct accounting_ops *ops, void *ctx)
{
	struct accounting *a = calloc(1, sizeof *a);
	uint32_t slots = 16;
	while (slots < capacity)
		slots *= 2;
	if (!a)
		return NULL;
	a->entries = calloc(capacity, sizeof *a->entries);
	a->deadline = malloc(capacity * sizeof *a->deadline);
	a->by_key = malloc(slots * sizeof *a->by_key);
	a->by_address = malloc(slots * sizeof *a->by_address);
	if (!a->entries || !a->deadline || !a->by_key || !a->by_address) {
		accounting_free(a);
		return NULL;
	}
	memset(a->by_key, 0xff, slots * sizeof *a->by_key);
	memset(a->by_address, 0xff, slots * sizeof *a->by_address);
	a->capacity = capacity;
	a->mask = slots - 1;
	a->free = NONE;
	a->window = window;
	int64_t replayable = 2 * window + NS_PER_S; /* a report's time may be ahead by the window */
	a->remembers = replayable > REMEMBERS ? replayable : REMEMBERS;
	a->ops = ops;
	a->ctx = ctx;
	return a;
}

void accounting_free(struct accounting *a)
{
	if (!a)
		return;
	free(a->entries);
	free(a->deadline);
	free(a->by_key);
	free(a->by_address);
	free(a);
}

void accounting_count(const struct accounting *a, struct accounting_counters *out)
{
	*out = a->counters;
}

/* ---- the table ---- */

static uint32_t *key_head(const struct accounting *a, const uint8_t session[ACCOUNTING_KEY])
{
	uint32_t hash;
	memcpy(&hash, session, sizeof hash); /* it is a digest */
	return &a->by_key[hash & a->mask];
}

static uint32_t *address_head(const struct accounting *a, const struct address *address)
{
	uint64_t half[2];
	memcpy(half, address, sizeof half);
	uint64_t hash = (half[0] ^ half[1] * UINT64_C(0x9e3779b97f4a7c15));
	hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return &a->by_address[(uint32_t)(hash >> 32) & a->mask];
}

static uint32_t find(const struct accounting *a, const struct accounting_report *r)
{
	uint32_t i = *key_head(a, r->session);
	while (i != NONE && (memcmp(a->entries[i].session, r->session, ACCOUNTING_KEY) != 0 ||
			     memcmp(a->entries[i].nas, r->nas, ACCOUNTING_KEY) != 0))
		i = a->entries[i].next;
	return i;
}

static uint32_t find_address(const struct accounting *a, const struct address *address)
{
	uint32_t at = *address_head(a, address);
	while (at != NONE) {
		const struct entry *e = &a->entries[at / RADIUS_ADDRESSES];
		if (address_equal(&e->at[at % RADIUS_ADDRESSES].address, address))
			return at / RADIUS_ADDRESSES;
		at = e->at[at % RADIUS_ADDRESSES].next;
	}
	return NONE;
}

static void key_add(struct accounting *a, uint32_t i, const struct accounting_report *r)
{
	struct entry *e = &a->entries[i];
	uint32_t *head = key_head(a, r->session);
	memcpy(e->nas, r->nas, ACCOUNTING_KEY);
	memcpy(e->session, r->session, ACCOUNTING_KEY);
	e->adopted = false;
	e->next = *head;
	*head = i;
}

static void key_remove(struct accounting *a, uint32_t i)
{
	uint32_t *link = key_head(a, a->entries[i].session);
	while (*link != i)
		link = &a->entries[*link].next;
	*link = a->entries[i].next;
}

static void address_add(struct accounting *a, uint32_t i, const struct address *address)
{
	struct entry *e = &a->entries[i];
	uint32_t *head = address_head(a, address), k = e->addresses++;
	e->at[k].address = *address;
	e->at[k].next = *head;
	*head = i * RADIUS_ADDRESSES + k;
}

static void addresses_clear(struct accounting *a, uint32_t i)
{
	struct entry *e = &a->entries[i];
	while (e->addresses) {
		uint32_t k = --e->addresses, own = i * RADIUS_ADDRESSES + k;
		uint32_t *link = address_head(a, &e->at[k].address);
		while (*link != own)
			link = &a->entries[*link / RADIUS_ADDRESSES]
					.at[*link % RADIUS_ADDRESSES]
					.next;
		*link = e->at[k].next;
	}
}

static void state_set(struct accounting *a, uint32_t i, enum state state, int64_t deadline)
{
	struct entry *e = &a->entries[i];
	a->counters.open += (state == OPEN) - (e->state == OPEN);
	a->counters.ended += (state == ENDED) - (e->state == ENDED);
	e->state = state;
	a->deadline[i] = deadline;
}

static void entry_free(struct accounting *a, uint32_t i)
{
	addresses_clear(a, i);
	if (!a->entries[i].adopted)
		key_remove(a, i);
	state_set(a, i, FREE, INT64_MAX);
	a->entries[i].next = a->free;
	a->free = i;
}

/* What ended longest ago makes room, an open session never does. */
static uint32_t entry_reclaim(struct accounting *a)
{
	uint32_t oldest = NONE;
	for (uint32_t i = 0; a->counters.ended && i < a->used_to; i++)
		if (a->entries[i].state == ENDED &&
		    (oldest == NONE || a->deadline[i] < a->deadline[oldest]))
			oldest = i;
	if (oldest != NONE)
		entry_free(a, oldest);
	return oldest;
}

static uint32_t entry_new(struct accounting *a)
{
	uint32_t i = a->free;
	if (i == NONE && a->used_to < a->capacity)
		i = a->used_to++;
	else if (i == NONE && (i = entry_reclaim(a)) == NONE)
		return NONE;
	if (i == a->free)
		a->free = a->entries[i].next;
	memset(&a->entries[i], 0, sizeof *a->entries);
	a->deadline[i] = INT64_MAX;
	return i;
}

/* ---- what a report changes ---- */

static bool is_reported(const struct accounting_report *r, const struct address *address)
{
	for (unsigned i = 0; i < r->addresses; i++)
		if (address_equal(&r->address[i], address))
			return true;
	return false;
}

static bool is_at(const struct entry *e, const struct address *address)
{
	for (unsigned i = 0; i < e->addresses; i++)
		if (address_equal(&e->at[i].address, address))
			return true;
	return false;
}

/* The addresses that the session should have: those reported, and those that it has of an IP
 * version of which none was reported. *moved: it has one that it should not have any more. */
static unsigned wanted(const struct entry *e, const struct accounting_report *r,
		       struct address out[static RADIUS_ADDRESSES], bool *moved)
{
	unsigned count = r->addresses;
	bool reported[2] = {false, false};
	memcpy(out, r->address, count * sizeof *out);
	for (unsigned i = 0; i < count; i++)
		reported[address_is4(&out[i])] = true;
	*moved = false;
	for (unsigned i = 0; i < e->addresses; i++) {
		const struct address *had = &e->at[i].address;
		if (is_reported(r, had))
			continue;
		if (reported[address_is4(had)])
			*moved = true;
		else if (count < RADIUS_ADDRESSES)
			out[count++] = *had;
	}
	return count;
}

/* Another session had the address: the daemon has ended it. */
static void taken_from(struct accounting *a, uint32_t i, const struct address *address)
{
	uint32_t other = find_address(a, address);
	if (other == NONE || other == i)
		return;
	addresses_clear(a, other);
	a->entries[other].lost = true;
}

static enum accounting_result leave(struct accounting *a, uint32_t i)
{
	struct entry *e = &a->entries[i];
	if (e->addresses && a->ops->close(a->ctx, &e->at[0].address) == ACCOUNTING_AWAY)
		return ACCOUNTING_AWAY;
	addresses_clear(a, i);
	return ACCOUNTING_DONE;
}

static enum accounting_result enter(struct accounting *a, uint32_t i, const struct address *address)
{
	struct entry *e = &a->entries[i];
	enum accounting_result did = e->addresses ? a->ops->add(a->ctx, &e->at[0].address, address)
						  : a->ops->open(a->ctx, address, e->user, e->tier);
	if (did == ACCOUNTING_DONE) {
		taken_from(a, i, address);
		address_add(a, i, address);
	} else if (did == ACCOUNTING_ENDED) {
		addresses_clear(a, i);
		e->lost = true;
	}
	return did;
}

/* Makes the daemon's session what the report says it is. */
static enum accounting_result apply(struct accounting *a, uint32_t i,
				    const struct accounting_report *r)
{
	struct entry *e = &a->entries[i];
	struct address address[RADIUS_ADDRESSES];
	enum accounting_result did = ACCOUNTING_DONE;
	bool moved;
	unsigned count = wanted(e, r, address, &moved);
	if (moved || strcmp(e->user, r->user) != 0 || strcmp(e->tier, r->tier) != 0)
		did = leave(a, i);
	if (did != ACCOUNTING_DONE)
		return did;
	memcpy(e->user, r->user, sizeof e->user);
	memcpy(e->tier, r->tier, sizeof e->tier);
	if (!e->user[0] || !e->tier[0])
		return e->user[0] ? ACCOUNTING_NO_TIER : ACCOUNTING_NO_USER;
	for (unsigned k = 0; k < count && did == ACCOUNTING_DONE; k++)
		if (!is_at(e, &address[k]))
			did = enter(a, i, &address[k]);
	return did == ACCOUNTING_DONE && !count ? ACCOUNTING_NO_ADDRESS : did;
}

/* A report of what is known later already. */
static bool is_old(const struct entry *e, const struct accounting_report *r)
{
	if (e->state == ENDED) /* a client may use an identifier again, and then says when */
		return !r->has_time || r->time <= e->last;
	if (r->has_time && r->time < e->last)
		return true;
	return r->status == RADIUS_INTERIM && r->has_session_time &&
	       r->session_time < e->session_time;
}

static bool is_stale(const struct accounting *a, const struct accounting_report *r)
{
	return r->has_time && (r->time < r->heard - a->window || r->time > r->heard + a->window);
}

/* The session of a report; one taken over from before this process began becomes the report's. */
static uint32_t entry_of(struct accounting *a, const struct accounting_report *r)
{
	uint32_t i = find(a, r);
	for (unsigned k = 0; i == NONE && k < r->addresses; k++) {
		uint32_t there = find_address(a, &r->address[k]);
		if (there == NONE || !a->entries[there].adopted ||
		    strcmp(a->entries[there].user, r->user) != 0)
			continue;
		i = there;
		key_add(a, i, r);
	}
	return i;
}

static void begin(struct accounting *a, uint32_t i, const struct accounting_report *r, int64_t now)
{
	struct entry *e = &a->entries[i];
	e->started = e->last = r->time;
	e->session_time = 0;
	e->lost = false;
	state_set(a, i, OPEN, now + r->lasts);
}

static enum accounting_result take_update(struct accounting *a, const struct accounting_report *r,
					  int64_t now)
{
	if (is_stale(a, r))
		return ACCOUNTING_STALE;
	uint32_t i = entry_of(a, r);
	if (i == NONE) {
		if ((i = entry_new(a)) == NONE)
			return ACCOUNTING_FULL;
		key_add(a, i, r);
		begin(a, i, r, now);
	}
	struct entry *e = &a->entries[i];
	if (is_old(e, r))
		return ACCOUNTING_OLD;
	bool again = r->status == RADIUS_START && r->has_time && r->time > e->last;
	if (e->state == ENDED || again)
		begin(a, i, r, now);
	enum accounting_result did = e->lost ? ACCOUNTING_ENDED : apply(a, i, r);
	if (did == ACCOUNTING_AWAY)
		return did;
	if (r->time > e->last)
		e->last = r->time;
	if (r->has_session_time)
		e->session_time = r->session_time;
	a->deadline[i] = now + r->lasts;
	return did;
}

/* It is remembered, so that what comes late of it opens nothing. */
static enum accounting_result end(struct accounting *a, uint32_t i, int64_t time, int64_t now)
{
	enum accounting_result did = leave(a, i);
	if (did != ACCOUNTING_DONE)
		return did;
	if (a->entries[i].adopted) {
		entry_free(a, i);
		return did;
	}
	if (time > a->entries[i].last)
		a->entries[i].last = time;
	state_set(a, i, ENDED, now + a->remembers);
	return did;
}

static enum accounting_result take_stop(struct accounting *a, const struct accounting_report *r,
					int64_t now)
{
	uint32_t i = entry_of(a, r);
	if (i == NONE) { /* it has overtaken its Start */
		if ((i = entry_new(a)) == NONE)
			return ACCOUNTING_DONE;
		key_add(a, i, r);
		begin(a, i, r, now);
	}
	const struct entry *e = &a->entries[i];
	if (e->state == ENDED || (r->has_time && r->time < e->started))
		return ACCOUNTING_OLD;
	return end(a, i, r->time, now);
}

/* The client has restarted, or is about to: what it reported before is over. */
static enum accounting_result take_restart(struct accounting *a, const struct accounting_report *r,
					   int64_t now)
{
	for (uint32_t i = 0; i < a->used_to; i++) {
		const struct entry *e = &a->entries[i];
		if (e->state != OPEN || e->adopted || e->last > r->time ||
		    memcmp(e->nas, r->nas, ACCOUNTING_KEY) != 0)
			continue;
		if (end(a, i, r->time, now) == ACCOUNTING_AWAY)
			return ACCOUNTING_AWAY;
	}
	return ACCOUNTING_DONE;
}

enum accounting_result accounting_take(struct accounting *a, const struct accounting_report *r,
				       int64_t now)
{
	switch (r->status) {
	case RADIUS_START:
	case RADIUS_INTERIM: return take_update(a, r, now);
	case RADIUS_STOP: return take_stop(a, r, now);
	case RADIUS_ON:
	case RADIUS_OFF: return take_restart(a, r, now);
	}
	return ACCOUNTING_DONE; /* other kinds of reports say nothing about sessions */
}

void accounting_adopt(struct accounting *a, const struct accounting_report *r, int64_t now)
{
	bool known = !r->addresses;
	for (unsigned k = 0; k < r->addresses; k++)
		known |= find_address(a, &r->address[k]) != NONE;
	uint32_t i = known ? NONE : entry_new(a);
	if (i == NONE)
		return;
	struct entry *e = &a->entries[i];
	e->adopted = true;
	e->started = e->last = r->time;
	memcpy(e->user, r->user, sizeof e->user);
	memcpy(e->tier, r->tier, sizeof e->tier);
	for (unsigned k = 0; k < r->addresses; k++)
		address_add(a, i, &r->address[k]);
	state_set(a, i, OPEN, now + r->lasts);
}

/* A session that is reported late after all opens again. */
void accounting_sweep(struct accounting *a, int64_t now)
{
	for (uint32_t i = 0; i < a->used_to; i++) {
		if (a->deadline[i] > now)
			continue;
		if (leave(a, i) == ACCOUNTING_AWAY)
			return; /* later */
		a->counters.timed_out += a->entries[i].state == OPEN;
		entry_free(a, i);
	}
}
