/* What operators do, for the decision log: the main thread has a ring of its own to the sink. */
#include "gateway/inner.h"

#include "base/clock.h"

#include <stdio.h>

/* The writer is slow or gone: the ring counts what it refused, and the log says how many. */
void gateway_acted(void *ctx, const struct decision *d)
{
	struct gateway *g = ctx;
	struct ring *ring = sink_ring(g->sink, g->lane_count);
	struct decision *slot = ring_claim(ring);
	if (!slot)
		return;
	*slot = *d;
	ring_publish(ring);
}

void gateway_act(struct gateway *g, const char *by, const char *act, const char *detail)
{
	struct decision d = {.kind = DECISION_ACT, .time = clock_wall()};
	snprintf(d.by, sizeof d.by, "%s", by);
	snprintf(d.act, sizeof d.act, "%s", act);
	snprintf(d.detail, sizeof d.detail, "%s", detail);
	snprintf(d.policy, sizeof d.policy, "%s", snapshot_digest(g->snapshot));
	gateway_acted(g, &d);
}
