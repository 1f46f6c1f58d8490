/* What is held until a name is whole, and when it goes without: nobody acknowledges a held byte. */
#include "worker/inner.h"

#include <netinet/in.h>

enum { FIRST_WINDOW = 14600 }; /* RFC 6928: ten segments */

/* A hello that is not whole may show its name: whether no line could allow it. (One that its
 * client ends is not waiting for anything.) */
static bool shows_unfit(struct worker *w, const struct flow *f, const struct hello *h)
{
	struct facts facts = flow_facts(w, f, false);
	facts.host = &h->host;
	facts.evidence = EVIDENCE_SNI_DNS;
	return h->name == HELLO_NAME_BAD ||
	       (h->name == HELLO_NAME_OK &&
		decide(w->snapshot, &facts, wall(w)).action == ACTION_DENY);
}

/* Bytes before those that are there are missing; or somebody had to repeat the handshake, which
 * takes a second (RFC 6298 2.1). */
static bool loses_packets(const struct worker *w, const struct flow *f)
{
	bool hole;
	naming_joined(&f->named, &hole);
	int64_t since = flow_held(f)->since;
	return hole || (since ? since : w->now) - f->first >= NS_PER_S;
}

static struct held_flow *hold_begin(struct worker *w, struct flow *f)
{
	if (!f->holding && (f->holding = pool_take(w->holdings)))
		f->holding->flow = f;
	return f->holding ? &f->holding->held : NULL;
}

void flow_hold_end(struct worker *w, struct flow *f)
{
	if (!f->holding || f->holding->held.since || f->holding->held.count)
		return;
	pool_give(w->holdings, f->holding);
	f->holding = NULL;
}

void flow_hold_done(struct worker *w, struct flow *f)
{
	if (f->holding)
		held_done(w->held, &f->holding->held);
	flow_hold_end(w, f);
}

void flow_hold(struct worker *w, struct flow *f, const struct naming *n, uint64_t id)
{
	bool lossy = loses_packets(w, f);
	struct held_flow *held = hold_begin(w, f);
	if (held)
		held->lossy = lossy;
	f->shows_part = n->hello.name == HELLO_NAME_PART;
	f->unfit |= shows_unfit(w, f, &n->hello) || (w->packet->tcp_flags & TCP_FIN);
	if (held && held_late(w->held, held, w->now, w->o.config->hello_timeout))
		flow_deny(w, f, REASON_HELLO_UNFINISHED, id);
	else if (held && held_add(w->held, held, &f->named.owner, id, w->now))
		COUNT(w->counters.held);
	else if (naming_comes_again(&f->named))
		give(w, id, VERDICT_DROP);
	else
		flow_deny(w, f, REASON_HELD_FULL, id);
	flow_hold_end(w, f);
}

static bool awaits_name(struct worker *w, struct flow *f)
{
	const struct facts facts = flow_facts(w, f, true);
	return flow_ask(w, f, &facts).action == ACTION_WAIT;
}

static bool wants_care(struct worker *w, const struct flow *f)
{
	const struct facts facts = flow_facts(w, f, true);
	return f->shows_part || decide_wants_agreement(w->snapshot, &facts, wall(w));
}

bool flow_let_go(struct worker *w, struct flow *f, bool again)
{
	uint64_t id;
	bool hole, stuck = snapshot_settings(w->snapshot)->held_until == CONFIG_HELD_UNTIL_STUCK;
	uint64_t joined = naming_joined(&f->named, &hole);
	if (!stuck || f->unfit || flow_key_of(f)->transport != IPPROTO_TCP || hole ||
	    joined > FIRST_WINDOW || (f->state != FLOW_ALLOWED && !awaits_name(w, f)) ||
	    (!again && wants_care(w, f)))
		return false;
	while (f->holding && held_take(w->held, &f->holding->held, &f->named.owner, &id))
		give(w, id, VERDICT_PASS);
	if (f->state == FLOW_HOLDING)
		f->state = FLOW_NEW;
	if (f->named.next + joined > f->named.unsent)
		f->named.unsent = f->named.next + joined;
	f->stuck = true;
	COUNT(w->counters.stuck);
	return true;
}

/* Bytes that wait come again. */
void flow_hold_repeat(struct worker *w, struct flow *f, const struct packet *p, uint64_t id)
{
	if (f->holding) /* else it repeats what we keep from its server */
		f->holding->held.lossy |= !flow_held(f)->count;
	bool from_first = p->seq - f->named.isn == (uint32_t)f->named.next;
	if (!flow_held(f)->count || flow_let_go(w, f, from_first))
		flow_pass(w, f, p, id);
	else
		give(w, id, VERDICT_DROP);
}
