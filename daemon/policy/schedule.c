#include "policy/schedule.h"

#define EDGE_DAYS 22 /* to look ahead: an edge may fall into a spring gap */
#define ALL_WEEK  0x7f
#define MIDNIGHT  1440

static int64_t local_of(const struct schedule *s, int64_t seconds)
{
	return seconds + zone_offset(s->zone, seconds * NS_PER_S);
}

static bool on_date(const struct schedule *s, int64_t day)
{
	return spans_have(s->dates, s->date_count, day);
}

/* Do the hours that begin on a day count? `within`: a time of `times` is on. */
static bool begins_on(const struct schedule *s, int64_t day, bool within)
{
	return (s->days >> day_of_week(day) & 1) && (!s->dated || within || on_date(s, day));
}

static bool window_active(const struct schedule *s, int64_t seconds)
{
	int64_t local = local_of(s, seconds), day = floor_div(local, DAY_S);
	int64_t second = local - day * DAY_S;
	bool within = s->time_count && spans_have(s->times, s->time_count, seconds);
	bool today = begins_on(s, day, within), yesterday = begins_on(s, day - 1, within);
	for (size_t i = 0; (today || yesterday) && i < s->hours_count; i++) {
		const struct config_hours *h = &s->hours[i];
		bool begun = second >= h->from * 60, over = second >= h->to * 60;
		if (h->from < h->to ? today && begun && !over
				    : (today && begun) || (yesterday && !over))
			return true;
	}
	return false;
}

static bool excepted(const struct schedule *s, int64_t seconds)
{
	for (size_t i = 0; i < s->except_count; i++)
		if (window_active(s->except[i], seconds))
			return true;
	return false;
}

