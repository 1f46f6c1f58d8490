#include "base/clock.h"

#include <stdio.h>
#include <time.h>

int64_t clock_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static void two_digits(char *at, int value)
{
	at[0] = (char)('0' + value / 10);
	at[1] = (char)('0' + value % 10);
}

/* "2026-11-24T10:00:00" of a second; kept from one call to the next, for a log has many a second.
 */
static const char *second_text(int64_t second)
{
	static _Thread_local char text[64];
	static _Thread_local int64_t kept = INT64_MIN;
	time_t seconds = (time_t)second;
	struct tm tm;
	if (kept == second)
		return text;
	kept = INT64_MIN;
	if (!gmtime_r(&seconds, &tm) || tm.tm_year + 1900 > 9999 || tm.tm_year + 1900 < 0)
		return "0000-00-00T00:00:00";
	snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900,
		 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	kept = second;
	return text;
}

void clock_format(struct buf *b, int64_t time)
{
	int64_t s = time / NS_PER_S, ns = time % NS_PER_S;
	if (ns < 0) { /* before 1970: division truncates towards zero */
		ns += NS_PER_S;
		s--;
	}
	int us = (int)(ns / 1000);
	char fraction[8] = ".000000Z";
	two_digits(fraction + 1, us / 10000);
	two_digits(fraction + 3, us / 100 % 100);
	two_digits(fraction + 5, us % 100);
	buf_text(b, second_text(s));
	buf_bytes(b, fraction, sizeof fraction);
}
