/* may: what a tier may reach, now and later, for the person who has it. Not for the packet path. */
#pragma once
#include "policy/snapshot.h"

#define MAY_QUOTAS 4

struct quota;

struct may {
	const char *site, *rule,
		*owner; /* the snapshot's; site "*" is everything, owner may be "" */
	bool now;
	int64_t edge; /* when `now` changes; 0: never */
	/* The first of those that limit it, where each line that allows it has one. */
	const struct quota *quota[MAY_QUOTAS];
	unsigned quotas;
};

/* Sites of the allow lines that hold for a tier and are not over, what is open first, each site
 * once; sites that a deny line closes are left out. Returns how many there are, at most max of them
 * written. */
size_t snapshot_may(const struct snapshot *s, const char *tier, int64_t now, struct may *out,
		    size_t max);

/* The quotas of allow lines that hold for a tier now or later, at most max of them. */
size_t snapshot_tier_quotas(const struct snapshot *s, const char *tier, int64_t now,
			    const struct quota **out, size_t max);
/* A line's i-th site, "*" where it is for all; NULL behind the last. */
const char *snapshot_line_site(const struct snapshot *s, uint32_t line, size_t i);
