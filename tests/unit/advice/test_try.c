/* What try says of records, against deciding each by both policies; who somebody is; what counts.
 */
#include "advice/try.h"
#include "unit.h"

#include "policy/decide.h"
#include "policy/naive_limits.h"
#include "policy/random_policy.h"

/* ---- against deciding each record by both policies ---- */

struct naive {
	enum try_change change;
	char tier[TIER_MAX], user[USER_MAX], to[HOST_MAX + 1];
	char quota[2][512]; /* of TRY_QUOTA */
	uint64_t flows;
};

static struct decision record_of(const struct facts *f, int64_t now, const struct outcome *o)
{
	static const char *const users[] = {"ann", "bob", "eve"};
	struct decision d = {
		.time = now,
		.action = o->action,
		.reason = o->reason,
		.evidence = f->evidence,
		.client = f->client,
		.server = f->server,
		.server_port = f->port,
		.transport = f->transport,
	};
	strcpy(d.user, PICK(users));
	strcpy(d.tier, f->tier ? f->tier : "");
	if (f->host)
		d.host = *f->host;
	if (chance(30)) {
		d.observed = true;
		d.would_deny = o->action == ACTION_DENY;
		d.would = d.would_deny ? o->reason : 0;
		d.action = ACTION_ALLOW;
		d.reason = d.would_deny ? REASON_OBSERVE : o->reason;
	}
	if (chance(10)) {
		d.kind = DECISION_REPEATED;
		d.count = 1 + random_below(5);
	}
	return d;
}

static void naive_add(struct naive *all, size_t *count, const struct naive *one)
{
	size_t i = 0;
	while (i < *count &&
	       (all[i].change != one->change || strcmp(all[i].to, one->to) != 0 ||
		strcmp(all[i].tier, one->tier) != 0 || strcmp(all[i].user, one->user) != 0 ||
		memcmp(all[i].quota, one->quota, sizeof one->quota) != 0))
		i++;
	if (i == *count) {
		all[(*count)++] = *one;
		all[i].flows = 0;
	}
	all[i].flows += one->flows;
}

/* Of a flow that has named itself, or never did: decided by both, at its time. */
static void naive_change(struct naive *all, size_t *count, struct snapshot *s[2],
			 const struct facts *f, const struct decision *d, unsigned *limits)
{
	struct outcome was = decide(s[0], f, d->time), is = decide(s[1], f, d->time);
	struct naive one = {.flows = d->kind == DECISION_REPEATED ? d->count : 1};
	char text[ADDRESS_TEXT],
		*quota[2] = {naive_limits(s[0], f, d->time), naive_limits(s[1], f, d->time)};
	bool gains = is.action == ACTION_ALLOW, same = was.action == is.action;
	bool limited = same && gains && strcmp(quota[0], quota[1]) != 0;
	for (int p = 0; p < 2; p++) {
		if (limited)
			strcpy(one.quota[p], quota[p]);
		free(quota[p]);
	}
	*limits += limited;
	if (same && !limited)
		return;
	const char *site =
		gains ? snapshot_site_name(s[1], is.site) : snapshot_site_name(s[0], was.site);
	one.change = limited ? TRY_QUOTA : gains ? TRY_GAINS : TRY_LOSES;
	strcpy(one.tier, d->tier);
	strcpy(one.user, d->user);
	strcpy(one.to, site[0] ? site : f->host ? f->host->text : address_format(&f->server, text));
	naive_add(all, count, &one);
}

static void same_groups(struct trial *t, const struct naive *all, size_t count)
{
	size_t groups;
	const struct try_group *g = try_groups(t, &groups);
	assert_int_equal(groups, count);
	for (size_t i = 0; i < groups; i++) {
		size_t k = 0;
		while (k < count &&
		       (all[k].change != g[i].change || strcmp(all[k].to, g[i].to) != 0 ||
			strcmp(all[k].tier, g[i].tier) != 0 ||
			strcmp(all[k].user, g[i].user) != 0 ||
			(g[i].change == TRY_QUOTA &&
			 (strcmp(all[k].quota[0], g[i].was_quota) != 0 ||
			  strcmp(all[k].quota[1], g[i].is_quota) != 0))))
			k++;
		assert_true(k < count);
		assert_int_equal(g[i].flows, all[k].flows);
		assert_true(i == 0 || g[i - 1].change <= g[i].change);
	}
}

