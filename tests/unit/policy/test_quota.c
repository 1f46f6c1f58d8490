#include "unit.h"

#include "policy/build.h"
#include "config/value.h"
#include "policy/quota.h"
#include "policy/why.h"

#include <stdlib.h>
#include <time.h>

#define NOON INT64_C(1782129600000000000) /* Mon 2026-06-22 12:00 UTC */
#define HOUR (3600 * NS_PER_S)

static void give(struct config_line *l, const char *quota)
{
	assert_null(quota_parse(quota, &l->quota));
}

static struct snapshot *policy(const char *quota)
{
	struct config c = {.mismatch = CONFIG_MISMATCH_LOG};
	build_network(&c.internal, "10.0.0.0/8");
	build_tier(&c, "pupils", "", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_tier(&c, "staff", "pupils", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_tier(&c, "loose", "", CONFIG_EVIDENCE_ANY, CONFIG_MISMATCH_UNSET);
	build_site(&c, "video", "video.example 203.0.113.0/24");
	build_site(&c, "wiki", "wiki.example");
	give(build_line(&c, ALLOW, "pupils loose", "video", ""), quota);
	build_line(&c, ALLOW, "staff", "video", "");
	build_line(&c, ALLOW, "pupils", "wiki", "");
	return build_snapshot(&c);
}

static struct facts flow(const char *tier, const char *user, const char *client)
{
	static struct host video;
	video = build_host("video.example");
	return (struct facts){.client = build_address(client),
			      .tier = tier,
			      .user = user,
			      .port = 443,
			      .transport = IPPROTO_TCP,
			      .server = build_address("203.0.113.1"),
			      .host = &video,
			      .evidence = EVIDENCE_SNI};
}

static void spend(struct snapshot *s, const struct facts *f, int64_t until)
{
	size_t count;
	const struct quota *q = snapshot_quotas(s, &count)[0];
	struct spent *p = spent_new(1, 7);
	struct quota_account a = {.id = q->id};
	quota_whose(q, f, &a.who);
	spent_add(p, &a, until);
	spent_free(snapshot_spend(s, p));
}

static void spent_line_matches_no_more(void **state)
{
	struct snapshot *s = policy("90 min/day");
	struct facts ada = flow("pupils", "ada", "10.0.0.7"),
		     bob = flow("pupils", "bob", "10.0.0.8");
	struct facts elsewhere = flow("pupils", "ada", "10.0.9.9");
	struct outcome o = decide(s, &ada, NOON);
	assert_int_equal(o.action, ACTION_ALLOW);
	assert_non_null(snapshot_quota(s, o.rule));
	spend(s, &ada, NOON + HOUR);
	assert_int_equal(snapshot_spent_generation(s), 7);
	o = decide(s, &ada, NOON);
	assert_int_equal(o.action, ACTION_DENY);
	assert_int_equal(o.reason, REASON_QUOTA_SPENT);
	assert_int_equal(o.rule, RULE_NONE);
	assert_int_equal(decide(s, &elsewhere, NOON).reason, REASON_QUOTA_SPENT);
	assert_int_equal(decide(s, &bob, NOON).action, ACTION_ALLOW);
	assert_int_equal(decide(s, &ada, NOON + HOUR - 1).reason, REASON_QUOTA_SPENT);
	assert_int_equal(decide(s, &ada, NOON + HOUR).action, ACTION_ALLOW);
	assert_int_equal(snapshot_next_edge(s, NOON), NOON + HOUR);
	assert_int_equal(snapshot_next_edge(s, NOON + HOUR), 0);
	spent_free(snapshot_spend(s, NULL));
	assert_int_equal(decide(s, &ada, NOON).action, ACTION_ALLOW);
	assert_int_equal(snapshot_spent_generation(s), 0);
	snapshot_free(s);
}

static void words_of(const char *tiers, const char *sites, const char *ports, const char *except,
		     const char *want)
{
	struct config c = {0};
	size_t count;
	build_tier(&c, "pupils", "", 0, 0);
	build_tier(&c, "guests", "", 0, 0);
	build_site(&c, "video", "video.example");
	build_site(&c, "games", "games.example");
	build_schedule(&c, "evenings", 0x1f, 1080, 1320, "UTC");
	struct config_line *l = build_line(&c, ALLOW, tiers, sites, ports);
	l->except = build_words(except);
	l->when = except[0] ? strdup("evenings") : NULL;
	give(l, "90 min/day");
	struct snapshot *s = build_snapshot(&c);
	assert_string_equal(snapshot_quotas(s, &count)[0]->words, want);
	snapshot_free(s);
}

/* All that sets it apart from another, in whatever order it is written. */
static void words_say_what_shares_it(void **state)
{
	words_of("pupils guests", "video games", "udp/443 tcp/80 tcp/443", "",
		 "90 min/day, guests, pupils at games, video");
	words_of("guests pupils", "games video", "tcp/443 udp/443 tcp/80", "",
		 "90 min/day, guests, pupils at games, video");
	words_of("pupils", "*", "udp/443 tcp/1000-2000 tcp/443", "video games",
		 "90 min/day, pupils at * but not games, video, tcp/443, tcp/1000-2000, udp/443, "
		 "when evenings");
}

/* Who has it without a quota, too, never counts. */
static void without_end_comes_first(void **state)
{
	struct snapshot *s = policy("90 min/day");
	struct facts eve = flow("staff", "eve", "10.0.0.7");
	assert_null(snapshot_quota(s, decide(s, &eve, NOON).rule));
	spend(s, &eve, NOON + HOUR);
	assert_int_equal(decide(s, &eve, NOON).action, ACTION_ALLOW);
	snapshot_free(s);
}

static void a_name_is_waited_for(void **state)
{
	struct snapshot *s = policy("90 min/day");
	struct facts ada = flow("pupils", "ada", "10.0.0.7"), loose = flow("loose", "", "10.0.0.8");
	ada.host = loose.host = NULL;
	ada.evidence = loose.evidence = EVIDENCE_ADDRESS;
	ada.waiting = loose.waiting = true;
	spend(s, &ada, NOON + HOUR);
	assert_int_equal(decide(s, &ada, NOON).action, ACTION_WAIT);
	assert_int_equal(decide(s, &loose, NOON).action, ACTION_ALLOW);
	spend(s, &loose, NOON + HOUR);
	loose.waiting = false;
	assert_int_equal(decide(s, &loose, NOON).reason, REASON_QUOTA_SPENT);
	snapshot_free(s);
}

static void hosts_and_all_together(void **state)
{
	struct snapshot *s = policy("90 min/day"), *t = policy("2 GiB/week together");
	const uint8_t mac[6] = {2, 0, 0, 0, 0, 7};
	struct host_key host = host_key_mac(mac);
	struct facts one = flow("pupils", "", "10.0.0.7"), two = flow("pupils", NULL, "10.0.0.8");
	struct facts ada = flow("pupils", "ada", "10.0.0.9");
	char text[80] = "";
	struct buf b = BUF_OF(text);
	struct quota_who who;
	size_t count;
	spend(s, &one, NOON + HOUR);
	assert_int_equal(decide(s, &one, NOON).reason, REASON_QUOTA_SPENT);
	assert_int_equal(decide(s, &two, NOON).action, ACTION_ALLOW);
	one.whose = two.whose = &host;
	assert_int_equal(decide(s, &one, NOON).action, ACTION_ALLOW);
	spend(s, &one, NOON + HOUR);
	assert_int_equal(decide(s, &two, NOON).reason, REASON_QUOTA_SPENT);
	spend(s, &ada, NOON + HOUR);
	ada.user = "ADA"; /* as a RADIUS server takes it, and tells it */
	assert_int_equal(decide(s, &ada, NOON).reason, REASON_QUOTA_SPENT);
	ada.user = "adb";
	assert_int_equal(decide(s, &ada, NOON).action, ACTION_ALLOW);
	spend(t, &one, NOON + HOUR);
	assert_int_equal(decide(t, &ada, NOON).reason, REASON_QUOTA_SPENT);
	quota_whose(snapshot_quotas(s, &count)[0], &one, &who);
	quota_who_format(&who, &b);
	buf_text(&b, ", ");
	one.whose = NULL;
	quota_whose(snapshot_quotas(s, &count)[0], &one, &who);
	quota_who_format(&who, &b);
	buf_text(&b, ", ");
	one.client = build_address("fd00:9::7");
	quota_whose(snapshot_quotas(s, &count)[0], &one, &who);
	quota_who_format(&who, &b);
	buf_text(&b, ", ");
	quota_whose(snapshot_quotas(t, &count)[0], &one, &who);
	quota_who_format(&who, &b);
	assert_string_equal(
		text, "host 02:00:00:00:00:07, host 10.0.0.7, host fd00:9::/64, all together");
	assert_int_equal(count, 1);
	snapshot_free(s);
	snapshot_free(t);
}

static void why_says_until_when(void **state)
{
	struct snapshot *s = policy("90 min/day from 04:00 Europe/Sofia");
	struct facts ada = flow("pupils", "ada", "10.0.0.7");
	struct why w;
	spend(s, &ada, NOON + HOUR);
	why_explain(s, &ada, NOON, &w);
	assert_int_equal(w.outcome.reason, REASON_QUOTA_SPENT);
	assert_string_equal(w.nearest, "t.conf:101");
	assert_int_equal(w.obstacle_count, 1);
	assert_string_equal(w.obstacle[0], "the line's quota, 90 min a day, is used up by user ada "
					   "until 2026-06-22 16:00 Europe/Sofia");
	snapshot_free(s);
}

/* ---- periods ---- */

static void period(const char *quota, const char *now, const char *start, const char *end)
{
	struct snapshot *s = policy(quota);
	size_t count;
	const struct quota *q = snapshot_quotas(s, &count)[0];
	char text[80] = "";
	struct buf b = BUF_OF(text);
	int64_t at, first, last, again, after;
	struct tm tm = {0};
	assert_non_null(strptime(now, "%Y-%m-%dT%H:%M:%SZ", &tm));
	at = (int64_t)timegm(&tm) * NS_PER_S;
	quota_period(q, at, &first, &last);
	clock_format(&b, first);
	assert_memory_equal(text, start, 16);
	buf_reset(&b);
	clock_format(&b, last);
	assert_memory_equal(text, end, 16);
	assert_true(first <= at && at < last);
	quota_period(q, first, &again, &after);
	assert_true(again == first && after == last);
	quota_period(q, last - 1, &again, &after);
	assert_true(again == first && after == last);
	quota_period(q, last, &again, &after);
	assert_int_equal(again, last);
	snapshot_free(s);
}

static void periods(void **state)
{
	period("1 h/day", "2026-06-22T12:00:00Z", "2026-06-22T00:00", "2026-06-23T00:00");
	period("1 h/day from 12:30", "2026-06-22T12:00:00Z", "2026-06-21T12:30",
	       "2026-06-22T12:30");
	period("1 h/day Europe/Sofia", "2026-06-22T21:30:00Z", "2026-06-22T21:00",
	       "2026-06-23T21:00");
	period("1 h/week", "2026-06-28T23:59:59Z", "2026-06-22T00:00", "2026-06-29T00:00");
	period("1 h/week from sun 18:00", "2026-06-28T17:59:59Z", "2026-06-21T18:00",
	       "2026-06-28T18:00");
	period("1 h/week from mon 00:00", "2026-06-22T00:00:00Z", "2026-06-22T00:00",
	       "2026-06-29T00:00");
	/* the clock goes from 03:00 to 04:00: a day of 23 hours, and one that begins in the gap */
	period("1 h/day Europe/Sofia", "2026-03-29T12:00:00Z", "2026-03-28T22:00",
	       "2026-03-29T21:00");
	period("1 h/day from 03:30 Europe/Sofia", "2026-03-29T00:59:59Z", "2026-03-28T01:30",
	       "2026-03-29T01:30");
	period("1 h/day from 03:30 Europe/Sofia", "2026-03-29T02:00:00Z", "2026-03-29T01:30",
	       "2026-03-30T00:30");
	/* and from 04:00 back to 03:00: one of 25, which begins the first time */
	period("1 h/day Europe/Sofia", "2026-10-25T12:00:00Z", "2026-10-24T21:00",
	       "2026-10-25T22:00");
	period("1 h/day from 03:30 Europe/Sofia", "2026-10-25T00:29:59Z", "2026-10-24T00:30",
	       "2026-10-25T00:30");
	period("1 h/day from 03:30 Europe/Sofia", "2026-10-25T01:10:00Z", "2026-10-25T00:30",
	       "2026-10-26T01:30");
	period("1 h/week from sun 03:30 Europe/Sofia", "2026-10-25T01:10:00Z", "2026-10-25T00:30",
	       "2026-11-01T01:30");
}

/* ---- what tells a line over reloads ---- */

static uint64_t id_of(const char *tiers, const char *sites, const char *quota, const char *ports)
{
	struct config c = {0};
	size_t count;
	build_tier(&c, "a", "", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_tier(&c, "b", "", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_site(&c, "s", "s.example");
	build_site(&c, "t", "t.example");
	build_line(&c, ALLOW, "a", "t", "tcp/7");
	struct config_line *l = build_line(&c, ALLOW, tiers, sites, ports);
	give(l, quota);
	struct snapshot *s = build_snapshot(&c);
	uint64_t id = snapshot_quotas(s, &count)[0]->id;
	assert_int_equal(count, 1);
	assert_ptr_equal(snapshot_quota_by_id(s, id), snapshot_quotas(s, &count)[0]);
	assert_null(snapshot_quota_by_id(s, id + 1));
	snapshot_free(s);
	return id;
}

static void a_line_is_told_by_its_content(void **state)
{
	uint64_t id = id_of("a b", "s", "90 min/day", "");
	assert_int_equal(id, id_of("b a", "s", "2 h/day", ""));
	assert_int_not_equal(id, id_of("a", "s", "90 min/day", ""));
	assert_int_not_equal(id, id_of("a b", "t", "90 min/day", ""));
	assert_int_not_equal(id, id_of("a b", "s", "90 MB/day", ""));
	assert_int_not_equal(id, id_of("a b", "s", "90 min/week", ""));
	assert_int_not_equal(id, id_of("a b", "s", "90 min/day from 04:00", ""));
	assert_int_not_equal(id, id_of("a b", "s", "90 min/day together", ""));
	assert_int_not_equal(id, id_of("a b", "s", "90 min/day Europe/Sofia", ""));
	assert_int_not_equal(id, id_of("a b", "s", "90 min/day", "tcp/22"));
}

struct alike {
	const char *quota;
	uint8_t evidence;
	uint64_t id; /* of the last policy with it */
};

static void compile_alike(struct alike *const *list, size_t count)
{
	struct config c = {0};
	size_t quotas;
	build_tier(&c, "a", "", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_site(&c, "s", "s.example");
	build_line(&c, ALLOW, "a", "*", "tcp/22");
	for (size_t i = 0; i < count; i++) {
		struct config_line *l = build_line(&c, ALLOW, "a", "s", "");
		give(l, list[i]->quota);
		l->evidence = list[i]->evidence;
	}
	struct snapshot *s = build_snapshot(&c);
	const struct quota *const *q = snapshot_quotas(s, &quotas);
	assert_int_equal(quotas, count);
	for (size_t i = 0; i < count; i++) {
		assert_ptr_equal(snapshot_quota_by_id(s, q[i]->id), q[i]);
		list[i]->id = q[i]->id;
	}
	snapshot_free(s);
}

/* Lines for the same tiers and sites, in each order: each keeps what was used of it. Those that are
 * alike but for the quota are refused: one of them says again what another says. */
static void lines_may_change_places(void **state)
{
	struct alike line[] = {{"90 min/day", 0, 0},
			       {"60 min/day", CONFIG_EVIDENCE_DNS, 0},
			       {"60 min/day", CONFIG_EVIDENCE_ANY, 0},
			       {"60 min/week", CONFIG_EVIDENCE_NAME_ADDRESS, 0}};
	enum { N = sizeof line / sizeof *line };
	struct alike *order[N];
	uint64_t id[N];
	for (unsigned i = 0; i < N; i++)
		order[i] = &line[i];
	compile_alike(order, N);
	for (unsigned i = 0; i < N; i++)
		id[i] = line[i].id;
	for (unsigned turn = 0; turn < 24; turn++) {
		unsigned left = turn;
		for (unsigned i = N; i > 1; left /= i--) {
			struct alike *was = order[i - 1];
			order[i - 1] = order[left % i];
			order[left % i] = was;
		}
		compile_alike(order, N);
		for (unsigned i = 0; i < N; i++)
			assert_int_equal(line[i].id, id[i]);
	}
	struct alike alone = line[0], *only = &alone;
	compile_alike(&only, 1);
	assert_int_equal(alone.id, id[0]); /* others take nothing from the first */
}

static void lines_that_say_the_same_count_apart(void **state)
{
	struct config c = {0};
	size_t count;
	build_tier(&c, "a", "", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_site(&c, "s", "s.example");
	give(build_line(&c, ALLOW, "a", "s", ""), "90 min/day");
	struct config_line *l = build_line(&c, ALLOW, "a", "s", "");
	give(l, "60 min/day");
	l->evidence = CONFIG_EVIDENCE_DNS;
	struct snapshot *s = build_snapshot(&c);
	const struct quota *const *q = snapshot_quotas(s, &count);
	assert_int_equal(count, 2);
	assert_int_not_equal(q[0]->id, q[1]->id);
	snapshot_free(s);
}

static void many_are_found(void **state)
{
	struct snapshot *s = policy("1 GiB/day");
	size_t count;
	const struct quota *q = snapshot_quotas(s, &count)[0];
	struct spent *p = spent_new(1000, 1);
	char user[16];
	struct facts f = flow("pupils", user, "10.0.0.7");
	for (int i = 0; i < 1000; i++) {
		struct quota_account a = {.id = q->id};
		snprintf(user, sizeof user, "u%d", i);
		quota_whose(q, &f, &a.who);
		spent_add(p, &a, NOON + HOUR + i);
	}
	spent_free(snapshot_spend(s, p));
	for (int i = 0; i < 2000; i++) {
		snprintf(user, sizeof user, "u%d", i);
		assert_int_equal(quota_spent_until(s, q, &f, NOON), i < 1000 ? NOON + HOUR + i : 0);
	}
	assert_int_equal(snapshot_next_edge(s, NOON), NOON + HOUR);
	snapshot_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spent_line_matches_no_more),
		cmocka_unit_test(words_say_what_shares_it),
		cmocka_unit_test(without_end_comes_first),
		cmocka_unit_test(a_name_is_waited_for),
		cmocka_unit_test(hosts_and_all_together),
		cmocka_unit_test(why_says_until_when),
		cmocka_unit_test(periods),
		cmocka_unit_test(a_line_is_told_by_its_content),
		cmocka_unit_test(lines_may_change_places),
		cmocka_unit_test(lines_that_say_the_same_count_apart),
		cmocka_unit_test(many_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
