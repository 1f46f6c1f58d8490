/* nfqueue: one kernel queue as a source: bursts by recvmmsg, verdicts in one send a burst. */
#pragma once
#include "base/error.h"
#include "source/source.h"

struct nfqueue_options {
	uint16_t queue;
	enum arrival_kind kind;
	uint32_t length;    /* packets that may wait */
	bool fail_open;     /* the kernel passes what a full queue can't take */
	uint32_t mark_mask; /* bits that are ours */
	unsigned epoch;
	int raw4, raw6; /* raw sockets for resets, or -1 */
	void (*remark)(void *ctx, const struct flow_key *key,
		       enum verdict v); /* to conntrack's thread */
	void *ctx;
};

/* NULL with one clear sentence in errors: no right, queue in use, no kernel support. */
struct source *nfqueue_open(const struct nfqueue_options *o, struct errors *errors);

struct nfqueue_counters {
	uint64_t packets, bursts, verdict_errors, overruns; /* ENOBUFS: the kernel dropped for us */
};
void nfqueue_count(const struct source *s, struct nfqueue_counters *out);
