#include "base/pool.h"

#include "base/table.h"

#include <stdlib.h>
#include <string.h>

struct pool {
	char *things;
	size_t size; /* of one, a multiple of 8 */
	uint32_t capacity, taken;
	uint32_t fresh; /* from here on none was ever taken */
	void *given;    /* those given back, last first: each holds where the next is */
};

struct pool *pool_new(uint32_t capacity, size_t size)
{
	struct pool *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->capacity = capacity;
	p->size = (size + 7) & ~7ul;
	p->things = table_new(capacity, p->size);
	if (p->things)
		return p;
	free(p);
	return NULL;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	table_free(p->things, p->capacity, p->size);
	free(p);
}

void *pool_take(struct pool *p)
{
	void *thing = p->given;
	if (!thing && p->fresh == p->capacity)
		return NULL;
	p->taken++;
	if (!thing)
		return pool_at(p, p->fresh++);
	memcpy(&p->given, thing, sizeof p->given);
	return memset(thing, 0, p->size);
}

void pool_give(struct pool *p, void *thing)
{
	if (!thing)
		return;
	memcpy(thing, &p->given, sizeof p->given);
	p->given = thing;
	p->taken--;
}

uint32_t pool_slot(const struct pool *p, const void *thing)
{
	return (uint32_t)((size_t)((const char *)thing - p->things) / p->size);
}

void *pool_at(const struct pool *p, uint32_t slot)
{
	return p->things + slot * p->size;
}

uint32_t pool_taken(const struct pool *p)
{
	return p->taken;
}