bool schedule_active(const struct schedule *s, int64_t now)
{
	int64_t seconds = floor_div(now, NS_PER_S);
	return window_active(s, seconds) && !excepted(s, seconds);
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* The first local time after `local` at which hours could begin or end, or a day does. */
static int64_t next_mark(const struct schedule *s, int64_t local)
{
	int64_t start = floor_div(local, DAY_S) * DAY_S, best = start + DAY_S;
	for (size_t i = 0; i < s->hours_count; i++) {
		int64_t marks[] = {start + s->hours[i].from * 60, start + s->hours[i].to * 60};
		for (size_t k = 0; k < 2; k++)
			if (marks[k] > local)
				best = sooner(best, marks[k]);
	}
	return best;
}

/* Far from its dates it holds by `times` alone: the local time at which the next date begins. */
static int64_t next_date(const struct schedule *s, int64_t local)
{
	int64_t day = floor_div(local, DAY_S);
	int64_t next = spans_next(s->dates, s->date_count, day);
	if (on_date(s, day) || on_date(s, day - 1))
		return local;
	return next == INT64_MAX ? next : next * DAY_S;
}

static bool whole_days(const struct schedule *s)
{
	return s->days == ALL_WEEK && s->hours_count == 1 && s->hours[0].from == 0 &&
	       s->hours[0].to == MIDNIGHT;
}

/* The first second after t at which it could change, INT64_MAX: none. */
static int64_t next_step(const struct schedule *s, int64_t t)
{
	int64_t offset = zone_offset(s->zone, t * NS_PER_S), local = t + offset;
	int64_t change = zone_next_change(s->zone, t * NS_PER_S);
	int64_t next = next_mark(s, local), times = spans_next(s->times, s->time_count, t);
	if (s->dated && whole_days(s))
		next = spans_next(s->dates, s->date_count, floor_div(local, DAY_S));
	else if (s->dated && !spans_have(s->times, s->time_count, t) && next_date(s, local) > local)
		next = next_date(s, local);
	if (s->dated && whole_days(s) && next != INT64_MAX)
		next *= DAY_S;
	next = sooner(next == INT64_MAX ? next : next - offset, times);
	if (next == INT64_MAX)
		return next;
	return sooner(next, change == INT64_MAX ? change : floor_div(change, NS_PER_S));
}

/* When, at the latest, it is after t what it is for good, or as every week: seconds. */
static int64_t settled(const struct schedule *s, int64_t t)
{
	int64_t last = t;
	if (s->date_count && s->dates[s->date_count - 1].to * DAY_S > last)
		last = s->dates[s->date_count - 1].to * DAY_S;
	if (s->time_count && s->times[s->time_count - 1].to > last)
		last = s->times[s->time_count - 1].to;
	return last + EDGE_DAYS * DAY_S;
}

/* In seconds; INT64_MAX: never. */
static int64_t window_next_edge(const struct schedule *s, int64_t t)
{
	int64_t last = settled(s, t);
	bool was = window_active(s, t);
	while (t < last) {
		t = next_step(s, t);
		if (t != INT64_MAX && window_active(s, t) != was)
			return t;
	}
	return INT64_MAX;
}

/* The first change of the hours, or where they hold of what they except. */
static int64_t next_of_any(const struct schedule *s, int64_t t)
{
	int64_t next = window_next_edge(s, t);
	for (size_t i = 0; window_active(s, t) && i < s->except_count; i++)
		next = sooner(next, window_next_edge(s->except[i], t));
	return next;
}

int64_t schedule_next_edge(const struct schedule *s, int64_t now)
{
	int64_t t = floor_div(now, NS_PER_S), last = settled(s, t);
	bool was = schedule_active(s, now);
	for (size_t i = 0; i < s->except_count; i++)
		last = settled(s->except[i], t) > last ? settled(s->except[i], t) : last;
	while (t < last) {
		t = next_of_any(s, t);
		if (t == INT64_MAX)
			return 0;
		if (schedule_active(s, t * NS_PER_S) != was)
			return t * NS_PER_S;
	}
	return 0;
}

bool schedule_has_dates(const struct schedule *s)
{
	bool has = s->dated;
	for (size_t i = 0; i < s->except_count; i++)
		has |= s->except[i]->dated;
	return has;
}

bool schedule_on_date(const struct schedule *s, int64_t now)
{
	int64_t seconds = floor_div(now, NS_PER_S);
	bool on = s->dated && window_active(s, seconds);
	for (size_t i = 0; i < s->except_count; i++)
		on |= s->except[i]->dated && window_active(s->except[i], seconds);
	return on;
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

#define DATES_SAID 3

static void dates_format(const struct schedule *s, struct buf *b)
{
	size_t i = 0;
	for (; i < s->date_count && i < DATES_SAID; i++) {
		buf_text(b, i ? ", " : "on ");
		day_format(s->dates[i].from, b);
		if (s->dates[i].to - s->dates[i].from > 1) {
			buf_text(b, "..");
			day_format(s->dates[i].to - 1, b);
		}
	}
	if (i < s->date_count)
		buf_printf(b, " and %zu more", s->date_count - i);
	if (s->time_count)
		buf_printf(b, "%swithin %zu times of a calendar", i ? " or " : "", s->time_count);
	if (!s->date_count && !s->time_count)
		buf_text(b, "on no day");
}

static void window_format(const struct schedule *s, struct buf *b)
{
	bool always = s->dated && whole_days(s);
	if (!always) {
		schedule_days_format(s->days, b);
		buf_char(b, ' ');
	}
	for (size_t i = 0; !always && i < s->hours_count; i++)
		buf_printf(b, "%s%02d:%02d-%02d:%02d", i ? "," : "", s->hours[i].from / 60,
			   s->hours[i].from % 60, s->hours[i].to / 60, s->hours[i].to % 60);
	if (s->dated) {
		buf_text(b, always ? "" : " ");
		dates_format(s, b);
	}
}

void schedule_format(const struct schedule *s, struct buf *b)
{
	window_format(s, b);
	for (size_t i = 0; i < s->except_count; i++) {
		buf_text(b, " and not ");
		window_format(s->except[i], b);
	}
}
