/* Times of a calendar, and their zones. */
#include "config/calendar_inner.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NUMBERS      "0123456789"
#define ZONE_CHANGES 2000
#define CENTURY_END  INT64_C(4102444800) /* 2100-01-01, to which zones are known */

static int number(const char *text, size_t digits)
{
	int n = 0;
	while (digits--)
		n = n * 10 + *text++ - '0';
	return n;
}

bool ics_time_parse(const char *text, struct ics_time *out)
{
	struct tm tm = {0}, again;
	bool timed = text[strspn(text, NUMBERS)] == 'T';
	const char *clock = text + 9;
	if (strspn(text, NUMBERS) != 8 || (timed && strspn(clock, NUMBERS) != 6))
		return false;
	const char *rest = timed ? clock + 6 : text + 8;
	bool utc = timed && *rest == 'Z';
	if (rest[utc])
		return false;
	tm.tm_year = number(text, 4) - 1900;
	tm.tm_mon = number(text + 4, 2) - 1;
	tm.tm_mday = number(text + 6, 2);
	if (timed) {
		tm.tm_hour = number(clock, 2);
		tm.tm_min = number(clock + 2, 2);
		tm.tm_sec = number(clock + 4, 2);
		tm.tm_sec -= tm.tm_sec == 60; /* a leap second */
	}
	again = tm;
	time_t at = timegm(&again);
	*out = (struct ics_time){at, !timed, utc};
	return again.tm_mday == tm.tm_mday && again.tm_mon == tm.tm_mon &&
	       again.tm_hour == tm.tm_hour && again.tm_min == tm.tm_min &&
	       again.tm_sec == tm.tm_sec;
}

/* ---- zones ---- */

/* Of the machine's database, for as long as the calendar is read. */
static const struct zone *of_machine(struct ics *c, const char *tzid)
{
	struct zone *z = strlen(tzid) < ZONE_MAX ? zone_new(tzid) : NULL;
	if (!z || c->zone_count >= 2 * CALENDAR_ZONES) {
		zone_free(z);
		return NULL;
	}
	c->zones = array_grow(c->zones, &c->zone_count, sizeof *c->zones);
	c->zones[c->zone_count - 1] = (struct named_zone){.tzid = tzid, .zone = z};
	return z;
}

const struct zone *ics_zone(struct ics *c, const struct prop *p)
{
	if (!p->tzid)
		return c->r->zone;
	for (size_t i = 0; i < c->zone_count; i++) {
		const struct named_zone *z = &c->zones[i];
		if (z->tzid && strcmp(z->tzid, p->tzid) == 0)
			return z->zone ? z->zone : c->r->zone; /* what is wrong was said */
	}
	const struct zone *z = of_machine(c, p->tzid);
	if (!z)
		ics_complain(c, p->line,
			     "TZID=%.60s is no VTIMEZONE of this file and not in the time zone "
			     "database; export the calendar with its time zones",
			     p->tzid);
	return z;
}

bool ics_time(struct ics *c, const struct prop *p, const char *text, struct ics_time *as,
	      int64_t *out)
{
	if (!ics_time_parse(text, as)) {
		ics_complain(c, p->line,
			     "\"%.30s\" is no date or time, such as 20261224 or 20261224T100000Z",
			     text);
		return false;
	}
	*out = as->local;
	if (as->date || as->utc)
		return true;
	const struct zone *z = ics_zone(c, p);
	if (z)
		*out = zone_utc(z, as->local);
	return z;
}

/* "+0200", "-033000". */
static bool offset_parse(const char *text, int32_t *out)
{
	size_t digits = strspn(text + (*text != '\0'), NUMBERS);
	if ((*text != '+' && *text != '-') || (digits != 4 && digits != 6) || text[1 + digits])
		return false;
	int hours = number(text + 1, 2), minutes = number(text + 3, 2);
	int32_t s = hours * 3600 + minutes * 60 + (digits == 6 ? number(text + 5, 2) : 0);
	*out = *text == '-' ? -s : s;
	return hours < 24 && minutes < 60;
}

struct observed {
	struct zone_change *change;
	size_t count;
	int32_t from, to;
	const struct ics_rule *rule;
	int64_t earliest;
	int32_t before; /* the earliest */
};

static bool observe(void *ctx, int64_t local)
{
	struct observed *o = ctx;
	int64_t at = local - o->from;
	const struct ics_time *until = &o->rule->until;
	bool over = o->rule->has_until && (until->utc ? at : local) > until->local;
	if (over || at >= CENTURY_END || o->count >= ZONE_CHANGES)
		return false;
	if (at < o->earliest) {
		o->earliest = at;
		o->before = o->from;
	}
	o->change = array_grow(o->change, &o->count, sizeof *o->change);
	o->change[o->count - 1] = (struct zone_change){at, o->to};
	return true;
}

static void observance(struct ics *c, const struct event *e, struct observed *o)
{
	struct ics_rule rule = {0};
	struct ics_time start, at;
	if (!e->start.value || !ics_time_parse(e->start.value, &start) || !e->from.value ||
	    !offset_parse(e->from.value, &o->from) || !e->to.value ||
	    !offset_parse(e->to.value, &o->to)) {
		ics_complain(c, e->line,
			     "a time zone's part without DTSTART, TZOFFSETFROM and "
			     "TZOFFSETTO that can be read");
		return;
	}
	o->rule = &rule;
	observe(o, start.local);
	for (size_t i = 0; i < e->rules.count; i++)
		ics_rule(c, &e->rules.item[i], &start, &rule, observe, o);
	rule = (struct ics_rule){0};
	for (size_t i = 0; i < e->dates.count; i++)
		if (ics_time_parse(e->dates.item[i].value, &at))
			observe(o, at.local);
}

static int by_since(const void *a, const void *b)
{
	const struct zone_change *x = a, *y = b;
	return (x->since > y->since) - (x->since < y->since);
}

void ics_make_zones(struct ics *c)
{
	c->file_zones = c->zone_count;
	for (size_t i = 0; i < c->file_zones; i++) {
		struct named_zone *z = &c->zones[i];
		struct observed o = {.earliest = INT64_MAX};
		size_t faults = c->faults;
		for (size_t k = 0; k < z->observances.count; k++)
			observance(c, &z->observances.item[k], &o);
		if (!z->tzid || !z->observances.count)
			ics_complain(c, z->line, "a VTIMEZONE without %s",
				     z->tzid ? "STANDARD or DAYLIGHT" : "TZID");
		if (c->faults == faults) {
			if (o.count) /* none, and there is no array */
				qsort(o.change, o.count, sizeof *o.change, by_since);
			z->zone = must(zone_of(o.before, o.change, o.count));
		}
		free(o.change);
	}
}
