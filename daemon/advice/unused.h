/* unused: lines of a policy, and entries of its lists, that nothing was decided by: of what a
 * daemon has counted, or of the records. Each record is decided by the policy of today, so that it
 * is no matter where its lines stood. */
#pragma once
#include "policy/hits.h"
#include "policy/load.h"
#include <jansson.h>

struct unused;

struct unused *unused_new(const struct policy *p);
void unused_free(struct unused *u);

void unused_record(struct unused *u, const struct decision *d);

/* By a daemon's counters (sorted, not of a policy; they must outlive u) in the records' place. */
void unused_counted(struct unused *u, const struct hits *h);

/* Lines without a hit since a time, and those whose `expires` is past or before `near`: rule, kind,
 * owner, tiers, sites, last (its last hit), unused, expires, expired; of counters also
 * since (when it was first counted) and count. The caller's. */
json_t *unused_lines(struct unused *u, int64_t since, int64_t now, int64_t near);

/* Entries without a hit since then, in the order of sites and lists: site, list, line, entry, last.
 * An entry is hit where it is its site's longest for a flow that a line decided by this site; a
 * "!name", and an entry of an excepted site, by any flow to it. The caller's. */
json_t *unused_entries(struct unused *u, int64_t since);

/* Of all rows that were asked for: how many lines and entries a daemon counts for less time than
 * was asked, though it counts for longer; and how many not at all. None of them is a row. */
size_t unused_new_ones(const struct unused *u, size_t *unknown);

/* When the counting began, or the time of the first record, INT64_MAX where there is none; and how
 * many there were. */
int64_t unused_first(const struct unused *u, uint64_t *records);
