/* Random small policies: the compiled decision against a reading of struct config itself. */
#include "unit.h"

#include "policy/decide.h"
#include "policy/random_policy.h"
#include "policy/why.h"

/* ---- the naive twin ---- */

static const struct config_tier *tier_named(const struct config *c, const char *name)
{
	for (size_t i = 0; name && i < c->tier_count; i++)
		if (strcmp(c->tiers[i].name, name) == 0)
			return &c->tiers[i];
	return NULL;
}

static bool tier_is(const struct config *c, const char *tier, const char *named)
{
	if (strcmp(tier, named) == 0)
		return true;
	const struct config_tier *t = tier_named(c, tier);
	for (size_t i = 0; i < t->includes.count; i++)
		if (tier_is(c, t->includes.item[i], named))
			return true;
	return false;
}

static bool entry_covers(const struct site_entry *e, const struct host *h)
{
	size_t n = e->host.len, m = h->len;
	if (e->kind == SITE_NETWORK || n > m || memcmp(e->host.text, h->text + m - n, n) != 0)
		return false;
	return n == m || (e->kind != SITE_EXACT && h->text[m - n - 1] == '.');
}

/* The longest entry counts; at one name an exact one, then an exception, then one not shared. */
static int rank(const struct site_entry *e)
{
	return e->host.len * 8 +
	       (e->kind == SITE_EXACT      ? 4
		: e->kind == SITE_NOT_TREE ? 2
					   : 0) +
	       (e->kind != SITE_NOT_TREE && !e->shared);
}

static const struct site_entry *best_name(const struct config_site *s, const struct host *h)
{
	const struct site_entry *best = NULL;
	for (size_t l = 0; l < s->count; l++)
		for (size_t i = 0; i < s->list[l].count; i++) {
			const struct site_entry *e = s->list[l].item[i];
			if (entry_covers(e, h) && (!best || rank(e) > rank(best)))
				best = e;
		}
	return best;
}

static bool takes(const struct site_entry *e, bool opens)
{
	return e && e->kind != SITE_NOT_TREE && (opens || !e->shared);
}

static bool site_by_name(const struct config_site *s, const struct host *h, bool opens)
{
	return takes(best_name(s, h), opens);
}

static int width(const struct site_entry *e)
{
	return e->network.bits * 2 + !e->shared;
}

static bool site_by_address(const struct config_site *s, const struct address *a, bool opens)
{
	const struct site_entry *best = NULL;
	for (size_t l = 0; l < s->count; l++)
		for (size_t i = 0; i < s->list[l].count; i++) {
			const struct site_entry *e = s->list[l].item[i];
			if (e->kind == SITE_NETWORK && network_has(&e->network, a) &&
			    (!best || width(e) > width(best)))
				best = e;
		}
	return takes(best, opens);
}

static bool is_exception(const struct config_site *s, const struct host *h)
{
	const struct site_entry *best = h ? best_name(s, h) : NULL;
	return best && best->kind == SITE_NOT_TREE;
}

static const struct config_site *site_named(const struct config *c, const char *name)
{
	for (size_t k = 0; k < c->site_count; k++)
		if (strcmp(c->sites[k].name, name) == 0)
			return &c->sites[k];
	return NULL;
}

/* The name, where it may open something. */
static const struct host *good_name(const struct facts *f)
{
	return f->evidence > EVIDENCE_ECH_OUTER ? f->host : NULL;
}

/* In a site that the line does not hold for: an exception of a deny line opens. */
static bool excepted(const struct config *c, const struct config_line *l, bool deny,
		     const struct facts *f)
{
	const struct host *name = deny ? good_name(f) : f->host;
	for (size_t i = 0; i < l->except.count; i++) {
		const struct config_site *s = site_named(c, l->except.item[i]);
		if ((name && site_by_name(s, name, deny)) ||
		    (site_by_address(s, &f->server, deny) && !is_exception(s, f->host)))
			return true;
	}
	return false;
}

static const struct config_schedule *schedule_named(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->schedule_count; i++)
		if (strcmp(c->schedules[i].name, name) == 0)
			return &c->schedules[i];
	return NULL;
}

