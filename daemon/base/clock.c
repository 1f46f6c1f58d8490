#include "base/clock.h"

#include <time.h>

int64_t clock_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

void clock_format(struct buf *b, int64_t time)
{
	int64_t s = time / NS_PER_S, ns = time % NS_PER_S;
	if (ns < 0) { /* before 1970: division truncates towards zero */
		ns += NS_PER_S;
		s--;
	}
	time_t seconds = (time_t)s;
	struct tm tm;
	if (!gmtime_r(&seconds, &tm)) {
		buf_text(b, "0000-00-00T00:00:00.000000Z");
		return;
	}
	buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900, tm.tm_mon + 1,
		   tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(ns / 1000));
}
