/* What is unused by records can be taken out, and each record is decided as before: on small random
 * policies. */
#include "advice/unused.h"
#include "unit.h"

#include "policy/decide.h"
#include "policy/random_policy.h"

#define RECORDS 30

static unsigned lines_out, entries_out, compared;

static struct decision record_of(const struct facts *f)
{
	struct decision d = {.time = NOW,
			     .evidence = f->evidence,
			     .client = f->client,
			     .server = f->server,
			     .server_port = f->port,
			     .transport = f->transport};
	if (f->host)
		d.host = *f->host;
	strcpy(d.tier, f->tier ? f->tier : "");
	return d;
}

static bool listed(const json_t *rows, const char *key, const char *text)
{
	size_t i;
	json_t *row;
	json_array_foreach(rows, i, row) if (strcmp(json_string_value(json_object_get(row, key)),
						    text) == 0) return true;
	return false;
}

static void take_lines(struct config_line *lines, size_t *count, const json_t *rows)
{
	size_t kept = 0;
	for (size_t i = 0; i < *count; i++) {
		char rule[32];
		snprintf(rule, sizeof rule, "t.conf:%d", lines[i].place.line);
		if (listed(rows, "rule", rule)) {
			build_line_free(&lines[i]);
			lines_out++;
		} else {
			lines[kept++] = lines[i];
		}
	}
	*count = kept;
}

/* Entries have their number for a line. */
static void take_entries(struct config *c, const json_t *rows)
{
	size_t row = 0;
	for (size_t s = 0; s < c->site_count; s++)
		for (size_t l = 0; l < c->sites[s].count; l++) {
			struct site_list *list = &c->sites[s].list[l];
			size_t kept = 0;
			for (size_t i = 0; i < list->count; i++) {
				const json_t *j = json_array_get(rows, row);
				if (j && json_integer_value(json_object_get(j, "line")) ==
						 list->item[i]->line) {
					row++;
					entries_out++;
				} else {
					list->item[kept++] = list->item[i];
				}
			}
			list->count = kept;
		}
	assert_int_equal(row, json_array_size(rows));
}

static void number_entries(struct config *c)
{
	int number = 0;
	for (size_t s = 0; s < c->site_count; s++)
		for (size_t l = 0; l < c->sites[s].count; l++)
			for (size_t i = 0; i < c->sites[s].list[l].count; i++)
				c->sites[s].list[l].item[i]->line = ++number;
}

static void check(struct policy *p)
{
	struct flow_facts x[RECORDS];
	struct outcome before[RECORDS];
	struct errors errors = {0};
	struct unused *u = unused_new(p);
	for (int i = 0; i < RECORDS; i++) {
		random_facts(&x[i]);
		x[i].f.host = x[i].f.host ? &x[i].host : NULL;
		x[i].f.mismatch =
			x[i].f.evidence == EVIDENCE_SNI || x[i].f.evidence == EVIDENCE_HOST;
		before[i] = decide(p->snapshot, &x[i].f, NOW);
		struct decision d = record_of(&x[i].f);
		unused_record(u, &d);
	}
	json_t *lines = unused_lines(u, NOW, NOW, 0), *entries = unused_entries(u, NOW);
	take_entries(p->config, entries);
	take_lines(p->config->allow, &p->config->allow_count, lines);
	take_lines(p->config->deny, &p->config->deny_count, lines);
	struct snapshot *s = snapshot_compile(p->config, &errors);
	compared += s != NULL;
	for (int i = 0; s && i < RECORDS; i++)
		assert_int_equal(decide(s, &x[i].f, NOW).action, before[i].action);
	snapshot_free(s);
	json_decref(lines);
	json_decref(entries);
	unused_free(u);
	errors_deinit(&errors);
}

