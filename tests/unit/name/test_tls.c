#include "name/tls.h"
#include "bytes.h"
#include "unit.h"

BYTES_OF_FILE(chromium, "tests/unit/name/data/chromium.tls");
BYTES_OF_FILE(curl, "tests/unit/name/data/curl.tls");
BYTES_OF_FILE(retry, "tests/unit/name/data/openssl-retry.tls"); /* a client's whole connection */

static struct hello hello;

static enum parse records(const void *bytes, size_t len)
{
	uint8_t *copy = exact(bytes, len);
	enum parse answer = tls_records(cursor_of(copy, len), &hello);
	free(copy);
	return answer;
}

/* One record with a hello of these extensions. */
static enum parse with(const struct bytes *extensions)
{
	static struct bytes message, stream;
	message.len = stream.len = 0;
	put_hello(&message, extensions);
	put_records(&stream, message.at, message.len, 16384);
	return records(stream.at, stream.len);
}

static enum parse with_extension(uint16_t type, const char *body, size_t len)
{
	static struct bytes extensions;
	extensions.len = 0;
	put_usual(&extensions, "example.org");
	put_extension(&extensions, type, body, len);
	return with(&extensions);
}

static void test_real(void **state)
{
	assert_int_equal(records(chromium, chromium_end - chromium), PARSE_OK);
	assert_int_equal(hello.protocol, PROTOCOL_TLS);
	assert_int_equal(hello.name, HELLO_NAME_OK);
	assert_string_equal(hello.host.text, "www.feas.test");
	assert_string_equal(hello.alpn, "h2");
	assert_int_equal(hello.version, 0x0304);
	assert_true(hello.ech);
	assert_true(hello.another_may_come);
	assert_false(hello.early_data);
	assert_int_equal(hello.end, chromium_end - chromium);
	assert_int_equal(records(curl, curl_end - curl), PARSE_OK);
	assert_string_equal(hello.host.text, "www.feas.test");
	assert_false(hello.ech);
}

static void each_prefix(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (records(bytes, i) != PARSE_MORE)
			fail_msg("%zu bytes of %zu are not a prefix", i, len);
	assert_int_equal(records(bytes, len), PARSE_OK);
	assert_string_equal(hello.host.text, "www.feas.test");
}

static void test_prefixes(void **state)
{
	each_prefix(chromium, (size_t)(chromium_end - chromium));
	each_prefix(curl, (size_t)(curl_end - curl));
}

/* The same hello in records of every size, and in two cut at every byte. */
static void test_record_sizes(void **state)
{
	static struct bytes stream;
	const uint8_t *message = chromium + 5;
	size_t len = (size_t)(chromium_end - message);
	for (size_t size = 1; size <= len; size += size < 8 ? 1 : 97) {
		stream.len = 0;
		put_records(&stream, message, len, size);
		assert_int_equal(records(stream.at, stream.len), PARSE_OK);
		assert_string_equal(hello.host.text, "www.feas.test");
	}
	for (size_t cut = 1; cut < len; cut++) {
		stream.len = 0;
		put_records(&stream, message, cut, len);
		put_records(&stream, message + cut, len - cut, len);
		assert_int_equal(records(stream.at, stream.len), PARSE_OK);
		assert_string_equal(hello.host.text, "www.feas.test");
	}
}

static void test_record_prefixes(void **state)
{
	static struct bytes stream;
	stream.len = 0;
	put_records(&stream, curl + 5, (size_t)(curl_end - curl) - 5, 3);
	each_prefix(stream.at, stream.len);
}

struct name_example {
	const char *name;
	size_t len;
	enum hello_name want;
};

static void test_names(void **state)
{
	static const struct name_example examples[] = {
		{"WWW.Example.ORG.", 16, HELLO_NAME_OK},
		{"xn--55qx5d.cn", 13, HELLO_NAME_OK},
		{"", 0, HELLO_NAME_ABSENT},
		{"192.0.2.1", 9, HELLO_NAME_ABSENT},
		{"2001:db8::1", 11, HELLO_NAME_ABSENT},
		{"allowed.org\0.evil.net", 21, HELLO_NAME_BAD},
		{"a b", 3, HELLO_NAME_BAD},
		{"a..b", 4, HELLO_NAME_BAD},
		{"example.org:443", 15, HELLO_NAME_BAD},
	};
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
		static struct bytes extensions;
		extensions.len = 0;
		put_server_name(&extensions, examples[i].name, examples[i].len);
		assert_int_equal(with(&extensions), PARSE_OK);
		assert_int_equal(hello.name, examples[i].want);
		if (hello.name == HELLO_NAME_BAD)
			assert_int_equal(hello.host.len, 0);
	}
}

