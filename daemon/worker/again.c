#include "worker/inner.h"

#include "base/ring.h"
#include "policy/counted.h"
#include "policy/lockdown.h"

#include <netinet/in.h>
#include <string.h>
#include <urcu.h>

/* A portion takes about a quarter of the time that passes, however loaded the queue is: packets
 * that come meanwhile wait for no more than the least of it, a millionth of a second a flow, or for
 * as long as nothing came before them. */
enum { AGAIN_LEAST = 64, AGAIN_MOST = 8192 };
#define AGAIN_EACH  (4 * INT64_C(1000)) /* ns */
#define SWEEP_EVERY (5 * NS_PER_MS)
#define QUIET       (40 * NS_PER_MS) /* less than a sender waits before it repeats (RFC 6298) */

/* Allowed until now, and the kernel was asked to end it. */
static void cut_told(struct worker *w, struct flow *f, bool closed)
{
	if (!closed) {
		flow_say_cut(w, f);
	} else if (f->unsaid) { /* its end is yet to be told */
		f->outcome = flow_outcome_before(f);
		f->unsaid = false;
		f->state = FLOW_ALLOWED;
	}
}

/* Cut by an earlier process, which may have been killed before it could say so. */
static void cut_before(struct worker *w, struct flow *f)
{
	flow_identify(w, f);
	const struct facts facts = flow_facts(w, f, false);
	struct outcome o = flow_ask(w, f, &facts);
	if (o.action == ACTION_ALLOW || flow_overlooks(w, f, o))
		return;
	f->outcome = o;
	f->state = FLOW_DENIED;
	f->unsaid = true;
}

/* The kernel drops the entry of a connection that was reset when its ports open the next one, and
 * tells it after that one's SYN came up. */
static void flow_ended(struct worker *w, const struct flow_ended *e)
{
	struct flow *f = flow_find(w->flows, &e->key);
	if (f && e->what != FLOW_OVER)
		cut_told(w, f, e->what == FLOW_CLOSED);
	if (!f || f->ended || e->what != FLOW_OVER || f->first > e->after)
		return;
	if (w->now < e->last)
		w->now = e->last;
	if (e->denied && f->state == FLOW_ALLOWED)
		cut_before(w, f);
	if (e->denied)
		flow_say_cut(w, f);
	else if (f->unsaid)
		f->outcome.reason = f->was;
	flow_conclude(w, f);
	if (f->passed)
		flow_record_ended(w, f, e);
	f->ended = true;
	f->metered = 0;
	f->last = w->now;
	if (flow_key_of(f)->transport == IPPROTO_TCP)
		flow_forget(w, f);
}

void worker_take_ended(struct worker *w)
{
	const struct flow_ended *e;
	if (!w->o.ended)
		return;
	while ((e = ring_peek(w->o.ended))) {
		flow_ended(w, e);
		ring_release(w->o.ended);
	}
}

static struct flow *holder_of(struct held_flow *h)
{
	return ((struct holding *)h)->flow;
}

/* A hello that did not become whole in time is denied, also where what came of it was let go; one
 * whose sender has been silent for a while, as if it waited for an acknowledgement, is let go. */
void worker_sweep(struct worker *w)
{
	struct source *s = w->o.source;
	struct held_flow *h;
	if (w->now - w->swept < SWEEP_EVERY || !held_waits(w->held))
		return;
	w->swept = w->now;
	while ((h = held_overdue(w->held, w->now, w->o.config->hello_timeout))) {
		struct flow *f = holder_of(h);
		bool told = h->count > 0; /* by the verdict on these */
		flow_conclude(w, f);
		if (!told && f->state == FLOW_DENIED)
			s->ops->remark(s, flow_key_of(f), f->named.isn, VERDICT_DENIED);
	}
	while ((h = held_quiet(w->held, w->now - QUIET)))
		if (!flow_let_go(w, holder_of(h), false))
			h->at = INT64_MAX;
}

/* ---- deciding again ---- */

/* While a flow lives, other flows of its client may go to the same name and address, however long
 * ago DNS told of it. */
static void keep_name(struct worker *w, const struct flow *f)
{
	if (f->named.evidence == EVIDENCE_SNI_DNS || f->named.evidence == EVIDENCE_HOST_DNS)
		seen_refresh(w->o.seen, &flow_key_of(f)->client, &flow_key_of(f)->server,
			     naming_host(&f->named), w->now);
}

/* Denied for the bytes of the flow itself, after they had told a name, or whatever the policy says:
 * the name that stands in the flow is not what was denied. */
