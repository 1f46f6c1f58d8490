/* mark: how verdicts are written into the bits of the packet and conntrack mark that are ours.
 * A mark is kind | epoch << 3, shifted to the mask's lowest bit; the mask has at least 7 bits in a
 * row. */
#pragma once
#include "source/source.h"

enum mark_kind {
	MARK_NONE,
	MARK_PENDING,
	MARK_ALLOWED,
	MARK_DENIED,
	MARK_REDIRECT,
	/* On packets only, never on a conntrack entry: */
	MARK_SENT,   /* on its way to a worker's queue; who still has it later was not decided */
	MARK_ANSWER, /* a resolver's, by the resolver's own route; goes to the DNS queue after NAT
		      */
	MARK_OWN,    /* made by the daemon's raw sockets */
};
#define MARK_EPOCHS 16

static inline uint32_t mark_value(uint32_t mask, enum mark_kind kind, unsigned epoch)
{
	return ((uint32_t)kind | (uint32_t)(epoch % MARK_EPOCHS) << 3) << __builtin_ctz(mask);
}

static inline enum mark_kind mark_kind_of(uint32_t mask, uint32_t mark)
{
	return (enum mark_kind)((mark & mask) >> __builtin_ctz(mask) & 7);
}

static inline unsigned mark_epoch_of(uint32_t mask, uint32_t mark)
{
	return (mark & mask) >> __builtin_ctz(mask) >> 3 & (MARK_EPOCHS - 1);
}

/* The mark that a verdict leaves on the packet or, by remark, on the flow; MARK_NONE where the
 * flow stays undecided and its packet is gone. */
static inline enum mark_kind mark_of_verdict(enum verdict v)
{
	switch (v) {
	case VERDICT_PENDING: return MARK_PENDING;
	case VERDICT_ALLOWED: return MARK_ALLOWED;
	case VERDICT_DENIED:
	case VERDICT_DROP_DENIED: return MARK_DENIED;
	case VERDICT_REDIRECT: return MARK_REDIRECT;
	case VERDICT_DROP: break;
	}
	return MARK_NONE;
}
