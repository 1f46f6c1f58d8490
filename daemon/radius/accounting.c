#include "radius/accounting_table.h"

#include "base/clock.h"

#define NONE ACCOUNTING_NONE
/* What was heard of is told apart by seconds: Acct-Delay-Time has no parts of one. */
#define HEARD_SLACK NS_PER_S

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

/* ---- the one order of reports ---- */

static bool both_said(const struct accounting_moment *a, const struct accounting_moment *b)
{
	return a->said && b->said;
}

static bool is_before(const struct accounting_moment *a, const struct accounting_moment *b)
{
	return both_said(a, b) ? a->said < b->said : a->heard + HEARD_SLACK < b->heard;
}

static void advance(struct accounting_moment *to, const struct accounting_moment *by)
{
	if (by->said > to->said)
		to->said = by->said;
	if (by->heard > to->heard)
		to->heard = by->heard;
}

/* ---- the daemon's session ---- */

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

/* The addresses that the session has no longer: those that were not reported, of an IP version of
 * which one was. */
static unsigned left(const struct entry *e, const struct accounting_report *r,
		     struct address out[static RADIUS_ADDRESSES])
{
	bool reported[2] = {false, false};
	unsigned count = 0;
	for (unsigned i = 0; i < r->addresses; i++)
		reported[address_is4(&r->address[i])] = true;
	for (unsigned i = 0; i < e->addresses; i++) {
		const struct address *had = &e->at[i].address;
		if (reported[address_is4(had)] && !is_reported(r, had))
			out[count++] = *had;
	}
	return count;
}

static void lose(struct accounting *a, uint32_t i, int64_t now)
{
	entry_addresses_clear(a, i);
	a->entries[i].lost = true;
	entry_note(a, i, now);
}

/* Another session had the address: the daemon has ended it. */
static void taken_from(struct accounting *a, uint32_t i, const struct address *address, int64_t now)
{
	uint32_t other = entry_find_address(a, address);
	if (other != NONE && other != i)
		lose(a, other, now);
}

static enum accounting_result leave(struct accounting *a, uint32_t i)
{
	struct entry *e = &a->entries[i];
	if (e->addresses && a->ops->close(a->ctx, &e->at[0].address) == ACCOUNTING_AWAY)
		return ACCOUNTING_AWAY;
	entry_addresses_clear(a, i);
	return ACCOUNTING_DONE;
}

static enum accounting_result open_at(struct accounting *a, const struct entry *e,
				      const struct address *address)
{
	return a->ops->open(a->ctx, address, e->user, e->tier, e->has_mac ? e->mac : NULL);
}

static enum accounting_result enter(struct accounting *a, uint32_t i, const struct address *address,
				    int64_t now)
{
	struct entry *e = &a->entries[i];
	enum accounting_result did = e->addresses ? a->ops->add(a->ctx, &e->at[0].address, address)
						  : open_at(a, e, address);
	if (did == ACCOUNTING_DONE) {
		taken_from(a, i, address, now);
		entry_address_add(a, i, address);
	} else if (did == ACCOUNTING_ENDED) {
		lose(a, i, now);
	}
	return did;
}

/* Takes what was left from the session, as long as something stays: without an address there is
 * none. */
static enum accounting_result take_away(struct accounting *a, uint32_t i,
					const struct address *gone, unsigned count)
{
	for (unsigned k = 0; k < count && a->entries[i].addresses > 1; k++) {
		if (!is_at(&a->entries[i], &gone[k]))
			continue;
		if (a->ops->drop(a->ctx, &gone[k]) == ACCOUNTING_AWAY)
			return ACCOUNTING_AWAY;
		entry_address_drop(a, i, &gone[k]);
	}
	return ACCOUNTING_DONE;
}

/* The session goes on while its addresses change: what is gone makes room, the new ones come, and
 * what had to stay so long goes. */
static enum accounting_result move(struct accounting *a, uint32_t i,
				   const struct accounting_report *r, int64_t now)
{
	struct entry *e = &a->entries[i];
	struct address gone[RADIUS_ADDRESSES];
	unsigned count = left(e, r, gone);
	enum accounting_result did = take_away(a, i, gone, count);
	for (unsigned k = 0; k < r->addresses && did == ACCOUNTING_DONE; k++)
		if (!is_at(e, &r->address[k]) && e->addresses < RADIUS_ADDRESSES)
			did = enter(a, i, &r->address[k], now);
	if (did == ACCOUNTING_DONE)
		did = take_away(a, i, gone, count);
	return did == ACCOUNTING_DONE && !e->addresses ? ACCOUNTING_NO_ADDRESS : did;
}

