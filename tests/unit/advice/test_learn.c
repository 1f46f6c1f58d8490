/* What is learned to come with what. */
#include "advice/learn.h"
#include "base/clock.h"
#include "unit.h"

#include <stdlib.h>

static struct learn *l;

static struct address client(uint8_t n)
{
	return address_from4((uint8_t[4]){10, 0, 0, n});
}

static void seen(uint8_t who, uint32_t node, int second)
{
	struct address a = client(who);
	learn_seen(l, &a, node, second * NS_PER_S);
}

static int start(void **state)
{
	l = learn_new();
	return 0;
}

static int stop(void **state)
{
	learn_free(l);
	return 0;
}

enum { PAGE = 7, IMAGES, SEARCH };

static void three_occasions(void **state)
{
	for (int i = 0; i < 3; i++) {
		assert_int_equal(learn_companion(l, IMAGES), LEARN_NONE);
		seen(1, PAGE, 100 * i);
		seen(1, IMAGES, 100 * i + 1);
		seen(1, IMAGES, 100 * i + 2); /* of the same occasion */
	}
	assert_int_equal(learn_companion(l, IMAGES), PAGE);
	assert_int_equal(learn_companion(l, PAGE), LEARN_NONE);
	seen(1, IMAGES, 1000); /* alone, once */
	assert_int_equal(learn_companion(l, IMAGES), LEARN_NONE);
}

static void not_of_another_client_nor_late(void **state)
{
	for (int i = 0; i < 4; i++) {
		seen(1, PAGE, 100 * i);
		seen(2, IMAGES, 100 * i + 1);
		seen(1, SEARCH, 100 * i + 11);
	}
	assert_int_equal(learn_companion(l, IMAGES), LEARN_NONE);
	assert_int_equal(learn_companion(l, SEARCH), LEARN_NONE);
}

/* Who looks for everything before it comes is no sign; the rarer of two is. */
static void what_comes_before_all_things(void **state)
{
	for (int i = 0; i < 9; i++) {
		seen(1, SEARCH, 100 * i);
		if (i < 4)
			seen(1, PAGE, 100 * i + 1);
		if (i < 4)
			seen(1, IMAGES, 100 * i + 2);
	}
	assert_int_equal(learn_companion(l, IMAGES), PAGE);
	assert_int_equal(learn_companion(l, PAGE), LEARN_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(three_occasions, start, stop),
		cmocka_unit_test_setup_teardown(not_of_another_client_nor_late, start, stop),
		cmocka_unit_test_setup_teardown(what_comes_before_all_things, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
