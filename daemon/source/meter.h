/* meter: the byte counters of single flows, as the kernel has them: each flow that is watched is
 * asked for several times a second. (tally reads all there are, and seldom.) Main thread. */
#pragma once
#include "base/error.h"
#include "base/metric.h"
#include "packet/flow.h"

struct meter;

struct meter_options {
	uint32_t flows; /* that are watched at once, at most */
	/* So many more bytes of both directions went over a flow. */
	void (*moved)(void *ctx, uint32_t tag, uint64_t bytes);
	/* A flow is no longer watched under the tag. */
	void (*left)(void *ctx, uint32_t tag);
	void *ctx;
};

/* NULL with a sentence in errors. */
struct meter *meter_open(const struct meter_options *o, struct errors *errors);
void meter_close(struct meter *m); /* of what is still watched nothing is told */

/* Watches a flow: what it carries from its first byte on is the tag's; of one that is not young,
 * from the first look on. A flow that is watched already gets another tag from now on. The least
 * recently told flow goes where there is no room. False: not even then. */
bool meter_watch(struct meter *m, const struct flow_key *key, uint32_t tag, bool young,
		 int64_t now);
void meter_forget(struct meter *m, const struct flow_key *key);
/* The kernel told that a flow is over: bytes in all; what began after `after` may be another one on
 * the same ports. */
void meter_ended(struct meter *m, const struct flow_key *key, uint64_t bytes, int64_t after);

/* Asks for the counters of the next few thousand flows, and takes what the kernel says. */
void meter_poll(struct meter *m, int64_t now);
/* Takes a datagram of the kernel's. */
void meter_take(struct meter *m, const void *bytes, size_t len, int64_t now);

uint32_t meter_flows(const struct meter *m);
/* The flows that are watched: as many as were met before *slot, 0 at first; false at the end. seen:
 * the bytes that were told already. */
bool meter_each(struct meter *m, uint32_t *slot, struct flow_key *key, uint32_t *tag,
		uint64_t *seen);
/* Watches a flow of which an earlier process told that many. */
bool meter_restore(struct meter *m, const struct flow_key *key, uint32_t tag, uint64_t seen,
		   int64_t now);

struct meter_counters {
	uint64_t flows, asked, forgotten;
};
extern const struct metrics meter_metrics;
void meter_count(const struct meter *m, struct meter_counters *out);
