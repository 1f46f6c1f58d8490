/* Calendars: their events as dates and times, against what RFC 5545 says of them. */
#include "config/calendar.h"
#include "config/value.h"
#include "unit.h"

#include "base/array.h"
#include "base/clock.h"
#include "config/files.h"

#include <libical/ical.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HORIZON INT64_C(1893456000) /* 2030-01-01 */

static char said[8000]; /* complaints, then the dates and times */

static void hear(void *ctx, int line, const char *what)
{
	size_t len = strlen(said);
	snprintf(said + len, sizeof said - len, "%d: %s\n", line, what);
}

static void put(const struct span *s, size_t count, bool timed)
{
	for (size_t i = 0; i < count; i++) {
		char text[64] = "";
		struct buf b = BUF_OF(text);
		size_t len = strlen(said);
		dates_format(&s[i], timed, &b);
		snprintf(said + len, sizeof said - len, "%s\n", text);
	}
}

/* Reads a whole file in a schedule of a zone, joined as config/ does it. */
static bool read_in(const char *zone, const char *text, int64_t *last)
{
	struct zone *z = zone_new(zone);
	struct config_dates d = {0};
	char *copy = must(strdup(text));
	const struct calendar_reader r = {.zone = z, .until = HORIZON, .complain = hear};
	said[0] = '\0';
	bool good = calendar_parse(copy, strlen(copy), &r, &d, last);
	put(d.day, spans_join(d.day, d.days), false);
	put(d.time, spans_join(d.time, d.times), true);
	free(d.day);
	free(d.time);
	free(copy);
	zone_free(z);
	return good;
}

#define CALENDAR(text) "BEGIN:VCALENDAR\nVERSION:2.0\n" text "END:VCALENDAR\n"
#define EVENT(text)    CALENDAR("BEGIN:VEVENT\nUID:a\n" text "END:VEVENT\n")

static void gives(const char *text, const char *want)
{
	int64_t last;
	bool good = read_in("Europe/Sofia", text, &last);
	assert_string_equal(said, want);
	assert_true(good);
}

/* With a file whose fault is one in line 4, or where it says. */
static void refuses(const char *text, const char *want)
{
	int64_t last;
	assert_false(read_in("Europe/Sofia", text, &last));
	assert_string_equal(said, want);
}

static void days(void **state)
{
	gives(EVENT("DTSTART;VALUE=DATE:20261224\n"), "2026-12-24\n");
	gives(EVENT("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261227\n"),
	      "2026-12-24..2026-12-26\n");
	gives(EVENT("DTSTART;VALUE=DATE:20261224\nDURATION:P1W2D\n"), "2026-12-24..2027-01-01\n");
	gives(EVENT("DTSTART:20261224\n"), "2026-12-24\n");
	gives(EVENT("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261224\n"), "2026-12-24\n");
	gives(EVENT("DTSTART:20261224T100000Z\nDTEND:20261224T100000Z\n"), "");
	gives(CALENDAR("BEGIN:VEVENT\nDTSTART;VALUE=DATE:20261224\nEND:VEVENT\n"
		       "BEGIN:VEVENT\nDTSTART;VALUE=DATE:20261226\nEND:VEVENT\n"
		       "BEGIN:VEVENT\nDTSTART;VALUE=DATE:20261225\nEND:VEVENT\n"),
	      "2026-12-24..2026-12-26\n");
}

static void times(void **state)
{
	/* UTC, floating in the schedule's zone (+02:00 in winter), a zone of the machine's */
	gives(EVENT("DTSTART:20261224T100000Z\nDTEND:20261224T123000Z\n"),
	      "2026-12-24T10:00:00Z..2026-12-24T12:30:00Z\n");
	gives(EVENT("DTSTART:20261224T100000\nDTEND:20261224T123000\n"),
	      "2026-12-24T08:00:00Z..2026-12-24T10:30:00Z\n");
	gives(EVENT("DTSTART;TZID=America/New_York:20261224T100000\nDURATION:PT90M\n"),
	      "2026-12-24T15:00:00Z..2026-12-24T16:30:00Z\n");
	gives(EVENT("DTSTART;TZID=\"America/New_York\":20261231T220000\n"
		    "DTEND;TZID=Europe/Sofia:20270102T080000\n"),
	      "2027-01-01T03:00:00Z..2027-01-02T06:00:00Z\n");
	gives(EVENT("DTSTART:20261224T100000Z\n"), "");
	gives(EVENT("DTSTART:20261231T235960Z\nDURATION:PT1S\n"),
	      "2026-12-31T23:59:59Z..2027-01-01T00:00:00Z\n");
}

