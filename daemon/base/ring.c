#include "base/ring.h"

#include "base/table.h"

struct ring {
	size_t mask, item_size;
	_Alignas(64) _Atomic size_t head; /* written by the producer */
	size_t tail_seen;                 /* the producer's last look at tail */
	_Atomic uint64_t refused;
	_Alignas(64) _Atomic size_t tail; /* written by the consumer */
	_Alignas(64) char items[];
};

struct ring *ring_new(size_t slots, size_t item_size)
{
	size_t n = 1;
	while (n < slots)
		n *= 2;
	item_size = (item_size + 15) & ~(size_t)15;
	struct ring *r = table_new(1, sizeof(struct ring) + n * item_size);
	if (!r)
		return NULL;
	r->mask = n - 1;
	r->item_size = item_size;
	r->tail_seen = 0;
	atomic_init(&r->head, 0);
	atomic_init(&r->tail, 0);
	atomic_init(&r->refused, 0);
	return r;
}

void ring_free(struct ring *r)
{
	if (r)
		table_free(r, 1, sizeof(struct ring) + (r->mask + 1) * r->item_size);
}

void *ring_claim(struct ring *r)
{
	size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	if (head - r->tail_seen > r->mask) {
		r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
		if (head - r->tail_seen > r->mask) {
			atomic_fetch_add_explicit(&r->refused, 1, memory_order_relaxed);
			return NULL;
		}
	}
	return r->items + (head & r->mask) * r->item_size;
}

void ring_publish(struct ring *r)
{
	size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
}

const void *ring_peek(struct ring *r)
{
	size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	if (tail == atomic_load_explicit(&r->head, memory_order_acquire))
		return NULL;
	return r->items + (tail & r->mask) * r->item_size;
}

void ring_release(struct ring *r)
{
	size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
}

uint64_t ring_refused(const struct ring *r)
{
	return atomic_load_explicit(&r->refused, memory_order_relaxed);
}
