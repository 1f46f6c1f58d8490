#include "policy/schedule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY      86400
#define FOLDER   "/usr/share/zoneinfo/"
#define END      INT64_C(4102444800) /* 2100-01-01 */
#define STEP     (3 * DAY)           /* no zone ever changed twice in less than seven days */
#define EDGE_MAX 22                  /* days to look ahead: an edge may fall into a spring gap */

struct change {
	int64_t since; /* seconds */
	int32_t offset;
};

struct zone {
	size_t count;
	struct change change[]; /* the first is since forever */
};

static const char *const day_name[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

static int64_t floor_div(int64_t a, int64_t b)
{
	int64_t q = a / b;
	return a % b < 0 ? q - 1 : q;
}

/* 1970-01-01 was a Thursday. */
static unsigned weekday(int64_t day)
{
	return (unsigned)(((day % 7) + 10) % 7);
}

/* right/ counts leap seconds, which our time does not; a path could name any file. */
static bool zone_known(const char *name)
{
	char path[256], magic[4] = "";
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
	z->change[0] = (struct change){INT64_MIN, libc_offset(0)};
	z->count = 1;
	for (int64_t t = 0; t < END && z->count < cap; t += STEP) {
		if (libc_offset(t + STEP) == z->change[z->count - 1].offset)
			continue;
		int64_t since = change_between(t, t + STEP);
		z->change[z->count++] = (struct change){since, libc_offset(since)};
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
	snprintf(value, sizeof value, ":" FOLDER "%s", name);
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

int64_t zone_at(const struct zone *z, int64_t now, unsigned day, unsigned minute)
{
	int64_t t = floor_div(now + NS_PER_S - 1, NS_PER_S);
	for (int tries = 0; tries < 4; tries++) {
		int32_t offset = z->change[change_at(z, t)].offset;
		int64_t local = t + offset, today = floor_div(local, DAY);
		int64_t want = today + (int64_t)((day + 7 - weekday(today)) % 7);
		int64_t at = want * DAY + minute * 60 - offset;
		if (at < t)
			at += 7 * DAY;
		int64_t change = next_change(z, t);
		if (at < change)
			return at * NS_PER_S;
		t = change; /* the clock is moved before: look again from there */
	}
	return now;
}

static bool active_local(const struct schedule *s, int64_t local)
{
	int64_t day = floor_div(local, DAY);
	int64_t second = local - day * DAY;
	bool today = s->days >> weekday(day) & 1;
	if (s->from < s->to)
		return today && second >= s->from * 60 && second < s->to * 60;
	bool yesterday = s->days >> weekday(day - 1) & 1;
	return (today && second >= s->from * 60) || (yesterday && second < s->to * 60);
}

static bool window_active(const struct schedule *s, int64_t now)
{
	int64_t seconds = floor_div(now, NS_PER_S);
	return active_local(s, seconds + s->zone->change[change_at(s->zone, seconds)].offset);
}

bool schedule_active(const struct schedule *s, int64_t now)
{
	return window_active(s, now) && !(s->except && window_active(s->except, now));
}

/* The first local time after `local` at which a window could begin or end. */
static int64_t next_mark(const struct schedule *s, int64_t local)
{
	int64_t start = floor_div(local, DAY) * DAY, best = start + DAY;
	const int64_t marks[] = {start + s->from * 60, start + s->to * 60};
	for (size_t i = 0; i < 2; i++)
		if (marks[i] > local && marks[i] < best)
			best = marks[i];
	return best;
}

static int64_t window_next_edge(const struct schedule *s, int64_t now)
{
	int64_t t = floor_div(now, NS_PER_S), last = t + EDGE_MAX * DAY;
	bool was = window_active(s, now);
	while (t < last) {
		int32_t offset = s->zone->change[change_at(s->zone, t)].offset;
		int64_t next = next_mark(s, t + offset) - offset, change = next_change(s->zone, t);
		t = next < change ? next : change;
		if (window_active(s, t * NS_PER_S) != was)
			return t * NS_PER_S;
	}
	return 0;
}

int64_t schedule_next_edge(const struct schedule *s, int64_t now)
{
	int64_t t = now, last = now + EDGE_MAX * DAY * NS_PER_S;
	bool was = schedule_active(s, now);
	if (!s->except)
		return window_next_edge(s, now);
	while (t < last) {
		int64_t own = window_next_edge(s, t), other = window_next_edge(s->except, t);
		t = other == 0 || (own != 0 && own < other) ? own : other;
		if (t == 0)
			return 0;
		if (schedule_active(s, t) != was)
			return t;
	}
	return 0;
}

void schedule_days_format(uint8_t days, struct buf *b)
{
	bool comma = false;
	for (unsigned d = 0; d < 7; d++) {
		if (!(days >> d & 1))
			continue;
		unsigned end = d;
		while (end < 6 && days >> (end + 1) & 1)
			end++;
		buf_printf(b, "%s%s", comma ? "," : "", day_name[d]);
		if (end > d)
			buf_printf(b, "-%s", day_name[end]);
		comma = true;
		d = end;
	}
}

void schedule_format(const struct schedule *s, struct buf *b)
{
	schedule_days_format(s->days, b);
	buf_printf(b, " %02d:%02d-%02d:%02d", s->from / 60, s->from % 60, s->to / 60, s->to % 60);
	if (s->except) {
		buf_text(b, " and not ");
		schedule_format(s->except, b);
	}
}

void zone_format(const struct zone *z, int64_t now, struct buf *b)
{
	int64_t local = floor_div(now, NS_PER_S) + zone_offset(z, now);
	int64_t day = floor_div(local, DAY), minute = (local - day * DAY) / 60;
	const char *name = day_name[weekday(day)];
	buf_printf(b, "%c%s %02d:%02d", name[0] - 'a' + 'A', name + 1, (int)(minute / 60),
		   (int)(minute % 60));
}