/* 2026: forward on March 29 at 03:00 there, back on October 25 at 04:00. */
static void clocks_that_move(void **state)
{
	/* a time that is skipped counts by the offset before; one that is twice, the first */
	gives(EVENT("DTSTART:20260329T033000\nDURATION:PT1H\n"),
	      "2026-03-29T01:30:00Z..2026-03-29T02:30:00Z\n");
	gives(EVENT("DTSTART:20261025T033000\nDURATION:PT1H\n"),
	      "2026-10-25T00:30:00Z..2026-10-25T01:30:00Z\n");
	/* a day of DURATION is the clock's, 23 and 25 hours; a DTEND says how long it really is */
	gives(EVENT("DTSTART:20260328T120000\nDURATION:P1D\n"),
	      "2026-03-28T10:00:00Z..2026-03-29T09:00:00Z\n");
	gives(EVENT("DTSTART:20261024T120000\nDURATION:P1DT1H\n"),
	      "2026-10-24T09:00:00Z..2026-10-25T11:00:00Z\n");
	gives(EVENT("DTSTART:20260327T220000\nDTEND:20260328T060000\nRRULE:FREQ=DAILY;COUNT=3\n"),
	      "2026-03-27T20:00:00Z..2026-03-28T04:00:00Z\n"
	      "2026-03-28T20:00:00Z..2026-03-29T04:00:00Z\n"
	      "2026-03-29T19:00:00Z..2026-03-30T03:00:00Z\n");
	gives(EVENT("DTSTART:20261024T080000\nDTEND:20261024T090000\nRRULE:FREQ=DAILY;COUNT=2\n"),
	      "2026-10-24T05:00:00Z..2026-10-24T06:00:00Z\n"
	      "2026-10-25T06:00:00Z..2026-10-25T07:00:00Z\n");
}

#define ZONE                                                                                       \
	"BEGIN:VTIMEZONE\nTZID:Far\nBEGIN:STANDARD\nDTSTART:16010101T030000\n"                     \
	"TZOFFSETFROM:-0930\nTZOFFSETTO:-1030\nRRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=11\n"           \
	"END:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:16010101T020000\nTZOFFSETFROM:-1030\n"              \
	"TZOFFSETTO:-0930\nRRULE:FREQ=YEARLY;BYDAY=2SU;BYMONTH=3\nEND:DAYLIGHT\n"                  \
	"END:VTIMEZONE\n"

/* A zone of the file's own, as Outlook names them; it comes before one of the machine's, and may
 * come behind the event. 2026: forward on March 8, back on November 1. */
static void zones_of_the_file(void **state)
{
#define HERE                                                                                       \
	"BEGIN:VEVENT\nDTSTART;TZID=Far:20261030T120000\nDTEND;TZID=Far:20261030T130000\n"         \
	"RRULE:FREQ=DAILY;COUNT=3\nEND:VEVENT\n"
	static const char want[] = "2026-10-30T21:30:00Z..2026-10-30T22:30:00Z\n"
				   "2026-10-31T21:30:00Z..2026-10-31T22:30:00Z\n"
				   "2026-11-01T22:30:00Z..2026-11-01T23:30:00Z\n";
	gives(CALENDAR(ZONE HERE), want);
	gives(CALENDAR(HERE ZONE), want);
	gives(CALENDAR(ZONE "BEGIN:VEVENT\nDTSTART;TZID=Far:20260308T023000\nDURATION:PT1H\n"
			    "END:VEVENT\n"),
	      "2026-03-08T13:00:00Z..2026-03-08T14:00:00Z\n");
	gives(CALENDAR("BEGIN:VTIMEZONE\nTZID:Europe/Sofia\nBEGIN:STANDARD\n"
		       "DTSTART:19700101T000000\nTZOFFSETFROM:+0000\nTZOFFSETTO:+053015\n"
		       "END:STANDARD\nEND:VTIMEZONE\nBEGIN:VEVENT\n"
		       "DTSTART;TZID=Europe/Sofia:20261224T120000\nDURATION:PT1M\nEND:VEVENT\n"),
	      "2026-12-24T06:29:45Z..2026-12-24T06:30:45Z\n");
	/* DAYLIGHT that is over since 2009, and by dates alone */
	gives(CALENDAR("BEGIN:VTIMEZONE\nTZID:Z\nBEGIN:DAYLIGHT\nDTSTART:20000601T000000\n"
		       "TZOFFSETFROM:+0000\nTZOFFSETTO:+0100\n"
		       "RRULE:FREQ=YEARLY;UNTIL=20100531T235959Z\nEND:DAYLIGHT\nBEGIN:STANDARD\n"
		       "DTSTART:20001001T000000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0000\n"
		       "RDATE:20011001T000000\nEND:STANDARD\nEND:VTIMEZONE\nBEGIN:VEVENT\n"
		       "DTSTART;TZID=Z:20020101T120000\nDURATION:PT1H\nEND:VEVENT\nBEGIN:VEVENT\n"
		       "DTSTART;TZID=Z:20200101T120000\nDURATION:PT1H\nEND:VEVENT\n"),
	      "2002-01-01T12:00:00Z..2002-01-01T13:00:00Z\n"
	      "2020-01-01T11:00:00Z..2020-01-01T12:00:00Z\n");
}

