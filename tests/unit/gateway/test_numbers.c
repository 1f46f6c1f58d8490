/* What the gateway says of itself, to Prometheus and to `tiergatectl status`: of all queues
 * together, by tier, and each thing that an administrator is to be told of. What modules count is
 * the test's. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#define worker_count     of_worker
#define worker_tiers     tiers_of_worker
#define worker_tier      tier_of_worker
#define nfqueue_count    of_queue
#define watch_get        of_watch
#define seen_count       of_seen
#define usage_count      of_usage
#define meter_count      of_meter
#define sink_count       of_sink
#define sweep_count      of_sweep
#define copies_count     of_copies
#define dns_watch_count  of_dns_watch
#define conntrack_count  of_conntrack
#define control_count    of_control
#define neighbours_count of_neighbours
#define dnstap_count     of_dnstap
#define snapshot_mode    mode_of
#define snapshot_digest  digest_of
#define sessions_count   number_of_sessions
#define ring_refused     lost_remarks
#define sandbox_lacks    sandbox_is_without
#define quotas_lost      quotas_are_lost
#include "gateway/metrics.c"
#include "gateway/status.c"

static struct worker {
	struct worker_counters counters;
	struct worker_tier tier[WORKER_TIERS];
	size_t tiers;
} worker[2];
static struct watch_state rules;
static enum config_mode mode;
static int64_t lost_until;
static const char *lacks;
static struct gateway *g;
static struct config config;

void of_worker(const struct worker *w, struct worker_counters *out)
{
	*out = w->counters;
}

size_t tiers_of_worker(const struct worker *w)
{
	return w->tiers;
}

void tier_of_worker(const struct worker *w, size_t i, struct worker_tier *out)
{
	assert_true(i < w->tiers);
	*out = w->tier[i];
}

void of_watch(struct watch *w, bool fresh, struct watch_state *out)
{
	*out = rules;
}

void of_seen(const struct seen *s, struct seen_counters *out)
{
	*out = (struct seen_counters){.entries = 12};
}

void of_usage(const struct usage *u, struct usage_counters *out)
{
	*out = (struct usage_counters){.accounts = 13};
}

#define NOTHING_OF(function, module, counters)                                                     \
	void function(const struct module *m, struct counters *out)                                \
	{                                                                                          \
		*out = (struct counters){0};                                                       \
	}
NOTHING_OF(of_queue, source, nfqueue_counters)
NOTHING_OF(of_meter, meter, meter_counters)
NOTHING_OF(of_sink, sink, sink_counters)
NOTHING_OF(of_sweep, sweep, sweep_counters)
NOTHING_OF(of_copies, copies, copies_counters)
NOTHING_OF(of_dns_watch, dns_watch, dns_watch_counters)
NOTHING_OF(of_conntrack, conntrack, conntrack_counters)
NOTHING_OF(of_control, control, control_counters)
NOTHING_OF(of_neighbours, neighbours, neighbour_counters)
NOTHING_OF(of_dnstap, dnstap_socket, dnstap_counters)

enum config_mode mode_of(const struct snapshot *s)
{
	return mode;
}

const char *digest_of(const struct snapshot *s)
{
	return "0123456789abcdef";
}

uint32_t number_of_sessions(const struct sessions *s)
{
	return 14;
}

uint64_t lost_remarks(const struct ring *r)
{
	return 15;
}

const char *sandbox_is_without(void)
{
	return lacks;
}

int64_t quotas_are_lost(const struct gateway *gateway)
{
	return lost_until;
}

static int begin(void **state)
{
	memset(worker, 0, sizeof worker);
	rules = (struct watch_state){.rules_good = true, .interfaces_good = true};
	mode = CONFIG_ENFORCE;
	lost_until = 0;
	lacks = "";
	config = (struct config){.queue_first = 5,
				 .queue_length = 1024,
				 .sessions = 100,
				 .names = 200,
				 .quotas = 300,
				 .flows = 400};
	g = calloc(1, sizeof *g);
	g->config = &config;
	g->lane_count = 2;
	g->lanes[0].worker = &worker[0];
	g->lanes[1].worker = &worker[1];
	return 0;
}

static int end(void **state)
{
	free(g);
	return 0;
}

/* ---- for Prometheus ---- */

