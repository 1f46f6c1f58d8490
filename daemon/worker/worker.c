/* A packet enters on the left, a decision leaves on the right: bytes -> flow -> first bytes -> name
 * -> who -> policy -> verdict and record. Everything here belongs to one thread; `now` is the
 * arrival's. */
#include "worker/inner.h"

#include "dns/dns_watch.h"
#include "source/copies.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <urcu.h>

enum { STREAMS_EACH = 16 }; /* one host has a sixteenth of the streams, as of what is held */
/* So long after a SYN another one may stand in the queue that the kernel took before it heard our
 * verdict on the first: of two new entries on the same ports it keeps one, and does not say which.
 */
#define SYN_RACE  (500 * NS_PER_MS)
#define UDP_GRACE (300 * NS_PER_S) /* a quiet QUIC connection comes back */

/* ---- a client's packet ---- */

static void pass_all(struct worker *w, struct flow *f, const struct packet *p, uint64_t id)
{
	flow_give_held(w, f, VERDICT_PASS);
	flow_pass(w, f, p, id);
}

/* Observe mode only looks on: nothing is held or lost. */
static enum naming_word word_of(const struct worker *w, const struct naming *n)
{
	bool stops = n->word == NAMING_HOLD || n->word == NAMING_AGAIN || n->word == NAMING_LOSE;
	return stops && observing(w) ? NAMING_PASS_ALL : n->word;
}

/* The name is not whole yet: the packet waits in the queue, if the rest can come without it. */
static void wait_for_more(struct worker *w, struct flow *f, const struct packet *p,
			  const struct naming *n, uint64_t id)
{
	enum naming_word word = word_of(w, n);
	if (word == NAMING_LOSE) {
		give(w, id, VERDICT_DROP);
	} else if (word == NAMING_PASS_ALL) {
		f->state = FLOW_NEW;
		pass_all(w, f, p, id);
	} else if (p->tcp_flags & TCP_SYN) {
		naming_drop(&w->namer, &f->named); /* the client falls back to a SYN without data,
						      RFC 7413 4.2.2 */
		f->named.started = false;
		give(w, id, VERDICT_DROP);
	} else if (word == NAMING_AGAIN) {
		flow_hold_repeat(w, f, p, id);
	} else {
		f->state = FLOW_HOLDING;
		flow_hold(w, f, n, id);
	}
}

/* A packet of an allowed flow whose later hellos or requests matter; or, where it is joined
 * already, what else stands in the packet that completed the first of them. */
static void later_bytes(struct worker *w, struct flow *f, const struct packet *p, bool joined,
			uint64_t id)
{
	struct naming n;
	naming_later(&w->namer, &f->named, joined ? NULL : p, &n);
	while (n.word == NAMING_ASK) {
		naming_weigh(&w->namer, &f->named, &n, w->now);
		enum verdict v = flow_record(w, f, flow_judge(w, f, &n), false);
		if (f->state == FLOW_DENIED) {
			flow_give(w, f, v, id);
			return;
		}
		naming_later(&w->namer, &f->named, NULL, &n);
	}
	switch (word_of(w, &n)) {
	case NAMING_LOSE: give(w, id, VERDICT_DROP); break;
	case NAMING_PASS:
		naming_passed(&f->named, p);
		give(w, id, flow_pass_verdict(w, f));
		break;
	case NAMING_DONE:
		f->named.live = false;
		naming_drop(&w->namer, &f->named); /* fall through */
	case NAMING_PASS_ALL:
		naming_passed(&f->named, p);
		flow_give(w, f, flow_pass_verdict(w, f), id);
		break;
	case NAMING_AGAIN: flow_hold_repeat(w, f, p, id); break;
	case NAMING_HOLD: flow_hold(w, f, &n, id); break;
	default: flow_deny(w, f, n.broken != REASON_COUNT ? n.broken : REASON_HELLO_MALFORMED, id);
	}
}

