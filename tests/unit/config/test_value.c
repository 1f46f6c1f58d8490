#include "unit.h"
#include "base/clock.h"
#include "config/value.h"

#include <netinet/in.h>
#include <string.h>

#define EACH(name, list) for (size_t name = 0; name < sizeof list / sizeof *list; name++)

static void durations(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = {{"0s", 0},
		    {"500ms", 500 * NS_PER_MS},
		    {"90s", 90 * NS_PER_S},
		    {"30m", 1800 * NS_PER_S},
		    {"8h", 28800 * NS_PER_S},
		    {"2d", 172800 * NS_PER_S}};
	static const char *const bad[] = {"",   "8",  "h",    "8 h", "-8h", "+8h",
					  "8H", "8w", "8h1m", "8hh", " 8h", "99999999999d"};
	int64_t ns = 7;
	EACH(i, good)
	{
		char text[32] = "";
		struct buf b = BUF_OF(text);
		assert_true(duration_parse(good[i].text, &ns));
		assert_int_equal(ns, good[i].ns);
		duration_format(ns, &b);
		if (ns != 90 * NS_PER_S)
			assert_string_equal(text, good[i].text);
	}
	EACH(i, bad)
	assert_false(duration_parse(bad[i], &ns));
}

static void ports(void **state)
{
	static const struct {
		const char *text;
		struct config_port port;
	} good[] = {{"tcp/1", {IPPROTO_TCP, 1, 1}},
		    {"udp/65535", {IPPROTO_UDP, 65535, 65535}},
		    {"tcp/8000-8100", {IPPROTO_TCP, 8000, 8100}},
		    {"udp/*", {IPPROTO_UDP, 0, 65535}}};
	static const char *const bad[] = {
		"",       "443",     "tcp",      "tcp/",   "tcp/0",  "tcp/65536", "tcp/8-7",
		"sctp/1", "TCP/443", "tcp/443 ", "tcp/1-", "tcp/-1", "tcp/1-2-3", "tcp/**"};
	struct config_port port;
	EACH(i, good)
	{
		char text[32] = "";
		struct buf b = BUF_OF(text);
		assert_true(port_parse(good[i].text, &port));
		assert_int_equal(port.transport, good[i].port.transport);
		assert_int_equal(port.first, good[i].port.first);
		assert_int_equal(port.last, good[i].port.last);
		port_format(&port, &b);
		assert_string_equal(text, good[i].text);
	}
	EACH(i, bad)
	assert_false(port_parse(bad[i], &port));
}

static void days(void **state)
{
	static const struct {
		const char *text, *same;
		uint8_t days;
	} good[] = {{"all", "all", 0x7f},
		    {"mon", "mon", 0x01},
		    {"mon-fri", "mon,tue,wed,thu,fri", 0x1f},
		    {"sat-mon", "mon,sat,sun", 0x61},
		    {"mon,wed,fri", "mon,wed,fri", 0x15},
		    {"mon,  wed, fri", "mon,wed,fri", 0x15},
		    {"Mon-Wed,sun", "mon,tue,wed,sun", 0x47},
		    {"mon-sun", "all", 0x7f}};
	static const char *const bad[] = {"",        "monday", "mon-",     "-mon", "mon, ",
					  "mon fri", "mun",    "mon-fri-", "alll", "mon,all"};
	uint8_t out;
	EACH(i, good)
	{
		char text[64] = "";
		struct buf b = BUF_OF(text);
		assert_true(days_parse(good[i].text, &out));
		assert_int_equal(out, good[i].days);
		days_format(out, &b);
		assert_string_equal(text, good[i].same);
	}
	EACH(i, bad)
	assert_false(days_parse(bad[i], &out));
}

static void hours(void **state)
{
	static const char *const bad[] = {"",
					  "08:00",
					  "8:00-18:00",
					  "08:00-18:0",
					  "08:00-24:01",
					  "24:00-08:00",
					  "08:60-09:00",
					  "08:00-08:00",
					  "08:00-00:00",
					  "08:00-18:00 ",
					  "08:00-12:00,",
					  "08:00-12:00, ",
					  "08:00-12:00 ,13:00-14:00",
					  "01:00-02:00,03:00-04:00,05:00-06:00,07:00-08:00,"
					  "09:00-10:00,11:00-12:00,13:00-14:00,15:00-16:00,"
					  "17:00-18:00"};
	struct config_hours h[HOURS_MAX];
	uint8_t count;
	assert_true(hours_parse("08:00-18:30", h, &count));
	assert_int_equal(count, 1);
	assert_int_equal(h[0].from, 480);
	assert_int_equal(h[0].to, 1110);
	assert_true(hours_parse("00:00-24:00", h, &count));
	assert_int_equal(h[0].to, 1440);
	assert_true(hours_parse("08:00-12:00, 22:00-06:00", h, &count));
	assert_int_equal(count, 2);
	assert_true(hours_parse("08:00-12:00,22:00-06:00", h, &count));
	assert_int_equal(count, 2);
	assert_int_equal(h[1].from, 1320);
	assert_int_equal(h[1].to, 360);
	EACH(i, bad)
	assert_false(hours_parse(bad[i], h, &count));
}

