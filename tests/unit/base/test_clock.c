#include "unit.h"

#include "base/clock.h"

static const char *format(int64_t time)
{
	static char text[64];
	struct buf b = BUF_OF(text);
	buf_reset(&b);
	clock_format(&b, time);
	return text;
}

static void test_format(void **state)
{
	assert_string_equal(format(0), "1970-01-01T00:00:00.000000Z");
	assert_string_equal(format(INT64_C(1782129600123456789)), "2026-06-22T12:00:00.123456Z");
	assert_string_equal(format(INT64_C(1782129600999999999)), "2026-06-22T12:00:00.999999Z");
	assert_string_equal(format(INT64_C(1709164800000000000)), "2024-02-29T00:00:00.000000Z");
	assert_string_equal(format(-1), "1969-12-31T23:59:59.999999Z");
	assert_string_equal(format(-NS_PER_S), "1969-12-31T23:59:59.000000Z");
	assert_string_equal(format(INT64_MAX), "2262-04-11T23:47:16.854775Z");
	assert_string_equal(format(INT64_MIN), "1677-09-21T00:12:43.145224Z");
}

/* The same second again, another, and the first once more. */
static void test_seconds_in_any_order(void **state)
{
	assert_string_equal(format(NS_PER_S + 5000), "1970-01-01T00:00:01.000005Z");
	assert_string_equal(format(NS_PER_S + 6000), "1970-01-01T00:00:01.000006Z");
	assert_string_equal(format(2 * NS_PER_S), "1970-01-01T00:00:02.000000Z");
	assert_string_equal(format(NS_PER_S), "1970-01-01T00:00:01.000000Z");
}

static void test_now(void **state)
{
	int64_t now = clock_now();
	assert_true(now > INT64_C(1700000000) * NS_PER_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_seconds_in_any_order),
		cmocka_unit_test(test_now),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