static void first_bytes(struct worker *w, struct flow *f, const struct packet *p, uint64_t id)
{
	struct naming n;
	bool readable = p->transport != IPPROTO_TCP || f->named.syn_seen || observing(w);
	if (readable) {
		naming_first(&w->namer, &f->named, p, &n);
	} else {
		naming_none(&n);
		f->named.isn = f->named.started ? f->named.isn : p->seq;
		f->named.started = true;
	}
	if (n.parse == PARSE_MORE) {
		wait_for_more(w, f, p, &n, id);
		return;
	}
	naming_weigh(&w->namer, &f->named, &n, w->now);
	struct outcome o = flow_judge(w, f, &n);
	bool joined = f->named.stream;
	if (o.action == ACTION_ALLOW && readable)
		naming_follow(&w->namer, &f->named, &n, p,
			      snapshot_settings(w->snapshot)->http == CONFIG_HTTP_EVERY);
	enum verdict v = flow_record(w, f, o, false);
	if (f->named.live && f->state == FLOW_ALLOWED)
		later_bytes(w, f, p, joined || p->transport == IPPROTO_UDP, id);
	else
		flow_give(w, f, v, id);
}

/* Where agreement is strict, what DNS told of the address may already be enough to deny. */
static struct outcome ask_early(struct worker *w, struct flow *f, const struct facts *facts)
{
	size_t count = 0;
	if (decide_wants_agreement(w->snapshot, facts, wall(w)))
		count = seen_names(w->o.seen, &flow_key_of(f)->client, &flow_key_of(f)->server,
				   w->now, w->names, NAMES);
	if (count == NAMES) /* perhaps not all of them */
		count = 0;
	struct outcome o = decide_early(w->snapshot, facts, w->names, count, wall(w));
	if (o.action == ACTION_DENY) {
		naming_set_host(&w->namer, &f->named, &w->names[0]);
		f->named.evidence = EVIDENCE_DNS;
	}
	return o;
}

/* A denied flow that shows no name: what DNS told, for who reads the record. */
static void name_for_record(struct worker *w, struct flow *f)
{
	const struct flow_key *k = flow_key_of(f);
	if (seen_names(w->o.seen, &k->client, &k->server, w->now, w->names, 1) != 1)
		return;
	naming_set_host(&w->namer, &f->named, &w->names[0]);
	f->named.evidence = EVIDENCE_DNS;
}

/* A SYN: most of what is denied is denied here, most of what is allowed has to show its name first.
 */
static void first_packet(struct worker *w, struct flow *f, uint64_t id,
			 const struct outcome *before)
{
	f->named.evidence = EVIDENCE_ADDRESS;
	const struct facts facts = flow_facts(w, f, true);
	struct outcome o = flow_ask(w, f, &facts);
	bool overlooked = flow_overlooks(w, f, o);
	if (o.action == ACTION_WAIT && !overlooked)
		o = ask_early(w, f, &facts);
	if (o.action == ACTION_WAIT || overlooked) {
		COUNT(w->counters.waiting);
		give(w, id, w->at->entry == ENTRY_NONE ? VERDICT_PENDING : VERDICT_PASS);
		return;
	}
	if (o.action == ACTION_DENY && f->named.evidence == EVIDENCE_ADDRESS)
		name_for_record(w, f);
	bool again = before && o.action == ACTION_DENY && o.reason == before->reason;
	give(w, id, flow_record(w, f, o, again));
}

static void tcp_packet(struct worker *w, struct flow *f, const struct packet *p, uint64_t id,
		       const struct outcome *before)
{
	/* Repeated after data: what is held or passed must not be forgotten. */
	if (p->tcp_flags & TCP_SYN && f->named.started) {
		give(w, id, observing(w) ? VERDICT_PASS : VERDICT_DROP);
		return;
	}
	if (p->tcp_flags & TCP_SYN) {
		f->named.syn_seen = true;
		f->named.isn = p->seq + 1;
	}
	if (cursor_left(&p->payload))
		first_bytes(w, f, p, id);
	else if (p->tcp_flags & TCP_SYN)
		first_packet(w, f, id, before);
	else
		flow_pass(w, f, p, id); /* an empty ACK, FIN or RST carries nothing away */
}

static void take_mac(struct flow *f, const struct arrival *a)
{
	f->has_mac = a->has_mac;
	memcpy(f->mac, a->mac, sizeof f->mac);
}

/* The same ports begin anew; the table's own fields and the count of repeats go on. */
static void flow_clear(struct worker *w, struct flow *f)
{
	flow_end(w, f);
	*f = (struct flow){
		.named = {.entry = f->named.entry, .owner = f->named.owner},
		.first = w->now,
		.repeats = f->repeats,
		.repeat_said = f->repeat_said,
	};
}

