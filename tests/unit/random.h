/* random: the same numbers on every machine and every run. */
#pragma once
#include <stdint.h>

static uint64_t random_state = UINT64_C(0x853c49e6748fea9b);

/* Below n, which is not 0 (xorshift64*). */
static inline uint32_t random_below(uint32_t n)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint32_t)((random_state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % n;
}
