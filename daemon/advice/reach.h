/* reach: who is at an address and what they may reach, for the portal's pages. */
#pragma once
#include "identity/session.h"
#include "policy/snapshot.h"
#include <jansson.h>

#define REACH_MAX 64 /* sites in one answer */

/* Sets session, user, tier, source, since and until (where somebody is signed in; the tier of the
 * segment alone otherwise), mode, and `may`: a row a site. now and ahead
 * as base/clock.h has them. Main thread. */
void reach(const struct snapshot *s, struct sessions *sessions, const struct address *a,
	   int64_t now, int64_t ahead, json_t *to);