static bool denied_for_bytes(const struct flow *f)
{
	enum reason r = f->outcome.reason;
	return r == REASON_OVERLAP_CONFLICT ||
	       (f->named.evidence > EVIDENCE_DNS && r >= REASON_NAME_BAD && r <= REASON_FRAGMENT);
}

/* False: the kernel can't be told now; the flow is as it was, and the walk comes back to it. */
static bool flow_again(struct worker *w, struct flow *f)
{
	struct source *s = w->o.source;
	if (f->state != FLOW_ALLOWED && f->state != FLOW_DENIED)
		return true;
	flow_identify(w, f);
	const struct facts facts = flow_facts(w, f, false);
	struct outcome o = flow_ask(w, f, &facts);
	bool overlooked = flow_overlooks(w, f, o);
	bool allow = o.action == ACTION_ALLOW || overlooked;
	if (f->state == FLOW_ALLOWED && !allow) {
		if (!f->ended && !s->ops->remark(s, flow_key_of(f), f->named.isn, VERDICT_DENIED))
			return false;
		COUNT(w->counters.again);
		f->was = f->outcome.reason;
		f->unsaid = w->o.ended && f->recorded; /* it may be over: the kernel tells */
		flow_give_held(w, f, flow_record(w, f, o, false));
	} else if (f->state == FLOW_DENIED && allow && (overlooked || !denied_for_bytes(f))) {
		if (!s->ops->remark(s, flow_key_of(f), f->named.isn, VERDICT_PENDING))
			return false;
		COUNT(w->counters.again);
		flow_record_repeats(w, f);
		flow_forget(w, f);
	} else if (f->state == FLOW_ALLOWED) {
		f->outcome = o; /* another line may allow it now */
		if (snapshot_counted(w->snapshot))
			counted_use(snapshot_counted(w->snapshot), w->o.index, &o, wall(w));
		keep_name(w, f);
		return flow_count_use(w, f, false);
	}
	return true;
}

/* A schedule's edge, names of living flows to keep, or the wall clock was set: past an edge, or
 * back before one. */
static bool again_due(const struct worker *w)
{
	int64_t set = w->ahead - w->again_ahead;
	return (w->again_edge && wall(w) >= w->again_edge) || w->now >= w->again_names ||
	       set >= NS_PER_S || set <= -NS_PER_S;
}

/* After a reload, a login, a logout, a lockdown, an expiry, a quota that is used up or a schedule's
 * edge the table is
 * decided again, in portions between bursts; undecided flows meet the new policy by themselves. */
void worker_decide_again(struct worker *w)
{
	uint64_t sessions = sessions_generation(w->o.sessions);
	const char *policy = snapshot_digest(w->snapshot);
	uint64_t locks = snapshot_lock_generation(w->snapshot);
	uint64_t spent = snapshot_spent_generation(w->snapshot);
	if (strcmp(w->again_for, policy) != 0 || w->again_sessions != sessions ||
	    w->again_locks != locks || w->again_spent != spent || w->untold || again_due(w)) {
		w->again_locks = locks;
		w->again_spent = spent;
		w->untold = false;
		strcpy(w->again_for, policy);
		w->again_sessions = sessions;
		w->again_edge = snapshot_next_edge(w->snapshot, wall(w));
		w->again_names = w->now + w->o.config->name_grace / 2 + NS_PER_S;
		w->again_ahead = w->ahead;
		w->again_slot = 0;
		w->again_walked = w->again ? w->again_walked : w->now;
		w->again = true;
	}
	int64_t portion = (w->now - w->again_walked) / AGAIN_EACH;
	portion = portion < AGAIN_LEAST ? AGAIN_LEAST : portion > AGAIN_MOST ? AGAIN_MOST : portion;
	w->again_walked = w->now;
	for (int64_t i = 0; w->again && i < portion; i++) {
		struct flow *f = flow_each(w->flows, &w->again_slot);
		if (!f)
			w->again = false;
		else if (!flow_again(w, f)) {
			w->again_slot = flow_slot(w->flows, f);
			return;
		}
	}
}

/* ---- from and to outside ---- */

void worker_flow_ended(struct worker *w, const struct flow_ended *e)
{
	rcu_read_lock();
	worker_snapshot(w);
	flow_ended(w, e);
	rcu_read_unlock();
}

void worker_known(const struct worker *w, struct lookup *l)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct flow_key *k = &l->key[i];
		const struct flow_key back = {k->server, k->client, k->server_port, k->client_port,
					      k->transport}; /* picked up mid-stream */
		if (flow_known(w->flows, k) || flow_known(w->flows, &back))
			atomic_store_explicit(&l->known[i], true, memory_order_relaxed);
	}
	atomic_fetch_sub_explicit(&l->waiting, 1, memory_order_release);
}
