/* top: what it counts, that its memory has a bound, and what a filter and a pause change. */
#include "unit.h"

#include "advice/top_inner.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>

#define T0 (INT64_C(1772445600) * NS_PER_S) /* 2026-03-02 10:00 UTC */

static struct decision flow(int64_t time, const char *user, const char *name, enum reason reason)
{
	struct decision d = {.time = time,
			     .action = reason == REASON_ALLOW_LINE ? ACTION_ALLOW : ACTION_DENY,
			     .reason = reason,
			     .client = address_from4((uint8_t[]){10, 0, 0, 7}),
			     .server = address_from4((uint8_t[]){203, 0, 113, 9}),
			     .tier = "staff"};
	snprintf(d.user, sizeof d.user, "%s", user);
	d.host.len = (uint8_t)snprintf(d.host.text, sizeof d.host.text, "%s", name);
	return d;
}

static void add(struct top *t, const char *user, const char *name, enum reason reason)
{
	struct decision d = flow(T0, user, name, reason);
	top_record(t, &d);
}

/* The first row of a table is this, with these counts. */
static void first(struct top *t, enum top_by by, enum top_sort sort, const char *key,
		  uint64_t allowed, uint64_t denied)
{
	const struct top_row *r;
	assert_int_equal(top_rows(t, by, sort, &r, 1), 1);
	assert_string_equal(r->key, key);
	assert_int_equal(r->allowed, allowed);
	assert_int_equal(r->denied, denied);
}

static size_t rows(struct top *t, enum top_by by)
{
	const struct top_row *r[TOP_ROWS];
	return top_rows(t, by, TOP_NOW, r, TOP_ROWS);
}

static struct top *some(void)
{
	struct top *t = top_new(T0);
	add(t, "anna", "good.example", REASON_ALLOW_LINE);
	add(t, "anna", "good.example", REASON_ALLOW_LINE);
	add(t, "bob", "bad.example", REASON_NO_LINE);
	return t;
}

static void counts_by_user_site_denial_and_reason(void **state)
{
	struct top *t = some();
	const struct top_row *r;
	first(t, TOP_USERS, TOP_NOW, "anna", 2, 0);
	first(t, TOP_USERS, TOP_DENIED, "bob", 0, 1);
	first(t, TOP_SITES, TOP_NAME, "bad.example", 0, 1);
	first(t, TOP_DENIALS, TOP_NOW, "bad.example", 0, 1);
	assert_int_equal(top_rows(t, TOP_DENIALS, TOP_NOW, &r, 1), 1);
	assert_string_equal(r->more, "no-line");
	first(t, TOP_REASONS, TOP_NOW, "allow-line", 2, 0);
	struct decision d = flow(T0, "bob", "good.example", REASON_ALLOW_LINE);
	d.kind = DECISION_ENDED;
	d.bytes = 5000;
	strcpy(d.site, "good");
	top_record(t, &d);
	first(t, TOP_USERS, TOP_BYTES, "bob", 0, 1); /* an end is no flow more */
	first(t, TOP_SITES, TOP_BYTES, "good", 0, 0);
	assert_int_equal(rows(t, TOP_REASONS), 2);
	d = flow(T0, "", "", REASON_NO_NAME);
	d.kind = DECISION_REPEATED;
	d.count = 9;
	top_record(t, &d);
	first(t, TOP_USERS, TOP_NOW, "10.0.0.7", 0, 9);
	first(t, TOP_DENIALS, TOP_NOW, "203.0.113.9", 0, 9);
	top_free(t);
}

static void what_observe_would_deny_is_a_denial(void **state)
{
	struct top *t = top_new(T0);
	struct decision d = flow(T0, "anna", "bad.example", REASON_OBSERVE);
	d.action = ACTION_ALLOW;
	d.observed = d.would_deny = true;
	d.would = REASON_NO_LINE;
	top_record(t, &d);
	first(t, TOP_USERS, TOP_NOW, "anna", 0, 1);
	first(t, TOP_REASONS, TOP_NOW, "no-line", 0, 1);
	top_free(t);
}

/* A hundred thousand names that come once each put out no user of many flows. */
static void what_is_heavy_stays_where_keys_have_no_end(void **state)
{
	struct top *t = top_new(T0);
	char name[32];
	for (int i = 0; i < 100000; i++) {
		snprintf(name, sizeof name, "n%d.example", i);
		add(t, "anna", i % 50 ? name : "often.example", REASON_NO_LINE);
	}
	assert_int_equal(rows(t, TOP_SITES), TOP_ROWS);
	first(t, TOP_SITES, TOP_DENIED, "often.example", 0, 2000);
	/* Space-Saving: the weights of a table are all that came */
	double sum = 0;
	for (size_t i = 0; i < TOP_ROWS; i++)
		sum += t->all.by[TOP_SITES].row[i].weight;
	assert_true(sum > 99999.5 && sum < 100000.5);
	top_free(t);
}

