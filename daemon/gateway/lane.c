#include "gateway/inner.h"

#include "base/handover.h"
#include "base/log.h"
#include "source/mark.h"
#include "source/nfqueue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <urcu.h>

#define LANE_RING      4096
#define MEMORY_PORTION 2048 /* flows copied for the state file between two bursts */
#define STUCK_TICKS    5    /* seconds without a turn: the watchdog is no longer fed */

/* ---- what a worker calls ---- */

static bool lane_record(void *ctx, const struct decision *d)
{
	struct lane *l = ctx;
	struct decision *slot = ring_claim(l->records);
	if (!slot)
		return false;
	*slot = *d;
	ring_publish(l->records);
	if (snapshot_settings(rcu_dereference(l->gateway->snapshot))->audit != CONFIG_AUDIT_STRICT)
		return true;
	struct sink_counters c;
	sink_count(l->gateway->sink, &c);
	return !c.failing;
}

static bool lane_remark(void *ctx, const struct flow_key *key, uint32_t isn, enum verdict v)
{
	struct lane *l = ctx;
	struct remark *slot = ring_claim(l->remarks);
	if (!slot)
		return false; /* counted; the worker comes back to the flow in its next turn */
	*slot = (struct remark){*key, isn, v};
	ring_publish(l->remarks);
	eventfd_write(l->gateway->remark_fd, 1);
	return true;
}

static void lane_ask(void *ctx, const struct address *a)
{
	struct lane *l = ctx;
	struct address *slot = ring_claim(l->asks);
	if (!slot)
		return; /* the packet comes again */
	*slot = *a;
	ring_publish(l->asks);
	eventfd_write(l->gateway->remark_fd, 1);
}

/* A portion of the table a turn, so that packets do not wait for the state file. */
static void lane_remember(struct lane *l)
{
	size_t room = l->gateway->config->flows - l->memory_count;
	size_t portion = room < MEMORY_PORTION ? room : MEMORY_PORTION;
	l->memory_count += worker_remember(l->worker, &l->memory_slot, false,
					   l->memory + l->memory_count, portion);
	if (l->memory_slot == UINT32_MAX || portion == 0)
		atomic_store_explicit(&l->remember, false, memory_order_release);
}

/* What top -H shows. A thread's name is its own to set: another's is a file, and shut. */
static void name_thread(const struct lane *l)
{
	char name[16];
	const struct gateway *g = l->gateway;
	snprintf(name, sizeof name, "queue %u",
		 (unsigned)(g->config->queue_first + (l - g->lanes)));
	pthread_setname_np(pthread_self(), name);
}

static void *lane_run(void *arg)
{
	struct lane *l = arg;
	int r = 0;
	name_thread(l);
	rcu_register_thread();
	while (!atomic_load_explicit(&l->stop, memory_order_relaxed) && r == 0) {
		r = worker_turn(l->worker);
		if (atomic_load_explicit(&l->remember, memory_order_acquire))
			lane_remember(l);
		struct lookup *lookup = atomic_load_explicit(&l->lookup, memory_order_acquire);
		if (lookup) {
			l->lookup = NULL;
			worker_known(l->worker, lookup);
		}
		atomic_fetch_add_explicit(&l->turns, 1, memory_order_relaxed);
	}
	l->failed = r;
	rcu_unregister_thread();
	return NULL;
}

/* ---- the main thread's events ---- */

void lanes_moved(void *ctx, const struct address *client, uint64_t bytes)
{
	session_flow_ended(((struct gateway *)ctx)->sessions, client, bytes);
}

void lanes_ended(void *ctx, const struct flow_key *key, uint64_t bytes, uint64_t packets,
		 int64_t after, int64_t last, bool denied)
{
	struct gateway *g = ctx;
	quotas_ended(g, key, bytes, after);
	/* Which queue a flow went to is the kernel's hash: all are told, one knows it. */
	for (unsigned i = 0; i < g->lane_count; i++) {
		struct flow_ended *slot = ring_claim(g->lanes[i].ended);
		if (!slot)
			continue;
		*slot = (struct flow_ended){*key, FLOW_OVER, bytes, packets, after, last, denied};
		ring_publish(g->lanes[i].ended);
	}
}

static void tell_cut(struct lane *l, const struct flow_key *key, bool closed)
{
	struct flow_ended *slot = ring_claim(l->ended);
	if (!slot)
		return; /* said with its next packet */
	*slot = (struct flow_ended){.key = *key, .what = closed ? FLOW_CLOSED : FLOW_CUT};
	ring_publish(l->ended);
}