/* A flow that has no name of its own, and looked for one in vain, or one that has. */
static void settled_facts(struct flow_facts *x)
{
	random_facts(x);
	x->f.host = x->f.host ? &x->host : NULL;
	if (x->f.evidence == EVIDENCE_DNS)
		x->f.evidence = EVIDENCE_SNI_DNS;
	x->f.mismatch = x->f.evidence == EVIDENCE_SNI || x->f.evidence == EVIDENCE_HOST;
}

static void check_settled(struct snapshot *s[2], unsigned *changes, unsigned *limits)
{
	struct naive all[200];
	size_t count = 0;
	struct trial *t = try_new(s[0], s[1]);
	for (int i = 0; i < 150; i++) {
		struct flow_facts x;
		settled_facts(&x);
		int64_t now = NOW + (int64_t)random_below(14 * 86400) * NS_PER_S;
		struct outcome o = decide(s[0], &x.f, now);
		if (!x.f.host && o.reason != REASON_NO_NAME)
			continue; /* it may have been decided before it could name a host */
		struct decision d = record_of(&x.f, now, &o);
		try_record(t, &d);
		naive_change(all, &count, s, &x.f, &d, limits);
	}
	assert_int_equal(try_counted(t)->otherwise, 0);
	same_groups(t, all, count);
	*changes += (unsigned)count;
	try_free(t);
}

/* What is said for sure of a flow that may yet have named itself holds for whatever name. */
static void check_open(struct snapshot *s[2], unsigned *sure)
{
	size_t count;
	for (int i = 0; i < 60; i++) {
		struct flow_facts x;
		random_facts(&x);
		x.f.host = NULL;
		x.f.evidence = EVIDENCE_ADDRESS;
		x.f.mismatch = false;
		struct facts early = x.f;
		early.waiting = true;
		struct outcome o = decide(s[0], &early, NOW);
		if (o.action == ACTION_WAIT)
			continue;
		struct decision d = record_of(&x.f, NOW, &o);
		struct trial *t = try_new(s[0], s[1]);
		try_record(t, &d);
		const struct try_group *g = try_groups(t, &count);
		assert_int_equal(try_counted(t)->otherwise, 0);
		for (size_t k = 0; k < sizeof hosts / sizeof *hosts; k++) {
			x.host = build_host(hosts[k]);
			x.f.host = &x.host;
			x.f.evidence = EVIDENCE_SNI_DNS;
			bool now_allowed = decide(s[1], &x.f, NOW).action == ACTION_ALLOW;
			bool sure_change =
				count && (g->change == TRY_GAINS || g->change == TRY_LOSES);
			if (sure_change)
				assert_int_equal(now_allowed, g->change == TRY_GAINS);
			if (count == 0) /* it stays as it was, whatever its name */
				assert_int_equal(now_allowed, o.action == ACTION_ALLOW);
			*sure += sure_change;
		}
		try_free(t);
	}
}

static void nothing_changes_by_itself(const struct snapshot *s)
{
	struct trial *t = try_new(s, s);
	for (int i = 0; i < 60; i++) {
		struct flow_facts x;
		random_facts(&x);
		x.f.host = x.f.host ? &x.host : NULL;
		struct outcome o = decide(s, &x.f, NOW);
		struct decision d = record_of(&x.f, NOW, &o);
		try_record(t, &d);
	}
	assert_int_equal(try_counted(t)->changed, 0);
	try_free(t);
}

static void test_against_deciding(void **state)
{
	unsigned changes = 0, sure = 0, compared = 0, limits = 0;
	for (int round = 0; round < 500; round++) {
		struct config c[2];
		struct errors errors = {0};
		struct snapshot *s[2];
		for (int i = 0; i < 2; i++) {
			random_config(&c[i]);
			s[i] = snapshot_compile(&c[i], &errors);
			build_free(&c[i]);
		}
		if (s[0] && s[1]) {
			compared++;
			check_settled(s, &changes, &limits);
			check_open(s, &sure);
			nothing_changes_by_itself(s[0]);
		}
		errors_deinit(&errors);
		snapshot_free(s[0]);
		snapshot_free(s[1]);
	}
	assert_true(compared > 200);
	assert_true(changes > 2000);
	assert_true(sure > 100);
	assert_true(limits > 200);
}

/* ---- by hand ---- */