static void recurring(void **state)
{
	gives(EVENT("DTSTART;VALUE=DATE:20261224\nRRULE:FREQ=YEARLY;COUNT=3\n"),
	      "2026-12-24\n2027-12-24\n2028-12-24\n");
	gives(EVENT("DTSTART;VALUE=DATE:20261224\nRRULE:FREQ=YEARLY\n"),
	      "2026-12-24\n2027-12-24\n2028-12-24\n2029-12-24\n"); /* to the horizon */
	gives(EVENT("DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=WEEKLY;BYDAY=MO,WE;UNTIL=20260114\n"),
	      "2026-01-05\n2026-01-07\n2026-01-12\n2026-01-14\n");
	/* UNTIL in UTC, to the second: 10:00 in Sofia is 08:00 of it */
	gives(EVENT("DTSTART:20260105T100000\nDURATION:PT1H\n"
		    "RRULE:FREQ=DAILY;UNTIL=20260106T080000Z\n"),
	      "2026-01-05T08:00:00Z..2026-01-05T09:00:00Z\n"
	      "2026-01-06T08:00:00Z..2026-01-06T09:00:00Z\n");
	gives(EVENT("DTSTART:20260105T100000\nDURATION:PT1H\n"
		    "RRULE:FREQ=DAILY;UNTIL=20260106T075959Z\n"),
	      "2026-01-05T08:00:00Z..2026-01-05T09:00:00Z\n");
	gives(EVENT("DTSTART:20260105T100000\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20260106\n"),
	      "2026-01-05T08:00:00Z..2026-01-05T09:00:00Z\n"
	      "2026-01-06T08:00:00Z..2026-01-06T09:00:00Z\n");
	gives(EVENT("DTSTART;VALUE=DATE:20260131\nRRULE:FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=3\n"),
	      "2026-01-31\n2026-02-28\n2026-03-31\n");
	/* what never is ends, too; what began long ago goes on */
	gives(EVENT("DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30\n"),
	      "");
	/* two that libical does not follow */
	gives(EVENT("DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=WEEKLY;BYDAY=MO,WE,FR;"
		    "BYSETPOS=1,-1;COUNT=4\n"),
	      "2026-01-05\n2026-01-09\n2026-01-12\n2026-01-16\n");
	gives(EVENT("DTSTART;VALUE=DATE:20260131\nRRULE:FREQ=DAILY;BYMONTHDAY=-1;COUNT=2\n"),
	      "2026-01-31\n2026-02-28\n");
	gives(EVENT("DTSTART;VALUE=DATE:19010107\nRRULE:FREQ=WEEKLY;INTERVAL=2;"
		    "UNTIL=20000124\n"),
	      "2000-01-10\n2000-01-24\n");
	gives(EVENT("DTSTART;VALUE=DATE:20260105\nRDATE;VALUE=DATE:20260201,20260301\n"),
	      "2026-01-05\n2026-02-01\n2026-03-01\n");
}

