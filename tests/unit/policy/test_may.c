#include "build.h"
#include "policy/may.h"
#include "policy/quota.h"
#include "unit.h"

#define MONDAY_10 (INT64_C(1795428000) * NS_PER_S) /* 2026-11-23T10:00:00Z */
#define HOUR      (3600 * NS_PER_S)

static struct snapshot *compile(struct config *c)
{
	struct errors errors = {0};
	struct snapshot *s = snapshot_compile(c, &errors);
	errors_print(&errors, stderr);
	assert_non_null(s);
	return s;
}

static const struct may *of_site(const struct may *may, size_t count, const char *site)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(may[i].site, site) == 0)
			return &may[i];
	return NULL;
}

static struct config *config(void)
{
	struct config *c = calloc(1, sizeof *c);
	build_tier(c, "guest", "", 0, 0);
	build_tier(c, "staff", "guest", 0, 0);
	build_site(c, "reading", "reading.example");
	build_site(c, "social", "social.example");
	build_site(c, "games", "games.example");
	build_schedule(c, "office", 31, 480, 1080, "UTC");
	build_schedule(c, "evening", 31, 1080, 1200, "UTC");
	build_line(c, ALLOW, "guest", "reading", "tcp/443");
	build_line(c, ALLOW, "staff", "social", "tcp/443")->when = strdup("office");
	build_line(c, ALLOW, "staff", "games", "tcp/443")->when = strdup("evening");
	return c;
}

static void a_tier_has_what_it_includes_and_when(void **state)
{
	struct config *c = config();
	struct snapshot *s = compile(c);
	struct may may[8];
	size_t count = snapshot_may(s, "staff", MONDAY_10, may, 8);
	assert_int_equal(count, 3);
	assert_true(of_site(may, count, "reading")->now);
	assert_int_equal(of_site(may, count, "reading")->edge, 0);
	assert_true(of_site(may, count, "social")->now);
	assert_int_equal(of_site(may, count, "social")->edge, MONDAY_10 + 8 * HOUR);
	assert_false(of_site(may, count, "games")->now);
	assert_int_equal(of_site(may, count, "games")->edge, MONDAY_10 + 8 * HOUR);
	assert_string_equal(may[2].site, "games"); /* what is open comes first */
	assert_int_equal(snapshot_may(s, "guest", MONDAY_10, may, 8), 1);
	assert_int_equal(snapshot_may(s, "nobody", MONDAY_10, may, 8), 0);
	assert_int_equal(snapshot_may(s, "staff", MONDAY_10, may, 2), 2);
	snapshot_free(s);
	config_free(c);
}

static void what_is_over_or_denied_is_left_out(void **state)
{
	struct config *c = config();
	build_line(c, DENY, "staff", "reading", "tcp/443");
	c->allow[1].expires = MONDAY_10 + HOUR;
	struct snapshot *s = compile(c);
	struct may may[8];
	size_t count = snapshot_may(s, "staff", MONDAY_10, may, 8);
	assert_null(of_site(may, count, "reading"));
	assert_int_equal(of_site(may, count, "social")->edge, MONDAY_10 + HOUR);
	count = snapshot_may(s, "staff", MONDAY_10 + HOUR, may, 8);
	assert_null(of_site(may, count, "social"));
	assert_int_equal(snapshot_may(s, "guest", MONDAY_10, may, 8),
			 1); /* a deny names its tier */
	snapshot_free(s);
	config_free(c);
}

static void of_several_lines_the_best_is_told(void **state)
{
	struct config *c = config();
	build_line(c, ALLOW, "staff", "games", "tcp/80");
	build_line(c, ALLOW, "staff", "*", "tcp/8443");
	struct snapshot *s = compile(c);
	struct may may[8];
	size_t count = snapshot_may(s, "staff", MONDAY_10, may, 8);
	assert_int_equal(count, 4);
	assert_true(of_site(may, count, "games")->now);
	assert_int_equal(of_site(may, count, "games")->edge, 0);
	assert_true(of_site(may, count, "*")->now);
	snapshot_free(s);
	config_free(c);
}

/* What is open without end is not limited by another line, whichever comes first. */
static void quotas_of_lines_that_stand_alone(void **state)
{
	struct config *c = config();
	const struct quota *all[8];
	struct may may[8];
	for (int i = 0; i < 3; i++)
		build_line(c, ALLOW, "staff", i < 2 ? "games" : "reading",
			   i ? "tcp/8080" : "tcp/8443")
			->quota = (struct config_quota){.amount = 90 + (uint64_t)i};
	build_line(c, ALLOW, "guest", "games", "")->quota = (struct config_quota){.amount = 7};
	c->allow[c->allow_count - 1].expires = MONDAY_10 + HOUR;
	struct snapshot *s = compile(c);
	size_t count = snapshot_may(s, "staff", MONDAY_10, may, 8);
	const struct may *games = of_site(may, count, "games");
	assert_true(games->now);
	assert_int_equal(games->quotas, 3); /* staff includes guest */
	assert_int_equal(games->quota[0]->amount, 90);
	assert_int_equal(games->quota[1]->amount, 91);
	assert_int_equal(of_site(may, count, "reading")->quotas, 0);
	assert_int_equal(of_site(may, count, "social")->quotas, 0);
	count = snapshot_may(s, "guest", MONDAY_10, may, 8);
	assert_int_equal(of_site(may, count, "games")->quotas, 1);
	assert_int_equal(snapshot_tier_quotas(s, "guest", MONDAY_10, all, 8), 1);
	assert_int_equal(all[0]->amount, 7);
	assert_string_equal(snapshot_line_site(s, all[0]->line, 0), "games");
	assert_null(snapshot_line_site(s, all[0]->line, 1));
	assert_int_equal(snapshot_tier_quotas(s, "guest", MONDAY_10 + HOUR, all, 8), 0);
	assert_int_equal(snapshot_tier_quotas(s, "staff", MONDAY_10, all, 8), 4);
	assert_int_equal(snapshot_tier_quotas(s, "staff", MONDAY_10, all, 2), 2);
	assert_int_equal(snapshot_tier_quotas(s, "nobody", MONDAY_10, all, 8), 0);
	snapshot_free(s);
	config_free(c);
}

/* A line without an end is not hidden by one that ends, whichever stands first. */
static void what_never_ends_beats_what_does(void **state)
{
	for (int first = 0; first < 2; first++) {
		struct config *c = calloc(1, sizeof *c);
		struct may may[4];
		build_tier(c, "guest", "", 0, 0);
		build_site(c, "reading", "reading.example");
		build_schedule(c, "office", 31, 480, 1080, "UTC");
		for (int i = 0; i < 2; i++) {
			struct config_line *l = build_line(c, ALLOW, "guest", "reading", "tcp/443");
			if (i == first)
				l->when = strdup("office");
		}
		struct snapshot *s = compile(c);
		assert_int_equal(snapshot_may(s, "guest", MONDAY_10, may, 4), 1);
		assert_true(may[0].now);
		assert_int_equal(may[0].edge, 0);
		snapshot_free(s);
		config_free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tier_has_what_it_includes_and_when),
		cmocka_unit_test(what_is_over_or_denied_is_left_out),
		cmocka_unit_test(of_several_lines_the_best_is_told),
		cmocka_unit_test(quotas_of_lines_that_stand_alone),
		cmocka_unit_test(what_never_ends_beats_what_does),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
