#include "unit.h"

#include "policy/schedule.h"
#include "random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HOUR (3600 * NS_PER_S)
#define DAY  (24 * HOUR)

/* ns of a UTC time, "2026-03-29 00:30" */
static int64_t utc(const char *text)
{
	struct tm tm = {0};
	assert_non_null(strptime(text, "%Y-%m-%d %H:%M", &tm));
	return timegm(&tm) * NS_PER_S;
}

static void test_unknown_zones(void **state)
{
	static const char *const bad[] = {"",
					  "Europe/Sofiya",
					  "Europe",
					  "/usr/share/zoneinfo/Europe/Sofia",
					  "../zoneinfo/Europe/Sofia",
					  "Europe/../Europe/Sofia",
					  "zone.tab",
					  "right/Europe/Sofia",
					  "EET-2"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		errno = 0;
		assert_null(zone_new(bad[i]));
		assert_int_equal(errno, ENOENT);
	}
	zone_free(NULL);
}

static void test_tz_is_restored(void **state)
{
	setenv("TZ", "Asia/Tokyo", 1);
	tzset();
	struct zone *z = zone_new("Europe/Sofia");
	assert_string_equal(getenv("TZ"), "Asia/Tokyo");
	time_t zero = 0;
	struct tm tm;
	assert_int_equal(localtime_r(&zero, &tm)->tm_hour, 9);
	unsetenv("TZ");
	zone_free(z);
	z = zone_new("Europe/Sofia");
	assert_null(getenv("TZ"));
	zone_free(z);
}

static void test_days_and_hours(void **state)
{
	struct zone *z = zone_new("Europe/Sofia");
	struct schedule s = {.zone = z, .days = 0x1f, .from = 8 * 60, .to = 18 * 60};
	assert_false(schedule_active(&s, utc("2026-06-22 05:00") - 1)); /* Mon, UTC+3 */
	assert_true(schedule_active(&s, utc("2026-06-22 05:00")));
	assert_true(schedule_active(&s, utc("2026-06-22 15:00") - 1));
	assert_false(schedule_active(&s, utc("2026-06-22 15:00")));
	assert_false(schedule_active(&s, utc("2026-06-21 09:00"))); /* Sun */
	assert_true(schedule_active(&s, utc("2026-01-05 06:00")));  /* Mon, UTC+2 */
	assert_false(schedule_active(&s, utc("2026-01-05 05:59")));
	assert_int_equal(schedule_next_edge(&s, utc("2026-06-19 16:00")), utc("2026-06-22 05:00"));
	assert_int_equal(schedule_next_edge(&s, utc("2026-06-22 05:00")), utc("2026-06-22 15:00"));
	zone_free(z);
}

static void test_past_midnight(void **state)
{
	struct zone *z = zone_new("UTC");
	struct schedule s = {.zone = z, .days = 1 << 4, .from = 22 * 60, .to = 6 * 60}; /* fri */
	assert_false(schedule_active(&s, utc("2026-06-26 05:59")));
	assert_false(schedule_active(&s, utc("2026-06-26 21:59")));
	assert_true(schedule_active(&s, utc("2026-06-26 22:00")));
	assert_true(schedule_active(&s, utc("2026-06-27 05:59")));
	assert_false(schedule_active(&s, utc("2026-06-27 06:00")));
	assert_int_equal(schedule_next_edge(&s, utc("2026-06-26 22:00")), utc("2026-06-27 06:00"));
	zone_free(z);
}

static void test_never_and_always(void **state)
{
	struct zone *z = zone_new("UTC");
	struct schedule never = {.zone = z, .days = 0, .from = 0, .to = 1440};
	struct schedule always = {.zone = z, .days = 0x7f, .from = 0, .to = 1440};
	assert_false(schedule_active(&never, 0));
	assert_true(schedule_active(&always, utc("2026-06-26 23:59")));
	assert_true(schedule_active(&always, INT64_C(-1)));
	assert_int_equal(schedule_next_edge(&never, 0), 0);
	assert_int_equal(schedule_next_edge(&always, 0), 0);
	zone_free(z);
}

