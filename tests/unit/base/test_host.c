#include "base/host.h"
#include "unit.h"

struct example {
	const char *in, *out; /* out NULL: PARSE_BAD; "": PARSE_ABSENT; else PARSE_OK, or */
	bool literal;         /* PARSE_ABSENT and the address */
};

static const struct example examples[] = {
	{"example.org", "example.org", false},
	{"EXAMPLE.Org", "example.org", false},
	{"example.org.", "example.org", false},
	{"localhost", "localhost", false},
	{"xn--55qx5d.xn--p1ai", "xn--55qx5d.xn--p1ai", false},
	{"_dmarc.example.org", "_dmarc.example.org", false},
	{"r4---sn-4g5e6nsz.example.org", "r4---sn-4g5e6nsz.example.org", false},
	{"-a.example.org", "-a.example.org", false},
	{"1.example.org", "1.example.org", false},
	{"4.3.2.1.in-addr.arpa", "4.3.2.1.in-addr.arpa", false},
	{"", "", false},
	{"192.0.2.1", "192.0.2.1", true},
	{"192.0.2.1.", "192.0.2.1", true},
	{"2001:DB8:0::1", "2001:db8::1", true},
	{"[2001:db8::1]", "2001:db8::1", true},
	{"[fe80::1%eth0]", "fe80::1", true},
	{".", NULL, false},
	{"..", NULL, false},
	{".example.org", NULL, false},
	{"example..org", NULL, false},
	{"example.org..", NULL, false},
	{"example.org:443", NULL, false},
	{"[2001:db8::1]:443", NULL, false},
	{"[192.0.2.1]", NULL, false},
	{"[]", NULL, false},
	{"[", NULL, false},
	{":", NULL, false},
	{"exa mple.org", NULL, false},
	{" example.org", NULL, false},
	{"example.org/", NULL, false},
	{"user@example.org", NULL, false},
	{"*.example.org", NULL, false},
	{"ex\xc3\xa4mple.org", NULL, false},
	/* what resolvers and URL parsers read as an IPv4 address in another form */
	{"2130706433", NULL, false},
	{"127.1", NULL, false},
	{"0x7f.1", NULL, false},
	{"0x7f000001", NULL, false},
	{"example.0x", NULL, false},
	{"256.1.1.1", NULL, false},
	{"1.2.3.4.5", NULL, false},
};

static void test_examples(void **state)
{
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
		const struct example *e = &examples[i];
		struct host host;
		enum parse want = !e->out                  ? PARSE_BAD
				  : e->literal || !*e->out ? PARSE_ABSENT
							   : PARSE_OK;
		enum parse got = host_canonical(e->in, strlen(e->in), &host);
		if (got != want)
			fail_msg("%s: %d, not %d", e->in, got, want);
		assert_string_equal(host.text, e->out ? e->out : "");
		assert_int_equal(host.len, e->out ? strlen(e->out) : 0);
	}
}

static void test_every_byte(void **state)
{
	for (int c = 0; c < 256; c++) {
		char name[] = "a?.example";
		struct host host;
		name[1] = (char)c;
		bool good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			    (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
		assert_int_equal(host_canonical(name, sizeof name - 1, &host),
				 good ? PARSE_OK : PARSE_BAD);
	}
}

static void test_lengths(void **state)
{
	struct host host;
	char name[300];
	memset(name, 'a', sizeof name);
	for (size_t i = 49; i < sizeof name; i += 50)
		name[i] = '.';
	assert_int_equal(host_canonical(name, 253, &host), PARSE_OK);
	assert_int_equal(host.len, 253);
	assert_int_equal(host_canonical(name, 254, &host), PARSE_BAD);
	name[253] = '.';
	assert_int_equal(host_canonical(name, 254, &host), PARSE_OK);
	assert_int_equal(host_canonical(name, 255, &host), PARSE_BAD);
	memset(name, 'a', sizeof name);
	assert_int_equal(host_canonical(name, 63, &host), PARSE_OK);
	assert_int_equal(host_canonical(name, 64, &host), PARSE_BAD);
	name[63] = '.';
	assert_int_equal(host_canonical(name, 64, &host), PARSE_OK);
	assert_int_equal(host_canonical(name, 64 + 63, &host), PARSE_OK);
	assert_int_equal(host_canonical(name, 64 + 64, &host), PARSE_BAD);
}

static void test_equal(void **state)
{
	struct host a, b;
	assert_int_equal(host_canonical("Example.org.", 12, &a), PARSE_OK);
	assert_int_equal(host_canonical("example.ORG", 11, &b), PARSE_OK);
	assert_true(host_equal(&a, &b));
	assert_int_equal(host_canonical("example.or", 10, &b), PARSE_OK);
	assert_false(host_equal(&a, &b));
}

/* What would be read as a number of an address is none of a name, and nothing else is. */
static void test_numbers(void **state)
{
	static const char *const number[] = {"0",    "7", "017", "0x", "0x7f", "0xabcdef0123456789",
					     "99999"};
	static const char *const name[] = {"a",   "0f",  "1f",  "f0", "0xg",
					   "x7f", "0y7", "1x7", "0-", "7a"};
	for (size_t i = 0; i < sizeof number / sizeof *number; i++)
		if (!host_label_is_number(number[i], strlen(number[i])))
			fail_msg("%s is a number", number[i]);
	for (size_t i = 0; i < sizeof name / sizeof *name; i++)
		if (host_label_is_number(name[i], strlen(name[i])))
			fail_msg("%s is no number", name[i]);
	assert_true(host_label_is_number("0x7f", 2)); /* its length is its end */
	assert_true(host_label_is_number("0xg", 2));
	assert_true(host_label_is_number("7a", 1));
}

/* A literal is copied where it is read: one that is longer than any, or holds a zero, is none. */
static void test_literals_have_a_bound(void **state)
{
	struct host host;
	char text[200];
	memset(text, ':', sizeof text);
	for (size_t len = 40; len <= sizeof text; len++)
		assert_int_equal(host_canonical(text, len, &host), PARSE_BAD);
	memcpy(text, "2001:db8::1", 12);
	assert_int_equal(host_canonical(text, 11, &host), PARSE_ABSENT);
	assert_int_equal(host_canonical(text, 12, &host), PARSE_BAD);
	memcpy(text, "192.0.2.1", 10);
	assert_int_equal(host_canonical(text, 10, &host), PARSE_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples), cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_lengths),  cmocka_unit_test(test_equal),
		cmocka_unit_test(test_numbers),  cmocka_unit_test(test_literals_have_a_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
