#include "packet/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct stream_pool *pool;

static int setup(void **state)
{
	pool = stream_pool_new(2);
	*state = stream_get(pool);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	stream_pool_free(pool);
	return 0;
}

static void assert_head(const struct stream *s, const char *want)
{
	struct cursor head = stream_head(s);
	assert_int_equal(cursor_left(&head), strlen(want));
	assert_memory_equal(head.pos, want, strlen(want));
}

static void pool_gives_what_it_has(void **state)
{
	struct stream *first = *state, *second = stream_get(pool);
	assert_non_null(second);
	assert_null(stream_get(pool));
	assert_int_equal(stream_add(second, 0, "abc", 3), STREAM_OK);
	assert_head(first, "");
	stream_put(pool, second);
	struct stream *again = stream_get(pool);
	assert_non_null(again);
	assert_head(again, "");
	/* what the last user left is no overlap */
	assert_int_equal(stream_add(again, 1, "xyz", 3), STREAM_OK);
}

static void parts_join_in_any_order(void **state)
{
	struct stream *s = *state;
	assert_int_equal(stream_add(s, 6, "gh", 2), STREAM_OK);
	assert_head(s, "");
	assert_int_equal(stream_add(s, 0, "abc", 3), STREAM_OK);
	assert_head(s, "abc");
	assert_int_equal(stream_add(s, 3, "def", 3), STREAM_OK);
	assert_head(s, "abcdefgh");
	assert_int_equal(stream_add(s, 8, NULL, 0), STREAM_OK);
	assert_head(s, "abcdefgh");
}

static void same_bytes_may_overlap(void **state)
{
	struct stream *s = *state;
	stream_add(s, 2, "cd", 2);
	stream_add(s, 6, "gh", 2);
	assert_int_equal(stream_add(s, 0, "abcdefghi", 9), STREAM_OK);
	assert_head(s, "abcdefghi");
	assert_int_equal(stream_add(s, 3, "de", 2), STREAM_OK);
	assert_int_equal(stream_add(s, 8, "ij", 2), STREAM_OK);
	assert_head(s, "abcdefghij");
}

static void other_bytes_conflict_and_change_nothing(void **state)
{
	struct stream *s = *state;
	stream_add(s, 0, "abc", 3);
	stream_add(s, 6, "gh", 2);
	assert_int_equal(stream_add(s, 0, "abX", 3), STREAM_CONFLICT);
	assert_int_equal(stream_add(s, 2, "cdefgX", 6), STREAM_CONFLICT);
	assert_int_equal(stream_add(s, 2, "Xdef", 4), STREAM_CONFLICT);
	assert_int_equal(stream_add(s, 7, "Xi", 2), STREAM_CONFLICT);
	assert_head(s, "abc");
	assert_int_equal(stream_add(s, 3, "DEF", 3), STREAM_OK);
	assert_head(s, "abcDEFgh");
}

static void end_is_a_bound(void **state)
{
	struct stream *s = *state;
	static uint8_t bytes[STREAM_MAX + 1];
	assert_int_equal(stream_add(s, STREAM_MAX, bytes, 1), STREAM_FULL);
	assert_int_equal(stream_add(s, UINT64_MAX, bytes, 1), STREAM_FULL);
	assert_int_equal(stream_add(s, STREAM_MAX - 1, bytes, 2), STREAM_FULL);
	assert_int_equal(stream_add(s, 0, bytes, STREAM_MAX), STREAM_OK);
	struct cursor head = stream_head(s);
	assert_int_equal(cursor_left(&head), STREAM_MAX);
	assert_int_equal(stream_add(s, 0, bytes, STREAM_MAX + 1), STREAM_FULL);
}

static void holes_are_bounded(void **state)
{
	struct stream *s = *state;
	uint64_t at = 1;
	int kept = 0;
	while (stream_add(s, at, "x", 1) == STREAM_OK) {
		at += 2;
		assert_in_range(++kept, 1, 1000);
	}
	assert_int_equal(kept, 64);
	/* what closes a hole, or makes none, still goes */
	assert_int_equal(stream_add(s, 2, "y", 1), STREAM_OK);
	assert_int_equal(stream_add(s, at, "x", 1), STREAM_OK);
	assert_int_equal(stream_add(s, at + 2, "x", 1), STREAM_FULL);
	assert_int_equal(stream_add(s, 0, "z", 1), STREAM_OK);
	assert_head(s, "zxyx");
}

