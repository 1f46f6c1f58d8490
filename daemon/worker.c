/* A packet enters on the left, a decision leaves on the right: bytes -> flow -> first bytes -> name
 * -> who -> policy -> verdict and record. Everything here belongs to one thread; `now` is the
 * arrival's. */
#include "worker.h"

#include "base/clock.h"
#include "base/ring.h"
#include "name/dns_watch.h"
#include "name/naming.h"
#include "packet/held.h"
#include "policy/decide.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <urcu.h>

enum { BURST = 64, NAMES = 16, AGAIN_BURST = 8192, DNS_QUESTIONS = 16384, DNS_CONNECTIONS = 64 };
#define UDP_GRACE   (300 * NS_PER_S) /* design, section 1: a quiet QUIC connection comes back */
#define SWEEP_EVERY (100 * NS_PER_MS)
#define REPEAT_SAY  (60 * NS_PER_S)

struct worker {
	struct worker_options o;
	const struct snapshot *snapshot; /* of this burst */
	struct flow_table *flows;
	struct held *held;
	struct dns_watch *dns;
	struct namer namer;
	int64_t now, swept;
	/* deciding again: what the last walk was for, and where the present one stands */
	const struct snapshot *again_for;
	uint64_t again_sessions;
	int64_t again_edge;
	uint32_t again_slot;
	bool again;
	struct worker_counters counters;
	struct arrival burst[BURST];
	struct host names[NAMES]; /* scratch of ask_early */
};

/* One writer, readers elsewhere: a plain store that a reader sees whole. */
#define COUNT_ADD(field, n) __atomic_store_n(&(field), (field) + (n), __ATOMIC_RELAXED)
#define COUNT(field)        COUNT_ADD(field, 1)

static bool observing(const struct worker *w)
{
	return snapshot_mode(w->snapshot) == CONFIG_OBSERVE;
}

static void give(struct worker *w, uint64_t id, enum verdict v)
{
	w->o.source->ops->verdict(w->o.source, id, v);
}

/* ---- who ---- */

static void text_copy(char *to, size_t room, const char *from)
{
	size_t n = strnlen(from, room - 1);
	memcpy(to, from, n);
	to[n] = '\0';
}

static void identify(struct worker *w, struct flow *f)
{
	struct session s;
	if (session_at(w->o.sessions, &f->key.client, w->now, &s)) {
		session_touch(w->o.sessions, &f->key.client, w->now);
		memcpy(f->user, s.user, sizeof f->user);
		memcpy(f->tier, s.tier, sizeof f->tier);
		return;
	}
	const char *user, *tier = snapshot_static(w->snapshot, &f->key.client,
						  f->has_mac ? f->mac : NULL, &user);
	text_copy(f->user, sizeof f->user, user);
	text_copy(f->tier, sizeof f->tier, tier ? tier : "");
}

static struct facts facts_of(const struct flow *f, bool waiting)
{
	return (struct facts){
		.client = f->key.client,
		.server = f->key.server,
		.port = f->key.server_port,
		.transport = f->key.transport,
		.tier = f->tier,
		.host = f->evidence > EVIDENCE_ADDRESS ? &f->host : NULL,
		.evidence = f->evidence,
		.mismatch = f->mismatch,
		.waiting = waiting,
	};
}

static struct outcome ask(struct worker *w, const struct flow *f, bool waiting)
{
	const struct facts facts = facts_of(f, waiting);
	return decide(w->snapshot, &facts, w->now);
}

/* ---- record ---- */

static void describe(struct worker *w, const struct flow *f, enum decision_kind kind,
		     struct decision *d)
{
	memset(d, 0, offsetof(struct decision, host));
	d->time = w->now;
	d->kind = kind;
	d->action = f->state == FLOW_ALLOWED ? ACTION_ALLOW : ACTION_DENY;
	d->reason = f->outcome.reason;
	d->evidence = f->evidence;
	d->protocol = f->protocol;
	d->client = f->key.client;
	d->server = f->key.server;
	d->client_port = f->key.client_port;
	d->server_port = f->key.server_port;
	d->transport = f->key.transport;
	d->has_mac = f->has_mac;
	memcpy(d->mac, f->mac, sizeof d->mac);
	d->host.len = f->host.len;
	memcpy(d->host.text, f->host.text, (size_t)f->host.len + 1);
	memcpy(d->user, f->user, sizeof d->user);
	memcpy(d->tier, f->tier, sizeof d->tier);
	text_copy(d->policy, sizeof d->policy, snapshot_digest(w->snapshot));
	d->rule[0] = d->site[0] = '\0';
	d->count = d->bytes = d->packets = 0;
	d->duration = 0;
}

