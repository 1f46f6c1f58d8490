/* clock: time is an argument everywhere, in nanoseconds since the Unix epoch, UTC. */
#pragma once
#include "base/buf.h"
#include <stdint.h>

#define NS_PER_S  INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

/* The wall clock; called at the edge (receive, timers) and passed down from there. */
int64_t clock_now(void);

/* Appends RFC 3339 with microseconds and Z: 2026-11-24T10:00:00.000000Z. */
void clock_format(struct buf *b, int64_t time);
