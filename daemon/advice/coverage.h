/* coverage: which lines of a policy its expectations touch, and expectations for the others, from
 * what is true today. Pure; main thread. */
#pragma once
#include "policy/load.h"
#include <jansson.h>

/* An object for each line that decides none of the policy's expectations, as the policy has them:
 * rule, kind ("allow", "deny"), owner, tiers, sites. The caller's. */
json_t *coverage(const struct policy *p, int64_t now);

/* For each of these lines one expectation that it decides and that holds: tier, to, port, at,
 * outcome, rule, owner; and of an allow line what it does not open, to another tier and at another
 * time. Where none is found an object with rule and owner alone. The caller's. */
json_t *coverage_suggest(const struct policy *p, int64_t now);
