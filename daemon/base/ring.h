/* ring: a bounded queue of fixed-size items from one thread to another, without locks.
 *
 * One producer, one consumer. A full ring refuses (and counts): the producer never waits. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring;

/* slots is rounded up to a power of two; NULL where memory ran out. */
struct ring *ring_new(size_t slots, size_t item_size);
void ring_free(struct ring *r);

/* Producer: the next free slot to fill in place, NULL where the ring is full (counted); then
 * publish. */
void *ring_claim(struct ring *r);
void ring_publish(struct ring *r);

/* Consumer: the oldest item, NULL where there is none; then release it. */
const void *ring_peek(struct ring *r);
void ring_release(struct ring *r);

uint64_t ring_refused(const struct ring *r); /* any thread */
