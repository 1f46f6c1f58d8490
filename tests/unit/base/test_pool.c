#include "base/pool.h"
#include "unit.h"

#include <string.h>

static void takes_as_many_as_it_has(void **state)
{
	struct pool *p = pool_new(3, 12);
	uint64_t *a = pool_take(p), *b = pool_take(p), *c = pool_take(p);
	assert_non_null(c);
	assert_null(pool_take(p));
	assert_int_equal(pool_taken(p), 3);
	assert_ptr_equal(pool_at(p, pool_slot(p, b)), b);
	assert_int_not_equal(pool_slot(p, a), pool_slot(p, c));
	assert_int_equal((uintptr_t)b % 8, 0);
	pool_free(p);
}

/* What was given back last is taken first, and is as new. */
static void what_is_given_back_is_zero_again(void **state)
{
	struct pool *p = pool_new(3, 16);
	uint64_t *a = pool_take(p), *b = pool_take(p);
	memset(a, 0xff, 16);
	memset(b, 0xff, 16);
	pool_give(p, a);
	pool_give(p, b);
	pool_give(p, NULL);
	assert_int_equal(pool_taken(p), 0);
	assert_ptr_equal(pool_take(p), b);
	assert_int_equal(b[0] | b[1], 0);
	assert_ptr_equal(pool_take(p), a);
	assert_int_equal(a[0] | a[1], 0);
	assert_non_null(pool_take(p));
	assert_null(pool_take(p));
	pool_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_as_many_as_it_has),
		cmocka_unit_test(what_is_given_back_is_zero_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
