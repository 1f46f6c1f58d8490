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

static unsigned in_force(const struct lockdowns *l)
{
	unsigned n = 0;
	for (unsigned i = 0; i < l->count; i++)
		n += lockdown_holds(&l->item[i], clock_wall());
	return n;
}

/* What is shut is kept before it is in force: a crash in between shuts too much. */
int gateway_lock(void *ctx, const struct lockdowns *l)
{
	struct gateway *g = ctx;
	lockdowns_tick(g); /* the ends of those that make room are told */
	int e = g->store ? state_save_lockdowns(g->store, l) : -ENOENT;
	g->lockdowns = *l;
	g->lockdowns_lost = false;
	if (!lockdowns_over(g, g->snapshot))
		sd_event_exit(g->event, 1);
	log_info("%u lockdowns are in force", in_force(l));
	return e;
}

/* What is over stays in the list (LOCKDOWN_KEPT): a clock that is set back shuts it again, and that
 * is recorded as its end was. */
void lockdowns_tick(struct gateway *g)
{
	int64_t now = clock_wall();
	char detail[32];
	for (unsigned i = 0; i < g->lockdowns.count; i++) {
		const struct lockdown *l = &g->lockdowns.item[i];
		bool was = lockdown_holds(l, g->locks_told), is = lockdown_holds(l, now);
		snprintf(detail, sizeof detail, "%u%s", l->id, is ? ", again" : "");
		if (was != is)
			gateway_act(g, is ? "the clock" : "its time",
				    is ? "lockdown" : "lockdown-end", detail);
	}
	g->locks_told = now;
}