static bool span_has(const struct span *s, size_t count, int64_t at)
{
	for (size_t i = 0; i < count; i++)
		if (s[i].from <= at && at < s[i].to)
			return true;
	return false;
}

/* Within one range of hours that begins on a day. */
static bool hours_on(const struct config_hours *h, int64_t day, int64_t second)
{
	int64_t from = day * 86400 + h->from * 60, to = day * 86400 + h->to * 60;
	return second >= from && second < to + (h->to <= h->from ? 86400 : 0);
}

/* A schedule as its own words have it, all of them in UTC; but for what it excepts. */
static bool on_itself(const struct config_schedule *s, int64_t second)
{
	int64_t today = second / 86400;
	for (int64_t day = today - 1; day <= today; day++)
		for (size_t i = 0; i < s->hours_count; i++)
			if (s->days >> (day + 3) % 7 & 1 && hours_on(&s->hours[i], day, second) &&
			    (!s->dated || span_has(s->dates.day, s->dates.days, day) ||
			     span_has(s->dates.time, s->dates.times, second)))
				return true;
	return false;
}

static bool on(const struct config *c, const struct config_schedule *s, int64_t second)
{
	const struct config_dates *not = &s->except_dates;
	bool off = s->not_within && on_itself(schedule_named(c, s->not_within), second);
	for (size_t i = 0; i < s->except.count; i++)
		off |= on_itself(schedule_named(c, s->except.item[i]), second);
	off |= span_has(not ->day, not ->days, second / 86400) ||
	       span_has(not ->time, not ->times, second);
	return on_itself(s, second) && !off;
}

static bool line_open(const struct config *c, const struct config_line *l, bool deny,
		      const struct facts *f, int64_t now)
{
	static const struct config_port usual[] = {
		{IPPROTO_TCP, 80, 80}, {IPPROTO_TCP, 443, 443}, {IPPROTO_UDP, 443, 443}};
	const struct config_port *p = l->port_count ? l->ports : usual;
	bool tier = false, port = false;
	for (size_t i = 0; i < l->tiers.count; i++)
		tier |= strcmp(l->tiers.item[i], "*") == 0 ||
			(deny ? strcmp(f->tier, l->tiers.item[i]) == 0
			      : tier_is(c, f->tier, l->tiers.item[i]));
	for (size_t i = 0; i < (l->port_count ? l->port_count : 3); i++)
		port |= p[i].transport == f->transport && p[i].first <= f->port &&
			f->port <= p[i].last;
	bool time = !l->when || on(c, schedule_named(c, l->when), now / NS_PER_S);
	return tier && port && time && (!l->expires || now < l->expires);
}

static enum evidence weakest(enum config_evidence e)
{
	return e == CONFIG_EVIDENCE_ANY            ? EVIDENCE_NONE
	       : e == CONFIG_EVIDENCE_DNS          ? EVIDENCE_DNS
	       : e == CONFIG_EVIDENCE_NAME_ADDRESS ? EVIDENCE_HOST_DNS
						   : EVIDENCE_HOST;
}

static bool enough(const struct config *c, const struct config_line *l, const struct facts *f,
		   enum evidence known)
{
	const struct config_tier *t = tier_named(c, f->tier);
	enum config_evidence e = l->evidence ? l->evidence : t->evidence;
	enum config_mismatch m = l->mismatch   ? l->mismatch
				 : t->mismatch ? t->mismatch
					       : c->mismatch;
	bool strict = m == CONFIG_MISMATCH_DENY || e == CONFIG_EVIDENCE_NAME_ADDRESS;
	return known >= weakest(e) && !(f->host && f->mismatch && strict);
}

static bool line_matches(const struct config *c, const struct config_line *l, bool deny,
			 const struct facts *f, int64_t now)
{
	if (!line_open(c, l, deny, f, now) || excepted(c, l, deny, f))
		return false;
	for (size_t i = 0; i < l->sites.count; i++) {
		bool any = strcmp(l->sites.item[i], "*") == 0;
		const struct config_site *s = site_named(c, l->sites.item[i]);
		const struct host *out = deny ? good_name(f) : f->host;
		if (f->host && (any || site_by_name(s, f->host, !deny)) &&
		    (deny || enough(c, l, f, f->evidence)))
			return true;
		if ((any || (site_by_address(s, &f->server, !deny) && !is_exception(s, out))) &&
		    (deny || enough(c, l, f, EVIDENCE_ADDRESS)))
			return true;
	}
	return false;
}

