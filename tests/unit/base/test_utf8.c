/* A character of UTF-8, RFC 3629: whole, shortest, no surrogate, within Unicode; else 0 bytes. */
#include "unit.h"

#include "base/utf8.h"

#include <string.h>

static void each_length_is_told(void **state)
{
	assert_int_equal(utf8_len("a", 1), 1);
	assert_int_equal(utf8_len("\x7f", 1), 1);
	assert_int_equal(utf8_len("\xc2\x80", 2), 2);
	assert_int_equal(utf8_len("\xdf\xbf", 2), 2);
	assert_int_equal(utf8_len("\xe0\xa0\x80", 3), 3);
	assert_int_equal(utf8_len("\xed\x9f\xbf", 3), 3);
	assert_int_equal(utf8_len("\xee\x80\x80", 3), 3);
	assert_int_equal(utf8_len("\xef\xbf\xbf", 3), 3);
	assert_int_equal(utf8_len("\xf0\x90\x80\x80", 4), 4);
	assert_int_equal(utf8_len("\xf4\x8f\xbf\xbf", 4), 4);
	assert_int_equal(utf8_len("\xc2\x80zzz", 5), 2); /* what follows is another's */
}

/* What lies behind the end is not looked at, even where it would make a whole character. */
static void the_end_is_the_end(void **state)
{
	static const char *const whole[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\x81"};
	for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
		for (size_t left = 0; left < strlen(whole[i]); left++)
			assert_int_equal(utf8_len(whole[i], left), 0);
}

static void what_is_none_is_refused(void **state)
{
	static const char bad[][5] = {
		"\x80",
		"\xbf",
		"\xc0\x80",
		"\xc1\xbf",
		"\xc2\x7f",
		"\xc2\xc0",
		"\xe0\x9f\xbf",
		"\xe2\x82\x20",
		"\xe2\x20\x82",
		"\xed\xa0\x80",
		"\xed\xbf\xbf",
		"\xf0\x8f\xbf\xbf",
		"\xf0\x90\x80\x20",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xff\x80\x80\x80",
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (utf8_len(bad[i], 4))
			fail_msg("taken: no. %zu", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_length_is_told),
		cmocka_unit_test(the_end_is_the_end),
		cmocka_unit_test(what_is_none_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
