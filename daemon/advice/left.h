/* left: what is left of quotas, for whom, and until when. */
#pragma once
#include "policy/quota.h"
#include <jansson.h>

/* Who counts what is used: bytes or minutes of the period that is now. */
struct left_from {
	uint64_t (*used)(void *ctx, const struct quota *q, const struct quota_who *who);
	void *ctx;
};

/* An object, the caller's: rule, of (whose it is, in words), left and amount as numbers of
 * unit ("min", "B") and in words (left_text, amount_text), per ("day", "week") and until, when it
 * begins anew. f: whose flows are meant. now: of the wall clock. */
json_t *left_of(const struct left_from *from, const struct snapshot *s, const struct quota *q,
		const struct facts *f, int64_t now);

/* Of the quotas that hold for f's tier, with sites, the first LEFT_SITES of each, and more_sites;
 * NULL where there are none. */
#define LEFT_SITES 16
json_t *left_all(const struct left_from *from, const struct snapshot *s, const struct facts *f,
		 int64_t now);
