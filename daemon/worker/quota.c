/* Which flows count for which quota: told to the thread that counts when a flow is allowed by a
 * line that has one, and when that changes. */
#include "worker/inner.h"

#include "policy/quota.h"

/* Never 0, which is a flow that counts for nothing. */
static uint32_t mark_of(const struct quota_account *a)
{
	uint32_t h = (uint32_t)(a->id ^ a->id >> 32);
	const uint8_t *bytes = (const uint8_t *)&a->who;
	for (size_t i = 0; i < sizeof a->who; i++)
		h = (h ^ bytes[i]) * 16777619u;
	return h ? h : 1;
}

bool flow_count_use(struct worker *w, struct flow *f, bool young)
{
	const struct quota *q = f->outcome.action == ACTION_ALLOW
					? snapshot_quota(w->snapshot, f->outcome.rule)
					: NULL;
	struct flow_use use = {.key = *flow_key_of(f), .young = young};
	if (!w->o.use || f->state != FLOW_ALLOWED || (!q && !f->metered))
		return true;
	if (q) {
		const struct facts facts = flow_facts(w, f, false);
		use.account.id = q->id;
		quota_whose(q, &facts, &use.account.who);
	}
	uint32_t mark = q ? mark_of(&use.account) : 0;
	if (mark == f->metered)
		return true;
	if (!w->o.use(w->o.ctx, &use))
		return false;
	f->metered = mark;
	return true;
}
