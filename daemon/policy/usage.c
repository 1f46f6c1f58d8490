#include "policy/usage.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/table.h"

#include <stdlib.h>
#include <string.h>

enum { LOOK = 64 /* accounts from which one is chosen to go */ };
/* Time goes on by a second from tick to tick: a period that begins with more was gone to. */
#define SET (60 * NS_PER_S)

struct account {
	struct usage_memory is;
	const struct quota *quota; /* NULL: no line of the policy has it */
	uint32_t next;             /* of its chain, or of the free ones; NONE: the last */
	uint32_t held;             /* flows */
	bool there;
};

struct usage {
	uint32_t capacity, count, fresh, free_head, mask, hand;
	struct account *item;
	uint32_t *bucket;
	const struct snapshot *snapshot;
	struct hash_key key;
	bool changed;
	uint64_t generation, published;
	struct usage_counters counters;
};

#define NONE USAGE_NONE

/* ---- the table ---- */

static uint32_t *chain_of(const struct usage *u, const struct quota_account *a)
{
	uint64_t words[sizeof *a / 8];
	memcpy(words, a, sizeof words);
	return &u->bucket[hash_words13(&u->key, words, sizeof words / 8) & u->mask];
}

static uint32_t find(const struct usage *u, const struct quota_account *a)
{
	uint32_t i = *chain_of(u, a);
	while (i != NONE && !quota_account_equal(&u->item[i].is.account, a))
		i = u->item[i].next;
	return i;
}

/* Minutes with the first that is more, so that the last one is whole. */
static bool is_spent(const struct account *a)
{
	return a->quota && a->is.used + a->quota->bytes > a->quota->amount;
}

static void forget(struct usage *u, uint32_t i)
{
	uint32_t *at = chain_of(u, &u->item[i].is.account);
	u->changed |= is_spent(&u->item[i]);
	while (*at != i)
		at = &u->item[*at].next;
	*at = u->item[i].next;
	u->item[i].there = false;
	u->item[i].next = u->free_head;
	u->free_head = i;
	u->count--;
	u->generation++;
}

/* What is spent goes last: it would begin anew. */
static bool goes_before(const struct account *a, const struct account *b)
{
	return is_spent(a) != is_spent(b) ? is_spent(b) : a->is.used < b->is.used;
}

static bool make_room(struct usage *u)
{
	uint32_t best = NONE;
	for (uint32_t n = 0; n < u->capacity && (n < LOOK || best == NONE); n++) {
		uint32_t i = u->hand++ % u->capacity;
		if (!u->item[i].held && (best == NONE || goes_before(&u->item[i], &u->item[best])))
			best = i;
	}
	if (best != NONE)
		forget(u, best);
	return best != NONE;
}

static const struct quota *quota_of(const struct usage *u, uint64_t id)
{
	return u->snapshot ? snapshot_quota_by_id(u->snapshot, id) : NULL;
}

static uint32_t add(struct usage *u, const struct quota_account *a)
{
	if (u->count == u->capacity && !make_room(u)) {
		u->counters.refused++;
		return NONE;
	}
	uint32_t i = u->free_head, *chain = chain_of(u, a);
	if (i == NONE)
		i = u->fresh++;
	else
		u->free_head = u->item[i].next;
	u->item[i] = (struct account){
		.is.account = *a, .quota = quota_of(u, a->id), .next = *chain, .there = true};
	*chain = i;
	u->count++;
	u->generation++;
	return i;
}

struct usage *usage_new(uint32_t capacity)
{
	struct usage *u = calloc(1, sizeof *u);
	if (!u)
		return NULL;
	uint32_t buckets = 1;
	while (buckets < capacity)
		buckets *= 2;
	u->capacity = capacity;
	u->mask = buckets - 1;
	u->free_head = NONE;
	u->item = table_new(capacity, sizeof *u->item);
	u->bucket = table_new(buckets, sizeof *u->bucket);
	if (!u->item || !u->bucket || !hash_key_random(&u->key)) {
		usage_free(u);
		return NULL;
	}
	memset(u->bucket, 0xff, buckets * sizeof *u->bucket);
	return u;
}

void usage_free(struct usage *u)
{
	if (!u)
		return;
	table_free(u->item, u->capacity, sizeof *u->item);
	table_free(u->bucket, u->mask + 1ul, sizeof *u->bucket);
	free(u);
}

/* ---- periods ---- */

/* What is used stays used where the clock is set back, and where it is set right again: a machine
 * without a clock of its own begins each start in the past, with the accounts of a later day. A
 * period that comes by itself is another one, whatever was used when the clock was ahead. */
static void roll(struct usage *u, struct account *a, int64_t now)
{
	struct usage_memory *m = &a->is;
	int64_t start = m->start, end = m->end;
	if (!a->quota || (start <= now && now < end))
		return;
	quota_period(a->quota, now, &m->start, &m->end);
	u->changed |= is_spent(a);
	if (m->start == start)
		return;
	u->generation++;
	if (m->start < start) {
		if (start >= m->before) {
			m->before = start;
			m->used_before = m->used;
		}
		return;
	}
	bool returns = m->start == m->before && now - end > SET;
	m->used = returns ? m->used_before : 0;
	if (m->start >= m->before)
		m->before = 0;
	u->changed |= is_spent(a);
}