/* What a report leaves out stays as it is known, unless it is of another session or user. */
static void identify(struct entry *e, const struct accounting_report *r, bool anew)
{
	anew |= r->user_told && strcmp(e->user, r->user) != 0;
	if (anew || r->user_told)
		memcpy(e->user, r->user, sizeof e->user);
	if (anew || r->tier_told)
		memcpy(e->tier, r->tier, sizeof e->tier);
	if (anew || r->has_mac) {
		memcpy(e->mac, r->mac, sizeof e->mac);
		e->has_mac = r->has_mac;
	}
}

/* Makes the daemon's session what the report says it is. */
static enum accounting_result apply(struct accounting *a, uint32_t i,
				    const struct accounting_report *r, bool anew, int64_t now)
{
	struct entry *e = &a->entries[i];
	struct entry before = *e;
	enum accounting_result did = ACCOUNTING_DONE;
	identify(e, r, anew);
	bool other = strcmp(e->user, before.user) != 0;
	bool changed = strcmp(e->tier, before.tier) != 0 || e->has_mac != before.has_mac ||
		       memcmp(e->mac, before.mac, sizeof e->mac) != 0;
	if (other || !e->tier[0])
		did = leave(a, i);
	else if (changed && e->addresses) /* replaced without a moment between */
		did = open_at(a, e, &e->at[0].address);
	if (did == ACCOUNTING_NO_TIER && leave(a, i) == ACCOUNTING_AWAY)
		did = ACCOUNTING_AWAY;
	if (did == ACCOUNTING_AWAY || did == ACCOUNTING_FULL) {
		memcpy(e->user, before.user, sizeof e->user);
		memcpy(e->tier, before.tier, sizeof e->tier);
		e->has_mac = before.has_mac;
		memcpy(e->mac, before.mac, sizeof e->mac);
	}
	if (did != ACCOUNTING_DONE)
		return did;
	if (!e->user[0] || !e->tier[0])
		return e->user[0] ? ACCOUNTING_NO_TIER : ACCOUNTING_NO_USER;
	return move(a, i, r, now);
}

/* ---- what a report may do ---- */

/* The last beginning of a client (Accounting-On or -Off) is kept like a session that has ended,
 * under the key of zeros. */
static const struct entry *era_of(const struct accounting *a, const uint8_t nas[ACCOUNTING_KEY])
{
	static const uint8_t none[ACCOUNTING_KEY];
	uint32_t i = entry_find(a, nas, none);
	return i == NONE ? NULL : &a->entries[i];
}

/* A report that is newer than what is known, or a Start of the same second that is not the known
 * one. */
static bool is_newer(const struct entry *e, const struct accounting_report *r)
{
	return r->time.said > e->last.said ||
	       (r->status == RADIUS_START && r->time.said == e->last.said &&
		r->time.said > e->started.said);
}

/* Whether a report opens a session again that has ended: where its client has begun anew since,
 * identifiers are new ones; who was only not heard of for too long is there again; else by a Start
 * alone that says that it is newer. */
static bool reopens(const struct accounting *a, const struct entry *e,
		    const struct accounting_report *r)
{
	const struct entry *era = era_of(a, e->nas);
	bool said = both_said(&r->time, &e->last);
	if (era && era->last.heard >= e->last.heard)
		return !is_before(&r->time, &era->last) && (!said || is_newer(e, r));
	if (e->revives)
		return !said || is_newer(e, r);
	return r->status == RADIUS_START && said && is_newer(e, r);
}

/* A report of what is known later already. */
static bool is_old(const struct accounting *a, const struct entry *e,
		   const struct accounting_report *r)
{
	if (e->state == ENTRY_ENDED)
		return !reopens(a, e, r);
	if (is_before(&r->time, &e->last))
		return true;
	if (both_said(&r->time, &e->last) && r->time.said > e->last.said)
		return false;
	return r->status == RADIUS_INTERIM && r->has_session_time &&
	       r->session_time < e->session_time;
}

static bool is_stale(const struct accounting *a, const struct accounting_report *r)
{
	int64_t said = r->time.said;
	return said && (said < r->arrived - a->window || said > r->arrived + a->window);
}

