/* What a worker counts of its decisions: by tier, outcome and reason, and how long they took. */
#include "rig.h"

#include "policy/counted.h"

static uint64_t decided(const struct rig *r, const char *tier, enum worker_outcome o,
			enum reason reason)
{
	struct worker_tier one;
	uint64_t count = 0;
	for (size_t i = 0; i < worker_tiers(r->worker); i++) {
		worker_tier(r->worker, i, &one);
		if (strcmp(one.name, tier) == 0)
			count += one.count[o][reason];
	}
	return count;
}

static struct worker_counters counters(const struct rig *r)
{
	struct worker_counters c;
	worker_count(r->worker, &c);
	return c;
}

static uint64_t verdicts(const struct rig *r)
{
	struct worker_counters c = counters(r);
	return histogram_count(&c.verdicts);
}

static uint64_t hellos(const struct rig *r)
{
	struct worker_counters c = counters(r);
	return histogram_count(&c.hellos);
}

static void by_tier_outcome_and_reason(void **state)
{
	struct rig *r = rig_new("");
	syn(r, guest, 4000);
	hello(r, guest, 4000, "news.example");
	syn(r, guest, 4001);
	hello(r, guest, 4001, "evil.example");
	syn(r, guest, 4002);
	hello(r, guest, 4002, "evil.example");
	syn(r, nobody, 4003);
	assert_int_equal(decided(r, "guest", OUTCOME_ALLOW, REASON_ALLOW_LINE), 1);
	assert_int_equal(decided(r, "guest", OUTCOME_DENY, REASON_NO_LINE), 2);
	assert_int_equal(decided(r, "", OUTCOME_DENY, REASON_NO_TIER), 1);
	assert_int_equal(decided(r, "guest", OUTCOME_WOULD_DENY, REASON_NO_LINE), 0);
	assert_int_equal(counters(r).allowed, 1);
	assert_int_equal(counters(r).denied, 3);
	rig_free(r);
}

static void what_is_observed_would_be_denied(void **state)
{
	struct rig *r = rig_new("mode = \"observe\";\n");
	syn(r, guest, 4000);
	hello(r, guest, 4000, "evil.example");
	assert_int_equal(decided(r, "guest", OUTCOME_WOULD_DENY, REASON_NO_LINE), 1);
	assert_int_equal(decided(r, "guest", OUTCOME_ALLOW, REASON_NO_LINE), 0);
	rig_free(r);
}

/* More tiers than there are places: those that came late share one. */
static void tiers_have_a_bound(void **state)
{
	char text[8192];
	struct buf b = {.data = text, .cap = sizeof text};
	buf_text(&b, "tiers = ( { name = \"t0\"; }");
	for (int i = 1; i < 70; i++)
		buf_printf(&b, ", { name = \"t%d\"; }", i);
	buf_text(&b, " );\nsegments = ( { network = \"10.9.0.0/32\"; tier = \"t0\"; }");
	for (int i = 1; i < 70; i++)
		buf_printf(&b, ", { network = \"10.9.0.%d/32\"; tier = \"t%d\"; }", i, i);
	buf_text(&b, " );\nsites = ( { name = \"news\"; hosts = [ \"news.example\" ]; } );\n"
		     "allow = ( { tiers = [ \"*\" ]; sites = [ \"news\" ]; } );\n");
	struct rig *r = rig_with(text);
	for (int i = 0; i < 70; i++) {
		char client[32];
		snprintf(client, sizeof client, "10.9.0.%d", i);
		r->logged = 0;
		syn(r, client, 4000);
		hello(r, client, 4000, "evil.example");
	}
	assert_int_equal(worker_tiers(r->worker), WORKER_TIERS);
	assert_int_equal(decided(r, "t62", OUTCOME_DENY, REASON_NO_LINE), 1);
	assert_int_equal(decided(r, "t63", OUTCOME_DENY, REASON_NO_LINE), 0);
	assert_int_equal(decided(r, "(others)", OUTCOME_DENY, REASON_NO_LINE), 7);
	rig_free(r);
}

/* A hello that came at once waited for nothing; one in parts from the first that was held. */
static void waits_and_verdicts_are_timed(void **state)
{
	uint8_t bytes[2048];
	size_t len = wire_hello(bytes, "news.example", 0);
	struct rig *r = rig_new("held = \"until-whole\";\n");
	syn(r, guest, 4000);
	hello(r, guest, 4000, "news.example");
	assert_int_equal(counters(r).hellos.bucket[0], 1);
	assert_int_equal(verdicts(r), 2);
	syn(r, guest, 4001);
	data(r, guest, 4001, 0, bytes, 20);
	assert_int_equal(verdicts(r), 3); /* the held one is not in it */
	r->source.now += 299 * NS_PER_MS;
	data(r, guest, 4001, 20, bytes + 20, len - 20);
	assert_int_equal(hellos(r), 2);
	assert_int_equal(counters(r).hellos.sum, 300 * NS_PER_MS);
	assert_int_equal(verdicts(r), 4);
	assert_int_equal(counters(r).verdicts.sum, 0);
	r->source.took = 30 * NS_PER_MS;
	syn(r, guest, 4002);
	assert_int_equal(counters(r).verdicts.sum, 30 * NS_PER_MS);
	r->source.took = 0;
	wait_ms(r, 5); /* a turn in which nothing came */
	assert_int_equal(verdicts(r), 5);
	rig_free(r);
}

static struct hit line(const struct rig *r, size_t i)
{
	return counted_sum(snapshot_counted(r->snapshot), i);
}

/* A line is hit by each flow that it decides, and is in use while such a flow lives. */
static void lines_and_entries_are_hit(void **state)
{
	struct rig *r = rig_new("");
	uint32_t began = (uint32_t)(r->source.now / NS_PER_S);
	snapshot_count(r->snapshot, counted_new(r->config, 1, 99));
	syn(r, guest, 4000);
	assert_int_equal(line(r, 0).count, 0); /* waits for its name */
	hello(r, guest, 4000, "www.news.example");
	syn(r, guest, 4001);
	hello(r, guest, 4001, "social.example");
	assert_int_equal(line(r, 0).count, 1);
	assert_int_equal(line(r, 1).count, 0);
	assert_int_equal(line(r, 2).count, 1); /* the entry */
	assert_int_equal(line(r, 3).count, 0);
	assert_true(line(r, 0).last - began < 2);
	wait_ms(r, r->config->name_grace / NS_PER_MS + 2000);
	assert_int_equal(line(r, 0).count, 1);
	assert_true(line(r, 0).last - began >= r->config->name_grace / NS_PER_S);
	assert_true(line(r, 2).last - began < 2);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_tier_outcome_and_reason),
		cmocka_unit_test(what_is_observed_would_be_denied),
		cmocka_unit_test(tiers_have_a_bound),
		cmocka_unit_test(lines_and_entries_are_hit),
		cmocka_unit_test(waits_and_verdicts_are_timed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
