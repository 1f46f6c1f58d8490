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

static void date(const struct times *t, int64_t time, bool exact, struct buf *b)
{
	char text[32];
	struct tm tm = local(t, time);
	strftime(text, sizeof text,
		 exact && (tm.tm_hour || tm.tm_min) ? "%Y-%m-%d %H:%M" : "%Y-%m-%d", &tm);
	buf_text(b, text);
}

/* From a minute of a day to one of the same day or the next, and on which days that begins; of what
 * lasts longer, on which day it ends (else -1). */
struct run {
	int from, to, ends;
	uint8_t days;
};

#define SPANS 16 /* kinds in a week; of more the first are said */

struct week {
	struct run span[SPANS];
	size_t count;
};

static struct run span_of(const struct times *t, size_t at, size_t end)
{
	int64_t first = t->atoms->times[at].first, over = t->atoms->times[end].first;
	struct tm a = local(t, first), z = local(t, over);
	return (struct run){a.tm_hour * 60 + a.tm_min, z.tm_hour * 60 + z.tm_min,
			    over - first > DAY ? (z.tm_wday + 6) % 7 : -1,
			    (uint8_t)(1 << (a.tm_wday + 6) % 7)};
}

/* The span of a week that is as another is but for its days; NULL: none. */
static struct run *like(struct week *w, const struct run *s)
{
	for (size_t k = 0; k < w->count; k++)
		if (w->span[k].from == s->from && w->span[k].to == s->to &&
		    w->span[k].ends == s->ends && (s->ends < 0 || w->span[k].days == s->days))
			return &w->span[k];
	return NULL;
}