static void test_spring_and_autumn(void **state)
{
	struct zone *z = zone_new("Europe/Sofia");
	struct schedule s = {.zone = z, .days = 1 << 6, .from = 3 * 60, .to = 4 * 60}; /* sun */
	/* 2026-03-29 03:00 does not exist there: the clock goes from 03:00 to 04:00 at 01:00 UTC */
	assert_int_equal(schedule_next_edge(&s, utc("2026-03-28 00:00")), utc("2026-04-05 00:00"));
	/* 2026-10-25: 03:00-04:00 is twice, 00:00-01:00 and 01:00-02:00 UTC */
	assert_int_equal(schedule_next_edge(&s, utc("2026-10-24 00:00")), utc("2026-10-25 00:00"));
	assert_int_equal(schedule_next_edge(&s, utc("2026-10-25 00:00")), utc("2026-10-25 02:00"));
	assert_int_equal(zone_next_change(z, utc("2026-01-01 00:00")), utc("2026-03-29 01:00"));
	assert_int_equal(zone_at(z, utc("2026-03-28 00:00"), 6, 3 * 60 + 30),
			 utc("2026-04-05 00:30"));
	assert_int_equal(zone_at(z, utc("2026-03-30 07:00"), 0, 10 * 60), utc("2026-03-30 07:00"));
	assert_int_equal(zone_at(z, utc("2026-03-30 07:00") + 1, 0, 10 * 60),
			 utc("2026-04-06 07:00"));
	zone_free(z);
}

/* The naive twin: libc's local time, asked with TZ set. */
static bool naive(const struct schedule *s, time_t t)
{
	struct tm tm;
	localtime_r(&t, &tm);
	unsigned day = (unsigned)(tm.tm_wday + 6) % 7, before = (day + 6) % 7;
	int minute = tm.tm_hour * 60 + tm.tm_min;
	if (s->from < s->to)
		return (s->days >> day & 1) && minute >= s->from && minute < s->to;
	return ((s->days >> day & 1) && minute >= s->from) ||
	       ((s->days >> before & 1) && minute < s->to);
}

/* Every quarter of an hour of some years, against libc; and each edge against a walk. */
static void test_twin(void **state)
{
	static const char *const zones[] = {"Europe/Sofia",        "America/New_York",
					    "Australia/Lord_Howe", "Africa/Casablanca",
					    "Asia/Kathmandu",      "Pacific/Apia"};
	for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
		struct zone *z = zone_new(zones[i]);
		assert_non_null(z);
		setenv("TZ", zones[i], 1);
		tzset();
		for (int round = 0; round < 6; round++) {
			struct schedule s = {.zone = z,
					     .days = (uint8_t)random_below(128),
					     .from = (uint16_t)(random_below(96) * 15),
					     .to = (uint16_t)(random_below(97) * 15)};
			int64_t begin = utc("2011-01-01 00:00") + random_below(60) * 365 * DAY;
			int64_t edge = schedule_next_edge(&s, begin);
			bool was = schedule_active(&s, begin);
			for (int64_t t = begin; t < begin + 366 * DAY; t += HOUR / 4) {
				bool now = schedule_active(&s, t);
				assert_int_equal(now, naive(&s, t / NS_PER_S));
				if (now != was) {
					assert_int_equal(t, edge);
					edge = schedule_next_edge(&s, t);
				}
				was = now;
			}
		}
		unsetenv("TZ");
		zone_free(z);
	}
}

static void test_offsets_of_a_century(void **state)
{
	static const char *const zones[] = {"Europe/Sofia", "Asia/Gaza", "America/Boa_Vista",
					    "Antarctica/Troll"};
	for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
		struct zone *z = zone_new(zones[i]);
		setenv("TZ", zones[i], 1);
		tzset();
		for (time_t t = 0; t < 4102444800; t += 5 * 3600 + 1) {
			struct tm tm;
			localtime_r(&t, &tm);
			assert_int_equal(zone_offset(z, t * NS_PER_S), tm.tm_gmtoff);
		}
		unsetenv("TZ");
		zone_free(z);
	}
}

static void test_format(void **state)
{
	struct zone *z = zone_new("Europe/Sofia");
	char text[80];
	struct buf b = BUF_OF(text);
	schedule_format(&(struct schedule){.days = 0x1f, .from = 480, .to = 1080}, &b);
	assert_string_equal(text, "mon-fri 08:00-18:00");
	buf_reset(&b);
	schedule_format(&(struct schedule){.days = 0x45, .from = 0, .to = 1440}, &b);
	assert_string_equal(text, "mon,wed,sun 00:00-24:00");
	buf_reset(&b);
	zone_format(z, utc("2026-06-20 08:05"), &b);
	assert_string_equal(text, "Sat 11:05");
	zone_free(z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown_zones),
		cmocka_unit_test(test_tz_is_restored),
		cmocka_unit_test(test_days_and_hours),
		cmocka_unit_test(test_past_midnight),
		cmocka_unit_test(test_never_and_always),
		cmocka_unit_test(test_spring_and_autumn),
		cmocka_unit_test(test_twin),
		cmocka_unit_test(test_offsets_of_a_century),
		cmocka_unit_test(test_format),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
