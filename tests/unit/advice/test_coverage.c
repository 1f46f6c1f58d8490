/* What coverage says untouched is what no expectation is decided by, and what it suggests holds and
 * touches it: on small random policies. */
#include "advice/coverage.h"
#include "unit.h"

#include "policy/random_policy.h"

static const char *text(const json_t *row, const char *key)
{
	return json_string_value(json_object_get(row, key));
}

static void add_row(struct config *c, const json_t *row)
{
	bool allow = strcmp(text(row, "outcome"), "allow") == 0;
	struct config_expect *e = build_expect(c, text(row, "tier"), text(row, "to"),
					       text(row, "at"), allow ? ACTION_ALLOW : ACTION_DENY);
	e->port = build_port(text(row, "port"));
}

static bool has_rule(const json_t *rows, const char *rule)
{
	size_t i;
	json_t *row;
	json_array_foreach(rows, i, row) if (strcmp(text(row, "rule"), rule) == 0) return true;
	return false;
}

/* Takes all rows into the policy: they hold, and only lines without a row are untouched. */
static void take(struct policy *p, const json_t *rows, unsigned *found, unsigned *not_found)
{
	struct errors errors = {0};
	size_t i, missing = 0;
	json_t *row;
	json_array_foreach(rows, i, row)
	{
		if (text(row, "outcome"))
			add_row(p->config, row);
		else
			missing++;
	}
	snapshot_free(p->snapshot);
	p->snapshot = snapshot_compile(p->config, &errors);
	assert_non_null(p->snapshot);
	assert_int_equal(snapshot_expect(p->snapshot, &errors, NOW), 0);
	json_t *left = coverage(p, NOW);
	assert_int_equal(json_array_size(left), missing);
	json_array_foreach(left, i, row) assert_true(has_rule(rows, text(row, "rule")));
	*not_found += (unsigned)missing;
	*found += (unsigned)(json_array_size(rows) - missing);
	json_decref(left);
	errors_deinit(&errors);
}

/* Deny lines of which something can be expected. */
static size_t enforced(const struct config *c)
{
	size_t count = 0;
	for (size_t i = 0; i < c->deny_count; i++)
		count += c->deny[i].mode != CONFIG_LINE_OBSERVE;
	return count;
}

static void suggested_expectations_hold(void **state)
{
	unsigned found = 0, not_found = 0;
	for (int round = 0; round < 300; round++) {
		struct config c;
		struct errors errors = {0};
		random_config(&c);
		struct policy p = {&c, snapshot_compile(&c, &errors)};
		if (p.snapshot) {
			json_t *before = coverage(&p, NOW), *rows = coverage_suggest(&p, NOW);
			assert_int_equal(json_array_size(before), c.allow_count + enforced(&c));
			take(&p, rows, &found, &not_found);
			json_decref(before);
			json_decref(rows);
		}
		snapshot_free(p.snapshot);
		build_free(&c);
		errors_deinit(&errors);
	}
	assert_true(found > 500);
	assert_true(not_found < found / 2);
}

static struct config *by_hand(void)
{
	static struct config c;
	c = (struct config){0};
	build_tier(&c, "guest", "", 0, 0);
	build_tier(&c, "press", "", 0, 0);
	build_site(&c, "social", "x.org !ads.x.org");
	build_schedule(&c, "office", 1, 480, 1080, "UTC");
	struct config_line *l = build_line(&c, ALLOW, "press", "social", "tcp/80 tcp/443");
	l->when = strdup("office");
	l->owner = strdup("desk");
	build_line(&c, ALLOW, "press guest", "social", "tcp/8443");
	build_line(&c, DENY, "guest", "*", "tcp/22");
	return &c;
}

static void check(json_t *rows, const char *want)
{
	char *got = json_dumps(rows, JSON_COMPACT);
	assert_string_equal(got, want);
	free(got);
	json_decref(rows);
}

static void line_by_line(void **state)
{
	struct errors errors = {0};
	struct config *c = by_hand();
	struct policy p = {c, snapshot_compile(c, &errors)};
	check(coverage_suggest(&p, NOW),
	      "[{\"rule\":\"t.conf:101\",\"owner\":\"desk\",\"tier\":\"press\",\"to\":\"x.org\","
	      "\"port\":\"tcp/443\",\"at\":\"mon 08:00\",\"outcome\":\"allow\"},"
	      "{\"rule\":\"t.conf:101\",\"owner\":\"desk\",\"tier\":\"guest\",\"to\":\"x.org\","
	      "\"port\":\"tcp/443\",\"at\":\"mon 08:00\",\"outcome\":\"deny\"},"
	      "{\"rule\":\"t.conf:101\",\"owner\":\"desk\",\"tier\":\"press\",\"to\":\"x.org\","
	      "\"port\":\"tcp/443\",\"at\":\"mon 18:00\",\"outcome\":\"deny\"},"
	      "{\"rule\":\"t.conf:102\",\"tier\":\"press\",\"to\":\"x.org\",\"port\":\"tcp/8443\","
	      "\"outcome\":\"allow\"},"
	      "{\"rule\":\"t.conf:201\",\"tier\":\"guest\",\"to\":\"www.example.org\",\"port\":"
	      "\"tcp/22\",\"outcome\":\"deny\"}]");
	build_expect(c, "press", "x.org", "mon 10:00", ACTION_ALLOW);
	build_expect(c, "press", "ads.x.org", NULL, ACTION_DENY); /* no line decides it */
	build_expect(c, "guest", "y.org", NULL, ACTION_DENY)->port = build_port("tcp/22");
	snapshot_free(p.snapshot);
	p.snapshot = snapshot_compile(c, &errors);
	check(coverage(&p, NOW),
	      "[{\"rule\":\"t.conf:102\",\"kind\":\"allow\",\"tiers\":[\"press\",\"guest\"],"
	      "\"sites\":[\"social\"]}]");
	policy_free(&(struct policy){.snapshot = p.snapshot});
	build_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(suggested_expectations_hold),
		cmocka_unit_test(line_by_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
