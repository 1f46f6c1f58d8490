/* clock: time is an argument everywhere, in nanoseconds. There are two. What lasts (sessions,
 * limits, graces, holds) is measured by a clock that never steps; what people read, and schedules,
 * go by the wall clock. They differ by how far the wall clock was set since this process began:
 * `ahead`. */
#pragma once
#include "base/buf.h"
#include <stdbool.h>
#include <stdint.h>

#define NS_PER_S  INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

/* CLOCK_BOOTTIME, counted on from what the wall clock said when this process first asked: it goes
 * on over a suspend and never steps. Called at the edge (receive, timers) and passed down from
 * there. */
int64_t clock_now(void);
/* How far the wall clock is ahead of clock_now, to a millisecond: 0 where nobody has set it. */
int64_t clock_ahead(void);
/* The wall clock: ns since the Unix epoch, UTC. */
int64_t clock_wall(void);

/* What tells another process, perhaps after a reboot, what the times of this one's clock_now meant.
 * Kept with them. */
struct clock_mark {
	char boot[36];  /* of the kernel (random/boot_id) */
	int64_t offset; /* clock_now less CLOCK_BOOTTIME */
	int64_t now, ahead;
};
void clock_mark(struct clock_mark *out);
/* What to add to times kept with `then` so that they are times of `now`. In one boot that is exact,
 * however the wall clock was set meanwhile; over a reboot the wall clock is all there is to tell
 * how long it took, and one that is behind (no battery) counts as no time at all. */
int64_t clock_shift(const struct clock_mark *then, const struct clock_mark *now);
/* A time with a shift; as far as times go where the sum would be past that. */
static inline int64_t clock_add(int64_t time, int64_t shift)
{
	int64_t sum;
	if (__builtin_add_overflow(time, shift, &sum))
		return shift < 0 ? INT64_MIN : INT64_MAX;
	return sum;
}

/* Appends RFC 3339 with microseconds and Z: 2026-11-24T10:00:00.000000Z. */
void clock_format(struct buf *b, int64_t time);
