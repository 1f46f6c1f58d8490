#include "gateway/inner.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>

#define SAVE_TICKS 60

static void say_unsaved(const struct gateway *g, const char *what, int error)
{
	if (error)
		LOG_LIMITED(log_warn, clock_now(), "%s: %s could not be saved: %s",
			    g->config->state_dir, what, strerror(-error));
}

/* Only where a new file of sessions says the same. */
static int forget_ended(struct gateway *g)
{
	int error = g->ended_kept ? state_save_ended(g->store, NULL, 0, 0) : 0;
	g->ended_kept &= error != 0;
	return error;
}

static int keep_sessions(struct gateway *g)
{
	struct network changed[SESSION_CHANGES];
	uint64_t generation = sessions_generation(g->sessions);
	int error = state_save_sessions(g->store, g->sessions);
	if (error)
		return error;
	g->sessions_saved = generation;
	sessions_changes(g->sessions, &g->sessions_told, changed);
	return forget_ended(g);
}

/* Whoever is told that somebody is signed out can rely on it, whatever happens next. All sessions
 * may be many, and are kept once a second: of few ends only these are written. An address that is
 * another's now has left its session, too. */
int gateway_ended(void *ctx)
{
	struct gateway *g = ctx;
	struct network changed[SESSION_CHANGES];
	struct state_end gone[SESSION_CHANGES];
	struct session there;
	int64_t now = clock_now();
	uint64_t told = g->sessions_told;
	size_t changes = sessions_changes(g->sessions, &told, changed), count = 0;
	if (!g->store)
		return -ENOENT;
	if (changes == SIZE_MAX)
		return keep_sessions(g);
	for (size_t i = 0; i < changes; i++) {
		const struct address *at = &changed[i].base;
		if (changed[i].bits != 128)
			continue;
		bool taken = session_at(g->sessions, at, now, &there);
		gone[count++] = (struct state_end){*at, taken ? there.since : 0};
	}
	g->ended_kept = true;
	int error = state_save_ended(g->store, gone, count, now);
	say_unsaved(g, "who was signed out", error);
	return error;
}

/* Traffic moves no generation, and yet what is kept of it: idle times go on from when it was last
 * seen. So `traffic` saves what has not changed otherwise, too. */
static void save_sessions(struct gateway *g, bool traffic)
{
	uint64_t generation = sessions_generation(g->sessions);
	bool moved = traffic && sessions_count(g->sessions);
	if (g->sessions_saved == generation && !moved)
		return;
	say_unsaved(g, "sessions", keep_sessions(g));
}

/* Every minute, and when somebody has used up a quota: that is not to be had twice. Where it could
 * not be kept then, the next second tries again. */
static void save_quotas(struct gateway *g, bool now)
{
	uint64_t generation = usage_generation(g->usage);
	if ((!now && !g->usage_urgent) || g->usage_saved == generation)
		return;
	int error = state_save_quotas(g->store, g->usage, g->meter);
	if (!error)
		g->usage_saved = generation;
	g->usage_urgent &= error != 0;
	say_unsaved(g, "quotas", error);
}

void quotas_keep(struct gateway *g)
{
	g->usage_urgent = true;
	if (g->store)
		save_quotas(g, false);
}

static void save_flows(struct gateway *g, unsigned i)
{
	struct lane *l = &g->lanes[i];
	say_unsaved(g, "flows",
		    state_save_flows(g->store, i, l->memory, l->memory_count,
				     snapshot_digest(g->snapshot)));
	l->memory_count = 0;
}

/* Every minute: the workers are asked for their flows, and what they gave the last time is written
 * when it is whole. */
void state_save_tick(struct gateway *g)
{
	bool minute = ++g->ticks % SAVE_TICKS == 0;
	if (!g->store)
		return;
	save_sessions(g, minute);
	save_quotas(g, minute);
	for (unsigned i = 0; i < g->config->queues; i++)
		if (g->lanes[i].memory_count && !g->lanes[i].remember)
			save_flows(g, i);
	if (!minute)
		return;
	say_unsaved(g, "names", state_save_names(g->store, g->seen));
	hits_save(g, false);
	for (unsigned i = 0; i < g->config->queues; i++) {
		struct lane *l = &g->lanes[i];
		if (l->remember || l->memory_count)
			continue;
		l->memory_slot = 0;
		atomic_store_explicit(&l->remember, true, memory_order_release);
	}
}

/* At the end, when no thread of ours runs any more. */
void state_save_all(struct gateway *g)
{
	save_sessions(g, true);
	save_quotas(g, true);
	say_unsaved(g, "names", state_save_names(g->store, g->seen));
	hits_save(g, true);
	for (unsigned i = 0; i < g->config->queues; i++) {
		struct lane *l = &g->lanes[i];
		if (!l->memory || !l->worker)
			continue;
		l->memory_slot = 0;
		l->memory_count = worker_remember(l->worker, &l->memory_slot, true, l->memory,
						  g->config->flows);
		save_flows(g, i);
	}
}

static void restore_flow(void *ctx, const struct flow_memory *m, bool same)
{
	worker_restore(ctx, m);
}

bool state_load(struct gateway *g)
{
	struct network changed[SESSION_CHANGES];
	unsigned flows = 0;
	int64_t now = clock_now();
	g->store = store_folder_new(g->config->state_dir);
	if (!g->store)
		return true;
	if (state_load_lockdowns(g->store, &g->lockdowns, &g->lockdowns_lost))
		log_info("%u lockdowns go on", g->lockdowns.count);
	if (!lockdowns_over(g, g->snapshot))
		return false;
	hits_load(g);
	quotas_load(g);
	unsigned sessions = state_load_sessions(g->store, g->sessions, now);
	unsigned ended = state_load_ended(g->store, g->sessions, now);
	unsigned names = state_load_names(g->store, g->seen, now);
	for (unsigned i = 0; i < g->config->queues; i++)
		flows += state_load_flows(g->store, i, snapshot_digest(g->snapshot), restore_flow,
					  g->lanes[i].worker);
	if (ended)
		log_info("%u addresses had been signed out when the last process ended", ended);
	else
		g->sessions_saved = sessions_generation(g->sessions);
	sessions_changes(g->sessions, &g->sessions_told, changed);
	g->ended_kept = true; /* perhaps */
	log_info("remembered: %u sessions, %u names, %u flows", sessions, names, flows);
	return true;
}
