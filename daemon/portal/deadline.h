/* deadline: a connection that takes too long for one request is shut down. libmicrohttpd's own
 * limit starts anew with each byte, so that a slow client would hold its connection for good. And
 * where all connections are taken nobody is kept out by who holds the most. */
#pragma once
#include "base/address.h"
#include <stdbool.h>
#include <stdint.h>

struct deadline;
struct watched; /* one connection */

struct deadline *deadline_new(int64_t limit);
void deadline_free(struct deadline *d);

/* From the next request on. */
void deadline_limit(struct deadline *d, int64_t limit);

/* NULL where there is no memory: such a connection has no limit, and takes no share. */
struct watched *deadline_begin(struct deadline *d, int fd, const struct address *peer);
void deadline_end(struct deadline *d, struct watched *w); /* before the fd is closed */
/* The next request begins; or it waits for us, for as long as that takes. */
void deadline_restart(struct deadline *d, struct watched *w);
void deadline_pause(struct deadline *d, struct watched *w);

/* Whether one more connection of a peer may begin. Where there are max already, the oldest of who
 * has the most is shut down for it (of the IPv4 address or IPv6 /64 that has, and there of the
 * address), unless the peer would then be no poorer: many addresses of one host gain it nothing. */
bool deadline_room(struct deadline *d, const struct address *peer, unsigned max);

/* Shuts down what is late; returns how many. Every second or so. */
unsigned deadline_sweep(struct deadline *d);