static void test_long_name(void **state)
{
	static struct bytes extensions;
	char name[400];
	memset(name, 'a', sizeof name);
	for (size_t i = 20; i < sizeof name; i += 21)
		name[i] = '.';
	put_server_name(&extensions, name, 250);
	assert_int_equal(with(&extensions), PARSE_OK);
	assert_int_equal(hello.name, HELLO_NAME_OK);
	extensions.len = 0;
	put_server_name(&extensions, name, 400);
	assert_int_equal(with(&extensions), PARSE_OK);
	assert_int_equal(hello.name, HELLO_NAME_BAD);
}

/* An SNI extension's body as it is on the wire. */
static void expect_sni(const char *body, size_t len, enum parse parse, enum hello_name name)
{
	static struct bytes extensions;
	extensions.len = 0;
	put_extension(&extensions, 0, body, len);
	assert_int_equal(with(&extensions), parse);
	if (parse == PARSE_OK)
		assert_int_equal(hello.name, name);
}

#define SNI(body) body, sizeof(body) - 1

static void test_sni_forms(void **state)
{
	expect_sni(SNI(""), PARSE_OK, HELLO_NAME_ABSENT);
	expect_sni(SNI("\0\0"), PARSE_OK, HELLO_NAME_ABSENT);
	expect_sni(SNI("\0\6\0\0\3a.b"), PARSE_OK, HELLO_NAME_OK);
	/* a name of another type alone; beside a host name */
	expect_sni(SNI("\0\6\1\0\3a.b"), PARSE_OK, HELLO_NAME_ABSENT);
	expect_sni(SNI("\0\14\1\0\3a.b\0\0\3c.d"), PARSE_OK, HELLO_NAME_OK);
	assert_string_equal(hello.host.text, "c.d");
	/* two host names, even the same */
	expect_sni(SNI("\0\14\0\0\3a.b\0\0\3c.d"), PARSE_OK, HELLO_NAME_BAD);
	expect_sni(SNI("\0\14\0\0\3a.b\0\0\3a.b"), PARSE_OK, HELLO_NAME_BAD);
	assert_int_equal(hello.host.len, 0);
	/* lengths that do not fit each other */
	expect_sni(SNI("\0"), PARSE_BAD, 0);
	expect_sni(SNI("\0\7\0\0\3a.b"), PARSE_BAD, 0);
	expect_sni(SNI("\0\5\0\0\3a.b"), PARSE_BAD, 0);
	expect_sni(SNI("\0\6\0\0\4a.b"), PARSE_BAD, 0);
	expect_sni(SNI("\0\6\0\0\2a.b"), PARSE_BAD, 0);
	expect_sni(SNI("\0\6\0\0\3a.b!"), PARSE_BAD, 0);
}

static void test_doubled_sni(void **state)
{
	static struct bytes extensions;
	put_server_name(&extensions, "allowed.org", 11);
	put_server_name(&extensions, "evil.net", 8);
	assert_int_equal(with(&extensions), PARSE_OK);
	assert_int_equal(hello.name, HELLO_NAME_BAD);
	assert_int_equal(hello.host.len, 0);
}

static void test_encrypted(void **state)
{
	static const char outer[] = "\0\0\1\0\1\7\0\2ab\0\3xyz";
	assert_int_equal(with_extension(0xfe0d, outer, sizeof outer - 1), PARSE_OK);
	assert_true(hello.ech);
	assert_string_equal(hello.host.text, "example.org");
	assert_int_equal(with_extension(0xfe0d, "\1", 1), PARSE_OK);
	assert_false(hello.ech);
	assert_int_equal(with_extension(0xfe0d, "", 0), PARSE_BAD);
	assert_int_equal(with_extension(0xffce, "esni", 4), PARSE_OK);
	assert_true(hello.ech);
}

