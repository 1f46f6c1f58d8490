#include "base/histogram.h"
#include "unit.h"

#include <stdlib.h>

#define US INT64_C(1000)

static void bounds_ascend_and_say_what_they_are(void **state)
{
	for (int i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		double said = strtod(histogram_bounds[i].text, NULL) * 1e9;
		assert_true(said > (double)histogram_bounds[i].ns * 0.999 &&
			    said < (double)histogram_bounds[i].ns * 1.001);
		assert_true(i == 0 || histogram_bounds[i].ns > histogram_bounds[i - 1].ns);
	}
}

static void a_bound_is_in_its_bucket(void **state)
{
	struct histogram h = {0};
	histogram_add(&h, 10 * US, 1);
	histogram_add(&h, 10 * US + 1, 2);
	histogram_add(&h, -5, 4); /* a clock's fault is no time */
	histogram_add(&h, INT64_C(3600000000000), 8);
	assert_int_equal(h.bucket[0], 5);
	assert_int_equal(h.bucket[1], 2);
	assert_int_equal(h.bucket[HISTOGRAM_BUCKETS - 1], 8);
	assert_int_equal(histogram_count(&h), 15);
	assert_int_equal(h.sum, 30 * US + 2 + 8 * UINT64_C(3600000000000));
}

static void what_most_kept(void **state)
{
	struct histogram h = {0}, more = {0};
	assert_int_equal(histogram_within(&h, 0.5), 0);
	histogram_add(&h, 1, 50);
	histogram_add(&h, 20 * US, 49);
	assert_int_equal(histogram_within(&h, 0.5), 10 * US);
	assert_int_equal(histogram_within(&h, 0.51), 25 * US);
	assert_int_equal(histogram_within(&h, 1), 25 * US);
	histogram_add(&more, INT64_MAX / 2, 1);
	histogram_join(&h, &more);
	assert_int_equal(histogram_within(&h, 0.99), 25 * US);
	assert_int_equal(histogram_within(&h, 1), INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_ascend_and_say_what_they_are),
		cmocka_unit_test(a_bound_is_in_its_bucket),
		cmocka_unit_test(what_most_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
