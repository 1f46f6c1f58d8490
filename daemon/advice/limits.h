/* limits: the quotas that flows are under, in words. */
#pragma once
#include "policy/decide.h"

struct limits;
struct limits *limits_new(void);
void limits_free(struct limits *l);

/* What limits a flow: "" nothing does, NULL where the policy does not allow it; of several quotas
 * each stands by itself, joined by "; and ". Equal words are one pointer, as long as l lives. */
const char *limits_of(struct limits *l, const struct snapshot *s, const struct facts *f,
		      int64_t now);
