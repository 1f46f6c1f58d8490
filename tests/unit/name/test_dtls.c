#include "name/dtls.h"
#include "bytes.h"
#include "unit.h"

BYTES_OF_FILE(openssl, "tests/unit/name/data/openssl.dtls");

static struct stream_pool *pool;
static struct stream *message;
static struct dtls_flow flow;
static struct hello hello;
static bool conflict;
static struct bytes body, out;

static int setup(void **state)
{
	pool = stream_pool_new(1);
	return !pool;
}

static int teardown(void **state)
{
	stream_pool_free(pool);
	return 0;
}

static void new_flow(void)
{
	if (message)
		stream_put(pool, message);
	message = NULL;
	memset(&flow, 0, sizeof flow);
}

static void make(const char *host, size_t size)
{
	static struct bytes extensions;
	static uint8_t filler[65536];
	body.len = extensions.len = 0;
	put_usual(&extensions, host);
	if (size)
		put_extension(&extensions, 21, filler, size);
	put_hello_body(&body, 0xfefd, &extensions);
}

/* A record with bytes from..from+len of the body. */
static void put_fragment(struct bytes *b, unsigned sequence, size_t from, size_t len)
{
	put_number(b, 22, 1);
	put_number(b, 0xfeff, 2);
	put_number(b, 0, 2);
	put_number(b, sequence, 6);
	size_t record = vector_begin(b, 2);
	put_number(b, 1, 1);
	put_number(b, body.len, 3);
	put_number(b, sequence, 2);
	put_number(b, from, 3);
	put_number(b, len, 3);
	put(b, body.at + from, len);
	vector_end(b, record, 2);
}

static enum parse datagram(const void *bytes, size_t len)
{
	uint8_t *copy = exact(bytes, len);
	enum parse answer =
		dtls_datagram(&flow, cursor_of(copy, len), pool, &message, &conflict, &hello);
	free(copy);
	return answer;
}

static enum parse fragment(unsigned sequence, size_t from, size_t len)
{
	out.len = 0;
	put_fragment(&out, sequence, from, len);
	return datagram(out.at, out.len);
}

static void test_whole(void **state)
{
	make("Example.org", 0);
	new_flow();
	assert_int_equal(fragment(0, 0, body.len), PARSE_OK);
	assert_int_equal(hello.protocol, PROTOCOL_DTLS);
	assert_string_equal(hello.host.text, "example.org");
	assert_int_equal(hello.version, 0xfefd);
	assert_null(message);
	/* after a HelloVerifyRequest: the next message, again a hello */
	assert_int_equal(fragment(1, 0, body.len), PARSE_OK);
}

static void test_real(void **state)
{
	new_flow();
	assert_int_equal(datagram(openssl, (size_t)(openssl_end - openssl)), PARSE_OK);
	assert_string_equal(hello.host.text, "dtls.example");
	assert_true(hello.another_may_come);
}

static void test_versions(void **state)
{
	static struct bytes extensions;
	put_server_name(&extensions, "a.org", 5);
	put_extension(&extensions, 43, "\4\xfe\xfc\xfe\xfd", 5);
	body.len = 0;
	put_hello_body(&body, 0xfefd, &extensions);
	new_flow();
	assert_int_equal(fragment(0, 0, body.len), PARSE_OK);
	assert_int_equal(hello.version, 0xfefc);
	body.at[0] = 3;
	assert_int_equal(fragment(0, 0, body.len), PARSE_BAD);
}

static void test_two_fragments(void **state)
{
	make("example.org", 0);
	for (size_t cut = 1; cut < body.len; cut++) {
		for (int swap = 0; swap < 2; swap++) {
			size_t at[] = {0, cut}, len[] = {cut, body.len - cut};
			new_flow();
			assert_int_equal(fragment(0, at[swap], len[swap]), PARSE_MORE);
			assert_int_equal(fragment(0, at[!swap], len[!swap]), PARSE_OK);
			assert_string_equal(hello.host.text, "example.org");
			assert_true(stream_is_kept(message));
		}
	}
}

