#include "base/clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SAMPLE_MAX (50 * 1000) /* ns: two clocks read so close together were read at one time */

static int64_t offset;

static int64_t read_clock(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* The wall clock less CLOCK_BOOTTIME; tried again where something came in between. */
static int64_t difference(void)
{
	int64_t before, wall, after;
	for (int i = 0; i < 16; i++) {
		before = read_clock(CLOCK_BOOTTIME);
		wall = read_clock(CLOCK_REALTIME);
		after = read_clock(CLOCK_BOOTTIME);
		if (after - before < SAMPLE_MAX)
			break;
	}
	return wall - after;
}

static void set_offset(void)
{
	offset = difference();
}

static int64_t offset_of_process(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, set_offset);
	return offset;
}

int64_t clock_now(void)
{
	return offset_of_process() + read_clock(CLOCK_BOOTTIME);
}

int64_t clock_ahead(void)
{
	int64_t ahead = difference() - offset_of_process();
	return (ahead + (ahead < 0 ? -NS_PER_MS : NS_PER_MS) / 2) / NS_PER_MS * NS_PER_MS;
}

int64_t clock_wall(void)
{
	return read_clock(CLOCK_REALTIME);
}

void clock_mark(struct clock_mark *out)
{
	*out = (struct clock_mark){
		.offset = offset_of_process(), .now = clock_now(), .ahead = clock_ahead()};
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (read(fd, out->boot, sizeof out->boot) != sizeof out->boot)
		memset(out->boot, 0, sizeof out->boot);
	close(fd);
}

/* As clock_add: a file's times may be any numbers. */
static int64_t clock_less(int64_t time, int64_t other)
{
	int64_t difference;
	if (__builtin_sub_overflow(time, other, &difference))
		return other < 0 ? INT64_MAX : INT64_MIN;
	return difference;
}

int64_t clock_shift(const struct clock_mark *then, const struct clock_mark *now)
{
	if (then->boot[0] && memcmp(then->boot, now->boot, sizeof then->boot) == 0)
		return clock_less(now->offset, then->offset);
	int64_t shift = clock_less(then->ahead, now->ahead);
	return clock_add(then->now, shift) > now->now ? clock_less(now->now, then->now) : shift;
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
	static _Thread_local char text[96];
	static _Thread_local int64_t kept = INT64_MIN;
	time_t seconds = (time_t)second;
	struct tm tm;
	if (kept == second)
		return text;
	kept = INT64_MIN;
	gmtime_r(&seconds, &tm); /* 64 bits of ns are of the years 1677 to 2262 */
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
