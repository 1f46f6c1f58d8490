/* why: explains a decision: the line, the evidence that it wants, or the nearest line and what
 * keeps it from matching. For operators and for the person denied; not for the packet path. */
#pragma once
#include "base/buf.h"
#include "policy/decide.h"

#define WHY_OBSTACLES 6

struct why {
	struct outcome outcome;
	char rule[RULE_MAX]; /* the line that decided, or "" */
	char site[SITE_MAX];
	char owner[64];
	const char
		*needs; /* evidence that the deciding or nearest line wants: "name", ... or NULL */
	char nearest[RULE_MAX]; /* for a deny: the nearest allow line, or "" */
	char nearest_owner[64];
	char watched[RULE_MAX]; /* allowed: the deny line in observe mode that matches, or "" */
	const char *note, *nearest_note; /* the snapshot's; NULL or "": none */
	unsigned obstacle_count;
	char obstacle[WHY_OBSTACLES]
		     [256]; /* what keeps the nearest line from matching, a sentence each */
};

void why_explain(const struct snapshot *s, const struct facts *f, int64_t now, struct why *out);
