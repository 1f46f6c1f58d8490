/* nfqueue: one kernel queue as a source: bursts by recvmmsg, verdicts in one send a burst.
 *
 * An arrival's id is the kernel's packet id with the packet's mark above it, so that a verdict
 * given much later still leaves the bits of the mark alone that are not ours, and nothing has to be
 * remembered for it. */
#pragma once
#include "base/error.h"
#include "base/metric.h"
#include "source/source.h"

struct nfqueue_options {
	uint16_t queue;
	uint32_t length;    /* packets that may wait */
	bool fail_open;     /* the kernel passes what a full queue can't take */
	uint32_t mark_mask; /* bits that are ours */
	unsigned epoch;
	/* The queue's socket, taken over from the daemon before; nfqueue_open has it then. Or -1.
	 */
	int kept;
	int raw4, raw6; /* raw sockets for resets (reply_open), or -1; stay the caller's */
	/* to conntrack's thread; as in source.h */
	bool (*remark)(void *ctx, const struct flow_key *key, uint32_t isn, enum verdict v);
	void *ctx;
};

/* NULL with one clear sentence in errors: no right, queue in use, no kernel support. */
struct source *nfqueue_open(const struct nfqueue_options *o, struct errors *errors);

/* Takes a datagram as if it had come now; how many packets it has. */
int nfqueue_take(struct source *s, const void *bytes, size_t len, int64_t now, struct arrival *list,
		 int max);

/* The queue's socket, for the daemon after this one. */
int nfqueue_fd(const struct source *s);

struct nfqueue_counters {
	uint64_t packets, bursts, verdict_errors;
	uint64_t racers;   /* datagrams that were sent along their flow's entry (racer.h) */
	uint64_t overruns; /* ENOBUFS: the socket's buffer was full, the kernel dropped */
	uint64_t full;     /* the queue was full: dropped, or passed where fail_open */
	uint32_t waiting;  /* packets in the queue now, held ones among them */
};

/* What becomes of packets that the full queue can't take: they pass, or are dropped. Any thread. */
void nfqueue_fail_open(struct source *s, bool on);

extern const struct metrics nfqueue_metrics;

/* The last three are the kernel's own (/proc/net/netfilter/nfnetlink_queue) where the process may
 * read them; not for the packet path. */
void nfqueue_count(const struct source *s, struct nfqueue_counters *out);

/* True where a program reads the queue now (so far as /proc says); its netlink port in *port. */
bool nfqueue_bound(uint16_t queue, uint32_t *port);
