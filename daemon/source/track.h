/* track: the kernel's memory of flows (conntrack), as a replay plays it: directions, marks, ends.
 * Timeouts are conntrack's, but an established TCP flow lasts to the capture's end. */
#pragma once
#include "packet/flow.h"
#include "packet/packet.h"
#include "source/source.h"

struct track {
	struct flow_entry flow;
	uint64_t serial; /* tells a flow from an earlier one in its place; 0: it is gone */
	int64_t last;    /* its last packet */
	uint64_t bytes, packets[2]; /* the client's, the server's */
	uint32_t isn;               /* TCP: of the last SYN */
	enum entry entry;
	bool denied;       /* or redirected: nothing of it passes or comes up */
	bool confirmed;    /* a packet of it passed: what is marked lasts */
	bool outside;      /* began outside with a SYN or without TCP: none of our business */
	bool syn, syn_ack; /* TCP: seen, in their directions */
	bool reset, fin[2];
	bool said; /* its end */
};

struct tracks;

typedef void track_ended_fn(void *ctx, const struct flow_key *key, uint64_t bytes, uint64_t packets,
			    int64_t after, int64_t last);

/* ended hears of each flow that was confirmed, once. NULL where memory ran out. */
struct tracks *tracks_new(uint32_t capacity, track_ended_fn *ended, void *ctx);
void tracks_free(struct tracks *t);

/* The flow of a packet, and whether the packet is of the server's direction; NULL where there is
 * none, or a SYN begins a new one in its place (the old one has ended then). */
struct track *tracks_find(struct tracks *t, const struct packet *p, int64_t now, bool *reply);
struct track *tracks_find_key(struct tracks *t, const struct flow_key *key);

/* A new flow of a key that is not there. The least recently used one may end. */
struct track *tracks_add(struct tracks *t, const struct flow_key *key, int64_t now);

/* Accounts a packet of a flow. */
void track_see(struct track *k, const struct packet *p, bool reply, int64_t now);

/* Says the end of a TCP flow that p, a packet of it already accounted, has closed. It is remembered
 * until its timeout, as conntrack does. */
void tracks_close(struct tracks *t, struct track *k, const struct packet *p);

/* Ends, in the table's order, what is idle for longer than its timeout. */
void tracks_expire(struct tracks *t, int64_t now);
/* Ends everything, least recently used first. */
void tracks_end(struct tracks *t);

/* Whether TCP flags make sense together, as conntrack tells INVALID. */
bool track_flags_valid(uint8_t tcp_flags);