/* ---- a SYN on ports that are known ---- */

enum syn {
	SYN_OPENS,    /* a new connection */
	SYN_REPEATS,  /* the one that is known */
	SYN_LATE,     /* the same, and its client has the server's answer: no use to anybody */
	SYN_RACES,    /* nobody can tell which of two the kernel will follow */
	SYN_INTRUDES, /* the server has answered another one */
};

/* The start is that of the handshake that the server answered: bytes counted from another would be
 * judged in the place of others. Until it has answered, conntrack follows the last SYN, and takes
 * no answer to one that lies ahead of it. What allows a flow in the kernel lets its reset overtake
 * a SYN that is here: the server would take that, and data in it, for a new connection. */
static enum syn syn_kind(const struct worker *w, const struct flow *f, const struct packet *p)
{
	enum entry entry = w->at->entry;
	if (f->named.syn_seen && f->named.isn == p->seq + 1 && f->state != FLOW_DENIED)
		return entry >= ENTRY_HEARD && f->named.heard && !observing(w) ? SYN_LATE
									       : SYN_REPEATS;
	if (observing(w))
		return SYN_OPENS;
	if (entry >= ENTRY_ANSWERED)
		return f->state == FLOW_ALLOWED && !f->named.heard ? SYN_REPEATS : SYN_INTRUDES;
	if (entry == ENTRY_NONE && f->named.syn_seen && f->state != FLOW_DENIED && !f->answered &&
	    w->now - f->first < SYN_RACE)
		return SYN_RACES;
	return SYN_OPENS;
}

/* The kernel's entry may be that of a connection which is over. The first such SYN is dropped, and
 * comes again; by then the kernel has forgotten what was over. */
static void intruding_syn(struct worker *w, struct flow *f, uint64_t id)
{
	struct source *s = w->o.source;
	if (f->state == FLOW_ALLOWED && !f->knocked &&
	    s->ops->remark(s, flow_key_of(f), f->named.isn, VERDICT_DROP)) {
		f->knocked = true;
		give(w, id, VERDICT_DROP);
		return;
	}
	flow_identify(w, f);
	flow_deny(w, f, REASON_SYN_AGAIN, id);
}

/* False where the packet has its verdict. */
static bool take_syn(struct worker *w, struct flow *f, const struct arrival *a)
{
	switch (syn_kind(w, f, w->packet)) {
	case SYN_REPEATS: return true;
	case SYN_LATE: give(w, a->id, VERDICT_DROP); return false;
	case SYN_INTRUDES: intruding_syn(w, f, a->id); return false;
	case SYN_RACES:
		give(w, a->id, VERDICT_DROP); /* the client sends it again */
		flow_conclude(w, f);
		flow_forget(w, f);
		return false;
	case SYN_OPENS: break;
	}
	if (f->state != FLOW_DENIED || flow_held(f)->count)
		flow_conclude(w, f);
	if (f->passed)
		flow_record_ended(w, f, &(struct flow_ended){.last = f->last});
	flow_clear(w, f);
	take_mac(f, a);
	return true;
}

/* ---- a decided flow ---- */

/* A server's socket leaves an urgent byte out of what it reads (RFC 6093 section 3.1), so that it
 * may read another name than we do; the pointer may come ahead of its byte. */
static bool is_urgent(const struct packet *p)
{
	return p->transport == IPPROTO_TCP && p->tcp_flags & TCP_URG;
}

/* A segment of a flow that was heard: what stands in the place of judged bytes is compared. */
static void heard_segment(struct worker *w, struct flow *f, const struct packet *p, uint64_t id)
{
	enum kept_check check = naming_compare(&w->namer, &f->named, p);
	if (w->at->entry == ENTRY_ALLOWED || observing(w))
		check = KEPT_SAME;
	f->asked |= w->at->entry == ENTRY_ANSWERED;
	if (check == KEPT_DIFFERENT) {
		flow_deny(w, f, REASON_OVERLAP_CONFLICT, id);
	} else if (is_urgent(p) && w->at->entry != ENTRY_ALLOWED && !observing(w)) {
		flow_deny(w, f, REASON_PACKET_MALFORMED, id);
	} else if (check == KEPT_GONE) {
		COUNT(w->counters.unread);
		give(w, id, VERDICT_DROP);
	} else if (f->named.live) {
		later_bytes(w, f, p, false, id);
	} else {
		naming_passed(&f->named, p);
		give(w, id, flow_pass_verdict(w, f));
	}
}

