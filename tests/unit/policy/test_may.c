#include "build.h"
#include "policy/may.h"
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tier_has_what_it_includes_and_when),
		cmocka_unit_test(what_is_over_or_denied_is_left_out),
		cmocka_unit_test(of_several_lines_the_best_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
