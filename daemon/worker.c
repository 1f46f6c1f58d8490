/* A packet enters on the left, a decision leaves on the right: bytes -> flow -> first bytes -> name
 * -> who -> policy -> verdict and record. Everything here belongs to one thread; `now` is the
 * arrival's. */
#include "worker_inner.h"

#include "name/dns_watch.h"
#include "source/copies.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <urcu.h>

enum { STREAMS_EACH = 16 };    /* one host has a sixteenth of the streams, as of what is held */
#define WINDOW_MAX (16u << 20) /* no server offers so much to a flow of so few bytes */
#define UDP_GRACE  (300 * NS_PER_S) /* design, section 1: a quiet QUIC connection comes back */

/* ---- a client's packet ---- */

static void pass(struct worker *w, struct flow *f, const struct packet *p, uint64_t id)
{
	naming_passed(f, p);
	give(w, id, VERDICT_PENDING);
}

static void hold(struct worker *w, struct flow *f, uint64_t id)
{
	if (held_add(w->held, f, id, w->now))
		COUNT(w->counters.held);
	else if (naming_waits_for_sender(f))
		give(w, id, VERDICT_DROP);
	else
		deny(w, f, REASON_HELD_FULL, id);
}

/* The name is not whole yet: the packet waits in the queue. It passes where observe mode only looks
 * on, and before STARTTLS, where the server has to answer or no hello ever comes. */
