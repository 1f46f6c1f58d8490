/* calendar_inner: what the parts of the calendar share. Not for other files. */
#pragma once
#include "base/array.h"
#include "config/calendar.h"

/* "20261224", "20261224T100000" or the latter with Z: seconds since 1970 as if it were UTC. */
struct ics_time {
	int64_t local;
	bool date, utc;
};

/* A line, unfolded: views into the text, which is the caller's. */
struct prop {
	int line;
	const char *tzid;  /* or NULL */
	const char *value; /* NULL: the property is not there */
};

struct props {
	struct prop *item;
	size_t count;
};

enum component { OTHER, CALENDAR, EVENT, TIMEZONE, OBSERVANCE };

/* An event, or an observance of a VTIMEZONE. */
struct event {
	int line;
	bool cancelled, later_too; /* RANGE=THISANDFUTURE */
	const char *uid;
	struct prop start, end, duration, recurrence, from, to;
	struct props rules, dates, without; /* RRULE, RDATE, EXDATE */
	bool moves;    /* an occurrence of another event, which is not at its time: */
	int64_t moved; /* UTC, or a day times DAY_S, as */
	struct ics_time moved_as;
};

struct events {
	struct event *item;
	size_t count;
};

struct named_zone {
	int line;
	const char *tzid;
	struct events observances;
	struct zone *zone; /* NULL: not made, as something is wrong */
};

struct ics {
	const struct calendar_reader *r;
	struct events events;
	struct named_zone *zones;
	size_t zone_count, file_zones; /* the first are of the file, the others the machine's */
	size_t occurrences, looked, faults;
	struct config_dates *out;
	int64_t last;
};

void ics_complain(struct ics *c, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* calendar_lines.c: text to components. False where it is no calendar. */
bool ics_read(struct ics *c, char *text, size_t len);

/* calendar_time.c */
bool ics_time_parse(const char *text, struct ics_time *out);
/* The time of a property, in UTC, of days their number times DAY_S. False, and it is said, where it
 * can't be read or its zone is not known. */
bool ics_time(struct ics *c, const struct prop *p, const char *text, struct ics_time *as,
	      int64_t *out);
/* The zone of a property; NULL, and it is said. */
const struct zone *ics_zone(struct ics *c, const struct prop *p);
/* Every VTIMEZONE of the file becomes a zone. */
void ics_make_zones(struct ics *c);

/* calendar_rule.c: each occurrence of a rule from a start on, both as if UTC; the visitor returns
 * false to end it. False, and it is said, where the rule can't be read or there are too many. */
typedef bool ics_visit(void *ctx, int64_t local);
struct ics_rule {
	bool endless;
	bool has_until;
	struct ics_time until;
};
void ics_rule(struct ics *c, const struct prop *rule, const struct ics_time *start,
	      struct ics_rule *as, ics_visit *visit, void *ctx);
