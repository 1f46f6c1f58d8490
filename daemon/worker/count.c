#include "worker/inner.h"

#include <string.h>

/* Tiers are few: a flow's is found sooner than it is hashed. */
static struct worker_tier *tier_of(struct worker *w, const char *name)
{
	for (size_t i = 0; i < w->tier_count; i++)
		if (strcmp(w->tiers[i].name, name) == 0)
			return &w->tiers[i];
	if (w->tier_count == WORKER_TIERS)
		return &w->tiers[WORKER_TIERS - 1];
	struct worker_tier *t = &w->tiers[w->tier_count];
	strcpy(t->name, w->tier_count == WORKER_TIERS - 1 ? "(others)" : name);
	__atomic_store_n(&w->tier_count, w->tier_count + 1, __ATOMIC_RELEASE);
	return t;
}

void flow_told(struct worker *w, const struct flow *f, enum reason reason)
{
	enum worker_outcome o = f->state != FLOW_ALLOWED            ? OUTCOME_DENY
				: f->outcome.action == ACTION_ALLOW ? OUTCOME_ALLOW
								    : OUTCOME_WOULD_DENY;
	COUNT(w->counters.reasons[reason]);
	COUNT(tier_of(w, flow_who(f)->tier)->count[o][f->outcome.reason]);
}

void flow_tally(struct worker *w, const struct flow *f)
{
	if (f->state == FLOW_ALLOWED)
		COUNT(w->counters.allowed);
	else
		COUNT(w->counters.denied);
	histogram_add(&w->counters.hellos, flow_held(f)->since ? w->now - flow_held(f)->since : 0,
		      1);
}

size_t worker_tiers(const struct worker *w)
{
	return __atomic_load_n(&w->tier_count, __ATOMIC_ACQUIRE);
}

void worker_tier(const struct worker *w, size_t i, struct worker_tier *out)
{
	const struct worker_tier *t = &w->tiers[i];
	memcpy(out->name, t->name, sizeof out->name);
	for (int o = 0; o < OUTCOMES; o++)
		for (int r = 0; r < REASON_COUNT; r++)
			out->count[o][r] = __atomic_load_n(&t->count[o][r], __ATOMIC_RELAXED);
}
