/* The rules by which events recur (RFC 5545 3.3.10). libical reads them; they are followed here,
 * day by day, so that a rule that hardly ever comes costs no more than one that often does: libical
 * walks on for centuries, whose every year it asks of ICU. */
#include "config/calendar_inner.h"

#include <libical/ical.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NEAR  INT64_C(10592) /* 1999-01-01: what was before matters to nobody but COUNT */
#define NEVER INT64_C(47482) /* 2100-01-01 */

/* A day since 1970-01-01 in the calendar. */
struct day {
	int64_t number;
	int year, month, mday, month_days, yday, year_days; /* from 1 */
	unsigned weekday;                                   /* 0 Monday */
};

struct walk {
	struct ics *c;
	struct icalrecurrencetype rule;
	struct day start;
	int64_t second; /* of the day, at which it begins */
	int64_t days[366];
	size_t count; /* of a period's days */
};

static bool is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static struct day day_of(int64_t number)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	struct tm tm;
	time_t at = (time_t)(number * DAY_S);
	gmtime_r(&at, &tm);
	struct day d = {.number = number,
			.year = tm.tm_year + 1900,
			.month = tm.tm_mon + 1,
			.mday = tm.tm_mday,
			.yday = tm.tm_yday + 1,
			.weekday = day_of_week(number)};
	d.year_days = 365 + is_leap(d.year);
	d.month_days = lengths[tm.tm_mon] + (d.month == 2 && is_leap(d.year));
	return d;
}

/* month counts on from 1 over the years. */
static int64_t first_of(int year, int64_t month)
{
	struct tm tm = {.tm_year = year - 1900 + (int)floor_div(month - 1, 12), .tm_mday = 1};
	tm.tm_mon = (int)(month - 1 - floor_div(month - 1, 12) * 12);
	return floor_div(timegm(&tm), DAY_S);
}

static bool given(const short *list)
{
	return list[0] != ICAL_RECURRENCE_ARRAY_MAX;
}

/* Is a number in a list of at most size, or by how it is counted from behind? */
static bool in(const short *list, int size, int value, int from_behind)
{
	for (int i = 0; i < size && list[i] != ICAL_RECURRENCE_ARRAY_MAX; i++)
		if (list[i] == value || list[i] == -from_behind)
			return true;
	return false;
}

#define IN(list, value, behind) in(list, (int)(sizeof(list) / sizeof *(list)), value, behind)

/* "MO", or "-1SU", the last of the month; of the year where no month is named. */
static bool on_weekday(const struct icalrecurrencetype *r, const struct day *d)
{
	bool of_year = r->freq == ICAL_YEARLY_RECURRENCE && !given(r->by_month);
	int nth = ((of_year ? d->yday : d->mday) - 1) / 7 + 1;
	int last = (of_year ? d->year_days - d->yday : d->month_days - d->mday) / 7 + 1;
	for (int i = 0; i < ICAL_BY_DAY_SIZE && r->by_day[i] != ICAL_RECURRENCE_ARRAY_MAX; i++) {
		int position = icalrecurrencetype_day_position(r->by_day[i]);
		unsigned weekday =
			((unsigned)icalrecurrencetype_day_day_of_week(r->by_day[i]) + 5) % 7;
		if (weekday == d->weekday && (!position || r->freq < ICAL_MONTHLY_RECURRENCE ||
					      position == nth || position == -last))
			return true;
	}
	return false;
}

/* What the rule does not say is as of the event's begin. */
static bool like_start(const struct walk *w, const struct day *d)
{
	const struct icalrecurrencetype *r = &w->rule;
	if (given(r->by_day) || given(r->by_month_day) || given(r->by_year_day))
		return true;
	switch (r->freq) {
	case ICAL_WEEKLY_RECURRENCE: return d->weekday == w->start.weekday;
	case ICAL_MONTHLY_RECURRENCE: return d->mday == w->start.mday;
	case ICAL_YEARLY_RECURRENCE:
		return d->mday == w->start.mday &&
		       (given(r->by_month) || d->month == w->start.month);
	default: return true;
	}
}

static bool month_counts(const struct walk *w, int month)
{
	const struct icalrecurrencetype *r = &w->rule;
	return given(r->by_month) ? IN(r->by_month, month, 0)
				  : r->freq != ICAL_YEARLY_RECURRENCE || given(r->by_day) ||
					    given(r->by_month_day) || given(r->by_year_day) ||
					    month == w->start.month;
}

static bool matches(const struct walk *w, const struct day *d)
{
	const struct icalrecurrencetype *r = &w->rule;
	return month_counts(w, d->month) &&
	       (!given(r->by_year_day) ||
		IN(r->by_year_day, d->yday, d->year_days - d->yday + 1)) &&
	       (!given(r->by_month_day) ||
		IN(r->by_month_day, d->mday, d->month_days - d->mday + 1)) &&
	       (!given(r->by_day) || on_weekday(r, d)) && like_start(w, d);
}

/* The matching ones of `length` days, all of one month unless they are a week. */
static void look(struct walk *w, int64_t first, int length)
{
	struct day d = day_of(first);
	w->c->looked += (size_t)length;
	for (int i = 0; i < length; i++) {
		if (d.mday > d.month_days)
			d = day_of(first + i);
		if (matches(w, &d))
			w->days[w->count++] = d.number;
		d.number++;
		d.mday++;
		d.yday++;
		d.weekday = (d.weekday + 1) % 7;
	}
}

static int64_t week_begin(const struct walk *w, int64_t day)
{
	unsigned first = ((unsigned)w->rule.week_start + 5) % 7;
	return day - (day_of_week(day) + 7 - first) % 7;
}