/* Each rule against libical's own walk of it. */
static void rules(void **state)
{
	static const char *const all[] = {
		"FREQ=DAILY;INTERVAL=3",
		"FREQ=DAILY;BYMONTH=1,7;BYDAY=SA,SU",
		"FREQ=DAILY;BYMONTHDAY=1,15",
		"FREQ=WEEKLY",
		"FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU",
		"FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU",
		"FREQ=WEEKLY;BYMONTH=2,3",
		"FREQ=MONTHLY",
		"FREQ=MONTHLY;INTERVAL=5",
		"FREQ=MONTHLY;BYDAY=2TU,-1FR",
		"FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
		"FREQ=MONTHLY;BYMONTHDAY=31,-31",
		"FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
		"FREQ=MONTHLY;BYMONTH=6;BYDAY=SU",
		"FREQ=YEARLY",
		"FREQ=YEARLY;INTERVAL=2;BYMONTH=1;BYDAY=SU",
		"FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU",
		"FREQ=YEARLY;BYMONTH=11;BYDAY=1MO",
		"FREQ=YEARLY;BYDAY=20MO,-1TU",
		"FREQ=YEARLY;BYMONTH=2,9;BYMONTHDAY=13;BYDAY=FR",
		"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
		"FREQ=YEARLY;BYYEARDAY=1,100,-1",
		"FREQ=YEARLY;BYYEARDAY=366",
		"FREQ=YEARLY;BYMONTH=9",
		"FREQ=YEARLY;BYDAY=TH;BYMONTH=11;BYSETPOS=4",
	};
	static const char *const starts[] = {"20260101", "20240229", "20251231", "20260628"};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		for (size_t k = 0; k < sizeof starts / sizeof *starts; k++) {
			char text[200], want[8000] = "";
			struct icalrecurrencetype rule = icalrecurrencetype_from_string(all[i]);
			icalrecur_iterator *it =
				icalrecur_iterator_new(rule, icaltime_from_string(starts[k]));
			struct config_dates d = {0};
			for (int n = 0; n < 40; n++) {
				icaltimetype t = icalrecur_iterator_next(it);
				int64_t day = icaltime_as_timet(t) / 86400;
				if (icaltime_is_null_time(t) || t.year > 2099)
					break;
				d.day = array_grow(d.day, &d.days, sizeof *d.day);
				d.day[d.days - 1] = (struct span){day, day + 1};
			}
			icalrecur_iterator_free(it);
			said[0] = '\0';
			put(d.day, spans_join(d.day, d.days), false);
			strcpy(want, said);
			snprintf(text, sizeof text, EVENT("DTSTART:%s\nRRULE:%s;COUNT=40\n"),
				 starts[k], all[i]);
			gives(text, want);
			free(d.day);
		}
}

static void left_out(void **state)
{
	gives(EVENT("DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=DAILY;COUNT=5\n"
		    "EXDATE;VALUE=DATE:20260106\nEXDATE;VALUE=DATE:20260108,20260101\n"),
	      "2026-01-05\n2026-01-07\n2026-01-09\n");
	gives(EVENT("DTSTART;TZID=Europe/Sofia:20260105T100000\nDURATION:PT1H\n"
		    "RRULE:FREQ=DAILY;COUNT=4\nEXDATE:20260105T080000Z\n"
		    "EXDATE;TZID=Europe/Sofia:20260107T100000\nEXDATE:20260108T080001Z\n"),
	      "2026-01-06T08:00:00Z..2026-01-06T09:00:00Z\n"
	      "2026-01-08T08:00:00Z..2026-01-08T09:00:00Z\n");
	/* a day, of what has hours: 00:30 in Sofia is the day before of UTC */
	gives(EVENT("DTSTART:20260105T003000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3\n"
		    "EXDATE;VALUE=DATE:20260106\n"),
	      "2026-01-04T22:30:00Z..2026-01-04T23:30:00Z\n"
	      "2026-01-06T22:30:00Z..2026-01-06T23:30:00Z\n");
	gives(EVENT("DTSTART;VALUE=DATE:20260105\nSTATUS:CANCELLED\n"), "");
	gives(EVENT("DTSTART;VALUE=DATE:20260105\nSTATUS:CONFIRMED\nTRANSP:TRANSPARENT\n"),
	      "2026-01-05\n");
}

