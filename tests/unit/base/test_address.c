#include "unit.h"

#include "base/address.h"

static bool parses(const char *text)
{
	struct address a;
	return address_parse(text, &a);
}

static bool network_parses(const char *text)
{
	struct network n;
	return network_parse(text, &n);
}

static void test_round_trip(void **state)
{
	static const char *const texts[] = {"0.0.0.0", "10.1.2.3",    "255.255.255.255",
					    "::",      "2001:db8::1", "fe80::1:0:0:2"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct address a;
		char text[ADDRESS_TEXT];
		assert_true(address_parse(texts[i], &a));
		assert_string_equal(address_format(&a, text), texts[i]);
		assert_int_equal(address_is4(&a), strchr(texts[i], ':') == NULL);
	}
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
		"",           "10.1.2",         "10.1.2.3.4", "10.1.2.256", "10.1.2.3 ",
		" 10.1.2.3",  "010.1.2.3",      "1::2::3",    "::g",        "fe80::1%lo",
		"10.1.2.3/8", "::ffff:10.1.2.3"}; /* an IPv4 address has one form only */
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_false(parses(texts[i]));
}

static void test_network_bits(void **state)
{
	struct network n;
	char text[64];
	struct buf b = BUF_OF(text);
	assert_true(network_parse("10.0.0.0/8", &n));
	assert_int_equal(n.bits, 104);
	network_format(&n, &b);
	assert_string_equal(text, "10.0.0.0/8");
	assert_true(network_parse("10.1.2.3", &n));
	assert_int_equal(n.bits, 128);
	assert_true(network_parse("0.0.0.0/0", &n));
	assert_int_equal(n.bits, 96);
	assert_true(network_parse("::/0", &n));
	assert_int_equal(n.bits, 0);
	assert_true(network_parse("2001:db8::/32", &n));
	buf_reset(&b);
	network_format(&n, &b);
	assert_string_equal(text, "2001:db8::/32");
}

static void test_network_refused(void **state)
{
	static const char *const texts[] = {"",
					    "10.0.0.0/33",
					    "10.0.0.0/",
					    "10.0.0.0/-1",
					    "10.0.0.0/+8",
					    "10.0.0.0/8x",
					    "10.0.0.0/ 8",
					    "10.0.0.1/8",
					    "::/129",
					    "2001:db8::1/32",
					    "/8",
					    "10.0.0.0/8/8",
					    "10.0.0.0/99999999999999999999"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_false(network_parses(texts[i]));
}

static void test_network_has(void **state)
{
	struct network n;
	struct address first, last, before, after;
	assert_true(network_parse("10.1.2.64/26", &n));
	assert_true(address_parse("10.1.2.64", &first) && address_parse("10.1.2.127", &last));
	assert_true(address_parse("10.1.2.63", &before) && address_parse("10.1.2.128", &after));
	assert_true(network_has(&n, &first) && network_has(&n, &last));
	assert_false(network_has(&n, &before) || network_has(&n, &after));
	assert_true(network_parse("10.1.2.64", &n));
	assert_true(network_has(&n, &first));
	assert_false(network_has(&n, &before));
	assert_true(network_parse("0.0.0.0/0", &n));
	assert_true(network_has(&n, &after));
	assert_true(address_parse("2001:db8::1", &after));
	assert_false(network_has(&n, &after));
}

static void test_endpoints(void **state)
{
	static const char *const bad[] = {"",
					  "10.0.0.1",
					  "10.0.0.1:",
					  "10.0.0.1:0",
					  "10.0.0.1:65536",
					  "[10.0.0.1]:80",
					  "fd00::1:80x",
					  "[fd00::1]80",
					  "[fd00::1]",
					  "[fd00::1:80",
					  "portal:80",
					  "fd00::1:80",
					  ":80",
					  "]:80",
					  "[]:80"};
	struct endpoint e;
	char text[ADDRESS_TEXT];
	assert_true(endpoint_parse("10.0.0.1:80", &e));
	assert_string_equal(address_format(&e.address, text), "10.0.0.1");
	assert_int_equal(e.port, 80);
	assert_true(endpoint_parse("[fd00::1]:65535", &e));
	assert_string_equal(address_format(&e.address, text), "fd00::1");
	assert_int_equal(e.port, 65535);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(endpoint_parse(bad[i], &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_refused),
		cmocka_unit_test(test_network_bits), cmocka_unit_test(test_network_refused),
		cmocka_unit_test(test_network_has),  cmocka_unit_test(test_endpoints),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
