#include "unit.h"

#include "config/value.h"
#include "policy/build.h"
#include "policy/usage.h"

#include <stdlib.h>

#define NOON   INT64_C(1782129600000000000) /* Mon 2026-06-22 12:00 UTC */
#define MINUTE (60 * NS_PER_S)
#define DAY    (1440 * MINUTE)

static void give(struct config *c, const char *sites, const char *quota)
{
	struct config_line *l = build_line(c, ALLOW, "a", sites, "");
	if (quota)
		assert_null(quota_parse(quota, &l->quota));
}

static struct snapshot *policy(const char *video, const char *games)
{
	struct config c = {0};
	build_tier(&c, "a", "", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_site(&c, "video", "video.example");
	build_site(&c, "games", "games.example");
	give(&c, "video", video);
	give(&c, "games", games);
	return build_snapshot(&c);
}

static struct quota_account account(const struct snapshot *s, unsigned quota, const char *user)
{
	size_t count;
	struct quota_account a = {.id = snapshot_quotas(s, &count)[quota]->id};
	strcpy(a.who.user, user);
	return a;
}

/* Whether the account is among those that are told to have used it up. */
static bool told(struct usage *u, struct snapshot *s, const char *user, int64_t now)
{
	size_t count;
	bool failed;
	spent_free(snapshot_spend(s, usage_spent(u, now, &failed)));
	assert_false(failed);
	assert_false(usage_changed(u));
	struct facts f = {.user = user};
	return quota_spent_until(s, snapshot_quotas(s, &count)[0], &f, now) != 0;
}

static void bytes_are_used_up(void **state)
{
	struct snapshot *s = policy("1000 kB/day", "1 GB/day");
	struct usage *u = usage_new(16);
	struct quota_account ada = account(s, 0, "ada"), games = account(s, 1, "ada");
	struct usage_counters c;
	size_t count;
	usage_policy(u, s, NOON);
	uint32_t one = usage_hold(u, &ada, NOON), two = usage_hold(u, &ada, NOON);
	assert_int_equal(one, two);
	assert_int_not_equal(usage_hold(u, &games, NOON), one);
	assert_false(told(u, s, "ada", NOON));
	usage_add(u, one, 999999, NOON);
	assert_false(usage_changed(u));
	assert_false(usage_is_spent(u, one));
	usage_add(u, one, 1, NOON);
	assert_true(usage_changed(u));
	assert_true(usage_is_spent(u, one));
	assert_true(told(u, s, "ada", NOON));
	assert_false(told(u, s, "bob", NOON));
	usage_add(u, one, 1, NOON);
	assert_false(usage_changed(u)); /* no news */
	const struct quota *q = snapshot_quotas(s, &count)[0];
	assert_int_equal(usage_of(u, q, &ada.who, NOON), 1000001);
	assert_int_equal(usage_of(u, snapshot_quotas(s, &count)[1], &ada.who, NOON), 0);
	usage_count(u, &c);
	assert_int_equal(c.accounts, 2);
	assert_int_equal(c.spent, 1);
	/* midnight */
	usage_tick(u, NOON + DAY / 2 - 1);
	assert_false(usage_changed(u));
	usage_tick(u, NOON + DAY / 2);
	assert_true(usage_changed(u));
	assert_false(told(u, s, "ada", NOON + DAY / 2));
	assert_int_equal(usage_of(u, q, &ada.who, NOON + DAY / 2), 0);
	usage_free(u);
	snapshot_free(s);
}

/* A minute counts with what is more than keeps a connection open, once; the last one is whole. */
static void minutes_are_those_in_which_something_moves(void **state)
{
	struct snapshot *s = policy("2 min/day", NULL);
	struct usage *u = usage_new(16);
	struct quota_account ada = account(s, 0, "ada");
	size_t count;
	const struct quota *q = snapshot_quotas(s, &count)[0];
	usage_policy(u, s, NOON);
	uint32_t a = usage_hold(u, &ada, NOON);
	told(u, s, "ada", NOON);
	usage_add(u, a, USAGE_STIR, NOON);
	assert_int_equal(usage_of(u, q, &ada.who, NOON), 0);
	usage_add(u, a, 1, NOON + MINUTE - 1);
	assert_int_equal(usage_of(u, q, &ada.who, NOON), 1);
	usage_add(u, a, 1000000, NOON + MINUTE - 1);
	assert_int_equal(usage_of(u, q, &ada.who, NOON), 1);
	usage_add(u, a, USAGE_STIR, NOON + MINUTE); /* is not carried over */
	usage_add(u, a, USAGE_STIR, NOON + 2 * MINUTE);
	assert_int_equal(usage_of(u, q, &ada.who, NOON), 1);
	usage_add(u, a, USAGE_STIR + 1, NOON + 9 * MINUTE);
	assert_int_equal(usage_of(u, q, &ada.who, NOON), 2);
	assert_false(usage_changed(u));
	usage_add(u, a, 1000000, NOON + 10 * MINUTE - 1);
	assert_false(told(u, s, "ada", NOON + 10 * MINUTE - 1));
	usage_add(u, a, USAGE_STIR + 1, NOON + 10 * MINUTE);
	assert_true(told(u, s, "ada", NOON + 10 * MINUTE));
	usage_free(u);
	snapshot_free(s);
}

static void a_policy_changes_amounts_and_keeps_use(void **state)
{
	struct snapshot *s = policy("1000 kB/day", "1 GB/day"), *more = policy("2 MB/day", NULL),
			*none = policy(NULL, "1 GB/day");
	struct usage *u = usage_new(16);
	struct quota_account ada = account(s, 0, "ada");
	usage_policy(u, s, NOON);
	uint32_t a = usage_hold(u, &ada, NOON);
	usage_add(u, a, 1500000, NOON);
	assert_true(told(u, s, "ada", NOON));
	usage_policy(u, more, NOON);
	assert_true(usage_changed(u));
	assert_false(told(u, more, "ada", NOON));
	usage_add(u, a, 500000, NOON);
	assert_true(told(u, more, "ada", NOON));
	usage_policy(u, none, NOON);
	bool failed;
	assert_null(usage_spent(u, NOON, &failed));
	usage_add(u, a, 7, NOON); /* nobody's */
	usage_policy(u, s, NOON);
	assert_true(told(u, s, "ada", NOON));
	usage_free(u);
	snapshot_free(s);
	snapshot_free(more);
	snapshot_free(none);
}

/* Back: what is used stays used, for the period that is now. */
static void a_clock_is_set(void **state)
{
	struct snapshot *s = policy("1000 kB/day", NULL);
	struct usage *u = usage_new(16);
	struct quota_account ada = account(s, 0, "ada");
	usage_policy(u, s, NOON);
	uint32_t a = usage_hold(u, &ada, NOON);
	usage_add(u, a, 1000000, NOON);
	assert_true(told(u, s, "ada", NOON));
	usage_tick(u, NOON - 3 * DAY);
	assert_true(usage_changed(u));
	assert_true(told(u, s, "ada", NOON - 3 * DAY));
	assert_int_equal(snapshot_next_edge(s, NOON - 3 * DAY), NOON - 3 * DAY + DAY / 2);
	usage_tick(u, NOON - 2 * DAY);
	assert_false(told(u, s, "ada", NOON - 2 * DAY));
	usage_free(u);
	snapshot_free(s);
}

/* Set back and set right again, as at each start of a machine without a clock of its own: nobody
 * has anew what was used, held by a flow or not, over a restart in between. */
static void a_clock_is_set_right_again(void **state)
{
	struct snapshot *s = policy("1000 kB/day", NULL);
	struct quota_account ada = account(s, 0, "ada");
	for (int held = 0; held < 2; held++) {
		struct usage *u = usage_new(16), *later = usage_new(16);
		struct usage_memory m;
		uint32_t slot = 0, number;
		usage_policy(u, s, NOON);
		uint32_t a = usage_hold(u, &ada, NOON);
		usage_add(u, a, 1000000, NOON);
		if (!held)
			usage_release(u, a);
		usage_tick(u, NOON - 300 * DAY);
		assert_true(told(u, s, "ada", NOON - 300 * DAY));
		for (int days = 299; days > 297; days--) { /* it goes on there for a while */
			usage_tick(u, NOON - days * DAY - DAY / 2);
			assert_false(told(u, s, "ada", NOON - days * DAY - DAY / 2));
		}
		assert_true(usage_each(u, &slot, &number, &m));
		assert_int_equal(usage_restore(later, &m), 0);
		usage_policy(later, s, NOON - 297 * DAY);
		usage_tick(later, NOON);
		assert_true(told(later, s, "ada", NOON));
		usage_tick(u, NOON);
		assert_true(told(u, s, "ada", NOON));
		usage_tick(u, NOON + DAY / 2);
		assert_false(told(u, s, "ada", NOON + DAY / 2));
		usage_free(u);
		usage_free(later);
	}
	snapshot_free(s);
}

/* What was used while the clock was ahead is used once. */
static void a_day_that_comes_by_itself_is_another(void **state)
{
	struct snapshot *s = policy("1000 kB/day", NULL);
	struct usage *u = usage_new(16);
	struct quota_account ada = account(s, 0, "ada");
	struct usage_counters c;
	usage_policy(u, s, NOON + DAY);
	uint32_t a = usage_hold(u, &ada, NOON + DAY);
	usage_add(u, a, 1000000, NOON + DAY);
	usage_tick(u, NOON);
	assert_true(told(u, s, "ada", NOON));
	usage_tick(u, NOON + DAY / 2);
	assert_false(told(u, s, "ada", NOON + DAY / 2));
	usage_release(u, a);
	usage_tick(u, NOON + DAY / 2 + DAY);
	usage_count(u, &c);
	assert_int_equal(c.accounts, 0); /* none is kept for ever */
	usage_free(u);
	snapshot_free(s);
}

static void a_full_table_makes_room(void **state)
{
	struct snapshot *s = policy("1000 kB/day", NULL);
	struct usage *u = usage_new(4);
	size_t count;
	const struct quota *q = snapshot_quotas(s, &count)[0];
	char user[16];
	uint32_t a[4];
	struct usage_counters c;
	usage_policy(u, s, NOON);
	for (uint32_t i = 0; i < 4; i++) {
		snprintf(user, sizeof user, "u%u", i);
		struct quota_account one = account(s, 0, user);
		a[i] = usage_hold(u, &one, NOON);
		usage_add(u, a[i], i == 3 ? 2000000 : 100 - i, NOON);
	}
	struct quota_account more = account(s, 0, "more");
	assert_int_equal(usage_hold(u, &more, NOON), USAGE_NONE);
	usage_count(u, &c);
	assert_int_equal(c.refused, 1);
	for (int i = 0; i < 4; i++)
		usage_release(u, a[i]);
	uint32_t m = usage_hold(u, &more, NOON);
	assert_int_not_equal(m, USAGE_NONE);
	usage_add(u, m, 500, NOON);
	usage_release(u, m);
	struct quota_account again = account(s, 0, "again");
	assert_int_not_equal(usage_hold(u, &again, NOON), USAGE_NONE);
	/* u2 used least, then u1; what is used up stays */
	static const uint64_t left[] = {100, 0, 0, 2000000};
	for (uint32_t i = 0; i < 4; i++) {
		snprintf(user, sizeof user, "u%u", i);
		struct quota_account one = account(s, 0, user);
		assert_int_equal(usage_of(u, q, &one.who, NOON), left[i]);
	}
	assert_int_equal(usage_of(u, q, &more.who, NOON), 500);
	/* what nobody holds goes with its period */
	usage_tick(u, NOON + DAY);
	usage_count(u, &c);
	assert_int_equal(c.accounts, 1);
	usage_free(u);
	snapshot_free(s);
}

static void what_is_kept_counts_on(void **state)
{
	struct snapshot *s = policy("1000 kB/day", "2 min/day");
	struct usage *before = usage_new(16), *after = usage_new(16);
	struct quota_account ada = account(s, 0, "ada"), bob = account(s, 1, "bob");
	struct usage_memory m;
	uint32_t slot = 0, number;
	size_t count;
	usage_policy(before, s, NOON);
	usage_policy(after, s, NOON);
	uint64_t generation = usage_generation(before);
	usage_add(before, usage_hold(before, &ada, NOON), 600000, NOON);
	usage_add(before, usage_hold(before, &bob, NOON), 5000, NOON);
	assert_int_not_equal(usage_generation(before), generation);
	while (usage_each(before, &slot, &number, &m))
		assert_int_not_equal(usage_restore(after, &m), USAGE_NONE);
	const struct quota *const *q = snapshot_quotas(s, &count);
	assert_int_equal(usage_of(after, q[0], &ada.who, NOON), 600000);
	assert_int_equal(usage_of(after, q[1], &bob.who, NOON), 1);
	usage_add(after, usage_hold(after, &bob, NOON), 5000, NOON); /* the same minute */
	assert_int_equal(usage_of(after, q[1], &bob.who, NOON), 1);
	usage_add(after, usage_hold(after, &ada, NOON), 400000, NOON);
	assert_true(told(after, s, "ada", NOON));
	usage_free(before);
	usage_free(after);
	snapshot_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_used_up),
		cmocka_unit_test(minutes_are_those_in_which_something_moves),
		cmocka_unit_test(a_policy_changes_amounts_and_keeps_use),
		cmocka_unit_test(a_clock_is_set),
		cmocka_unit_test(a_clock_is_set_right_again),
		cmocka_unit_test(a_day_that_comes_by_itself_is_another),
		cmocka_unit_test(a_full_table_makes_room),
		cmocka_unit_test(what_is_kept_counts_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
