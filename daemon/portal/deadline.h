/* deadline: a connection that takes too long for one request is shut down. libmicrohttpd's own
 * limit starts anew with each byte, so that a slow client would hold its connection for good. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct deadline;
struct watched; /* one connection */

struct deadline *deadline_new(int64_t limit);
void deadline_free(struct deadline *d);

/* From the next request on. */
void deadline_limit(struct deadline *d, int64_t limit);

struct watched *deadline_begin(struct deadline *d, int fd);
void deadline_end(struct deadline *d, struct watched *w); /* before the fd is closed */
/* The next request begins; or it waits for us, for as long as that takes. */
void deadline_restart(struct deadline *d, struct watched *w);
void deadline_pause(struct deadline *d, struct watched *w);

/* Shuts down what is late; returns how many. Every second or so. */
unsigned deadline_sweep(struct deadline *d);