static const json_t *family(const json_t *all, const char *name)
{
	size_t i;
	json_t *one;
	json_array_foreach(all, i, one) if (strcmp(json_string_value(json_object_get(one, "name")),
						   name) == 0) return one;
	return NULL;
}

/* The sum of a family's samples that have this label, or of all; -1: there is none. */
static double sum(const json_t *all, const char *name, const char *key, const char *value)
{
	const json_t *samples = json_object_get(family(all, name), "samples");
	size_t i;
	json_t *s;
	double total = 0, found = 0;
	json_array_foreach(samples, i, s)
	{
		const json_t *label = json_object_get(json_object_get(s, "labels"), key ? key : "");
		if (key && (!label || strcmp(json_string_value(label), value) != 0))
			continue;
		total += json_number_value(json_object_get(s, "value"));
		found++;
	}
	return found ? total : -1;
}

static json_t *metrics(void)
{
	json_t *all = json_array();
	gateway_metrics(g, all);
	return all;
}

static double gauge_of(const char *name)
{
	json_t *all = metrics();
	double value = sum(all, name, NULL, NULL);
	json_decref(all);
	return value;
}

static void what_is_wrong_is_a_number(void **state)
{
	struct config latest = config;
	g->started = 1800000000 * NS_PER_S + 5;
	g->loaded = 1800000100 * NS_PER_S;
	assert_true(gauge_of("tiergate_build_info") == 1);
	assert_true(gauge_of("tiergate_policy_info") == 1);
	assert_true(gauge_of("tiergate_start_time_seconds") == 1800000000);
	assert_true(gauge_of("tiergate_policy_load_time_seconds") == 1800000100);
	assert_true(gauge_of("tiergate_policy_refused") == 0);
	assert_true(gauge_of("tiergate_last_good_in_force") == 0);
	assert_true(gauge_of("tiergate_lockdowns_lost") == 0);
	assert_true(gauge_of("tiergate_quotas_lost") == 0);
	assert_true(gauge_of("tiergate_lists_with_faults") == 0);
	assert_true(gauge_of("tiergate_rules_in_place") == 1);
	strcpy(g->refused, "wrong");
	assert_true(gauge_of("tiergate_policy_refused") == 1);
	strcpy(g->last_good, "000007.conf");
	assert_true(gauge_of("tiergate_last_good_in_force") == 1);
	g->lockdowns_lost = true;
	assert_true(gauge_of("tiergate_lockdowns_lost") == 1);
	lost_until = 1800000200 * NS_PER_S;
	assert_true(gauge_of("tiergate_quotas_lost") == 1);
	latest.faults = 3;
	g->latest = &latest; /* the one in force counts, not the start's */
	assert_true(gauge_of("tiergate_lists_with_faults") == 3);
	rules.interfaces_good = false;
	assert_true(gauge_of("tiergate_rules_in_place") == 0);
	rules = (struct watch_state){.interfaces_good = true};
	assert_true(gauge_of("tiergate_rules_in_place") == 0);
}

static void tables_are_told_with_their_room(void **state)
{
	static const struct {
		const char *table;
		double entries, capacity;
	} of[] = {{"sessions", 14, 100}, {"names", 12, 200}, {"quotas", 13, 300}};
	json_t *all = metrics();
	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		assert_true(sum(all, "tiergate_table_entries", "table", of[i].table) ==
			    of[i].entries);
		assert_true(sum(all, "tiergate_table_capacity", "table", of[i].table) ==
			    of[i].capacity);
	}
	assert_true(sum(all, "tiergate_queue_capacity", "queue", "5") == 1024);
	assert_true(sum(all, "tiergate_queue_capacity", "queue", "6") == 1024);
	assert_true(sum(all, "tiergate_policy_info", "mode", "enforce") == 1);
	assert_true(sum(all, "tiergate_policy_info", "digest", "0123456789abcdef") == 1);
	json_decref(all);
	mode = CONFIG_OBSERVE;
	all = metrics();
	assert_true(sum(all, "tiergate_policy_info", "mode", "observe") == 1);
	json_decref(all);
}

