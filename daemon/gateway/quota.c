/* Quotas: workers tell which flows count for whom, the kernel tells what moves over them, and who
 * has used up a quota is told over the policy in force. */
#include "gateway/inner.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <urcu.h>

#define POLL_USEC (200 * 1000ULL)

/* ---- what a worker calls ---- */

bool lane_use(void *ctx, const struct flow_use *use)
{
	struct lane *l = ctx;
	struct flow_use *slot = ring_claim(l->uses);
	if (!slot)
		return false; /* counted; the worker comes back to the flow */
	*slot = *use;
	ring_publish(l->uses);
	eventfd_write(l->gateway->remark_fd, 1);
	return true;
}

/* ---- flows ---- */

static void moved(void *ctx, uint32_t account, uint64_t bytes)
{
	usage_add(((struct gateway *)ctx)->usage, account, bytes, clock_wall());
}

static void left(void *ctx, uint32_t account)
{
	usage_release(((struct gateway *)ctx)->usage, account);
}

static void take_use(struct gateway *g, const struct flow_use *use, int64_t now)
{
	if (!use->account.id) {
		meter_forget(g->meter, &use->key);
		return;
	}
	uint32_t account = usage_hold(g->usage, &use->account, clock_wall());
	if (account == USAGE_NONE)
		LOG_LIMITED(log_error, now,
			    "more users and hosts than bounds.quotas = %u use quotas at once: what "
			    "the others use is not counted; raise it, and restart tiergated",
			    g->config->quotas);
	else if (!meter_watch(g->meter, &use->key, account, use->young, now))
		usage_release(g->usage, account);
}

void quotas_take(struct gateway *g)
{
	int64_t now = clock_now();
	for (unsigned i = 0; g->meter && i < g->lane_count; i++) {
		const struct flow_use *use;
		while (g->lanes[i].uses && (use = ring_peek(g->lanes[i].uses))) {
			take_use(g, use, now);
			ring_release(g->lanes[i].uses);
		}
	}
	if (g->meter && meter_flows(g->meter) && g->meter_turn)
		sd_event_source_set_enabled(g->meter_turn, SD_EVENT_ONESHOT);
}

/* A worker tells of a flow before its first packet goes on: what ends has been told. */
void quotas_ended(struct gateway *g, const struct flow_key *key, uint64_t bytes, int64_t after)
{
	quotas_take(g);
	if (g->meter)
		meter_ended(g->meter, key, bytes, after);
}

bool quotas_each_spent(struct gateway *g, uint32_t *slot, struct flow_key *key)
{
	uint32_t account;
	uint64_t seen;
	while (meter_each(g->meter, slot, key, &account, &seen))
		if (usage_is_spent(g->usage, account))
			return true;
	return false;
}

/* ---- who has used it up ---- */

static void say_failed(void)
{
	LOG_LIMITED(log_error, clock_now(),
		    "not enough memory for those who have used up a quota; they go on");
}

/* Tried again with the next tick where memory ran out. What was used up is on disk before any flow
 * ends by it: no kill gives it anew to who was cut. */
static void put_in_force(struct gateway *g)
{
	bool failed;
	struct spent *p = usage_spent(g->usage, clock_wall(), &failed);
	if (failed) {
		say_failed();
		return;
	}
	quotas_keep(g);
	struct spent *old = snapshot_spend(g->snapshot, p);
	if (old)
		synchronize_rcu();
	spent_free(old);
	g->spent_changed = true;
}

void quotas_over(struct gateway *g, struct snapshot *s)
{
	bool failed;
	if (!g->usage)
		return;
	usage_policy(g->usage, s, clock_wall());
	spent_free(snapshot_spend(s, usage_spent(g->usage, clock_wall(), &failed)));
	if (failed)
		say_failed();
}

static int on_turn(sd_event_source *s, uint64_t usec, void *ctx)
{
	struct gateway *g = ctx;
	meter_poll(g->meter, clock_now());
	if (usage_changed(g->usage))
		put_in_force(g);
	sd_event_source_set_time_relative(s, POLL_USEC);
	return sd_event_source_set_enabled(s,
					   meter_flows(g->meter) ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

void quotas_tick(struct gateway *g)
{
	quotas_take(g);
	usage_tick(g->usage, clock_wall());
	if (usage_changed(g->usage))
		put_in_force(g);
}

/* ---- over restarts ---- */

/* When all quotas have begun anew: nothing of before counts then. */
static int64_t all_anew(const struct gateway *g, int64_t now)
{
	size_t count;
	const struct quota *const *quota = snapshot_quotas(g->snapshot, &count);
	int64_t start, end, last = 0;
	for (size_t i = 0; i < count; i++) {
		quota_period(quota[i], now, &start, &end);
		last = end > last ? end : last;
	}
	return last;
}

void quotas_load(struct gateway *g)
{
	bool lost;
	int error = 0;
	unsigned count = state_load_quotas(g->store, g->usage, g->meter, clock_now(), &lost);
	g->quotas_lost = state_load_quotas_lost(g->store);
	if (count)
		log_info("remembered: what %u users and hosts have used of a quota", count);
	if (lost) { /* said by the next process, too, which finds a good file */
		g->quotas_lost = all_anew(g, clock_wall());
		error = state_save_quotas_lost(g->store, g->quotas_lost);
	}
	if (error)
		log_warn("%s: that quotas were lost could not be kept: %s", g->config->state_dir,
			 strerror(-error));
	quotas_over(g, g->snapshot);
}

int64_t quotas_lost(const struct gateway *g)
{
	return g->quotas_lost > clock_wall() ? g->quotas_lost : 0;
}

uint64_t gateway_used(void *ctx, const struct quota *q, const struct quota_who *who)
{
	return usage_of(((struct gateway *)ctx)->usage, q, who, clock_wall());
}

/* ---- lifecycle ---- */

bool quotas_open(struct gateway *g, struct errors *errors)
{
	const struct meter_options o = {
		.flows = g->config->flows,
		.moved = moved,
		.left = left,
		.ctx = g,
	};
	g->usage = usage_new(g->config->quotas);
	if (!g->usage) {
		errors_add(errors, NULL, 0, "not enough memory for the table of quotas");
		return false;
	}
	quotas_over(g, g->snapshot);
	g->meter = meter_open(&o, errors);
	return g->meter && sd_event_add_time_relative(g->event, &g->meter_turn, CLOCK_MONOTONIC,
						      POLL_USEC, POLL_USEC / 8, on_turn, g) >= 0;
}

void quotas_close(struct gateway *g)
{
	sd_event_source_disable_unref(g->meter_turn);
	meter_close(g->meter);
	usage_free(g->usage);
}
