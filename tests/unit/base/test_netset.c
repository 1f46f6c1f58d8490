#include "unit.h"

#include "base/netset.h"
#include "no_memory.h"
#include "random.h"

#include <stdlib.h>

static void add(struct netset *s, const char *text, uint32_t value)
{
	struct network n;
	assert_true(network_parse(text, &n));
	assert_true(netset_add(s, &n, value));
}

static uint32_t find(const struct netset *s, const char *text)
{
	struct address a;
	assert_true(address_parse(text, &a));
	return netset_find(s, &a);
}

static void test_empty(void **state)
{
	struct netset *s = netset_new();
	assert_int_equal(find(s, "10.0.0.1"), NETSET_NONE);
	assert_int_equal(find(s, "::"), NETSET_NONE);
	netset_free(s);
	netset_free(NULL);
}

static void test_longest(void **state)
{
	struct netset *s = netset_new();
	add(s, "10.1.0.0/16", 2);
	add(s, "10.0.0.0/8", 1);
	add(s, "10.1.2.3", 3);
	add(s, "0.0.0.0/0", 4);
	add(s, "fd00::/8", 5);
	assert_int_equal(find(s, "10.1.2.3"), 3);
	assert_int_equal(find(s, "10.1.2.2"), 2);
	assert_int_equal(find(s, "10.1.255.255"), 2);
	assert_int_equal(find(s, "10.2.0.0"), 1);
	assert_int_equal(find(s, "11.0.0.0"), 4);
	assert_int_equal(find(s, "fdff::1"), 5);
	assert_int_equal(find(s, "fc00::1"), NETSET_NONE);
	netset_free(s);
}

static void test_all(void **state)
{
	struct netset *s = netset_new();
	uint32_t values[4];
	struct address a;
	add(s, "10.0.0.0/8", 7);
	add(s, "::/0", 1);
	add(s, "10.0.0.0/8", 6);
	add(s, "10.0.0.1", 9);
	assert_true(address_parse("10.0.0.1", &a));
	assert_int_equal(netset_all(s, &a, values, 4), 3);
	assert_int_equal(values[0], 7);
	assert_int_equal(values[1], 6);
	assert_int_equal(values[2], 9);
	assert_int_equal(find(s, "10.0.0.2"), 7);
	values[1] = 77;
	assert_int_equal(netset_all(s, &a, values, 1), 3);
	assert_int_equal(values[1], 77);
	netset_free(s);
}

/* IPv4 is kept below ::ffff:0:0/96, and no network of IPv6 that lies above holds any of it. */
static void test_versions_apart(void **state)
{
	struct netset *s = netset_new();
	struct network wide, wider;
	struct address four;
	add(s, "::/0", 6);
	add(s, "::/64", 7);
	assert_int_equal(find(s, "10.0.0.1"), NETSET_NONE);
	assert_int_equal(find(s, "2001:db8::1"), 6);
	assert_int_equal(find(s, "::1"), 7);
	add(s, "0.0.0.0/0", 4);
	assert_int_equal(find(s, "10.0.0.1"), 4);
	assert_int_equal(find(s, "::fffe:a00:1"), 7);
	netset_free(s);
	assert_true(network_parse("::/0", &wider) && network_parse("0.0.0.0/0", &wide));
	assert_true(address_parse("10.0.0.1", &four));
	assert_false(network_has(&wider, &four));
	assert_true(network_has(&wide, &four));
}

struct entry {
	struct network network;
	uint32_t value;
};

/* Few bits that vary, so that networks nest and meet. */
static struct address random_address(void)
{
	struct address a = {0};
	a.bytes[0] = (uint8_t)random_below(2) << 7;
	a.bytes[7] = (uint8_t)random_below(4);
	a.bytes[8] = (uint8_t)(random_below(4) << 6);
	a.bytes[15] = (uint8_t)random_below(8);
	return a;
}

static struct network random_network(void)
{
	struct network n = {random_address(), (uint8_t)random_below(129)};
	for (unsigned bit = n.bits; bit < 128; bit++)
		n.base.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	return n;
}

static int by_bits(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	if (x->network.bits != y->network.bits)
		return (int)x->network.bits - (int)y->network.bits;
	return (int)x->value - (int)y->value;
}

/* The naive twin: walk a list that is sorted by prefix length. */
static void compare(const struct netset *s, const struct entry *sorted, size_t count)
{
	uint32_t got[64];
	struct address a = random_address();
	size_t want = 0, n = netset_all(s, &a, got, 64);
	uint32_t longest = NETSET_NONE, longest_bits = 0;
	for (size_t i = 0; i < count; i++) {
		if (!network_has(&sorted[i].network, &a))
			continue;
		assert_true(want < n);
		assert_int_equal(got[want++], sorted[i].value);
		if (longest == NETSET_NONE || sorted[i].network.bits > longest_bits)
			longest = sorted[i].value;
		longest_bits = sorted[i].network.bits;
	}
	assert_int_equal(want, n);
	assert_int_equal(netset_find(s, &a), longest);
}

static void test_twin(void **state)
{
	for (int round = 0; round < 300; round++) {
		struct netset *s = netset_new();
		struct entry entries[48];
		size_t count = random_below(48);
		for (size_t i = 0; i < count; i++) {
			entries[i] = (struct entry){random_network(), (uint32_t)i};
			assert_true(netset_add(s, &entries[i].network, (uint32_t)i));
		}
		qsort(entries, count, sizeof *entries, by_bits);
		for (int i = 0; i < 100; i++)
			compare(s, entries, count);
		netset_free(s);
	}
}

/* A set that could not take a network says so and is as it was; and one that is freed leaves
 * nothing: each reload builds them anew. */
static void what_is_not_taken_is_said(void **state)
{
	long held = memory_held();
	struct netset *s = netset_new();
	struct network n;
	assert_true(network_parse("10.0.0.0/8", &n));
	for (long at = 0; NO_MEMORY && at < 2; at++) {
		no_memory_at(at);
		bool added = netset_add(s, &n, 7);
		no_memory_end();
		assert_false(added);
		assert_int_equal(find(s, "10.0.0.1"), NETSET_NONE);
	}
	for (uint32_t i = 0; i < 100; i++)
		assert_true(netset_add(s, &n, i));
	netset_free(s);
	assert_int_equal(memory_held(), held);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty), cmocka_unit_test(test_longest),
		cmocka_unit_test(test_all),   cmocka_unit_test(test_versions_apart),
		cmocka_unit_test(test_twin),  cmocka_unit_test(what_is_not_taken_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
