#include "unit.h"

#include "base/ring.h"

#include <pthread.h>
#include <sched.h>

static bool put(struct ring *r, int value)
{
	int *slot = ring_claim(r);
	if (!slot)
		return false;
	*slot = value;
	ring_publish(r);
	return true;
}

static int take(struct ring *r)
{
	const int *item = ring_peek(r);
	int value = item ? *item : -1;
	if (item)
		ring_release(r);
	return value;
}

static void test_order_and_bound(void **state)
{
	struct ring *r = ring_new(3, sizeof(int)); /* four slots */
	assert_int_equal(take(r), -1);
	for (int i = 0; i < 4; i++)
		assert_true(put(r, i));
	assert_false(put(r, 4));
	assert_false(put(r, 4));
	assert_int_equal(ring_refused(r), 2);
	assert_int_equal(take(r), 0);
	assert_true(put(r, 5));
	assert_false(put(r, 6));
	assert_int_equal(take(r), 1);
	assert_int_equal(take(r), 2);
	assert_int_equal(take(r), 3);
	assert_int_equal(take(r), 5);
	assert_int_equal(take(r), -1);
	ring_free(r);
	ring_free(NULL);
}

static void test_wraps(void **state)
{
	struct ring *r = ring_new(4, sizeof(int));
	for (int i = 0; i < 1000; i++) {
		assert_true(put(r, i));
		assert_true(put(r, i + 1));
		assert_int_equal(take(r), i);
		assert_int_equal(take(r), i + 1);
	}
	assert_int_equal(ring_refused(r), 0);
	ring_free(r);
}

/* A claim that is not published is not seen, and the slot is given again. */
static void test_claim_without_publish(void **state)
{
	struct ring *r = ring_new(1, sizeof(int));
	void *slot = ring_claim(r);
	assert_non_null(slot);
	assert_null(ring_peek(r));
	assert_ptr_equal(ring_claim(r), slot);
	assert_int_equal((uintptr_t)slot % 16, 0);
	ring_free(r);
}

#define ITEMS 200000

static void *producer(void *ring)
{
	for (int i = 0; i < ITEMS;)
		if (put(ring, i))
			i++;
		else
			sched_yield();
	return NULL;
}

static void test_two_threads(void **state)
{
	struct ring *r = ring_new(64, sizeof(int));
	pthread_t thread;
	int want = 0;
	assert_int_equal(pthread_create(&thread, NULL, producer, r), 0);
	while (want < ITEMS) {
		int got = take(r);
		if (got == want)
			want++;
		else if (got == -1)
			sched_yield();
		else
			break;
	}
	int reached = want;
	while (want < ITEMS && take(r) != ITEMS - 1) /* let the producer end even if it failed */
		;
	pthread_join(thread, NULL);
	assert_int_equal(reached, ITEMS);
	ring_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_and_bound),
		cmocka_unit_test(test_wraps),
		cmocka_unit_test(test_claim_without_publish),
		cmocka_unit_test(test_two_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
