#include "worker/inner.h"

#include "name/probe.h"
#include "policy/counted.h"
#include "source/reply.h"

#include <netinet/in.h>

#define REPEAT_SAY 60 /* seconds */

static void text_copy(char *to, size_t room, const char *from)
{
	size_t n = strnlen(from, room - 1);
	memcpy(to, from, n);
	to[n] = '\0';
}

/* What the policy is asked about: of NAT64 the IPv4 address, which is somebody else's where it is
 * one of ours. */
static struct address server_of(const struct worker *w, const struct flow *f)
{
	const struct address *server = &flow_key_of(f)->server;
	struct address meant = seen_meant(w->o.seen, server);
	if (address_equal(&meant, server))
		return meant; /* nearly always */
	return snapshot_internal(w->snapshot, &meant) ? *server : meant;
}

/* What a bridge of ours carries from port to port comes up where br_netfilter is loaded, and leaves
 * no network: rules that run before routing can't tell it from what does. */
static bool stays(const struct worker *w, const struct flow *f)
{
	int link = w->o.onlink ? onlink_link(w->o.onlink, &flow_key_of(f)->client) : 0;
	return link && link == onlink_link(w->o.onlink, &flow_key_of(f)->server);
}

/* Most of a turn's flows are of few tiers: the last one's number is kept as long as the snapshot.
 */
static uint32_t tier_number(struct worker *w, const struct flow *f)
{
	const char *tier = flow_who(f)->tier;
	if (memcmp(w->tier, tier, sizeof w->tier) != 0) {
		memcpy(w->tier, tier, sizeof w->tier);
		w->tier_number = snapshot_tier_number(w->snapshot, tier);
	}
	return w->tier_number;
}

bool flow_observed(struct worker *w, const struct flow *f)
{
	return snapshot_tier_observes(w->snapshot, tier_number(w, f));
}

struct facts flow_facts(struct worker *w, const struct flow *f, bool waiting)
{
	if (snapshot_has_quotas(w->snapshot) && !flow_who(f)->user[0])
		w->whose = worker_whose(w, &flow_key_of(f)->client);
	return (struct facts){
		.whose = &w->whose,
		.client = flow_key_of(f)->client,
		.server = server_of(w, f),
		.port = flow_key_of(f)->server_port,
		.transport = flow_key_of(f)->transport,
		.tier = flow_who(f)->tier,
		.tier_number = tier_number(w, f),
		.user = flow_who(f)->user,
		.host = f->named.evidence > EVIDENCE_ADDRESS ? naming_host(&f->named) : NULL,
		.evidence = f->named.evidence,
		.mismatch = f->named.mismatch,
		.waiting = waiting,
		.stays = stays(w, f),
	};
}

static bool forbids(enum reason r)
{
	return r == REASON_DENY_LINE || r == REASON_LOCKDOWN;
}

/* Where DNS alone names the flow, each name may be meant that its client was told for the address,
 * whatever was told last: what forbids one denies, else an allow line for one allows. */
struct outcome flow_ask(struct worker *w, struct flow *f, const struct facts *known)
{
	struct facts facts = *known;
	struct outcome best = decide(w->snapshot, &facts, wall(w));
	size_t count = 0, meant = NAMES;
	if (f->named.evidence == EVIDENCE_DNS)
		count = seen_names(w->o.seen, &flow_key_of(f)->client, &flow_key_of(f)->server,
				   w->now, w->names, NAMES);
	for (size_t i = 0; i < count && !forbids(best.reason); i++) {
		facts.host = &w->names[i];
		struct outcome o = decide(w->snapshot, &facts, wall(w));
		if (!forbids(o.reason) && o.action <= best.action)
			continue;
		best = o;
		meant = i;
	}
	if (meant < NAMES)
		naming_set_host(&w->namer, &f->named, &w->names[meant]);
	return best;
}

/* ---- record ---- */

static uint32_t seconds(const struct worker *w)
{
	return (uint32_t)(w->now / NS_PER_S);
}