void usage_tick(struct usage *u, int64_t now)
{
	for (uint32_t i = 0; i < u->fresh; i++) {
		struct account *a = &u->item[i];
		bool over = a->there && now >= a->is.end;
		if (!a->there || (a->is.start <= now && now < a->is.end))
			continue;
		roll(u, a, now);
		if (over && !a->held && !(a->quota && (a->is.used || a->is.before)))
			forget(u, i);
	}
}

void usage_policy(struct usage *u, const struct snapshot *s, int64_t now)
{
	u->snapshot = s;
	u->changed = true;
	for (uint32_t i = 0; i < u->fresh; i++) {
		struct account *a = &u->item[i];
		if (!a->there)
			continue;
		a->quota = snapshot_quota_by_id(s, a->is.account.id);
		roll(u, a, now);
	}
}

/* ---- use ---- */

uint32_t usage_hold(struct usage *u, const struct quota_account *a, int64_t now)
{
	uint32_t i = find(u, a);
	if (i == NONE)
		i = add(u, a);
	if (i == NONE)
		return i;
	roll(u, &u->item[i], now);
	u->item[i].held++;
	return i;
}

void usage_hold_again(struct usage *u, uint32_t account)
{
	u->item[account].held++;
}

void usage_release(struct usage *u, uint32_t account)
{
	u->item[account].held--;
}

/* The minute counts when it becomes clear that something goes on in it. */
static uint64_t minutes_of(struct usage_memory *m, uint64_t bytes, int64_t now)
{
	int64_t minute = now / (60 * NS_PER_S);
	if (minute != m->minute)
		m->moved = 0;
	m->minute = minute;
	bool quiet = m->moved <= USAGE_STIR;
	m->moved += bytes;
	return quiet && m->moved > USAGE_STIR;
}

void usage_add(struct usage *u, uint32_t account, uint64_t bytes, int64_t now)
{
	struct account *a = &u->item[account];
	if (!a->quota)
		return;
	roll(u, a, now);
	bool was = is_spent(a);
	a->is.used += a->quota->bytes ? bytes : minutes_of(&a->is, bytes, now);
	u->changed |= is_spent(a) != was;
	u->generation++;
}

bool usage_is_spent(const struct usage *u, uint32_t account)
{
	return is_spent(&u->item[account]);
}

bool usage_changed(const struct usage *u)
{
	return u->changed;
}

struct spent *usage_spent(struct usage *u, int64_t now, bool *failed)
{
	size_t count = 0;
	*failed = false;
	for (uint32_t i = 0; i < u->fresh; i++)
		count += u->item[i].there && is_spent(&u->item[i]) && u->item[i].is.end > now;
	u->counters.spent = count;
	u->changed = false;
	struct spent *p = count ? spent_new(count, ++u->published) : NULL;
	*failed = count && !p;
	for (uint32_t i = 0; p && i < u->fresh; i++) {
		const struct account *a = &u->item[i];
		if (a->there && is_spent(a) && a->is.end > now)
			spent_add(p, &a->is.account, a->is.end);
	}
	u->changed |= *failed;
	return p;
}

uint64_t usage_of(struct usage *u, const struct quota *q, const struct quota_who *who, int64_t now)
{
	const struct quota_account account = {q->id, *who};
	uint32_t i = find(u, &account);
	if (i == NONE)
		return 0;
	roll(u, &u->item[i], now);
	return u->item[i].is.used;
}

/* ---- over restarts ---- */

bool usage_each(const struct usage *u, uint32_t *slot, uint32_t *account, struct usage_memory *out)
{
	while (*slot < u->fresh && !u->item[*slot].there)
		(*slot)++;
	if (*slot >= u->fresh)
		return false;
	*account = *slot;
	*out = u->item[(*slot)++].is;
	return true;
}

uint32_t usage_restore(struct usage *u, const struct usage_memory *m)
{
	uint32_t i = find(u, &m->account);
	if (i == NONE)
		i = add(u, &m->account);
	if (i != NONE)
		u->item[i].is = *m;
	u->changed = true;
	return i;
}

uint64_t usage_generation(const struct usage *u)
{
	return u->generation;
}

void usage_count(const struct usage *u, struct usage_counters *out)
{
	*out = u->counters;
	out->accounts = u->count;
}

static const struct metric rows[] = {
	METRIC(usage_counters, accounts, GAUGE, "accounts", "whose use of a quota is counted"),
	METRIC(usage_counters, spent, GAUGE, "accounts", "those who have used it up"),
	METRIC(usage_counters, refused, COUNTER, "flows",
	       "flows whose use is not counted, as the table of those who use quotas is full"),
};
METRICS(usage_metrics, "quota", usage_counters, rows);
