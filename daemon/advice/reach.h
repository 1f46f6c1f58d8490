/* reach: who is at an address and what they may reach, for the portal's pages. */
#pragma once
#include "advice/left.h"
#include "policy/who.h"
#include <jansson.h>

#define REACH_MAX 64 /* sites in one answer */

/* Sets session, source, since and until where somebody is signed in, user and tier where somebody
 * is known, mode, and `may`: a row a site, with what is left of its quotas. now and ahead as
 * base/clock.h has them. Main thread. */
void reach(const struct who_from *from, const struct left_from *left, const struct address *a,
	   int64_t now, int64_t ahead, json_t *to);
