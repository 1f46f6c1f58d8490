#include "name/probe.h"
#include "unit.h"

#include <string.h>

static bool asks(const char *text)
{
	struct host h = {.len = (uint8_t)strlen(text)};
	strcpy(h.text, text);
	return probe_asks(&h);
}

static void the_shipped_list_and_nothing_else(void **state)
{
	assert_true(asks("captive.apple.com"));
	assert_true(asks("wifi.vivo.com.cn"));
	assert_false(asks(""));
	assert_false(asks("apple.com"));
	assert_false(asks("a.captive.apple.com"));
	assert_false(asks("captive.apple.co"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_shipped_list_and_nothing_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
