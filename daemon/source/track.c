#include "source/track.h"

#include "base/clock.h"

#include <netinet/in.h>
#include <stdlib.h>

struct tracks {
	struct flow_table *flows;
	uint64_t serial;
	track_ended_fn *ended;
	void *ctx;
};

static void say_ended(struct tracks *t, struct track *k)
{
	if (k->confirmed && !k->said && t->ended)
		t->ended(t->ctx, &k->flow.key, k->bytes, k->packets[0] + k->packets[1], k->last,
			 k->last);
	k->said = true;
}

static void evicted(void *ctx, void *flow)
{
	struct track *k = flow;
	say_ended(ctx, k);
	k->serial = 0;
}

static void end(struct tracks *t, struct track *k)
{
	evicted(t, k);
	flow_remove(t->flows, k);
}

struct tracks *tracks_new(uint32_t capacity, track_ended_fn *ended, void *ctx)
{
	struct tracks *t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	t->ended = ended;
	t->ctx = ctx;
	t->flows = flow_table_new(
		capacity,
		&(struct flow_owner){.size = sizeof(struct track), .evicted = evicted, .ctx = t});
	if (!t->flows) {
		tracks_free(t);
		return NULL;
	}
	return t;
}

void tracks_free(struct tracks *t)
{
	if (!t)
		return;
	flow_table_free(t->flows);
	free(t);
}

/* nf_conntrack_*_timeout as Linux has them by default; but a reset flow is remembered as long as a
 * closed one, so that a late packet of its server is not taken for a client's. */
static int64_t timeout(const struct track *k)
{
	bool replied = k->packets[1] > 0;
	switch (k->flow.key.transport) {
	case IPPROTO_TCP:
		return replied && !k->reset && !k->fin[0] && !k->fin[1] ? INT64_MAX
									: 120 * NS_PER_S;
	case IPPROTO_UDP: return (replied ? 120 : 30) * NS_PER_S;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6: return 30 * NS_PER_S;
	}
	return 600 * NS_PER_S;
}

static bool idle(const struct track *k, int64_t now)
{
	return now - k->last > timeout(k);
}

/* A SYN over a flow that is closed, or closing and with another sequence number. */
static bool begins_anew(const struct track *k, const struct packet *p, bool reply)
{
	if (p->transport != IPPROTO_TCP || (p->tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return false;
	if (k->reset || (k->fin[0] && k->fin[1]))
		return true;
	return !reply && (k->fin[0] || k->fin[1]) && p->seq != k->isn;
}

struct track *tracks_find_key(struct tracks *t, const struct flow_key *key)
{
	return flow_find(t->flows, key);
}

struct track *tracks_find(struct tracks *t, const struct packet *p, int64_t now, bool *reply)
{
	struct flow_key there = {p->src, p->dst, p->src_port, p->dst_port, p->transport};
	struct flow_key back = {p->dst, p->src, p->dst_port, p->src_port, p->transport};
	struct track *k = tracks_find_key(t, &there);
	*reply = !k;
	if (!k)
		k = tracks_find_key(t, &back);
	if (k && (idle(k, now) || begins_anew(k, p, *reply))) {
		end(t, k);
		k = NULL;
	}
	return k;
}

struct track *tracks_add(struct tracks *t, const struct flow_key *key, int64_t now)
{
	const struct host_key host = host_key_address(&key->client);
	struct track *k = flow_add(t->flows, key, &host);
	k->serial = ++t->serial;
	k->last = now;
	return k;
}

void track_see(struct track *k, const struct packet *p, bool reply, int64_t now)
{
	k->last = now;
	k->bytes += p->ip_len;
	k->packets[reply]++;
	if (p->transport != IPPROTO_TCP)
		return;
	if (p->tcp_flags & TCP_SYN) {
		k->syn |= !reply;
		k->syn_ack |= reply && p->tcp_flags & TCP_ACK;
		if (!reply)
			k->isn = p->seq;
	}
	k->fin[reply] |= (p->tcp_flags & TCP_FIN) != 0;
	k->reset |= (p->tcp_flags & TCP_RST) != 0;
}

void tracks_close(struct tracks *t, struct track *k, const struct packet *p)
{
	bool last_ack = k->fin[0] && k->fin[1] && !(p->tcp_flags & TCP_FIN);
	if (k->reset || last_ack)
		say_ended(t, k);
}

void tracks_expire(struct tracks *t, int64_t now)
{
	uint32_t slot = 0;
	struct track *k;
	while ((k = flow_each(t->flows, &slot)))
		if (idle(k, now))
			end(t, k);
}

void tracks_end(struct tracks *t)
{
	struct track *k;
	while ((k = flow_oldest(t->flows)))
		end(t, k);
}

bool track_flags_valid(uint8_t tcp_flags)
{
	switch (tcp_flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK)) {
	case TCP_SYN:
	case TCP_SYN | TCP_ACK:
	case TCP_RST:
	case TCP_RST | TCP_ACK:
	case TCP_FIN | TCP_ACK:
	case TCP_ACK: return true;
	}
	return false;
}
