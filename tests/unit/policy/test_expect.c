#include "unit.h"

#include "policy/build.h"

#define NOON INT64_C(1782129600000000000) /* Mon 2026-06-22 12:00 UTC, 15:00 in Sofia */

static void start(struct config *c)
{
	*c = (struct config){.mismatch = CONFIG_MISMATCH_LOG};
	build_network(&c->internal, "10.0.0.0/8");
	build_tier(c, "guest", "", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_tier(c, "press", "guest", CONFIG_EVIDENCE_NAME_ADDRESS, CONFIG_MISMATCH_UNSET);
	build_segment(c, "10.9.0.0/16", "guest");
	build_site(c, "social", "youtube.com");
	build_site(c, "nets", "203.0.113.0/24");
	build_schedule(c, "office", 0x1f, 480, 1080, "Europe/Sofia");
	build_schedule(c, "ny", 0x1f, 480, 1080, "America/New_York");
	build_line(c, ALLOW, "press", "social", "")->when = strdup("office");
	build_line(c, ALLOW, "guest", "nets", "tcp/22")->evidence = CONFIG_EVIDENCE_ANY;
	build_line(c, ALLOW, "guest", "social", "tcp/81")->expires = 1;
}

/* Runs the one expectation; "" where it holds, else the error. */
static const char *run(struct config *c)
{
	static char text[512];
	struct errors errors = {0};
	struct snapshot *s = build_snapshot(c);
	size_t failed = snapshot_expect(s, &errors, NOON);
	assert_int_equal(failed, errors.count);
	snprintf(text, sizeof text, "%s", failed ? errors.lines[0] : "");
	errors_deinit(&errors);
	snapshot_free(s);
	return text;
}

#define HOLDS(tier, to, at, outcome)                                                               \
	do {                                                                                       \
		struct config c_;                                                                  \
		start(&c_);                                                                        \
		build_expect(&c_, tier, to, at, outcome);                                          \
		assert_string_equal(run(&c_), "");                                                 \
	} while (0)

#define FAILS(tier, to, at, outcome, want)                                                         \
	do {                                                                                       \
		struct config c_;                                                                  \
		start(&c_);                                                                        \
		build_expect(&c_, tier, to, at, outcome);                                          \
		assert_string_equal(run(&c_), want);                                               \
	} while (0)

static void test_at(void **state)
{
	HOLDS("press", "www.youtube.com", "mon 10:00", ACTION_ALLOW);
	HOLDS("press", "www.youtube.com", "mon 18:00", ACTION_DENY);
	HOLDS("press", "www.youtube.com", "mon 17:59", ACTION_ALLOW);
	HOLDS("press", "www.YouTube.com.", "sat 10:00", ACTION_DENY);
	FAILS("press", "www.youtube.com", "sat 10:00", ACTION_ALLOW,
	      "t.conf:301: expected allow for tier press to www.youtube.com at Sat 10:00 "
	      "Europe/Sofia; the policy says deny (no-line, nearest t.conf:101: the line holds "
	      "only mon-fri 08:00-18:00 Europe/Sofia; it is Sat 10:00 there)");
	FAILS("press", "www.youtube.com", "mon 10:00", ACTION_DENY,
	      "t.conf:301: expected deny for tier press to www.youtube.com at Mon 10:00 "
	      "Europe/Sofia; the policy says allow (allow-line, t.conf:101)");
}

static void test_whole_week(void **state)
{
	HOLDS("guest", "www.youtube.com", NULL, ACTION_DENY);
	HOLDS("press", "other.example", NULL, ACTION_DENY);
	FAILS("press", "www.youtube.com", NULL, ACTION_ALLOW,
	      "t.conf:301: expected allow for tier press to www.youtube.com at Mon 18:00 "
	      "Europe/Sofia; the policy says deny (no-line, nearest t.conf:101: the line holds "
	      "only mon-fri 08:00-18:00 Europe/Sofia; it is Mon 18:00 there)");
	/* now is in office hours; a deny must hold then too */
	FAILS("press", "www.youtube.com", NULL, ACTION_DENY,
	      "t.conf:301: expected deny for tier press to www.youtube.com at Mon 15:00 "
	      "Europe/Sofia; the policy says allow (allow-line, t.conf:101)");
}

static void test_every_zone(void **state)
{
	struct config c;
	start(&c);
	build_line(&c, DENY, "press", "social", "")->when = strdup("ny");
	build_expect(&c, "press", "youtube.com", "mon 10:00", ACTION_ALLOW);
	assert_non_null(strstr(run(&c), "at Mon 10:00 America/New_York"));
	start(&c);
	build_line(&c, DENY, "guest", "social", "")->when = strdup("ny"); /* not for press */
	build_expect(&c, "press", "youtube.com", "mon 12:00", ACTION_ALLOW);
	assert_string_equal(run(&c), "");
}

static void test_from(void **state)
{
	struct config c;
	start(&c);
	struct config_expect *e = build_expect(&c, NULL, "203.0.113.5", NULL, ACTION_ALLOW);
	e->from = build_address("10.9.1.1");
	e->has_from = true;
	e->port = (struct config_port){IPPROTO_TCP, 22, 22};
	assert_string_equal(run(&c), "");
	start(&c);
	e = build_expect(&c, NULL, "203.0.113.5", NULL, ACTION_ALLOW);
	e->from = build_address("10.8.1.1");
	e->has_from = true;
	e->port = (struct config_port){IPPROTO_TCP, 22, 22};
	assert_string_equal(run(&c),
			    "t.conf:301: expected allow for 10.8.1.1 to 203.0.113.5; the policy "
			    "says deny (no-tier, nearest t.conf:102: nobody is signed in at "
			    "10.8.1.1 and no segment covers it)");
	start(&c);
	e = build_expect(&c, NULL, "10.1.2.3", NULL, ACTION_ALLOW);
	e->from = build_address("10.8.1.1");
	e->has_from = true;
	assert_string_equal(run(&c), "");
}

static void test_evidence(void **state)
{
	struct config c;
	start(&c);
	build_expect(&c, "press", "youtube.com", "mon 10:00", ACTION_DENY)->evidence = EVIDENCE_SNI;
	assert_string_equal(run(&c), "");
	start(&c);
	build_expect(&c, "press", "youtube.com", "mon 10:00", ACTION_ALLOW)->evidence =
		EVIDENCE_HOST_DNS;
	assert_string_equal(run(&c), "");
}

/* A name known by its address only is not known. */
static void test_evidence_address(void **state)
{
	struct config c;
	start(&c);
	c.allow[2].evidence = CONFIG_EVIDENCE_ANY;
	struct config_expect *e = build_expect(&c, "guest", "youtube.com", NULL, ACTION_DENY);
	e->port = (struct config_port){IPPROTO_TCP, 81, 81};
	e->evidence = EVIDENCE_ADDRESS;
	assert_string_equal(run(&c), "");
}

static void test_expires_is_not_applied(void **state)
{
	struct config c;
	start(&c);
	build_expect(&c, "guest", "youtube.com", NULL, ACTION_ALLOW)->port =
		(struct config_port){IPPROTO_TCP, 81, 81};
	assert_string_equal(run(&c), "");
}

/* Two weeks of holidays, of which NOON is the first Monday: a time of the week is tried behind
 * them.
 */
static void test_dates(void **state)
{
	for (int round = 0; round < 5; round++) {
		static const char *const at[] = {"mon 10:00", "2026-06-29 10:00",
						 "2026-07-06 10:00", "2026-06-29 10:00", NULL};
		static const enum action want[] = {ACTION_ALLOW, ACTION_DENY, ACTION_ALLOW,
						   ACTION_ALLOW, ACTION_DENY};
		struct config c;
		start(&c);
		struct config_dates *d = &c.schedules[0].except_dates;
		*GROW(d->day, d->days) = (struct span){20626, 20640}; /* 2026-06-22..2026-07-05 */
		build_expect(&c, "press", "youtube.com", at[round], want[round]);
		assert_string_equal(
			run(&c),
			round < 3 ? ""
			: round == 3
				? "t.conf:301: expected allow for tier press to youtube.com at "
				  "2026-06-29 10:00 Europe/Sofia; the policy says deny (no-line, "
				  "nearest t.conf:101: the line holds only mon-fri 08:00-18:00 and "
				  "not on 2026-06-22..2026-07-05 Europe/Sofia; it is "
				  "2026-06-29 10:00 there)"
				: "t.conf:301: expected deny for tier press to youtube.com at "
				  "2026-07-06 08:00 Europe/Sofia; the policy says allow "
				  "(allow-line, "
				  "t.conf:101)");
	}
}

static void test_bad_words(void **state)
{
	static const char *const at[] = {
		"",           "mon",        "mon 24:00", "mon 10:60",
		"mon 10:00x", "moon 10:00", "10:00",     "2026-06-31 10:00"};
	for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
		struct config c;
		start(&c);
		build_expect(&c, "press", "youtube.com", at[i], ACTION_ALLOW);
		assert_non_null(strstr(run(&c), "is no time of the week"));
	}
	FAILS("press", "you tube", NULL, ACTION_DENY,
	      "t.conf:301: \"you tube\" is neither a host name nor an address");
	FAILS("guest", "203.0.113.300", NULL, ACTION_DENY,
	      "t.conf:301: \"203.0.113.300\" is neither a host name nor an address");
}

static void test_counts(void **state)
{
	struct config c;
	struct errors errors = {0};
	start(&c);
	build_expect(&c, "guest", "youtube.com", NULL, ACTION_ALLOW);
	build_expect(&c, "guest", "youtube.com", NULL, ACTION_DENY);
	build_expect(&c, "guest", "x.youtube.com", NULL, ACTION_ALLOW);
	struct snapshot *s = build_snapshot(&c);
	assert_int_equal(snapshot_expect(s, &errors, NOON), 2);
	assert_int_equal(errors.count, 2);
	errors_deinit(&errors);
	snapshot_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_at),
		cmocka_unit_test(test_whole_week),
		cmocka_unit_test(test_every_zone),
		cmocka_unit_test(test_from),
		cmocka_unit_test(test_evidence),
		cmocka_unit_test(test_evidence_address),
		cmocka_unit_test(test_expires_is_not_applied),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_bad_words),
		cmocka_unit_test(test_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
