/* may: what a tier may reach, now and later, for the person who has it. Not for the packet path. */
#pragma once
#include "policy/snapshot.h"

struct may {
	const char *site, *rule,
		*owner; /* the snapshot's; site "*" is everything, owner may be "" */
	bool now;
	int64_t edge; /* when `now` changes; 0: never */
};

/* Sites of the allow lines that hold for a tier and are not over, what is open first, each site
 * once; sites that a deny line closes are left out. Returns how many there are, at most max of them
 * written. */
size_t snapshot_may(const struct snapshot *s, const char *tier, int64_t now, struct may *out,
		    size_t max);
