/* conntrack: ends of flows as the kernel tells them, and marks of established flows. One thread's
 * (the main one's): not on the packet path.
 *
 * A flow is named by its key as the worker has it: the original direction, before any NAT. */
#pragma once
#include "base/error.h"
#include "base/metric.h"
#include "packet/flow.h"
#include "source/source.h"

struct conntrack;

struct conntrack_options {
	uint32_t mark_mask;
	unsigned epoch;
	/* The socket of ends, taken over from the daemon before with what came meanwhile;
	 * conntrack_open has it then. Or -1. */
	int kept;
	bool skips;     /* allowed TCP may be in a flowtable, which it leaves as it is remarked */
	int raw4, raw6; /* for probes (reply_open), or -1; stay the caller's */
	/* A flow that carried a mark of ours is over. bytes and packets of both directions, 0 where
	 * the kernel does not count (nf_conntrack_acct); it ended after `after`
	 * (no end was waiting to be read then), at the latest at `last`. denied: its mark was. */
	void (*ended)(void *ctx, const struct flow_key *key, uint64_t bytes, uint64_t packets,
		      int64_t after, int64_t last, bool denied);
	/* Said before, where these bytes were the client's own doing (conntrack_message_counts); or
	 * NULL. */
	void (*moved)(void *ctx, const struct address *client, uint64_t bytes);
	void *ctx;
};

/* NULL with one sentence in errors. */
struct conntrack *conntrack_open(const struct conntrack_options *o, struct errors *errors);
void conntrack_close(struct conntrack *c);

/* To poll for reading; conntrack_read then calls `ended` for what came, a bounded number a call.
 * How many messages it read, at most CONNTRACK_READ. */
#define CONNTRACK_READ 2048
int conntrack_fd(const struct conntrack *c);
unsigned conntrack_read(struct conntrack *c);
/* Takes one datagram of conntrack's events. */
void conntrack_take(struct conntrack *c, const void *bytes, size_t len);

/* Gives an established flow the mark of a verdict; VERDICT_PENDING and VERDICT_DROP clear it, so
 * that the client's next packet comes up. Of a TCP flow that is denied now both ends are made to
 * speak, so that they get their reset at once (old: as reply_probe wants it). 0; -ENOENT: the
 * kernel has no such flow; -errno. */
int conntrack_remark(struct conntrack *c, const struct flow_key *key, uint32_t old, enum verdict v);

/* Whether a TCP connection that the kernel knows is over by its ends' own doing, both ways or by a
 * reset. One that is marked denied was cut, perhaps by an earlier process. */
bool conntrack_closed(struct conntrack *c, const struct flow_key *key);

/* Forgets a flow; 0, -ENOENT or -errno. */
int conntrack_delete(struct conntrack *c, const struct flow_key *key);

/* Forgets a TCP connection that is over, so that a SYN on its ports opens another one. The kernel
 * does so by itself, but not where a segment came after the reset: then the new connection would
 * have the old one's mark. */
void conntrack_forget_closed(struct conntrack *c, const struct flow_key *key);

/* Asks about entries one by one, from any thread. NULL where there is no netlink socket. */
struct conntrack_asker;
struct conntrack_asker *conntrack_asker_open(void);
void conntrack_asker_close(struct conntrack_asker *a);

/* Whether the kernel has a flow's entry, and the flow leaves by another port than its client's (its
 * source is translated, and nothing else). */
bool conntrack_leaves_elsewhere(struct conntrack_asker *a, const struct flow_key *key);

/* Clears our bits of every flow whose mark has this epoch, before the number is used again; or of
 * all flows. How many there were, or -errno. Opens its own socket: needs no struct. */
#define CONNTRACK_EVERY_EPOCH 16
int conntrack_sweep(uint32_t mark_mask, unsigned epoch);

/* Tells every flow whose mark lets it pass in the kernel, now or with the server's next packet, in
 * this epoch. How many, or -errno. The kernel picks them; takes what the table's walk takes. */
int conntrack_list(struct conntrack *c, void (*flow)(void *ctx, const struct flow_key *key),
		   void *ctx);

struct conntrack_counters {
	uint64_t ended, overruns; /* ENOBUFS: ends that the kernel could not tell us */
	uint64_t remarks, gone;   /* gone: the flow was over already */
};
extern const struct metrics conntrack_metrics;
void conntrack_count(const struct conntrack *c, struct conntrack_counters *out);