/* One occurrence was moved, one cancelled; another event's is not theirs. */
static void moved(void **state)
{
	gives(CALENDAR("BEGIN:VEVENT\nUID:a\nDTSTART:20260105T100000Z\nDURATION:PT1H\n"
		       "RRULE:FREQ=DAILY;COUNT=4\nEND:VEVENT\n"
		       "BEGIN:VEVENT\nUID:a\nRECURRENCE-ID:20260106T100000Z\n"
		       "DTSTART:20260106T150000Z\nDURATION:PT2H\nEND:VEVENT\n"
		       "BEGIN:VEVENT\nUID:a\nRECURRENCE-ID:20260107T100000Z\n"
		       "DTSTART:20260107T100000Z\nSTATUS:CANCELLED\nEND:VEVENT\n"
		       "BEGIN:VEVENT\nUID:b\nRECURRENCE-ID:20260108T100000Z\n"
		       "DTSTART:20260208T100000Z\nDURATION:PT1H\nEND:VEVENT\n"),
	      "2026-01-05T10:00:00Z..2026-01-05T11:00:00Z\n"
	      "2026-01-06T15:00:00Z..2026-01-06T17:00:00Z\n"
	      "2026-01-08T10:00:00Z..2026-01-08T11:00:00Z\n"
	      "2026-02-08T10:00:00Z..2026-02-08T11:00:00Z\n");
}

/* CR LF, lines that are folded anywhere, small letters, what is not of events, no end of the last
 * line; a parameter in quotes with ':' and ';' in it. */
static void forms(void **state)
{
	gives("begin:vcalendar\r\nBEGIN:VEVENT\r\nDTSTA\r\n RT;VALUE=DATE:2026\r\n\t1224\r\n"
	      "ORGANIZER;CN=\"a:b;DTSTART=c\":mailto:x@example.org\r\n"
	      "BEGIN:VALARM\r\nTRIGGER:-PT1H\r\nDURATION:P1D\r\nEND:VALARM\r\n"
	      "SUMMARY:Heiligabend\\, DTEND:20270101\r\nend:vevent\r\n"
	      "BEGIN:VTODO\r\nDTSTART;VALUE=DATE:20260101\r\nEND:VTODO\r\nEND:VCALENDAR",
	      "2026-12-24\n");
	gives("\n\n" CALENDAR("") "\n" EVENT("DTSTART:20261224  \n"), "2026-12-24\n");
	/* what no schedule can hold */
	gives(EVENT("DTSTART;VALUE=DATE:19990101\nRRULE:FREQ=YEARLY;COUNT=3\n"),
	      "2000-01-01\n2001-01-01\n");
	gives(EVENT("DTSTART;VALUE=DATE:20991230\nDTEND;VALUE=DATE:21000105\n"),
	      "2099-12-30..2099-12-31\n");
	gives(EVENT("DTSTART:00010101T000000\nDURATION:P1DT1H\n"), "");
	gives(EVENT("DTSTART:99991231T000000\nDURATION:P1DT1H\nRRULE:FREQ=DAILY\n"), "");
	gives(EVENT("DTSTART:20991230\nRRULE:FREQ=DAILY;UNTIL=99991231T000000Z\n"),
	      "2099-12-30..2099-12-31\n");
	gives(EVENT("DTSTART:21000101T000000Z\nDURATION:PT1H\n"), "");
	gives(EVENT("DTSTART:20991231T235959Z\nDURATION:PT1H\n"), "");
	gives(EVENT("DTSTART:20991231T235958Z\nDURATION:PT1H\n"),
	      "2099-12-31T23:59:58Z..2099-12-31T23:59:59Z\n");
	gives(EVENT("DTSTART:19991231T235959Z\nDURATION:PT2S\n"),
	      "2000-01-01T00:00:00Z..2000-01-01T00:00:01Z\n");
}

