/* What is made of several parts is whole or it is none: whichever part can't be had, none of the
 * others stays behind, memory of the kernel's among them. */
#include "unit.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static int part, missing; /* the one that can't be had */
static long held;         /* that were not given back */

static void *counted(void *had)
{
	held += had != NULL;
	return had;
}

static void *part_calloc(size_t count, size_t size)
{
	return part++ == missing ? NULL : counted(calloc(count, size));
}

static void *part_malloc(size_t size)
{
	return part++ == missing ? NULL : counted(malloc(size));
}

static void part_free(void *had)
{
	held -= had != NULL;
	free(had);
}

static void *part_mmap(void *at, size_t size, int rights, int flags, int fd, off_t offset)
{
	if (part++ == missing)
		return MAP_FAILED;
	held++;
	return mmap(at, size, rights, flags, fd, offset);
}

static int part_munmap(void *at, size_t size)
{
	assert_ptr_not_equal(at, MAP_FAILED);
	held--;
	assert_int_equal(munmap(at, size), 0);
	return 0;
}

static bool part_key(struct hash_key *key)
{
	return part++ != missing && hash_key_random(key);
}

#define calloc          part_calloc
#define malloc          part_malloc
#define free(had)       part_free(had) /* there are members of that name */
#define mmap            part_mmap
#define munmap          part_munmap
#define hash_key_random part_key
#define agrees          stream_agrees
#include "packet/stream.c"
#undef agrees
#define agrees kept_agrees
#include "packet/kept.c"
#include "packet/owned.c"

/* Makes one with each of its parts missing in turn, and then a whole one. */
static void whole_or_none(void *make(void), void give_back(void *), int parts)
{
	for (missing = 0; missing <= parts; missing++) {
		part = 0;
		void *made = make();
		assert_int_equal(made != NULL, missing == parts);
		if (made)
			assert_true(held > 0);
		give_back(made);
		assert_int_equal(held, 0);
	}
	assert_int_equal(part, parts); /* there are no more */
}

static void *make_streams(void)
{
	return stream_pool_new(2);
}

static void free_streams(void *p)
{
	stream_pool_free(p);
}

static void *make_kept(void)
{
	return kept_new(2);
}

static void free_kept(void *k)
{
	kept_free(k);
}

static void *make_owned(void)
{
	return owned_new(4, 2);
}

static void free_owned(void *o)
{
	owned_free(o);
}

static void streams(void **state)
{
	whole_or_none(make_streams, free_streams, 4);
}

static void kept_bytes(void **state)
{
	whole_or_none(make_kept, free_kept, 5);
}

static void owned_slots(void **state)
{
	whole_or_none(make_owned, free_owned, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams),
		cmocka_unit_test(kept_bytes),
		cmocka_unit_test(owned_slots),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
