/* report: decision records counted by hour or day, tier, site, reason, user and name. Constant
 * memory: what is beyond a table's room is counted as "others". */
#pragma once
#include "base/decision.h"
#include <jansson.h>

struct report;

/* by_day: days, else hours, of the machine's zone. NULL where memory ran out. */
struct report *report_new(bool by_day);
void report_free(struct report *r);

/* A flow counts once, by its decision; a repeat as a denial more, an end by its bytes. */
void report_record(struct report *r, const struct decision *d);

/* from, to (RFC 3339), flows, allowed, denied, would, bytes, lost, and by: time, tier, site, reason
 * (of denials), user, name (denied ones): arrays of key, allowed, denied, would, bytes. Times in
 * order, the rest most denials first, at most `top` of them. The caller's. */
json_t *report_json(const struct report *r, size_t top);