static void unused_can_be_taken_out(void **state)
{
	for (int round = 0; round < 1500; round++) {
		struct config c;
		struct errors errors = {0};
		random_config(&c);
		number_entries(&c);
		struct policy p = {&c, snapshot_compile(&c, &errors)};
		if (p.snapshot)
			check(&p);
		snapshot_free(p.snapshot);
		build_free(&c);
		errors_deinit(&errors);
	}
	assert_true(compared > 300 && lines_out > 300 && entries_out > 1000);
}

static void feed(struct unused *u, int64_t time, const char *tier, const char *host,
		 const char *server)
{
	struct facts f = {.server = build_address(server),
			  .port = 443,
			  .transport = IPPROTO_TCP,
			  .evidence = host ? EVIDENCE_SNI_DNS : EVIDENCE_ADDRESS};
	struct decision d = record_of(&f);
	if (host)
		d.host = build_host(host);
	strcpy(d.tier, tier);
	d.time = time;
	unused_record(u, &d);
}

static void dumps_to(json_t *rows, const char *want)
{
	char *got = json_dumps(rows, JSON_COMPACT);
	assert_string_equal(got, want);
	free(got);
	json_decref(rows);
}

static void by_hand(void **state)
{
	struct config c = {0};
	struct errors errors = {0};
	build_tier(&c, "t0", "", 0, 0);
	build_tier(&c, "t1", "", 0, 0);
	build_site(&c, "s0", "x a.x !b.x =a.b.x y");
	build_line(&c, ALLOW, "t0", "s0", "tcp/443")->owner = strdup("desk");
	build_line(&c, ALLOW, "t1", "s0", "tcp/444")->expires = NOW + 3 * 86400 * NS_PER_S;
	struct policy p = {&c, snapshot_compile(&c, &errors)};
	struct unused *u = unused_new(&p);
	feed(u, NOW, "t0", "c.a.x", "203.0.113.1");
	feed(u, NOW - 5, "t0", "y", "203.0.113.1");
	feed(u, NOW, "t0", "c.b.x", "203.0.113.1"); /* denied: the "!" is used */
	feed(u, NOW, "t1", "x", "203.0.113.1");     /* denied: the entry is not */
	dumps_to(unused_entries(u, NOW),
		 "[{\"site\":\"s0\",\"list\":\"t.sites\",\"line\":0,\"entry\":\"x\"},"
		 "{\"site\":\"s0\",\"list\":\"t.sites\",\"line\":0,\"entry\":\"=a.b.x\"},"
		 "{\"site\":\"s0\",\"list\":\"t.sites\",\"line\":0,\"entry\":\"y\",\"last\":"
		 "\"2026-06-22T11:59:59.000000Z\"}]");
	dumps_to(unused_lines(u, NOW, NOW, NOW),
		 "[{\"rule\":\"t.conf:102\",\"kind\":\"allow\",\"tiers\":[\"t1\"],\"sites\":["
		 "\"s0\"],\"unused\":true,\"expires\":\"2026-06-25\",\"expired\":false}]");
	json_t *all = unused_lines(u, NOW + NS_PER_S, NOW + 9 * 86400 * NS_PER_S, NOW);
	assert_int_equal(json_array_size(all), 2);
	dumps_to(json_incref(json_array_get(all, 0)),
		 "{\"rule\":\"t.conf:101\",\"kind\":\"allow\",\"owner\":\"desk\",\"tiers\":[\"t0\"]"
		 ",\"sites\":[\"s0\"],\"last\":\"2026-06-22T12:00:00.000000Z\",\"unused\":true}");
	assert_true(json_is_true(json_object_get(json_array_get(all, 1), "expired")));
	json_decref(all);
	feed(u, NOW, "t1", "x", "203.0.113.1");
	unused_free(u);
	snapshot_free(p.snapshot);
	build_free(&c);
}

/* "~=a.x" keeps a shared name out of a deny line's "x": the record that a line for "*" allows needs
 * it, though no line decides by its site. */