static void wait_for_more(struct worker *w, struct flow *f, const struct packet *p,
			  const struct naming *n, uint64_t id)
{
	if (n->nothing_new) {
		pass(w, f, p, id);
	} else if (observing(w) || naming_is_plain(f, n)) {
		naming_passed(f, p);
		f->state = FLOW_NEW;
		apply(w, f, VERDICT_PENDING, id);
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

/* A packet of an allowed flow whose later hellos or requests matter; or, where it is joined
 * already, what else stands in the packet that completed the first of them. */
static void later_bytes(struct worker *w, struct flow *f, const struct packet *p, bool joined,
			uint64_t id)
{
	struct naming n;
	naming_later(&w->namer, f, joined ? NULL : p, &n);
	while (n.parse == PARSE_OK && n.broken == REASON_COUNT) {
		naming_weigh(&w->namer, f, &n, w->now);
		enum verdict v = settle(w, f, judge(w, f, &n), false);
		if (f->state == FLOW_DENIED) {
			apply(w, f, v, id);
			return;
		}
		naming_later(&w->namer, f, NULL, &n);
	}
	if (n.parse == PARSE_MORE && n.lost && !observing(w)) {
		give(w, id, VERDICT_DROP);
	} else if (n.parse == PARSE_MORE && n.nothing_new) {
		pass(w, f, p, id);
	} else if (n.parse == PARSE_MORE && (n.may_pass || observing(w))) {
		naming_passed(f, p);
		apply(w, f, f->live ? VERDICT_PENDING : VERDICT_ALLOWED, id);
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
	bool joined = f->stream;
	if (o.action == ACTION_ALLOW)
		naming_follow(&w->namer, f, &n,
			      snapshot_settings(w->snapshot)->http == CONFIG_HTTP_EVERY);
	enum verdict v = settle(w, f, o, false);
	if (f->live && f->state == FLOW_ALLOWED)
		later_bytes(w, f, p, joined || p->transport == IPPROTO_UDP, id);
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
	const struct facts facts = facts_of(w, f, true);
	struct outcome o = decide_early(w->snapshot, &facts, w->names, count, wall(w));
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
	/* After data a SYN opens nothing, and what is held or passed must not be forgotten. */
	if (p->tcp_flags & TCP_SYN && f->started) {
		give(w, id, observing(w) ? VERDICT_PENDING : VERDICT_DROP);
		return;
	}
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
		.host_key = f->host_key,
		.first = now,
		.repeats = f->repeats,
		.repeat_said = f->repeat_said,
	};
	*f = fresh;
}

/* Bytes counted from another start would be judged in the place of others: within the server's
 * window a SYN with another number has to wait until the kernel tells that the old flow is over, or
 * its client has reset it. */
static bool moves_the_start(const struct worker *w, const struct flow *f, const struct packet *p)
{
	if (p->transport != IPPROTO_TCP || !(p->tcp_flags & TCP_SYN) || !f->syn_seen || f->ended ||
	    f->reset || observing(w) || f->state == FLOW_DENIED ||
	    (f->state == FLOW_ALLOWED && !f->live))
		return false;
	uint32_t ahead = p->seq + 1 - (f->isn + (uint32_t)f->unsent);
	return p->seq + 1 != f->isn && ahead + WINDOW_MAX < 2 * WINDOW_MAX;
}

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
	if (f->state == FLOW_ALLOWED && p && naming_follows(f, p)) {
		later_bytes(w, f, p, false, id);
		return;
	}
	if (f->state == FLOW_ALLOWED) {
		give(w, id, f->live ? VERDICT_PENDING : VERDICT_ALLOWED);
		return;
	}
	repeat(w, f);
	give(w, id, denial(w, f));
	answer(w, f); /* the answer may have been lost */
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

static void take_mac(struct flow *f, const struct arrival *a)
{
	f->has_mac = a->has_mac;
	memcpy(f->mac, a->mac, sizeof f->mac);
}

static struct flow *flow_of(struct worker *w, const struct flow_key *key, const struct arrival *a)
{
	struct flow *f = flow_find(w->flows, key);
	if (f)
		return f;
	const struct host_key host = whose(w, &key->client);
	f = flow_add(w->flows, key, &host, w->now, evicted, w);
	if (!f)
		return NULL;
	COUNT(w->counters.flows);
	take_mac(f, a);
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
	/* nothing to answer that could be trusted */
	apply(w, f, v == VERDICT_DENIED ? VERDICT_DROP : v, id);
}

/* A server's socket leaves an urgent byte out of what it reads (RFC 6093 section 3.1), so that it
 * may read another name than we do; the pointer may come ahead of its byte. */
static bool is_urgent(const struct flow *f, const struct packet *p)
{
	return p->transport == IPPROTO_TCP && p->tcp_flags & TCP_URG && f->state != FLOW_DENIED &&
	       (f->state != FLOW_ALLOWED || f->live);
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
	if (moves_the_start(w, f, &p)) {
		give(w, a->id, VERDICT_DROP);
		return;
	}
	if ((f->state != FLOW_NEW || f->started) && begins_anew(w, f, &p)) {
		if (!was_denied || f->held_count)
			conclude(w, f);
		flow_clear(f, w->now);
		take_mac(f, a);
	}
	if (p.transport == IPPROTO_TCP && p.tcp_flags & TCP_RST)
		f->reset |= p.seq == f->isn + (uint32_t)f->unsent;
	f->last = w->now;
	f->ended = false; /* UDP: it goes on, and the kernel follows it again */
	session_touch(w->o.sessions, &f->key.client, w->now);
	if (f->state == FLOW_DENIED || (f->state == FLOW_ALLOWED && !is_urgent(f, &p))) {
		known_flow(w, f, &p, a->id);
		return;
	}
	identify(w, f);
	if (is_urgent(f, &p))
		deny(w, f, REASON_PACKET_MALFORMED, a->id);
	else if (p.transport == IPPROTO_TCP)
		tcp_packet(w, f, &p, a->id, was_denied ? &before : NULL);
	else
		first_bytes(w, f, &p, a->id);
}

/* A query to a resolver or its answer: known before the verdict, so that a name is there before the
 * first connection to it can begin. Never denied. */
static void dns_packet(struct worker *w, const struct arrival *a)
{
	COUNT(w->counters.dns);
	dns_watch_bytes(w->dns, a->bytes, a->len, !a->answer, w->now);
	give(w, a->id, VERDICT_PENDING);
}

/* ---- the turn ---- */

static void take_time(struct worker *w, const struct arrival *a)
{
	w->now = a->now;
	w->ahead = a->ahead;
}

int worker_turn(struct worker *w)
{
	struct source *s = w->o.source;
	int n = s->ops->receive(s, w->burst, BURST);
	if (n < 0)
		return n;
	if (n)
		take_time(w, &w->burst[0]);
	else if (s->ops->now)
		w->now = s->ops->now(s, &w->ahead);
	if (w->o.copies)
		copies_read(w->o.copies, w->now);
	rcu_read_lock();
	w->snapshot = rcu_dereference(*w->o.snapshot);
	decide_again(w);
	for (int i = 0; i < n; i++) {
		w->at = &w->burst[i];
		take_time(w, w->at);
		COUNT(w->counters.packets);
		if (w->burst[i].kind == ARRIVAL_DNS)
			dns_packet(w, &w->burst[i]);
		else
			client_packet(w, &w->burst[i]);
	}
	w->at = NULL;
	take_ended(w);
	sweep(w);
	rcu_read_unlock();
	s->ops->flush(s);
	return 0;
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
	w->namer.shares = shares_new(o->config->streams, o->config->streams / STREAMS_EACH);
	w->held = held_new(o->config->held, o->config->held_per_client);
	if (!o->copies)
		w->dns = dns_watch_new(DNS_QUESTIONS, DNS_CONNECTIONS, o->seen);
	w->namer.quic = quic_new();
	if (!(w->dns || o->copies) || !w->flows || !w->namer.streams || !w->namer.shares ||
	    !w->held || !w->namer.quic) {
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
	shares_free(w->namer.shares);
	held_free(w->held);
	dns_watch_free(w->dns);
	quic_free(w->namer.quic);
	free(w);
}

void worker_count(const struct worker *w, struct worker_counters *out)
{
	const uint64_t *from = (const uint64_t *)&w->counters;
	uint64_t *to = (uint64_t *)out;
	for (size_t i = 0; i < sizeof *out / sizeof *to; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}
