#include "config/calendar_inner.h"

#include "base/clock.h"

#include <libical/ical.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAID 20 /* faults of a file, after which it is enough */

void ics_complain(struct ics *c, int line, const char *format, ...)
{
	char text[300];
	va_list args;
	if (c->faults++ >= SAID)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	for (char *p = text; *p; p++) /* bytes of a stranger, for a terminal */
		if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
			*p = '?';
	c->r->complain(c->r->ctx, line, text);
}

/* ---- occurrences ---- */

/* When an event begins and how long it is: of dates in days times DAY_S. */
struct shape {
	const struct event *event;
	struct ics_time start;
	int64_t first, length; /* exact seconds */
	int64_t days;          /* of a DURATION, which are days of the clock */
	const struct zone *zone;
	int64_t *begins; /* times, or days times DAY_S */
	size_t count;
	struct dropped *dropped;
	size_t dropped_count;
	struct ics_rule rule;
	int64_t until; /* of the reader */
};

static void keep(struct shape *s, int64_t begin)
{
	s->begins = array_grow(s->begins, &s->count, sizeof *s->begins);
	s->begins[s->count - 1] = begin;
}

static int64_t exact(const struct shape *s, int64_t local)
{
	return s->start.date || s->start.utc ? local : zone_utc(s->zone, local);
}

static bool occurs(void *ctx, int64_t local)
{
	struct shape *s = ctx;
	int64_t at = exact(s, local);
	bool over = s->rule.has_until && (s->rule.until.utc ? at : local) > s->rule.until.local;
	if (over || (s->rule.endless && at > s->until))
		return false;
	keep(s, at);
	return true;
}

/* In seconds, of any year: ns reach from 1677 to 2262. */
static int64_t offset_at(const struct zone *z, int64_t at)
{
	const int64_t most = INT64_MAX / NS_PER_S;
	return zone_offset(z, (at > most ? most : at < -most ? -most : at) * NS_PER_S);
}

/* The day on which an occurrence begins, times DAY_S. */
static int64_t day_of(const struct shape *s, int64_t begin)
{
	bool utc = s->start.utc || s->start.date;
	int64_t local = begin + (utc ? 0 : offset_at(s->zone, begin));
	return floor_div(local, DAY_S) * DAY_S;
}

struct dropped {
	int64_t at;
	bool day; /* a whole one, where the event has hours */
};

static void drop(struct shape *s, const struct ics_time *as, int64_t at)
{
	s->dropped = array_grow(s->dropped, &s->dropped_count, sizeof *s->dropped);
	s->dropped[s->dropped_count - 1] = (struct dropped){at, as->date && !s->start.date};
}

static int by_time(const void *a, const void *b)
{
	const struct dropped *x = a, *y = b;
	return x->at != y->at ? (x->at > y->at) - (x->at < y->at) : x->day - y->day;
}

static bool is_dropped(const struct shape *s, int64_t at, bool day)
{
	const struct dropped want = {at, day};
	return s->dropped_count &&
	       bsearch(&want, s->dropped, s->dropped_count, sizeof want, by_time);
}

static void leave_out(struct shape *s)
{
	size_t kept = 0;
	if (s->dropped_count)
		qsort(s->dropped, s->dropped_count, sizeof *s->dropped, by_time);
	for (size_t i = 0; i < s->count; i++)
		if (!is_dropped(s, s->begins[i], false) &&
		    !is_dropped(s, day_of(s, s->begins[i]), true))
			s->begins[kept++] = s->begins[i];
	s->count = kept;
}

/* The values of a property between its commas, for which each is called. A PERIOD's begin counts.
 */
typedef void each_time(struct shape *s, const struct ics_time *as, int64_t at);

static void times_of(struct ics *c, const struct prop *p, struct shape *s, each_time *each)
{
	char text[20];
	struct ics_time as;
	int64_t at;
	for (const char *v = p->value; v; v = strchr(v, ',') ? strchr(v, ',') + 1 : NULL) {
		size_t len = strcspn(v, ",/");
		snprintf(text, sizeof text, "%.*s", (int)(len < 19 ? len : 19), v);
		if (++c->occurrences > CALENDAR_OCCURRENCES) {
			ics_complain(c, p->line, "the file names more than %d times",
				     CALENDAR_OCCURRENCES);
			return;
		}
		if (ics_time(c, p, text, &as, &at))
			each(s, &as, at);
	}
}

static void add(struct shape *s, const struct ics_time *as, int64_t at)
{
	if (as->date == s->start.date)
		keep(s, at);
}

/* Occurrences that have an event of their own. */
static void drop_moved(struct ics *c, struct shape *s)
{
	for (size_t i = 0; s->event->uid && i < c->events.count; i++) {
		const struct event *e = &c->events.item[i];
		if (e->moves && strcmp(e->uid, s->event->uid) == 0)
			drop(s, &e->moved_as, e->moved);
	}
}

static void occurrences(struct ics *c, struct shape *s)
{
	const struct event *e = s->event;
	bool endless = false;
	if (!e->rules.count || e->recurrence.value)
		keep(s, s->first);
	for (size_t i = 0; !e->recurrence.value && i < e->rules.count; i++) {
		ics_rule(c, &e->rules.item[i], &s->start, &s->rule, occurs, s);
		endless |= s->rule.endless;
	}
	for (size_t i = 0; !e->recurrence.value && i < e->dates.count; i++)
		times_of(c, &e->dates.item[i], s, add);
	for (size_t i = 0; i < e->without.count; i++)
		times_of(c, &e->without.item[i], s, drop);
	if (!e->recurrence.value)
		drop_moved(c, s);
	leave_out(s);
	if (endless)
		c->last = INT64_MAX;
}