static void queues_are_summed(void **state)
{
	worker[0].counters.reasons[REASON_NO_LINE] = 7;
	worker[1].counters.reasons[REASON_NO_LINE] = 8;
	worker[1].counters.reasons[REASON_COUNT - 1] = 9;
	worker[0].counters.verdicts = (struct histogram){.bucket = {1, 2}, .sum = 3 * NS_PER_S};
	worker[1].counters.verdicts.bucket[HISTOGRAM_BUCKETS - 1] = 4;
	worker[1].counters.hellos = (struct histogram){.bucket = {5}, .sum = NS_PER_S};
	json_t *all = metrics();
	const char *total = "tiergate_decisions_total";
	assert_true(sum(all, total, "reason", reason_text(REASON_NO_LINE)) == 15);
	assert_true(sum(all, total, "reason", reason_text(REASON_COUNT - 1)) == 9);
	assert_true(sum(all, total, "reason", reason_text(0)) == 0);
	assert_int_equal(json_array_size(json_object_get(family(all, total), "samples")),
			 REASON_COUNT);
	/* a bucket has all that took less, too */
	const char *times = "tiergate_verdict_seconds", *waits = "tiergate_hello_wait_seconds";
	assert_true(sum(all, times, "le", histogram_bounds[0].text) == 1);
	assert_true(sum(all, times, "le", histogram_bounds[1].text) == 3);
	assert_true(sum(all, times, "le", histogram_bounds[HISTOGRAM_BUCKETS - 2].text) == 3);
	assert_true(sum(all, times, "le", "+Inf") == 7);
	assert_true(sum(all, waits, "le", "+Inf") == 5);
	const json_t *samples = json_object_get(family(all, times), "samples");
	size_t n = json_array_size(samples);
	assert_int_equal(n, HISTOGRAM_BUCKETS + 2);
	assert_true(json_number_value(json_object_get(json_array_get(samples, n - 2), "value")) ==
		    3);
	assert_true(json_number_value(json_object_get(json_array_get(samples, n - 1), "value")) ==
		    7);
	json_decref(all);
}

/* ---- by tier ---- */

#define BY_TIER "tiergate_tier_decisions_total"

static void put_tier(struct worker *w, const char *name, int outcome, int reason, uint64_t count)
{
	struct worker_tier *t = &w->tier[w->tiers++];
	strcpy(t->name, name);
	t->count[outcome][reason] = count;
}

static void tiers_of_all_queues_are_one(void **state)
{
	struct config_tier tier[] = {{.name = (char *)"press"}, {.name = (char *)"idle"}};
	config.tiers = tier;
	config.tier_count = 2;
	put_tier(&worker[0], "press", OUTCOME_DENY, REASON_NO_LINE, 3);
	put_tier(&worker[1], "staff", OUTCOME_WOULD_DENY, REASON_NO_TIER, 4);
	put_tier(&worker[1], "press", OUTCOME_DENY, REASON_NO_LINE, 5);
	json_t *all = metrics();
	assert_true(sum(all, BY_TIER, "tier", "press") == 8);
	assert_true(sum(all, BY_TIER, "outcome", "would-deny") == 4);
	assert_true(sum(all, BY_TIER, "tier", "staff") == 4);
	assert_true(sum(all, BY_TIER, "tier", "idle") == 0); /* a rate begins at 0 */
	assert_true(sum(all, BY_TIER, "reason", reason_text(REASON_INTERNAL)) == -1);
	/* of each tier two that all come to know, and what there was */
	assert_int_equal(json_array_size(json_object_get(family(all, BY_TIER), "samples")),
			 3 * 2 + 1);
	json_decref(all);
}

