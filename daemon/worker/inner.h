/* inner: what the files of worker/ share. For them only. */
#pragma once
#include "base/clock.h"
#include "policy/decide.h"
#include "worker/flow.h"
#include "worker/worker.h"

#include <urcu.h>

enum { BURST = 64, NAMES = 256 };

/* What is told by a packet's headers alone. */
struct glance {
	struct packet packet;
	enum packet_parse parsed;
	struct flow_key key;
	uint64_t hash; /* of the flow table */
	bool known;    /* perhaps: a flow of its hash is there */
};

struct worker {
	struct worker_options o;
	const struct snapshot *snapshot; /* of this burst */
	struct flow_table *flows;
	struct held *held;
	struct pool *holdings; /* of struct holding */
	struct unique *people; /* of struct who, one a flow */
	struct dns_watch *dns;
	struct namer namer;
	int64_t now, ahead; /* base/clock.h: durations by now; schedules and records by wall(w) */
	int64_t swept, asked;
	/* deciding again: what the last walk was for, and where the present one stands */
	char again_for[17]; /* the policy's digest: a pointer may come back */
	uint64_t again_sessions, again_locks, again_spent;
	int64_t again_edge, again_names, again_ahead; /* edge: of the wall clock */
	uint32_t again_slot;
	int64_t again_walked; /* when its last portion was */
	bool again;
	bool untold; /* a flow's use of a quota: the walk comes back to it */
	struct worker_counters counters;
	struct worker_tier tiers[WORKER_TIERS];
	size_t tier_count; /* what lies before it does not change any more but for its counts */
	struct arrival burst[BURST];
	struct glance glance[BURST]; /* of the same */
	const struct arrival *at;    /* of the burst: what is being decided; else NULL */
	char tier[TIER_MAX];         /* the last that was asked for in this turn, and its number */
	uint32_t tier_number;
	const struct packet *packet; /* its client's packet, where it is whole; else NULL */
	struct host_key whose;       /* scratch of flow_facts */
	struct host names[NAMES];    /* scratch of ask and ask_early */
};

/* One writer, readers elsewhere: a plain store that a reader sees whole. */
#define COUNT_ADD(field, n) __atomic_store_n(&(field), (field) + (n), __ATOMIC_RELAXED)
#define COUNT(field)        COUNT_ADD(field, 1)

const struct who *flow_who(const struct flow *f);

/* Takes the policy in force, in a read section of RCU; a number of the one before may mean another
 * tier. */
static inline void worker_snapshot(struct worker *w)
{
	w->snapshot = rcu_dereference(*w->o.snapshot);
	w->tier[0] = '\0';
	w->tier_number = 0;
}

static inline bool observing(const struct worker *w)
{
	return snapshot_mode(w->snapshot) == CONFIG_OBSERVE;
}

/* The policy's answer denies nothing to a flow's client; what is no answer of the policy's (bytes
 * that contradict each other, forged frames) is as it is for everybody. */
bool flow_observed(struct worker *w, const struct flow *f);

static inline int64_t wall(const struct worker *w)
{
	return w->now + w->ahead;
}

static inline void give(struct worker *w, uint64_t id, enum verdict v)
{
	w->o.source->ops->verdict(w->o.source, id, v);
}

/* who.c: whose a packet is. */
/* Whose share of what is bounded an address takes. */
struct host_key worker_whose(const struct worker *w, const struct address *client);
void flow_identify(struct worker *w, struct flow *f);
/* Sets who a flow's client is; nobody with no user and no tier. */
void flow_set_who(struct worker *w, struct flow *f, const struct who *who);
/* A packet of another host than the one that its flow is of: it touches nothing. */
bool flow_is_forged(const struct worker *w, const struct flow *f, const struct arrival *a);
/* A packet of a decided flow came: its session, if it surely has one, is not idle. (Of others
 * flow_identify says so.) */
void worker_keep_alive(struct worker *w, struct flow *f, const struct arrival *a);
/* Who a flow's client is was told by the frame alone: its data waits until the segment has told,
 * for the answer to a SYN makes the kernel ask, and we ask, too. Whether the packet was dropped: it
 * comes again. */
bool flow_ask_segment(struct worker *w, const struct flow *f, uint64_t id);

/* count.c: a decision is told in a record, for a reason: what is counted by reason and tier is a
 * record, or one that the log lost. */
