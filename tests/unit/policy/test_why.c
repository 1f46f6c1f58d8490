#include "unit.h"

#include "policy/build.h"
#include "policy/why.h"

#define SATURDAY INT64_C(1781942700000000000) /* Sat 2026-06-20 08:05 UTC, 11:05 in Sofia */
#define MONDAY   INT64_C(1782129600000000000) /* 2026-06-22 12:00 UTC */

static struct snapshot *policy(void)
{
	struct config c = {.mismatch = CONFIG_MISMATCH_LOG};
	build_network(&c.internal, "10.0.0.0/8");
	build_tier(&c, "guest", "", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_tier(&c, "staff", "guest", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_tier(&c, "press", "staff", CONFIG_EVIDENCE_NAME_ADDRESS, CONFIG_MISMATCH_UNSET);
	build_site(&c, "social", "youtube.com");
	build_site(&c, "wiki", "wikipedia.org");
	build_site(&c, "nets", "203.0.113.0/24 nets.example");
	build_schedule(&c, "office", 0x1f, 480, 1080, "Europe/Sofia");
	struct config_line *l = build_line(&c, ALLOW, "staff", "social", "tcp/443 udp/443");
	l->when = strdup("office");
	l->owner = strdup("comms desk");
	l->note = strdup("for the news");
	build_line(&c, ALLOW, "guest", "wiki", "");
	build_line(&c, ALLOW, "guest", "nets", "tcp/22")->expires = MONDAY;
	build_line(&c, DENY, "staff", "wiki", "")->owner = strdup("head");
	c.deny[0].note = strdup("exams");
	return build_snapshot(&c);
}

static struct why explain(const struct snapshot *s, const char *tier, const char *to, uint16_t port,
			  enum evidence evidence, int64_t now)
{
	struct why why;
	struct host host = {0};
	struct facts f = {
		.client = build_address("10.1.1.1"),
		.server = build_address("192.0.2.1"),
		.port = port,
		.transport = IPPROTO_TCP,
		.tier = tier,
		.evidence = evidence,
	};
	if (!address_parse(to, &f.server)) {
		host = build_host(to);
		f.host = &host;
	}
	why_explain(s, &f, now, &why);
	return why;
}

/* The nearest line and the sentences, joined by " | ". */
static const char *told(const struct why *w)
{
	static char text[1024];
	struct buf b = BUF_OF(text);
	buf_reset(&b);
	buf_text(&b, w->nearest);
	for (unsigned i = 0; i < w->obstacle_count; i++)
		buf_printf(&b, " | %s", w->obstacle[i]);
	return text;
}

static void test_allowed(void **state)
{
	struct snapshot *s = policy();
	struct why w = explain(s, "staff", "www.youtube.com", 443, EVIDENCE_SNI, MONDAY);
	assert_int_equal(w.outcome.action, ACTION_ALLOW);
	assert_string_equal(w.rule, "t.conf:101");
	assert_string_equal(w.site, "social");
	assert_string_equal(w.owner, "comms desk");
	assert_string_equal(w.note, "for the news");
	assert_string_equal(w.needs, "name");
	assert_string_equal(told(&w), "");
	w = explain(s, NULL, "10.1.1.1", 443, EVIDENCE_ADDRESS, MONDAY);
	assert_int_equal(w.outcome.reason, REASON_INTERNAL);
	assert_null(w.needs);
	assert_string_equal(w.rule, "");
	snapshot_free(s);
}

static void test_time_and_tier(void **state)
{
	struct snapshot *s = policy();
	struct why w = explain(s, "staff", "youtube.com", 443, EVIDENCE_SNI, SATURDAY);
	assert_string_equal(told(&w), "t.conf:101 | the line holds only mon-fri 08:00-18:00 "
				      "Europe/Sofia; it is Sat 11:05 there");
	assert_string_equal(w.nearest_owner, "comms desk");
	assert_string_equal(w.nearest_note, "for the news");
	assert_string_equal(w.note, "");
	assert_string_equal(w.rule, "");
	w = explain(s, "guest", "youtube.com", 80, EVIDENCE_SNI, SATURDAY);
	assert_string_equal(told(&w),
			    "t.conf:101 | the line is for staff, press; the tier here is guest | "
			    "the line is for tcp/443, udp/443; this is tcp/80 | "
			    "the line holds only mon-fri 08:00-18:00 Europe/Sofia; it is Sat "
			    "11:05 there");
	w = explain(s, NULL, "wikipedia.org", 443, EVIDENCE_SNI, MONDAY);
	assert_string_equal(told(&w), "t.conf:102 | nobody is signed in at 10.1.1.1 and no segment "
				      "covers it");
	w = explain(s, "gone", "wikipedia.org", 443, EVIDENCE_SNI, MONDAY);
	assert_string_equal(told(&w), "t.conf:102 | the policy has no tier \"gone\"");
	snapshot_free(s);
}

static void test_evidence(void **state)
{
	struct snapshot *s = policy();
	struct why w = explain(s, "guest", "wikipedia.org", 443, EVIDENCE_DNS, MONDAY);
	assert_string_equal(told(&w),
			    "t.conf:102 | the line wants evidence \"name\"; known is dns");
	assert_string_equal(w.needs, "name");
	w = explain(s, "press", "youtube.com", 443, EVIDENCE_SNI, MONDAY);
	assert_string_equal(told(&w), "t.conf:101 | the line wants the name to agree with the "
				      "address, and this network did not resolve it so");
	assert_string_equal(w.needs, "name+address");
	w = explain(s, "guest", "198.51.100.1", 443, EVIDENCE_ADDRESS, MONDAY);
	assert_string_equal(told(&w),
			    "t.conf:102 | no name is known, and the line wants evidence \"name\"");
	w = explain(s, "guest", "203.0.113.1", 22, EVIDENCE_ADDRESS, MONDAY - 1);
	assert_string_equal(told(&w),
			    "t.conf:103 | no name is known, and the line wants evidence \"name\"");
	w = explain(s, "guest", "203.0.113.1", 22, EVIDENCE_ADDRESS, MONDAY);
	assert_int_equal(w.obstacle_count, 2);
	snapshot_free(s);
}

static void test_expired(void **state)
{
	struct snapshot *s = policy();
	struct why w = explain(s, "guest", "nets.example", 22, EVIDENCE_SNI, MONDAY);
	assert_string_equal(told(&w), "t.conf:103 | the line expired with 2026-06-22 (UTC)");
	snapshot_free(s);
}

static void test_deny_line(void **state)
{
	struct snapshot *s = policy();
	struct why w = explain(s, "staff", "wikipedia.org", 443, EVIDENCE_SNI, MONDAY);
	assert_string_equal(w.rule, "t.conf:201");
	assert_string_equal(w.owner, "head");
	assert_string_equal(w.note, "exams");
	assert_string_equal(w.nearest_note, "");
	assert_string_equal(told(&w), "t.conf:102 | the deny line t.conf:201 matches, and a deny "
				      "beats any allow");
	snapshot_free(s);
}

static void test_observed_line(void **state)
{
	struct config c = {0};
	build_tier(&c, "staff", "", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_site(&c, "wiki", "wikipedia.org");
	build_line(&c, ALLOW, "staff", "wiki", "");
	build_line(&c, DENY, "staff", "wiki", "")->mode = CONFIG_LINE_OBSERVE;
	struct snapshot *s = build_snapshot(&c); /* no word of an allow line that it covers */
	struct why w = explain(s, "staff", "wikipedia.org", 443, EVIDENCE_SNI, MONDAY);
	assert_int_equal(w.outcome.action, ACTION_ALLOW);
	assert_string_equal(w.rule, "t.conf:101");
	assert_string_equal(w.watched, "t.conf:201");
	assert_int_equal(w.obstacle_count, 0);
	w = explain(s, "staff", "wikipedia.org", 22, EVIDENCE_SNI, MONDAY);
	assert_string_equal(w.watched, "");
	snapshot_free(s);
}

static void test_nothing_near(void **state)
{
	struct snapshot *s = policy();
	struct why w = explain(s, "staff", "other.example", 443, EVIDENCE_SNI, MONDAY);
	assert_string_equal(w.nearest, "");
	assert_null(w.needs);
	assert_string_equal(told(&w), " | no allow line names a site that holds other.example");
	snapshot_free(s);
}

/* Names as long as they may be: sentences end, nothing overflows. */
static void test_long_words(void **state)
{
	struct config c = {0};
	char name[TIER_MAX], host[HOST_MAX + 1], ports[512] = "";
	struct buf b = BUF_OF(ports);
	for (int i = 0; i < 40; i++) {
		memset(name, 'a' + i % 26, sizeof name - 1);
		snprintf(name + sizeof name - 3, 3, "%02d", i);
		build_tier(&c, name, "", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
		if (i < 30)
			buf_printf(&b, "tcp/%d-%d ", 10000 + i * 2, 10001 + i * 2);
	}
	memset(host, 'h', HOST_MAX);
	host[HOST_MAX] = '\0';
	build_site(&c, "s", "example.org");
	build_line(&c, ALLOW, "*", "s", ports);
	struct config_line *l = build_line(&c, ALLOW, c.tiers[0].name, "s", "tcp/1");
	l->place.file = host;
	l->owner = strdup(host);
	for (int i = 1; i < 30; i++)
		*GROW(l->tiers.item, l->tiers.count) = strdup(c.tiers[i].name);
	struct snapshot *s = build_snapshot(&c);
	struct why w = explain(s, name, "example.org", 1, EVIDENCE_SNI, MONDAY);
	assert_non_null(strstr(w.obstacle[0], ", ...; this is tcp/1"));
	w = explain(s, name, host, 1, EVIDENCE_SNI, MONDAY);
	assert_non_null(strstr(w.obstacle[0], "no allow line names a site that holds hhh"));
	snapshot_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_allowed),      cmocka_unit_test(test_time_and_tier),
		cmocka_unit_test(test_evidence),     cmocka_unit_test(test_expired),
		cmocka_unit_test(test_deny_line),    cmocka_unit_test(test_observed_line),
		cmocka_unit_test(test_nothing_near), cmocka_unit_test(test_long_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