/* However many names the queues have met: none is lost, and none stands for another. */
static void tiers_without_room_are_the_others(void **state)
{
	char name[16];
	for (int i = 0; i < WORKER_TIERS; i++) {
		snprintf(name, sizeof name, "a%d", i);
		put_tier(&worker[0], name, OUTCOME_ALLOW, REASON_ALLOW_LINE, 1);
		snprintf(name, sizeof name, "b%d", i);
		put_tier(&worker[1], name, OUTCOME_ALLOW, REASON_ALLOW_LINE, 100);
	}
	json_t *all = metrics();
	assert_true(sum(all, BY_TIER, NULL, NULL) == 101 * WORKER_TIERS);
	assert_true(sum(all, BY_TIER, "tier", "(others)") == 1 + 100 * WORKER_TIERS);
	assert_true(sum(all, BY_TIER, "tier", "a0") == 1);
	assert_true(sum(all, BY_TIER, "tier", "a62") == 1);
	assert_true(sum(all, BY_TIER, "tier", "a63") == -1);
	json_decref(all);
}

static void lists_are_told_up_to_a_bound(void **state)
{
	static struct site_list list[LISTS_MAX + 50];
	struct config_site site = {
		.name = (char *)"s", .list = list, .count = sizeof list / sizeof *list};
	config.sites = &site;
	config.site_count = 1;
	for (size_t i = 0; i < site.count; i++)
		list[i] = (struct site_list){
			.file = (char *)"l", .count = 3, .changed = i == 1 ? 0 : NS_PER_S};
	json_t *all = metrics();
	assert_true(sum(all, "tiergate_list_changed_time_seconds", "site", "s") == LISTS_MAX);
	assert_true(sum(all, "tiergate_list_entries", "list", "l") == 3 * LISTS_MAX);
	json_decref(all);
	site.count = 2; /* one that is written in place has no file that changes */
	all = metrics();
	assert_true(sum(all, "tiergate_list_entries", "list", "l") == 3);
	json_decref(all);
}

/* ---- for people ---- */

static json_t *status(void)
{
	json_t *out = json_object();
	gateway_status(g, out);
	return out;
}

static const char *word(const json_t *j, const char *key)
{
	const char *text = json_string_value(json_object_get(j, key));
	return text ? text : "";
}

static void a_good_status_says_nothing_else(void **state)
{
	static const char *const wrong[] = {"tiers_observed", "lists_with_faults", "reloading",
					    "reload_refused", "sandbox_lacks",     "last_good",
					    "lockdowns_lost", "quotas_lost"};
	g->started = 1800000000 * NS_PER_S;
	g->epoch = 3;
	strcpy(rules.rules, "in place");
	json_t *s = status();
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		if (json_object_get(s, wrong[i]))
			fail_msg("%s is said", wrong[i]);
	assert_string_equal(word(s, "policy"), "0123456789abcdef");
	assert_string_equal(word(s, "mode"), "enforce");
	assert_string_equal(word(s, "wiring"), "in place");
	assert_non_null(strstr(word(s, "started"), "2027-01-15T"));
	assert_int_equal(json_integer_value(json_object_get(s, "epoch")), 3);
	assert_int_equal(json_integer_value(json_object_get(s, "names")), 12);
	assert_int_equal(json_integer_value(json_object_get(s, "sessions")), 14);
	json_decref(s);
}

