#include "unit.h"

#include "policy/build.h"
#include "policy/siteset.h"

#define NOON INT64_C(1782129600000000000) /* Mon 2026-06-22 12:00 UTC */
#define HOUR (3600 * NS_PER_S)

/* guest, staff that includes it; one site of names, one of networks; no lines yet */
static void start(struct config *c)
{
	*c = (struct config){.mismatch = CONFIG_MISMATCH_LOG};
	build_tier(c, "guest", "", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_tier(c, "staff", "guest", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_site(c, "names", "example.org");
	build_site(c, "nets", "203.0.113.0/24");
}

/* Compiles, expects exactly one error that begins and goes on so, and frees the config. */
static void refused(struct config *c, const char *place, const char *words)
{
	struct errors errors = {0};
	struct snapshot *s = snapshot_compile(c, &errors);
	assert_null(s);
	assert_int_equal(errors.count, 1);
	assert_int_equal(strncmp(errors.lines[0], place, strlen(place)), 0);
	assert_non_null(strstr(errors.lines[0], words));
	errors_deinit(&errors);
	build_free(c);
}

static void taken(struct config *c)
{
	snapshot_free(build_snapshot(c));
}

static void test_dangling_names(void **state)
{
	struct config c;
	start(&c);
	build_line(&c, ALLOW, "gest", "names", "");
	refused(&c, "t.conf:101: ", "no such tier \"gest\"");
	start(&c);
	build_line(&c, DENY, "guest", "name", "");
	refused(&c, "t.conf:201: ", "no such site \"name\"");
	start(&c);
	build_line(&c, ALLOW, "guest", "names", "")->when = strdup("office");
	refused(&c, "t.conf:101: ", "no such schedule \"office\"");
	start(&c);
	build_segment(&c, "10.0.0.0/8", "visitor");
	refused(&c, "t.conf:4: ", "no such tier \"visitor\"");
	start(&c);
	build_tier(&c, "press", "stuff", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	refused(&c, "t.conf:1: ", "no such tier");
	start(&c);
	build_schedule(&c, "office", 1, 0, 60, "Europe/Sofiya");
	refused(&c, "t.conf:3: ", "no such time zone \"Europe/Sofiya\"");
	start(&c);
	build_expect(&c, "visitor", "example.org", NULL, ACTION_DENY);
	refused(&c, "t.conf:301: ", "no such tier \"visitor\"");
}

static void test_all_errors_at_once(void **state)
{
	struct config c;
	struct errors errors = {0};
	start(&c);
	build_line(&c, ALLOW, "x y", "z", "");
	build_line(&c, DENY, "guest", "q", "");
	assert_null(snapshot_compile(&c, &errors));
	assert_int_equal(errors.count, 4);
	errors_deinit(&errors);
	build_free(&c);
}

static void test_loops(void **state)
{
	struct config c = {0};
	struct errors errors = {0};
	build_tier(&c, "a", "b", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_tier(&c, "b", "c", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_tier(&c, "c", "a", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	assert_null(snapshot_compile(&c, &errors));
	assert_int_equal(errors.count, 3);
	errors_deinit(&errors);
	build_free(&c);
	build_tier(&c, "a", "a", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	refused(&c, "t.conf:1: ", "includes itself");
	build_tier(&c, "a", "", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_tier(&c, "a", "", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	refused(&c, "t.conf:1: ", "defined twice");
}

static void test_too_many_sites(void **state)
{
	struct config c = {0};
	for (int i = 0; i <= SITES_MAX; i++) {
		char name[16];
		snprintf(name, sizeof name, "s%d", i);
		build_site(&c, name, "");
	}
	refused(&c, "4097 sites", "at most 4096");
}

static void test_lines_twice(void **state)
{
	struct config c;
	start(&c);
	build_line(&c, ALLOW, "guest", "names", "tcp/1 udp/2");
	build_line(&c, ALLOW, "guest", "names names", "udp/2 tcp/1");
	refused(&c, "t.conf:102: ", "says again what t.conf:101 says");
	start(&c);
	build_line(&c, ALLOW, "guest", "names", "");
	build_line(&c, ALLOW, "staff", "names", "");
	build_line(&c, ALLOW, "guest", "names", "")->evidence = CONFIG_EVIDENCE_ANY;
	build_line(&c, ALLOW, "guest", "names", "tcp/443");
	build_line(&c, ALLOW, "guest", "*", "");
	build_line(&c, ALLOW, "guest", "names", "")->expires = NOON;
	taken(&c);
}

static void test_covered_by_deny(void **state)
{
	struct config c;
	start(&c);
	build_line(&c, ALLOW, "guest", "names", "tcp/443");
	build_line(&c, DENY, "*", "*", "tcp/1-1000");
	refused(&c, "t.conf:101: ", "deny line t.conf:201");
	start(&c);
	build_line(&c, ALLOW, "guest", "names", "tcp/443"); /* staff still has it */
	build_line(&c, DENY, "guest", "names", "tcp/443");
	taken(&c);
	start(&c);
	build_line(&c, ALLOW, "guest", "names", "tcp/443-444");
	build_line(&c, DENY, "*", "names", "tcp/443");
	taken(&c);
	start(&c);
	build_line(&c, ALLOW, "guest", "names", "");
	build_line(&c, DENY, "*", "names", "")->expires = NOON;
	taken(&c);
	start(&c);
	build_schedule(&c, "office", 1, 0, 60, "UTC");
	build_line(&c, ALLOW, "guest", "names", "");
	build_line(&c, DENY, "*", "names", "")->when = strdup("office");
	taken(&c);
	start(&c);
	build_line(&c, ALLOW, "guest", "names nets", "");
	build_line(&c, DENY, "*", "names", "");
	taken(&c);
}

static void test_networks_want_any(void **state)
{
	struct config c;
	start(&c);
	build_line(&c, ALLOW, "guest", "nets", "");
	refused(&c, "t.conf:101: ", "evidence = \"any\"");
	start(&c);
	build_line(&c, ALLOW, "guest", "nets", "")->evidence = CONFIG_EVIDENCE_ANY;
	build_line(&c, ALLOW, "guest", "nets names", "");
	build_line(&c, DENY, "guest", "nets", "");
	taken(&c);
	start(&c);
	build_tier(&c, "loose", "guest", CONFIG_EVIDENCE_ANY, CONFIG_MISMATCH_UNSET);
	build_line(&c, ALLOW, "guest", "nets", "");
	taken(&c);
}

static void test_accessors(void **state)
{
	struct config c;
	int64_t idle, absolute;
	struct address a = build_address("10.9.1.2"), b = build_address("192.0.2.1");
	start(&c);
	c.mode = CONFIG_OBSERVE;
	c.users_file = "users";
	c.tiers[1].idle = 5;
	c.tiers[1].absolute = 7;
	build_network(&c.internal, "10.0.0.0/8");
	build_network(&c.resolvers, "192.0.2.1");
	build_segment(&c, "10.0.0.0/8", "guest");
	build_segment(&c, "10.9.0.0/16", "staff");
	build_line(&c, ALLOW, "guest", "names", "")->owner = strdup("comms desk");
	struct snapshot *s = build_snapshot(&c);
	assert_true(snapshot_internal(s, &a) && !snapshot_internal(s, &b));
	assert_true(snapshot_resolver(s, &b) && !snapshot_resolver(s, &a));
	assert_string_equal(snapshot_segment(s, &a), "staff");
	assert_null(snapshot_segment(s, &b));
	assert_true(snapshot_has_tier(s, "staff"));
	assert_false(snapshot_has_tier(s, "staf") || snapshot_has_tier(s, NULL) ||
		     snapshot_has_tier(s, ""));
	snapshot_tier_limits(s, "staff", &idle, &absolute);
	assert_true(idle == 5 && absolute == 7);
	snapshot_tier_limits(s, "gone", &idle, &absolute);
	assert_true(idle == 0 && absolute == 0);
	assert_string_equal(snapshot_rule_name(s, 0), "t.conf:101");
	assert_string_equal(snapshot_rule_owner(s, 0), "comms desk");
	assert_string_equal(snapshot_rule_name(s, RULE_NONE), "");
	assert_string_equal(snapshot_rule_owner(s, 1), "");
	assert_string_equal(snapshot_site_name(s, 1), "nets");
	assert_string_equal(snapshot_site_name(s, SITE_NONE), "");
	assert_int_equal(snapshot_mode(s), CONFIG_OBSERVE);
	snapshot_free(s);
}

static void test_next_edge(void **state)
{
	struct config c;
	start(&c);
	build_line(&c, ALLOW, "guest", "names", "");
	struct snapshot *s = build_snapshot(&c);
	assert_int_equal(snapshot_next_edge(s, NOON), 0);
	snapshot_free(s);
	start(&c);
	build_schedule(&c, "office", 0x1f, 480, 1080, "UTC");
	build_schedule(&c, "tea", 0x7f, 960, 990, "UTC");
	build_line(&c, ALLOW, "guest", "names", "")->expires = NOON + 5 * HOUR;
	s = build_snapshot(&c);
	assert_int_equal(snapshot_next_edge(s, NOON), NOON + 4 * HOUR);
	assert_int_equal(snapshot_next_edge(s, NOON + 4 * HOUR), NOON + 4 * HOUR + HOUR / 2);
	assert_int_equal(snapshot_next_edge(s, NOON + 4 * HOUR + HOUR / 2), NOON + 5 * HOUR);
	assert_int_equal(snapshot_next_edge(s, NOON + 5 * HOUR), NOON + 6 * HOUR);
	snapshot_free(s);
}

static const char *digest(struct config *c)
{
	static char text[17];
	struct snapshot *s = build_snapshot(c);
	strcpy(text, snapshot_digest(s));
	snapshot_free(s);
	return text;
}

/* The same for the same policy, another for every change that decides. */
static void test_digest(void **state)
{
	struct config c;
	char base[17];
	start(&c);
	build_line(&c, ALLOW, "guest", "names", "");
	strcpy(base, digest(&c));
	assert_int_equal(strlen(base), 16);
	assert_int_equal(strspn(base, "0123456789abcdef"), 16);
	for (int change = 0; change < 9; change++) {
		start(&c);
		struct config_line *l = build_line(&c, ALLOW, "guest", "names", "");
		switch (change) {
		case 0: l->owner = strdup("someone"); break; /* decides nothing */
		case 1: l->evidence = CONFIG_EVIDENCE_ANY; break;
		case 2: l->expires = NOON; break;
		case 3: l->place.line++; break;
		case 4: c.mode = CONFIG_OBSERVE; break;
		case 5: build_network(&c.internal, "10.0.0.0/8"); break;
		case 6: build_site(&c, "more", ""); break;
		case 7: c.sites[0].list[0].item[0]->kind = SITE_EXACT; break;
		case 8: c.tiers[0].mismatch = CONFIG_MISMATCH_DENY; break;
		}
		assert_int_equal(strcmp(digest(&c), base) == 0, change == 0);
	}
}

/* An address before a MAC address before the segment; the three unsorted. */
static void hosts_are_found(void **state)
{
	struct config c;
	const char *user;
	const uint8_t camera[6] = {2, 0, 0, 0, 0, 7}, other[6] = {2, 0, 0, 0, 0, 8};
	struct address printer = build_address("10.9.0.7"), desk = build_address("10.9.0.8");
	start(&c);
	build_segment(&c, "10.0.0.0/8", "guest");
	build_line(&c, ALLOW, "guest", "names", "");
	for (int i = 9; i >= 6; i--) {
		struct config_host *h = build_fixed(&c, i == 7 ? "printer" : "x", "staff");
		h->has_address = true;
		h->address = build_address("10.9.0.0");
		h->address.bytes[15] = i == 8 ? 99 : (uint8_t)i;
		h = build_fixed(&c, i == 7 ? "camera" : "y", "staff");
		h->has_mac = true;
		memcpy(h->mac, (uint8_t[6]){2, 0, 0, 0, 0, i == 8 ? 99 : (uint8_t)i}, 6);
	}
	struct snapshot *s = build_snapshot(&c);
	assert_string_equal(snapshot_static(s, &printer, NULL, &user), "staff");
	assert_string_equal(user, "printer");
	assert_string_equal(snapshot_static(s, &printer, camera, &user), "staff");
	assert_string_equal(user, "printer");
	assert_string_equal(snapshot_static(s, &desk, camera, &user), "staff");
	assert_string_equal(user, "camera");
	assert_string_equal(snapshot_static(s, &desk, other, &user), "guest");
	assert_string_equal(user, "");
	assert_string_equal(snapshot_static(s, &desk, NULL, &user), "guest");
	desk = build_address("192.0.2.1");
	assert_null(snapshot_static(s, &desk, other, &user));
	assert_string_equal(user, "");
	snapshot_free(s);
}

static struct snapshot *with_tiers(unsigned count, struct errors *errors)
{
	struct config c = {0};
	for (unsigned i = 0; i < count; i++) {
		char name[16];
		snprintf(name, sizeof name, "t%u", i);
		build_tier(&c, name, "", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	}
	struct snapshot *s = snapshot_compile(&c, errors);
	build_free(&c);
	return s;
}

static void test_tiers_bound(void **state)
{
	struct errors errors = {0};
	struct snapshot *s = with_tiers(1024, &errors);
	assert_true(s && snapshot_has_tier(s, "t1023"));
	snapshot_free(s);
	assert_null(with_tiers(1025, &errors));
	assert_int_equal(errors.count, 1);
	errors_deinit(&errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tiers_bound),
		cmocka_unit_test(test_dangling_names),
		cmocka_unit_test(test_all_errors_at_once),
		cmocka_unit_test(test_loops),
		cmocka_unit_test(test_too_many_sites),
		cmocka_unit_test(test_lines_twice),
		cmocka_unit_test(test_covered_by_deny),
		cmocka_unit_test(test_networks_want_any),
		cmocka_unit_test(test_accessors),
		cmocka_unit_test(test_next_edge),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(hosts_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
