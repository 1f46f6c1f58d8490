#include "advice/try.h"

#include "advice/limits.h"
#include "base/array.h"
#include "policy/decide.h"
#include "policy/quota.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS (4 * TRY_GROUPS) /* a power of two */

struct trial {
	const struct snapshot *policy[2]; /* old, new */
	struct limits *limits;
	struct try_group *groups;
	size_t group_count;
	uint32_t *group_slots; /* number + 1; 0: free */
	struct people *people;
	struct try_counts counts;
};

/* ---- what a policy makes of a record ---- */

enum answer { NO, YES, MAYBE };

/* A record as a question: what is known of the flow, and what by each of the policies. */
struct asked {
	struct facts facts;
	bool may_be_named; /* it was decided before a name of its own could come */
	const char *tier[2];
	struct outcome outcome[2];
	enum answer answer[2];
	const char *quota[2]; /* as limits_of */
};

static enum reason reason_of(const struct decision *d)
{
	return d->observed && d->would_deny ? d->would : d->reason;
}

static bool was_allowed(const struct decision *d)
{
	return d->observed ? !d->would_deny : d->action == ACTION_ALLOW;
}

/* Did policy decide it, and not what the flow was like? */
static bool by_policy(enum reason r)
{
	switch (r) {
	case REASON_ALLOW_LINE:
	case REASON_INTERNAL:
	case REASON_OBSERVE:
	case REASON_NO_LINE:
	case REASON_DENY_LINE:
	case REASON_LOCKDOWN:
	case REASON_QUOTA_SPENT:
	case REASON_NO_TIER:
	case REASON_NO_NAME:
	case REASON_WEAK_EVIDENCE:
	case REASON_NAME_ADDRESS_MISMATCH:
	case REASON_NAME_FORGOTTEN: return true;
	default: return false;
	}
}

/* Where somebody is known without signing in, each policy says by itself with which tier. */
static void set_tiers(const struct trial *t, const struct decision *d, const char *tier[2])
{
	const uint8_t *mac = d->has_mac ? d->mac : NULL;
	const char *user;
	tier[0] = snapshot_static(t->policy[0], &d->client, mac, &user);
	if (d->user[0] && strcmp(d->user, user) != 0)
		tier[0] = tier[1] = d->tier;
	else
		tier[1] = snapshot_static(t->policy[1], &d->client, mac, &user);
}

static void ask(const struct trial *t, const struct decision *d, struct asked *a)
{
	enum reason r = reason_of(d);
	bool named = d->evidence > EVIDENCE_ADDRESS && d->host.len;
	*a = (struct asked){
		.facts = {.client = d->client,
			  .server = d->server,
			  .port = d->server_port,
			  .transport = d->transport,
			  .host = named ? &d->host : NULL,
			  .evidence = named ? d->evidence : EVIDENCE_ADDRESS,
			  .mismatch = d->evidence == EVIDENCE_HOST || d->evidence == EVIDENCE_SNI},
		.may_be_named = (d->evidence <= EVIDENCE_ADDRESS || d->evidence == EVIDENCE_DNS) &&
				r != REASON_NO_NAME && r != REASON_WEAK_EVIDENCE &&
				r != REASON_NAME_FORGOTTEN};
	/* where neither policy says so, its server was on the client's own segment */
	a->facts.stays = r == REASON_INTERNAL && !snapshot_internal(t->policy[0], &d->server) &&
			 !snapshot_internal(t->policy[1], &d->server);
	set_tiers(t, d, a->tier);
}

/* What a policy says of the flow; MAYBE where that hangs on a name that may not have come yet. A
 * name that DNS told is taken for the one that would come. */
static enum answer answer(const struct snapshot *s, const struct asked *a, int p, int64_t now,
			  struct outcome *o)
{
	struct facts f = a->facts;
	f.tier = a->tier[p];
	*o = decide(s, &f, now);
	if (!a->may_be_named)
		return o->action == ACTION_ALLOW ? YES : NO;
	f.waiting = true;
	struct outcome early = decide(s, &f, now);
	if (early.action != ACTION_WAIT) {
		*o = early;
		return early.action == ACTION_ALLOW ? YES : NO;
	}
	f.waiting = false;
	f.evidence = EVIDENCE_SNI_DNS;
	struct outcome late = f.host ? decide(s, &f, now) : *o;
	if (f.host && late.action == o->action)
		return o->action == ACTION_ALLOW ? YES : NO;
	if (f.host)
		*o = late;
	return MAYBE;
}

