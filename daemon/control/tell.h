/* tell: what other programs of the gateway say of themselves over the control socket: the portal,
 * how it does; the probe, what became of its connections. Kept until they say something else, for
 * status and metrics. Main thread. */
#pragma once
#include <jansson.h>
#include <stdint.h>

#define TOLD_TIERS   64                   /* that a probe tells of */
#define TOLD_SILENCE INT64_C(30000000000) /* ns: a portal tells more often */

struct told_item {
	json_t *what; /* members that are known, each of its type; NULL: nothing was told */
	int64_t at;   /* clock_now */
};

struct told {
	struct told_item portal, tier[TOLD_TIERS];
};

void told_deinit(struct told *t);
/* "portal" and "probe", each with its `age` in seconds, where there is something. */
void told_status(const struct told *t, int64_t now, json_t *out);
/* Appends families of metrics (control_ops). */
void told_metrics(const struct told *t, int64_t now, int64_t ahead, json_t *out);
