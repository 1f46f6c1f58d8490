#include "base/clock.h"
#include "portal/limit.h"
#include "state/store.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define T0 (1000000 * NS_PER_S)

static struct address at(const char *text)
{
	struct address a = {0};
	assert_true(address_parse(text, &a));
	return a;
}

static void failures_are_waited_for_longer_and_longer(void **state)
{
	struct limit *l = limit_new();
	struct address a = at("10.0.0.7"), b = at("10.0.0.8");
	int64_t now = T0, wait = 0, last = 0;
	for (int i = 0; i < LIMIT_FREE; i++)
		assert_int_equal(limit_begin(l, &a, "ann", now), 0);
	for (int i = 0; i < 12; i++) {
		wait = limit_begin(l, &a, "bob", now);
		assert_true(wait > 0);
		assert_true(wait >= last);
		assert_int_equal(limit_begin(l, &a, "ann", now + wait - 1), 1);
		now += wait;
		assert_int_equal(limit_begin(l, &a, "ann", now), 0);
		last = wait;
	}
	assert_int_equal(last, LIMIT_LONGEST * NS_PER_S);
	assert_int_equal(limit_begin(l, &b, "ann", now), 0);
	limit_free(l);
}

static void counts_are_forgotten(void **state)
{
	struct limit *l = limit_new();
	struct address a = at("10.0.0.7");
	int64_t now = T0;
	for (int i = 0; i < LIMIT_FREE; i++)
		limit_begin(l, &a, "ann", now);
	now += LIMIT_FORGET * NS_PER_S + 1;
	for (int i = 0; i < LIMIT_FREE; i++)
		assert_int_equal(limit_begin(l, &a, "ann", now), 0);
	assert_true(limit_begin(l, &a, "ann", now) > 0);
	limit_free(l);
}

static void who_is_right_does_not_wait(void **state)
{
	struct limit *l = limit_new();
	struct address a = at("10.0.0.7");
	for (int i = 0; i < 100; i++) {
		assert_int_equal(limit_begin(l, &a, "ann", T0 + i), 0);
		if (i % 2)
			limit_good(l, &a, "ann", T0 + i);
		else
			limit_void(l, &a, "ann", T0 + i);
	}
	limit_free(l);
}

/* A right password of one's own does not make guesses at another's free. */
static void own_success_does_not_reset(void **state)
{
	struct limit *l = limit_new();
	struct address a = at("10.0.0.7");
	int64_t now = T0;
	int guesses = 0;
	for (int i = 0; i < 100; i++) {
		if (limit_begin(l, &a, "victim", now) == 0)
			guesses++;
		if (limit_begin(l, &a, "mallory", now) == 0)
			limit_good(l, &a, "mallory", now);
	}
	assert_in_range(guesses, 1, LIMIT_FREE);
	limit_free(l);
}

/* Whoever guesses at a user from however many places, the user comes in at once. */
static void nobody_is_locked_out(void **state)
{
	struct limit *l = limit_new();
	struct address home = at("10.0.0.7"), office = at("10.0.9.9"), mallory;
	char text[32];
	assert_int_equal(limit_begin(l, &home, "ann", T0), 0);
	limit_good(l, &home, "ann", T0);
	for (int i = 0; i < 250; i++) {
		snprintf(text, sizeof text, "10.1.0.%d", i + 1);
		mallory = at(text);
		assert_int_equal(limit_begin(l, &mallory, "ann", T0 + i), 0);
		assert_true(limit_begin(l, &mallory, "ann", T0 + i) > 0 || i < LIMIT_USER);
	}
	/* where she has been before: with the usual free failures */
	for (int i = 0; i < LIMIT_FREE; i++)
		assert_int_equal(limit_begin(l, &home, "ann", T0 + 300), 0);
	/* and where she has not: at once; but a stranger's second attempt waits */
	assert_int_equal(limit_begin(l, &office, "ann", T0 + 300), 0);
	assert_int_equal(limit_begin(l, &office, "ann", T0 + 300), LIMIT_STRANGER * NS_PER_S);
	limit_free(l);
}

