/* What outlives the process: a worker's decided flows, to state/ and back. */
#include "worker/inner.h"

#include "name/tls.h"

/* Whose denial no record says yet is as it was before: whoever remembers it says so. */
static void remember(struct flow_memory *m, const struct flow *f)
{
	const struct naming_flow *n = &f->named;
	const struct who *who = flow_who(f);
	*m = (struct flow_memory){
		.key = *flow_key_of(f),
		.allowed = f->state == FLOW_ALLOWED || f->unsaid,
		.outcome = f->unsaid ? flow_outcome_before(f) : f->outcome,
		.evidence = n->evidence,
		.protocol = n->protocol,
		.syn_seen = n->syn_seen,
		.live = n->live,
		.heard = n->heard,
		.mismatch = n->mismatch,
		.has_mac = f->has_mac,
		.isn = n->isn,
		.next = n->next,
		.first = f->first,
		.last = f->last,
		.host = *naming_host(n),
	};
	memcpy(m->mac, f->mac, sizeof m->mac);
	memcpy(m->user, who->user, sizeof m->user);
	memcpy(m->tier, who->tier, sizeof m->tier);
}

static struct flow_memory waiting_memory(const struct flow *f)
{
	return (struct flow_memory){
		.key = *flow_key_of(f),
		.outcome.action = ACTION_WAIT,
		.syn_seen = true,
		.isn = f->named.isn,
		.first = f->first,
		.last = f->last,
	};
}

/* What the flow's first bytes were is gone. */
static void restore_name(struct worker *w, struct naming_flow *n, const struct flow_memory *m)
{
	n->evidence = m->evidence;
	n->protocol = m->protocol;
	n->syn_seen = m->syn_seen;
	n->live = m->live;
	n->heard = m->heard;
	n->mismatch = m->mismatch;
	n->isn = m->isn;
	n->next = n->unsent = n->kept.end = m->next;
	n->early = TLS_EARLY_MAX; /* whether any was offered is not kept */
	n->started = n->unseen = true;
	n->dtls.seen = m->live;
	n->dtls.floor = UINT16_MAX + 1; /* no fragment is there to compare with */
	naming_set_host(&w->namer, n, &m->host);
}

/* Its SYN passed and nothing else: what of its hello is held comes again. */
static bool waits(const struct flow *f)
{
	return f->state <= FLOW_HOLDING && f->named.syn_seen && !f->named.unsent;
}

size_t worker_remember(struct worker *w, uint32_t *slot, bool waiting, struct flow_memory *out,
		       size_t max)
{
	size_t count = 0;
	while (count < max) {
		struct flow *f = flow_each(w->flows, slot);
		if (!f) {
			*slot = UINT32_MAX;
			break;
		}
		if (f->ended)
			continue;
		if (f->state == FLOW_ALLOWED || f->state == FLOW_DENIED)
			remember(&out[count++], f);
		else if (waiting && waits(f))
			out[count++] = waiting_memory(f);
	}
	return count;
}

void worker_restore(struct worker *w, const struct flow_memory *m)
{
	struct who who = {0};
	struct flow *f = flow_new(w, &m->key, m->last);
	if (!f)
		return;
	if (m->outcome.action == ACTION_WAIT) {
		f->named.syn_seen = m->syn_seen;
		f->named.isn = m->isn;
		f->first = m->first;
		return;
	}
	restore_name(w, &f->named, m);
	f->state = m->allowed ? FLOW_ALLOWED : FLOW_DENIED;
	f->outcome = m->outcome;
	f->has_mac = m->has_mac;
	f->first = m->first;
	f->last = m->last;
	f->recorded = f->answered = true;
	f->passed = m->allowed;
	memcpy(f->mac, m->mac, sizeof f->mac);
	memcpy(who.user, m->user, strnlen(m->user, sizeof who.user - 1));
	memcpy(who.tier, m->tier, strnlen(m->tier, sizeof who.tier - 1));
	flow_set_who(w, f, &who);
}
