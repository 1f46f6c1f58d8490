#include "unit.h"

#include "base/clock.h"

#include <string.h>
#include <time.h>

/* The two clocks of this program: the library's calls come here. */
static int64_t boot = 100 * NS_PER_S, wall = INT64_C(1800000000) * NS_PER_S;

int clock_gettime(clockid_t clock, struct timespec *out)
{
	int64_t t = clock == CLOCK_REALTIME ? wall : boot;
	*out = (struct timespec){t / NS_PER_S, t % NS_PER_S};
	return 0;
}

static void pass(int64_t seconds)
{
	boot += seconds * NS_PER_S;
	wall += seconds * NS_PER_S;
}

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
	assert_string_equal(format(INT64_MAX), "2262-04-11T23:47:16.854775Z");
	assert_string_equal(format(INT64_MIN), "1677-09-21T00:12:43.145224Z");
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

static void durations_do_not_step(void **state)
{
	int64_t began = clock_now();
	assert_int_equal(began, wall);
	assert_int_equal(clock_ahead(), 0);
	pass(10);
	assert_int_equal(clock_now() - began, 10 * NS_PER_S);
	wall -= 3600 * NS_PER_S;
	assert_int_equal(clock_now() - began, 10 * NS_PER_S);
	assert_int_equal(clock_ahead(), -3600 * NS_PER_S);
	assert_int_equal(clock_wall(), clock_now() + clock_ahead());
	wall += 7200 * NS_PER_S + 400000; /* less than half a millisecond is the reading's */
	pass(1);
	assert_int_equal(clock_now() - began, 11 * NS_PER_S);
	assert_int_equal(clock_ahead(), 3600 * NS_PER_S);
	wall -= 3600 * NS_PER_S + 400000;
}

/* A mark of another process: it began when the wall clock was `set` seconds from now's. */
static struct clock_mark mark(const char *boot_id, int64_t set)
{
	struct clock_mark m = {.offset = wall - boot + set * NS_PER_S};
	m.now = m.offset + boot;
	m.ahead = wall - m.now;
	memcpy(m.boot, boot_id, sizeof m.boot);
	return m;
}

#define ONE "11111111-1111-1111-1111-111111111111"
#define TWO "22222222-2222-2222-2222-222222222222"

static void times_outlive_the_process(void **state)
{
	struct clock_mark then = mark(ONE, -500); /* its clock was set right after it began */
	int64_t left = then.now + 60 * NS_PER_S;
	pass(20);
	struct clock_mark here = mark(ONE, 0);
	assert_int_equal(left + clock_shift(&then, &here) - here.now, 40 * NS_PER_S);
	wall -= 3600 * NS_PER_S; /* while nobody ran */
	here = mark(ONE, 0);
	assert_int_equal(left + clock_shift(&then, &here) - here.now, 40 * NS_PER_S);
	wall += 3600 * NS_PER_S;
}

static void times_outlive_a_reboot(void **state)
{
	struct clock_mark then = mark(ONE, -500);
	int64_t left = then.now + 60 * NS_PER_S;
	pass(20);
	boot = 5 * NS_PER_S;
	struct clock_mark here = mark(TWO, 0);
	assert_int_equal(left + clock_shift(&then, &here) - here.now, 40 * NS_PER_S);
	wall -= 1000 * NS_PER_S; /* a clock that is behind tells nothing */
	here = mark(TWO, 0);
	assert_int_equal(left + clock_shift(&then, &here) - here.now, 60 * NS_PER_S);
	wall += 1000 * NS_PER_S;
	struct clock_mark unknown = then;
	memset(unknown.boot, 0, sizeof unknown.boot);
	here = mark(TWO, 0);
	memset(here.boot, 0, sizeof here.boot);
	assert_int_equal(left + clock_shift(&unknown, &here) - here.now, 40 * NS_PER_S);
}

static void a_mark_is_of_this_boot(void **state)
{
	struct clock_mark a, b;
	clock_mark(&a);
	pass(3);
	clock_mark(&b);
	assert_true(a.boot[0]);
	assert_int_equal(b.now - a.now, 3 * NS_PER_S);
	assert_int_equal(clock_shift(&a, &b), 0);
}

static void sums_stay_times(void **state)
{
	assert_int_equal(clock_add(5, -7), -2);
	assert_true(clock_add(INT64_MAX, 1) == INT64_MAX);
	assert_true(clock_add(INT64_MIN, -1) == INT64_MIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_seconds_in_any_order),
		cmocka_unit_test(durations_do_not_step),
		cmocka_unit_test(times_outlive_the_process),
		cmocka_unit_test(times_outlive_a_reboot),
		cmocka_unit_test(a_mark_is_of_this_boot),
		cmocka_unit_test(sums_stay_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