static bool record_decided(struct worker *w, struct flow *f)
{
	struct decision d;
	describe(w, f, DECISION_DECIDED, &d);
	text_copy(d.rule, sizeof d.rule, snapshot_rule_name(w->snapshot, f->outcome.rule));
	text_copy(d.site, sizeof d.site, snapshot_site_name(w->snapshot, f->outcome.site));
	d.observed = observing(w);
	if (d.observed && f->outcome.action == ACTION_DENY) {
		d.reason = REASON_OBSERVE;
		d.would_deny = true;
		d.would = f->outcome.reason;
	}
	f->recorded = true;
	f->repeats = 0;
	f->repeat_said = w->now;
	return w->o.record(w->o.ctx, &d);
}

/* One record with a repeat count stands for all the retries of a denied flow. */
static void record_repeats(struct worker *w, struct flow *f)
{
	struct decision d;
	if (!f->repeats)
		return;
	describe(w, f, DECISION_REPEATED, &d);
	d.count = f->repeats;
	f->repeats = 0;
	f->repeat_said = w->now;
	w->o.record(w->o.ctx, &d);
}

static void repeat(struct worker *w, struct flow *f)
{
	f->repeats++;
	if (w->now - f->repeat_said >= REPEAT_SAY)
		record_repeats(w, f);
}

/* ---- outcome -> verdict ---- */

static enum verdict denial(const struct worker *w, const struct flow *f)
{
	enum config_on_deny how = snapshot_settings(w->snapshot)->on_deny;
	if (how == CONFIG_DROP)
		return VERDICT_DROP_DENIED;
	if (how == CONFIG_REDIRECT && f->key.transport == IPPROTO_TCP && f->key.server_port == 80 &&
	    f->syn_seen && !f->started)
		return VERDICT_REDIRECT;
	return VERDICT_DENIED;
}

/* Makes an outcome the flow's and says it once. `again`: the same denial as the last time. */
static enum verdict settle(struct worker *w, struct flow *f, struct outcome o, bool again)
{
	f->outcome = o;
	f->state = o.action == ACTION_ALLOW || observing(w) ? FLOW_ALLOWED : FLOW_DENIED;
	if (again) {
		repeat(w, f);
	} else if (!record_decided(w, f) && f->state == FLOW_ALLOWED &&
		   snapshot_settings(w->snapshot)->audit == CONFIG_AUDIT_STRICT) {
		f->state = FLOW_DENIED;
		f->outcome = (struct outcome){ACTION_DENY, REASON_NO_RECORD, RULE_NONE, SITE_NONE};
	}
	f->passed |= f->state == FLOW_ALLOWED;
	if (f->state == FLOW_ALLOWED)
		COUNT(w->counters.allowed);
	else
		COUNT(w->counters.denied);
	COUNT(w->counters.reasons[f->outcome.reason]);
	f->live = f->live && f->state == FLOW_ALLOWED;
	if (!f->live)
		naming_drop(&w->namer, f);
	if (f->state == FLOW_DENIED)
		return denial(w, f);
	return f->live ? VERDICT_PENDING : VERDICT_ALLOWED;
}

/* All or none: the held packets of a flow get its verdict. Of a denied flow the first is rejected,
 * so that the client hears at once, and the rest need no further reset. */
static void release(struct worker *w, struct flow *f, enum verdict v)
{
	uint64_t id;
	while (held_take(w->held, f, &id)) {
		give(w, id, v);
		if (v == VERDICT_DENIED)
			v = VERDICT_DROP;
	}
}

