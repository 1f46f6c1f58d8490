#include "base/unique.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static void alike_is_kept_once(void **state)
{
	struct unique *u = unique_new(4, 64);
	const void *a = unique_get(u, "ann", 4), *b = unique_get(u, "ben", 4);
	assert_string_equal(a, "ann");
	assert_ptr_not_equal(a, b);
	assert_ptr_equal(unique_get(u, "ann", 4), a);
	assert_int_equal(unique_count(u), 2);
	unique_put(u, a);
	assert_int_equal(unique_count(u), 2);
	unique_put(u, a);
	unique_put(u, NULL);
	assert_int_equal(unique_count(u), 1);
	assert_ptr_equal(unique_get(u, "ben", 4), b);
	unique_free(u);
}

/* Zeros at the end count as all else does. */
static void length_counts(void **state)
{
	struct unique *u = unique_new(4, 64);
	const void *a = unique_get(u, "a\0\0\0\0\0\0\0\0", 8),
		   *b = unique_get(u, "a\0\0\0\0\0\0\0\0", 7);
	assert_ptr_not_equal(a, b);
	assert_ptr_equal(unique_get(u, "a\0\0\0\0\0\0\0\0", 7), b);
	assert_non_null(unique_get(u, "", 0));
	unique_free(u);
}

static void bounds(void **state)
{
	char longest[UNIQUE_MAX + 1] = "";
	struct unique *u = unique_new(2, UNIQUE_MAX);
	assert_non_null(unique_get(u, longest, UNIQUE_MAX));
	assert_null(unique_get(u, longest, UNIQUE_MAX + 1));
	const void *a = unique_get(u, "a", 1);
	assert_non_null(a);
	assert_null(unique_get(u, "b", 1));
	assert_ptr_equal(unique_get(u, "a", 1), a); /* no room is needed */
	unique_free(u);
}

/* Each length has a place of its own, and what it gives back is whole for the next. */
static void any_length(void **state)
{
	struct unique *u = unique_new(UNIQUE_MAX + 1, UNIQUE_MAX);
	const char *at[UNIQUE_MAX + 1];
	char text[UNIQUE_MAX];
	for (int round = 0; round < 3; round++) {
		for (size_t len = 0; len <= UNIQUE_MAX; len++) {
			memset(text, (int)len + round, len);
			assert_non_null(at[len] = unique_get(u, text, len));
		}
		for (size_t len = 0; len <= UNIQUE_MAX; len++) {
			memset(text, (int)len + round, len);
			assert_memory_equal(at[len], text, len);
			assert_ptr_equal(unique_get(u, text, len), at[len]);
			unique_put(u, at[len]);
			unique_put(u, at[len]);
		}
		assert_int_equal(unique_count(u), 0);
	}
	unique_free(u);
}

/* Against a plain array of counts. */
static void agrees_with_a_naive_twin(void **state)
{
	enum { RECORDS = 200, ROUNDS = 100000 };
	struct unique *u = unique_new(RECORDS, 32);
	const void *at[RECORDS] = {0};
	unsigned uses[RECORDS] = {0}, held = 0;
	uint32_t random = 1;
	for (int i = 0; i < ROUNDS; i++) {
		random = random * 1664525 + 1013904223;
		uint32_t n = (random >> 8) % RECORDS;
		char text[32];
		size_t len = (size_t)snprintf(text, sizeof text, "record %u", n);
		if (uses[n] && random >> 31) {
			unique_put(u, at[n]);
			held -= --uses[n] == 0;
		} else {
			const void *got = unique_get(u, text, len);
			if (uses[n])
				assert_ptr_equal(got, at[n]);
			at[n] = got;
			held += uses[n]++ == 0;
		}
		if (uses[n])
			assert_memory_equal(at[n], text, len);
		assert_int_equal(unique_count(u), held);
	}
	unique_free(u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alike_is_kept_once),
		cmocka_unit_test(length_counts),
		cmocka_unit_test(bounds),
		cmocka_unit_test(any_length),
		cmocka_unit_test(agrees_with_a_naive_twin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
