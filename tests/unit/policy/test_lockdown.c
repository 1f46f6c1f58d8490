#include "unit.h"

#include "policy/build.h"
#include "policy/lockdown.h"
#include "policy/why.h"

#include <stdlib.h>

#define NOON INT64_C(1782129600000000000) /* Mon 2026-06-22 12:00 UTC */

static struct snapshot *policy(void)
{
	struct config c = {.mismatch = CONFIG_MISMATCH_LOG};
	build_network(&c.internal, "10.0.0.0/8");
	build_tier(&c, "pupils", "", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_tier(&c, "staff", "pupils", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_tier(&c, "loose", "", CONFIG_EVIDENCE_ANY, CONFIG_MISMATCH_UNSET);
	build_site(&c, "exam", "exam.example !chat.exam.example 203.0.113.0/24");
	build_site(&c, "wiki", "wiki.example");
	build_site(&c, "secret", "secret.example");
	build_line(&c, ALLOW, "pupils loose", "exam wiki", "");
	return build_snapshot(&c);
}

static struct lockdown lockdown_of(enum lockdown_of of, const char *whom, const char *only)
{
	struct lockdown l = {.of = of, .since = NOON - 1, .until = NOON + 100, .by = "root"};
	struct strings sites = build_words(only);
	if (of == LOCKDOWN_SEGMENT)
		assert_true(network_parse(whom, &l.segment));
	else
		strcpy(l.whom, whom);
	for (size_t i = 0; i < sites.count; i++)
		strcpy(l.site[l.site_count++], sites.item[i]);
	build_words_free(&sites);
	return l;
}

static void put(struct snapshot *s, const struct lockdowns *l)
{
	struct errors missing = {0};
	bool failed;
	locks_free(snapshot_lock(s, locks_make(s, l, &missing, &failed)));
	assert_false(failed);
	assert_int_equal(missing.count, 0);
}

static void lock(struct snapshot *s, struct lockdown one)
{
	struct lockdowns *l = calloc(1, sizeof *l);
	assert_true(lockdowns_add(l, &one, NOON));
	put(s, l);
	free(l);
}

struct who_asks {
	const char *client, *tier, *user;
};

static const struct who_asks pupil = {"10.0.12.7", "pupils", "ada"};

static struct facts facts_of(struct who_asks who, const char *to, struct host *host)
{
	struct facts f = {.client = build_address(who.client),
			  .tier = who.tier,
			  .user = who.user,
			  .port = 443,
			  .transport = IPPROTO_TCP,
			  .server = build_address("198.51.100.1"),
			  .evidence = EVIDENCE_ADDRESS};
	if (!address_parse(to, &f.server)) {
		*host = build_host(to);
		f.host = host;
		f.evidence = EVIDENCE_SNI;
	}
	return f;
}

static enum reason asked(const struct snapshot *s, struct who_asks who, const char *to, int64_t now)
{
	struct host host;
	struct facts f = facts_of(who, to, &host);
	struct outcome o = decide(s, &f, now);
	assert_int_equal(o.action == ACTION_ALLOW,
			 o.reason == REASON_ALLOW_LINE || o.reason == REASON_INTERNAL);
	if (o.reason == REASON_LOCKDOWN)
		assert_string_equal(snapshot_rule_name(s, o.rule), "lockdown");
	return o.reason;
}

static void only_its_sites_are_open(void **state)
{
	struct snapshot *s = policy();
	assert_int_equal(asked(s, pupil, "wiki.example", NOON), REASON_ALLOW_LINE);
	lock(s, lockdown_of(LOCKDOWN_SEGMENT, "10.0.12.0/24", "exam secret"));
	assert_int_equal(asked(s, pupil, "wiki.example", NOON), REASON_LOCKDOWN);
	assert_int_equal(asked(s, pupil, "exam.example", NOON), REASON_ALLOW_LINE);
	assert_int_equal(asked(s, pupil, "chat.exam.example", NOON), REASON_LOCKDOWN);
	assert_int_equal(asked(s, pupil, "10.1.1.1", NOON), REASON_INTERNAL);
	/* it opens nothing */
	assert_int_equal(asked(s, pupil, "secret.example", NOON), REASON_NO_LINE);
	/* it ends by itself, to the nanosecond */
	assert_int_equal(asked(s, pupil, "wiki.example", NOON + 99), REASON_LOCKDOWN);
	assert_int_equal(asked(s, pupil, "wiki.example", NOON + 100), REASON_ALLOW_LINE);
	assert_int_equal(snapshot_next_edge(s, NOON), NOON + 100);
	assert_int_equal(snapshot_next_edge(s, NOON + 100), 0);
	snapshot_free(s);
}

static void whom_it_concerns(void **state)
{
	static const struct who_asks room13 = {"10.0.13.7", "pupils", "ada"},
				     staff = {"10.0.12.7", "staff", "bea"},
				     nobody = {"10.0.12.7", "pupils", NULL};
	struct snapshot *s = policy();
	lock(s, lockdown_of(LOCKDOWN_SEGMENT, "10.0.12.0/24", "exam"));
	assert_int_equal(asked(s, room13, "wiki.example", NOON), REASON_ALLOW_LINE);
	assert_int_equal(asked(s, staff, "wiki.example", NOON), REASON_LOCKDOWN);
	lock(s, lockdown_of(LOCKDOWN_TIER, "pupils", "exam"));
	assert_int_equal(asked(s, room13, "wiki.example", NOON), REASON_LOCKDOWN);
	assert_int_equal(asked(s, staff, "wiki.example", NOON), REASON_ALLOW_LINE);
	lock(s, lockdown_of(LOCKDOWN_USER, "ada", ""));
	assert_int_equal(asked(s, pupil, "exam.example", NOON), REASON_LOCKDOWN);
	assert_int_equal(asked(s, staff, "exam.example", NOON), REASON_ALLOW_LINE);
	assert_int_equal(asked(s, nobody, "exam.example", NOON), REASON_ALLOW_LINE);
	lock(s, lockdown_of(LOCKDOWN_USER, "ADA", ""));
	assert_int_equal(asked(s, pupil, "exam.example", NOON), REASON_LOCKDOWN);
	snapshot_free(s);
}

/* Of several each shuts: what one leaves open the other may close. */
static void several_hold_together(void **state)
{
	struct snapshot *s = policy();
	struct lockdowns *l = calloc(1, sizeof *l);
	struct lockdown room = lockdown_of(LOCKDOWN_SEGMENT, "10.0.12.0/24", "exam wiki"),
			ada = lockdown_of(LOCKDOWN_USER, "ada", "wiki");
	assert_true(lockdowns_add(l, &room, NOON) && lockdowns_add(l, &ada, NOON));
	put(s, l);
	assert_int_equal(snapshot_lock_generation(s), 2);
	assert_int_equal(asked(s, pupil, "exam.example", NOON), REASON_LOCKDOWN);
	assert_int_equal(asked(s, pupil, "wiki.example", NOON), REASON_ALLOW_LINE);
	assert_true(lockdowns_end(l, ada.id));
	put(s, l);
	assert_int_equal(snapshot_lock_generation(s), 3);
	assert_int_equal(asked(s, pupil, "exam.example", NOON), REASON_ALLOW_LINE);
	assert_true(lockdowns_end(l, room.id));
	put(s, l);
	assert_int_equal(snapshot_lock_generation(s), 0);
	free(l);
	snapshot_free(s);
}

static enum action waiting(const struct snapshot *s, const char *tier, const char *to)
{
	struct host host;
	struct facts f = facts_of((struct who_asks){"10.0.12.7", tier, "ada"}, to, &host);
	f.waiting = true;
	return decide(s, &f, NOON).action;
}

/* Before a name is known: denied at once where no name could help, never allowed where the name
 * that comes could be one that is shut. */
static void a_name_may_still_come(void **state)
{
	struct snapshot *s = policy();
	struct host host;
	struct facts f = facts_of(pupil, "203.0.113.9", &host);
	assert_int_equal(waiting(s, "loose", "203.0.113.9"), ACTION_WAIT); /* "!chat" */
	lock(s, lockdown_of(LOCKDOWN_USER, "ada", "exam"));
	assert_int_equal(waiting(s, "pupils", "198.51.100.1"), ACTION_WAIT);
	assert_int_equal(waiting(s, "loose", "203.0.113.9"), ACTION_WAIT);
	assert_true(decide_name_may_deny(s, &f, NOON));
	lock(s, lockdown_of(LOCKDOWN_USER, "ada", ""));
	assert_int_equal(waiting(s, "pupils", "198.51.100.1"), ACTION_DENY);
	snapshot_free(s);
}

/* The outer name of an encrypted hello, and a name that DNS alone tells, open nothing more than
 * they do in a deny line with exceptions. */
static void an_outer_name_opens_nothing(void **state)
{
	struct snapshot *s = policy();
	struct host host;
	struct facts f =
		facts_of((struct who_asks){"10.0.12.7", "loose", "ada"}, "exam.example", &host);
	lock(s, lockdown_of(LOCKDOWN_USER, "ada", "exam"));
	f.evidence = EVIDENCE_ECH_OUTER;
	assert_int_equal(decide(s, &f, NOON).reason, REASON_LOCKDOWN);
	f.evidence = EVIDENCE_DNS;
	assert_int_equal(decide(s, &f, NOON).reason, REASON_ALLOW_LINE);
	snapshot_free(s);
}

static void a_site_that_is_gone_is_shut_and_said(void **state)
{
	struct snapshot *s = policy();
	struct lockdowns *l = calloc(1, sizeof *l);
	struct lockdown one = lockdown_of(LOCKDOWN_USER, "ada", "gone wiki");
	struct errors missing = {0};
	bool failed;
	assert_true(lockdowns_add(l, &one, NOON));
	snapshot_lock(s, locks_make(s, l, &missing, &failed));
	assert_int_equal(missing.count, 1);
	assert_non_null(strstr(missing.lines[0], "gone"));
	assert_int_equal(asked(s, pupil, "exam.example", NOON), REASON_LOCKDOWN);
	assert_int_equal(asked(s, pupil, "wiki.example", NOON), REASON_ALLOW_LINE);
	errors_deinit(&missing);
	free(l);
	snapshot_free(s);
}

static void the_list_has_a_bound(void **state)
{
	struct lockdowns *l = calloc(1, sizeof *l);
	struct lockdown one = lockdown_of(LOCKDOWN_USER, "ada", "exam");
	for (unsigned i = 1; i <= LOCKDOWNS_MAX; i++) {
		assert_true(lockdowns_add(l, &one, NOON));
		assert_int_equal(one.id, i);
	}
	assert_false(lockdowns_add(l, &one, NOON));
	assert_int_equal(l->count, LOCKDOWNS_MAX);
	assert_false(lockdowns_end(l, LOCKDOWNS_MAX + 1));
	assert_true(lockdowns_end(l, 2));
	assert_int_equal(l->item[0].id, 1);
	assert_int_equal(l->item[1].id, 3);
	assert_int_equal(l->item[l->count - 1].id, LOCKDOWNS_MAX);
	one.until = NOON + 500;
	assert_true(lockdowns_add(l, &one, NOON));
	assert_int_equal(one.id, LOCKDOWNS_MAX + 1);     /* no number comes back */
	assert_true(lockdowns_add(l, &one, NOON + 100)); /* those that are over make room */
	assert_int_equal(l->count, 2);
	free(l);
}

/* An exam until noon, a clock that runs ahead for an hour, another lockdown meanwhile: when the
 * clock is right again, the exam goes on. */
static void a_clock_that_is_set_back_shuts_again(void **state)
{
	const int64_t day = INT64_C(86400000000000);
	struct lockdowns *l = calloc(1, sizeof *l);
	struct lockdown exam = lockdown_of(LOCKDOWN_USER, "ada", "exam"),
			other = lockdown_of(LOCKDOWN_USER, "bea", "exam");
	other.until = INT64_MAX;
	assert_true(lockdowns_add(l, &exam, NOON));
	assert_true(lockdowns_add(l, &other, NOON + 100 + day - 1));
	assert_int_equal(l->count, 2);
	assert_false(lockdown_holds(&l->item[0], NOON + 100));
	assert_true(lockdown_holds(&l->item[0], NOON + 99));
	assert_true(lockdowns_add(l, &other, NOON + 100 + day)); /* not for ever */
	assert_int_equal(l->count, 2);
	assert_int_equal(l->item[0].id, 2);
	free(l);
}

static void who_is_blocked(void **state)
{
	struct lockdowns *l = calloc(1, sizeof *l);
	struct lockdown exam = lockdown_of(LOCKDOWN_USER, "ada", "exam"),
			tier = lockdown_of(LOCKDOWN_TIER, "bea", ""),
			block = lockdown_of(LOCKDOWN_USER, "cyd", "");
	assert_true(lockdowns_add(l, &exam, NOON) && lockdowns_add(l, &tier, NOON) &&
		    lockdowns_add(l, &block, NOON));
	assert_null(lockdowns_block(l, "ada", NOON));
	assert_null(lockdowns_block(l, "bea", NOON));
	assert_non_null(lockdowns_block(l, "cyd", NOON));
	assert_null(lockdowns_block(l, "cyd", NOON + 100));
	free(l);
}

static void why_says_who_and_until_when(void **state)
{
	struct snapshot *s = policy();
	struct host host;
	struct facts f = facts_of(pupil, "wiki.example", &host);
	struct why w;
	lock(s, lockdown_of(LOCKDOWN_SEGMENT, "10.0.12.0/24", "exam secret"));
	why_explain(s, &f, NOON, &w);
	assert_string_equal(w.rule, "lockdown");
	assert_string_equal(w.obstacle[0], "root locked down segment 10.0.12.0/24 until "
					   "2026-06-22T12:00Z; open is only exam, secret");
	struct lockdown block = lockdown_of(LOCKDOWN_USER, "ada", "");
	block.until = INT64_MAX;
	lock(s, block);
	why_explain(s, &f, NOON, &w);
	assert_string_equal(w.obstacle[0], "root locked down user ada until it is ended; nothing "
					   "outside is open");
	snapshot_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_its_sites_are_open),
		cmocka_unit_test(whom_it_concerns),
		cmocka_unit_test(several_hold_together),
		cmocka_unit_test(a_name_may_still_come),
		cmocka_unit_test(an_outer_name_opens_nothing),
		cmocka_unit_test(a_site_that_is_gone_is_shut_and_said),
		cmocka_unit_test(the_list_has_a_bound),
		cmocka_unit_test(a_clock_that_is_set_back_shuts_again),
		cmocka_unit_test(who_is_blocked),
		cmocka_unit_test(why_says_who_and_until_when),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