static void remark(struct gateway *g, struct lane *l, const struct remark *r)
{
	if (r->verdict == VERDICT_DROP) {
		conntrack_forget_closed(g->conntrack, &r->key);
		return;
	}
	bool ends = r->verdict == VERDICT_DENIED;
	bool closed = ends && conntrack_closed(g->conntrack, &r->key);
	if (!closed)
		closed = conntrack_remark(g->conntrack, &r->key, r->isn, r->verdict) == -ENOENT;
	if (ends)
		tell_cut(l, &r->key, closed);
}

/* A denied flow's next packet from either side is rejected with the right numbers; a probe makes an
 * idle flow send one. */
int lanes_remarks(sd_event_source *s, int fd, uint32_t events, void *ctx)
{
	struct gateway *g = ctx;
	eventfd_t count;
	eventfd_read(fd, &count);
	for (unsigned i = 0; i < g->lane_count; i++) {
		const struct remark *r;
		while ((r = ring_peek(g->lanes[i].remarks))) {
			remark(g, &g->lanes[i], r);
			ring_release(g->lanes[i].remarks);
		}
		identity_ask(g, g->lanes[i].asks);
	}
	quotas_take(g);
	return 0;
}

/* ---- one lane ---- */

bool lane_open(struct gateway *g, unsigned i, struct errors *errors)
{
	struct lane *l = &g->lanes[i];
	l->gateway = g;
	l->records = sink_ring(g->sink, i);
	l->ended = ring_new(LANE_RING, sizeof(struct flow_ended));
	l->remarks = ring_new(LANE_RING, sizeof(struct remark));
	l->asks = ring_new(LANE_RING, sizeof(struct address));
	l->uses = ring_new(LANE_RING, sizeof(struct flow_use));
	char name[32];
	snprintf(name, sizeof name, "queue-%u", g->config->queue_first + i);
	const struct nfqueue_options q = {
		.queue = (uint16_t)(g->config->queue_first + i),
		.length = g->config->queue_length,
		.fail_open = g->config->when_full == CONFIG_OPEN,
		.mark_mask = g->config->mark_mask,
		.epoch = g->epoch,
		.kept = handover_take(name),
		.raw4 = g->raw4,
		.raw6 = g->raw6,
		.remark = lane_remark,
		.ctx = l,
	};
	l->source = nfqueue_open(&q, errors);
	if (!l->source)
		return false;
	handover_keep(name, nfqueue_fd(l->source));
	const struct worker_options w = {
		.source = l->source,
		.seen = g->seen,
		.copies = g->copies,
		.sessions = g->sessions,
		.onlink = g->onlink,
		.snapshot = &g->snapshot,
		.config = g->config,
		.ended = l->ended,
		.record = lane_record,
		.use = lane_use,
		.ask = lane_ask,
		.ctx = l,
		.index = i,
	};
	l->memory = calloc(g->config->flows, sizeof *l->memory);
	l->worker =
		l->ended && l->remarks && l->asks && l->uses && l->memory ? worker_new(&w) : NULL;
	if (!l->worker)
		errors_add(errors, NULL, 0, "not enough memory for queue %u", q.queue);
	return l->worker != NULL;
}

int lane_start(struct lane *l)
{
	int r = -pthread_create(&l->thread, NULL, lane_run, l);
	l->running = r == 0;
	return r;
}

bool lane_check(struct lane *l)
{
	struct gateway *g = l->gateway;
	uint64_t turns = l->turns;
	l->stuck = turns == l->turns_seen ? l->stuck + 1 : 0;
	l->turns_seen = turns;
	if (l->failed) {
		log_error("queue %u: %s; stopping so that systemd can start again",
			  (unsigned)(g->config->queue_first + (l - g->lanes)),
			  strerror(-l->failed));
		g->status = 3;
		sd_event_exit(g->event, 0);
	}
	return l->stuck < STUCK_TICKS;
}

void lane_stop(struct lane *l)
{
	l->stop = true;
	if (l->running)
		pthread_join(l->thread, NULL);
}

void lane_close(struct lane *l)
{
	worker_free(l->worker);
	if (l->source)
		l->source->ops->free(l->source);
	ring_free(l->ended);
	ring_free(l->remarks);
	ring_free(l->asks);
	ring_free(l->uses);
	free(l->memory);
}