static void known_flow(struct worker *w, struct flow *f, const struct packet *p, uint64_t id)
{
	bool segment = p && p->transport == IPPROTO_TCP && cursor_left(&p->payload);
	if (f->state == FLOW_ALLOWED && segment && f->named.heard) {
		heard_segment(w, f, p, id);
		return;
	}
	if (f->state == FLOW_ALLOWED && p && p->transport == IPPROTO_UDP &&
	    naming_follows(&f->named, p)) {
		later_bytes(w, f, p, false, id);
		return;
	}
	if (f->state == FLOW_ALLOWED) {
		bool empty = p && p->transport == IPPROTO_TCP && !segment;
		give(w, id, empty && w->at->entry ? VERDICT_PASS : flow_pass_verdict(w, f));
		return;
	}
	flow_count_repeat(w, f);
	give(w, id, flow_denial_verdict(w, f));
	flow_answer_request(w, f); /* the answer may have been lost */
}

static struct flow_key packet_key(const struct packet *p, bool whole)
{
	return (struct flow_key){p->src, p->dst, whole ? p->src_port : 0, whole ? p->dst_port : 0,
				 p->transport};
}

static bool flow_stays(const void *flow)
{
	return flow_held(flow)->count > 0;
}

static void flow_evicted(void *ctx, void *flow)
{
	struct worker *w = ctx;
	COUNT(w->counters.evicted);
	flow_conclude(w, flow);
	flow_end(w, flow);
}

static struct flow *flow_of(struct worker *w, const struct flow_key *key, const struct arrival *a)
{
	struct flow *f = flow_find(w->flows, key);
	if (f)
		return f;
	f = flow_new(w, key, w->now);
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
	flow_identify(w, f);
	f->named.evidence = EVIDENCE_ADDRESS;
	struct outcome o = {
		.action = ACTION_DENY, .reason = reason, .rule = RULE_NONE, .site = SITE_NONE};
	enum verdict v = flow_record(w, f, o, false);
	/* nothing to answer that could be trusted */
	flow_give(w, f, v == VERDICT_DENIED ? VERDICT_DROP : v, id);
}

/* Payload where the kernel has seen no server answer: whoever takes it, takes it from another
 * start. Where its entry is new, it has forgotten the flow, and the start is not known any more. */
static bool unanswered(struct worker *w, struct flow *f, const struct packet *p)
{
	if (p->transport != IPPROTO_TCP || p->tcp_flags & TCP_SYN || !f->named.syn_seen ||
	    f->state == FLOW_DENIED || observing(w) || !cursor_left(&p->payload))
		return false;
	if (w->at->entry == ENTRY_NONE && f->state != FLOW_ALLOWED) {
		naming_drop(&w->namer, &f->named);
		f->named.syn_seen = false;
	}
	return w->at->entry == ENTRY_PENDING && (f->state != FLOW_ALLOWED || f->named.heard);
}

static void undecided(struct worker *w, struct flow *f, const struct packet *p, uint64_t id,
		      const struct outcome *before)
{
	take_mac(f, w->at);
	flow_identify(w, f);
	if (!f->named.stream && !flow_held(f)->count)
		f->named.owner = worker_whose(w, &flow_key_of(f)->client);
	if (cursor_left(&p->payload) && flow_ask_segment(w, f, id))
		return;
	if (is_urgent(p) && !observing(w))
		flow_deny(w, f, REASON_PACKET_MALFORMED, id);
	else if (p->transport == IPPROTO_TCP)
		tcp_packet(w, f, p, id, before);
	else
		first_bytes(w, f, p, id);
}

