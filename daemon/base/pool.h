/* pool: things of one size, taken and given back: fixed capacity, no allocation once made. Memory
 * is touched only as far as so many were taken at once. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct pool;

/* size: bytes of a thing. NULL where memory ran out. */
struct pool *pool_new(uint32_t capacity, size_t size);
void pool_free(struct pool *p);

/* All zero, aligned as uint64_t; NULL where all are taken. */
void *pool_take(struct pool *p);
void pool_give(struct pool *p, void *thing); /* NULL: nothing */

/* The number of a thing, below the capacity and its own while it is taken; and back. */
uint32_t pool_slot(const struct pool *p, const void *thing);
void *pool_at(const struct pool *p, uint32_t slot);

uint32_t pool_taken(const struct pool *p);