static void tell_server(struct worker *w, const struct flow *f)
{
	if (f->key.transport == IPPROTO_TCP && f->started)
		w->o.source->ops->reset_server(w->o.source, &f->key, f->isn + (uint32_t)f->unsent);
}

/* ---- names ---- */

/* A flow that has no name for a reason of its own is denied for that reason, unless the policy
 * takes the address or the DNS answer for it. */
static struct outcome judge(struct worker *w, struct flow *f, const struct naming *n)
{
	struct outcome o = ask(w, f, false);
	if (o.action == ACTION_ALLOW || f->evidence > EVIDENCE_DNS || o.reason == REASON_NO_TIER ||
	    o.reason == REASON_DENY_LINE)
		return o;
	if (n->broken != REASON_COUNT)
		o.reason = n->broken;
	else if (n->parse == PARSE_BAD)
		o.reason = REASON_HELLO_MALFORMED;
	else if (n->parse == PARSE_OK && n->hello.name == HELLO_NAME_BAD)
		o.reason = REASON_NAME_BAD;
	else if (f->key.transport == IPPROTO_TCP && !f->syn_seen && o.reason == REASON_NO_NAME)
		o.reason = REASON_NAME_FORGOTTEN;
	return o;
}

/* ---- a client's packet ---- */

/* Gives a flow's verdict to its packet and to those that it holds. */
static void apply(struct worker *w, struct flow *f, enum verdict v, uint64_t id)
{
	bool had_held = f->held_count > 0;
	release(w, f, v);
	give(w, id, had_held && v == VERDICT_DENIED ? VERDICT_DROP : v);
	if (v == VERDICT_DENIED)
		tell_server(w, f);
}

static void decided(struct worker *w, struct flow *f, struct outcome o, uint64_t id)
{
	f->live = false;
	apply(w, f, settle(w, f, o, false), id);
}

static void pass(struct worker *w, struct flow *f, const struct packet *p, uint64_t id)
{
	naming_passed(f, p);
	give(w, id, VERDICT_PENDING);
}

static void deny(struct worker *w, struct flow *f, enum reason reason, uint64_t id)
{
	decided(w, f, (struct outcome){ACTION_DENY, reason, RULE_NONE, SITE_NONE}, id);
}

static void hold(struct worker *w, struct flow *f, uint64_t id)
{
	if (held_add(w->held, f, id, w->now))
		COUNT(w->counters.held);
	else
		deny(w, f, REASON_HELD_FULL, id);
}

/* The name is not whole yet: the packet waits in the queue. It passes where observe mode only looks
 * on, and before STARTTLS, where the server has to answer or no hello ever comes. */
static void wait_for_more(struct worker *w, struct flow *f, const struct packet *p,
			  const struct naming *n, uint64_t id)
{
	if (n->nothing_new || observing(w) || naming_is_plain(f, n)) {
		pass(w, f, p, id);
	} else if (p->tcp_flags & TCP_SYN) {
		naming_drop(&w->namer,
			    f); /* the client falls back to a SYN without data, RFC 7413 4.2.2 */
		f->started = false;
		give(w, id, VERDICT_DROP);
	} else {
		f->state = FLOW_HOLDING;
		hold(w, f, id);
	}
}

/* A packet of an allowed flow whose later hellos or requests matter; or, where `first`, what else
 * stands in the packet that completed the first of them. */
static void later_bytes(struct worker *w, struct flow *f, const struct packet *p, bool first,
			uint64_t id)
{
	struct naming n;
	naming_later(&w->namer, f, first ? NULL : p, &n);
	while (n.parse == PARSE_OK && n.broken == REASON_COUNT) {
		naming_weigh(&w->namer, f, &n, w->now);
		enum verdict v = settle(w, f, judge(w, f, &n), false);
		if (f->state == FLOW_DENIED) {
			apply(w, f, v, id);
			return;
		}
		naming_later(&w->namer, f, NULL, &n);
	}
	if (n.parse == PARSE_MORE && (n.nothing_new || observing(w))) {
		naming_passed(f, p);
		apply(w, f, VERDICT_PENDING, id);
	} else if (n.parse == PARSE_MORE) {
		hold(w, f, id);
	} else if (n.parse == PARSE_ABSENT) {
		f->live = false;
		naming_drop(&w->namer, f);
		apply(w, f, VERDICT_ALLOWED, id);
	} else {
		deny(w, f, n.broken != REASON_COUNT ? n.broken : REASON_HELLO_MALFORMED, id);
	}
}

