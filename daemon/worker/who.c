/* Whose a packet is. On a segment of ours the neighbour table's word decides; the MAC address in a
 * frame, which its sender chose, can only narrow it: where the two differ the packet is nobody's,
 * and touches nothing. */
#include "worker/inner.h"

#include "base/ring.h"

#define ASK_EVERY (10 * NS_PER_MS)

struct host_key worker_whose(const struct worker *w, const struct address *client)
{
	return w->o.onlink ? onlink_host(w->o.onlink, client) : host_key_address(client);
}

static struct who_from from_of(const struct worker *w)
{
	return (struct who_from){w->snapshot, w->o.sessions, w->o.onlink};
}

const struct who *flow_who(const struct flow *f)
{
	static const struct who nobody;
	return f->who ? f->who : &nobody;
}

void flow_set_who(struct worker *w, struct flow *f, const struct who *who)
{
	const struct who *before = f->who;
	if (before && memcmp(before, who, sizeof *who) == 0)
		return; /* nearly always, once it was asked */
	f->who = unique_get(w->people, who, sizeof *who);
	unique_put(w->people, before);
}

/* Of a flow that is decided the host may have moved on to another MAC address since. */
void flow_identify(struct worker *w, struct flow *f)
{
	struct who_at at;
	const struct who_from from = from_of(w);
	bool decided = f->state == FLOW_ALLOWED || f->state == FLOW_DENIED;
	who_at(&from, &flow_key_of(f)->client, f->has_mac ? f->mac : NULL, !decided, w->now, &at);
	f->unconfirmed = at.unconfirmed;
	flow_set_who(w, f, &at.who);
	if (f->touch && at.signed_in && !at.unconfirmed)
		session_touch(w->o.sessions, &flow_key_of(f)->client, w->now);
	f->touch = false;
}

bool flow_is_forged(const struct worker *w, const struct flow *f, const struct arrival *a)
{
	return a->has_mac && f->has_mac && memcmp(a->mac, f->mac, sizeof a->mac) != 0 &&
	       who_is_another(w->o.onlink, &flow_key_of(f)->client, a->mac);
}

/* Only what is surely of a session's host keeps it from being idle. */
void worker_keep_alive(struct worker *w, struct flow *f, const struct arrival *a)
{
	struct who_at at;
	const struct address *client = &flow_key_of(f)->client;
	if (!f->touch)
		return;
	f->touch = false;
	const struct who_from from = from_of(w);
	if (who_signed_in(&from, client, a->has_mac ? a->mac : NULL, true, w->now, &at) &&
	    !at.unconfirmed)
		session_touch(w->o.sessions, client, w->now);
}

bool flow_ask_segment(struct worker *w, const struct flow *f, uint64_t id)
{
	if (!f->unconfirmed || observing(w))
		return false;
	COUNT(w->counters.unconfirmed);
	give(w, id, VERDICT_DROP);
	if (w->o.ask && w->now - w->asked >= ASK_EVERY) {
		w->asked = w->now;
		w->o.ask(w->o.ctx, &flow_key_of(f)->client);
	}
	return true;
}
