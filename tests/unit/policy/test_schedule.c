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
	struct schedule s = {
		.zone = z, .days = 0x1f, .hours_count = 1, .hours = {{8 * 60, 18 * 60}}};
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
	struct schedule s = {.zone = z,
			     .days = 1 << 4,
			     .hours_count = 1,
			     .hours = {{22 * 60, 6 * 60}}}; /* fri */
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
	struct schedule never = {.zone = z, .days = 0, .hours_count = 1, .hours = {{0, 1440}}};
	struct schedule always = {.zone = z, .days = 0x7f, .hours_count = 1, .hours = {{0, 1440}}};
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
	struct schedule s = {
		.zone = z, .days = 1 << 6, .hours_count = 1, .hours = {{3 * 60, 4 * 60}}}; /* sun */
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
	if (s->hours[0].from < s->hours[0].to)
		return (s->days >> day & 1) && minute >= s->hours[0].from &&
		       minute < s->hours[0].to;
	return ((s->days >> day & 1) && minute >= s->hours[0].from) ||
	       ((s->days >> before & 1) && minute < s->hours[0].to);
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
					     .hours_count = 1,
					     .hours = {{(uint16_t)(random_below(96) * 15),
							(uint16_t)(random_below(97) * 15)}}};
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

/* ---- dates, several hours, what is excepted: against a naive enumeration, minute by minute ----
 */

struct wide {
	struct schedule s, other, not_on;
	struct span dates[3], times[3], not_dates[2];
	const struct schedule *except[2];
};

static bool naive_has(const struct span *s, size_t count, int64_t at)
{
	for (size_t i = 0; i < count; i++)
		if (at >= s[i].from && at < s[i].to)
			return true;
	return false;
}

static int64_t days_of(const struct tm *tm, int ahead)
{
	struct tm day = {
		.tm_year = tm->tm_year, .tm_mon = tm->tm_mon, .tm_mday = tm->tm_mday + ahead};
	return timegm(&day) / 86400;
}

static bool naive_begins(const struct schedule *s, const struct tm *tm, int ahead, time_t t)
{
	unsigned day = (unsigned)(tm->tm_wday + 13 + ahead) % 7;
	return (s->days >> day & 1) &&
	       (!s->dated || naive_has(s->dates, s->date_count, days_of(tm, ahead)) ||
		naive_has(s->times, s->time_count, t));
}

/* By libc's local time alone. */
static bool naive_wide(const struct schedule *s, time_t t)
{
	struct tm tm;
	localtime_r(&t, &tm);
	int minute = tm.tm_hour * 60 + tm.tm_min;
	bool active = false;
	for (size_t i = 0; i < s->hours_count; i++) {
		int from = s->hours[i].from, to = s->hours[i].to;
		if (from < to)
			active |= naive_begins(s, &tm, 0, t) && minute >= from && minute < to;
		else
			active |= (naive_begins(s, &tm, 0, t) && minute >= from) ||
				  (naive_begins(s, &tm, -1, t) && minute < to);
	}
	for (size_t i = 0; i < s->except_count; i++)
		active &= !naive_wide(s->except[i], t);
	return active;
}

static void some_hours(struct schedule *s)
{
	s->hours_count = (uint8_t)(1 + random_below(3));
	for (size_t i = 0; i < s->hours_count; i++)
		s->hours[i] = random_below(3)
				      ? (struct config_hours){(uint16_t)(random_below(96) * 15),
							      (uint16_t)(1 + random_below(1440))}
				      : (struct config_hours){0, 1440};
}

static size_t some_spans(struct span *s, size_t max, int64_t begin, uint32_t unit, uint32_t count)
{
	for (size_t i = 0; i < max; i++) {
		s[i].from = begin + random_below(count) * (int64_t)unit;
		s[i].to = s[i].from + random_below(4) * (int64_t)unit;
	}
	return spans_join(s, random_below((uint32_t)max + 1));
}

/* Of some days from `begin` (seconds) on. */
static void some_schedule(struct wide *w, const struct zone *z, int64_t begin)
{
	*w = (struct wide){
		.s = {.zone = z, .days = (uint8_t)random_below(128), .dated = random_below(2)},
		.other = {.zone = z, .days = (uint8_t)random_below(128)},
		.not_on = {.zone = z,
			   .days = 0x7f,
			   .hours_count = 1,
			   .hours = {{0, 1440}},
			   .dated = true},
	};
	if (random_below(2))
		w->s.days = 0x7f;
	some_hours(&w->s);
	some_hours(&w->other);
	w->s.dates = w->dates;
	w->s.times = w->times;
	w->not_on.dates = w->not_dates;
	if (w->s.dated)
		w->s.date_count = some_spans(w->dates, 3, begin / 86400, 1, 8);
	if (w->s.dated)
		w->s.time_count = some_spans(w->times, 3, begin, 60, 8 * 1440);
	w->not_on.date_count = some_spans(w->not_dates, 2, begin / 86400, 1, 8);
	w->except[0] = &w->other;
	w->except[1] = &w->not_on;
	w->s.except = random_below(2) ? w->except : w->except + 1;
	w->s.except_count = random_below(2) ? 0 : w->s.except == w->except ? 2 : 1;
}