static void what_is_wrong_is_said(void **state)
{
	struct config_tier tier[] = {{.name = (char *)"press"},
				     {.name = (char *)"lab", .mode = CONFIG_OBSERVE}};
	struct config latest = config;
	latest.tiers = tier;
	latest.tier_count = 2;
	latest.faults = 2;
	g->latest = &latest;
	g->reload.running = true;
	g->lockdowns_lost = true;
	lost_until = 1800000000 * NS_PER_S;
	lacks = "landlock";
	strcpy(g->refused, "main.conf:3: wrong");
	strcpy(g->last_good, "000007.conf");
	rules.interfaces_good = false;
	strcpy(rules.rules, "in place");
	strcpy(rules.interfaces, "lan0 is gone");
	rules.counters.counts[RULESET_UNDECIDED] = 77;
	json_t *s = status();
	const json_t *observed = json_object_get(s, "tiers_observed");
	assert_int_equal(json_array_size(observed), 1);
	assert_string_equal(json_string_value(json_array_get(observed, 0)), "lab");
	assert_int_equal(json_integer_value(json_object_get(s, "lists_with_faults")), 2);
	assert_true(json_is_true(json_object_get(s, "reloading")));
	assert_true(json_is_true(json_object_get(s, "lockdowns_lost")));
	assert_non_null(strstr(word(s, "quotas_lost"), "2027-01-15T"));
	assert_string_equal(word(s, "sandbox_lacks"), "landlock");
	assert_string_equal(word(s, "reload_refused"), "main.conf:3: wrong");
	assert_string_equal(word(s, "last_good"), "000007.conf");
	assert_string_equal(word(s, "wiring"), "lan0 is gone");
	assert_int_equal(json_integer_value(json_object_get(s, "undecided")), 77);
	json_decref(s);
	rules.rules_good = false; /* which weighs more */
	strcpy(rules.rules, "a rule is gone");
	mode = CONFIG_OBSERVE; /* as all are then */
	s = status();
	assert_string_equal(word(s, "wiring"), "a rule is gone");
	assert_string_equal(word(s, "mode"), "observe");
	assert_null(json_object_get(s, "tiers_observed"));
	json_decref(s);
}

static void each_queue_is_told(void **state)
{
	worker[1].counters.reasons[REASON_NO_LINE] = 7;
	worker[1].counters.verdicts.bucket[2] = 5;
	worker[1].counters.hellos.bucket[HISTOGRAM_BUCKETS - 1] = 6;
	json_t *s = status();
	const json_t *queues = json_object_get(s, "queues"), *q = json_array_get(queues, 1);
	assert_int_equal(json_array_size(queues), 2);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(queues, 0), "queue")),
			 5);
	assert_int_equal(json_integer_value(json_object_get(q, "queue")), 6);
	assert_int_equal(json_integer_value(json_object_get(q, "remarks_lost")), 15);
	const json_t *reasons = json_object_get(q, "reasons");
	assert_int_equal(json_object_size(reasons), 1);
	assert_int_equal(json_integer_value(json_object_get(reasons, reason_text(REASON_NO_LINE))),
			 7);
	const json_t *times = json_object_get(q, "verdict_times");
	assert_int_equal(json_array_size(times), HISTOGRAM_BUCKETS);
	assert_int_equal(json_integer_value(json_array_get(times, 2)), 5);
	const json_t *waits = json_object_get(q, "hello_waits");
	assert_int_equal(json_integer_value(json_array_get(waits, HISTOGRAM_BUCKETS - 1)), 6);
	const json_t *bounds = json_object_get(s, "bounds");
	assert_int_equal(json_integer_value(json_object_get(bounds, "flows")), 400);
	assert_int_equal(json_integer_value(json_object_get(bounds, "sessions")), 100);
	assert_int_equal(json_integer_value(json_object_get(bounds, "names")), 200);
	assert_int_equal(json_integer_value(json_object_get(bounds, "quotas")), 300);
	assert_int_equal(json_integer_value(json_object_get(bounds, "queue_length")), 1024);
	json_decref(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_wrong_is_a_number),
		TEST(tables_are_told_with_their_room),
		TEST(queues_are_summed),
		TEST(tiers_of_all_queues_are_one),
		TEST(tiers_without_room_are_the_others),
		TEST(lists_are_told_up_to_a_bound),
		TEST(a_good_status_says_nothing_else),
		TEST(what_is_wrong_is_said),
		TEST(each_queue_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
