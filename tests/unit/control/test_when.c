#include "base/clock.h"
#include "advice/explain.h"
#include "unit.h"

#include <stdlib.h>
#include <time.h>

#define NOW (INT64_C(1795514400) * NS_PER_S) /* Tuesday, 2026-11-24T10:00:00Z */

static int64_t seconds(const char *text)
{
	int64_t out = -NS_PER_S;
	return when_parse(text, NOW, &out) ? out / NS_PER_S : -1;
}

static void reads_rfc_3339(void **state)
{
	assert_int_equal(seconds("2026-11-24T10:00:00Z"), 1795514400);
	assert_int_equal(seconds("2026-11-24T10:00:00.123456Z"), 1795514400);
	assert_int_equal(seconds("2026-11-24T12:00:00+02:00"), 1795514400);
	assert_int_equal(seconds("2026-11-24t05:30-04:30"), 1795514400);
}

static void reads_local_time(void **state)
{
	assert_int_equal(seconds("2026-11-24 12:00"), 1795514400);
	assert_int_equal(seconds("2026-11-24T12:00:30"), 1795514430);
	assert_int_equal(seconds("2026-07-24 13:00"), 1784887200); /* summer time */
}

static void reads_a_time_of_the_week(void **state)
{
	assert_int_equal(seconds("tue 12:00"), 1795514400); /* now */
	assert_int_equal(seconds("tue 12:01"), 1795514460);
	assert_int_equal(seconds("tue 11:59"), 1795514400 + 7 * 86400 - 60);
	assert_int_equal(seconds("wed 00:00"), 1795514400 + 12 * 3600);
	assert_int_equal(seconds("mon 12:00"), 1795514400 + 6 * 86400);
}

static void refuses_what_is_no_time(void **state)
{
	const char *bad[] = {"",
			     "now",
			     "10:00",
			     "mon",
			     "mon 24:30",
			     "2026-11-24",
			     "2026-13-24 10:00",
			     "2026-11-24 25:00",
			     "2026-11-24 10:60",
			     "2026-11-00 10:00",
			     "2026-11-31 10:00",
			     "2026-02-29 10:00",
			     "2100-02-29T10:00:00Z",
			     "2028-02-30 10:00",
			     "2026-11-24x10:00",
			     "2026-11-24T10:00:00ZZ",
			     "2026-11-24T10:00:00+2",
			     "2026-11-24T10:00:00+25:00",
			     "0000-11-24T10:00:00Z",
			     "2026-11-24 10:00 "};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (seconds(bad[i]) != -1)
			fail_msg("\"%s\" was read", bad[i]);
}

int main(void)
{
	setenv("TZ", "EET-2EEST-3,M3.5.0/3,M10.5.0/4", 1);
	tzset();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_rfc_3339),
		cmocka_unit_test(reads_local_time),
		cmocka_unit_test(reads_a_time_of_the_week),
		cmocka_unit_test(refuses_what_is_no_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