static void describe(struct worker *w, const struct flow *f, enum decision_kind kind,
		     struct decision *d)
{
	const struct host *host = naming_host(&f->named);
	const struct flow_key *k = flow_key_of(f);
	memset(d, 0, offsetof(struct decision, host));
	d->time = wall(w);
	d->kind = kind;
	d->action = f->state == FLOW_ALLOWED ? ACTION_ALLOW : ACTION_DENY;
	d->reason = f->outcome.reason;
	d->evidence = f->named.evidence;
	d->protocol = f->named.protocol;
	d->client = k->client;
	d->server = k->server;
	d->client_port = k->client_port;
	d->server_port = k->server_port;
	d->transport = k->transport;
	d->has_mac = f->has_mac;
	memcpy(d->mac, f->mac, sizeof d->mac);
	d->host.len = host->len;
	memcpy(d->host.text, host->text, (size_t)host->len + 1);
	memcpy(d->user, flow_who(f)->user, sizeof d->user);
	memcpy(d->tier, flow_who(f)->tier, sizeof d->tier);
	text_copy(d->policy, sizeof d->policy, snapshot_digest(w->snapshot));
	d->stuck = f->stuck;
	d->rule[0] = d->site[0] = '\0';
	d->count = d->bytes = d->packets = 0;
	d->duration = 0;
}

bool flow_overlooks(struct worker *w, const struct flow *f, struct outcome o)
{
	return observing(w) || (o.reason != REASON_LOCKDOWN && flow_observed(w, f));
}

static void say_would(struct decision *d, enum reason reason)
{
	d->reason = REASON_OBSERVE;
	d->observed = d->would_deny = true;
	d->would = reason;
}

/* Allowed, and a deny line in observe mode matches: that line is what the record is about. */
static void describe_watched(const struct worker *w, const struct flow *f, struct decision *d)
{
	const struct outcome *o = &f->outcome;
	text_copy(d->rule, sizeof d->rule, snapshot_rule_name(w->snapshot, o->watched_rule));
	text_copy(d->site, sizeof d->site, snapshot_site_name(w->snapshot, o->watched_site));
	say_would(d, REASON_DENY_LINE);
}

static bool record_decided(struct worker *w, struct flow *f)
{
	struct decision d;
	describe(w, f, DECISION_DECIDED, &d);
	text_copy(d.rule, sizeof d.rule, snapshot_rule_name(w->snapshot, f->outcome.rule));
	text_copy(d.site, sizeof d.site, snapshot_site_name(w->snapshot, f->outcome.site));
	d.observed = flow_overlooks(w, f, f->outcome);
	if (d.observed && f->outcome.action == ACTION_DENY)
		say_would(&d, f->outcome.reason);
	if (f->outcome.watched)
		describe_watched(w, f, &d);
	f->recorded = true;
	f->repeats = 0;
	f->repeat_said = seconds(w);
	flow_told(w, f, d.reason);
	return w->o.record(w->o.ctx, &d);
}

/* One record with a repeat count stands for all the retries of a denied flow. */
void flow_record_repeats(struct worker *w, struct flow *f)
{
	struct decision d;
	if (!f->repeats)
		return;
	describe(w, f, DECISION_REPEATED, &d);
	d.count = f->repeats;
	f->repeats = 0;
	f->repeat_said = seconds(w);
	w->o.record(w->o.ctx, &d);
}

struct outcome flow_outcome_before(const struct flow *f)
{
	return (struct outcome){
		.action = ACTION_ALLOW, .reason = f->was, .rule = RULE_NONE, .site = SITE_NONE};
}

void flow_say_cut(struct worker *w, struct flow *f)
{
	if (!f->unsaid)
		return;
	f->unsaid = false;
	record_decided(w, f);
}

void flow_count_repeat(struct worker *w, struct flow *f)
{
	flow_say_cut(w, f);
	f->repeats++;
	if (seconds(w) - f->repeat_said >= REPEAT_SAY)
		flow_record_repeats(w, f);
}

void flow_record_ended(struct worker *w, struct flow *f, const struct flow_ended *e)
{
	struct decision d;
	describe(w, f, DECISION_ENDED, &d);
	d.bytes = e->bytes;
	d.packets = e->packets;
	d.duration = e->last - f->first;
	w->o.record(w->o.ctx, &d);
}