static void refused(void **state)
{
	refuses("", "0: is empty; a calendar begins with BEGIN:VCALENDAR\n");
	refuses("<html>\n",
		"1: \"<html>\" where BEGIN:VCALENDAR is wanted; it may be the page of an "
		"error: fetch the file again\n");
	refuses("BEGIN:VEVENT\nEND:VEVENT\n", "1: BEGIN:VEVENT where BEGIN:VCALENDAR is wanted\n");
	refuses("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261224\n",
		"2: BEGIN:VEVENT without its END; the file was cut: fetch it again\n");
	refuses("BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR\n",
		"3: END:VCALENDAR ends nothing that is open; fetch the file again\n");
	refuses(CALENDAR("no line\n"),
		"3: \"no line\" is no line of a calendar; fetch the file again\n");
	refuses(CALENDAR("A;B;C:d\n"), "3: \"A\" is no line of a calendar; fetch the file again\n");
	refuses(EVENT("X:\n"), "3: an event without DTSTART\n");
	refuses(EVENT("X:\nDTSTART:20261324\n"),
		"6: \"20261324\" is no date or time, such as 20261224 or 20261224T100000Z\n");
	refuses(EVENT("DTSTART:20260229\n"),
		"5: \"20260229\" is no date or time, such as 20261224 or 20261224T100000Z\n");
	refuses(EVENT("DTSTART:20260101T250000\n"), "5: \"20260101T250000\" is no date or time, "
						    "such as 20261224 or 20261224T100000Z\n");
	refuses(EVENT("DTSTART:20260102\nDTEND:20260101\n"),
		"6: DTEND:20260101 is before its DTSTART\n");
	refuses(EVENT("DTSTART:20260102\nDTEND:20260103T100000Z\n"),
		"6: DTEND:20260103T100000Z is a day and DTSTART an hour, or the other way\n");
	refuses(EVENT("DTSTART:20260102\nDURATION:PT1H\n"),
		"6: DURATION:PT1H can't be an event's\n");
	refuses(EVENT("DTSTART:20260102\nDURATION:-P1D\n"),
		"6: DURATION:-P1D can't be an event's\n");
	refuses(EVENT("DTSTART:20260102\nDURATION:x\n"), "6: DURATION:x can't be an event's\n");
	refuses(EVENT("DTSTART:20260102\nDTSTART:20260103\n"),
		"6: DTSTART is there twice in one event\n2026-01-02\n");
	refuses(EVENT("DTSTART:20260102\nRRULE:FREQ=SOMETIMES\n"),
		"6: RRULE:FREQ=SOMETIMES can't be read, or recurs more often than daily\n");
	refuses(EVENT("DTSTART:20260102\nRRULE:FREQ=DAILY;BYHOUR=10\n"),
		"6: RRULE:FREQ=DAILY;BYHOUR=10 has hours or numbers of weeks, which are not "
		"followed; make it events of their own\n");
	refuses(EVENT("DTSTART:20260102\nRRULE:FREQ=WEEKLY;BYDAY=1MO\n"),
		"6: RRULE:FREQ=WEEKLY;BYDAY=1MO counts weekdays of a period that has each once\n");
	refuses(EVENT("DTSTART:20260102\nRRULE:FREQ=HOURLY\n"),
		"6: RRULE:FREQ=HOURLY can't be read, or recurs more often than daily\n");
	refuses(EVENT("DTSTART:20260102\nRRULE:FREQ=DAILY;UNTIL=soon\n"),
		"6: RRULE:FREQ=DAILY;UNTIL=soon can't be read, or recurs more often than daily\n");
	refuses(EVENT("DTSTART:20260102\nEXDATE:20260102,never\n"),
		"6: \"never\" is no date or time, such as 20261224 or 20261224T100000Z\n");
	refuses(EVENT("DTSTART;TZID=Mars/Olympus:20260102T100000\nDURATION:PT1H\n"),
		"5: TZID=Mars/Olympus is no VTIMEZONE of this file and not in the time zone "
		"database; export the calendar with its time zones\n");
	refuses(CALENDAR("BEGIN:VTIMEZONE\nTZID:a\nEND:VTIMEZONE\n"),
		"3: a VTIMEZONE without STANDARD or DAYLIGHT\n");
	refuses(CALENDAR("BEGIN:VTIMEZONE\nTZID:a\nBEGIN:STANDARD\nDTSTART:20260101T000000\n"
			 "TZOFFSETFROM:+0200\nTZOFFSETTO:+2500\nEND:STANDARD\nEND:VTIMEZONE\n"),
		"5: a time zone's part without DTSTART, TZOFFSETFROM and TZOFFSETTO that can be "
		"read\n");
	/* bytes that would move a terminal's cursor */
	refuses("\033[2J\n",
		"1: \"?[2J\" where BEGIN:VCALENDAR is wanted; it may be the page of an "
		"error: fetch the file again\n");
	/* what is good of it is there all the same */
	refuses(CALENDAR("BEGIN:VEVENT\nDTSTART:20261224\nEND:VEVENT\nBEGIN:VEVENT\nEND:VEVENT\n"),
		"6: an event without DTSTART\n2026-12-24\n");
}