static enum try_change change_of(const struct asked *a, bool was_allowed)
{
	enum answer was = a->answer[0], is = a->answer[1];
	if (was == MAYBE && is == MAYBE) {
		if (a->outcome[0].action == a->outcome[1].action)
			return TRY_SAME;
		return a->outcome[1].action == ACTION_ALLOW ? TRY_MAY_GAIN : TRY_MAY_LOSE;
	}
	if (was == MAYBE) /* the old policy waited, and the record tells what came of it */
		was = was_allowed ? YES : NO;
	if (was == is)
		return TRY_SAME;
	if (is == MAYBE)
		return was == YES ? TRY_MAY_LOSE : TRY_MAY_GAIN;
	return is == YES ? TRY_GAINS : TRY_LOSES;
}

/* Under which quotas each of the policies allows it, as it was known. */
static void set_quotas(const struct trial *t, struct asked *a, int64_t now)
{
	struct facts f = a->facts;
	if (!snapshot_has_quotas(t->policy[0]) && !snapshot_has_quotas(t->policy[1]))
		return; /* most policies; this is asked of each record */
	for (int p = 0; p < 2; p++) {
		f.tier = a->tier[p];
		a->quota[p] = limits_of(t->limits, t->policy[p], &f, now);
	}
}

static bool quotas_differ(const struct asked *a)
{
	return a->quota[0] && a->quota[1] && strcmp(a->quota[0], a->quota[1]) != 0;
}

/* ---- groups ---- */

static uint32_t hash_text(uint32_t h, const char *text)
{
	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 16777619u;
	return (h ^ 0xff) * 16777619u;
}

static bool same_group(const struct try_group *a, const struct try_group *b)
{
	bool quotas = a->was_quota == b->was_quota && a->is_quota == b->is_quota;
	return a->change == b->change && a->is_site == b->is_site && strcmp(a->to, b->to) == 0 &&
	       strcmp(a->tier, b->tier) == 0 && strcmp(a->user, b->user) == 0 &&
	       (quotas || a->change != TRY_QUOTA);
}

static void count_group(struct trial *t, const struct try_group *g, uint64_t flows)
{
	uint32_t h =
		hash_text(hash_text(hash_text(2166136261u + g->change, g->tier), g->user), g->to);
	uint32_t *slot;
	t->counts.changed += flows;
	for (;; h++) {
		slot = &t->group_slots[h % SLOTS];
		if (!*slot || same_group(&t->groups[*slot - 1], g))
			break;
	}
	if (!*slot && t->group_count == TRY_GROUPS) {
		t->counts.ungrouped += flows;
		return;
	}
	if (!*slot) {
		t->groups[t->group_count++] = *g;
		*slot = (uint32_t)t->group_count;
	}
	t->groups[*slot - 1].flows += flows;
}

static void set_text(char *to, size_t room, const char *from)
{
	size_t len = strnlen(from ? from : "", room - 1);
	memcpy(to, from ? from : "", len);
	to[len] = '\0';
}

#define SET(to, from) set_text(to, sizeof(to), from)

/* A group of one flow, but for what policies say. */
static void group_of(const struct decision *d, enum try_change change, const char *tier,
		     const char *site, struct try_group *g)
{
	char address[ADDRESS_TEXT];
	memset(g, 0, sizeof *g);
	g->change = change;
	g->is_site = site[0];
	SET(g->tier, tier);
	SET(g->user, d->user);
	SET(g->to, site[0]       ? site
		   : d->host.len ? d->host.text
				 : address_format(&d->server, address));
	g->time = d->time;
	g->client = d->client;
	g->server = d->server;
	g->host = d->host;
	g->port = d->server_port;
	g->transport = d->transport;
}

static void count_change(struct trial *t, const struct decision *d, const struct asked *a,
			 enum try_change change, uint64_t flows)
{
	struct try_group g;
	/* the policy that allows */
	int gives = change == TRY_GAINS || change == TRY_MAY_GAIN || change == TRY_QUOTA;
	const char *site = snapshot_site_name(t->policy[gives], a->outcome[gives].site);
	group_of(d, change, a->tier[gives], site, &g);
	g.was = a->outcome[0].reason;
	g.is = a->outcome[1].reason;
	SET(g.was_rule, snapshot_rule_name(t->policy[0], a->outcome[0].rule));
	SET(g.is_rule, snapshot_rule_name(t->policy[1], a->outcome[1].rule));
	g.was_quota = a->quota[0];
	g.is_quota = a->quota[1];
	count_group(t, &g, flows);
}

/* ---- records ---- */