static void first_bytes(struct worker *w, struct flow *f, const struct packet *p, uint64_t id)
{
	struct naming n;
	naming_first(&w->namer, f, p, &n);
	if (n.parse == PARSE_MORE) {
		wait_for_more(w, f, p, &n, id);
		return;
	}
	naming_weigh(&w->namer, f, &n, w->now);
	struct outcome o = judge(w, f, &n);
	if (o.action == ACTION_ALLOW)
		naming_follow(&w->namer, f, p, &n,
			      snapshot_settings(w->snapshot)->http == CONFIG_HTTP_EVERY);
	enum verdict v = settle(w, f, o, false);
	if (f->live && f->state == FLOW_ALLOWED)
		later_bytes(w, f, p, true, id);
	else
		apply(w, f, v, id);
}

/* Where agreement is strict, what DNS told of the address may already be enough to deny. */
static struct outcome ask_early(struct worker *w, struct flow *f)
{
	size_t count =
		seen_names(w->o.seen, &f->key.client, &f->key.server, w->now, w->names, NAMES);
	if (count == NAMES) /* perhaps not all of them */
		count = 0;
	const struct facts facts = facts_of(f, true);
	struct outcome o = decide_early(w->snapshot, &facts, w->names, count, w->now);
	if (o.action == ACTION_DENY) {
		f->host = w->names[0];
		f->evidence = EVIDENCE_DNS;
	}
	return o;
}

/* A SYN: most of what is denied is denied here, most of what is allowed has to show its name first.
 */
static void first_packet(struct worker *w, struct flow *f, uint64_t id,
			 const struct outcome *before)
{
	f->evidence = EVIDENCE_ADDRESS;
	struct outcome o = ask(w, f, true);
	if (o.action == ACTION_WAIT && !observing(w))
		o = ask_early(w, f);
	if (o.action == ACTION_WAIT || observing(w)) {
		COUNT(w->counters.waiting);
		give(w, id, VERDICT_PENDING);
		return;
	}
	if (o.action == ACTION_DENY && f->evidence == EVIDENCE_ADDRESS &&
	    seen_names(w->o.seen, &f->key.client, &f->key.server, w->now, &f->host, 1) == 1)
		f->evidence = EVIDENCE_DNS; /* for who reads the record */
	bool again = before && o.action == ACTION_DENY && o.reason == before->reason;
	give(w, id, settle(w, f, o, again));
}

static void tcp_packet(struct worker *w, struct flow *f, const struct packet *p, uint64_t id,
		       const struct outcome *before)
{
	if (p->tcp_flags & TCP_SYN) {
		f->syn_seen = true;
		f->isn = p->seq + 1;
	}
	if (cursor_left(&p->payload))
		first_bytes(w, f, p, id);
	else if (p->tcp_flags & TCP_SYN)
		first_packet(w, f, id, before);
	else
		pass(w, f, p, id); /* an empty ACK, FIN or RST carries nothing away */
}

/* The same ports begin anew; the table's own fields and the count of repeats go on. */
static void flow_clear(struct flow *f, int64_t now)
{
	struct flow fresh = {
		.key = f->key,
		.used = f->used,
		.next_ = f->next_,
		.first = now,
		.has_mac = f->has_mac,
		.repeats = f->repeats,
		.repeat_said = f->repeat_said,
	};
	memcpy(fresh.mac, f->mac, sizeof fresh.mac);
	*f = fresh;
}

static void conclude(struct worker *w, struct flow *f);

