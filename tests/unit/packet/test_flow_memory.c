/* A table of flows is whole or it is none: whichever of its parts can't be had, none of the others
 * stays behind. */
#include "unit.h"

#include "base/hash.h"
#include "base/table.h"

#include <stdlib.h>

static int part, missing; /* the one that can't be had */
static long held;         /* that were not given back */

static void *part_new(size_t count, size_t size)
{
	void *had = part++ == missing ? NULL : calloc(count, size);
	held += had != NULL;
	return had;
}

static void part_free(void *had, size_t count, size_t size)
{
	held -= had != NULL;
	free(had);
}

static bool part_key(struct hash_key *key)
{
	return part++ != missing;
}

#define table_new       part_new
#define table_free      part_free
#define hash_key_random part_key
#include "packet/flow.c"

static bool stays(const void *flow)
{
	return false;
}

static void a_table_is_whole_or_none(void **state)
{
	enum { PARTS = 8 }; /* seven tables and a key */
	const struct flow_owner owner = {.size = sizeof(struct flow_entry) + 100, .stays = stays};
	for (missing = 0; missing <= PARTS; missing++) {
		part = 0;
		struct flow_table *t = flow_table_new(16, &owner);
		assert_int_equal(t != NULL, missing == PARTS);
		flow_table_free(t);
		assert_int_equal(held, 0);
	}
	assert_int_equal(part, PARTS); /* there are no more */
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_table_is_whole_or_none)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