static void what_is_over_fades(void **state)
{
	struct top *t = some();
	struct decision d = flow(T0 + 60 * NS_PER_S, "bob", "x.example", REASON_NO_LINE);
	top_record(t, &d);
	first(t, TOP_USERS, TOP_NOW, "bob", 0, 2); /* 1/4 + 1, anna 2/4 */
	d = flow(T0, "anna", "x.example", REASON_NO_LINE);
	top_record(t, &d); /* a clock that stepped back makes nothing heavier */
	first(t, TOP_USERS, TOP_NOW, "anna", 2, 1);
	assert_true(t->all.by[TOP_USERS].row[0].weight == 1.5);
	top_free(t);
}

static void a_filter_counts_what_was_and_what_comes(void **state)
{
	struct top *t = some();
	top_filter(t, "BOB");
	assert_int_equal(rows(t, TOP_USERS), 1);
	first(t, TOP_SITES, TOP_NOW, "bad.example", 0, 1);
	add(t, "anna", "good.example", REASON_ALLOW_LINE);
	add(t, "bob", "bad.example", REASON_NO_LINE);
	first(t, TOP_SITES, TOP_NOW, "bad.example", 0, 2);
	assert_int_equal(rows(t, TOP_SITES), 1);
	top_filter(t, "10.0.0.");
	assert_int_equal(rows(t, TOP_USERS), 2);
	top_filter(t, "nobody");
	assert_int_equal(rows(t, TOP_USERS), 0);
	top_filter(t, "");
	first(t, TOP_USERS, TOP_NOW, "anna", 3, 0);
	top_free(t);
}

static void a_pause_holds_and_catches_up(void **state)
{
	struct top *t = some();
	top_pause(t, true);
	add(t, "cara", "c.example", REASON_NO_LINE);
	top_filter(t, "cara"); /* what is not seen yet passes no filter */
	assert_int_equal(rows(t, TOP_USERS), 0);
	top_filter(t, "");
	assert_int_equal(rows(t, TOP_USERS), 2);
	top_pause(t, false);
	assert_int_equal(rows(t, TOP_USERS), 3);
	top_pause(t, true);
	for (int i = 0; i < TOP_RECENT + 7; i++)
		add(t, "cara", "c.example", REASON_NO_LINE);
	top_pause(t, false);
	first(t, TOP_USERS, TOP_NOW, "cara", 0, TOP_RECENT + 1);
	assert_int_equal(t->lost, 7);
	top_free(t);
}

static void tell(struct top *t, const char *started, int packets, int seconds)
{
	json_t *j = json_pack("{s:s, s:{s:i}, s:[{s:i, s:i, s:i}, {s:i}]}", "started", started,
			      "dns", "queries", packets / 5, "queues", "packets", packets,
			      "allowed", packets / 10, "denied", packets / 20, "packets", packets);
	assert_non_null(j);
	top_status(t, j, T0 + seconds * NS_PER_S);
	json_decref(j);
}

static void rates_are_of_two_looks_at_one_daemon(void **state)
{
	struct top *t = top_new(T0);
	tell(t, "a", 1000, 0);
	assert_false(t->rated);
	tell(t, "a", 1200, 2);
	assert_true(t->rated);
	assert_true(t->rate[0] == 200 && t->rate[1] == 10 && t->rate[2] == 5 && t->rate[3] == 20);
	tell(t, "b", 5000, 3); /* another one counts from its own start */
	assert_false(t->rated);
	tell(t, "b", 5100, 4);
	assert_true(t->rate[0] == 200);
	top_gone(t, "nobody answers");
	assert_string_equal(t->gone, "nobody answers");
	tell(t, "b", 9000, 5);
	assert_false(t->rated);
	assert_string_equal(t->gone, "");
	top_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_by_user_site_denial_and_reason),
		cmocka_unit_test(what_observe_would_deny_is_a_denial),
		cmocka_unit_test(what_is_heavy_stays_where_keys_have_no_end),
		cmocka_unit_test(what_is_over_fades),
		cmocka_unit_test(a_filter_counts_what_was_and_what_comes),
		cmocka_unit_test(a_pause_holds_and_catches_up),
		cmocka_unit_test(rates_are_of_two_looks_at_one_daemon),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
