/* learn: what always comes with what, by what the same client did within some seconds before. */
#pragma once
#include "base/address.h"
#include <stdint.h>

#define LEARN_NODES 16384
#define LEARN_NONE  UINT32_MAX

struct learn;

struct learn *learn_new(void);
void learn_free(struct learn *l);

/* A client met a node (any number below LEARN_NODES) at a time (ns); in the order of time. */
void learn_seen(struct learn *l, const struct address *client, uint32_t node, int64_t time);

/* The node that was there before each of at least three occasions of this one, and had this one
 * come after at least half of its own; or LEARN_NONE. Never leads round in a circle. */
uint32_t learn_companion(const struct learn *l, uint32_t node);
