/* unused: lines of a policy, and entries of its lists, that nothing in the records was decided by.
 * Each record is decided by the policy of today, so that it is no matter where its lines stood. */
#pragma once
#include "policy/load.h"
#include <jansson.h>

struct unused;

struct unused *unused_new(const struct policy *p);
void unused_free(struct unused *u);

void unused_record(struct unused *u, const struct decision *d);

/* Lines without a hit since a time, and those whose `expires` is past or before `near`: rule, kind,
 * owner, tiers, sites, last (its last hit), unused, expires, expired. The caller's. */
json_t *unused_lines(const struct unused *u, int64_t since, int64_t now, int64_t near);

/* Entries without a hit since then, in the order of sites and lists: site, list, line, entry, last.
 * An entry is hit where it is its site's longest for a flow that a line decided by this site; a
 * "!name", and an entry of an excepted site, by any flow to it. The caller's. */
json_t *unused_entries(const struct unused *u, int64_t since);

/* The time of the first record, INT64_MAX where there is none; and how many there were. */
int64_t unused_first(const struct unused *u, uint64_t *records);