/* Several records in one datagram, overlapping, repeated; then several fragments in one record. */
static void test_one_datagram(void **state)
{
	make("example.org", 300);
	new_flow();
	out.len = 0;
	for (size_t from = 0; from < body.len; from += 50)
		put_fragment(&out, 0, from, body.len - from < 60 ? body.len - from : 60);
	assert_int_equal(datagram(out.at, out.len), PARSE_OK);
	assert_string_equal(hello.host.text, "example.org");
	out.len = 0;
	put_fragment(&out, 0, 0, 100);
	put_fragment(&out, 0, 100, body.len - 100);
	/* the second record's header is taken out */
	memmove(out.at + 125, out.at + 138, out.len - 138);
	out.len -= 13;
	size_t len = out.len - 13;
	out.at[11] = (uint8_t)(len >> 8);
	out.at[12] = (uint8_t)len;
	new_flow();
	assert_int_equal(datagram(out.at, out.len), PARSE_OK);
	assert_string_equal(hello.host.text, "example.org");
}

static void test_largest(void **state)
{
	make("example.org", 65000);
	new_flow();
	for (size_t from = 0; from < body.len; from += 1000) {
		size_t left = body.len - from;
		assert_int_equal(fragment(0, from, left < 1000 ? left : 1000),
				 left <= 1000 ? PARSE_OK : PARSE_MORE);
	}
	make("example.org", 65536 - 24);
	assert_true(body.len > 65536 - 12);
	new_flow();
	assert_int_equal(fragment(0, 0, 1000), PARSE_BAD);
}

static void test_conflict(void **state)
{
	make("example.org", 0);
	new_flow();
	assert_int_equal(fragment(0, 0, 60), PARSE_MORE);
	body.at[50] ^= 1;
	assert_int_equal(fragment(0, 0, 60), PARSE_BAD);
	assert_true(conflict);
	body.at[50] ^= 1;
	/* another message amid the first, or another length */
	new_flow();
	assert_int_equal(fragment(0, 0, 60), PARSE_MORE);
	assert_int_equal(fragment(1, 60, body.len - 60), PARSE_BAD);
	assert_true(conflict);
	new_flow();
	assert_int_equal(fragment(0, 0, 60), PARSE_MORE);
	body.len--;
	assert_int_equal(fragment(0, 60, body.len - 60), PARSE_BAD);
	assert_true(conflict);
}

static void test_malformed(void **state)
{
	make("example.org", 0);
	out.len = 0;
	put_fragment(&out, 0, 0, body.len);
	for (size_t i = 1; i < out.len; i++) {
		new_flow();
		assert_int_equal(datagram(out.at, i), i < 3 ? PARSE_ABSENT : PARSE_BAD);
	}
	new_flow();
	assert_int_equal(datagram(out.at, 0), PARSE_ABSENT);
	out.at[13] = 2; /* a ServerHello */
	assert_int_equal(datagram(out.at, out.len), PARSE_ABSENT);
	out.at[13] = 1;
	out.at[18 + 3] = 1; /* a fragment past its message */
	assert_int_equal(datagram(out.at, out.len), PARSE_BAD);
}

static void test_others(void **state)
{
	make("example.org", 0);
	out.len = 0;
	put_fragment(&out, 0, 0, body.len);
	out.at[4] = 1; /* epoch 1: encrypted */
	assert_int_equal(datagram(out.at, out.len), PARSE_ABSENT);
	out.at[4] = 0;
}

/* RFC 9147 4.1: the version of a record is ignored for all purposes. Of those that no DTLS has,
 * only what bears a hello is a record: other protocols begin with a 22, too. */
static void test_record_version(void **state)
{
	static const uint8_t versions[][2] = {{3, 3}, {1, 0}, {0xfe, 0xfc}, {0, 0}};
	make("example.org", 0);
	for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
		out.len = 0;
		put_fragment(&out, 0, 0, body.len);
		memcpy(out.at + 1, versions[i], 2);
		new_flow();
		assert_int_equal(datagram(out.at, out.len), PARSE_OK);
		assert_string_equal(hello.host.text, "example.org");
		new_flow();
		out.at[13] = 2; /* a ServerHello */
		assert_int_equal(datagram(out.at, out.len), PARSE_ABSENT);
	}
}