static void test_minute_by_minute(void **state)
{
	static const struct {
		const char *zone, *change; /* the day before which a week begins */
	} at[] = {{"Europe/Sofia", "2026-03-29"},        {"Europe/Sofia", "2026-10-25"},
		  {"America/New_York", "2027-03-14"},    {"America/New_York", "2027-11-07"},
		  {"Australia/Lord_Howe", "2026-10-04"}, {"Australia/Lord_Howe", "2027-04-04"},
		  {"Africa/Casablanca", "2026-02-15"},   {"Asia/Kathmandu", "2026-06-01"},
		  {"Pacific/Apia", "2011-12-30"}}; /* a day that never was */
	unsigned edges = 0;
	for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
		char text[32];
		snprintf(text, sizeof text, "%s 00:00", at[i].change);
		int64_t begin = utc(text) / NS_PER_S - 3 * 86400, over = begin + 7 * 86400;
		struct zone *z = zone_new(at[i].zone);
		setenv("TZ", at[i].zone, 1);
		tzset();
		for (int round = 0; round < 40; round++) {
			struct wide w;
			some_schedule(&w, z, begin);
			int64_t edge = schedule_next_edge(&w.s, begin * NS_PER_S);
			bool was = naive_wide(&w.s, begin);
			for (int64_t t = begin; t < over; t += 60) {
				bool now = naive_wide(&w.s, t);
				assert_int_equal(schedule_active(&w.s, t * NS_PER_S), now);
				if (now != was) {
					assert_int_equal(t * NS_PER_S, edge);
					edge = schedule_next_edge(&w.s, t * NS_PER_S);
					edges++;
				}
				was = now;
			}
			assert_true(edge == 0 || edge >= over * NS_PER_S);
		}
		unsetenv("TZ");
		zone_free(z);
	}
	assert_true(edges > 1000);
}

/* Years ahead the next edge is found, and behind the last date there is none. */
static void test_far_dates(void **state)
{
	struct zone *z = zone_new("Europe/Sofia");
	struct span date = {20811 + 3000, 20811 + 3002}; /* 2035-03-12, a Monday, and the next */
	struct schedule s = {.zone = z,
			     .days = 0x7f,
			     .hours_count = 1,
			     .hours = {{1320, 360}},
			     .dated = true,
			     .dates = &date,
			     .date_count = 1};
	int64_t now = utc("2026-01-01 00:00");
	assert_int_equal(schedule_next_edge(&s, now), utc("2035-03-12 20:00"));
	assert_int_equal(schedule_next_edge(&s, utc("2035-03-13 20:00")), utc("2035-03-14 04:00"));
	assert_int_equal(schedule_next_edge(&s, utc("2035-03-14 04:00")), 0);
	s.hours[0] = (struct config_hours){0, 1440};
	assert_int_equal(schedule_next_edge(&s, now), utc("2035-03-11 22:00"));
	assert_int_equal(schedule_next_edge(&s, utc("2035-03-12 10:00")), utc("2035-03-13 22:00"));
	s.days = 1 << 3; /* neither is a Thursday */
	assert_int_equal(schedule_next_edge(&s, now), 0);
	s.date_count = 0;
	assert_int_equal(schedule_next_edge(&s, now), 0);
	zone_free(z);
}

static void test_local_to_utc(void **state)
{
	struct zone *z = zone_new("Europe/Sofia");
	assert_int_equal(zone_utc(z, utc("2026-03-29 02:59") / NS_PER_S) * NS_PER_S,
			 utc("2026-03-29 00:59"));
	/* 03:30 is skipped: by the offset before, which is 04:30 */
	assert_int_equal(zone_utc(z, utc("2026-03-29 03:30") / NS_PER_S) * NS_PER_S,
			 utc("2026-03-29 01:30"));
	assert_int_equal(zone_utc(z, utc("2026-03-29 04:30") / NS_PER_S) * NS_PER_S,
			 utc("2026-03-29 01:30"));
	/* 03:30 is twice: the first */
	assert_int_equal(zone_utc(z, utc("2026-10-25 03:30") / NS_PER_S) * NS_PER_S,
			 utc("2026-10-25 00:30"));
	assert_int_equal(zone_utc(z, utc("2026-10-25 04:00") / NS_PER_S) * NS_PER_S,
			 utc("2026-10-25 02:00"));
	zone_free(z);
}

static void test_format_of_dates(void **state)
{
	static const struct span dates[] = {
		{20811, 20812}, {20815, 20822}, {21000, 21001}, {22000, 22001}};
	char text[200];
	struct buf b = BUF_OF(text);
	struct schedule not_on = {.days = 0x7f,
				  .hours_count = 1,
				  .hours = {{0, 1440}},
				  .dated = true,
				  .dates = dates,
				  .date_count = 4};
	const struct schedule *except[] = {&not_on};
	struct schedule s = {.days = 0x1f,
			     .hours_count = 2,
			     .hours = {{480, 720}, {780, 1080}},
			     .except = except,
			     .except_count = 1};
	schedule_format(&s, &b);
	assert_string_equal(text, "mon-fri 08:00-12:00,13:00-18:00 and not on 2026-12-24, "
				  "2026-12-28..2027-01-03, 2027-07-01 and 1 more");
	buf_reset(&b);
	s = (struct schedule){.days = 1, .hours_count = 1, .hours = {{0, 60}}, .dated = true};
	schedule_format(&s, &b);
	assert_string_equal(text, "mon 00:00-01:00 on no day");
	assert_true(schedule_has_dates(&s));
}

static void test_format(void **state)
{
	struct zone *z = zone_new("Europe/Sofia");
	char text[80];
	struct buf b = BUF_OF(text);
	schedule_format(&(struct schedule){.days = 0x1f, .hours_count = 1, .hours = {{480, 1080}}},
			&b);
	assert_string_equal(text, "mon-fri 08:00-18:00");
	buf_reset(&b);
	schedule_format(&(struct schedule){.days = 0x45, .hours_count = 1, .hours = {{0, 1440}}},
			&b);
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
		cmocka_unit_test(test_minute_by_minute),
		cmocka_unit_test(test_far_dates),
		cmocka_unit_test(test_local_to_utc),
		cmocka_unit_test(test_format_of_dates),
		cmocka_unit_test(test_format),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
