/* no_memory: an allocation of this thread fails, so that it shows what becomes of who made it. A
 * sanitizer has allocations of its own: there all succeed, and NO_MEMORY is 0. */
#pragma once
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define NO_MEMORY 0
static bool no_memory_failed;
static inline void no_memory_at(long n)
{
}
static inline void no_memory_end(void)
{
}
static inline long memory_held(void)
{
	return 0;
}
#else
#define NO_MEMORY 1

static _Thread_local long no_memory_left = -1;
static _Thread_local bool no_memory_failed; /* one has */
static _Thread_local long memory_blocks;

/* How many more blocks this thread has taken than given back: what is lost shows without a
 * sanitizer, too. */
static inline long memory_held(void)
{
	return memory_blocks;
}

/* The n-th from here on fails (0: the next one), and no other. */
static inline void no_memory_at(long n)
{
	no_memory_left = n;
	no_memory_failed = false;
}

static inline void no_memory_end(void)
{
	no_memory_left = -1;
}

static bool no_memory_now(void)
{
	if (no_memory_left < 0 || no_memory_left--)
		return false;
	no_memory_failed = true;
	errno = ENOMEM;
	return true;
}

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *old);

static inline void *no_memory_count(void *taken)
{
	memory_blocks += taken != NULL;
	return taken;
}

void *malloc(size_t size)
{
	return no_memory_now() ? NULL : no_memory_count(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
	return no_memory_now() ? NULL : no_memory_count(__libc_calloc(count, size));
}

void *realloc(void *old, size_t size)
{
	void *taken = no_memory_now() ? NULL : __libc_realloc(old, size);
	memory_blocks += taken && !old;
	return taken;
}

void free(void *old)
{
	memory_blocks -= old != NULL;
	__libc_free(old);
}
#endif