/* A byte and whether it is there, for each place. */
struct twin {
	uint8_t byte[512];
	bool there[512];
};

static bool twin_add(struct twin *t, size_t from, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (t->there[from + i] && t->byte[from + i] != bytes[i])
			return false;
	for (size_t i = 0; i < len; i++) {
		t->byte[from + i] = bytes[i];
		t->there[from + i] = true;
	}
	return true;
}

static void twin_check(const struct twin *t, const struct stream *s)
{
	size_t len = 0;
	while (len < sizeof t->byte && t->there[len])
		len++;
	struct cursor head = stream_head(s);
	assert_int_equal(cursor_left(&head), len);
	assert_memory_equal(head.pos, t->byte, len);
}

/* Random cuts, orders, overlaps and now and then a changed byte. */
static void agrees_with_a_naive_twin(void **state)
{
	srand(7);
	for (int round = 0; round < 3000; round++) {
		struct stream *s = stream_get(pool);
		struct twin twin = {0};
		uint8_t whole[sizeof twin.byte];
		size_t size = 1 + (size_t)rand() % sizeof whole;
		for (size_t i = 0; i < size; i++)
			whole[i] = (uint8_t)rand();
		for (int part = 0; part < 40; part++) {
			size_t from = (size_t)rand() % size;
			size_t len = (size_t)rand() % (size - from + 1);
			uint8_t bytes[sizeof whole];
			memcpy(bytes, whole + from, len);
			if (len && rand() % 16 == 0)
				bytes[(size_t)rand() % len] ^= 1;
			bool fits = twin_add(&twin, from, bytes, len);
			assert_int_equal(stream_add(s, from, bytes, len),
					 fits ? STREAM_OK : STREAM_CONFLICT);
			twin_check(&twin, s);
		}
		stream_put(pool, s);
	}
}

static void what_is_forgotten_leaves_the_rest_in_place(void **state)
{
	struct stream *s = stream_get(pool);
	stream_add(s, 0, "abcd", 4);
	stream_add(s, 6, "ghij", 4);
	stream_forget(s, 0);
	assert_int_equal(stream_end(s), 10);
	stream_forget(s, 5); /* into the hole */
	assert_int_equal(stream_end(s), 5);
	assert_int_equal(stream_add(s, 0, "f", 1), STREAM_OK);
	assert_memory_equal(stream_head(s).pos, "fghij", 5);
	stream_forget(s, 3);
	assert_memory_equal(stream_head(s).pos, "ij", 2);
	stream_forget(s, UINT64_MAX);
	assert_int_equal(stream_end(s), 0);
	stream_put(pool, s);
}

static void kept_ones_go_when_no_other_is_free(void **state)
{
	struct stream *first = *state, *second = stream_get(pool);
	assert_false(stream_is_kept(first));
	stream_keep(pool, first, &first);
	stream_keep(pool, second, &second);
	stream_keep(pool, first, &first); /* the last now */
	struct stream *third = stream_get(pool);
	assert_non_null(third);
	assert_null(second);
	assert_true(stream_is_kept(first));
	stream_use(pool, first);
	assert_false(stream_is_kept(first));
	assert_null(stream_get(pool));
	stream_keep(pool, first, &first);
	stream_put(pool, first);
	first = stream_get(pool);
	assert_non_null(first);
	assert_null(stream_get(pool));
	stream_put(pool, first);
	stream_put(pool, third);
}

/* Bytes that were forgotten are not there, whatever was kept of them. */
static void what_is_forgotten_is_not_there(void **state)
{
	struct stream *s = *state;
	assert_int_equal(stream_add(s, 0, "ab", 2), STREAM_OK);
	assert_int_equal(stream_add(s, 10, "kl", 2), STREAM_OK);
	assert_true(stream_has(s, 10, 2));
	assert_false(stream_has(s, 10, 3));
	assert_false(stream_has(s, 9, 2));
	stream_forget(s, 12);
	for (uint64_t at = 0; at < 12; at++)
		assert_false(stream_has(s, at, 1));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(pool_gives_what_it_has),
		TEST(parts_join_in_any_order),
		TEST(same_bytes_may_overlap),
		TEST(other_bytes_conflict_and_change_nothing),
		TEST(end_is_a_bound),
		TEST(holes_are_bounded),
		TEST(agrees_with_a_naive_twin),
		TEST(what_is_forgotten_leaves_the_rest_in_place),
		TEST(kept_ones_go_when_no_other_is_free),
		TEST(what_is_forgotten_is_not_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