static char *repeated(const char *before, const char *piece, size_t count, const char *after)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	fputs(before, f);
	for (size_t i = 0; i < count; i++)
		fputs(piece, f);
	fputs(after, f);
	fclose(f);
	return text;
}

static bool good_with(const char *before, const char *piece, size_t count, const char *after)
{
	int64_t last;
	char *text = repeated(before, piece, count, after);
	bool good = read_in("UTC", text, &last);
	free(text);
	return good;
}

/* Each bound at its edge, and one more. */
static void bounds(void **state)
{
	static const char open[] = "BEGIN:VCALENDAR\n", shut[] = "END:VCALENDAR\n",
			  event[] = "BEGIN:VEVENT\nDTSTART:20261224\nEND:VEVENT\n";
	char rule[200];
	assert_true(good_with(open, event, CALENDAR_COMPONENTS - 1, shut));
	assert_false(good_with(open, event, CALENDAR_COMPONENTS, shut));
	assert_non_null(strstr(said, "holds more than 10000 events and zones"));
	static const char good_zone[] =
		"BEGIN:VTIMEZONE\nTZID:a\nBEGIN:STANDARD\nDTSTART:19700101T000000\n"
		"TZOFFSETFROM:+0000\nTZOFFSETTO:+0000\nEND:STANDARD\nEND:VTIMEZONE\n";
	assert_true(good_with(open, good_zone, CALENDAR_ZONES, shut));
	assert_false(good_with(open, good_zone, CALENDAR_ZONES + 1, shut));
	assert_non_null(strstr(said, "holds more than 100 time zones"));
	for (int extra = 0; extra < 2; extra++) {
		size_t deep = CALENDAR_DEPTH - 1 + (size_t)extra;
		char *inner = repeated("", "BEGIN:X\n", deep, "");
		char *outer = repeated(inner, "END:X\n", deep, shut);
		assert_int_equal(good_with(open, "", 0, outer), !extra);
		free(inner);
		free(outer);
	}
	assert_non_null(strstr(said, "BEGIN:X is the 9th within another; at most 8"));
	for (int extra = 0; extra < 2; extra++) {
		snprintf(rule, sizeof rule, EVENT("DTSTART:00010101\nRRULE:FREQ=DAILY;COUNT=%d\n"),
			 CALENDAR_OCCURRENCES + extra);
		assert_int_equal(good_with(rule, "", 0, ""), !extra);
	}
	assert_non_null(strstr(said, "6: with this rule the file's events recur more than 200000"));
	static const char never[] = "BEGIN:VEVENT\nDTSTART:20000101\n"
				    "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30\nEND:VEVENT\n";
	size_t century = 36526; /* days until it is over */
	assert_true(good_with(open, never, CALENDAR_DAYS / century, shut));
	assert_false(good_with(open, never, CALENDAR_DAYS / century + 1, shut));
	assert_non_null(strstr(said, "or over too many years; give them an UNTIL"));
	size_t pad = CALENDAR_BYTES - strlen(open) - strlen(shut);
	assert_true(good_with(open, "\n", pad, shut));
	assert_false(good_with(open, "\n", pad + 1, shut));
	assert_non_null(strstr(said, "is longer than 4 MiB"));
}

static void last_event(void **state)
{
	int64_t last;
	assert_true(read_in("Europe/Sofia", CALENDAR(""), &last));
	assert_int_equal(last, INT64_MIN);
	assert_true(read_in("Europe/Sofia", EVENT("DTSTART:20261224\n"), &last));
	assert_int_equal(last, INT64_C(1798149600)); /* 2026-12-24 22:00 UTC: midnight there */
	assert_true(
		read_in("Europe/Sofia", EVENT("DTSTART:20261224T100000Z\nDURATION:PT1H\n"), &last));
	assert_int_equal(last, INT64_C(1798110000));
	assert_true(read_in("Europe/Sofia", EVENT("DTSTART:20261224\nRRULE:FREQ=YEARLY\n"), &last));
	assert_int_equal(last, INT64_MAX);
}

/* ---- the file of a schedule ---- */

#define MAIN "inside = [ \"lan0\" ]; policy = [ \"sub/policy.conf\" ];"
#define POLICY                                                                                     \
	"schedules = ( { name = \"s\"; dates = [ \"2026-01-01\" ]; calendar = \"s.ics\"; },"       \
	"{ name = \"t\"; hours = \"08:00-18:00\"; except = [ \"s\" ]; } );"

