/* strangers: what records tell that this policy, its configuration or its users file knows nothing
 * of. */
#pragma once
#include "advice/people.h"
#include "policy/load.h"

#include <jansson.h>

/* Users of records whom neither the users file (as the configuration says) nor the configuration
 * knows now, and their records; false where the users file can't be read, or names are hidden. */
bool strangers_users(const struct people *p, const struct config *c, uint64_t *users,
		     uint64_t *records);

/* The same, with records of other policies and of tiers that are no more, counted one by one. */
struct strangers {
	const struct policy *policy;
	struct people *people;
	uint64_t other_policy, unknown_tier;
};

void strangers_begin(struct strangers *s, const struct policy *p);
void strangers_record(struct strangers *s, const struct decision *d);

/* Into an object, else (NULL) in words after "# "; and frees what there is. */
void strangers_end(struct strangers *s, json_t *to);
