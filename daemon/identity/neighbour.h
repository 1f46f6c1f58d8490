/* neighbour: which addresses are one host's, as the kernel's neighbour table of the inside
 * interfaces has them, and what follows for sessions. A session that was opened at one address is
 * given the other addresses of the host (same link, same MAC address). A MAC address with several
 * IPv4 addresses is no one host (a repeater, a router): its addresses share nothing.
 * With CONFIG_HOST_IGNORE only onlink.h is told. Main thread, a writer of the session table. */
#pragma once
#include "base/error.h"
#include "base/metric.h"
#include "config/config.h"
#include "identity/onlink.h"
#include "identity/session.h"

struct neighbours;

struct neighbour_options {
	const struct strings *inside;   /* interfaces */
	enum config_host_change change; /* of a session's host */
	uint32_t capacity;              /* addresses known at once; a further one is not learned */
	struct sessions *sessions;
	struct onlink *onlink; /* told of every address and network */
};

/* A table without a socket, for neighbours_take; NULL where memory ran out. */
struct neighbours *neighbours_new(const struct neighbour_options *o);
void neighbours_free(struct neighbours *n);

/* Follows the kernel's tables of neighbours and routes and waits (1 s at most) for the whole of
 * them; false with a sentence in errors. */
bool neighbours_follow(struct neighbours *n, struct errors *errors);
/* To poll for reading; neighbours_read then takes what came, a bounded amount a call. */
int neighbours_fd(const struct neighbours *n);
void neighbours_read(struct neighbours *n, int64_t now);

/* Whether it is already what these ask for. n may be NULL. */
bool neighbours_same(const struct neighbours *n, const struct strings *inside,
		     enum config_host_change change);

/* Takes messages of rtnetlink(7). */
void neighbours_take(struct neighbours *n, const void *bytes, size_t len, int64_t now);

/* A session was opened at an address, or was given it. */
void neighbours_join(struct neighbours *n, const struct address *a, int64_t now);

/* Asks the segment who is at an address; the answer comes as any other. */
void neighbours_solicit(struct neighbours *n, const struct address *a);

struct neighbour_counters {
	uint64_t known, refused; /* addresses; for want of room */
	uint64_t joined, ended;  /* addresses given to a session; taken, the host being another */
	uint64_t solicited;
	uint64_t overruns; /* the kernel could not tell all: the table was asked for again */
};
extern const struct metrics neighbour_metrics;
void neighbours_count(const struct neighbours *n, struct neighbour_counters *out);