/* The first atom that begins at a time or later. */
static size_t atom_at(const struct times *t, int64_t time)
{
	size_t low = 0, high = t->atoms->time_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (t->atoms->times[middle].first < time)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The spans that begin in the seven days from a time on, and the atom of the first of them. */
static size_t week_of(const struct times *t, int64_t begin, struct week *w)
{
	const struct time_atom *times = t->atoms->times;
	size_t at = atom_at(t, begin), first, end;
	*w = (struct week){.count = 0};
	first = at = next(t, at, true);
	for (; at < t->atoms->time_count; at = next(t, end, true)) {
		end = next(t, at, false);
		if (times[at].first >= begin + 7 * DAY || end == t->atoms->time_count)
			break;
		struct run s = span_of(t, at, end), *known = like(w, &s);
		if (known)
			known->days |= s.days;
		else if (w->count < SPANS)
			w->span[w->count++] = s;
	}
	return first;
}

static bool week_same(struct week *a, const struct week *b)
{
	bool same = a->count == b->count;
	for (size_t k = 0; same && k < b->count; k++) {
		const struct run *s = like(a, &b->span[k]);
		same = s && s->days == b->span[k].days;
	}
	return same;
}

static void clock_format_minute(int minute, struct buf *b)
{
	buf_printf(b, " %02d:%02d", minute / 60, minute % 60);
}

static void week_format(const struct week *w, struct buf *b)
{
	buf_text(b, w->count ? "" : "not at all");
	for (size_t k = 0; k < w->count; k++) {
		const struct run *s = &w->span[k];
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

/* ---- dates ---- */

#define DATES 8 /* that are said */

/* What holds (or does not) at dates: a range of days, and the hours of each; or from an hour of the
 * first day to an hour of the last. */
struct dated {
	int64_t first, last;
	int from, to; /* minutes; to may be 1440, and before `from`: of the next day */
	bool throughout;
};

static int64_t local_minute(const struct times *t, int64_t time)
{
	return floor_div(floor_div(time, NS_PER_S) + zone_offset(t->zone->zone, time), 60);
}

static struct dated dated_of(const struct times *t, size_t at, size_t end)
{
	int64_t a = local_minute(t, t->atoms->times[at].first);
	int64_t z = local_minute(t, t->atoms->times[end].first);
	struct dated d = {.first = floor_div(a, 1440), .last = floor_div(z - 1, 1440)};
	d.from = (int)(a - d.first * 1440);
	d.to = (int)(z - d.last * 1440);
	d.throughout = d.last > d.first && z - a >= 1440;
	if (d.from == 0 && d.to == 1440)
		d.throughout = false; /* days */
	else if (!d.throughout)
		d.last = d.first;
	return d;
}

/* Is the other what a range goes on with on the day after it? */
static bool joins(struct dated *d, const struct dated *other)
{
	if (d->throughout || other->throughout || d->from != other->from || d->to != other->to ||
	    other->first != d->last + 1)
		return false;
	d->last = other->last;
	return true;
}

static void dated_format(const struct dated *d, struct buf *b)
{
	day_format(d->first, b);
	if (d->last > d->first && !d->throughout) {
		buf_text(b, "..");
		day_format(d->last, b);
	}
	if (d->from == 0 && d->to == 1440)
		return;
	buf_printf(b, " %02d:%02d", d->from / 60, d->from % 60);
	buf_text(b, d->throughout ? " to " : "-");
	if (d->throughout) {
		day_format(d->last, b);
		buf_char(b, ' ');
	}
	buf_printf(b, "%02d:%02d", d->to / 60, d->to % 60);
}

struct dates {
	struct dated date[DATES];
	size_t count, more; /* of more than these */
	int64_t last;       /* day on which the last of `more` begins */
	bool now;           /* the first began before there was anything to see */
};

static void dates_add(struct dates *all, const struct dated *d)
{
	if (all->count && !all->more && joins(&all->date[all->count - 1], d))
		return;
	all->last = d->first;
	if (all->count == DATES)
		all->more++;
	else
		all->date[all->count++] = *d;
}

/* All times at which the row holds (or does not). False where there is no end of them: one goes on,
 * or they come again until no more was looked at. */
static bool dates_of(const struct times *t, bool held, struct dates *all)
{
	const struct time_atom *times = t->atoms->times;
	size_t count = t->atoms->time_count, end = 0;
	*all = (struct dates){.now = holds(t, 0) == held};
	for (size_t at = next(t, 0, held); at < count; at = next(t, end, held)) {
		end = next(t, at, !held);
		if (end == count)
			return false;
		struct dated d = dated_of(t, at, end);
		dates_add(all, &d);
	}
	return t->atoms->settled || times[count - 1].first > times[end].first + SOON;
}

/* Those at which the row holds, or (not) does not. */
static void dates_format(const struct times *t, const struct dates *all, bool not, struct buf *b)
{
	const char *on = not ? "not on " : "on ";
	for (size_t i = 0; i < all->count; i++) {
		buf_text(b, i ? ", " : "");
		if (i == 0 && all->now) {
			buf_text(b, not ? "from " : "until ");
			date(t, t->atoms->times[next(t, 0, !holds(t, 0))].first, true, b);
			buf_text(b, not ? " on" : "");
			continue;
		}
		buf_text(b, i == (size_t)all->now ? on : "");
		dated_format(&all->date[i], b);
	}
	if (all->more) {
		buf_printf(b, " and %zu more, the last ", all->more);
		day_format(all->last, b);
	}
}

#define CHANGES 6 /* of the hours, that are said */

/* Week after week until `over`, where the hours are others than before: as where the clock of one
 * zone moves and that of another does not, or a date comes. How often they are; more than CHANGES
 * are not counted. */
static unsigned later(const struct times *t, int64_t begin, int64_t over, struct week *w,
		      struct buf *b)
{
	struct week other;
	unsigned changes = 0;
	for (; begin + 7 * DAY <= over; begin += 7 * DAY) {
		size_t first = week_of(t, begin, &other);
		if (week_same(w, &other))
			continue;
		if (++changes > CHANGES) {
			buf_text(b, "; ...");
			return changes;
		}
		buf_text(b, "; from ");
		date(t, other.count ? t->atoms->times[first].first : begin, false, b);
		buf_char(b, ' ');
		week_format(&other, b);
		*w = other;
	}
	return changes;
}

/* Where it holds for hours of a week: the middle of the longest time of the first week at which it
 * does not; from there weeks are counted, as a clock that moves moves them by an hour. Else 0. */
static int64_t week_begin(const struct times *t, size_t first)
{
	const struct time_atom *times = t->atoms->times;
	int64_t longest = 0, begin = 0;
	for (size_t at = first, from, to;; at = to) {
		from = next(t, at, false);
		to = next(t, from, true);
		if (to >= t->atoms->time_count || times[from].first > times[first].first + SOON)
			return begin;
		int64_t gap = times[to].first - times[from].first;
		if (gap > longest) {
			longest = gap;
			begin = times[from].first + gap / 2;
		}
	}
}

/* As hours of a week, from and until when. How often they change. */
static unsigned weekly(const struct times *t, struct buf *b)
{
	const struct time_atom *times = t->atoms->times;
	size_t count = t->atoms->time_count, first = next(t, 0, true), last = count;
	while (last > 0 && !holds(t, last - 1))
		last--;
	int64_t begin = week_begin(t, first), over = times[last < count ? last : count - 1].first;
	struct week w;
	if (times[first].first > times[0].first + SOON || (!begin && first > 0)) {
		buf_text(b, "from ");
		date(t, times[first].first, true, b);
		buf_text(b, " on");
	}
	if (last < count && (!begin || times[count - 1].first > over + SOON)) {
		buf_text(b, b->len ? " until " : "until ");
		date(t, over, true, b);
	}
	if (!begin)
		return 0;
	buf_text(b, b->len ? ", " : "");
	week_of(t, begin, &w);
	week_format(&w, b);
	return later(t, begin + 7 * DAY, over, &w, b);
}

/* In one zone. How many words it needs beside those of one week or a few dates. */
static unsigned when_in(const struct times *t, struct buf *b)
{
	struct buf empty = *b;
	struct dates on, off;
	bool some = dates_of(t, true, &on), but = !some && dates_of(t, false, &off);
	unsigned rough = 0;
	if (some && !on.more && on.count > on.now) {
		dates_format(t, &on, false, b);
		rough = (unsigned)on.count;
	} else if (but && off.count > off.now) {
		dates_format(t, &off, true, b);
	} else if ((rough = weekly(t, b)) > CHANGES && some) {
		*b = empty;
		dates_format(t, &on, false, b);
	}
	buf_printf(b, " (%s)", t->zone->name);
	return rough;
}

/* In the zone whose clock it goes by: in which least need be said. */
void diff_when(const struct diff *d, size_t row, struct buf *b)
{
	const struct atoms *a = diff_atoms(d);
	struct times t = {a, d, row, a->zones};
	struct buf empty = *b;
	unsigned least = 0;
	size_t best = 0;
	if (next(&t, 0, false) == a->time_count)
		return;
	for (size_t i = 0; i < a->zone_count; i++) {
		*b = empty;
		t.zone = &a->zones[i];
		unsigned rough = when_in(&t, b);
		if (i == 0 || rough < least) {
			least = rough;
			best = i;
		}
	}
	*b = empty;
	t.zone = &a->zones[best];
	when_in(&t, b);
}