static void look_at_month(struct walk *w, int year, int64_t month)
{
	int64_t first = first_of(year, month);
	struct day d = day_of(first);
	w->c->looked++;
	if (month_counts(w, d.month))
		look(w, first, d.month_days);
}

/* The days of the index-th period from that of the begin; returns its first day. */
static int64_t look_at_period(struct walk *w, int64_t index)
{
	int64_t step = index * w->rule.interval, first;
	w->count = 0;
	switch (w->rule.freq) {
	case ICAL_DAILY_RECURRENCE:
		first = w->start.number + step;
		look(w, first, 1);
		return first;
	case ICAL_WEEKLY_RECURRENCE:
		first = week_begin(w, w->start.number) + 7 * step;
		look(w, first, 7);
		return first;
	case ICAL_MONTHLY_RECURRENCE:
		look_at_month(w, w->start.year, w->start.month + step);
		return first_of(w->start.year, w->start.month + step);
	default:
		for (int month = 1; month <= 12; month++)
			look_at_month(w, w->start.year, step * 12 + month);
		return first_of(w->start.year, step * 12 + 1);
	}
}

/* Of a period's days those that BYSETPOS names, in their order. */
static bool position_counts(const struct walk *w, size_t i)
{
	return !given(w->rule.by_set_pos) ||
	       IN(w->rule.by_set_pos, (int)i + 1, (int)(w->count - i));
}

/* The last period that is well before any that matters. */
static int64_t first_period(const struct walk *w)
{
	static const int64_t days[] = {[ICAL_DAILY_RECURRENCE] = 1,
				       [ICAL_WEEKLY_RECURRENCE] = 7,
				       [ICAL_MONTHLY_RECURRENCE] = 31,
				       [ICAL_YEARLY_RECURRENCE] = 366};
	if (w->rule.count || w->start.number >= NEAR)
		return 0;
	return (NEAR - w->start.number) / (days[w->rule.freq] * w->rule.interval);
}

static bool follow(struct walk *w, ics_visit *visit, void *ctx)
{
	struct ics *c = w->c;
	int64_t left = w->rule.count ? w->rule.count : INT64_MAX;
	for (int64_t p = first_period(w); c->looked <= CALENDAR_DAYS; p++) {
		if (look_at_period(w, p) >= NEVER)
			return true;
		for (size_t i = 0; i < w->count; i++) {
			if (w->days[i] < w->start.number || !position_counts(w, i))
				continue;
			if (++c->occurrences > CALENDAR_OCCURRENCES)
				return false;
			if (!visit(ctx, w->days[i] * DAY_S + w->second) || --left == 0)
				return true;
		}
	}
	return false;
}

/* ---- reading ---- */

static const char *not_followed(const struct icalrecurrencetype *r)
{
	bool sparse = r->freq >= ICAL_MONTHLY_RECURRENCE;
	if (r->freq < ICAL_DAILY_RECURRENCE || r->freq > ICAL_YEARLY_RECURRENCE || r->interval < 1)
		return "can't be read, or recurs more often than daily";
	if (given(r->by_hour) || given(r->by_minute) || given(r->by_second) || given(r->by_week_no))
		return "has hours or numbers of weeks, which are not followed; make it events of "
		       "their own";
	if ((given(r->by_year_day) && r->freq != ICAL_YEARLY_RECURRENCE) ||
	    (given(r->by_month_day) && r->freq == ICAL_WEEKLY_RECURRENCE))
		return "counts days that are none of its period";
	for (int i = 0; i < ICAL_BY_DAY_SIZE && r->by_day[i] != ICAL_RECURRENCE_ARRAY_MAX; i++)
		if (!sparse && icalrecurrencetype_day_position(r->by_day[i]))
			return "counts weekdays of a period that has each once";
	return NULL;
}

/* libical's UNTIL is not asked: it knows nothing of our zones. */
static bool read_until(struct ics *c, const struct prop *p, struct ics_rule *as)
{
	char until[20] = "";
	const char *at = strcasestr(p->value, "UNTIL=");
	if (!at)
		return true;
	size_t len = strcspn(at += 6, ";");
	snprintf(until, sizeof until, "%.*s", (int)(len < 19 ? len : 19), at);
	as->has_until = true;
	if (!ics_time_parse(until, &as->until)) {
		ics_complain(c, p->line, "UNTIL=%s is no date or time", until);
		return false;
	}
	if (as->until.date) /* that day, too */
		as->until.local += DAY_S - 1;
	return true;
}

static bool read_rule(struct ics *c, const struct prop *p, struct ics_rule *as,
		      struct icalrecurrencetype *rule)
{
	*as = (struct ics_rule){0};
	if (strlen(p->value) > 1000 || strcasestr(p->value, "RSCALE")) {
		ics_complain(c, p->line, "a rule that is too long, or of another calendar");
		return false;
	}
	*rule = icalrecurrencetype_from_string(p->value);
	const char *fault = not_followed(rule);
	if (fault) {
		ics_complain(c, p->line, "RRULE:%.60s %s", p->value, fault);
		return false;
	}
	as->endless = !rule->count && !strcasestr(p->value, "UNTIL=");
	return read_until(c, p, as);
}

void ics_rule(struct ics *c, const struct prop *p, const struct ics_time *start,
	      struct ics_rule *as, ics_visit *visit, void *ctx)
{
	struct walk w = {.c = c};
	int64_t day = floor_div(start->local, DAY_S);
	if (!read_rule(c, p, as, &w.rule))
		return;
	w.start = day_of(day);
	w.second = start->local - day * DAY_S;
	if (!follow(&w, visit, ctx))
		ics_complain(c, p->line,
			     "with this rule the file's events recur more than %d times, or over "
			     "too many years; give them an UNTIL",
			     CALENDAR_OCCURRENCES);
}
