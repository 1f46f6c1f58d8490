/* seqlock: lets readers walk a chain without a lock while one writer changes it.
 *
 * The writer makes the count odd, changes, and makes it even; a reader that saw the count change
 * looks again. Every word that the two share is atomic and goes through seq_load and seq_store,
 * whose acquire and release order it with the count (and cost nothing on x86). What a chain no
 * longer leads to may be written outside: a reader still on it will find the count changed. */
#pragma once
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define seq_load(word)         atomic_load_explicit((word), memory_order_acquire)
#define seq_store(word, value) atomic_store_explicit((word), (value), memory_order_release)

struct seqlock {
	_Atomic uint32_t count;
};

static inline void seq_write_begin(struct seqlock *l)
{
	seq_store(&l->count, seq_load(&l->count) + 1);
}

static inline void seq_write_end(struct seqlock *l)
{
	seq_store(&l->count, seq_load(&l->count) + 1);
}

/* Waits only where the writer was stopped in the few instructions of a change to this very chain.
 */
static inline uint32_t seq_read_begin(const struct seqlock *l)
{
	uint32_t count;
	for (unsigned turns = 1; (count = seq_load(&l->count)) & 1; turns++)
		if (turns % 128 == 0)
			sched_yield();
	return count;
}

static inline bool seq_changed(const struct seqlock *l, uint32_t count)
{
	return seq_load(&l->count) != count;
}
