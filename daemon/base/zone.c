#include "base/zone.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FOLDER "/usr/share/zoneinfo/"
#define END    INT64_C(4102444800) /* 2100-01-01 */
#define STEP   (3 * DAY_S)         /* no zone ever changed twice in less than seven days */

struct zone {
	size_t count;
	struct zone_change change[]; /* the first is since forever */
};

const char *const day_name[7] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

/* 1970-01-01 was a Thursday. */
unsigned day_of_week(int64_t day)
{
	return (unsigned)(((day % 7) + 10) % 7);
}

/* right/ counts leap seconds, which our time does not; a path could name any file. */
bool zone_known(const char *name)
{
	char path[256], magic[4] = "";
	if (strcmp(name, "UTC") == 0)
		return true;
	if (!*name || *name == '/' || strstr(name, "..") || strncmp(name, "right/", 6) == 0)
		return false;
	int n = snprintf(path, sizeof path, FOLDER "%s", name);
	if (n < 0 || (size_t)n >= sizeof path)
		return false;
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	bool good = fread(magic, 1, 4, f) == 4 && memcmp(magic, "TZif", 4) == 0;
	fclose(f);
	return good;
}

static int32_t libc_offset(int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;
	return localtime_r(&t, &tm) ? (int32_t)tm.tm_gmtoff : 0;
}

/* The first second at which the offset is no longer that of `low`. */
static int64_t change_between(int64_t low, int64_t high)
{
	int32_t before = libc_offset(low);
	while (high - low > 1) {
		int64_t middle = low + (high - low) / 2;
		if (libc_offset(middle) == before)
			low = middle;
		else
			high = middle;
	}
	return high;
}

static struct zone *sample(void)
{
	size_t cap = 512;
	struct zone *z = malloc(sizeof *z + cap * sizeof *z->change);
	if (!z)
		return NULL;
	z->change[0] = (struct zone_change){INT64_MIN, libc_offset(0)};
	z->count = 1;
	for (int64_t t = 0; t < END && z->count < cap; t += STEP) {
		if (libc_offset(t + STEP) == z->change[z->count - 1].offset)
			continue;
		int64_t since = change_between(t, t + STEP);
		z->change[z->count++] = (struct zone_change){since, libc_offset(since)};
	}
	return z;
}

struct zone *zone_new(const char *name)
{
	char value[300];
	if (!zone_known(name)) {
		errno = ENOENT;
		return NULL;
	}
	const char *was = getenv("TZ");
	char *keep = was ? strdup(was) : NULL;
	bool utc = strcmp(name, "UTC") == 0; /* without a file, too */
	snprintf(value, sizeof value, utc ? "UTC0" : ":" FOLDER "%s", name);
	if ((was && !keep) || setenv("TZ", value, 1) < 0) {
		free(keep);
		return NULL;
	}
	tzset();
	struct zone *z = sample();
	if (keep)
		setenv("TZ", keep, 1);
	else
		unsetenv("TZ");
	tzset();
	free(keep);
	return z;
}

struct zone *zone_of(int32_t before, const struct zone_change *change, size_t count)
{
	struct zone *z = malloc(sizeof *z + (count + 1) * sizeof *z->change);
	if (!z)
		return NULL;
	z->change[0] = (struct zone_change){INT64_MIN, before};
	z->count = 1;
	for (size_t i = 0; i < count; i++) /* of two at one time the later one */
		if (z->change[z->count - 1].since == change[i].since)
			z->change[z->count - 1] = change[i];
		else if (z->change[z->count - 1].offset != change[i].offset)
			z->change[z->count++] = change[i];
	return z;
}

void zone_free(struct zone *z)
{
	free(z);
}

/* The index of the change in force at a second. */
static size_t change_at(const struct zone *z, int64_t seconds)
{
	size_t low = 0, high = z->count;
	while (high - low > 1) {
		size_t middle = (low + high) / 2;
		if (z->change[middle].since <= seconds)
			low = middle;
		else
			high = middle;
	}
	return low;
}

int32_t zone_offset(const struct zone *z, int64_t now)
{
	return z->change[change_at(z, floor_div(now, NS_PER_S))].offset;
}

/* In seconds. */
static int64_t next_change(const struct zone *z, int64_t seconds)
{
	size_t next = change_at(z, seconds) + 1;
	return next < z->count ? z->change[next].since : INT64_MAX;
}

int64_t zone_next_change(const struct zone *z, int64_t now)
{
	int64_t seconds = next_change(z, floor_div(now, NS_PER_S));
	return seconds == INT64_MAX ? INT64_MAX : seconds * NS_PER_S;
}

int64_t zone_utc(const struct zone *z, int64_t local)
{
	size_t i = change_at(z, local - DAY_S); /* no offset is a day: it is not after */
	int32_t before = z->change[i].offset;
	int64_t at = local - before;
	if (i + 1 == z->count || at < z->change[i + 1].since)
		return at;
	int64_t later = local - z->change[i + 1].offset;
	return later < z->change[i + 1].since ? at : later;
}

int64_t zone_at(const struct zone *z, int64_t now, unsigned day, unsigned minute)
{
	int64_t t = floor_div(now + NS_PER_S - 1, NS_PER_S);
	for (int tries = 0; tries < 4; tries++) {
		int32_t offset = z->change[change_at(z, t)].offset;
		int64_t local = t + offset, today = floor_div(local, DAY_S);
		int64_t want = today + (int64_t)((day + 7 - day_of_week(today)) % 7);
		int64_t at = want * DAY_S + minute * 60 - offset;
		if (at < t)
			at += 7 * DAY_S;
		int64_t change = next_change(z, t);
		if (at < change)
			return at * NS_PER_S;
		t = change; /* the clock is moved before: look again from there */
	}
	return now;
}

void day_format(int64_t day, struct buf *b)
{
	time_t at = (time_t)(day * DAY_S);
	struct tm tm;
	gmtime_r(&at, &tm);
	buf_printf(b, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
}

static void minute_format(int64_t local, struct buf *b)
{
	int minute = (int)((local - floor_div(local, DAY_S) * DAY_S) / 60);
	buf_printf(b, " %02d:%02d", minute / 60, minute % 60);
}

static int64_t local_at(const struct zone *z, int64_t now)
{
	return floor_div(now, NS_PER_S) + zone_offset(z, now);
}

void zone_format(const struct zone *z, int64_t now, struct buf *b)
{
	int64_t local = local_at(z, now);
	const char *name = day_name[day_of_week(floor_div(local, DAY_S))];
	buf_printf(b, "%c%s", name[0] - 'a' + 'A', name + 1);
	minute_format(local, b);
}

void zone_format_date(const struct zone *z, int64_t now, struct buf *b)
{
	int64_t local = local_at(z, now);
	day_format(floor_div(local, DAY_S), b);
	minute_format(local, b);
}
