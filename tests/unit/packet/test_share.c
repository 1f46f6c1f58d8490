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
	const struct host_key host = host_key_address(&a);
	return share_take(s, &host);
}

static void give(struct shares *s, struct address a)
{
	const struct host_key host = host_key_address(&a);
	share_give(s, &host);
}

static bool same(struct host_key a, struct host_key b)
{
	return host_key_equal(&a, &b);
}

static struct host_key at(struct address a)
{
	return host_key_address(&a);
}

static void a_host_is_told_by_what_it_cannot_have_many_of(void **state)
{
	static const uint8_t a[6] = {2, 0, 0, 0, 0, 1}, b[6] = {2, 0, 0, 0, 0, 2}, none[6] = {0};
	assert_true(same(host_key_mac(a), host_key_mac(a)));
	assert_false(same(host_key_mac(a), host_key_mac(b)));
	assert_true(same(at(six(1, 1)), at(six(1, 200)))); /* of one /64 */
	assert_false(same(at(six(1, 1)), at(six(2, 1))));
	assert_false(same(at(four(1)), at(four(2))));
	assert_false(same(host_key_unconfirmed(), host_key_mac(none)));
	assert_false(same(host_key_unconfirmed(), at(four(0))));
	assert_false(same(host_key_mac(none), at(address_from4((uint8_t[]){0, 0, 0, 0}))));
	assert_false(same(host_key_mac(none), at((struct address){0})));
}

static void each_host_has_its_bound(void **state)
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

static void what_was_not_taken_is_not_given(void **state)
{
	struct shares *s = shares_new(2, 2);
	give(s, four(1));
	assert_true(take(s, four(1)));
	assert_true(take(s, four(1)));
	assert_false(take(s, four(2)));
	shares_free(s);
}

/* Against a naive twin, whatever the order of takes and gives. */
static void counts_hold_under_random_use(void **state)
{
	enum { HOSTS = 80, TOTAL = 64, EACH = 5 };
	struct shares *s = shares_new(TOTAL, EACH);
	unsigned count[HOSTS] = {0}, all = 0;
	srand(7);
	for (int step = 0; step < 200000; step++) {
		uint8_t h = (uint8_t)(rand() % HOSTS);
		struct address a = h % 2 ? six(h, h) : four(h);
		if (rand() % 2) {
			bool fits = count[h] < EACH && all < TOTAL;
			assert_int_equal(take(s, a), fits);
			count[h] += fits;
			all += fits;
		} else if (count[h]) {
			give(s, a);
			count[h]--;
			all--;
		}
	}
	shares_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_host_is_told_by_what_it_cannot_have_many_of),
		cmocka_unit_test(each_host_has_its_bound),
		cmocka_unit_test(all_have_one_bound),
		cmocka_unit_test(what_was_not_taken_is_not_given),
		cmocka_unit_test(counts_hold_under_random_use),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