static struct config *with_calendar(const char *text, enum config_use use, struct errors *errors)
{
	mkdir(files_path("sub"), 0755);
	files_write("main.conf", MAIN);
	files_write("sub/policy.conf", POLICY);
	if (text)
		files_write("sub/s.ics", text);
	else
		unlink(files_path("sub/s.ics"));
	return config_load(files_path("main.conf"), use, errors);
}

static void of_a_schedule(void **state)
{
	struct errors errors = {0};
	struct config *c = with_calendar(EVENT("DTSTART:20261224\n"), CONFIG_FOR_CHECK, &errors);
	assert_non_null(c);
	assert_true(c->schedules[0].dated && !c->schedules[1].dated);
	assert_string_equal(c->schedules[0].calendar, "sub/s.ics");
	assert_int_equal(c->schedules[0].dates.days, 2);
	assert_int_equal(c->schedules[0].calendar_over, INT64_C(1798156800) * NS_PER_S);
	assert_string_equal(c->files.item[2], "sub/s.ics"); /* a backup takes it along */
	for (int over = 0; over < 2; over++) {
		struct errors warnings = {0};
		unsigned said_of = 0;
		config_warn(c, c->schedules[0].calendar_over - !over, &warnings);
		for (size_t i = 0; i < warnings.count; i++)
			said_of += strstr(warnings.lines[i], "its last event was over") != NULL;
		assert_int_equal(said_of, over);
		errors_deinit(&warnings);
	}
	config_free(c);
	/* read anew, and without an end it is never past */
	c = with_calendar(EVENT("DTSTART:20261224\nRRULE:FREQ=YEARLY\n"), CONFIG_FOR_RUN, &errors);
	assert_true(c && c->schedules[0].dates.days >= 6);
	assert_int_equal(c->schedules[0].calendar_over, INT64_MAX);
	config_free(c);
	assert_null(with_calendar(NULL, CONFIG_FOR_RUN, &errors));
	assert_null(with_calendar("<html>", CONFIG_FOR_RUN, &errors));
	errors_deinit(&errors);
}

/* 10,000 dates and times beside the one that is written, or one less. */
static void no_more_than_there_may_be(void **state)
{
	for (int count = DATES_MAX - 1; count <= DATES_MAX; count++) {
		struct errors errors = {0};
		char text[300];
		snprintf(text, sizeof text,
			 EVENT("DTSTART:20000101T000000Z\nDURATION:PT1H\n"
			       "RRULE:FREQ=DAILY;COUNT=%d\n"),
			 count);
		struct config *c = with_calendar(text, CONFIG_FOR_RUN, &errors);
		assert_true((c != NULL) == (count < DATES_MAX));
		errors_deinit(&errors);
		config_free(c);
	}
}

/* A start is not kept from coming up: what is good of the calendar counts, and it is said. */
static void a_start_with_a_fault(void **state)
{
	static const struct {
		const char *text;
		size_t days, faults;
	} cases[] = {
		{EVENT("DTSTART:20261224\n"), 2, 0},
		{CALENDAR("BEGIN:VEVENT\nDTSTART:20261224\nEND:VEVENT\nBEGIN:VEVENT\n"
			  "END:VEVENT\n"),
		 2, 1},
		{"<html>", 1, 1},
		{NULL, 1, 1},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct errors errors = {0};
		struct config *c = with_calendar(cases[i].text, CONFIG_FOR_START, &errors);
		assert_non_null(c);
		assert_int_equal(errors.count, 0);
		assert_int_equal(c->faults, cases[i].faults);
		assert_true(cases[i].faults == 0 || c->notes.count >= 2);
		assert_true(c->schedules[0].dated);
		assert_int_equal(c->schedules[0].dates.days, cases[i].days);
		config_free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(days),
		cmocka_unit_test(times),
		cmocka_unit_test(clocks_that_move),
		cmocka_unit_test(zones_of_the_file),
		cmocka_unit_test(recurring),
		cmocka_unit_test(rules),
		cmocka_unit_test(left_out),
		cmocka_unit_test(moved),
		cmocka_unit_test(forms),
		cmocka_unit_test(refused),
		cmocka_unit_test(bounds),
		cmocka_unit_test(last_event),
		cmocka_unit_test(of_a_schedule),
		cmocka_unit_test(no_more_than_there_may_be),
		cmocka_unit_test(a_start_with_a_fault),
	};
	return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
