/* What was judged is compared with what comes in its place, in the smaller room and in the larger.
 */
#include "packet/kept.h"
#include "unit.h"

#include <string.h>

static const struct address client = {{[10] = 0xff, [11] = 0xff, [12] = 10}};
static uint8_t bytes[KEPT_MAX];

static void fill(void)
{
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
}

static enum kept_check check(const struct kept *k, const struct kept_flow *f, size_t from,
			     size_t len)
{
	return kept_check(k, f, from, cursor_of(bytes + from, len));
}

/* Of `size` bytes in portions, with a byte nobody judged after each where they are apart: each byte
 * that was kept is noticed when it changes, and no other. */
static void keep_and_change(size_t size, size_t portion, size_t apart)
{
	struct kept *k = kept_new(16);
	struct kept_flow f = {0};
	fill();
	for (size_t at = 0; at + portion <= size; at += portion + apart)
		kept_add(k, &f, &client, at, cursor_of(bytes + at, portion));
	size_t count = (size + apart) / (portion + apart), end = count * (portion + apart) - apart;
	assert_int_equal(f.end, end);
	assert_int_equal(check(k, &f, 0, end), KEPT_SAME);
	for (size_t at = 0; at < end; at += 1 + end / 500) {
		bool kept = at % (portion + apart) < portion;
		bytes[at] ^= 0x40;
		assert_int_equal(check(k, &f, 0, end), kept ? KEPT_DIFFERENT : KEPT_SAME);
		assert_int_equal(check(k, &f, at, 1), kept ? KEPT_DIFFERENT : KEPT_SAME);
		bytes[at] ^= 0x40;
	}
	kept_drop(&f);
	assert_int_equal(check(k, &f, 0, end), KEPT_SAME);
	kept_free(k);
}

static void any_size(void **state)
{
	static const size_t sizes[] = {1, 517, 2031, 2032, 2033, 2048, 5000, 60000};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		keep_and_change(sizes[i], sizes[i], 0);
		if (sizes[i] > 300)
			keep_and_change(sizes[i], 300, 0);
		if (sizes[i] > 300)
			keep_and_change(sizes[i], 250, 1);
	}
}

/* A host has one ring: its next flow drives out the last one, of which a whole repeat passes. */
static void the_oldest_goes(void **state)
{
	static const size_t sizes[] = {100, 1500, 2500};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		size_t n = sizes[i];
		struct kept *k = kept_new(16);
		struct kept_flow a = {0}, b = {0};
		fill();
		kept_add(k, &a, &client, 0, cursor_of(bytes, n));
		kept_add(k, &b, &client, 0, cursor_of(bytes + 1, 5000));
		assert_int_equal(check(k, &a, 0, n), KEPT_SAME);
		assert_int_equal(check(k, &a, 0, n + 9), KEPT_SAME);
		assert_int_equal(check(k, &a, n, 9), KEPT_SAME);
		assert_int_equal(check(k, &a, 0, n - 1), KEPT_GONE);
		assert_int_equal(check(k, &a, 1, n - 1), KEPT_GONE);
		bytes[n / 2] ^= 1;
		assert_int_equal(check(k, &a, 0, n), KEPT_DIFFERENT);
		bytes[n / 2] ^= 1;
		kept_add(k, &a, &client, n, cursor_of(bytes + n, 10)); /* it goes on */
		assert_int_equal(check(k, &a, 0, n), KEPT_GONE);
		assert_int_equal(check(k, &a, n, 10), KEPT_SAME);
		assert_int_equal(kept_check(k, &b, 0, cursor_of(bytes + 1, 5000)), KEPT_SAME);
		kept_free(k);
	}
}

/* None writes into another's room, however its own is filled. */
static void rooms_are_apart(void **state)
{
	struct kept *k = kept_new(32); /* two of a host's, side by side */
	struct kept_flow a = {0}, b = {0};
	fill();
	kept_add(k, &a, &client, 0, cursor_of(bytes, 1));
	kept_add(k, &b, &client, 0, cursor_of(bytes + 9, 100));
	for (size_t at = 1; at < 2100; at++) {
		kept_add(k, &a, &client, at, cursor_of(bytes + at, 1));
		assert_int_equal(kept_check(k, &b, 0, cursor_of(bytes + 9, 100)), KEPT_SAME);
	}
	assert_int_equal(check(k, &a, 0, 2100), KEPT_SAME);
	kept_free(k);
}

/* More than a room: the oldest pieces go. */
static void the_room_is_bounded(void **state)
{
	struct kept *k = kept_new(16);
	struct kept_flow f = {0};
	fill();
	for (size_t at = 0; at < 3 * KEPT_MAX / 2; at += 1001)
		kept_add(k, &f, &client, at, cursor_of(bytes, 1000));
	assert_int_equal(kept_check(k, &f, 0, cursor_of(bytes, 1000)), KEPT_GONE);
	assert_int_equal(kept_check(k, &f, f.end - 1000, cursor_of(bytes, 1000)), KEPT_SAME);
	assert_int_equal(kept_check(k, &f, f.end - 1000, cursor_of(bytes + 1, 999)),
			 KEPT_DIFFERENT);
	kept_add(k, &f, &client, f.end, cursor_of(bytes, sizeof bytes));
	assert_int_equal(kept_check(k, &f, f.end - 1000, cursor_of(bytes, 1000)), KEPT_GONE);
	kept_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_size),
		cmocka_unit_test(the_oldest_goes),
		cmocka_unit_test(rooms_are_apart),
		cmocka_unit_test(the_room_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