static struct snapshot *policy(const char *segment, const char *fixed, const char *evidence)
{
	struct config c = {0};
	build_network(&c.internal, "10.0.0.0/8");
	build_tier(&c, "staff", "", 0, 0);
	build_tier(&c, "press", "staff", 0, 0);
	build_segment(&c, "10.9.0.0/16", segment);
	struct config_host *h = build_fixed(&c, "printer", fixed);
	h->has_mac = true;
	memcpy(h->mac, (uint8_t[]){2, 0, 0, 0, 0, 1}, 6);
	bool soft = strcmp(evidence, "soft") == 0; /* a name may yet take an address out of it */
	build_site(&c, "social", soft ? "x.org 203.0.113.0/24 !bad.org" : "x.org 203.0.113.0/24");
	struct config_line *l = build_line(&c, ALLOW, "press", "social", "tcp/443");
	l->evidence =
		soft || strcmp(evidence, "any") == 0 ? CONFIG_EVIDENCE_ANY : CONFIG_EVIDENCE_NAME;
	return build_snapshot(&c);
}

static struct decision flow(const char *user, const char *tier, enum reason reason)
{
	struct decision d = {.time = NOW,
			     .reason = reason,
			     .action = reason <= REASON_OBSERVE ? ACTION_ALLOW : ACTION_DENY,
			     .evidence = EVIDENCE_SNI_DNS,
			     .host = {5, "x.org"},
			     .client = build_address("10.9.0.7"),
			     .server = build_address("203.0.113.7"),
			     .server_port = 443,
			     .transport = IPPROTO_TCP};
	strcpy(d.user, user);
	strcpy(d.tier, tier);
	return d;
}

static struct decision unnamed(enum reason reason)
{
	struct decision d = flow("ann", "press", reason);
	d.host.len = 0;
	d.evidence = EVIDENCE_ADDRESS;
	return d;
}

/* One record, tried: what changes ("same": nothing), for whom and where. */
static void one(const struct snapshot *old, const struct snapshot *new, struct decision d,
		const char *change, const char *tier, const char *to)
{
	size_t count;
	struct trial *t = try_new(old, new);
	try_record(t, &d);
	const struct try_group *g = try_groups(t, &count);
	assert_string_equal(count ? try_change_text(g->change) : "same", change);
	if (count) {
		assert_string_equal(g->tier, tier);
		assert_string_equal(g->user, d.user);
		assert_string_equal(g->to, to);
	}
	try_free(t);
}

static void test_who(void **state)
{
	struct snapshot *old = policy("staff", "staff", "name");
	struct snapshot *new = policy("press", "staff", "name");
	struct snapshot *third = policy("staff", "press", "name");
	struct decision printer = flow("printer", "staff", REASON_NO_LINE);
	one(old, new, flow("", "staff", REASON_NO_LINE), "gains", "press", "social");
	one(new, old, flow("", "press", REASON_ALLOW_LINE), "loses", "press", "social");
	/* who was signed in has the tier of the session, whatever the segment's is */
	one(old, new, flow("ann", "staff", REASON_NO_LINE), "same", "", "");
	/* and a host that the configuration knows has that of the configuration */
	printer.has_mac = true;
	memcpy(printer.mac, (uint8_t[]){2, 0, 0, 0, 0, 1}, 6);
	one(old, new, printer, "same", "", "");
	one(old, third, printer, "gains", "press", "social");
	strcpy(printer.user, "ann");
	one(old, third, printer, "same", "", "");
	/* a server on the client's own segment stays within */
	one(old, new, flow("", "staff", REASON_INTERNAL), "same", "", "");
	snapshot_free(old);
	snapshot_free(new);
	snapshot_free(third);
}

/* A flow that was decided before it could name a host is not said to be sure. */
static void test_may(void **state)
{
	struct snapshot *name = policy("staff", "staff", "name");
	struct snapshot *any = policy("staff", "staff", "any");
	struct config c = {0};
	build_tier(&c, "press", "", 0, 0);
	struct snapshot *none = build_snapshot(&c);
	one(none, name, unnamed(REASON_NO_LINE), "may-gain", "press", "203.0.113.7");
	one(none, any, unnamed(REASON_NO_LINE), "gains", "press", "social");
	one(name, any, unnamed(REASON_NO_NAME), "gains", "press", "social");
	one(any, name, unnamed(REASON_ALLOW_LINE), "may-lose", "press", "social");
	one(any, none, unnamed(REASON_ALLOW_LINE), "loses", "press", "social");
	/* the old policy waited for a name, and the record tells what came of it */
	one(name, none, unnamed(REASON_ALLOW_LINE), "loses", "press", "203.0.113.7");
	one(name, none, unnamed(REASON_NO_LINE), "same", "", "");
	struct snapshot *soft = policy("staff", "staff", "soft");
	one(soft, name, unnamed(REASON_ALLOW_LINE), "may-lose", "press", "social");
	one(name, soft, unnamed(REASON_NO_LINE), "may-gain", "press", "social");
	snapshot_free(soft);
	/* DNS told its name */
	struct decision d = flow("ann", "press", REASON_NO_LINE);
	d.evidence = EVIDENCE_DNS;
	one(none, name, d, "may-gain", "press", "social");
	d.reason = REASON_WEAK_EVIDENCE;
	one(name, none, d, "same", "", "");
	/* it had its time to name a host, or had named one: no name is still to come */
	static const enum reason settled[] = {REASON_NO_NAME, REASON_WEAK_EVIDENCE,
					      REASON_NAME_FORGOTTEN};
	for (size_t i = 0; i < sizeof settled / sizeof *settled; i++) {
		d.reason = settled[i];
		one(none, name, d, "same", "", "");
		one(none, name, unnamed(settled[i]), "same", "", "");
		one(none, any, unnamed(settled[i]), "gains", "press", "social");
	}
	snapshot_free(name);
	snapshot_free(any);
	snapshot_free(none);
}