/* ---- outcome -> verdict ---- */

/* The portal's address where on_deny = "redirect" and the packet at hand is a plain HTTP request,
 * in order but denied by the policy, of which its server has got nothing; else NULL. A device that
 * asks whether the network lets it through would take the portal for a sign-in that is still due.
 */
static const struct endpoint *request_portal(const struct worker *w, const struct flow *f,
					     struct packet *request)
{
	const struct settings *c = snapshot_settings(w->snapshot);
	const struct endpoint *portal = &c->portal[!address_is4(&flow_key_of(f)->client)];
	if (c->on_deny != CONFIG_REDIRECT || f->named.protocol != PROTOCOL_HTTP || f->passed ||
	    (f->outcome.reason > REASON_NAME_ADDRESS_MISMATCH &&
	     f->outcome.reason != REASON_LOCKDOWN && f->outcome.reason != REASON_QUOTA_SPENT) ||
	    f->named.unsent || !f->named.syn_seen ||
	    (*flow_who(f)->tier && probe_asks(naming_host(&f->named))) ||
	    flow_key_of(f)->server_port != 80 || !portal->port || !w->at)
		return NULL;
	bool data = packet_parse(w->at->bytes, w->at->len, request) == PACKET_OK &&
		    cursor_left(&request->payload) && request->tcp_flags & TCP_ACK &&
		    !(request->tcp_flags & (TCP_SYN | TCP_RST));
	return data ? portal : NULL;
}

/* What is asked only to be shown may be answered by another page. */
static bool is_get(const struct flow *f, const struct packet *p)
{
	struct cursor c = p->payload;
	char method[4];
	cursor_copy(&c, method, sizeof method);
	return p->seq == f->named.isn &&
	       (memcmp(method, "GET ", 4) == 0 || memcmp(method, "HEAD", 4) == 0);
}

bool flow_answer_request(struct worker *w, const struct flow *f)
{
	struct packet request;
	char address[ADDRESS_TEXT];
	const struct host *host = naming_host(&f->named);
	const struct endpoint *portal = request_portal(w, f, &request);
	if (!portal)
		return false;
	const struct reply_redirect r = {
		.key = flow_key_of(f),
		.seq = request.ack,
		.ack = request.seq + (uint32_t)cursor_left(&request.payload),
		.follows = is_get(f, &request),
		.portal = portal,
		.to = host->len ? host->text : address_format(&flow_key_of(f)->server, address),
	};
	w->o.source->ops->redirect(w->o.source, &r);
	return true;
}

/* The packet at hand is the first of its entry: NAT is decided by no other. */
static bool opens(const struct worker *w)
{
	return w->packet && w->packet->tcp_flags & TCP_SYN &&
	       cursor_left(&w->packet->payload) == 0 && w->at->entry == ENTRY_NONE;
}

enum verdict flow_denial_verdict(const struct worker *w, const struct flow *f)
{
	struct packet request;
	enum config_on_deny how = snapshot_settings(w->snapshot)->on_deny;
	if (how == CONFIG_DROP)
		return VERDICT_DROP_DENIED;
	if (how == CONFIG_REDIRECT && flow_key_of(f)->transport == IPPROTO_TCP &&
	    flow_key_of(f)->server_port == 80 && !f->named.started && opens(w))
		return VERDICT_REDIRECT;
	if (request_portal(w, f, &request))
		return VERDICT_DROP_DENIED; /* and answered by ourselves */
	return VERDICT_DENIED;
}

