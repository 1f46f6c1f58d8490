#include "unit.h"
#include "packet/owned.h"

#include <stdlib.h>

static struct host_key host(unsigned n)
{
	return host_key_mac((uint8_t[6]){2, 0, 0, 0, (uint8_t)(n >> 8), (uint8_t)n});
}

static uint32_t take(struct owned *o, unsigned n, bool evicts)
{
	struct host_key h = host(n);
	bool evicted;
	uint32_t slot = owned_take(o, &h, &evicted);
	assert_int_equal(evicted, evicts);
	return slot;
}

static void test_a_host_at_its_share_gives_its_own(void **state)
{
	struct owned *o = owned_new(8, 3);
	uint32_t other = take(o, 2, false), first = take(o, 1, false), second = take(o, 1, false);
	take(o, 1, false);
	owned_touch(o, first);
	assert_int_equal(take(o, 1, true), second);
	owned_give(o, other);
	assert_int_equal(take(o, 3, false), other);
	owned_free(o);
}

static void test_a_full_table_gives_of_who_has_most(void **state)
{
	struct owned *o = owned_new(8, 8);
	uint32_t small = take(o, 1, false), greedy = take(o, 2, false);
	for (int i = 0; i < 6; i++)
		take(o, 2, false);
	assert_int_equal(take(o, 3, true), greedy);
	for (unsigned n = 0; n < 5; n++) /* many hosts push out none that has as little */
		assert_int_not_equal(take(o, 4 + n, true), small);
	owned_free(o);
}

static void test_one_slot(void **state)
{
	struct owned *o = owned_new(1, 0);
	assert_int_equal(take(o, 1, false), 0);
	assert_int_equal(take(o, 1, true), 0);
	assert_int_equal(take(o, 2, true), 0);
	owned_give(o, 0);
	assert_int_equal(take(o, 1, false), 0);
	owned_free(o);
}

/* Whatever comes, no host has more than its share, and no slot is two's. */
static void test_shares_hold(void **state)
{
	enum { SLOTS = 64, SHARE = 16 };
	struct owned *o = owned_new(SLOTS, SHARE);
	int whose[SLOTS];
	unsigned random = 1;
	for (int i = 0; i < SLOTS; i++)
		whose[i] = -1;
	for (int step = 0; step < 100000; step++) {
		random = random * 1103515245 + 12345;
		unsigned n = random >> 8 & 31, slot = random >> 16 & (SLOTS - 1);
		if (random >> 24 & 1 && whose[slot] >= 0) {
			owned_give(o, slot);
			whose[slot] = -1;
		} else if (random >> 25 & 1 && whose[slot] >= 0) {
			owned_touch(o, slot);
		} else {
			struct host_key h = host(n < 24 ? 0 : n);
			bool evicted;
			slot = owned_take(o, &h, &evicted);
			assert_true(slot < SLOTS);
			assert_int_equal(evicted, whose[slot] >= 0);
			whose[slot] = n < 24 ? 0 : (int)n;
		}
		int count[32] = {0};
		for (int i = 0; i < SLOTS; i++)
			if (whose[i] >= 0)
				assert_true(++count[whose[i]] <= SHARE);
	}
	owned_free(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_host_at_its_share_gives_its_own),
		cmocka_unit_test(test_a_full_table_gives_of_who_has_most),
		cmocka_unit_test(test_one_slot),
		cmocka_unit_test(test_shares_hold),
	};
	return cmocka_run_group_tests_name("owned", tests, NULL, NULL);
}