/* Every record is looked at, wherever a server may begin to read one. */
static void test_behind_junk(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} junk[] = {
		{"\x14\xfe\xfd\0\0\0\0\0\0\0\0\0\1\1", 14},   /* ChangeCipherSpec */
		{"\x16\xfe\xfd\0\1\0\0\0\0\0\0\0\4abcd", 17}, /* of the next epoch */
		{"\x19\xfe\xfd\0\1\0\0\0\0\0\0\0\1x", 14},    /* tls12_cid, */
		{"\x99\x77junk", 6},
		{"\x16\3\3\0\0\0\0\0\0\0\0\4\0", 13}, /* a length over all that follows */
		{"\x2e\x16\xfe", 3},
	};
	make("example.org", 0);
	for (size_t i = 0; i < sizeof junk / sizeof *junk; i++) {
		out.len = 0;
		put(&out, junk[i].bytes, junk[i].len);
		new_flow();
		assert_int_equal(datagram(out.at, out.len), PARSE_ABSENT);
		assert_false(flow.seen);
		put_fragment(&out, 0, 0, body.len);
		put(&out, junk[i].bytes, junk[i].len);
		assert_int_equal(datagram(out.at, out.len), PARSE_OK);
		assert_string_equal(hello.host.text, "example.org");
		assert_true(flow.seen);
	}
	/* behind another message of the flight; and inside a record that a server may discard */
	out.len = 0;
	put_fragment(&out, 0, 0, body.len);
	out.at[13] = 16;
	put_fragment(&out, 1, 0, body.len);
	new_flow();
	assert_int_equal(datagram(out.at, out.len), PARSE_OK);
	struct bytes inner = out;
	make("other.example", 0);
	static struct bytes extensions;
	body.len = extensions.len = 0;
	put_usual(&extensions, "other.example");
	put_extension(&extensions, 21, inner.at, inner.len);
	put_hello_body(&body, 0xfefd, &extensions);
	out.len = 0;
	put_fragment(&out, 0, 0, body.len);
	assert_int_equal(datagram(out.at, out.len), PARSE_BAD);
}

/* Two hellos in one datagram have to agree. */
static void test_two_hellos(void **state)
{
	out.len = 0;
	make("example.org", 0);
	put_fragment(&out, 0, 0, body.len);
	size_t one = out.len;
	put_fragment(&out, 1, 0, body.len);
	new_flow();
	assert_int_equal(datagram(out.at, out.len), PARSE_OK);
	make("other.example", 0);
	out.len = one;
	put_fragment(&out, 0, 0, body.len);
	assert_int_equal(datagram(out.at, out.len), PARSE_BAD);
	out.len = one;
	put_fragment(&out, 1, 20, body.len - 20); /* a part of another */
	new_flow();
	assert_int_equal(datagram(out.at, out.len), PARSE_BAD);
	out.len = 0; /* or the part first */
	put_fragment(&out, 1, 20, body.len - 20);
	put_fragment(&out, 0, 0, body.len);
	new_flow();
	assert_int_equal(datagram(out.at, out.len), PARSE_BAD);
}

/* Fragments of a hello that was told are compared; where they can't be, they are lost. */
static void test_compared(void **state)
{
	make("example.org", 0);
	new_flow();
	assert_int_equal(fragment(0, 0, 60), PARSE_MORE);
	assert_int_equal(fragment(0, 60, body.len - 60), PARSE_OK);
	assert_int_equal(fragment(0, 40, 40), PARSE_ABSENT);
	assert_false(flow.lost);
	body.at[70] ^= 1;
	assert_int_equal(fragment(0, 40, 40), PARSE_BAD);
	assert_true(conflict);
	assert_int_equal(fragment(0, 0, body.len), PARSE_BAD); /* whole, into the same place */
	body.at[70] ^= 1;
	assert_int_equal(fragment(1, 0, 60), PARSE_MORE);
	assert_int_equal(fragment(1, 60, body.len - 60), PARSE_OK);
	assert_int_equal(fragment(0, 40, 40), PARSE_ABSENT);
	assert_true(flow.lost);
	struct stream *taken = stream_get(pool);
	assert_null(message);
	stream_put(pool, taken);
	assert_int_equal(fragment(1, 0, 60), PARSE_ABSENT);
	assert_true(flow.lost);
	assert_int_equal(fragment(2, 0, 60), PARSE_MORE);
}

static void test_pool_empty(void **state)
{
	make("example.org", 0);
	new_flow();
	struct stream *taken = stream_get(pool);
	assert_int_equal(fragment(0, 0, 60), PARSE_MORE);
	assert_null(message);
	assert_int_equal(fragment(0, 0, body.len), PARSE_OK);
	stream_put(pool, taken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),        cmocka_unit_test(test_real),
		cmocka_unit_test(test_versions),     cmocka_unit_test(test_two_fragments),
		cmocka_unit_test(test_one_datagram), cmocka_unit_test(test_largest),
		cmocka_unit_test(test_conflict),     cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_others),       cmocka_unit_test(test_record_version),
		cmocka_unit_test(test_pool_empty),   cmocka_unit_test(test_behind_junk),
		cmocka_unit_test(test_two_hellos),   cmocka_unit_test(test_compared),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
