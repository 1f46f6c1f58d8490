/* schedule: when a line holds, by the wall clock of a zone.
 *
 * Hours of days of the week; where it is dated, of the days of `dates` alone and within `times`;
 * and never within a schedule of `except`. Hours past midnight belong to the day on which they
 * began. At a spring change the skipped hours never are, at an autumn change the repeated ones are
 * twice: the wall clock decides, as people read it. All of it is compiled: nothing here asks libc
 * for the time of day, or reads a calendar. */
#pragma once
#include "base/buf.h"
#include "base/clock.h"
#include "base/span.h"
#include "base/zone.h"
#include "config/config.h"

struct schedule {
	const struct zone *zone;
	uint8_t days; /* bit 0 Monday .. bit 6 Sunday */
	uint8_t hours_count;
	struct config_hours hours[HOURS_MAX];
	bool dated;               /* only on `dates` and within `times`, be they none */
	const struct span *dates; /* days since 1970-01-01 of the zone; joined */
	const struct span *times; /* seconds since 1970, UTC; joined */
	size_t date_count, time_count;
	const struct schedule *const *except; /* these have no `except` */
	size_t except_count;
	char name[TIER_MAX];      /* "" of the dates of an `except` */
	char zone_name[ZONE_MAX]; /* for people */
};

bool schedule_active(const struct schedule *s, int64_t now);

/* The first time after now at which schedule_active changes; 0: never. */
int64_t schedule_next_edge(const struct schedule *s, int64_t now);

/* Whether dates have a say in it: no week of it need be as another. */
bool schedule_has_dates(const struct schedule *s);
/* Whether a date that it names, itself or by what it excepts, is on at a time. */
bool schedule_on_date(const struct schedule *s, int64_t now);

/* "mon-fri", "mon,wed-fri": runs of days are joined. */
void schedule_days_format(uint8_t days, struct buf *b);
/* "mon-fri 08:00-18:00 and not on 2026-12-24". */
void schedule_format(const struct schedule *s, struct buf *b);
