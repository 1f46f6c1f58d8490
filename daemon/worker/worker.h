/* worker: the pipeline. One a queue; owns its flows, streams and counters. */
#pragma once
#include "base/decision.h"
#include "base/histogram.h"
#include "base/metric.h"
#include "identity/onlink.h"
#include "identity/session.h"
#include "dns/seen.h"
#include "policy/quota.h"
#include "source/source.h"
#include "state/state.h"

struct copies;
struct worker;

/* A flow that a line with a quota allows. */
struct flow_use {
	struct flow_key key;
	struct quota_account account; /* its id 0: the flow counts for none any more */
	bool young;                   /* it counts from its first byte on */
};

struct worker_options {
	struct source *source;
	struct seen *seen;           /* shared */
	struct copies *copies;       /* shared: DNS, where the source has none; or NULL */
	struct sessions *sessions;   /* shared */
	const struct onlink *onlink; /* shared; NULL: a capture, whose frames are believed */
	struct snapshot **snapshot;  /* the current one, read under RCU */
	const struct config *config; /* bounds */
	struct ring *ended;          /* of struct flow_ended, from conntrack's thread; or NULL */
	/* Takes a decision; false: it could not be recorded (strict audit then denies). */
	bool (*record)(void *ctx, const struct decision *d);
	/* Counts a flow's use for an account from now on, or no more; or NULL. False: it can't be
	 * told now. */
	bool (*use)(void *ctx, const struct flow_use *use);
	/* Asks the segment who is at an address; or NULL. */
	void (*ask)(void *ctx, const struct address *a);
	void *ctx;
	unsigned index; /* which of the workers it is, for the counts of the policy */
};

/* What conntrack or the capture tells of a flow: that it ended, or what became of the wish to end
 * one that was allowed (FLOW_CUT, FLOW_CLOSED: it was over, of which the kernel keeps an entry for
 * two minutes). */
struct flow_ended {
	struct flow_key key;
	enum { FLOW_OVER, FLOW_CUT, FLOW_CLOSED } what;
	uint64_t bytes, packets; /* both directions; 0 where not accounted */
	int64_t after, last;     /* between these; what began later is another on its ports */
	bool denied;             /* FLOW_OVER: it was cut, by us or by an earlier process */
};

/* NULL where memory ran out. The source stays the caller's. */
struct worker *worker_new(const struct worker_options *o);
void worker_free(struct worker *w);

/* Receives one burst and decides it. 0, SOURCE_END or -errno. */
int worker_turn(struct worker *w);

/* The source is over: what still waits is decided with what is known. */
void worker_finish(struct worker *w);

/* Which of some flows the workers have: each marks its own, and is one less to wait for. */
struct lookup {
	struct flow_key *key;
	_Atomic bool *known;
	size_t count;
	_Atomic unsigned waiting;
};
void worker_known(const struct worker *w, struct lookup *l);

/* Writes the end record; a TCP flow is forgotten, a UDP flow after a grace. The worker's own
 * thread. */
void worker_flow_ended(struct worker *w, const struct flow_ended *e);

/* The same for all that its ring has, as each turn does. The worker's thread, or after it has
 * ended. */
void worker_take_ended(struct worker *w);

/* Copies decided flows for the state file, from table slot *slot on (0 at first), at most max of
 * them; *slot is UINT32_MAX when the table is through. waiting: those, too, of whose first bytes
 * nothing went on yet: only right where no packet is judged any more. The worker's thread, or after
 * it has ended. */
size_t worker_remember(struct worker *w, uint32_t *slot, bool waiting, struct flow_memory *out,
		       size_t max);
/* A flow of an earlier process; decided again with the first turn. Before the worker's thread runs.
 */
void worker_restore(struct worker *w, const struct flow_memory *m);

/* Read by any thread, each number exact, the whole not of one instant. */
struct worker_counters {
	uint64_t packets, flows, allowed, denied, waiting, held, malformed, dns, evicted, again,
		stuck,        /* let go, as their senders waited for an acknowledgement */
		unread;       /* dropped: bytes that nobody could read in their place */
	uint64_t unconfirmed; /* packets that waited for the segment to tell whose they are */
	uint64_t reasons[REASON_COUNT];
	/* from when a packet was received until its burst's verdicts were sent, of packets that
	 * were not held; and from the first held byte of a flow's hello to its decision, 0 where
	 * nothing was held */
	struct histogram verdicts, hellos;
};
extern const struct metrics worker_metrics;
void worker_count(const struct worker *w, struct worker_counters *out);

/* Decisions of a tier. The first tiers that are met have a place of their own, the rest share the
 * last, "(others)"; who has none is "". */
enum { WORKER_TIERS = 64 };
enum worker_outcome { OUTCOME_ALLOW, OUTCOME_DENY, OUTCOME_WOULD_DENY, OUTCOMES };
struct worker_tier {
	char name[TIER_MAX];
	uint64_t count[OUTCOMES][REASON_COUNT];
};
/* How many tiers there are; they only grow in number. Any thread. */
size_t worker_tiers(const struct worker *w);
void worker_tier(const struct worker *w, size_t i, struct worker_tier *out);