/* A session at the same address, of the same user, that no report has claimed yet; or that this
 * client has reported from elsewhere (over another way or proxy) under the same identifier. */
static bool is_same(const struct entry *e, const struct accounting_report *r)
{
	if (r->user_told && strcmp(e->user, r->user) != 0)
		return false;
	return e->adopted || (memcmp(e->behind, r->behind, ACCOUNTING_KEY) == 0 &&
			      memcmp(e->session, r->session, ACCOUNTING_KEY) == 0);
}

/* The session of a report, under the report's key from here on. */
static uint32_t entry_of(struct accounting *a, const struct accounting_report *r)
{
	uint32_t i = entry_find(a, r->nas, r->session);
	for (unsigned k = 0; i == NONE && k < r->addresses; k++) {
		uint32_t there = entry_find_address(a, &r->address[k]);
		if (there == NONE || !is_same(&a->entries[there], r))
			continue;
		i = there;
		entry_key(a, i, r->nas, r->behind, r->session);
	}
	return i;
}

static uint32_t entry_for(struct accounting *a, const struct accounting_report *r)
{
	uint32_t i = entry_new(a);
	if (i != NONE)
		entry_key(a, i, r->nas, r->behind, r->session);
	return i;
}

static void begin(struct accounting *a, uint32_t i, const struct accounting_report *r, int64_t now)
{
	struct entry *e = &a->entries[i];
	bool known = e->state != ENTRY_FREE;
	e->started = e->last = r->time;
	e->session_time = 0;
	e->lost = e->revives = e->unproven = false;
	entry_state_set(a, i, ENTRY_OPEN, now + r->lasts);
	if (known)
		entry_note(a, i, now);
}

static enum accounting_result take_update(struct accounting *a, const struct accounting_report *r,
					  int64_t now)
{
	const struct entry *era = era_of(a, r->nas);
	if (is_stale(a, r))
		return ACCOUNTING_STALE;
	uint32_t i = entry_of(a, r);
	bool anew = i == NONE;
	if (anew && era && is_before(&r->time, &era->last))
		return ACCOUNTING_OLD;
	if (anew && (i = entry_for(a, r)) == NONE)
		return ACCOUNTING_FULL;
	struct entry *e = &a->entries[i];
	if (!anew && is_old(a, e, r))
		return ACCOUNTING_OLD;
	anew |= e->state == ENTRY_ENDED ||
		(r->status == RADIUS_START && r->time.said > e->last.said);
	if (anew)
		begin(a, i, r, now);
	enum accounting_result did = e->lost ? ACCOUNTING_ENDED : apply(a, i, r, anew, now);
	if (did == ACCOUNTING_AWAY)
		return did;
	advance(&e->last, &r->time);
	if (r->has_session_time)
		e->session_time = r->session_time;
	a->deadline[i] = now + r->lasts;
	a->changed = true;
	return did;
}

/* It is remembered, so that what comes late of it opens nothing. */
static enum accounting_result end(struct accounting *a, uint32_t i,
				  const struct accounting_moment *time, int64_t now)
{
	enum accounting_result did = leave(a, i);
	if (did != ACCOUNTING_DONE)
		return did;
	if (a->entries[i].adopted) {
		entry_free(a, i);
		return did;
	}
	advance(&a->entries[i].last, time);
	entry_state_set(a, i, ENTRY_ENDED, now + a->remembers);
	entry_note(a, i, now);
	return did;
}

static enum accounting_result take_stop(struct accounting *a, const struct accounting_report *r,
					int64_t now)
{
	uint32_t i = entry_of(a, r);
	if (i == NONE) { /* it has overtaken its Start */
		if ((i = entry_for(a, r)) == NONE)
			return ACCOUNTING_DONE;
		begin(a, i, r, now);
	}
	const struct entry *e = &a->entries[i];
	if (e->state == ENTRY_ENDED || is_before(&r->time, &e->started))
		return ACCOUNTING_OLD;
	return end(a, i, &r->time, now);
}

