#include "base/table.h"
#include "unit.h"

/* Small, and large enough for huge pages: zeroed, whole, and given back. */
static void test_zeroed(void **state)
{
	for (size_t count = 1; count <= 9ul << 20; count = count == 1 ? 9ul << 20 : count + 1) {
		unsigned char *t = table_new(count, 1);
		assert_non_null(t);
		assert_int_equal((uintptr_t)t % 64, 0);
		for (size_t i = 0; i < count; i += 4096)
			assert_int_equal(t[i], 0);
		t[0] = t[count - 1] = 1;
		table_free(t, count, 1);
	}
	table_free(NULL, 1, 1);
}

static void test_too_large(void **state)
{
	assert_null(table_new(1ul << 20, 1ul << 40));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zeroed),
		cmocka_unit_test(test_too_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