/* What is without end is not counted: lines with a quota come last. */
static uint32_t first_of(const struct config *c, const struct config_line *lines, size_t count,
			 bool deny, enum config_line_mode mode, const struct facts *f, int64_t now)
{
	for (int limited = 0; limited < 2; limited++)
		for (size_t i = 0; i < count; i++)
			if (lines[i].mode == mode && !lines[i].quota.amount == !limited &&
			    line_matches(c, &lines[i], deny, f, now))
				return (uint32_t)i;
	return RULE_NONE;
}

/* The number of the first line that matches, or RULE_NONE. */
static uint32_t first(const struct config *c, const struct config_line *lines, size_t count,
		      bool deny, const struct facts *f, int64_t now)
{
	return first_of(c, lines, count, deny, CONFIG_LINE_UNSET, f, now);
}

static struct outcome naive(const struct config *c, const struct facts *f, int64_t now)
{
	struct outcome o = {.action = ACTION_DENY,
			    .reason = REASON_NO_LINE,
			    .rule = RULE_NONE,
			    .site = SITE_NONE};
	if (network_has(&c->internal.item[0], &f->server))
		return (struct outcome){.action = ACTION_ALLOW,
					.reason = REASON_INTERNAL,
					.rule = RULE_NONE,
					.site = SITE_NONE};
	if (!tier_named(c, f->tier)) {
		o.reason = REASON_NO_TIER;
		return o;
	}
	uint32_t rule = first(c, c->deny, c->deny_count, true, f, now);
	if (rule != RULE_NONE)
		return (struct outcome){.reason = REASON_DENY_LINE,
					.rule = rule + (uint32_t)c->allow_count};
	o.rule = first(c, c->allow, c->allow_count, false, f, now);
	if (o.rule != RULE_NONE) {
		rule = first_of(c, c->deny, c->deny_count, true, CONFIG_LINE_OBSERVE, f, now);
		o.action = ACTION_ALLOW;
		o.reason = REASON_ALLOW_LINE;
		o.watched = rule != RULE_NONE;
		o.watched_rule = o.watched ? rule + (uint32_t)c->allow_count : 0;
	}
	return o;
}

/* ---- the comparison ---- */

static bool reason_is_of_allow(enum reason r)
{
	return r == REASON_ALLOW_LINE || r == REASON_INTERNAL;
}

static void check_why(const struct snapshot *s, const struct facts *f, int64_t now,
		      struct outcome got)
{
	struct why why;
	why_explain(s, f, now, &why);
	assert_int_equal(why.outcome.action, got.action);
	assert_int_equal(why.outcome.reason, got.reason);
	assert_string_equal(why.rule, snapshot_rule_name(s, got.rule));
	assert_true((why.obstacle_count == 0) == (got.action == ACTION_ALLOW));
}

/* What is said while a name may still come must hold for whatever comes. */
static void check_waiting(const struct snapshot *s, const struct flow_facts *x, int64_t now)
{
	struct flow_facts y = *x;
	y.f.waiting = true;
	y.f.host = NULL;
	y.f.evidence = EVIDENCE_ADDRESS;
	y.f.mismatch = false;
	struct outcome early = decide(s, &y.f, now), late = decide(s, &x->f, now);
	if (early.action != ACTION_WAIT) {
		assert_int_equal(early.action, late.action);
		assert_int_equal(early.watched, late.watched);
	} else {
		assert_true(late.action != ACTION_WAIT);
	}
	y.f.host = &y.host;
	y.f.evidence = EVIDENCE_DNS;
	struct outcome weak = decide(s, &y.f, now);
	assert_int_equal(weak.action, early.action); /* a weak name decides nothing early */
	y.f.evidence = EVIDENCE_SNI;
	assert_true(decide(s, &y.f, now).action != ACTION_WAIT);
}

