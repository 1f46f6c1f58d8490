#include "unit.h"

#include "base/json.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static char text[4096];
static struct buf b = BUF_OF(text);

/* Writes one string and reads it back with a reader that we did not write. */
static const char *string(const void *bytes, size_t len)
{
	static char back[4096];
	struct json j;
	buf_reset(&b);
	json_open(&j, &b);
	json_text_n(&j, "k", bytes, len);
	json_close(&j);
	json_t *read = json_loads(text, JSON_ALLOW_NUL, NULL);
	assert_non_null(read);
	snprintf(back, sizeof back, "%s", json_string_value(json_object_get(read, "k")));
	json_decref(read);
	return back;
}

static void test_object(void **state)
{
	struct json j;
	buf_reset(&b);
	json_open(&j, &b);
	json_text(&j, "a", "x");
	json_text(&j, "left.out", NULL);
	json_uint(&j, "b", UINT64_MAX);
	json_bool(&j, "c", true);
	json_bool(&j, "d", false);
	json_time(&j, "e", 0);
	json_close(&j);
	assert_string_equal(text, "{\"a\":\"x\",\"b\":18446744073709551615,\"c\":true,\"d\":false,"
				  "\"e\":\"1970-01-01T00:00:00.000000Z\"}");
	buf_reset(&b);
	json_open(&j, &b);
	json_close(&j);
	assert_string_equal(text, "{}");
}

static void test_escapes(void **state)
{
	assert_string_equal(string("a\"b\\c\n\t\x01\x7f/", 10), "a\"b\\c\n\t\x01\x7f/");
	string("a\0b", 3);
	assert_string_equal(text, "{\"k\":\"a\\u0000b\"}");
	string("\n", 1);
	assert_string_equal(text, "{\"k\":\"\\u000a\"}");
}

static void test_utf8(void **state)
{
	static const char *const good[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
					   "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_string_equal(string(good[i], strlen(good[i])), good[i]);
}

/* Each byte that is not UTF-8 becomes its own escape; the text is JSON all the same. */
static void test_not_utf8(void **state)
{
	static const char *const bad[] = {"\x80",
					  "\xff",
					  "\xc0\x80",
					  "\xc3",
					  "\xe2\x82",
					  "\xe0\x80\x80",
					  "\xed\xa0\x80",
					  "\xf4\x90\x80\x80",
					  "\xf0\x9f\x98",
					  "\xc3(",
					  "\xf8\x88\x80\x80\x80"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char start[16];
		string(bad[i], strlen(bad[i]));
		snprintf(start, sizeof start, "{\"k\":\"\\u00%02x", (unsigned char)bad[i][0]);
		assert_memory_equal(text, start, strlen(start));
	}
	for (int byte = 0; byte < 256; byte++)
		string(&(unsigned char){(unsigned char)byte}, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_object),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_not_utf8),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
