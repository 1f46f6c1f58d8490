/* calendar: the dates and times of the events of an .ics file (RFC 5545), for a schedule.
 *
 * An event of whole days gives days, one with hours times; one of no length gives nothing. What is
 * said of a single occurrence (EXDATE, RECURRENCE-ID, STATUS:CANCELLED) counts; tasks, alarms,
 * who takes part, and whether an event is shown as busy do not. A TZID is what a VTIMEZONE of the
 * file says, else a zone of the machine's database; a time without one is of the schedule's zone.
 * libical reads rules and durations, and nothing else of the file. */
#pragma once
#include "base/zone.h"
#include "config/config.h"

#define CALENDAR_BYTES       (4U << 20)
#define CALENDAR_COMPONENTS  10000 /* events, zones, and what else begins and ends */
#define CALENDAR_ZONES       100
#define CALENDAR_DEPTH       8        /* components within components */
#define CALENDAR_OCCURRENCES 200000   /* of all events, before they are joined */
#define CALENDAR_DAYS        10000000 /* that are looked at for rules: a second or so */

struct calendar_reader {
	const struct zone *zone; /* of times that name none */
	int64_t until;           /* seconds: recurrences without an end are followed so far */
	void (*complain)(void *ctx, int line, const char *what);
	void *ctx;
};

/* Adds to out what is good; it is not joined yet. *last is when the last event ends, in seconds
 * (INT64_MIN: there is none; INT64_MAX: one recurs without an end). text is changed; it ends with a
 * NUL at len. False where anything is wrong, each with its line. */
bool calendar_parse(char *text, size_t len, const struct calendar_reader *r,
		    struct config_dates *out, int64_t *last) __attribute__((warn_unused_result));
