#include "unit.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static void test_places(void **state)
{
	struct errors e = {0};
	errors_add(&e, "a.conf", 3, "%s is wrong; %d would do", "x", 7);
	errors_add(&e, "a.conf", 0, "is missing");
	errors_add(&e, NULL, 9, "all is lost");
	assert_int_equal(e.count, 3);
	assert_string_equal(e.lines[0], "a.conf:3: x is wrong; 7 would do");
	assert_string_equal(e.lines[1], "a.conf: is missing");
	assert_string_equal(e.lines[2], "all is lost");
	errors_deinit(&e);
	assert_int_equal(e.count, 0);
	errors_deinit(&e);
}

static void test_many_and_print(void **state)
{
	struct errors e = {0};
	char *text = NULL;
	size_t len = 0;
	for (int i = 0; i < 1000; i++)
		errors_add(&e, "f", i + 1, "%d", i);
	assert_int_equal(e.count, 1000);
	assert_string_equal(e.lines[999], "f:1000: 999");
	FILE *f = open_memstream(&text, &len);
	errors_print(&e, f);
	fclose(f);
	assert_int_equal(strncmp(text, "f:1: 0\nf:2: 1\n", 14), 0);
	assert_string_equal(text + len - 12, "f:1000: 999\n");
	free(text);
	errors_deinit(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_many_and_print),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
