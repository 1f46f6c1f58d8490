/* mark: how verdicts are written into the bits of the packet and conntrack mark that are ours.
 * A mark is kind | epoch << 3, shifted to the mask's lowest bit; the mask has at least 7 bits. */
#pragma once
#include "source/source.h"

enum mark_kind { MARK_NONE, MARK_PENDING, MARK_ALLOWED, MARK_DENIED, MARK_REDIRECT };
#define MARK_EPOCHS 16

static inline uint32_t mark_value(uint32_t mask, enum mark_kind kind, unsigned epoch)
{
	return ((uint32_t)kind | (uint32_t)(epoch % MARK_EPOCHS) << 3) << __builtin_ctz(mask);
}

/* The mark that a verdict leaves on the packet; MARK_NONE for drops. */
static inline enum mark_kind mark_of_verdict(enum verdict v)
{
	switch (v) {
	case VERDICT_PENDING: return MARK_PENDING;
	case VERDICT_ALLOWED: return MARK_ALLOWED;
	case VERDICT_DENIED: return MARK_DENIED;
	case VERDICT_REDIRECT: return MARK_REDIRECT;
	case VERDICT_DROP:
	case VERDICT_DROP_DENIED: break;
	}
	return MARK_NONE;
}
