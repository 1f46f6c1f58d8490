#include "packet/share.h"
#include "unit.h"

#include <stdlib.h>

static struct address four(uint8_t host)
{
	return address_from4((uint8_t[]){10, 0, 0, host});
}

static struct address six(uint8_t network, uint8_t host)
{
	return (struct address){{0x20, 1, 0xd, 0xb8, 0, 0, 0, network, 0, 0, 0, 0, 0, 0, 0, host}};
}

static bool take(struct shares *s, struct address a)
{
	return share_take(s, &a);
}

static void give(struct shares *s, struct address a)
{
	share_give(s, &a);
}

static void each_client_has_its_bound(void **state)
{
	struct shares *s = shares_new(8, 2);
	for (int i = 0; i < 2; i++) {
		assert_true(take(s, four(1)));
		assert_true(take(s, six(1, 1)));
	}
	assert_false(take(s, four(1)));
	assert_false(take(s, six(1, 1)));
	assert_true(take(s, four(2)));
	give(s, four(1));
	assert_true(take(s, four(1)));
	assert_false(take(s, four(1)));
	shares_free(s);
}

static void all_have_one_bound(void **state)
{
	struct shares *s = shares_new(4, 4);
	for (uint8_t i = 0; i < 4; i++)
		assert_true(take(s, four(i)));
	assert_false(take(s, four(9)));
	give(s, four(2));
	assert_true(take(s, four(9)));
	shares_free(s);
}

/* A host with many addresses has half at most; its neighbours in other networks the rest. */
static void a_network_cannot_take_all(void **state)
{
	struct shares *s = shares_new(16, 2);
	for (uint8_t i = 0; i < 8; i++)
		assert_true(take(s, six(1, i)));
	assert_false(take(s, six(1, 100)));
	assert_true(take(s, six(2, 100)));
	for (uint8_t i = 0; i < 7; i++)
		assert_true(take(s, four(i))); /* IPv4 addresses are no network of one host */
	assert_false(take(s, four(100)));
	give(s, six(1, 3));
	assert_true(take(s, six(1, 100)));
	shares_free(s);
}

/* Against a naive twin, whatever the order of takes and gives. */
static void counts_hold_under_random_use(void **state)
{
	enum { NETWORKS = 4, HOSTS = 40, TOTAL = 64, EACH = 5 };
	struct shares *s = shares_new(TOTAL, EACH);
	unsigned count[NETWORKS][HOSTS] = {0}, network[NETWORKS] = {0}, all = 0;
	srand(7);
	for (int step = 0; step < 200000; step++) {
		uint8_t n = (uint8_t)(rand() % NETWORKS), h = (uint8_t)(rand() % HOSTS);
		struct address a = n ? six(n, h) : four(h);
		if (rand() % 2) {
			bool fits =
				count[n][h] < EACH && all < TOTAL && (!n || network[n] < TOTAL / 2);
			assert_int_equal(share_take(s, &a), fits);
			count[n][h] += fits;
			network[n] += fits;
			all += fits;
		} else if (count[n][h]) {
			share_give(s, &a);
			count[n][h]--;
			network[n]--;
			all--;
		}
	}
	shares_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_client_has_its_bound),
		cmocka_unit_test(all_have_one_bound),
		cmocka_unit_test(a_network_cannot_take_all),
		cmocka_unit_test(counts_hold_under_random_use),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
