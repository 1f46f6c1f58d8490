/* capture: a pcap or pcapng file as a source. It plays the kernel: keeps directions and marks,
 * joins or denies fragments, and hands up only what the rules would send to a queue. Time is the
 * capture's. */
#pragma once
#include "base/error.h"
#include "source/source.h"

struct capture_options {
	const char *read;
	const char *write; /* what would have passed, same form and link types; or NULL */
	const struct network
		*inside; /* clients' networks; NULL: a flow's first sender is the inside */
	size_t inside_count;
	bool (*internal)(void *ctx, const struct address *a);
	bool (*resolver)(void *ctx, const struct address *a);
	/* A flow's end as conntrack would tell it, in order with the packets; called from receive.
	 */
	void (*ended)(void *ctx, const struct flow_key *key, uint64_t bytes, uint64_t packets,
		      int64_t after, int64_t last);
	/* A flow that the kernel denies without asking: a fragment that cannot be joined, headers
	 * that are malformed. Said once a flow; ports are 0 where they are not known. Of the
	 * arrival only `now` is set. */
	void (*kernel_denied)(void *ctx, const struct arrival *a, const struct flow_key *key,
			      enum reason reason);
	void *ctx;
	uint32_t flows; /* bound of its flow memory */
};

struct capture_counters {
	uint64_t packets, passed, denied, malformed, fragments;
	uint64_t not_ip;    /* frames without an IP packet: they neither pass nor are denied */
	uint64_t unread;    /* frames that may have one: nor do they */
	uint64_t cut;       /* that came up, or are fragments, and of which a part is missing */
	char first[128];    /* of these the first: which frame, and why */
	const char *broken; /* why the file could not be read on; NULL: it could, to its end */
	uint64_t flows, kernel_passed; /* of those that passed: never handed up */
};

/* NULL with a reason in errors: no file, no capture. */
struct source *capture_open(const struct capture_options *o, struct errors *errors);

/* After the end: what is written is whole; 0 or -errno. */
int capture_finish(struct source *s);
void capture_count(const struct source *s, struct capture_counters *out);