static void test_alpn(void **state)
{
	static struct bytes extensions;
	static const char long_[] = "\0\x29\x28"
				    "0123456789012345678901234567890123456789";
	put_extension(&extensions, 16, long_, sizeof long_ - 1);
	assert_int_equal(with(&extensions), PARSE_OK);
	assert_int_equal(hello.alpn_len, 31);
	assert_string_equal(hello.alpn, "0123456789012345678901234567890");
	assert_int_equal(with_extension(16, "\0\3\2h", 4), PARSE_BAD);
	assert_int_equal(with_extension(16, "\0\3\3h2", 5), PARSE_BAD);
	assert_int_equal(with_extension(16, "\0\0", 2), PARSE_BAD);
}

static void test_versions(void **state)
{
	static struct bytes extensions;
	assert_int_equal(with(&extensions), PARSE_OK);
	assert_int_equal(hello.version, 0x0303);
	put_extension(&extensions, 43, "\6\x1a\x1a\3\3\3\4", 7);
	assert_int_equal(with(&extensions), PARSE_OK);
	assert_int_equal(hello.version, 0x0304);
	assert_int_equal(with_extension(43, "\5\x1a\x1a\3\3\3\4", 7), PARSE_BAD);
	assert_int_equal(with_extension(43, "\3\3\4\3", 4), PARSE_BAD);
}

/* Whatever shares TLS 1.3 has: a server may ask for another group, or for a cookie. */
static void test_retry_possible(void **state)
{
	static struct bytes extensions;
	put_extension(&extensions, 43, "\2\3\3", 3);
	assert_int_equal(with(&extensions), PARSE_OK);
	assert_false(hello.another_may_come);
	extensions.len = 0;
	put_usual(&extensions, "example.org");
	assert_int_equal(with(&extensions), PARSE_OK);
	assert_true(hello.another_may_come);
	assert_false(hello.early_data);
	assert_int_equal(with_extension(42, "", 0), PARSE_OK);
	assert_true(hello.early_data);
}

/* Nothing that follows could make it good: said at once, on the first bytes. */
static void test_bad_early(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		enum parse want;
	} examples[] = {
		{"\x16\3\1\0\0", 5, PARSE_BAD},                       /* an empty record */
		{"\x16\3\1\x48\0", 5, PARSE_BAD},                     /* too long a record */
		{"\x16\3\1\0\x40\2", 6, PARSE_BAD},                   /* a ServerHello */
		{"\x16\3\1\0\x40\1\1\0\0", 9, PARSE_BAD},             /* a message past 64 KiB */
		{"\x16\3\1\0\x40\1\0\0\x30", 9, PARSE_BAD},           /* ends inside the record */
		{"\x16\3\1\0\x40\1\0\0\x3c\2", 10, PARSE_MORE},       /* ... */
		{"\x16\3\1\0\x40\1\0\0\x3c\2\0", 11, PARSE_BAD},      /* version 2.0 */
		{"\x16\3\1\0\1\1\x17\3\1", 9, PARSE_BAD},             /* another record amid it */
		{"\x16\3\1\0\1\1\x16\4", 8, PARSE_BAD},               /* no record amid it */
		{"\x16\3\1\0\1\1\x16\3\1\0\0", 11, PARSE_BAD},        /* an empty one amid it */
		{"\x17\3\1\0\1\1", 6, PARSE_ABSENT},                  /* another record first */
		{"\x16\4", 2, PARSE_BAD},                             /* TLS to Go */
		{"\x16\x10", 2, PARSE_ABSENT},                        /* not TLS */
		{"\x80\x2e\1\3\1\0\x15\0\0\0\x10", 11, PARSE_ABSENT}, /* SSLv2's hello */
		{"G", 1, PARSE_ABSENT},
		{"", 0, PARSE_MORE},
	};
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
		if (records(examples[i].bytes, examples[i].len) != examples[i].want)
			fail_msg("example %zu", i);
}

/* One byte of a good hello is changed to what its structure forbids: bad, and bad on every prefix
 * that shows it, never OK. */
static void expect_patched(size_t at, uint8_t value)
{
	static struct bytes extensions, message, stream;
	extensions.len = message.len = stream.len = 0;
	put_usual(&extensions, "example.org");
	put_hello(&message, &extensions);
	message.at[at] = value;
	put_records(&stream, message.at, message.len, 16384);
	assert_int_equal(records(stream.at, stream.len), PARSE_BAD);
	bool bad = false;
	for (size_t i = 0; i <= stream.len; i++) {
		enum parse answer = records(stream.at, i);
		assert_true(answer == PARSE_BAD || (answer == PARSE_MORE && !bad));
		bad |= answer == PARSE_BAD;
	}
}