/* A SYN where a flow is remembered: a new connection with the same ports, or the old SYN again. */
static bool begins_anew(const struct worker *w, const struct flow *f, const struct packet *p)
{
	if (f->ended && w->now - f->last > UDP_GRACE)
		return true;
	if (p->transport != IPPROTO_TCP || !(p->tcp_flags & TCP_SYN))
		return false;
	return f->state == FLOW_DENIED || f->ended || f->isn != p->seq + 1;
}

static void known_flow(struct worker *w, struct flow *f, const struct packet *p, uint64_t id)
{
	if (f->state == FLOW_ALLOWED && f->live && p && cursor_left(&p->payload)) {
		later_bytes(w, f, p, false, id);
		return;
	}
	if (f->state == FLOW_ALLOWED) {
		give(w, id, f->live ? VERDICT_PENDING : VERDICT_ALLOWED);
		return;
	}
	repeat(w, f);
	give(w, id, denial(w, f));
}

static struct flow_key key_of(const struct packet *p, bool whole)
{
	return (struct flow_key){p->src, p->dst, whole ? p->src_port : 0, whole ? p->dst_port : 0,
				 p->transport};
}

static void evicted(void *ctx, struct flow *f)
{
	struct worker *w = ctx;
	COUNT(w->counters.evicted);
	conclude(w, f);
}

static struct flow *flow_of(struct worker *w, const struct flow_key *key, const struct arrival *a)
{
	struct flow *f = flow_find(w->flows, key);
	if (f)
		return f;
	f = flow_add(w->flows, key, w->now, evicted, w);
	if (!f)
		return NULL;
	COUNT(w->counters.flows);
	f->has_mac = a->has_mac;
	memcpy(f->mac, a->mac, sizeof f->mac);
	return f;
}

/* Every flow of the table holds packets: denied, and counted rather than recorded. */
static void table_full(struct worker *w, uint64_t id)
{
	COUNT(w->counters.reasons[REASON_TABLE_FULL]);
	give(w, id, observing(w) ? VERDICT_PENDING : VERDICT_DENIED);
}

static void broken_packet(struct worker *w, struct flow *f, enum reason reason, uint64_t id)
{
	COUNT(w->counters.malformed);
	if (f->state == FLOW_DENIED || f->state == FLOW_ALLOWED) {
		known_flow(w, f, NULL, id);
		return;
	}
	identify(w, f);
	f->evidence = EVIDENCE_ADDRESS;
	struct outcome o = {ACTION_DENY, reason, RULE_NONE, SITE_NONE};
	enum verdict v = settle(w, f, o, false);
	give(w, id,
	     v == VERDICT_DENIED ? VERDICT_DROP : v); /* nothing to answer that could be trusted */
}

static void client_packet(struct worker *w, const struct arrival *a)
{
	struct packet p;
	enum packet_parse parsed = (a->cut ? packet_parse_cut : packet_parse)(a->bytes, a->len, &p);
	struct flow_key key = key_of(&p, parsed == PACKET_OK);
	struct flow *f = flow_of(w, &key, a);
	if (!f) {
		table_full(w, a->id);
		return;
	}
	if (parsed != PACKET_OK) {
		broken_packet(w, f,
			      parsed == PACKET_FRAGMENT ? REASON_FRAGMENT : REASON_PACKET_MALFORMED,
			      a->id);
		return;
	}
	struct outcome before = f->outcome;
	bool was_denied = f->state == FLOW_DENIED;
	if (f->state != FLOW_NEW && begins_anew(w, f, &p)) {
		if (!was_denied)
			conclude(w, f);
		flow_clear(f, w->now);
	}
	f->last = w->now;
	if (f->state == FLOW_ALLOWED || f->state == FLOW_DENIED) {
		known_flow(w, f, &p, a->id);
		return;
	}
	identify(w, f);
	if (p.transport == IPPROTO_TCP)
		tcp_packet(w, f, &p, a->id, was_denied ? &before : NULL);
	else
		first_bytes(w, f, &p, a->id);
}

/* A query to a resolver or its answer: known before the verdict, so that a name is there before the
 * first connection to it can begin. Never denied. */
