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

/* ---- the screen ---- */

static struct top_screen *render(struct top *t, unsigned width, unsigned height,
				 const char *trouble)
{
	static struct top_screen s;
	struct top_view v = {width, height, TOP_NOW, trouble};
	memset(&s, 0xee, sizeof s);
	top_render(t, &v, &s);
	assert_true(s.count <= height);
	for (size_t i = 0; i < s.count; i++) {
		size_t characters = 0;
		for (const char *c = s.line[i].text; *c; c++) {
			characters += (*c & 0xc0) != 0x80;
			assert_false((unsigned char)*c < 0x20 || *c == 0x7f);
		}
		assert_true(characters <= width);
	}
	return &s;
}

static void line_is(const struct top_screen *s, size_t i, enum top_look look, const char *text)
{
	assert_true(i < s->count);
	assert_string_equal(s->line[i].text, text);
	assert_int_equal(s->line[i].look, look);
}

static void a_screen_has_a_header_and_four_tables(void **state)
{
	struct top *t = some();
	json_t *j = json_pack("{ss ss ss}", "version", "9.9", "mode", "enforce", "policy", "abc");
	top_status(t, j, T0);
	json_decref(j);
	struct top_screen *s = render(t, 60, 20, "");
	line_is(s, 0, TOP_GOOD, "tiergate  9.9: ok");
	line_is(s, 1, TOP_PLAIN, "mode      enforce, policy abc");
	line_is(s, 2, TOP_PLAIN, "now       a second: not known yet");
	line_is(s, 3, TOP_PLAIN, "latency   not known yet");
	line_is(s, 4, TOP_TITLE, "USER  tier                    allowed    denied        bytes");
	line_is(s, 5, TOP_PLAIN, "anna  staff                         2         0            0");
	line_is(s, 6, TOP_PLAIN, "bob  staff                          0         1            0");
	line_is(s, 7, TOP_TITLE, "SITE                          allowed    denied        bytes");
	line_is(s, 10, TOP_TITLE, "DENIED  reason                           denied             ");
	line_is(s, 11, TOP_PLAIN, "bad.example  no-line                          1             ");
	line_is(s, 12, TOP_TITLE, "REASON                        allowed    denied             ");
	assert_int_equal(s->count, 15);
	tell(t, "a", 0, 1);
	tell(t, "a", 200, 3);
	top_lost(t, 7);
	s = render(t, 200, 20, "rules: none");
	line_is(s, 0, TOP_BAD, "tiergate  : NOT OK: rules: none");
	line_is(s, 2, TOP_PLAIN,
		"now       a second: 200 packets, 10 flows allowed, 5 denied, 20 DNS questions; "
		"7 records were lost");
	top_gone(t, "why");
	line_is(render(t, 60, 20, ""), 0, TOP_BAD, "tiergate  no daemon: why");
	top_free(t);
}

static void a_long_name_leaves_room_for_what_stands_behind_it(void **state)
{
	struct top *t = some();
	add(t, "bob", "a-rather-long-name.of-a-host.example", REASON_NO_LINE);
	struct top_screen *s = render(t, 60, 40, "");
	bool seen = false;
	for (size_t i = 0; i < s->count; i++)
		seen |= strncmp(s->line[i].text, "a-rather-long-na..  no-line ", 28) == 0;
	assert_true(seen);
	s = render(t, 90, 40, "");
	seen = false;
	for (size_t i = 0; i < s->count; i++)
		seen |= strncmp(s->line[i].text, "a-rather-long-name.of-a-host.example  no-line ",
				46) == 0;
	assert_true(seen);
	top_free(t);
}

static void no_screen_is_too_small_or_obeyed(void **state)
{
	struct top *t = some();
	add(t,
	    "\033[31m\xc2\x9b"
	    "1m\xff\xc3\xa4",
	    "x.example", REASON_NO_LINE);
	struct top_screen *s = render(t, 60, 24, "a\033]0;b\n");
	line_is(s, 0, TOP_BAD, "tiergate  : NOT OK: a?]0;b?");
	line_is(s, 5, TOP_PLAIN, "anna  staff                         2         0            0");
	line_is(s, 6, TOP_PLAIN,
		"?[31m?1m?\xc3\xa4  staff                   0         1            0");
	for (unsigned height = 0; height < 300; height += height < 30 ? 1 : 90)
		for (unsigned width = 0; width < 2000; width = width * 3 + 1)
			render(t, width, height, "\xc3\xa4\xc3\xa4\xc3\xa4");
	assert_int_equal(render(t, 10, 2, "")->count, 2);
	char many[16];
	for (int i = 0; i < 100; i++) {
		snprintf(many, sizeof many, "u%d", i);
		add(t, many, "x.example", REASON_NO_LINE);
	}
	s = render(t, 60, 24, ""); /* of 20 lines each table has 5 */
	assert_true(strncmp(s->line[9].text, "SITE", 4) == 0);
	top_free(t);
}

/* Of what came between two looks, over all queues; another process begins anew. */
static void latency_is_of_late(void **state)
{
	struct top *t = top_new(T0);
	static const char *const said[] = {
		"latency   not known yet",
		"latency   half of the verdicts within 25 us, 99 of 100 within 1 ms",
		"latency   no packet came",
		"latency   half of the verdicts within more than 5 s, 99 of 100 within more than 5 "
		"s",
		"latency   not known yet",
	};
	for (int i = 0; i < 5; i++) {
		json_t *j = json_pack("{ss s[{s[iiiiiii]} {s[iiiiiiiiiiiiiiiiiiii]}]}", "started",
				      i < 4 ? "a" : "b", "queues", "verdict_times", 500, i ? 60 : 0,
				      0, 0, 0, 0, i ? 2 : 0, "verdict_times", 0, i ? 30 : 0, 0, 0,
				      0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, i > 2 ? 9 : 0, 7);
		top_status(t, j, T0 + i * NS_PER_S);
		json_decref(j);
		line_is(render(t, 100, 20, ""), 3, TOP_PLAIN, said[i]);
	}
	top_free(t);
}

static void what_an_operator_does_is_no_flow(void **state)
{
	struct top *t = top_new(T0);
	struct decision d = {.kind = DECISION_ACT, .time = T0, .by = "root", .act = "login"};
	top_record(t, &d);
	assert_int_equal(rows(t, TOP_USERS) + rows(t, TOP_SITES) + rows(t, TOP_REASONS), 0);
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
		cmocka_unit_test(a_screen_has_a_header_and_four_tables),
		cmocka_unit_test(latency_is_of_late),
		cmocka_unit_test(a_long_name_leaves_room_for_what_stands_behind_it),
		cmocka_unit_test(no_screen_is_too_small_or_obeyed),
		cmocka_unit_test(what_an_operator_does_is_no_flow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