static void test_malformed(void **state)
{
	expect_patched(0, 2);     /* type */
	expect_patched(4, 2);     /* version */
	expect_patched(38, 33);   /* session id */
	expect_patched(38, 255);  /* ... past the end */
	expect_patched(40, 3);    /* odd cipher suites */
	expect_patched(40, 0);    /* none */
	expect_patched(39, 0xff); /* ... past the end */
	expect_patched(43, 0);    /* no compression method */
	expect_patched(46, 1);    /* extensions too short */
	expect_patched(45, 1);    /* too long */
	expect_patched(49, 0xff); /* an extension past the end */
}

/* A hello whose session ID has so many bytes (RFC 8446 4.1.2: 32 at most), and so many behind its
 * extensions. */
static enum parse shaped(unsigned session, unsigned behind)
{
	static struct bytes body, message, extensions, stream;
	body.len = message.len = extensions.len = stream.len = 0;
	put_usual(&extensions, "example.org");
	put_hello_body(&body, 0x0303, &extensions);
	put_number(&message, 1, 1);
	put_number(&message, body.len + session + behind, 3);
	put(&message, body.at, 34);
	put_number(&message, session, 1);
	for (unsigned i = 0; i < session; i++)
		put_number(&message, i, 1);
	put(&message, body.at + 35, body.len - 35);
	for (unsigned i = 0; i < behind; i++)
		put_number(&message, 0, 1);
	put_records(&stream, message.at, message.len, 16384);
	return records(stream.at, stream.len);
}

static void test_bounds_of_the_body(void **state)
{
	assert_int_equal(shaped(32, 0), PARSE_OK);
	assert_string_equal(hello.host.text, "example.org");
	assert_int_equal(shaped(33, 0), PARSE_BAD);
	assert_int_equal(shaped(255, 0), PARSE_BAD);
	assert_int_equal(shaped(0, 1), PARSE_BAD);
	assert_int_equal(shaped(32, 4), PARSE_BAD);
}

static void test_no_extensions(void **state)
{
	static struct bytes none, message, stream;
	put_hello(&message, &none);
	message.len -= 2;
	message.at[3] = (uint8_t)(message.at[3] - 2);
	put_records(&stream, message.at, message.len, 16384);
	assert_int_equal(records(stream.at, stream.len), PARSE_OK);
	assert_int_equal(hello.name, HELLO_NAME_ABSENT);
}

/* 64 KiB are read, one byte more is not, however large the records are. */
static void test_largest(void **state)
{
	static struct bytes extensions, message, stream;
	static uint8_t filler[60000];
	put_extension(&extensions, 21, filler, sizeof filler);
	put_usual(&extensions, "example.org");
	put_hello(&message, &extensions);
	size_t room = TLS_HELLO_MAX - message.len;
	for (size_t more = 0; more < 2; more++) {
		extensions.len = message.len = stream.len = 0;
		put_extension(&extensions, 21, filler, sizeof filler);
		put_extension(&extensions, 21, filler, room - 4 + more);
		put_usual(&extensions, "example.org");
		put_hello(&message, &extensions);
		assert_int_equal(message.len, TLS_HELLO_MAX + more);
		for (size_t size = 16384; size > 80; size /= 2, stream.len = 0) {
			put_records(&stream, message.at, message.len, size);
			assert_int_equal(records(stream.at, stream.len),
					 more ? PARSE_BAD : PARSE_OK);
		}
	}
}

/* --- a second hello: tests/unit/worker/test_second_hello.c has more --- */

static const char change_cipher[] = "\x14\3\3\0\1\1";
static uint32_t early;
static uint64_t used;

static void second(struct bytes *stream, const char *host)
{
	static struct bytes extensions, message;
	extensions.len = message.len = 0;
	put_usual(&extensions, host);
	put_hello(&message, &extensions);
	put_records(stream, message.at, message.len, 100);
}

static enum parse next(const void *bytes, size_t len)
{
	uint8_t *copy = exact(bytes, len);
	enum parse answer = tls_next_hello(cursor_of(copy, len), &early, &used, &hello);
	free(copy);
	return answer;
}

static void test_second_hello(void **state)
{
	static struct bytes stream;
	put(&stream, change_cipher, 6);
	second(&stream, "second.example");
	for (size_t i = 0; i < stream.len; i++) {
		assert_int_equal(next(stream.at, i), PARSE_MORE);
		assert_int_equal(hello.server_next, i <= 6);
		assert_int_equal(used, i < 5 ? 0 : 6);
	}
	assert_int_equal(next(stream.at, stream.len), PARSE_OK);
	assert_string_equal(hello.host.text, "second.example");
}

