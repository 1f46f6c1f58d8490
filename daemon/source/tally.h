/* tally: the byte counters of open flows, read from conntrack in rounds: what the kernel passes
 * without a worker is seen nowhere else. Main thread. */
#pragma once
#include "base/address.h"
#include "base/error.h"

struct tally;

struct tally_options {
	uint32_t mark_mask;
	/* An open flow that carries a mark of ours and is not denied; bytes of both directions. */
	void (*flow)(void *ctx, const struct address *client, uint64_t bytes);
	/* All flows were told. */
	void (*round)(void *ctx, int64_t now);
	void *ctx;
};

/* NULL with a sentence in errors. */
struct tally *tally_open(const struct tally_options *o, struct errors *errors);
void tally_close(struct tally *t);

/* Begins a round, where none is on its way and the last one was not long ago: rounds take two
 * percent of the thread's time at most. */
void tally_begin(struct tally *t, int64_t now);

/* To poll for reading; tally_read then takes what came, a bounded amount a call. */
int tally_fd(const struct tally *t);
void tally_read(struct tally *t, int64_t now);

/* Takes messages of conntrack's dump; true at its end. */
bool tally_take(struct tally *t, const void *bytes, size_t len);
