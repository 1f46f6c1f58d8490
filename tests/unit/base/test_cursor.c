#include "unit.h"

#include "base/cursor.h"

static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};

static void test_reads(void **state)
{
	struct cursor c = cursor_of(bytes, sizeof bytes);
	assert_int_equal(cursor_peek(&c), 1);
	assert_int_equal(cursor_u8(&c), 1);
	assert_int_equal(cursor_u16(&c), 0x0203);
	assert_int_equal(cursor_u24(&c), 0x040506);
	assert_int_equal(cursor_left(&c), 3);
	assert_true(cursor_skip(&c, 3));
	assert_false(c.bad);
	assert_int_equal(cursor_left(&c), 0);
	c = cursor_of(bytes, sizeof bytes);
	assert_true(cursor_u32(&c) == 0x01020304);
	c = cursor_of(bytes, sizeof bytes);
	assert_true(cursor_u64(&c) == UINT64_C(0x0102030405060708));
}

/* Each read, one byte short: zero, bad, at the end. */
static void test_short(void **state)
{
	struct cursor c;
	uint8_t copy[4] = {9, 9, 9, 9};
#define SHORT(len, read)                                                                           \
	do {                                                                                       \
		c = cursor_of(bytes, len);                                                         \
		assert_true((read) == 0);                                                          \
		assert_true(c.bad);                                                                \
		assert_int_equal(cursor_left(&c), 0);                                              \
	} while (0)
	SHORT(0, cursor_u8(&c));
	SHORT(1, cursor_u16(&c));
	SHORT(2, cursor_u24(&c));
	SHORT(3, cursor_u32(&c));
	SHORT(7, cursor_u64(&c));
	SHORT(3, cursor_skip(&c, 4));
	SHORT(3, cursor_skip(&c, SIZE_MAX));
	SHORT(3, (uintptr_t)cursor_bytes(&c, 4));
	SHORT(3, cursor_copy(&c, copy, 4));
	assert_memory_equal(copy, ((uint8_t[]){0, 0, 0, 0}), 4);
}

static void test_end_is_not_bad(void **state)
{
	struct cursor c = cursor_of(bytes, 0);
	assert_int_equal(cursor_peek(&c), 0);
	assert_true(cursor_skip(&c, 0));
	assert_false(c.bad);
}

static void test_bad_stays(void **state)
{
	struct cursor c = cursor_of(bytes, 4);
	cursor_skip(&c, 5);
	assert_int_equal(cursor_u8(&c), 0);
	assert_true(cursor_skip(&c, 0));
	assert_true(c.bad);
}

static void test_sub(void **state)
{
	struct cursor c = cursor_of(bytes, sizeof bytes);
	struct cursor child = cursor_sub(&c, 4);
	assert_int_equal(cursor_left(&c), 5);
	assert_true(cursor_u32(&child) == 0x01020304);
	assert_int_equal(cursor_u8(&child), 0);
	assert_true(child.bad);
	assert_false(c.bad);
	child = cursor_sub(&c, 6);
	assert_true(child.bad && c.bad);
	assert_int_equal(cursor_left(&child), 0);
	child = cursor_sub(&c, 1);
	assert_true(child.bad);
}

static void test_copy(void **state)
{
	struct cursor c = cursor_of(bytes, sizeof bytes);
	uint8_t copy[3];
	assert_true(cursor_copy(&c, copy, 3));
	assert_memory_equal(copy, bytes, 3);
	assert_int_equal(cursor_u8(&c), 4);
}

static void test_field(void **state)
{
	char to[4] = "x";
	struct cursor c = cursor_of("abc::abcd", 9);
	assert_true(cursor_field(&c, ':', to, sizeof to));
	assert_string_equal(to, "abc");
	assert_true(cursor_field(&c, ':', to, sizeof to));
	assert_string_equal(to, "");
	assert_false(cursor_field(&c, ':', to, sizeof to)); /* no room for its end */
	assert_int_equal(cursor_left(&c), 4);
	c = cursor_of("a\0b:", 4);
	assert_false(cursor_field(&c, ':', to, sizeof to));
	c = cursor_of("ab", 2);
	assert_true(cursor_field(&c, ':', to, sizeof to));
	assert_string_equal(to, "ab");
	assert_int_equal(cursor_left(&c), 0);
	assert_true(cursor_field(&c, ':', to, sizeof to)); /* nothing is an empty field */
	assert_string_equal(to, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_end_is_not_bad),
		cmocka_unit_test(test_bad_stays),
		cmocka_unit_test(test_sub),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_field),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
