/* flow: what a worker keeps of a flow: the parts of those who keep something of it, each in its own
 * struct, and what was decided. */
#pragma once
#include "name/naming.h"
#include "packet/held.h"
#include "policy/who.h"

enum flow_state {
	FLOW_NEW,     /* nothing decided, no name yet */
	FLOW_HOLDING, /* packets of it are held until its hello is whole */
	FLOW_ALLOWED,
	FLOW_DENIED,
};

struct flow {
	struct naming_flow named; /* its key first */
	enum flow_state state : 8;
	enum reason was : 8; /* unsaid: what allowed it */
	bool answered : 1;   /* TCP: the kernel has seen its server's SYN,ACK */
	bool asked : 1;  /* TLS: its server has said something since, perhaps HelloRetryRequest */
	bool ended : 1;  /* UDP: conntrack forgot it; kept for a grace */
	bool stuck : 1;  /* held bytes of it passed before it had a name, as no more came */
	bool unsaid : 1; /* denied since, if it is still open: no record yet */
	bool unfit : 1;  /* a name that no line allows stands in what is held: it is not let go */
	bool shows_part : 1; /* a part of a name stands there: it is let go with care */
	bool recorded : 1;   /* its decision is in the log */
	bool knocked : 1; /* a SYN on its ports was dropped, and the kernel asked if it is over */
	bool passed : 1;  /* it was allowed once: its end is worth a record */
	bool unconfirmed : 1; /* who its client is was told by a frame alone */
	bool touch : 1;       /* its session is to be told that it is not idle */
	bool has_mac : 1;
	uint8_t mac[6];
	int64_t first, last;     /* its first packet, its last */
	struct holding *holding; /* NULL: it holds nothing, and nothing of it is waited for */
	const struct who *who; /* of all that have it in common; NULL: nobody was looked for yet */
	/* what was decided, for repeats, for deciding again, and for the end record */
	struct outcome outcome;
	uint32_t metered;     /* for which account it counts, a hash of it; 0: for none */
	uint32_t repeats;     /* packets met again with the same denial since the last record */
	uint32_t repeat_said; /* s of clock_now: when that was */
};

/* What few flows have at a time. */
struct holding {
	struct held_flow held; /* first */
	struct flow *flow;
};

static inline const struct held_flow *flow_held(const struct flow *f)
{
	static const struct held_flow none;
	return f->holding ? &f->holding->held : &none;
}

static inline const struct flow_key *flow_key_of(const struct flow *f)
{
	return &f->named.entry.key;
}