static void shared_keeps_from_a_deny_line(void **state)
{
	struct config c = {0};
	struct errors errors = {0};
	build_tier(&c, "t0", "", 0, 0);
	build_site(&c, "s0", "x ~=a.x ~=b.x");
	build_site(&c, "s1", "203.0.113.0/24 ~203.0.113.7");
	build_line(&c, ALLOW, "t0", "*", "tcp/443");
	build_line(&c, DENY, "t0", "s0 s1", "tcp/443");
	struct policy p = {&c, snapshot_compile(&c, &errors)};
	struct unused *u = unused_new(&p);
	feed(u, NOW, "t0", "a.x", "198.51.100.1");
	feed(u, NOW, "t0", "c.x", "198.51.100.1"); /* denied */
	feed(u, NOW, "t0", NULL, "203.0.113.7");
	feed(u, NOW, "t0", NULL, "203.0.113.8"); /* denied */
	dumps_to(unused_entries(u, NOW),
		 "[{\"site\":\"s0\",\"list\":\"t.sites\",\"line\":0,\"entry\":\"~=b.x\"}]");
	unused_free(u);
	snapshot_free(p.snapshot);
	build_free(&c);
}

/* As a daemon tells: what is newer than its counters is not judged, nor what it does not know. */
static void by_counters(void **state)
{
	struct config c = {0};
	struct errors errors = {0};
	size_t unknown;
	const uint32_t now = (uint32_t)(NOW / NS_PER_S), day = 86400;
	build_tier(&c, "t0", "", 0, 0);
	build_site(&c, "s0", "x y z");
	build_line(&c, ALLOW, "t0", "s0", "tcp/443");
	build_line(&c, ALLOW, "t0", "s0", "tcp/444");
	build_line(&c, ALLOW, "t0", "s0", "tcp/445");
	build_line(&c, ALLOW, "t0", "s0", "tcp/446");
	struct policy p = {&c, snapshot_compile(&c, &errors)};
	struct counted *counted = counted_new(&c, 1, SIZE_MAX);
	const struct {
		uint32_t since, last;
	} told[] = {
		{now - 9 * day, now - day},     /* in use */
		{now - 9 * day, now - 3 * day}, /* of old */
		{now - day, 0},                 /* new */
		{0, 0},                         /* not told */
		{now - 9 * day, 0},             /* entries: never */
		{now - day, now - 2},
		{now - day, 0}, /* new */
	};
	struct hit item[7];
	struct hits hits = {.item = item, .since = NOW - 9 * day * NS_PER_S};
	for (size_t i = 0; i < 7; i++)
		if (told[i].since)
			item[hits.count++] = (struct hit){counted_key(counted, i), 7, told[i].since,
							  told[i].last};
	hits_sort(&hits);
	struct unused *u = unused_new(&p);
	unused_counted(u, &hits);
	dumps_to(unused_lines(u, NOW - 2 * day * NS_PER_S, NOW, NOW),
		 "[{\"rule\":\"t.conf:102\",\"kind\":\"allow\",\"tiers\":[\"t0\"],\"sites\":["
		 "\"s0\"],\"last\":\"2026-06-19T12:00:00.000000Z\",\"since\":"
		 "\"2026-06-13T12:00:00.000000Z\",\"count\":7,\"unused\":true}]");
	dumps_to(unused_entries(u, NOW - 2 * day * NS_PER_S),
		 "[{\"site\":\"s0\",\"list\":\"t.sites\",\"line\":0,\"entry\":\"x\",\"since\":"
		 "\"2026-06-13T12:00:00.000000Z\",\"count\":7}]");
	assert_int_equal(unused_new_ones(u, &unknown), 2);
	assert_int_equal(unknown, 1);
	/* for longer than it counts: what it has counted from the start is judged */
	json_t *rows = unused_entries(u, NOW - 20 * day * NS_PER_S);
	assert_int_equal(json_array_size(rows), 1);
	json_decref(rows);
	unused_free(u);
	counted_free(counted);
	snapshot_free(p.snapshot);
	build_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_hand),
		cmocka_unit_test(shared_keeps_from_a_deny_line),
		cmocka_unit_test(by_counters),
		cmocka_unit_test(unused_can_be_taken_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
