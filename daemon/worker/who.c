/* Whose a packet is. On a segment of ours the neighbour table's word decides; the MAC address in a
 * frame, which its sender chose, can only narrow it: where the two differ the packet is nobody's,
 * and touches nothing. */
#include "worker/inner.h"

#include "base/ring.h"

#define ASK_EVERY (10 * NS_PER_MS)

struct host_key whose(const struct worker *w, const struct address *client)
{
	return w->o.onlink ? onlink_host(w->o.onlink, client) : host_key_address(client);
}

/* What is known of an address's host. */
struct sender {
	const uint8_t *mac; /* NULL: none that counts */
	bool unconfirmed;   /* mac is the frame's alone, for the segment has not told yet */
	bool another;       /* the frame is not of the host that is at the address */
	uint8_t told[6];
};

/* frame: NULL where it has none, or is not to narrow. A capture has no neighbour table. */
static void look(const struct worker *w, const struct address *a, const uint8_t *frame,
		 struct sender *out)
{
	*out = (struct sender){.mac = frame};
	if (!w->o.onlink)
		return;
	switch (onlink_at(w->o.onlink, a, out->told)) {
	case ONLINK_HERE:
		out->mac = out->told;
		out->another = frame && memcmp(frame, out->told, sizeof out->told) != 0;
		break;
	case ONLINK_UNCONFIRMED: out->unconfirmed = true; break;
	case ONLINK_ELSEWHERE: out->mac = NULL; break;
	}
}

/* A session that has a host is that host's alone; frame is the router's where it is elsewhere. */
static bool is_of(const struct session *s, const struct sender *from, const uint8_t *frame)
{
	const uint8_t *mac = from->mac ? from->mac : frame;
	return !s->has_mac || !mac || memcmp(s->mac, mac, sizeof s->mac) == 0;
}

static bool session_of(struct worker *w, const struct address *a, const struct sender *from,
		       const uint8_t *frame, struct session *s)
{
	bool found = session_at(w->o.sessions, a, w->now, s) ||
		     (from->mac && session_of_host(w->o.sessions, a, from->mac, w->now, s));
	return found && !from->another && is_of(s, from, frame);
}

static void text_copy(char *to, size_t room, const char *from)
{
	memcpy(to, from, strnlen(from, room - 1));
}

const struct who *who_of(const struct flow *f)
{
	static const struct who nobody;
	return f->who ? f->who : &nobody;
}

void who_set(struct worker *w, struct flow *f, const struct who *who)
{
	const struct who *before = f->who;
	f->who = unique_get(w->people, who, sizeof *who);
	unique_put(w->people, before);
}

/* Of a flow that is decided the host may have moved on to another MAC address since. */
void identify(struct worker *w, struct flow *f)
{
	struct session s;
	struct sender from;
	struct who who = {0}; /* zeros behind the text: alike is alike */
	const struct address *a = &key_of(f)->client;
	bool decided = f->state == FLOW_ALLOWED || f->state == FLOW_DENIED;
	const uint8_t *frame = f->has_mac ? f->mac : NULL;
	look(w, a, decided && w->o.onlink ? NULL : frame, &from);
	if (decided && from.unconfirmed)
		from.mac = frame;
	f->unconfirmed = false;
	if (session_of(w, a, &from, frame, &s)) {
		f->unconfirmed = from.unconfirmed;
		text_copy(who.user, sizeof who.user, s.user);
		text_copy(who.tier, sizeof who.tier, s.tier);
		who_set(w, f, &who);
		return;
	}
	const char *user, *nobody;
	const char *tier = snapshot_static(w->snapshot, a, from.another ? NULL : from.mac, &user);
	f->unconfirmed = from.unconfirmed && tier != snapshot_static(w->snapshot, a, NULL, &nobody);
	text_copy(who.user, sizeof who.user, user);
	text_copy(who.tier, sizeof who.tier, tier ? tier : "");
	who_set(w, f, &who);
}

bool is_forged(const struct worker *w, const struct flow *f, const struct arrival *a)
{
	struct sender from;
	if (!a->has_mac || !f->has_mac || memcmp(a->mac, f->mac, sizeof a->mac) == 0)
		return false;
	look(w, &key_of(f)->client, a->mac, &from);
	return from.another;
}

/* Only what is surely of a session's host keeps it from being idle. */
void keep_alive(struct worker *w, const struct arrival *a, const struct address *client)
{
	struct session s;
	struct sender from;
	const uint8_t *frame = a->has_mac ? a->mac : NULL;
	look(w, client, frame, &from);
	if (!from.unconfirmed && session_of(w, client, &from, frame, &s))
		session_touch(w->o.sessions, client, w->now);
}

bool ask_segment(struct worker *w, const struct flow *f, uint64_t id)
{
	if (!f->unconfirmed || observing(w))
		return false;
	COUNT(w->counters.unconfirmed);
	give(w, id, VERDICT_DROP);
	if (w->o.ask && w->now - w->asked >= ASK_EVERY) {
		w->asked = w->now;
		w->o.ask(w->o.ctx, &key_of(f)->client);
	}
	return true;
}
