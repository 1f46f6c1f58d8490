/* held: packets that wait in the kernel's queue until their flow's hello is whole. Bounded for each
 * host (packet/share.h) and in all, so that no host can fill a queue; a worker's own, no
 * allocation once made. */
#pragma once
#include "packet/flow.h"

struct held;

/* total packets may be held, per_client of one host; NULL where memory ran out. */
struct held *held_new(uint32_t total, uint32_t per_client);
void held_free(struct held *h);

/* Adds a packet (its source id) to those of a flow, whose hello is waited for from then on; false
 * at a bound (reason held-full). */
bool held_add(struct held *h, struct flow *f, uint64_t id, int64_t now)
	__attribute__((warn_unused_result));

/* Takes the oldest packet of a flow; false where it holds none. */
bool held_take(struct held *h, struct flow *f, uint64_t *id);

/* The flow's hello is whole, or is waited for no more. */
void held_done(struct held *h, struct flow *f);

/* A flow whose hello is waited for, and whose first held byte came at `before` or earlier, whether
 * it has been let go meanwhile or not; NULL where there is none. */
struct flow *held_overdue(struct held *h, int64_t before);

/* A flow that holds packets, of which the last came at `before` or earlier (f->held_at, INT64_MAX
 * where the caller wants to hear no more of it). */
struct flow *held_quiet(struct held *h, int64_t before);

/* Whether a hello is waited for at all. */
bool held_waits(const struct held *h);

uint32_t held_count(const struct held *h);
