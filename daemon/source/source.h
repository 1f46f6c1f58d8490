/* source: where packets come from and verdicts go to: NFQUEUE (live) or a capture that plays the
 * kernel (replay). The worker is the same for both and knows neither mark bits nor netlink. */
#pragma once
#include "base/decision.h"
#include "packet/flow.h"
#include "packet/packet.h"
#include <stddef.h>
#include <stdint.h>

enum arrival_kind {
	ARRIVAL_CLIENT, /* a client's packet of an undecided flow */
	/* a query to a resolver or its answer: seen, never denied. Of a capture; live the kernel
	 * passes them, and copies come (copies.h) */
	ARRIVAL_DNS,
};

/* How far the kernel's entry of the flow was when the packet came up (mark.h). */
enum entry {
	ENTRY_NONE,     /* new, or it has no mark of ours */
	ENTRY_PENDING,  /* TCP: a SYN has passed; UDP: undecided datagrams have */
	ENTRY_ANSWERED, /* TCP: so has the server's SYN,ACK; or, after heard, what may ask for
			   another hello */
	ENTRY_HEARD,    /* a hello was allowed, and its server has not answered it */
	ENTRY_ALLOWED,  /* its server has, or it needed none */
};

struct arrival {
	enum arrival_kind kind;
	enum entry entry;
	uint64_t id; /* the source's handle; each arrival gets exactly one verdict, at any time */
	const uint8_t *bytes; /* from the IP header; valid until the next receive */
	uint32_t len;
	int64_t now, ahead; /* base/clock.h */
	uint8_t mac[6];     /* the sender's */
	bool has_mac;
	bool answer; /* of ARRIVAL_DNS: from the resolver */
	bool cut;    /* bytes are fewer than the packet has */
};

/* What becomes of a packet and of its flow. The source turns it into verdict and mark. */
enum verdict {
	VERDICT_PASS,     /* passes; the flow's entry stays as it is, whatever that is by now */
	VERDICT_PENDING,  /* passes; the flow is undecided, its next packets come up too */
	VERDICT_HEARD,    /* passes; the kernel allows the flow when its server answers (mark.h) */
	VERDICT_ALLOWED,  /* passes; the flow stays in the kernel from now on */
	VERDICT_DENIED,   /* rejected, never forwarded; so are later packets of a confirmed flow */
	VERDICT_REDIRECT, /* a SYN to port 80 goes to the portal */
	VERDICT_DROP,     /* dropped without an answer; the flow stays undecided */
	VERDICT_DROP_DENIED, /* on_deny = "drop": dropped without an answer; the flow is denied */
};

struct source;
struct reply_redirect; /* reply.h */
struct source_ops {
	/* Up to max arrivals, waiting a tick (100 ms live) at most. 0: none came. SOURCE_END: the
	 * capture is over. Other negative: -errno, fatal. */
	int (*receive)(struct source *s, struct arrival *list, int max);
	void (*verdict)(struct source *s, uint64_t id, enum verdict v);
	/* The time, for a turn in which nothing came; ahead may be NULL. NULL: time stands still
	 * between packets. */
	int64_t (*now)(struct source *s, int64_t *ahead);
	/* Sends the verdicts of a burst (and nothing else): one system call. */
	void (*flush)(struct source *s);
	/* Tells the server that a flow ends: a reset that its client could have sent, next in
	 * sequence at seq. Live only; replay ignores it. */
	void (*reset_server)(struct source *s, const struct flow_key *key, uint32_t seq);
	/* A flow already decided has another outcome now: its mark is set to v (VERDICT_PENDING:
	 * cleared, so that its next packet comes up). VERDICT_DROP: a SYN on its ports was dropped;
	 * its entry is forgotten if its connection is over. isn: of its client, TCP. False: there
	 * is no room for it now, and the caller has to come back. */
	bool (*remark)(struct source *s, const struct flow_key *key, uint32_t isn, enum verdict v);
	/* Answers a plain HTTP request of a denied flow. Live only; replay ignores it. */
	void (*redirect)(struct source *s, const struct reply_redirect *r);
	void (*free)(struct source *s);
};

#define SOURCE_END (-100000)

struct source {
	const struct source_ops *ops;
	bool soon; /* the caller waits for a time that is near: a tick is 10 ms */
};