/* Remembers that the client has begun anew. */
static void begin_era(struct accounting *a, const struct accounting_report *r, int64_t now)
{
	static const uint8_t none[ACCOUNTING_KEY];
	uint32_t i = entry_find(a, r->nas, none);
	if (i == NONE && (i = entry_new(a)) == NONE)
		return;
	struct entry *e = &a->entries[i];
	if (e->state == ENTRY_FREE)
		entry_key(a, i, r->nas, r->behind, none);
	advance(&e->last, &r->time);
	entry_state_set(a, i, ENTRY_ENDED, now + a->remembers);
	entry_note(a, i, now);
}

/* The same beginning, told again, or one before it. */
static bool is_known(const struct accounting_moment *era, const struct accounting_report *r)
{
	if (both_said(era, &r->time))
		return r->time.said <= era->said;
	return r->delayed && r->time.heard <= era->heard + HEARD_SLACK;
}

/* The client has restarted, or is about to: what it reported before is over, and its identifiers
 * are new ones from here on. */
static enum accounting_result take_restart(struct accounting *a, const struct accounting_report *r,
					   int64_t now)
{
	const struct entry *era = era_of(a, r->nas);
	if (is_stale(a, r))
		return ACCOUNTING_STALE;
	if (era && is_known(&era->last, r))
		return ACCOUNTING_OLD;
	for (uint32_t i = 0; i < a->used_to; i++) {
		const struct entry *e = &a->entries[i];
		if (e->state != ENTRY_OPEN || e->adopted || is_before(&r->time, &e->last) ||
		    memcmp(e->nas, r->nas, ACCOUNTING_KEY) != 0)
			continue;
		if (end(a, i, &r->time, now) == ACCOUNTING_AWAY)
			return ACCOUNTING_AWAY;
	}
	begin_era(a, r, now);
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

/* ---- sessions of before ---- */

/* The daemon knows best which addresses a session has. */
static void prove(struct accounting *a, uint32_t i, const struct accounting_report *r)
{
	struct entry *e = &a->entries[i];
	if (!e->unproven || strcmp(e->user, r->user) != 0)
		return;
	e->unproven = false;
	entry_addresses_clear(a, i);
	for (unsigned k = 0; k < r->addresses && k < RADIUS_ADDRESSES; k++)
		if (entry_find_address(a, &r->address[k]) == NONE)
			entry_address_add(a, i, &r->address[k]);
}

void accounting_adopt(struct accounting *a, const struct accounting_report *r, int64_t now)
{
	uint32_t i = NONE;
	for (unsigned k = 0; k < r->addresses; k++) {
		uint32_t there = entry_find_address(a, &r->address[k]);
		if (there == NONE)
			continue;
		prove(a, there, r);
		if (a->entries[there].unproven) /* somebody else is there now */
			lose(a, there, now);
		else
			i = there;
	}
	if (i != NONE || !r->addresses || (i = entry_new(a)) == NONE)
		return;
	struct entry *e = &a->entries[i];
	memcpy(e->user, r->user, sizeof e->user);
	memcpy(e->tier, r->tier, sizeof e->tier);
	for (unsigned k = 0; k < r->addresses; k++)
		entry_address_add(a, i, &r->address[k]);
	entry_state_set(a, i, ENTRY_OPEN, now + r->lasts);
}

void accounting_adopted(struct accounting *a)
{
	for (uint32_t i = 0; i < a->used_to; i++) {
		struct entry *e = &a->entries[i];
		if (e->state == ENTRY_OPEN && e->unproven && e->addresses) {
			entry_addresses_clear(a, i);
			e->lost = true;
		}
		e->unproven = false;
	}
	a->changed = true;
}

/* ---- time ---- */

/* A session that is reported late after all opens again: by what is newer than what was reported
 * before, so that it is remembered, too. */
static enum accounting_result time_out(struct accounting *a, uint32_t i, int64_t now)
{
	struct entry *e = &a->entries[i];
	bool lost = e->lost;
	enum accounting_result did = end(a, i, &e->last, now);
	if (did != ACCOUNTING_DONE)
		return did;
	a->counters.timed_out++;
	if (e->state == ENTRY_ENDED) { /* not one that nobody has claimed */
		e->revives = !lost;
		entry_note(a, i, now);
	}
	return did;
}

void accounting_sweep(struct accounting *a, int64_t now)
{
	for (uint32_t i = 0; i < a->used_to; i++) {
		if (a->deadline[i] > now)
			continue;
		if (a->entries[i].state == ENTRY_ENDED)
			entry_free(a, i);
		else if (time_out(a, i, now) != ACCOUNTING_DONE)
			return; /* later */
	}
}