static void count_record(struct trial *t, const struct decision *d, uint64_t flows)
{
	t->counts.records++;
	t->counts.flows += flows;
	t->counts.other_policy += strcmp(d->policy, snapshot_digest(t->policy[0])) != 0;
	if (d->user[0])
		people_count(t->people, d->user);
}

void try_record(struct trial *t, const struct decision *d)
{
	struct asked a;
	uint64_t flows = d->kind == DECISION_REPEATED ? d->count : 1;
	if (d->kind == DECISION_LOST)
		t->counts.lost += d->count;
	if (d->kind != DECISION_DECIDED && d->kind != DECISION_REPEATED)
		return;
	count_record(t, d, flows);
	if (!by_policy(reason_of(d))) {
		t->counts.outside += flows;
		return;
	}
	ask(t, d, &a);
	for (int p = 0; p < 2; p++)
		a.answer[p] = answer(t->policy[p], &a, p, d->time, &a.outcome[p]);
	t->counts.unknown_tier +=
		a.tier[1] && a.tier[1][0] && !snapshot_has_tier(t->policy[1], a.tier[1]);
	/* a line in observe mode is said to deny, and the policy says that it does not */
	bool was = was_allowed(d) || (d->observed && a.outcome[0].watched);
	if (a.answer[0] != MAYBE && (a.answer[0] == YES) != was)
		t->counts.otherwise += flows;
	enum try_change change = change_of(&a, was);
	set_quotas(t, &a, d->time);
	if (change == TRY_SAME && a.answer[0] == YES && a.answer[1] == YES && quotas_differ(&a))
		change = TRY_QUOTA;
	if (change != TRY_SAME)
		count_change(t, d, &a, change, flows);
}

void try_pair(struct trial *t, const struct decision *was, const struct decision *is)
{
	struct try_group g;
	struct asked a;
	bool gains = was_allowed(is), same = was_allowed(was) == gains;
	count_record(t, was, 1);
	ask(t, is, &a);
	a.tier[0] = was->tier;
	a.tier[1] = is->tier;
	set_quotas(t, &a, is->time);
	if (same && !(gains && quotas_differ(&a)))
		return;
	const struct decision *gives = gains ? is : was;
	group_of(is,
		 same    ? TRY_QUOTA
		 : gains ? TRY_GAINS
			 : TRY_LOSES,
		 gives->tier, gives->site, &g);
	g.was_quota = a.quota[0];
	g.is_quota = a.quota[1];
	g.was = reason_of(was);
	g.is = reason_of(is);
	SET(g.was_rule, was->rule);
	SET(g.is_rule, is->rule);
	count_group(t, &g, 1);
}

/* ---- the trial ---- */

struct trial *try_new(const struct snapshot *old, const struct snapshot *new)
{
	struct trial *t = must(calloc(1, sizeof *t));
	t->policy[0] = old;
	t->policy[1] = new;
	t->limits = limits_new();
	t->groups = must(calloc(TRY_GROUPS, sizeof *t->groups));
	t->people = people_new();
	t->group_slots = must(calloc(SLOTS, sizeof *t->group_slots));
	return t;
}

void try_free(struct trial *t)
{
	if (!t)
		return;
	limits_free(t->limits);
	free(t->groups);
	people_free(t->people);
	free(t->group_slots);
	free(t);
}

static int by_weight(const void *a, const void *b)
{
	const struct try_group *x = a, *y = b;
	if (x->change != y->change)
		return x->change < y->change ? -1 : 1;
	if (x->flows != y->flows)
		return x->flows > y->flows ? -1 : 1;
	int order = strcmp(x->tier, y->tier);
	order = order ? order : strcmp(x->user, y->user);
	order = order ? order : strcmp(x->to, y->to);
	if (order || x->change != TRY_QUOTA)
		return order;
	order = strcmp(x->was_quota, y->was_quota);
	return order ? order : strcmp(x->is_quota, y->is_quota);
}

const struct try_group *try_groups(struct trial *t, size_t *count)
{
	qsort(t->groups, t->group_count, sizeof *t->groups, by_weight);
	memset(t->group_slots, 0, SLOTS * sizeof *t->group_slots); /* they have moved */
	*count = t->group_count;
	return t->groups;
}

const struct try_counts *try_counted(const struct trial *t)
{
	return &t->counts;
}

const char *try_change_text(enum try_change c)
{
	static const char *const text[] = {
#define X(id, text) text,
		TRY_LIST(X)
#undef X
	};
	return text[c];
}

const struct people *try_people(const struct trial *t)
{
	return t->people;
}