/* An address of it more is no guess more, and its other hosts do not wait. */
static void a_network_of_ipv6_guesses_as_one(void **state)
{
	struct limit *l = limit_new();
	struct address a, home = at("fd00:0:0:1::a:1"), other = at("fd00:0:0:2::1");
	char text[40];
	int free = 0;
	assert_int_equal(limit_begin(l, &home, "ann", T0), 0);
	limit_good(l, &home, "ann", T0);
	for (int i = 1; i < 100; i++) {
		snprintf(text, sizeof text, "fd00:0:0:1::%x", i);
		a = at(text);
		free += limit_begin(l, &a, "ann", T0) == 0;
	}
	assert_int_equal(free, LIMIT_FREE);
	for (int i = 0; i < LIMIT_FREE; i++)
		assert_int_equal(limit_begin(l, &home, "ann", T0), 0);
	assert_true(limit_begin(l, &home, "ann", T0) > 0);
	a = at("fd00:0:0:1::b:1");
	assert_int_equal(limit_begin(l, &a, "bob", T0), 0);
	limit_good(l, &a, "bob", T0);
	assert_true(limit_begin(l, &a, "ann", T0) > 0);
	assert_int_equal(limit_begin(l, &other, "ann", T0), 0);
	limit_free(l);
}

/* A restart gives nobody new guesses, nor makes a stranger of who has come before. */
static void what_was_counted_outlives_the_process(void **state)
{
	char dir[] = "/tmp/tiergate-limit-XXXXXX", path[64];
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/limit.state", dir);
	struct store *s = store_folder_new(dir);
	struct limit *l = limit_new(), *after = limit_new(), *empty = limit_new();
	struct address a = at("10.0.0.7"), home = at("10.0.0.8");
	int64_t now = clock_now();
	assert_int_equal(limit_begin(l, &home, "ann", now), 0);
	limit_good(l, &home, "ann", now);
	for (int i = 0; i < LIMIT_USER; i++) {
		struct address from = at("10.0.1.0");
		from.bytes[15] = (uint8_t)i;
		assert_int_equal(limit_begin(l, &from, "ann", now), 0);
	}
	for (int i = 0; i < LIMIT_FREE; i++)
		assert_int_equal(limit_begin(l, &a, "bob", now), 0);
	int64_t wait = limit_begin(l, &a, "bob", now);
	assert_true(wait > 0);
	assert_int_equal(limit_save(l, s), 0);
	limit_load(after, s);
	assert_in_range(limit_begin(after, &a, "bob", now), wait - NS_PER_MS, wait + NS_PER_MS);
	struct address stranger = at("10.0.2.1");
	assert_int_equal(limit_begin(after, &stranger, "ann", now), 0);
	assert_true(limit_begin(after, &stranger, "ann", now) > LIMIT_STRANGER * NS_PER_S / 2);
	assert_int_equal(limit_begin(after, &home, "ann", now), 0);
	assert_int_equal(limit_begin(after, &home, "ann", now), 0);
	/* a damaged file counts as empty */
	assert_int_equal(truncate(path, 40), 0);
	limit_load(empty, s);
	assert_int_equal(limit_begin(empty, &a, "bob", now), 0);
	unlink(path);
	rmdir(dir);
	s->ops->free(s);
	limit_free(l);
	limit_free(after);
	limit_free(empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_counted_outlives_the_process),
		cmocka_unit_test(failures_are_waited_for_longer_and_longer),
		cmocka_unit_test(counts_are_forgotten),
		cmocka_unit_test(who_is_right_does_not_wait),
		cmocka_unit_test(own_success_does_not_reset),
		cmocka_unit_test(nobody_is_locked_out),
		cmocka_unit_test(a_network_of_ipv6_guesses_as_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