enum verdict flow_record(struct worker *w, struct flow *f, struct outcome o, bool again)
{
	f->outcome = o;
	f->state = o.action == ACTION_ALLOW || flow_overlooks(w, f, o) ? FLOW_ALLOWED : FLOW_DENIED;
	const struct address server = server_of(w, f);
	if (snapshot_counted(w->snapshot))
		counted_hit(snapshot_counted(w->snapshot), w->o.index, &o, naming_host(&f->named),
			    &server, wall(w));
	if (again) {
		flow_count_repeat(w, f);
	} else if (f->unsaid) {
		/* said when it is known to be open */
	} else if (!record_decided(w, f) && f->state == FLOW_ALLOWED &&
		   snapshot_settings(w->snapshot)->audit == CONFIG_AUDIT_STRICT) {
		f->state = FLOW_DENIED;
		f->outcome = (struct outcome){.action = ACTION_DENY,
					      .reason = REASON_NO_RECORD,
					      .rule = RULE_NONE,
					      .site = SITE_NONE};
		flow_told(w, f, REASON_NO_RECORD);
	}
	flow_tally(w, f);
	flow_hold_done(w, f);
	w->untold |= !flow_count_use(w, f, !f->passed);
	f->passed |= f->state == FLOW_ALLOWED;
	f->named.live = f->named.live && f->state == FLOW_ALLOWED;
	if (f->state == FLOW_DENIED || (!f->named.live && naming_joins(&f->named)))
		naming_drop(&w->namer, &f->named);
	return f->state == FLOW_DENIED ? flow_denial_verdict(w, f) : flow_pass_verdict(w, f);
}

/* What an allowed flow's packet gets. The kernel settles a heard flow by itself when its server
 * answers; what has to be looked at for good is never given to it. A flow of an earlier process
 * whose mark no longer counts is heard again: whether its server had answered, nobody knows. */
enum verdict flow_pass_verdict(const struct worker *w, const struct flow *f)
{
	enum entry entry = w->at ? w->at->entry : ENTRY_ANSWERED;
	bool tcp = flow_key_of(f)->transport == IPPROTO_TCP;
	bool syn = tcp && w->packet && w->packet->tcp_flags & TCP_SYN;
	if (!f->named.heard)
		return VERDICT_ALLOWED;
	if (syn)
		return entry == ENTRY_NONE ? VERDICT_PENDING : VERDICT_PASS;
	if (naming_stays(&f->named))
		return tcp || entry == ENTRY_PENDING ? VERDICT_PASS : VERDICT_PENDING;
	if (entry == ENTRY_HEARD || entry == ENTRY_ALLOWED || (f->named.live && f->asked))
		return VERDICT_PASS;
	return VERDICT_HEARD;
}

void flow_pass(struct worker *w, struct flow *f, const struct packet *p, uint64_t id)
{
	naming_passed(&f->named, p);
	give(w, id, w->at->entry == ENTRY_NONE ? VERDICT_PENDING : VERDICT_PASS);
}

/* All or none: the held packets of a flow get its verdict. Of a denied flow the first is rejected,
 * so that the client hears at once, and the rest need no further reset. */
void flow_give_held(struct worker *w, struct flow *f, enum verdict v)
{
	uint64_t id;
	flow_hold_done(w, f);
	while (f->holding && held_take(w->held, &f->holding->held, &f->named.owner, &id)) {
		give(w, id, v);
		if (v == VERDICT_DENIED)
			v = VERDICT_DROP;
	}
	flow_hold_end(w, f);
}

static void tell_server(struct worker *w, const struct flow *f)
{
	if (flow_key_of(f)->transport == IPPROTO_TCP && (f->named.started || f->answered))
		w->o.source->ops->reset_server(w->o.source, flow_key_of(f),
					       f->named.isn + (uint32_t)f->named.unsent);
}

/* What is broken in a flow's first bytes, so that nobody can tell which name its server reads;
 * REASON_COUNT where nothing is. */
static enum reason broken_by(const struct naming *n)
{
	if (n->broken != REASON_COUNT)
		return n->broken;
	if (n->parse == PARSE_BAD)
		return REASON_HELLO_MALFORMED;
	return n->parse == PARSE_OK && n->hello.name == HELLO_NAME_BAD ? REASON_NAME_BAD
								       : REASON_COUNT;
}

/* Bytes that contradict each other are no accident. Any other hello may be broken in a way that its
 * server does not mind: then a deny line could have matched the name in it. */
static bool must_be_whole(struct worker *w, const struct flow *f, enum reason broken)
{
	const struct facts facts = flow_facts(w, f, false);
	return broken == REASON_OVERLAP_CONFLICT ||
	       decide_name_may_deny(w->snapshot, &facts, wall(w));
}

/* A flow that has no name for a reason of its own is denied for that reason, unless the policy
 * takes the address or the DNS answer for it and denies no name. */
