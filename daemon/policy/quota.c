#include "policy/quota.h"

#include "base/hash.h"
#include "config/value.h"
#include "policy/compiled.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* ---- whose ---- */

void quota_whose(const struct quota *q, const struct facts *f, struct quota_who *out)
{
	memset(out, 0, sizeof *out);
	if (q->together)
		return;
	if (f->user && f->user[0])
		user_name_fold(f->user, out->user);
	else
		out->host = f->whose ? *f->whose : host_key_address(&f->client);
}

static void host_format(const struct host_key *k, struct buf *b)
{
	char text[ADDRESS_TEXT];
	struct network n = {.bits = 64};
	uint8_t mac[6];
	memcpy(n.base.bytes, k->word, sizeof n.base.bytes);
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)(k->word[1] >> 8 * i);
	if (host_key_is_mac(k))
		mac_format(mac, b);
	else if (address_is4(&n.base))
		buf_text(b, address_format(&n.base, text));
	else
		network_format(&n, b);
}

void quota_who_format(const struct quota_who *w, struct buf *b)
{
	static const struct host_key nobody;
	if (w->user[0]) {
		buf_printf(b, "user %s", w->user);
	} else if (host_key_equal(&w->host, &nobody)) {
		buf_text(b, "all together");
	} else {
		buf_text(b, "host ");
		host_format(&w->host, b);
	}
}

bool quota_account_equal(const struct quota_account *a, const struct quota_account *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

/* ---- when ---- */

/* The n-th period's beginning, by its local days since 1970: seconds. */
static int64_t begin_of(const struct quota *q, int64_t day)
{
	return zone_utc(q->zone, day * DAY_S + q->minute * 60);
}

/* The first day at or before one on which a period begins. */
static int64_t first_day(const struct quota *q, int64_t day)
{
	return q->week ? day - (day_of_week(day) + 7 - q->day) % 7 : day;
}

/* An hour that the clock says twice, or skips, may move a beginning past the day that the clock
 * says: the day after is tried first. */
void quota_period(const struct quota *q, int64_t now, int64_t *start, int64_t *end)
{
	int64_t t = floor_div(now, NS_PER_S), step = q->week ? 7 : 1;
	int64_t local = t + zone_offset(q->zone, now);
	int64_t day = first_day(q, floor_div(local, DAY_S) + 1);
	while (begin_of(q, day) > t)
		day -= step;
	*start = begin_of(q, day) * NS_PER_S;
	*end = begin_of(q, day + step) * NS_PER_S;
}

/* ---- of a snapshot ---- */

const struct quota *snapshot_quota(const struct snapshot *s, uint32_t rule)
{
	return rule < s->line_count ? s->lines[rule].quota : NULL;
}

const struct quota *snapshot_quota_by_id(const struct snapshot *s, uint64_t id)
{
	for (size_t i = 0; i < s->quota_count; i++)
		if (s->quotas[i]->id == id)
			return s->quotas[i];
	return NULL;
}

bool snapshot_has_quotas(const struct snapshot *s)
{
	return s->quota_count > 0;
}

const struct quota *const *snapshot_quotas(const struct snapshot *s, size_t *count)
{
	*count = s->quota_count;
	return (const struct quota *const *)s->quotas;
}

/* ---- spent ---- */

struct one {
	struct quota_account account;
	int64_t until; /* 0: free */
};

struct spent {
	uint64_t generation;
	struct hash_key key;
	int64_t first; /* when the first of them begins anew; 0: none does */
	size_t mask;
	struct one slot[];
};

struct spent *spent_new(size_t count, uint64_t generation)
{
	size_t slots = 8;
	while (slots < count * 2)
		slots *= 2;
	struct spent *p = calloc(1, sizeof *p + slots * sizeof *p->slot);
	if (!p || !hash_key_random(&p->key)) {
		free(p);
		return NULL;
	}
	p->generation = generation;
	p->mask = slots - 1;
	return p;
}

static struct one *slot_of(struct spent *p, const struct quota_account *a)
{
	_Static_assert(sizeof *a % 8 == 0, "whole words, without a hole");
	uint64_t words[sizeof *a / 8];
	memcpy(words, a, sizeof words);
	size_t at = hash_words13(&p->key, words, sizeof words / 8) & p->mask;
	while (p->slot[at].until && !quota_account_equal(&p->slot[at].account, a))
		at = (at + 1) & p->mask;
	return &p->slot[at];
}

void spent_add(struct spent *p, const struct quota_account *a, int64_t until)
{
	*slot_of(p, a) = (struct one){*a, until};
	if (!p->first || until < p->first)
		p->first = until;
}

void spent_free(struct spent *p)
{
	free(p);
}

struct spent *snapshot_spend(struct snapshot *s, struct spent *p)
{
	return atomic_exchange_explicit(&s->spent, p, memory_order_acq_rel);
}

static struct spent *spent_of(const struct snapshot *s)
{
	return atomic_load_explicit(&s->spent, memory_order_acquire);
}

uint64_t snapshot_spent_generation(const struct snapshot *s)
{
	const struct spent *p = spent_of(s);
	return p ? p->generation : 0;
}

int64_t quota_spent_until(const struct snapshot *s, const struct quota *q, const struct facts *f,
			  int64_t now)
{
	struct spent *p = spent_of(s);
	struct quota_account a = {.id = q->id};
	if (!p)
		return 0;
	quota_whose(q, f, &a.who);
	int64_t until = slot_of(p, &a)->until;
	return now < until ? until : 0;
}

/* What begins anew later is told by what is put in force when the first has. */
int64_t spent_next_edge(const struct snapshot *s, int64_t now)
{
	const struct spent *p = spent_of(s);
	return p && p->first > now ? p->first : 0;
}
