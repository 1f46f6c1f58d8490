/* fold: equal denials within a window of time become one record and a count. The first is written
 * as ever; those that follow are counted, and the count is a record (tiergate.repeats) at the
 * window's end. Of one thread; bounded: what finds no room is not folded. */
#pragma once
#include "base/decision.h"
#include <stdbool.h>

struct fold;

struct fold *fold_new(int64_t window); /* nanoseconds; NULL: no memory */
void fold_free(struct fold *f);

/* True where d repeats a denial of this window: it is counted, and need not be written. now: of
 * clock_now. Equal: the user, or the address where there is none; tier, reason, rule, site, name,
 * port and protocol, and where there is no name the server's address. */
bool fold_takes(struct fold *f, const struct decision *d, int64_t now);

/* The next record of a window that is over and had repeats; false: none is. */
bool fold_due(struct fold *f, int64_t now, struct decision *out);