/* ---- events ---- */

static bool duration_of(struct ics *c, const struct prop *p, struct shape *s)
{
	struct icaldurationtype d = icaldurationtype_from_string(p->value);
	uint64_t days = d.weeks * UINT64_C(7) + d.days;
	uint64_t rest = d.hours * UINT64_C(3600) + d.minutes * UINT64_C(60) + d.seconds;
	if (icaldurationtype_is_bad_duration(d) || d.is_neg || days > 36600 ||
	    rest > 36600 * UINT64_C(86400) || (s->start.date && rest)) {
		ics_complain(c, p->line, "DURATION:%.30s can't be an event's", p->value);
		return false;
	}
	s->days = (int64_t)days;
	s->length = (int64_t)rest;
	return true;
}

static bool shape_of(struct ics *c, const struct event *e, struct shape *s)
{
	struct ics_time end;
	int64_t over;
	*s = (struct shape){.event = e, .until = c->r->until, .zone = c->r->zone};
	if (!e->start.value) {
		ics_complain(c, e->line, "an event without DTSTART");
		return false;
	}
	if (e->later_too)
		ics_complain(c, e->recurrence.line,
			     "RANGE of a RECURRENCE-ID is not understood; "
			     "make it an event of its own");
	if (!ics_time(c, &e->start, e->start.value, &s->start, &s->first))
		return false;
	if (!s->start.date && !s->start.utc)
		s->zone = ics_zone(c, &e->start);
	if (e->duration.value)
		return duration_of(c, &e->duration, s);
	if (!e->end.value) {
		s->days = s->start.date;
		return true;
	}
	if (!ics_time(c, &e->end, e->end.value, &end, &over))
		return false;
	s->length = over - s->first;
	if (end.date == s->start.date && s->length >= 0) {
		/* Of one day some programs write that it ends when it begins, and all show it. */
		s->days = end.date && s->length == 0;
		return true;
	}
	ics_complain(c, e->end.line, "DTEND:%.30s is %s", e->end.value,
		     s->length < 0 ? "before its DTSTART"
				   : "a day and DTSTART an hour, or the other way");
	return false;
}

/* When an occurrence is over: the days of a DURATION are the clock's. */
static int64_t over_at(const struct shape *s, int64_t begin)
{
	if (s->start.date || s->start.utc || !s->days)
		return begin + s->days * DAY_S + s->length;
	int64_t local = begin + offset_at(s->zone, begin);
	return zone_utc(s->zone, local + s->days * DAY_S) + s->length;
}

/* What a schedule can hold: the years 2000 to 2099. */
#define FROM  INT64_C(946684800)
#define UNTIL INT64_C(4102444800)

static void put(struct ics *c, const struct shape *s, int64_t begin)
{
	int64_t over = over_at(s, begin);
	int64_t most = s->start.date ? UNTIL : UNTIL - 1; /* as it can be written */
	struct span span = {begin > FROM ? begin : FROM, over < most ? over : most};
	if (span.from >= span.to)
		return;
	struct span **list = s->start.date ? &c->out->day : &c->out->time;
	size_t *count = s->start.date ? &c->out->days : &c->out->times;
	int64_t ends = s->start.date ? zone_utc(c->r->zone, span.to) : span.to;
	if (ends > c->last)
		c->last = ends;
	if (s->start.date)
		span = (struct span){floor_div(span.from, DAY_S), floor_div(span.to, DAY_S)};
	*list = array_grow(*list, count, sizeof span);
	(*list)[*count - 1] = span;
}

static void expand(struct ics *c, const struct event *e)
{
	struct shape s;
	if (e->cancelled || !shape_of(c, e, &s))
		return;
	occurrences(c, &s);
	for (size_t i = 0; i < s.count; i++)
		put(c, &s, s.begins[i]);
	free(s.begins);
	free(s.dropped);
}

/* Once, however often the event that recurs is met. */
static void read_moved(struct ics *c)
{
	for (size_t i = 0; i < c->events.count; i++) {
		struct event *e = &c->events.item[i];
		const struct prop *p = &e->recurrence;
		e->moves = p->value && ics_time(c, p, p->value, &e->moved_as, &e->moved) && e->uid;
	}
}

static void events_free(struct events *all)
{
	for (size_t i = 0; i < all->count; i++) {
		free(all->item[i].rules.item);
		free(all->item[i].dates.item);
		free(all->item[i].without.item);
	}
	free(all->item);
}

bool calendar_parse(char *text, size_t len, const struct calendar_reader *r,
		    struct config_dates *out, int64_t *last)
{
	struct ics c = {.r = r, .out = out, .last = INT64_MIN};
	icalerror_set_errors_are_fatal(false); /* of the whole process: it aborts else */
	if (ics_read(&c, text, len)) {
		ics_make_zones(&c);
		read_moved(&c);
		for (size_t i = 0; i < c.events.count && c.faults < SAID; i++)
			expand(&c, &c.events.item[i]);
	}
	for (size_t i = 0; i < c.zone_count; i++) {
		events_free(&c.zones[i].observances);
		zone_free(c.zones[i].zone);
	}
	events_free(&c.events);
	free(c.zones);
	icalmemory_free_ring();
	*last = c.last;
	return c.faults == 0;
}
