/* hits: what a daemon has counted of the lines and entries of its policy. */
#pragma once
#include "policy/hits.h"

struct ctl_hits {
	struct hits hits;    /* sorted */
	char policy[17];     /* digest of the policy that is counted */
	int64_t not_counted; /* entries past what a daemon counts */
};

/* Asks the daemon; false after saying why it gave nothing. hits_free(&out->hits) at the end. */
bool ctl_hits(struct ctl_hits *out);
