/* copies: packets that the kernel passes by itself, read as copies of them (NFLOG): what resolvers
 * and their clients tell each other. No packet waits for a reader, so nothing is lost with one that
 * hangs or is away.
 *
 * A copy lies in the socket before its packet goes on. So whoever judges a flow reads the copies
 * that are there first, and knows each name before its first connection. Any thread may read;
 * where there is nothing to read, that costs one system call and takes no lock. */
#pragma once
#include "base/error.h"
#include "base/metric.h"
#include "source/source.h"

struct copies;

struct copies_options {
	uint16_t group; /* of NFLOG */
	/* The group's socket, taken over from the daemon before; copies_open has it then. Or -1. */
	int kept;
	uint32_t room; /* bytes that the socket holds, as the kernel counts; 0: 128 MB */
	/* Takes a copy: kind ARRIVAL_DNS, without id. One call at a time, whoever reads. */
	void (*take)(void *ctx, const struct arrival *a);
	void *ctx;
};

/* NULL with one clear sentence in errors: no right, group in use, no kernel support. */
struct copies *copies_open(const struct copies_options *o, struct errors *errors);
void copies_close(struct copies *c);

/* The group's socket, for the daemon after this one. */
int copies_fd(const struct copies *c);

/* Takes what is there. When it returns, every copy that was there before has been taken, be it by
 * another thread. now: ns, for the copies. */
void copies_read(struct copies *c, int64_t now);

/* Takes a datagram as if it had come now. */
void copies_take(struct copies *c, const void *bytes, size_t len, int64_t now);

struct copies_counters {
	uint64_t taken, lost; /* lost: the socket was full, as the kernel's numbering tells */
};
/* Any thread. */
extern const struct metrics copies_metrics;
void copies_count(const struct copies *c, struct copies_counters *out);
