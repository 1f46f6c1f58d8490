#include "advice/diff_when.h"

#include "base/clock.h"

#include <stdio.h>
#include <time.h>

#define DAY  (86400 * NS_PER_S)
#define SOON (8 * DAY) /* within that, a week comes round */

struct times {
	const struct atoms *atoms;
	const struct diff *diff;
	size_t row;
	const struct atoms_zone *zone;
};

static bool holds(const struct times *t, size_t i)
{
	return diff_row_has(t->diff, t->row, BY_TIME, t->atoms->times[i].class);
}

/* The next atom from i on at which the row holds (or does not); time_count: none. */
static size_t next(const struct times *t, size_t i, bool held)
{
	while (i < t->atoms->time_count && holds(t, i) != held)
		i++;
	return i;
}

static struct tm local(const struct times *t, int64_t time)
{
	time_t seconds = (time_t)(time / NS_PER_S) + zone_offset(t->zone->zone, time);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	return tm;
}

static void date(const struct times *t, int64_t time, struct buf *b)
{
	char text[32];
	struct tm tm = local(t, time);
	strftime(text, sizeof text, tm.tm_hour || tm.tm_min ? "%Y-%m-%d %H:%M" : "%Y-%m-%d", &tm);
	buf_text(b, text);
}

/* From a minute of a day to one of the same day or the next, and on which days that begins; of what
 * lasts longer, on which day it ends (else -1). */
struct span {
	int from, to, ends;
	uint8_t days;
};

#define SPANS 16 /* kinds in a week; of more the first are said */

struct week {
	struct span span[SPANS];
	size_t count;
};

static struct span span_of(const struct times *t, size_t at, size_t end)
{
	int64_t first = t->atoms->times[at].first, over = t->atoms->times[end].first;
	struct tm a = local(t, first), z = local(t, over);
	return (struct span){a.tm_hour * 60 + a.tm_min, z.tm_hour * 60 + z.tm_min,
			     over - first > DAY ? (z.tm_wday + 6) % 7 : -1,
			     (uint8_t)(1 << (a.tm_wday + 6) % 7)};
}

/* The span of a week that is as another is but for its days; NULL: none. */
static struct span *like(struct week *w, const struct span *s)
{
	for (size_t k = 0; k < w->count; k++)
		if (w->span[k].from == s->from && w->span[k].to == s->to &&
		    w->span[k].ends == s->ends && (s->ends < 0 || w->span[k].days == s->days))
			return &w->span[k];
	return NULL;
}

/* The spans of a week from an atom on, from the first time at which the row does not hold; none
 * where it holds all the time. Returns the atom behind it. */
static size_t week_of(const struct times *t, size_t i, struct week *w)
{
	size_t from = next(t, next(t, i, true), false), at, end;
	*w = (struct week){.count = 0};
	if (from == t->atoms->time_count ||
	    t->atoms->times[from].first > t->atoms->times[i].first + SOON)
		return t->atoms->time_count;
	int64_t last = t->atoms->times[from].first + 7 * DAY;
	for (at = next(t, from, true); at < t->atoms->time_count; at = next(t, end, true)) {
		end = next(t, at, false);
		if (t->atoms->times[at].first >= last || end == t->atoms->time_count)
			break;
		struct span s = span_of(t, at, end), *known = like(w, &s);
		if (known)
			known->days |= s.days;
		else if (w->count < SPANS)
			w->span[w->count++] = s;
	}
	return at;
}

static void clock_format_minute(int minute, struct buf *b)
{
	buf_printf(b, " %02d:%02d", minute / 60, minute % 60);
}

static void week_format(const struct week *w, struct buf *b)
{
	for (size_t k = 0; k < w->count; k++) {
		const struct span *s = &w->span[k];
		buf_text(b, k ? ", " : "");
		schedule_days_format(s->days, b);
		clock_format_minute(s->from, b);
		if (s->ends < 0) {
			buf_printf(b, "-%02d:%02d", s->to || s->from == 0 ? s->to / 60 : 24,
				   s->to % 60);
			continue;
		}
		buf_text(b, " to ");
		schedule_days_format((uint8_t)(1 << s->ends), b);
		clock_format_minute(s->to, b);
	}
}

/* Other hours than these, if there are, later in the year, as where one zone moves its clock and
 * another does not; they are those of the week after the change. */
static bool later(const struct times *t, size_t behind, size_t last, struct week *w, struct buf *b)
{
	struct week other;
	int64_t over = INT64_MAX; /* a week that is cut has other hours */
	if (last < t->atoms->time_count)
		over = t->atoms->times[last].first - 2 * SOON;
	for (size_t at = behind, end; at < t->atoms->time_count; at = next(t, end, true)) {
		int64_t first = t->atoms->times[at].first;
		end = next(t, at, false);
		if (first >= over || end == t->atoms->time_count)
			return false;
		struct span s = span_of(t, at, end), *known = like(w, &s);
		if (known && (known->days & s.days))
			continue;
		size_t settled = at;
		while (settled < t->atoms->time_count &&
		       t->atoms->times[settled].first < first + SOON)
			settled++;
		if (settled == t->atoms->time_count)
			return false;
		week_of(t, settled, &other);
		buf_text(b, "; from ");
		date(t, first, b);
		buf_char(b, ' ');
		week_format(&other, b);
		return true;
	}
	return false;
}

/* In one zone. True where the hours are not the same all the year. */
static bool when_in(const struct times *t, struct buf *b)
{
	const struct time_atom *times = t->atoms->times;
	size_t count = t->atoms->time_count, first = next(t, 0, true), last = count;
	bool moves = false;
	struct week w;
	while (last > 0 && !holds(t, last - 1))
		last--;
	size_t behind = week_of(t, first, &w);
	if (times[first].first > times[0].first + SOON || (!w.count && first > 0)) {
		buf_text(b, "from ");
		date(t, times[first].first, b);
		buf_text(b, " on");
	}
	if (last < count && (!w.count || times[count - 1].first > times[last].first + SOON)) {
		buf_text(b, b->len ? " until " : "until ");
		date(t, times[last].first, b);
	}
	if (w.count) {
		buf_text(b, b->len ? ", " : "");
		week_format(&w, b);
		moves = later(t, behind, last, &w, b);
	}
	buf_printf(b, " (%s)", t->zone->name);
	return moves;
}

void diff_when(const struct diff *d, size_t row, struct buf *b)
{
	const struct atoms *a = diff_atoms(d);
	struct times t = {a, d, row, a->zones};
	struct buf empty = *b;
	if (next(&t, 0, false) == a->time_count)
		return;
	for (size_t i = 0; i < a->zone_count; i++) { /* the one whose clock it goes by */
		*b = empty;
		t.zone = &a->zones[i];
		if (!when_in(&t, b))
			return;
	}
	*b = empty;
	t.zone = &a->zones[0];
	when_in(&t, b);
}