static void ranges_of_dates(void **state)
{
	static const char *const bad[] = {"",
					  "2026-02-29",
					  "2026-12-24.",
					  "2026-12-24..",
					  "2026-12-24..2026-12-23",
					  "2026-12-24...2026-12-25",
					  "2026-12-24..2026-12-25 ",
					  "2100-01-01",
					  "1999-12-31",
					  "2026-12-24T10:00:00Z",
					  "2026-12-24T10:00:00Z..2026-12-24T10:00:00Z",
					  "2026-12-24T10:00:00Z..2026-12-24T09:00:00Z",
					  "2026-12-24T10:00:00..2026-12-24T12:00:00Z",
					  "2026-12-24T24:00:00Z..2026-12-25T12:00:00Z",
					  "2026-12-24T10:00:00Z..2026-12-25"};
	static const char *const good[] = {"2026-12-24", "2026-12-28..2027-01-03",
					   "2026-12-24T10:00:05Z..2026-12-24T12:00:00Z"};
	static const struct span want[] = {
		{20811, 20812}, {20815, 20822}, {1798106405, 1798113600}};
	int64_t day;
	unsigned minute;
	struct span s;
	bool timed;
	EACH(i, bad)
	assert_false(dates_parse(bad[i], &s, &timed));
	EACH(i, good)
	{
		char text[64];
		struct buf b = BUF_OF(text);
		assert_true(dates_parse(good[i], &s, &timed));
		assert_int_equal(timed, i == 2);
		assert_int_equal(s.from, want[i].from);
		assert_int_equal(s.to, want[i].to);
		dates_format(&s, timed, &b);
		assert_string_equal(text, good[i]);
	}
	assert_true(datetime_parse("2026-12-24 10:30", &day, &minute));
	assert_int_equal(day, 20811);
	assert_int_equal(minute, 630);
	assert_false(datetime_parse("2026-12-24", &day, &minute));
	assert_false(datetime_parse("2026-12-24 24:00", &day, &minute));
	assert_false(datetime_parse("2026-12-24 10:00 ", &day, &minute));
}

static void dates(void **state)
{
	static const char *const bad[] = {"",           "2027-6-30",  "2027-02-29", "2027-13-01",
					  "2027-00-01", "2027-01-00", "1999-12-31", "2027-06-30 ",
					  "2262-01-01", "27-06-30xx"};
	char text[32] = "";
	struct buf b = BUF_OF(text);
	int64_t ns;
	assert_true(date_parse("2000-01-01", &ns));
	assert_int_equal(ns / NS_PER_S, 946684800);
	assert_true(date_parse("2028-02-29", &ns));
	date_format(ns, &b);
	assert_string_equal(text, "2028-02-29");
	EACH(i, bad)
	assert_false(date_parse(bad[i], &ns));
}

static void weektimes(void **state)
{
	static const char *const bad[] = {"",         "mon",        "mon10:00", "mon 24:00",
					  "mon 1:00", "mon  10:00", "10:00",    "mon 10:00x"};
	unsigned day, minute;
	assert_true(weektime_parse("sun 23:59", &day, &minute));
	assert_int_equal(day, 6);
	assert_int_equal(minute, 1439);
	EACH(i, bad)
	assert_false(weektime_parse(bad[i], &day, &minute));
}

static void quotas(void **state)
{
	static const char *const good[] = {"90 min/day",
					   "2 h/day",
					   "1 kB/day",
					   "5 GiB/week",
					   "1500 MB/week",
					   "7 TiB/week from sun 18:00",
					   "90 min/day from 04:30 Europe/Sofia together",
					   "3 TB/week from mon 00:01 UTC",
					   "1 h/day together"};
	static const char *const bad[] = {
		"",
		"/day",
		"90",
		"90 min",
		"90  min/day",
		" 90 min/day",
		"-1 min/day",
		"1.5 h/day",

		"90 mins/day",
		"90 min/Day",
		"0 h/week",
		"1441 min/day",
		"169 h/week",
		"1025 TiB/day",
		"99999999999999999999 kB/day",
		"90 min/day from",
		"90 min/day from 4:00",
		"90 min/day from mon 04:00",
		"1 h/week from mon",
		"1 h/week from 04:00 UTC mon",
		"1 h/day together together",
		"1 h/day together UTC",
		"1 h/day a b c d e f g",
		"1 h/day a-zone-of-which-the-name-is-longer-than-any-there-is-on-earth"};
	struct config_quota q = {.amount = 77}, again;
	EACH(i, good)
	{
		char text[120] = "";
		struct buf b = BUF_OF(text);
		assert_null(quota_parse(good[i], &again));
		quota_format(&again, &b);
		assert_string_equal(text, good[i]);
	}
	EACH(i, bad)
	{
		assert_non_null(quota_parse(bad[i], &q));
		assert_int_equal(q.amount, 77);
	}
	assert_null(quota_parse("90min/day from 00:00 UTC", &q));
	assert_true(!q.bytes && !q.week && q.amount == 90 && !q.minute);
	assert_null(quota_parse("1 GiB/week from tue 01:02 together", &q));
	assert_true(q.bytes && q.week && q.amount == 1 << 30 && q.together && q.day == 1);
	assert_int_equal(q.minute, 62);
	assert_string_equal(q.zone, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quotas), cmocka_unit_test(durations),
		cmocka_unit_test(ports),  cmocka_unit_test(days),
		cmocka_unit_test(hours),  cmocka_unit_test(ranges_of_dates),
		cmocka_unit_test(dates),  cmocka_unit_test(weektimes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
