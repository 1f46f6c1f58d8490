/* What is counted is read: every member of a module's counters has a row, and tiergatectl(8) says
 * what each row means. */
#include "unit.h"

#include "config/manual.h"
#include "control/control.h"
#include "gateway/inner.h"
#include "radius/server.h"
#include "source/nfqueue.h"

static const struct metrics *const all[] = {
	&worker_metrics,     &nfqueue_metrics, &watch_metrics,     &sweep_metrics,
	&seen_metrics,       &sink_metrics,    &copies_metrics,    &dns_watch_metrics,
	&conntrack_metrics,  &control_metrics, &neighbour_metrics, &dnstap_metrics,
	&accounting_metrics, &radius_metrics,  &usage_metrics,     &meter_metrics,
};
#define COUNT (sizeof all / sizeof *all)

/* No byte of the counters but padding is without a row; the reasons and RADIUS' results have tables
 * of their own. */
static void every_member_has_a_row(void **state)
{
	for (size_t i = 0; i < COUNT; i++) {
		const struct metrics *m = all[i];
		bool covered[1024] = {0};
		size_t end = m == &worker_metrics   ? offsetof(struct worker_counters, reasons)
			     : m == &radius_metrics ? offsetof(struct radius_counters, result)
						    : m->size;
		assert_true(m->size <= sizeof covered);
		for (size_t k = 0; k < m->count; k++)
			for (size_t b = 0; b < m->rows[k].size; b++) {
				assert_true(m->rows[k].offset + b < m->size);
				assert_false(covered[m->rows[k].offset + b]);
				covered[m->rows[k].offset + b] = true;
			}
		for (size_t b = 0; b < end; b += 8)
			if (!covered[b])
				fail_msg("%s: no row for the counter at %zu", m->name, b);
	}
}

static void names_are_unique_and_plain(void **state)
{
	for (size_t i = 0; i < COUNT; i++)
		for (size_t k = 0; k < all[i]->count; k++) {
			const struct metric *m = &all[i]->rows[k];
			assert_int_equal(m->name[strspn(m->name, "abcdefghijklmnopqrstuvwxyz_")],
					 0);
			assert_true(m->size == 1 || m->size == 4 || m->size == 8);
			assert_true(strlen(m->help) > 10);
			for (size_t j = 0; j <= i; j++)
				for (size_t l = 0; l < (j == i ? k : all[j]->count); l++)
					if (strcmp(all[j]->name, all[i]->name) == 0)
						assert_string_not_equal(all[j]->rows[l].name,
									m->name);
		}
}

static void a_value_is_its_members(void **state)
{
	struct nfqueue_counters q = {.packets = 1ull << 40, .waiting = 7};
	struct sink_counters s = {.failing = true};
	for (size_t i = 0; i < nfqueue_metrics.count; i++) {
		const struct metric *m = &nfqueue_metrics.rows[i];
		uint64_t want = strcmp(m->name, "received") == 0  ? 1ull << 40
				: strcmp(m->name, "waiting") == 0 ? 7
								  : 0;
		assert_int_equal(metric_value(m, &q), want);
	}
	assert_int_equal(metric_value(&sink_metrics.rows[3], &s), 1);
}

#define COUNTERS_BEGIN MANUAL_BEGIN("counters: as the modules have them", "test_metrics")
#define COUNTERS_END   ".\\\" end of counters\n"

static void put_counters(FILE *to)
{
	for (size_t i = 0; i < COUNT; i++)
		for (size_t k = 0; k < all[i]->count; k++) {
			const struct metric *m = &all[i]->rows[k];
			fprintf(to, ".It Ic %s.%s\n", all[i]->name, m->name);
			char text[256];
			snprintf(text, sizeof text, "%c%s%s.",
				 m->help[0] - ('a' - 'A') * (m->help[0] >= 'a'), m->help + 1,
				 m->kind == METRIC_GAUGE ? " (now)" : "");
			put_text(to, text);
		}
}

static void the_manual_says_what_they_mean(void **state)
{
	manual_check_part("packaging/man/tiergatectl.8", COUNTERS_BEGIN, COUNTERS_END,
			  put_counters);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--print") == 0) {
		put_counters(stdout);
		return 0;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_member_has_a_row),
		cmocka_unit_test(names_are_unique_and_plain),
		cmocka_unit_test(a_value_is_its_members),
		cmocka_unit_test(the_manual_says_what_they_mean),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
