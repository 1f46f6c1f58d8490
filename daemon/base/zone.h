/* zone: a time zone. Its offsets from 1970 to 2100 are read through libc once, at a load; from then
 * on everything here is pure. */
#pragma once
#include "base/buf.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DAY_S    86400
#define ZONE_MAX 48 /* bytes of a name, its end included */

struct zone;

/* Whether this machine has the zone; UTC it always has. */
bool zone_known(const char *name);

/* NULL where there is no such zone (errno ENOENT) or memory ran out (ENOMEM). Sets TZ for a moment:
 * one thread at a time, and none that relies on the local time meanwhile. */
struct zone *zone_new(const char *name);
/* One that goes by these changes, ascending, and by an offset before the first; NULL where memory
 * ran out. Offsets are less than a day. */
struct zone_change {
	int64_t since; /* seconds since 1970, UTC */
	int32_t offset;
};
struct zone *zone_of(int32_t before, const struct zone_change *change, size_t count);
void zone_free(struct zone *z);

/* Seconds east of UTC at a time in ns, and the first change after it (INT64_MAX: none). */
int32_t zone_offset(const struct zone *z, int64_t now);
int64_t zone_next_change(const struct zone *z, int64_t now);

/* Seconds since 1970 of what the clock there says, as if it were UTC's. What the clock skips in
 * spring counts by the offset before, what it says twice in autumn is the first (RFC 5545 3.3.5).
 */
int64_t zone_utc(const struct zone *z, int64_t local);

/* The first time at or after now that is this minute of this day (0 Monday) in the zone. */
int64_t zone_at(const struct zone *z, int64_t now, unsigned day, unsigned minute);

/* "Sat 11:05", "2026-06-20 11:05": a time in ns. */
void zone_format(const struct zone *z, int64_t now, struct buf *b);
void zone_format_date(const struct zone *z, int64_t now, struct buf *b);

/* "2026-06-20" of days since 1970-01-01. */
void day_format(int64_t day, struct buf *b);
/* 0 Monday. */
unsigned day_of_week(int64_t day);
extern const char *const day_name[7]; /* "mon" */

static inline int64_t floor_div(int64_t a, int64_t b)
{
	int64_t q = a / b;
	return a % b < 0 ? q - 1 : q;
}
