#include "identity/onlink.h"
#include "unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t A[6] = {2, 0, 0, 0, 0, 0xa}, B[6] = {2, 0, 0, 0, 0, 0xb};
static struct onlink *o;

static int set_up(void **state)
{
	o = onlink_new(256);
	return !o;
}

static int tear_down(void **state)
{
	onlink_free(o);
	return 0;
}

static struct address addr(const char *text)
{
	struct address a;
	assert_true(address_parse(text, &a));
	return a;
}

static void route(const char *text, int link, bool ours)
{
	struct network n;
	assert_true(network_parse(text, &n));
	assert_true(onlink_route(o, &n, link, ours));
}

static void set(const char *text, const uint8_t mac[6])
{
	struct address a = addr(text);
	onlink_set(o, &a, mac);
}

static struct host_key host(const char *text)
{
	struct address a = addr(text);
	return onlink_host(o, &a);
}

static bool same(const char *x, const char *y)
{
	struct host_key a = host(x), b = host(y);
	return host_key_equal(&a, &b);
}

static void a_host_is_one_however_many_addresses_it_has(void **state)
{
	route("10.0.0.0/24", 1, true);
	route("2001:db8::/64", 1, true);
	set("10.0.0.1", A);
	set("10.0.0.2", A);
	set("2001:db8::1", A);
	set("10.0.0.3", B);
	assert_true(same("10.0.0.1", "10.0.0.2"));
	assert_true(same("10.0.0.1", "2001:db8::1"));
	assert_false(same("10.0.0.1", "10.0.0.3"));
	/* nobody has answered for these: a sender who invents them is one */
	assert_true(same("10.0.0.100", "10.0.0.101"));
	assert_true(same("10.0.0.100", "2001:db8::100"));
	assert_false(same("10.0.0.100", "10.0.0.1"));
	/* behind a router: by address */
	assert_false(same("10.5.0.1", "10.5.0.2"));
	assert_true(same("2001:db8:5::1", "2001:db8:5::2"));
	struct address gone = addr("10.0.0.2");
	onlink_drop(o, &gone);
	assert_true(same("10.0.0.2", "10.0.0.100"));
}

static void the_longest_route_counts(void **state)
{
	route("10.0.0.0/8", 1, true);
	route("10.1.0.0/16", 2, false); /* by a router */
	route("10.1.1.0/24", 3, true);
	uint8_t mac[6];
	struct address a = addr("10.9.0.1"), b = addr("10.1.0.1"), c = addr("10.1.1.1");
	assert_int_equal(onlink_at(o, &a, mac), ONLINK_UNCONFIRMED);
	assert_int_equal(onlink_at(o, &b, mac), ONLINK_ELSEWHERE);
	assert_int_equal(onlink_at(o, &c, mac), ONLINK_UNCONFIRMED);
	assert_int_equal(onlink_link(o, &a), 1);
	assert_int_equal(onlink_link(o, &b), 0);
	assert_int_equal(onlink_link(o, &c), 3);
	struct network n;
	network_parse("10.1.1.0/24", &n);
	onlink_route_gone(o, &n, 1); /* of another interface */
	assert_int_equal(onlink_link(o, &c), 3);
	onlink_route_gone(o, &n, 3);
	assert_int_equal(onlink_at(o, &c, mac), ONLINK_ELSEWHERE);
	assert_int_equal(onlink_link(o, &a), 1);
}

static void routes_have_a_bound(void **state)
{
	struct network n = {.base = addr("10.0.0.0"), .bits = 128};
	for (int i = 0; i < 64; i++) {
		n.base.bytes[15] = (uint8_t)i;
		assert_true(onlink_route(o, &n, 1, true));
	}
	assert_true(onlink_route(o, &n, 1, true)); /* the same again */
	n.base.bytes[15] = 64;
	assert_false(onlink_route(o, &n, 1, true));
	n.base.bytes[15] = 63;
	onlink_route_gone(o, &n, 1);
	assert_true(onlink_route(o, &n, 1, true));
}

static void forgets_all(void **state)
{
	uint8_t mac[6];
	struct address a = addr("10.0.0.1");
	route("10.0.0.0/24", 1, true);
	set("10.0.0.1", A);
	assert_int_equal(onlink_at(o, &a, mac), ONLINK_HERE);
	assert_memory_equal(mac, A, 6);
	onlink_clear(o);
	assert_int_equal(onlink_at(o, &a, mac), ONLINK_ELSEWHERE);
}

/* Far more addresses than there is room for: those that are told are told rightly. */
static void a_full_table_tells_nothing_wrong(void **state)
{
	uint8_t mac[6];
	unsigned here = 0;
	for (unsigned i = 0; i < 20000; i++) {
		struct address a = address_from4((uint8_t[]){10, 0, (uint8_t)(i >> 8), (uint8_t)i});
		const uint8_t m[6] = {2, 1, 0, 0, (uint8_t)(i >> 8), (uint8_t)i};
		onlink_set(o, &a, m);
	}
	for (unsigned i = 0; i < 20000; i++) {
		struct address a = address_from4((uint8_t[]){10, 0, (uint8_t)(i >> 8), (uint8_t)i});
		const uint8_t m[6] = {2, 1, 0, 0, (uint8_t)(i >> 8), (uint8_t)i};
		if (onlink_at(o, &a, mac) != ONLINK_HERE)
			continue;
		assert_memory_equal(mac, m, 6);
		here++;
		onlink_drop(o, &a);
		assert_int_equal(onlink_at(o, &a, mac), ONLINK_ELSEWHERE);
	}
	assert_true(here >= 1000 && here <= 1024);
}

static _Atomic bool stop;

static void *change(void *arg)
{
	struct address a = addr("10.0.0.1");
	for (unsigned i = 0; !stop; i++) {
		onlink_set(o, &a, i % 2 ? A : B);
		if (i % 3 == 0)
			onlink_drop(o, &a);
	}
	return NULL;
}

static void a_reader_sees_one_or_the_other(void **state)
{
	pthread_t writer;
	struct address a = addr("10.0.0.1");
	uint8_t mac[6];
	assert_int_equal(pthread_create(&writer, NULL, change, NULL), 0);
	for (int i = 0; i < 200000; i++)
		if (onlink_at(o, &a, mac) == ONLINK_HERE)
			assert_true(!memcmp(mac, A, 6) || !memcmp(mac, B, 6));
	stop = true;
	pthread_join(writer, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* A route that went is not found again in what it left behind, and one that comes back is one. */
static void a_route_that_comes_back_counts(void **state)
{
	uint8_t mac[6];
	struct address a = addr("10.7.0.1");
	struct network n;
	assert_true(network_parse("10.7.0.0/24", &n));
	for (int i = 0; i < 3; i++) {
		route("10.7.0.0/24", 4, true);
		assert_int_equal(onlink_at(o, &a, mac), ONLINK_UNCONFIRMED);
		assert_int_equal(onlink_link(o, &a), 4);
		onlink_route_gone(o, &n, 4);
		assert_int_equal(onlink_at(o, &a, mac), ONLINK_ELSEWHERE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_host_is_one_however_many_addresses_it_has),
		TEST(the_longest_route_counts),
		TEST(routes_have_a_bound),
		TEST(forgets_all),
		TEST(a_full_table_tells_nothing_wrong),
		TEST(a_reader_sees_one_or_the_other),
		TEST(a_route_that_comes_back_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
