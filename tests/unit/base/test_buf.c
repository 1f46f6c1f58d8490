#include "unit.h"

#include "base/buf.h"

static void test_fills_to_the_edge(void **state)
{
	char text[6];
	struct buf b = BUF_OF(text);
	buf_text(&b, "abc");
	buf_char(&b, 'd');
	buf_printf(&b, "%d", 7);
	assert_string_equal(text, "abcd7");
	assert_false(b.full);
	buf_char(&b, 'x');
	assert_true(b.full);
	assert_string_equal(text, "abcd7");
}

/* What does not fit is left out whole, and so is all that follows. */
static void test_overflow(void **state)
{
	char text[6];
	struct buf b = BUF_OF(text);
	buf_text(&b, "abc");
	buf_text(&b, "def");
	assert_true(b.full);
	assert_string_equal(text, "abc");
	buf_text(&b, "d");
	buf_printf(&b, "e");
	assert_string_equal(text, "abc");
	assert_int_equal(b.len, 3);
}

static void test_printf_overflow(void **state)
{
	char text[6];
	struct buf b = BUF_OF(text);
	buf_text(&b, "ab");
	buf_printf(&b, "%s", "cdef");
	assert_true(b.full);
	assert_string_equal(text, "ab");
}

static void test_reset(void **state)
{
	char text[4] = "zzz";
	struct buf b = BUF_OF(text);
	buf_text(&b, "too long");
	buf_reset(&b);
	assert_string_equal(text, "");
	buf_bytes(&b, "a\0b", 3);
	assert_false(b.full);
	assert_int_equal(b.len, 3);
	assert_memory_equal(text, "a\0b", 4);
}

static void test_no_room_at_all(void **state)
{
	struct buf b = {0};
	buf_reset(&b);
	buf_bytes(&b, "", 0);
	assert_true(b.full);
	buf_reset(&b);
	buf_printf(&b, "%d", 7);
	assert_true(b.full);
	assert_int_equal(b.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fills_to_the_edge), cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_printf_overflow),   cmocka_unit_test(test_reset),
		cmocka_unit_test(test_no_room_at_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