static void dns_packet(struct worker *w, const struct arrival *a)
{
	struct packet p;
	COUNT(w->counters.dns);
	if (packet_parse(a->bytes, a->len, &p) == PACKET_OK)
		dns_watch_packet(w->dns, &p, w->now);
	give(w, a->id, VERDICT_PENDING);
}

/* ---- ends ---- */

/* A flow goes: what is still open of it is said. */
static void conclude(struct worker *w, struct flow *f)
{
	if (f->state == FLOW_NEW && !f->recorded) {
		struct naming n = {.parse = PARSE_ABSENT, .broken = REASON_COUNT};
		if (f->stream) {
			n.parse = PARSE_BAD;
			n.broken = REASON_HELLO_UNFINISHED;
		}
		identify(w, f);
		naming_weigh(&w->namer, f, &n, w->now);
		settle(w, f, judge(w, f, &n), false);
	} else if (f->held_count) {
		f->live = false;
		f->evidence = EVIDENCE_ADDRESS;
		struct outcome o = {ACTION_DENY, REASON_HELLO_UNFINISHED, RULE_NONE, SITE_NONE};
		release(w, f, settle(w, f, o, false));
		tell_server(w, f);
	}
	record_repeats(w, f);
	naming_drop(&w->namer, f);
}

static void flow_ended(struct worker *w, const struct flow_ended *e)
{
	struct flow *f = flow_find(w->flows, &e->key);
	if (!f || f->ended)
		return;
	if (w->now < e->last)
		w->now = e->last;
	conclude(w, f);
	if (f->passed) {
		struct decision d;
		describe(w, f, DECISION_ENDED, &d);
		d.bytes = e->bytes;
		d.packets = e->packets;
		d.duration = e->last - e->first;
		w->o.record(w->o.ctx, &d);
	}
	f->ended = true;
	f->last = w->now;
	if (f->key.transport == IPPROTO_TCP)
		flow_remove(w->flows, f);
}

static void take_ended(struct worker *w)
{
	const struct flow_ended *e;
	if (!w->o.ended)
		return;
	while ((e = ring_peek(w->o.ended))) {
		flow_ended(w, e);
		ring_release(w->o.ended);
	}
}

/* Held packets whose hello did not become whole in time. */
static void sweep(struct worker *w)
{
	struct flow *f;
	if (w->now - w->swept < SWEEP_EVERY)
		return;
	w->swept = w->now;
	while ((f = held_overdue(w->held, w->now - w->o.config->hello_timeout)))
		conclude(w, f);
}

/* ---- deciding again ---- */

/* While a flow lives, other flows of its client may go to the same name and address, however long
 * ago DNS told of it. */
static void keep_name(struct worker *w, const struct flow *f)
{
	if (f->evidence == EVIDENCE_SNI_DNS || f->evidence == EVIDENCE_HOST_DNS)
		seen_refresh(w->o.seen, &f->key.client, &f->key.server, &f->host, w->now);
}

static void flow_again(struct worker *w, struct flow *f)
{
	struct source *s = w->o.source;
	if (f->state != FLOW_ALLOWED && f->state != FLOW_DENIED)
		return;
	identify(w, f);
	struct outcome o = ask(w, f, false);
	bool allow = o.action == ACTION_ALLOW || observing(w);
	if (f->state == FLOW_ALLOWED && !allow) {
		COUNT(w->counters.again);
		settle(w, f, o, false);
		if (!f->ended)
			s->ops->remark(s, f, VERDICT_DENIED);
	} else if (f->state == FLOW_DENIED && allow) {
		COUNT(w->counters.again);
		record_repeats(w, f);
		s->ops->remark(s, f, VERDICT_PENDING);
		flow_remove(w->flows, f);
	} else if (f->state == FLOW_ALLOWED) {
		f->outcome = o; /* another line may allow it now */
		keep_name(w, f);
	}
}

/* When the next walk is due at the latest: a schedule's edge, or names of living flows to keep. */
static int64_t again_edge(const struct worker *w)
{
	int64_t edge = snapshot_next_edge(w->snapshot, w->now);
	int64_t names = w->now + w->o.config->name_grace / 2 + NS_PER_S;
	return edge && edge < names ? edge : names;
}