struct outcome flow_judge(struct worker *w, struct flow *f, const struct naming *n)
{
	const struct facts facts = flow_facts(w, f, false);
	struct outcome o = flow_ask(w, f, &facts);
	enum reason broken = broken_by(n);
	if (f->named.evidence > EVIDENCE_DNS || o.reason == REASON_INTERNAL ||
	    o.reason == REASON_NO_TIER || forbids(o.reason))
		return o;
	if (broken == REASON_COUNT && flow_key_of(f)->transport == IPPROTO_TCP &&
	    !f->named.syn_seen)
		broken = REASON_NAME_FORGOTTEN;
	if (o.action == ACTION_ALLOW) {
		if (n->parse == PARSE_ABSENT && n->hello.another_may_come)
			broken = REASON_NO_NAME;
		if (broken != REASON_COUNT && must_be_whole(w, f, broken))
			o = (struct outcome){.action = ACTION_DENY,
					     .reason = broken,
					     .rule = RULE_NONE,
					     .site = SITE_NONE};
		return o;
	}
	if (broken != REASON_COUNT &&
	    (broken != REASON_NAME_FORGOTTEN || o.reason == REASON_NO_NAME ||
	     o.reason == REASON_WEAK_EVIDENCE))
		o.reason = broken;
	return o;
}

void flow_give(struct worker *w, struct flow *f, enum verdict v, uint64_t id)
{
	bool had_held = flow_held(f)->count > 0;
	flow_give_held(w, f, v);
	give(w, id, had_held && v == VERDICT_DENIED ? VERDICT_DROP : v);
	if (v == VERDICT_DENIED || (v == VERDICT_DROP_DENIED && flow_answer_request(w, f)))
		tell_server(w, f);
}

void flow_record_give(struct worker *w, struct flow *f, struct outcome o, uint64_t id)
{
	f->named.live = false;
	flow_give(w, f, flow_record(w, f, o, false), id);
}

void flow_deny(struct worker *w, struct flow *f, enum reason reason, uint64_t id)
{
	flow_record_give(w, f,
			 (struct outcome){.action = ACTION_DENY,
					  .reason = reason,
					  .rule = RULE_NONE,
					  .site = SITE_NONE},
			 id);
}

void flow_conclude(struct worker *w, struct flow *f)
{
	if (f->state == FLOW_NEW && !f->recorded && f->named.started) {
		struct naming n = {.parse = PARSE_ABSENT, .broken = REASON_COUNT};
		if (naming_joins(&f->named)) {
			n.parse = PARSE_BAD;
			n.broken = REASON_HELLO_UNFINISHED;
		}
		flow_identify(w, f);
		naming_weigh(&w->namer, &f->named, &n, w->now);
		flow_record(w, f, flow_judge(w, f, &n), false);
	} else if (flow_held(f)->count && naming_comes_again(&f->named)) {
		flow_give_held(w, f, VERDICT_DROP);
	} else if (flow_held(f)->count || flow_held(f)->since) {
		f->named.live = false;
		f->named.evidence = EVIDENCE_ADDRESS;
		struct outcome o = {.action = ACTION_DENY,
				    .reason = REASON_HELLO_UNFINISHED,
				    .rule = RULE_NONE,
				    .site = SITE_NONE};
		flow_give_held(w, f, flow_record(w, f, o, false));
		tell_server(w, f);
	}
	flow_record_repeats(w, f);
	flow_hold_done(w, f);
	naming_drop(&w->namer, &f->named);
}

void flow_end(struct worker *w, struct flow *f)
{
	flow_hold_done(w, f);
	naming_end(&w->namer, &f->named);
	unique_put(w->people, f->who);
	f->who = NULL;
}

void flow_forget(struct worker *w, struct flow *f)
{
	flow_end(w, f);
	flow_remove(w->flows, f);
}

struct flow *flow_new(struct worker *w, const struct flow_key *key, int64_t now)
{
	const struct host_key owner = worker_whose(w, &key->client);
	struct flow *f = flow_add(w->flows, key, &owner);
	if (f) {
		f->named.owner = owner;
		f->first = f->last = now;
	}
	return f;
}