void flow_told(struct worker *w, const struct flow *f, enum reason reason);
/* A decision was made, be it told now, later or as a repeat. */
void flow_tally(struct worker *w, const struct flow *f);

/* verdict.c: from a name to what becomes of the flow. */
struct facts flow_facts(struct worker *w, const struct flow *f, bool waiting);
/* The policy's answer to what is known, of flow_facts; of several names that DNS told the deciding
 * one is kept. */
struct outcome flow_ask(struct worker *w, struct flow *f, const struct facts *known);
/* The policy's answer to a flow whose first bytes are read. */
struct outcome flow_judge(struct worker *w, struct flow *f, const struct naming *n);
/* Makes an outcome the flow's and says it once. `again`: the same denial as the last time. */
enum verdict flow_record(struct worker *w, struct flow *f, struct outcome o, bool again);
/* A denial that only is recorded: observe mode, of all or of the client's tier. */
bool flow_overlooks(struct worker *w, const struct flow *f, struct outcome o);
enum verdict flow_denial_verdict(const struct worker *w, const struct flow *f);
enum verdict flow_pass_verdict(const struct worker *w, const struct flow *f);
/* Lets a packet go on undecided. */
void flow_pass(struct worker *w, struct flow *f, const struct packet *p, uint64_t id);
/* Gives a flow's verdict to the packets that it holds. */
void flow_give_held(struct worker *w, struct flow *f, enum verdict v);
/* Gives a flow's verdict to its packet and to those that it holds. */
void flow_give(struct worker *w, struct flow *f, enum verdict v, uint64_t id);
/* Both, for a flow whose later packets do not matter. */
void flow_record_give(struct worker *w, struct flow *f, struct outcome o, uint64_t id);
void flow_deny(struct worker *w, struct flow *f, enum reason reason, uint64_t id);
/* A denied flow was met again. */
void flow_count_repeat(struct worker *w, struct flow *f);
/* What allowed a flow whose denial waits for word from the kernel. */
struct outcome flow_outcome_before(const struct flow *f);
/* Records a flow's denial that waited for word from the kernel. */
void flow_say_cut(struct worker *w, struct flow *f);
/* Answers the plain HTTP request at hand in its server's place; false where it is to be rejected.
 */
bool flow_answer_request(struct worker *w, const struct flow *f);
void flow_record_repeats(struct worker *w, struct flow *f);
void flow_record_ended(struct worker *w, struct flow *f, const struct flow_ended *e);
/* A flow of a key that is not in the table; NULL where every flow there holds packets (reason
 * table-full). */
struct flow *flow_new(struct worker *w, const struct flow_key *key, int64_t now);
/* A flow goes: what is still open of it is said. */
void flow_conclude(struct worker *w, struct flow *f);
/* Puts back all that is the worker's; nothing of the flow is open any more. */
void flow_end(struct worker *w, struct flow *f);
/* Out of the table, too. */
void flow_forget(struct worker *w, struct flow *f);

/* quota.c: says for whose quota a flow counts, where that is new. young: from its first byte on.
 * False: it can't be told now. */
bool flow_count_use(struct worker *w, struct flow *f, bool young);

/* hold.c */
/* Nothing of a flow is waited for any more; what it holds still is. */
void flow_hold_done(struct worker *w, struct flow *f);
/* Where it holds nothing either, its place goes to others. */
void flow_hold_end(struct worker *w, struct flow *f);
/* Holds a packet whose flow's hello is not whole, or denies the flow at a bound. */
void flow_hold(struct worker *w, struct flow *f, const struct naming *n, uint64_t id);
/* A packet brings again what is held. */
void flow_hold_repeat(struct worker *w, struct flow *f, const struct packet *p, uint64_t id);
/* What is held is not acknowledged. Where its sender says no more until it is, or says it
 * again, it goes on, as much as the sender's first window, if some line could still allow the flow.
 * It is kept and compared like all else, and nothing behind a hole goes. With care, where a part of
 * a name shows, or where every such line wants that the name agrees with the address: silence is
 * not enough then. again: its sender began to say it again from its first byte. False: it waits on.
 */
bool flow_let_go(struct worker *w, struct flow *f, bool again);

/* again.c: what happens between bursts. */
void worker_sweep(struct worker *w);
void worker_decide_again(struct worker *w);
