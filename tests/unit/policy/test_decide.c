#include "unit.h"

#include "policy/build.h"
#include "policy/decide.h"
#include "policy/why.h"

#define NOON INT64_C(1782129600000000000) /* Mon 2026-06-22 12:00 UTC */

/* A policy with one of everything; guest < staff < press, and strict on its own. */
static struct snapshot *policy(void)
{
	struct config c = {.mismatch = CONFIG_MISMATCH_LOG};
	build_network(&c.internal, "10.0.0.0/8");
	build_tier(&c, "guest", "", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_tier(&c, "staff", "guest", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_tier(&c, "press", "staff", CONFIG_EVIDENCE_NAME_ADDRESS, CONFIG_MISMATCH_UNSET);
	build_tier(&c, "loose", "", CONFIG_EVIDENCE_ANY, CONFIG_MISMATCH_UNSET);
	build_tier(&c, "careful", "staff", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_DENY);
	build_site(&c, "wiki", "wikipedia.org !ads.wikipedia.org =status.example");
	build_site(&c, "video", "video.example 203.0.113.0/24");
	build_site(&c, "ads", "ads.video.example");
	build_schedule(&c, "office", 0x1f, 8 * 60, 18 * 60, "UTC");
	build_line(&c, ALLOW, "guest", "wiki", "");
	build_line(&c, ALLOW, "staff loose", "video", "")->when = strdup("office");
	build_line(&c, ALLOW, "loose", "*", "udp/1000-2000");
	build_line(&c, ALLOW, "guest", "video", "tcp/8443")->expires = NOON;
	build_line(&c, DENY, "staff", "ads", "");
	return build_snapshot(&c);
}

struct ask {
	const char *tier, *host, *server;
	uint16_t port;
	uint8_t transport;
	enum evidence evidence;
	bool mismatch, waiting;
	int64_t now;
};

static struct outcome ask(const struct snapshot *s, struct ask a)
{
	struct host host = build_host(a.host ? a.host : "");
	struct facts f = {
		.client = build_address("10.1.1.1"),
		.server = build_address(a.server ? a.server : "198.51.100.7"),
		.port = a.port ? a.port : 443,
		.transport = a.transport ? a.transport : IPPROTO_TCP,
		.tier = a.tier,
		.host = a.host ? &host : NULL,
		.evidence = a.evidence ? a.evidence
			    : a.host   ? EVIDENCE_SNI
				       : EVIDENCE_ADDRESS,
		.mismatch = a.mismatch,
		.waiting = a.waiting,
	};
	return decide(s, &f, a.now ? a.now : NOON);
}

#define EXPECT(want_action, want_reason, want_rule, ...)                                           \
	do {                                                                                       \
		struct outcome o_ = ask(s, (struct ask){__VA_ARGS__});                             \
		assert_int_equal(o_.action, ACTION_##want_action);                                 \
		assert_int_equal(o_.reason, REASON_##want_reason);                                 \
		assert_string_equal(snapshot_rule_name(s, o_.rule), want_rule);                    \
	} while (0)

static void test_tiers(void **state)
{
	struct snapshot *s = policy();
	EXPECT(ALLOW, ALLOW_LINE, "t.conf:101", .tier = "guest", .host = "en.wikipedia.org");
	EXPECT(ALLOW, ALLOW_LINE, "t.conf:101", .tier = "staff", .host = "wikipedia.org");
	EXPECT(ALLOW, ALLOW_LINE, "t.conf:101", .tier = "press", .host = "wikipedia.org",
	       .evidence = EVIDENCE_SNI_DNS);
	EXPECT(DENY, NO_LINE, "", .tier = "loose", .host = "wikipedia.org");
	EXPECT(DENY, NO_LINE, "", .tier = "guest", .host = "video.example");
	EXPECT(DENY, NO_TIER, "", .host = "wikipedia.org");
	EXPECT(DENY, NO_TIER, "", .tier = "", .host = "wikipedia.org");
	EXPECT(DENY, NO_TIER, "", .tier = "nobody", .host = "wikipedia.org");
	EXPECT(DENY, NO_TIER, "", .host = "wikipedia.org", .waiting = true);
	EXPECT(ALLOW, INTERNAL, "", .server = "10.9.9.9", .port = 22);
	EXPECT(ALLOW, INTERNAL, "", .tier = "guest", .server = "10.9.9.9", .waiting = true);
	snapshot_free(s);
}

static void test_sites(void **state)
{
	struct snapshot *s = policy();
	EXPECT(DENY, NO_LINE, "", .tier = "guest", .host = "ads.wikipedia.org");
	EXPECT(DENY, NO_LINE, "", .tier = "guest", .host = "x.ads.wikipedia.org");
	EXPECT(DENY, NO_LINE, "", .tier = "guest", .host = "notwikipedia.org");
	EXPECT(DENY, NO_LINE, "", .tier = "guest", .host = "org");
	EXPECT(ALLOW, ALLOW_LINE, "t.conf:101", .tier = "guest", .host = "status.example");
	EXPECT(DENY, NO_LINE, "", .tier = "guest", .host = "x.status.example");
	struct outcome o = ask(s, (struct ask){.tier = "guest", .host = "wikipedia.org"});
	assert_string_equal(snapshot_site_name(s, o.site), "wiki");
	snapshot_free(s);
}

/* A deny beats any allow, and holds for the tiers that it names alone. */
static void test_deny(void **state)
{
	struct snapshot *s = policy();
	EXPECT(DENY, DENY_LINE, "t.conf:201", .tier = "staff", .host = "ads.video.example");
	EXPECT(DENY, DENY_LINE, "t.conf:201", .tier = "staff", .host = "ads.video.example",
	       .evidence = EVIDENCE_DNS);
	EXPECT(ALLOW, ALLOW_LINE, "t.conf:102", .tier = "press", .host = "ads.video.example",
	       .evidence = EVIDENCE_SNI_DNS);
	EXPECT(ALLOW, ALLOW_LINE, "t.conf:102", .tier = "staff", .host = "www.video.example");
	snapshot_free(s);
}

/* A deny line in observe mode: what is allowed stays so and is watched, by the first line that
 * would deny it; what is denied anyway is no matter of its. */
static void test_observed_line(void **state)
{
	char digest[17];
	struct config c = {.mismatch = CONFIG_MISMATCH_LOG};
	for (int observed = 0; observed < 2; observed++) {
		build_tier(&c, "staff", "", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
		build_site(&c, "video", "video.example 203.0.113.0/24");
		build_site(&c, "ads", "ads.video.example 203.0.113.9");
		build_line(&c, ALLOW, "staff", "video", "");
		struct config_line *l = build_line(&c, DENY, "staff", "ads", "");
		l->mode = observed ? CONFIG_LINE_OBSERVE : CONFIG_LINE_ENFORCE;
		build_line(&c, DENY, "staff", "*", "udp/443")->mode = CONFIG_LINE_OBSERVE;
		struct snapshot *s = build_snapshot(&c);
		struct outcome o =
			ask(s, (struct ask){.tier = "staff", .host = "ads.video.example"});
		assert_int_equal(o.action, observed ? ACTION_ALLOW : ACTION_DENY);
		assert_int_equal(o.watched, observed);
		if (observed) {
			assert_string_equal(snapshot_rule_name(s, o.rule), "t.conf:101");
			assert_string_equal(snapshot_rule_name(s, o.watched_rule), "t.conf:201");
			assert_string_equal(snapshot_site_name(s, o.watched_site), "ads");
		}
		o = ask(s, (struct ask){.tier = "staff", .host = "www.video.example"});
		assert_true(o.action == ACTION_ALLOW && !o.watched);
		o = ask(s, (struct ask){.tier = "staff",
					.host = "other.example",
					.transport = IPPROTO_UDP});
		assert_true(o.action == ACTION_DENY && !o.watched);
		/* a name may still come that the line would deny */
		o = ask(s, (struct ask){.tier = "staff", .server = "203.0.113.1", .waiting = true});
		assert_int_equal(o.action, ACTION_WAIT);
		if (observed)
			assert_string_not_equal(digest, snapshot_digest(s));
		strcpy(digest, snapshot_digest(s));
		snapshot_free(s);
	}
}

static void test_ports(void **state)
{
	struct snapshot *s = policy();
	EXPECT(ALLOW, ALLOW_LINE, "t.conf:101", .tier = "guest", .host = "wikipedia.org",
	       .port = 80);
	EXPECT(ALLOW, ALLOW_LINE, "t.conf:101", .tier = "guest", .host = "wikipedia.org",
	       .transport = IPPROTO_UDP);
	EXPECT(DENY, NO_LINE, "", .tier = "guest", .host = "wikipedia.org", .port = 80,
	       .transport = IPPROTO_UDP);
	EXPECT(DENY, NO_LINE, "", .tier = "loose", .port = 999, .transport = IPPROTO_UDP);
	EXPECT(ALLOW, ALLOW_LINE, "t.conf:103", .tier = "loose", .port = 1000,
	       .transport = IPPROTO_UDP);
	EXPECT(ALLOW, ALLOW_LINE, "t.conf:103", .tier = "loose", .port = 2000,
	       .transport = IPPROTO_UDP);
	EXPECT(DENY, NO_LINE, "", .tier = "loose", .port = 2001, .transport = IPPROTO_UDP);
	snapshot_free(s);
}

static void test_time(void **state)
{
	struct snapshot *s = policy();
	int64_t hour = 3600 * NS_PER_S;
	EXPECT(DENY, NO_LINE, "", .tier = "staff", .host = "video.example",
	       .now = NOON - 4 * hour - 1);
	EXPECT(ALLOW, ALLOW_LINE, "t.conf:102", .tier = "staff", .host = "video.example",
	       .now = NOON - 4 * hour);
	EXPECT(DENY, NO_LINE, "", .tier = "staff", .host = "video.example", .now = NOON + 6 * hour);
	EXPECT(ALLOW, ALLOW_LINE, "t.conf:104", .tier = "guest", .host = "video.example",
	       .port = 8443, .now = NOON - 1);
	EXPECT(DENY, NO_LINE, "", .tier = "guest", .host = "video.example", .port = 8443);
	snapshot_free(s);
}

static void test_evidence(void **state)
{
	struct snapshot *s = policy();
	EXPECT(DENY, NO_NAME, "", .tier = "guest");
	EXPECT(DENY, WEAK_EVIDENCE, "", .tier = "guest", .host = "wikipedia.org",
	       .evidence = EVIDENCE_DNS);
	EXPECT(DENY, WEAK_EVIDENCE, "", .tier = "guest", .host = "wikipedia.org",
	       .evidence = EVIDENCE_ECH_OUTER);
	EXPECT(ALLOW, ALLOW_LINE, "t.conf:101", .tier = "guest", .host = "wikipedia.org",
	       .evidence = EVIDENCE_HOST);
	EXPECT(DENY, NAME_ADDRESS_MISMATCH, "", .tier = "press", .host = "wikipedia.org",
	       .evidence = EVIDENCE_SNI);
	EXPECT(DENY, NAME_ADDRESS_MISMATCH, "", .tier = "press", .host = "wikipedia.org",
	       .evidence = EVIDENCE_HOST);
	EXPECT(DENY, WEAK_EVIDENCE, "", .tier = "press", .host = "wikipedia.org",
	       .evidence = EVIDENCE_DNS);
	EXPECT(ALLOW, ALLOW_LINE, "t.conf:102", .tier = "loose", .host = "video.example",
	       .evidence = EVIDENCE_ECH_OUTER);
	EXPECT(ALLOW, ALLOW_LINE, "t.conf:102", .tier = "loose", .server = "203.0.113.9");
	EXPECT(DENY, NO_NAME, "", .tier = "staff", .server = "203.0.113.9");
	EXPECT(DENY, NO_LINE, "", .tier = "staff", .server = "203.0.113.9", .host = "a.example");
	snapshot_free(s);
}

static void test_mismatch(void **state)
{
	struct snapshot *s = policy();
	EXPECT(ALLOW, ALLOW_LINE, "t.conf:101", .tier = "guest", .host = "wikipedia.org",
	       .mismatch = true);
	EXPECT(DENY, NAME_ADDRESS_MISMATCH, "", .tier = "careful", .host = "wikipedia.org",
	       .mismatch = true);
	EXPECT(ALLOW, ALLOW_LINE, "t.conf:101", .tier = "careful", .host = "wikipedia.org");
	EXPECT(DENY, NO_LINE, "", .tier = "careful", .host = "other.example", .mismatch = true);
	snapshot_free(s);
}

static void test_waiting(void **state)
{
	struct snapshot *s = policy();
	EXPECT(WAIT, NO_NAME, "", .tier = "guest", .waiting = true);
	EXPECT(WAIT, NO_NAME, "", .tier = "guest", .waiting = true, .host = "other.example",
	       .evidence = EVIDENCE_DNS);
	EXPECT(DENY, NO_LINE, "", .tier = "guest", .waiting = true, .port = 22);
	EXPECT(DENY, NO_LINE, "", .tier = "guest", .waiting = true, .host = "other.example");
	EXPECT(ALLOW, ALLOW_LINE, "t.conf:103", .tier = "loose", .waiting = true, .port = 1500,
	       .transport = IPPROTO_UDP);
	EXPECT(ALLOW, ALLOW_LINE, "t.conf:102", .tier = "loose", .waiting = true,
	       .server = "203.0.113.9");
	EXPECT(WAIT, NO_NAME, "", .tier = "loose", .waiting = true);
	EXPECT(WAIT, NO_NAME, "", .tier = "guest", .waiting = true, .port = 8443, .now = NOON - 1);
	EXPECT(DENY, NO_LINE, "", .tier = "guest", .waiting = true, .port = 8443);
	snapshot_free(s);
}

static enum action early(const struct snapshot *s, const char *tier, const char *names,
			 enum reason *reason)
{
	struct strings words = build_words(names);
	struct host hosts[4];
	struct facts f = {
		.client = build_address("10.1.1.1"),
		.server = build_address("198.51.100.7"),
		.port = 443,
		.transport = IPPROTO_TCP,
		.tier = tier,
		.evidence = EVIDENCE_ADDRESS,
		.waiting = true,
	};
	for (size_t i = 0; i < words.count; i++)
		hosts[i] = build_host(words.item[i]);
	struct outcome o = decide_early(s, &f, hosts, words.count, NOON);
	build_words_free(&words);
	*reason = o.reason;
	return o.action;
}

static void test_early(void **state)
{
	struct snapshot *s = policy();
	enum reason reason;
	assert_int_equal(early(s, "press", "other.example", &reason), ACTION_DENY);
	assert_int_equal(reason, REASON_NO_LINE);
	assert_int_equal(early(s, "press", "other.example wikipedia.org", &reason), ACTION_WAIT);
	assert_int_equal(early(s, "press", "", &reason), ACTION_WAIT);
	assert_int_equal(early(s, "careful", "other.example", &reason), ACTION_DENY);
	assert_int_equal(early(s, "staff", "other.example", &reason), ACTION_WAIT);
	assert_int_equal(early(s, NULL, "other.example", &reason), ACTION_WAIT);
	snapshot_free(s);
}

/* ---- exceptions and what is shared ---- */

static struct facts flow_to(const char *address, const struct host *name, bool waiting)
{
	return (struct facts){
		.server = build_address(address),
		.port = 443,
		.transport = IPPROTO_TCP,
		.tier = "t",
		.host = name,
		.evidence = name ? EVIDENCE_SNI_DNS : EVIDENCE_ADDRESS,
		.waiting = waiting,
	};
}

static void check_action(const struct snapshot *s, const char *address, const char *name,
			 bool waiting, enum action want)
{
	struct host h = build_host(name ? name : "x");
	struct facts f = flow_to(address, name ? &h : NULL, waiting);
	struct why why;
	assert_int_equal(decide(s, &f, NS_PER_S).action, want);
	f.waiting = false;
	why_explain(s, &f, NS_PER_S, &why); /* what is explained is what is decided */
	assert_int_equal(why.outcome.action, decide(s, &f, NS_PER_S).action);
}

/* "!name" takes a flow out of a deny line's networks: its first packets wait for the name. */
static void test_excepted_name(void **state)
{
	struct config c = {0};
	build_tier(&c, "t", "", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_site(&c, "net", "203.0.113.0/24 !exam.example");
	build_site(&c, "exam", "exam.example");
	build_line(&c, ALLOW, "t", "exam", "");
	build_line(&c, DENY, "t", "net", "");
	struct snapshot *s = build_snapshot(&c);
	check_action(s, "203.0.113.5", NULL, true, ACTION_WAIT);
	check_action(s, "203.0.113.5", NULL, false, ACTION_DENY);
	check_action(s, "203.0.113.5", "exam.example", false, ACTION_ALLOW);
	check_action(s, "203.0.113.5", "www.exam.example", false, ACTION_ALLOW);
	check_action(s, "203.0.113.5", "other.example", false, ACTION_DENY);
	snapshot_free(s);
}

/* The same where an allow line could be undone: what hides its name does not pass by its address.
 */
static void test_excepted_from_allow(void **state)
{
	struct config c = {0};
	build_tier(&c, "t", "", CONFIG_EVIDENCE_ANY, CONFIG_MISMATCH_UNSET);
	build_site(&c, "net", "203.0.113.0/24 !bad.example");
	build_site(&c, "few", "198.51.100.0/24 few.example ~shared.example");
	build_line(&c, ALLOW, "t", "net", "");
	build_line(&c, ALLOW, "t", "*", "tcp/443")->except = build_words("few net");
	struct snapshot *s = build_snapshot(&c);
	struct facts f = flow_to("203.0.113.5", NULL, false);
	check_action(s, "203.0.113.5", NULL, true, ACTION_WAIT);
	check_action(s, "203.0.113.5", "bad.example", false,
		     ACTION_ALLOW); /* all but few and net */
	assert_true(decide_name_may_deny(s, &f, NS_PER_S));
	check_action(s, "192.0.2.1", "any.example", false, ACTION_ALLOW);
	check_action(s, "192.0.2.1", "few.example", false, ACTION_DENY);
	check_action(s, "192.0.2.1", "shared.example", false, ACTION_ALLOW);
	check_action(s, "198.51.100.1", "any.example", false, ACTION_DENY);
	snapshot_free(s);
}

static void test_shared(void **state)
{
	struct config c = {0};
	build_tier(&c, "t", "", CONFIG_EVIDENCE_ANY, CONFIG_MISMATCH_UNSET);
	build_site(&c, "tube", "tube.example ~login.example 203.0.113.0/24 ~203.0.113.7");
	build_site(&c, "web", "example 203.0.113.0/24");
	build_line(&c, ALLOW, "t", "web", "");
	build_line(&c, DENY, "t", "tube", "");
	build_line(&c, ALLOW, "t", "tube", "tcp/8443");
	struct snapshot *s = build_snapshot(&c);
	check_action(s, "192.0.2.1", "www.tube.example", false, ACTION_DENY);
	check_action(s, "192.0.2.1", "login.example", false, ACTION_ALLOW);
	check_action(s, "203.0.113.8", NULL, false, ACTION_DENY);
	check_action(s, "203.0.113.7", NULL, false, ACTION_ALLOW);
	snapshot_free(s);
}

/* Only names wait for a name: a policy of networks alone denies elsewhere with the first packet. */
static void test_networks_alone_wait_for_no_name(void **state)
{
	struct config c = {0};
	build_tier(&c, "t", "", CONFIG_EVIDENCE_ANY, CONFIG_MISMATCH_UNSET);
	build_site(&c, "net", "203.0.113.0/24 !name.example");
	build_line(&c, ALLOW, "t", "net", "");
	struct snapshot *s = build_snapshot(&c);
	check_action(s, "192.0.2.1", NULL, true, ACTION_DENY);
	snapshot_free(s);
}

/* Without ports: the web's, and none beside them. */
static void test_default_ports(void **state)
{
	static const struct {
		uint8_t transport;
		uint16_t port;
		enum action want;
	} tries[] = {{IPPROTO_TCP, 79, ACTION_DENY},   {IPPROTO_TCP, 80, ACTION_ALLOW},
		     {IPPROTO_TCP, 81, ACTION_DENY},   {IPPROTO_TCP, 442, ACTION_DENY},
		     {IPPROTO_TCP, 443, ACTION_ALLOW}, {IPPROTO_TCP, 444, ACTION_DENY},
		     {IPPROTO_UDP, 80, ACTION_DENY},   {IPPROTO_UDP, 442, ACTION_DENY},
		     {IPPROTO_UDP, 443, ACTION_ALLOW}, {IPPROTO_UDP, 444, ACTION_DENY}};
	struct config c = {0};
	build_tier(&c, "t", "", CONFIG_EVIDENCE_ANY, CONFIG_MISMATCH_UNSET);
	build_site(&c, "net", "203.0.113.0/24");
	build_line(&c, ALLOW, "t", "net", "");
	struct snapshot *s = build_snapshot(&c);
	for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
		struct facts f = flow_to("203.0.113.5", NULL, false);
		f.transport = tries[i].transport;
		f.port = tries[i].port;
		assert_int_equal(decide(s, &f, NS_PER_S).action, tries[i].want);
	}
	snapshot_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_networks_alone_wait_for_no_name),
		cmocka_unit_test(test_default_ports),
		cmocka_unit_test(test_excepted_name),
		cmocka_unit_test(test_excepted_from_allow),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_tiers),
		cmocka_unit_test(test_sites),
		cmocka_unit_test(test_deny),
		cmocka_unit_test(test_observed_line),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_evidence),
		cmocka_unit_test(test_mismatch),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_early),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
