/* schedule: days and hours by the wall clock of a zone.
 *
 * A zone's offsets from 1970 to 2100 are read through libc once, while compiling; from then on
 * everything here is pure. At a spring change the skipped hours never are, at an autumn change the
 * repeated ones are twice: the wall clock decides, as people read it. */
#pragma once
#include "base/buf.h"
#include "base/clock.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zone;

/* NULL where there is no such zone (errno ENOENT) or memory ran out (ENOMEM). Sets TZ for a moment:
 * one thread at a time, and none that relies on the local time meanwhile. */
struct zone *zone_new(const char *name);
void zone_free(struct zone *z);

/* Seconds east of UTC at a time in ns, and the first change after it (INT64_MAX: none). */
int32_t zone_offset(const struct zone *z, int64_t now);
int64_t zone_next_change(const struct zone *z, int64_t now);

/* The first time at or after now that is this minute of this day (0 Monday) in the zone. */
int64_t zone_at(const struct zone *z, int64_t now, unsigned day, unsigned minute);

struct schedule {
	const struct zone *zone;
	uint8_t days;       /* bit 0 Monday .. bit 6 Sunday */
	uint16_t from, to;  /* minutes of the day; from >= to passes midnight into the next day */
	char zone_name[48]; /* for people */
	const struct schedule
		*except; /* within which this one does not hold; it has none; or NULL */
};

bool schedule_active(const struct schedule *s, int64_t now);

/* The first time after now at which schedule_active changes; 0: never. */
int64_t schedule_next_edge(const struct schedule *s, int64_t now);

/* "mon-fri", "mon,wed-fri": runs of days are joined. */
void schedule_days_format(uint8_t days, struct buf *b);
/* "mon-fri 08:00-18:00", and "Sat 11:05" for a time in a zone. */
void schedule_format(const struct schedule *s, struct buf *b);
void zone_format(const struct zone *z, int64_t now, struct buf *b);
