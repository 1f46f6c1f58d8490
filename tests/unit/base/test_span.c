/* Spans of time: joined where they meet, and found. */
#include "unit.h"

#include "base/span.h"

static void what_meets_is_one(void **state)
{
	struct span s[] = {{30, 40}, {5, 5}, {10, 20}, {20, 25},
			   {12, 15}, {9, 3}, {41, 42}, {50, 50}};
	assert_int_equal(spans_join(s, sizeof s / sizeof *s), 3);
	assert_true(s[0].from == 10 && s[0].to == 25);
	assert_true(s[1].from == 30 && s[1].to == 40);
	assert_true(s[2].from == 41 && s[2].to == 42);
	assert_int_equal(spans_join(s, 0), 0);
	struct span none[] = {{7, 7}};
	assert_int_equal(spans_join(none, 1), 0); /* no time at all */
}

/* From the first moment of a span on, and no longer than to its end. */
static void edges_are_exact(void **state)
{
	const struct span s[] = {{10, 20}, {30, 40}};
	assert_false(spans_have(s, 2, 9));
	assert_true(spans_have(s, 2, 10));
	assert_true(spans_have(s, 2, 19));
	assert_false(spans_have(s, 2, 20));
	assert_false(spans_have(s, 2, 29));
	assert_true(spans_have(s, 2, 39));
	assert_false(spans_have(s, 2, 40));
	assert_int_equal(spans_next(s, 2, 9), 10);
	assert_int_equal(spans_next(s, 2, 10), 20);
	assert_int_equal(spans_next(s, 2, 19), 20);
	assert_int_equal(spans_next(s, 2, 20), 30);
	assert_int_equal(spans_next(s, 2, 30), 40);
	assert_true(spans_next(s, 2, 40) == INT64_MAX);
	assert_true(spans_next(s, 0, 0) == INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_meets_is_one),
		cmocka_unit_test(edges_are_exact),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
