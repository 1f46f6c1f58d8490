/* worker: the pipeline. One a queue; owns its flows, streams and counters. */
#pragma once
#include "base/decision.h"
#include "identity/session.h"
#include "name/seen.h"
#include "policy/snapshot.h"
#include "source/source.h"

struct worker;

struct worker_options {
	struct source *source;
	struct seen *seen;           /* shared */
	struct sessions *sessions;   /* shared */
	struct snapshot **snapshot;  /* the current one, read under RCU */
	const struct config *config; /* bounds */
	/* Takes a decision; false: it could not be recorded. */
	bool (*record)(void *ctx, const struct decision *d);
	void *ctx;
};

/* NULL where memory ran out. The source stays the caller's. */
struct worker *worker_new(const struct worker_options *o);
void worker_free(struct worker *w);

/* Receives one burst and decides it. 0, SOURCE_END or -errno. */
int worker_turn(struct worker *w);

/* The end of a flow as conntrack or the capture tells it: writes the end record. */
void worker_flow_ended(struct worker *w, const struct flow_key *key, uint64_t bytes,
		       uint64_t packets, int64_t first, int64_t last);

/* The source is over: what still waits is decided with what is known. */
void worker_finish(struct worker *w, int64_t now);

struct worker_counters {
	uint64_t packets, flows, allowed, denied, waiting, held, malformed, dns_answers, evicted;
	uint64_t reasons[REASON_COUNT];
};
void worker_count(const struct worker *w, struct worker_counters *out);