/* After a reload, a login, a logout, an expiry or a schedule's edge the table is decided again, in
 * portions between bursts; undecided flows meet the new policy by themselves. */
static void decide_again(struct worker *w)
{
	uint64_t sessions = sessions_generation(w->o.sessions);
	if (w->again_for != w->snapshot || w->again_sessions != sessions ||
	    w->now >= w->again_edge) {
		w->again_for = w->snapshot;
		w->again_sessions = sessions;
		w->again_edge = again_edge(w);
		w->again_slot = 0;
		w->again = true;
	}
	for (int i = 0; w->again && i < AGAIN_BURST; i++) {
		struct flow *f = flow_each(w->flows, &w->again_slot);
		if (f)
			flow_again(w, f);
		else
			w->again = false;
	}
}

/* ---- the turn ---- */

int worker_turn(struct worker *w)
{
	struct source *s = w->o.source;
	int n = s->ops->receive(s, w->burst, BURST);
	if (n < 0)
		return n;
	rcu_read_lock();
	w->snapshot = rcu_dereference(*w->o.snapshot);
	if (n)
		w->now = w->burst[0].now;
	else if (s->ops->now)
		w->now = s->ops->now(s);
	decide_again(w);
	for (int i = 0; i < n; i++) {
		w->now = w->burst[i].now;
		COUNT(w->counters.packets);
		if (w->burst[i].kind == ARRIVAL_DNS)
			dns_packet(w, &w->burst[i]);
		else
			client_packet(w, &w->burst[i]);
	}
	take_ended(w);
	sweep(w);
	rcu_read_unlock();
	s->ops->flush(s);
	return 0;
}

void worker_flow_ended(struct worker *w, const struct flow_ended *e)
{
	rcu_read_lock();
	w->snapshot = rcu_dereference(*w->o.snapshot);
	flow_ended(w, e);
	rcu_read_unlock();
}

void worker_finish(struct worker *w)
{
	uint32_t slot = 0;
	struct flow *f;
	rcu_read_lock();
	w->snapshot = rcu_dereference(*w->o.snapshot);
	while ((f = flow_each(w->flows, &slot)))
		conclude(w, f);
	rcu_read_unlock();
	w->o.source->ops->flush(w->o.source);
}

struct worker *worker_new(const struct worker_options *o)
{
	struct worker *w = calloc(1, sizeof *w);
	if (!w)
		return NULL;
	w->o = *o;
	w->flows = flow_table_new(o->config->flows);
	w->namer.streams = stream_pool_new(o->config->streams);
	w->namer.seen = o->seen;
	w->held = held_new(o->config->held, o->config->held_per_client);
	w->dns = dns_watch_new(DNS_QUESTIONS, DNS_CONNECTIONS, o->seen);
	w->namer.quic = quic_new();
	if (!w->dns || !w->flows || !w->namer.streams || !w->held || !w->namer.quic) {
		worker_free(w);
		return NULL;
	}
	return w;
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	flow_table_free(w->flows);
	stream_pool_free(w->namer.streams);
	held_free(w->held);
	dns_watch_free(w->dns);
	quic_free(w->namer.quic);
	free(w);
}

size_t worker_remember(struct worker *w, uint32_t *slot, struct flow_memory *out, size_t max)
{
	size_t count = 0;
	while (count < max) {
		struct flow *f = flow_each(w->flows, slot);
		if (!f) {
			*slot = UINT32_MAX;
			break;
		}
		if (!f->ended && (f->state == FLOW_ALLOWED || f->state == FLOW_DENIED))
			flow_remember(&out[count++], f);
	}
	return count;
}

void worker_restore(struct worker *w, const struct flow_memory *m)
{
	struct flow *f = flow_add(w->flows, &m->key, m->last, NULL, NULL);
	if (f)
		flow_restore(f, m);
}

void worker_count(const struct worker *w, struct worker_counters *out)
{
	const uint64_t *from = (const uint64_t *)&w->counters;
	uint64_t *to = (uint64_t *)out;
	for (size_t i = 0; i < sizeof *out / sizeof *to; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}
