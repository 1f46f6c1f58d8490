/* What is counted for a suggestion, and what there is no room for. Its rows are tried as people
 * run it, in ../control/test_advice.c. */
#include "unit.h"

#include "advice/suggest.c"
#include "policy/build.h"

static struct config config;
static struct policy policy;
static struct suggest *s;

static int begin(void **state)
{
	struct errors errors = {0};
	config = (struct config){.mismatch = CONFIG_MISMATCH_LOG};
	build_tier(&config, "press", "", CONFIG_EVIDENCE_UNSET, CONFIG_MISMATCH_UNSET);
	build_site(&config, "news", "news.example");
	build_line(&config, ALLOW, "press", "news", "tcp/443");
	policy = (struct policy){.config = &config, .snapshot = snapshot_compile(&config, &errors)};
	errors_print(&errors, stderr);
	s = suggest_new(&policy, NULL, 0);
	return policy.snapshot && s ? 0 : -1;
}

static int end(void **state)
{
	suggest_free(s);
	snapshot_free(policy.snapshot);
	build_free(&config);
	return 0;
}

static struct decision denial(const char *host, uint16_t port)
{
	struct decision d = {.kind = DECISION_DECIDED,
			     .action = ACTION_DENY,
			     .reason = REASON_NO_LINE,
			     .time = 1772445600 * NS_PER_S,
			     .client = address_from4((uint8_t[]){10, 0, 0, 7}),
			     .server = address_from4((uint8_t[]){203, 0, 113, 9}),
			     .server_port = port,
			     .transport = IPPROTO_TCP,
			     .evidence = EVIDENCE_SNI,
			     .tier = "press",
			     .user = "ann"};
	d.host.len = (uint8_t)strlen(host);
	memcpy(d.host.text, host, strlen(host) + 1);
	return d;
}

/* A flow is counted when it is decided and when it is repeated, and not again when it ends. */
static void a_flow_is_counted_once(void **state)
{
	struct decision d = denial("www.shop.example", 443);
	suggest_record(s, &d, true);
	d.kind = DECISION_REPEATED;
	d.count = 4;
	suggest_record(s, &d, true);
	assert_int_equal(suggest_counted(s)->denied, 5);
	assert_int_equal(suggest_counted(s)->grouped, 5);
	d.kind = DECISION_ENDED;
	suggest_record(s, &d, true);
	d.kind = DECISION_ACT;
	suggest_record(s, &d, true);
	d.kind = DECISION_LOST;
	d.count = 9;
	suggest_record(s, &d, true);
	const struct suggest_counts *c = suggest_counted(s);
	assert_int_equal(c->records, 5);
	assert_int_equal(c->lost, 9);
	assert_int_equal(c->denied, 5);
	/* what is not asked about, or was allowed, or only would have been */
	d = denial("www.shop.example", 443);
	suggest_record(s, &d, false);
	d.action = ACTION_ALLOW;
	suggest_record(s, &d, true);
	d.observed = true;
	suggest_record(s, &d, true);
	assert_int_equal(suggest_counted(s)->denied, 5);
	d.would_deny = true;
	suggest_record(s, &d, true);
	assert_int_equal(suggest_counted(s)->denied, 6);
}

/* A line of more ports than it may have is none: what they were for is said to be left. */
static void ports_beyond_the_bound_are_counted(void **state)
{
	for (uint16_t port = 1; port <= PORTS + 3; port++)
		for (int times = 0; times < 2; times++) {
			struct decision d = denial("www.shop.example", port);
			suggest_record(s, &d, true);
		}
	assert_int_equal(suggest_counted(s)->grouped, 2 * PORTS);
	assert_int_equal(suggest_counted(s)->beyond, 2 * 3);
	json_t *rows = suggest_rows(s);
	assert_int_equal(json_array_size(rows), 1);
	const json_t *row = json_array_get(rows, 0);
	assert_int_equal(json_array_size(json_object_get(row, "ports")), PORTS);
	assert_int_equal(json_integer_value(json_object_get(row, "flows")), 2 * PORTS);
	json_decref(rows);
}

/* What is no port's (ICMP) no line allows. */
static void other_transports_are_beyond(void **state)
{
	struct decision d = denial("www.shop.example", 443);
	d.transport = IPPROTO_ICMP;
	suggest_record(s, &d, true);
	assert_int_equal(suggest_counted(s)->beyond, 1);
	d.transport = IPPROTO_UDP;
	suggest_record(s, &d, true);
	assert_int_equal(suggest_counted(s)->grouped, 1);
}

static void the_first_and_the_last_are_told(void **state)
{
	static const int hours[] = {5, 2, 9};
	for (size_t i = 0; i < 3; i++) {
		struct decision d = denial("www.shop.example", 443);
		d.time += hours[i] * 3600 * NS_PER_S;
		snprintf(d.user, sizeof d.user, "u%zu", i);
		suggest_record(s, &d, true);
	}
	json_t *rows = suggest_rows(s);
	const json_t *row = json_array_get(rows, 0);
	assert_non_null(strstr(json_string_value(json_object_get(row, "first")), "T12:00"));
	assert_non_null(strstr(json_string_value(json_object_get(row, "last")), "T19:00"));
	assert_int_equal(json_array_size(json_object_get(row, "users")), 3);
	json_decref(rows);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_flow_is_counted_once),
		TEST(ports_beyond_the_bound_are_counted),
		TEST(other_transports_are_beyond),
		TEST(the_first_and_the_last_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
