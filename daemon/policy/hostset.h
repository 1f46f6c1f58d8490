/* hostset: host names to the sites that hold them, by the longest entry of each site.
 *
 * Entries of one site, whatever list they came from, are one body: the longest entry that covers a
 * host decides whether the site holds it. `=x` stands above `x` and `!x`, which reach below x too;
 * where a site has both of these, `!x` wins, and of two alike the one that is not shared (~). What
 * each entry means together with the entries above it is worked out once, in hostset_seal; a lookup
 * then is one walk to the longest entry. */
#pragma once
#include "base/decision.h"
#include "config/config.h"
#include "policy/siteset.h"

struct hostset;

/* Sets of sites are kept in `sets`, which must outlive the host set. */
struct hostset *hostset_new(struct siteset *sets);
void hostset_free(struct hostset *h);

/* Adds an entry of any kind but SITE_NETWORK; false where memory ran out. */
bool hostset_add(struct hostset *h, const struct site_entry *e, uint16_t site)
	__attribute__((warn_unused_result));

/* After the last entry and before the first lookup; false where memory ran out. */
bool hostset_seal(struct hostset *h) __attribute__((warn_unused_result));

/* The number, in sets, of the set of sites that hold the host or except it. */
uint32_t hostset_find(const struct hostset *h, const struct host *host);