/* no-line means that no name and no evidence would help; the other reasons that one would. */
static void check_reason(const struct config *c, const struct flow_facts *x, int64_t now,
			 enum reason reason)
{
	struct flow_facts y = *x;
	bool helps = false;
	if (reason < REASON_NO_LINE || reason == REASON_NO_TIER || reason == REASON_DENY_LINE)
		return;
	y.f.evidence = EVIDENCE_SNI_DNS;
	y.f.mismatch = false;
	y.f.host = &y.host;
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts && !helps; i++) {
		if (!x->f.host)
			y.host = build_host(hosts[i]);
		helps = first(c, c->allow, c->allow_count, false, &y.f, now) != RULE_NONE;
	}
	if (reason == REASON_NO_LINE)
		assert_false(helps);
	else if (reason == REASON_WEAK_EVIDENCE || reason == REASON_NAME_ADDRESS_MISMATCH)
		assert_true(helps && x->f.host);
	else if (reason == REASON_NO_NAME)
		assert_null(x->f.host); /* sites may hold only names that are not tried here */
}

/* What is denied early would be denied late, by a name of these, by any other, and by none. */
static void check_early(const struct snapshot *s, const struct flow_facts *x, int64_t now,
			unsigned *early)
{
	struct host names[3];
	struct flow_facts y = *x;
	size_t count = random_below(4);
	for (size_t i = 0; i < count; i++)
		names[i] = build_host(PICK(hosts));
	y.f.waiting = true;
	y.f.host = NULL;
	y.f.evidence = EVIDENCE_ADDRESS;
	y.f.mismatch = false;
	if (decide(s, &y.f, now).action != ACTION_WAIT)
		return;
	struct outcome o = decide_early(s, &y.f, names, count, now);
	assert_true(o.action == ACTION_WAIT || o.action == ACTION_DENY);
	assert_true(count > 0 || o.action == ACTION_WAIT);
	if (o.action == ACTION_WAIT)
		return;
	++*early;
	y.f.waiting = false;
	assert_int_equal(decide(s, &y.f, now).action, ACTION_DENY);
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		bool agrees = false;
		y.host = build_host(hosts[i]);
		y.f.host = &y.host;
		for (size_t k = 0; k < count; k++)
			agrees |= strcmp(names[k].text, hosts[i]) == 0;
		y.f.mismatch = !agrees;
		y.f.evidence = agrees ? EVIDENCE_SNI_DNS : EVIDENCE_SNI;
		assert_int_equal(decide(s, &y.f, now).action, ACTION_DENY);
	}
}

static unsigned watched;

static void compare(const struct config *c, const struct snapshot *s, unsigned *allowed,
		    unsigned *early)
{
	for (int i = 0; i < 60; i++) {
		struct flow_facts x;
		random_facts(&x);
		x.f.host = x.f.host ? &x.host : NULL;
		int64_t now = chance(50) ? NOW : NOW + (int64_t)random_below(14 * 86400) * NS_PER_S;
		struct outcome want = naive(c, &x.f, now), got = decide(s, &x.f, now);
		assert_int_equal(got.action, want.action);
		assert_int_equal(got.rule, want.rule);
		assert_int_equal(got.watched, want.watched);
		assert_int_equal(got.watched_rule, want.watched_rule);
		watched += got.watched;
		if (want.reason != REASON_NO_LINE)
			assert_int_equal(got.reason, want.reason);
		assert_true(reason_is_of_allow(got.reason) == (got.action == ACTION_ALLOW));
		*allowed += got.reason == REASON_ALLOW_LINE;
		check_why(s, &x.f, now, got);
		check_reason(c, &x, now, got.reason);
		check_waiting(s, &x, now);
		check_early(s, &x, now, early);
	}
}

static void test_twin(void **state)
{
	unsigned compiled = 0, allowed = 0, early = 0;
	for (int round = 0; round < 1500; round++) {
		struct config c;
		struct errors errors = {0};
		random_config(&c);
		struct snapshot *s = snapshot_compile(&c, &errors);
		if (s) {
			compiled++;
			compare(&c, s, &allowed, &early);
		}
		assert_true((s == NULL) == (errors.count > 0));
		errors_deinit(&errors);
		snapshot_free(s);
		build_free(&c);
	}
	assert_true(compiled > 1000); /* the rest has lines that can never match */
	assert_true(allowed > 3000);
	assert_true(early > 300);
	assert_true(watched > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_twin)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
