/* What ends for a client ends for all its flows: workers decide again what they remember, and what
 * they do not (a full table drops first what the kernel carries) is found here by a walk of
 * conntrack, and unmarked, so that its next packet comes up. */
#include "gateway/inner.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUND = 1 << 20 /* flows of a round, at most */ };
/* Ticks: after which workers have cut, too, what was to be cut, and between two notes of it. */
enum { SETTLED = 10, NOTED = 60 };

struct sweep {
	uint64_t since;
	char policy[32];
	uint64_t lockdowns; /* their generation */
	int64_t edge, left_at;
	int64_t wall; /* when reasons were looked for last */
	unsigned due; /* ticks until it is noted that nothing is left to do */
	bool all;
	struct network whom[SESSION_CHANGES];
	size_t count;
	struct lookup lookup;
	size_t room;
	bool out; /* workers have the lookup */
	struct sweep_counters counters;
};

struct sweep *sweep_new(void)
{
	return calloc(1, sizeof(struct sweep));
}

void sweep_free(struct sweep *s)
{
	if (!s)
		return;
	free(s->lookup.key);
	free(s->lookup.known);
	free(s);
}

void sweep_count(const struct sweep *s, struct sweep_counters *out)
{
	*out = s->counters;
}

/* ---- who is concerned ---- */

static void add_changes(struct sweep *s, const struct sessions *sessions)
{
	struct network changed[SESSION_CHANGES];
	size_t n = sessions_changes(sessions, &s->since, changed);
	if (n > SESSION_CHANGES - s->count) {
		s->all = true;
		return;
	}
	memcpy(s->whom + s->count, changed, n * sizeof *changed);
	s->count += n;
}

/* Whether something was shut that a process before may not have ended everywhere, as it was killed:
 * its last minute's flows are in no worker's memory, and the kernel carries them. */
static bool left_undone(const struct gateway *g, int64_t wall)
{
	struct state_swept was = {0};
	if (!g->store)
		return false;
	if (!state_load_swept(g->store, &was)) /* the first process here */
		snprintf(was.policy, sizeof was.policy, "%s", snapshot_digest(g->snapshot));
	int64_t edge = snapshot_next_edge(g->snapshot, was.wall);
	bool shut = strcmp(was.policy, snapshot_digest(g->snapshot)) != 0 || wall < was.wall ||
		    (edge && edge <= wall);
	for (unsigned i = 0; i < g->lockdowns.count; i++)
		shut |= g->lockdowns.item[i].since > was.wall &&
			lockdown_holds(&g->lockdowns.item[i], wall);
	return shut;
}

static void note(const struct gateway *g, struct sweep *s)
{
	struct state_swept done = {.wall = s->wall};
	if (s->all) {
		s->due = SETTLED;
	} else if (s->due) {
		s->due--;
	} else if (!s->out && g->store) {
		snprintf(done.policy, sizeof done.policy, "%s", s->policy);
		state_save_swept(g->store, &done); /* where it can't be, more is swept */
		s->due = NOTED;
	}
}

/* A clock that is set back puts in force again what was over. */
static void look_for_reasons(struct gateway *g, struct sweep *s)
{
	int64_t wall = clock_wall();
	const char *digest = snapshot_digest(g->snapshot);
	bool first = !*s->policy;
	add_changes(s, g->sessions);
	if (strcmp(s->policy, digest) != 0 || s->lockdowns != g->lockdowns.generation ||
	    (s->edge && wall >= s->edge) || wall < s->wall) {
		s->all |= !first || left_undone(g, wall);
		snprintf(s->policy, sizeof s->policy, "%s", digest);
		s->lockdowns = g->lockdowns.generation;
		s->edge = snapshot_next_edge(g->snapshot, wall);
	}
	s->wall = wall;
	note(g, s);
}

static bool concerns(const struct sweep *s, const struct flow_key *key)
{
	for (size_t i = 0; i < s->count && !s->all; i++)
		if (network_has(&s->whom[i], &key->client) ||
		    network_has(&s->whom[i], &key->server))
			return true;
	return s->all;
}

/* ---- a round ---- */

static bool make_room(struct sweep *s)
{
	size_t room = s->room ? s->room * 2 : 1024;
	if (s->lookup.count < s->room)
		return true;
	struct flow_key *key = room > ROUND ? NULL : reallocarray(s->lookup.key, room, sizeof *key);
	if (!key)
		return false;
	s->lookup.key = key;
	s->room = room;
	return true;
}

static void add_flow(struct sweep *s, const struct flow_key *key)
{
	if (make_room(s))
		s->lookup.key[s->lookup.count++] = *key;
	else
		s->counters.left++;
}

static void take_flow(void *ctx, const struct flow_key *key)
{
	struct sweep *s = ctx;
	if (concerns(s, key))
		add_flow(s, key);
}

/* Which flows those are is known without the table's walk. */
static void take_spent(struct gateway *g, struct sweep *s)
{
	struct flow_key key;
	for (uint32_t slot = 0; quotas_each_spent(g, &slot, &key);)
		add_flow(s, &key);
}

/* Which worker has a flow is the kernel's hash: all are asked. */
static void begin(struct gateway *g, struct sweep *s)
{
	uint64_t left = s->counters.left;
	s->lookup.count = 0;
	int error = s->all || s->count ? conntrack_list(g->conntrack, take_flow, s) : 0;
	if (g->spent_changed)
		take_spent(g, s);
	if (error < 0)
		LOG_LIMITED(log_error, clock_now(), "flows can't be swept: %s", strerror(-error));
	if (s->counters.left != left)
		LOG_LIMITED(log_error, clock_now(),
			    "%lu flows more than a sweep takes stay as they are",
			    s->counters.left - left);
	free(s->lookup.known);
	s->lookup.known = calloc(s->lookup.count + 1, sizeof *s->lookup.known);
	if (error < 0 || !s->lookup.known)
		return; /* tried again with the next tick */
	s->all = false;
	s->count = 0;
	g->spent_changed = false;
	if (!s->lookup.count)
		return;
	s->out = true;
	s->lookup.waiting = g->config->queues;
	for (unsigned i = 0; i < g->config->queues; i++)
		atomic_store_explicit(&g->lanes[i].lookup, &s->lookup, memory_order_release);
}

static void finish(struct gateway *g, struct sweep *s)
{
	if (atomic_load_explicit(&s->lookup.waiting, memory_order_acquire))
		return;
	for (size_t i = 0; i < s->lookup.count; i++)
		if (!s->lookup.known[i] &&
		    conntrack_remark(g->conntrack, &s->lookup.key[i], 0, VERDICT_PENDING) == 0)
			s->counters.swept++;
	s->out = false;
}

void sweep_tick(struct gateway *g)
{
	struct sweep *s = g->sweep;
	look_for_reasons(g, s);
	if (s->out)
		finish(g, s);
	else if (s->all || s->count || g->spent_changed)
		begin(g, s);
}

static const struct metric rows[] = {
	METRIC_AS("flows", sweep_counters, swept, COUNTER, "flows",
		  "flows that no worker remembered and that were ended"),
	METRIC(sweep_counters, left, COUNTER, "flows", "flows that a round left to the next"),
};
METRICS(sweep_metrics, "swept", sweep_counters, rows);