/* The packet at hand, which is whole. */
static void decide_packet(struct worker *w, struct flow *f, const struct arrival *a)
{
	const struct packet *p = w->packet;
	struct outcome before = f->outcome;
	bool was_denied = f->state == FLOW_DENIED;
	bool syn = p->transport == IPPROTO_TCP && p->tcp_flags & TCP_SYN;
	if (flow_is_forged(w, f, a)) {
		give(w, a->id, observing(w) ? VERDICT_PASS : VERDICT_DROP);
		return;
	}
	if (syn && !take_syn(w, f, a))
		return;
	if (!syn && f->ended && w->now - f->last > UDP_GRACE)
		flow_clear(w, f);
	if (unanswered(w, f, p)) {
		COUNT(w->counters.unread);
		give(w, a->id, VERDICT_DROP);
		return;
	}
	f->answered |= a->entry >= ENTRY_ANSWERED;
	/* once a second is enough, unless the first packet told nothing for sure */
	f->touch |= f->last == f->first && (w->now == f->first || f->unconfirmed);
	f->touch |= f->last / NS_PER_S != w->now / NS_PER_S;
	f->last = w->now;
	if (f->ended)
		w->untold |= !flow_count_use(w, f, true);
	f->ended = false; /* UDP: it goes on, and the kernel follows it again */
	if (f->state == FLOW_DENIED || f->state == FLOW_ALLOWED) {
		worker_keep_alive(w, f, a);
		known_flow(w, f, p, a->id);
	} else {
		undecided(w, f, p, a->id, was_denied ? &before : NULL);
	}
}

/* Headers are read before the burst is judged, so that what its packets need of the tables, which
 * is seldom in the cache, comes while others are looked at: a wait for all in place of one for
 * each.
 */
enum { FEW = 3 }; /* packets of which it is not worth it */

static void glance(struct worker *w, const struct arrival *a, struct glance *g)
{
	if (a->kind == ARRIVAL_DNS)
		return;
	g->parsed = (a->cut ? packet_parse_cut : packet_parse)(a->bytes, a->len, &g->packet);
	g->key = packet_key(&g->packet, g->parsed == PACKET_OK);
	g->hash = flow_hash(w->flows, &g->key);
	flow_fetch_chain(w->flows, g->hash);
}

static void glance_all(struct worker *w, int n)
{
	for (int i = 0; i < n; i++)
		glance(w, &w->burst[i], &w->glance[i]);
	if (n <= FEW || w->burst[0].kind == ARRIVAL_DNS)
		return;
	for (int i = 0; i < n; i++) {
		w->glance[i].known = flow_fetch(w->flows, w->glance[i].hash);
		if (!w->glance[i].known)
			session_fetch_address(w->o.sessions, &w->glance[i].key.client);
	}
	for (int i = 0; i < n; i++)
		if (w->glance[i].known)
			flow_fetch_neighbours(w->flows, w->glance[i].hash);
		else
			session_fetch(w->o.sessions, &w->glance[i].key.client);
}

static void client_packet(struct worker *w, const struct arrival *a, struct glance *g)
{
	struct flow *f = flow_of(w, &g->key, a);
	if (!f) {
		table_full(w, a->id);
		return;
	}
	if (g->parsed != PACKET_OK) {
		broken_packet(w, f,
			      g->parsed == PACKET_FRAGMENT ? REASON_FRAGMENT
							   : REASON_PACKET_MALFORMED,
			      a->id);
		return;
	}
	w->packet = &g->packet;
	decide_packet(w, f, a);
	w->packet = NULL;
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
	w->now = w->namer.now = a->now;
	w->ahead = a->ahead;
}

/* A look at the clock a burst: each packet of it took at most so long. */
static void time_burst(struct worker *w, uint64_t packets, uint64_t held)
{
	struct source *s = w->o.source;
	if (s->ops->now && packets > held)
		histogram_add(&w->counters.verdicts, s->ops->now(s, NULL) - w->burst[0].now,
			      packets - held);
}

int worker_turn(struct worker *w)
{
	uint64_t held = w->counters.held;
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
	worker_snapshot(w);
	worker_decide_again(w);
	worker_sweep(w); /* what is overdue is so before what comes now */
	glance_all(w, n);
	for (int i = 0; i < n; i++) {
		w->at = &w->burst[i];
		take_time(w, w->at);
		COUNT(w->counters.packets);
		if (w->burst[i].kind == ARRIVAL_DNS)
			dns_packet(w, &w->burst[i]);
		else
			client_packet(w, &w->burst[i], &w->glance[i]);
	}
	w->at = NULL;
	worker_take_ended(w);
	s->soon = held_waits(w->held) || w->again;
	rcu_read_unlock();
	s->ops->flush(s);
	time_burst(w, (uint64_t)n, w->counters.held - held);
	return 0;
}