static void test_counts(void **state)
{
	struct snapshot *old = policy("staff", "staff", "name"),
			*new = policy("press", "staff", "name");
	struct decision d = flow("ann", "boss", REASON_NO_TIER);
	struct trial *t = try_new(old, new);
	const struct try_counts *c = try_counted(t);
	uint64_t records;
	strcpy(d.policy, snapshot_digest(old));
	try_record(t, &d);
	assert_int_equal(c->unknown_tier, 1);
	assert_int_equal(c->other_policy, 0);
	d = flow("ann", "staff", REASON_ALLOW_LINE); /* then it was allowed */
	try_record(t, &d);
	assert_int_equal(c->otherwise, 1);
	assert_int_equal(c->other_policy, 1);
	d = flow("bob", "staff", REASON_HELLO_MALFORMED);
	d.kind = DECISION_REPEATED;
	d.count = 7;
	try_record(t, &d);
	assert_int_equal(c->outside, 7);
	d.kind = DECISION_ENDED;
	try_record(t, &d);
	d.kind = DECISION_LOST;
	try_record(t, &d);
	assert_int_equal(c->lost, 7);
	assert_int_equal(c->records, 3);
	assert_int_equal(c->flows, 9);
	assert_int_equal(c->changed, 0);
	assert_string_equal(people_at(try_people(t), 0, &records), "ann");
	assert_int_equal(records, 2);
	assert_string_equal(people_at(try_people(t), 1, &records), "bob");
	assert_null(people_at(try_people(t), 2, &records));
	try_free(t);
	snapshot_free(old);
	snapshot_free(new);
}

/* Memory is constant: what there is no room for is counted. */
static void test_full(void **state)
{
	struct snapshot *old = policy("staff", "staff", "name"),
			*new = policy("press", "staff", "name");
	struct trial *t = try_new(old, new);
	size_t count;
	uint64_t records;
	for (int i = 0; i < TRY_GROUPS + 100; i++) {
		char user[16];
		snprintf(user, sizeof user, "u%d", i);
		struct decision d = flow(user, "staff", REASON_NO_LINE);
		try_record(t, &d);
		strcpy(d.user, "");
		snprintf(d.host.text, sizeof d.host.text, "h%d.x.org", i);
		d.host.len = (uint8_t)strlen(d.host.text);
		try_record(t, &d); /* all of these are of the site */
	}
	const struct try_group *g = try_groups(t, &count);
	assert_int_equal(count, 1);
	assert_int_equal(g->flows, TRY_GROUPS + 100);
	assert_non_null(people_at(try_people(t), PEOPLE_MAX - 1, &records));
	assert_null(people_at(try_people(t), PEOPLE_MAX, &records));
	try_free(t);
	t = try_new(old, new);
	struct decision was = flow("", "staff", REASON_NO_LINE),
			is = flow("", "press", REASON_ALLOW_LINE);
	for (int i = 0; i < TRY_GROUPS + 100; i++) {
		snprintf(was.user, sizeof was.user, "u%d", i);
		strcpy(is.user, was.user);
		try_pair(t, &was, &is);
	}
	try_groups(t, &count);
	assert_int_equal(count, TRY_GROUPS);
	assert_int_equal(try_counted(t)->ungrouped, 100);
	assert_int_equal(try_counted(t)->changed, TRY_GROUPS + 100);
	try_free(t);
	snapshot_free(old);
	snapshot_free(new);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_deciding),
		cmocka_unit_test(test_who),
		cmocka_unit_test(test_may),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
