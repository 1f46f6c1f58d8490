/* held: packets that wait in the kernel's queue until their flow's message is whole. Bounded for
 * each host (packet/share.h) and in all, so that no host can fill a queue; a worker's own, no
 * allocation once made. */
#pragma once
#include "packet/share.h"

struct held;

/* A flow's own part; all zero at first. */
struct held_flow {
	int64_t since, at;    /* when its first and its last held byte came; since 0: none waits */
	uint32_t count : 31;  /* packets of it that are held */
	uint32_t lossy : 1;   /* its sender has to say something again: it takes a while */
	uint32_t first, last; /* of their chain */
	uint32_t waiting_at;  /* its place among those that are waited for */
};

/* A sender repeats after 1 s, or after 3 s where its SYN was lost, and doubles that each time (RFC
 * 6298 2.1, 5.5, 5.7): where packets are lost a message is waited for through three such losses,
 * while no more than half of the room is taken. */
enum { HELD_LOSSY = 15 };

/* total packets may be held, per_client of one host; NULL where memory ran out. */
struct held *held_new(uint32_t total, uint32_t per_client);
void held_free(struct held *h);

/* Adds a packet (its source id) to those of a flow, whose message is waited for from then on; false
 * at a bound (reason held-full). host: whose share it is; the same for all that the flow holds. */
bool held_add(struct held *h, struct held_flow *f, const struct host_key *host, uint64_t id,
	      int64_t now) __attribute__((warn_unused_result));

/* Takes the oldest packet of a flow; false where it holds none. */
bool held_take(struct held *h, struct held_flow *f, const struct host_key *host, uint64_t *id);

/* The flow's message is whole, or is waited for no more. */
void held_done(struct held *h, struct held_flow *f);

/* Whether a flow's message has been waited for longer than `limit` ns (HELD_LOSSY times that where
 * packets of it were lost), whether what it held has been let go meanwhile or not. */
bool held_late(const struct held *h, const struct held_flow *f, int64_t now, int64_t limit);

/* A flow that is late; NULL where there is none. */
struct held_flow *held_overdue(struct held *h, int64_t now, int64_t limit);

/* A flow that holds packets, of which the last came at `before` or earlier (f->at, INT64_MAX
 * where the caller wants to hear no more of it). */
struct held_flow *held_quiet(struct held *h, int64_t before);

/* Whether a message is waited for at all. */
bool held_waits(const struct held *h);

uint32_t held_count(const struct held *h);