void worker_finish(struct worker *w)
{
	uint32_t slot = 0;
	struct flow *f;
	rcu_read_lock();
	worker_snapshot(w);
	while ((f = flow_each(w->flows, &slot)))
		flow_conclude(w, f);
	rcu_read_unlock();
	w->o.source->ops->flush(w->o.source);
}

struct worker *worker_new(const struct worker_options *o)
{
	struct worker *w = calloc(1, sizeof *w);
	if (!w)
		return NULL;
	w->o = *o;
	w->flows =
		flow_table_new(o->config->flows, &(struct flow_owner){.size = sizeof(struct flow),
								      .stays = flow_stays,
								      .evicted = flow_evicted,
								      .ctx = w});
	/* what a flow gets is taken before what it had is given back */
	w->people = unique_new(o->config->flows + 1, sizeof(struct who));
	w->namer.hosts = unique_new(o->config->flows + 1, sizeof(struct host));
	w->namer.quics = pool_new(o->config->flows, sizeof(struct quic_flow));
	w->namer.streams = stream_pool_new(o->config->streams);
	w->namer.seen = o->seen;
	w->namer.shares = shares_new(o->config->streams, o->config->streams / STREAMS_EACH);
	w->held = held_new(o->config->held, o->config->held_per_client);
	w->holdings = pool_new(2 * o->config->held + 1, sizeof(struct holding)); /* see held_new */
	if (!o->copies)
		w->dns = dns_watch_new(DNS_QUESTIONS, DNS_CONNECTIONS, o->seen);
	w->namer.quic = quic_new();
	w->namer.kept = kept_new(o->config->streams);
	if (!(w->dns || o->copies) || !w->flows || !w->namer.streams || !w->namer.shares ||
	    !w->held || !w->holdings || !w->namer.quic || !w->namer.kept || !w->people ||
	    !w->namer.hosts || !w->namer.quics) {
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
	pool_free(w->holdings);
	dns_watch_free(w->dns);
	quic_free(w->namer.quic);
	kept_free(w->namer.kept);
	unique_free(w->people);
	unique_free(w->namer.hosts);
	pool_free(w->namer.quics);
	free(w);
}

void worker_count(const struct worker *w, struct worker_counters *out)
{
	const uint64_t *from = (const uint64_t *)&w->counters;
	uint64_t *to = (uint64_t *)out;
	for (size_t i = 0; i < sizeof *out / sizeof *to; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

static const struct metric rows[] = {
	METRIC(worker_counters, packets, COUNTER, "packets", "packets that came up"),
	METRIC(worker_counters, flows, COUNTER, "flows", "flows that began"),
	METRIC(worker_counters, allowed, COUNTER, "decisions", "flows that were allowed"),
	METRIC(worker_counters, denied, COUNTER, "decisions", "flows that were denied"),
	METRIC_AS("awaited", worker_counters, waiting, COUNTER, "packets",
		  "handshakes let through, their names being still to come"),
	METRIC(worker_counters, held, COUNTER, "packets", "packets held for a name"),
	METRIC(worker_counters, malformed, COUNTER, "packets",
	       "packets whose headers could not be read"),
	METRIC(worker_counters, dns, COUNTER, "packets", "DNS packets of a capture"),
	METRIC(worker_counters, evicted, COUNTER, "flows",
	       "flows forgotten for others, the table being full"),
	METRIC_AS("decided_again", worker_counters, again, COUNTER, "flows",
		  "flows whose outcome changed after they were decided"),
	METRIC_AS("let_go", worker_counters, stuck, COUNTER, "flows",
		  "times that held bytes passed without a name, as their sender waited for an "
		  "acknowledgement"),
	METRIC(worker_counters, unread, COUNTER, "packets",
	       "packets dropped as nobody could read bytes in their place"),
	METRIC(worker_counters, unconfirmed, COUNTER, "packets",
	       "packets that waited for the segment to tell whose they are"),
};
METRICS(worker_metrics, "queue", worker_counters, rows);