static void test_real_second_hello(void **state)
{
	size_t len = (size_t)(retry_end - retry), told = 0;
	assert_int_equal(records(retry, len), PARSE_OK);
	const uint8_t *rest = retry + hello.end;
	len -= hello.end;
	for (size_t i = 0; i <= len; i++) {
		enum parse answer = next(rest, i);
		assert_true(answer == PARSE_OK || (answer == PARSE_MORE && told == 0));
		told += answer == PARSE_OK;
	}
	assert_string_equal(hello.host.text, "retry.example");
}

static void test_no_second_hello(void **state)
{
	assert_int_equal(next("\x14\3\3\0\1\1\x17\3\3\0\5hello", 16), PARSE_ABSENT);
	assert_int_equal(next("\x17\3\3\0\0", 5), PARSE_ABSENT);
	/* no record begins so: nothing more is waited for */
	assert_int_equal(next("\x13", 1), PARSE_BAD);
	assert_int_equal(next("\x18\3", 2), PARSE_BAD);
	assert_int_equal(next("\x16\4", 2), PARSE_BAD);
	assert_int_equal(next("\x14\3\3", 3), PARSE_MORE);
	/* ClientKeyExchange: TLS 1.2 it became */
	assert_int_equal(next("\x16\3\3\0\5\x10", 6), PARSE_ABSENT);
	/* an encrypted Finished, and what looks like a hello so far */
	assert_int_equal(next("\x16\3\3\0\x28\1\3", 7), PARSE_ABSENT);
	assert_int_equal(next("\x16\3\3\0\x28\1\2", 7), PARSE_MORE);
	assert_false(hello.server_next);
	assert_int_equal(next("\x16\3\3\0\x28\1", 6), PARSE_MORE);
	/* until data follow it; a whole hello is one whatever follows */
	assert_int_equal(next("\x16\3\3\0\5\1\2\0\0\1\x17", 11), PARSE_ABSENT);
	assert_int_equal(next("\x16\3\3\0\5\1\0\1\0\1\x16", 11), PARSE_MORE);
	assert_int_equal(next("\x16\3\3\0\5\1\2\0\0\1\x16", 11), PARSE_BAD); /* too long a one */
	assert_int_equal(next("\x16\3\3\0\5\1\0\1\0\1\x14\3\3\0\1\1", 16), PARSE_BAD);
	assert_int_equal(next("\x16\3\3\0\5\1\0\0\1\3\x17", 11), PARSE_BAD);
	assert_int_equal(next("\x15\3\3\0\2\2\x28", 7), PARSE_MORE); /* an alert */
	assert_true(hello.server_next);
	assert_int_equal(next("GET / HTTP/1.1\r\n", 16), PARSE_BAD);
	assert_int_equal(next("\x16\3\3\0\0", 5), PARSE_BAD);
}

/* Early data that the server did not take lies between the two; of its last record more than the
 * header need not be there. */
static void test_second_after_early_data(void **state)
{
	static struct bytes stream;
	early = 10;
	assert_int_equal(next("\x17\3\3\0\5he", 7), PARSE_MORE);
	assert_int_equal(used, 10);
	assert_int_equal(early, 5);
	put(&stream, "\x17\3\3\0\4hell", 9);
	second(&stream, "second.example");
	assert_int_equal(next(stream.at, stream.len), PARSE_OK);
	assert_string_equal(hello.host.text, "second.example");
	assert_int_equal(next("\x17\3\3\0\1", 5), PARSE_ABSENT); /* 9 have come */
	early = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_record_sizes),
		cmocka_unit_test(test_record_prefixes),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_long_name),
		cmocka_unit_test(test_sni_forms),
		cmocka_unit_test(test_doubled_sni),
		cmocka_unit_test(test_encrypted),
		cmocka_unit_test(test_alpn),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_retry_possible),
		cmocka_unit_test(test_bad_early),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_no_extensions),
		cmocka_unit_test(test_bounds_of_the_body),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_second_hello),
		cmocka_unit_test(test_real_second_hello),
		cmocka_unit_test(test_no_second_hello),
		cmocka_unit_test(test_second_after_early_data),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
