/* owned: which slots of a fixed table are whose, in the order of their use, so that no host can
 * take all of them. Fixed size, no allocation once made. */
#pragma once
#include "packet/share.h"

struct owned;

/* slots, per_host of one host (at least 1); NULL where memory or the kernel's random numbers ran
 * out. */
struct owned *owned_new(uint32_t slots, uint32_t per_host);
void owned_free(struct owned *o);

/* A slot for a host. *evicted: it is in use, and goes to the newcomer: the host's own least
 * recently used where it has its share, else, where none is free, that of a host that has most. */
uint32_t owned_take(struct owned *o, const struct host_key *host, bool *evicted);
void owned_touch(struct owned *o, uint32_t slot); /* used: the newest of its host's */
void owned_give(struct owned *o, uint32_t slot);  /* free again */
