/* What operators have shut: over the policy in force, over the next one, and on disk. */
#include "gateway/inner.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <urcu.h>

/* A list without a lock of it would open what is shut: memory that has run out ends the process,
 * and the kernel's rules deny what no process decides. */
bool lockdowns_over(const struct gateway *g, struct snapshot *s)
{
	struct errors missing = {0};
	bool failed;
	struct locks *locks = locks_make(s, &g->lockdowns, &missing, &failed);
	for (size_t i = 0; i < missing.count; i++)
		log_warn("%s", missing.lines[i]);
	errors_deinit(&missing);
	if (failed) {
		log_error("not enough memory for the lockdowns");
		return false;
	}
	struct locks *old = snapshot_lock(s, locks);
	if (old)
		synchronize_rcu();
	locks_free(old);
	return true;
}

const struct lockdowns *gateway_lockdowns(void *ctx)
{
	return &((struct gateway *)ctx)->lockdowns;
}

/* What is shut is kept before it is in force: a crash in between shuts too much. */
int gateway_lock(void *ctx, const struct lockdowns *l)
{
	struct gateway *g = ctx;
	int e = g->store ? state_save_lockdowns(g->store, l) : -ENOENT;
	g->lockdowns = *l;
	g->lockdowns_lost = false;
	if (!lockdowns_over(g, g->snapshot))
		sd_event_exit(g->event, 1);
	log_info("%u lockdowns are in force", l->count);
	return e;
}

/* What is over stays in the list until the next change: a clock that is set back shuts it again. */
void lockdowns_tick(struct gateway *g)
{
	int64_t now = clock_wall();
	char detail[32];
	for (unsigned i = 0; i < g->lockdowns.count; i++) {
		const struct lockdown *l = &g->lockdowns.item[i];
		if (l->until <= g->locks_told || l->until > now)
			continue;
		snprintf(detail, sizeof detail, "%u", l->id);
		gateway_act(g, "its time", "lockdown-end", detail);
	}
	g->locks_told = now;
}
