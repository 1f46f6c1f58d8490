#include "name/quic.h"
#include "seal.h"
#include "unit.h"

BYTES_OF_FILE(chromium_1, "tests/unit/name/data/chromium-1.quic");
BYTES_OF_FILE(chromium_2, "tests/unit/name/data/chromium-2.quic");
BYTES_OF_FILE(chromium_3, "tests/unit/name/data/chromium-3.quic");
BYTES_OF_FILE(ngtcp2, "tests/unit/name/data/ngtcp2.quic");

static struct quic *quic;
static struct stream_pool *pool;
static struct quic_flow flow;
static struct stream *crypto;
static struct hello hello;
static bool conflict;

static int setup(void **state)
{
	quic = quic_new();
	pool = stream_pool_new(1);
	return !quic || !pool;
}

static int teardown(void **state)
{
	quic_free(quic);
	stream_pool_free(pool);
	return 0;
}

static void new_flow(void)
{
	if (crypto)
		stream_put(pool, crypto);
	crypto = NULL;
	memset(&flow, 0, sizeof flow);
}

static enum parse datagram(const void *bytes, size_t len)
{
	uint8_t *copy = exact(bytes, len);
	enum parse answer =
		quic_datagram(quic, &flow, cursor_of(copy, len), pool, &crypto, &conflict, &hello);
	free(copy);
	if (answer != PARSE_ABSENT)
		assert_int_equal(hello.protocol, PROTOCOL_QUIC);
	return answer;
}

#define REAL(name) name, (size_t)(name##_end - name)

static void test_real(void **state)
{
	new_flow();
	assert_int_equal(datagram(REAL(chromium_1)), PARSE_MORE);
	assert_non_null(crypto);
	assert_int_equal(datagram(REAL(chromium_2)), PARSE_OK);
	assert_true(stream_is_kept(crypto));
	assert_string_equal(hello.host.text, "www.feas.test");
	assert_string_equal(hello.alpn, "h3");
	assert_true(hello.ech);
	/* the client has the server's ID now, and the keys stay: an ACK */
	assert_int_equal(datagram(REAL(chromium_3)), PARSE_MORE);
	new_flow();
	assert_int_equal(datagram(REAL(chromium_2)), PARSE_MORE);
	assert_int_equal(datagram(REAL(chromium_2)), PARSE_MORE);
	assert_int_equal(datagram(REAL(chromium_1)), PARSE_OK);
	assert_string_equal(hello.host.text, "www.feas.test");
	/* of another flow the ACK cannot be read */
	new_flow();
	assert_int_equal(datagram(REAL(chromium_3)), PARSE_BAD);
	new_flow();
	assert_int_equal(datagram(REAL(ngtcp2)), PARSE_OK);
	assert_string_equal(hello.host.text, "www.feas.test");
}

/* One bit anywhere in a sealed packet: unreadable, never another name. */
static void test_authentic(void **state)
{
	static uint8_t copy[1250];
	for (size_t i = 0; i < 1200; i += 1 + i / 40) {
		memcpy(copy, ngtcp2, 1200);
		copy[i] ^= 1;
		new_flow();
		bool negotiation = i == 4; /* version 0 */
		assert_int_equal(datagram(copy, 1200), negotiation ? PARSE_ABSENT : PARSE_BAD);
	}
}

static void test_cut_short(void **state)
{
	for (size_t i = 0; i < 1200; i += 1 + i / 40) {
		new_flow();
		enum parse answer = datagram(ngtcp2, i);
		assert_int_equal(answer, i < 5 ? PARSE_ABSENT : PARSE_BAD);
	}
}

/* --- made to order --- */

static const uint8_t other_id[] = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
				   11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
static struct bytes message, plain, out;

/* A hello for this host of about `size` bytes. */
static void make(const char *host, size_t size)
{
	static struct bytes extensions;
	static uint8_t filler[65536];
	message.len = extensions.len = 0;
	put_usual(&extensions, host);
	if (size > 300)
		put_extension(&extensions, 21, filler, size - 300);
	put_hello(&message, &extensions);
}

/* With zeros behind it: no smaller datagram with an Initial comes from a client. */
static void pad(void)
{
	while (out.len < QUIC_DATAGRAM_MIN)
		put_number(&out, 0, 1);
}

static enum parse sealed(const struct seal *s)
{
	out.len = 0;
	put_initial(&out, s, plain.at, plain.len);
	pad();
	return datagram(out.at, out.len);
}

/* A datagram with the hello's bytes from `from` on. */
static enum parse part(const struct seal *s, size_t from, size_t len)
{
	plain.len = 0;
	put_crypto(&plain, from, message.at + from, len);
	return sealed(s);
}

/* RFC 9001 A.2 and RFC 9369 A.2: the same frame, sealed as printed there. */
static void test_vectors(void **state)
{
	static const char frame[] =
		"060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b6948"
		"4c00000413011302010000c000000010000e00000b6578616d706c652e636f6dff01000100000a0008"
		"0006001d0017001800100007000504616c706e000500050100000000003300260024001d00209370b2"
		"c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b0003020304000d0010"
		"000e0403050306030203080408050806002d00020101001c00024001003900320408ffffffffffffff"
		"ff05048000ffff07048000ffff0801100104800075300901100f088394c8f03e51570806048000fff"
		"f";
	static const uint8_t tags[2][16] = {{0xe2, 0x21, 0xaf, 0x44, 0x86, 0x00, 0x18, 0xab, 0x08,
					     0x56, 0x97, 0x2e, 0x19, 0x4c, 0xd9, 0x34},
					    {0xa1, 0x8b, 0x2f, 0xaa, 0x74, 0x5b, 0x6f, 0xe1, 0x89,
					     0xcf, 0x77, 0x2a, 0x9f, 0x84, 0xcb, 0xfc}};
	static const uint8_t heads[2][32] = {
		"\xc0\x00\x00\x00\x01\x08\x83\x94\xc8\xf0\x3e\x51\x57\x08"
		"\x00\x00\x44\x9e\x7b\x9a\xec\x34",
		"\xd7\x6b\x33\x43\xcf\x08\x83\x94\xc8\xf0\x3e\x51\x57\x08"
		"\x00\x00\x44\x9e\xa0\xc9\x5e\x82"};
	for (int v = 0; v < 2; v++) {
		struct seal s = seal_of(v);
		plain.len = out.len = 0;
		for (size_t i = 0; frame[i]; i += 2) {
			char hex[] = {frame[i], frame[i + 1], 0};
			put_number(&plain, strtoul(hex, NULL, 16), 1);
		}
		while (plain.len < 1162)
			put_number(&plain, 0, 1);
		s.short_length = true;
		put_initial(&out, &s, plain.at, plain.len);
		assert_int_equal(out.len, 1200);
		assert_memory_equal(out.at, heads[v], 22);
		assert_memory_equal(out.at + 1184, tags[v], 16);
		new_flow();
		assert_int_equal(datagram(out.at, out.len), PARSE_OK);
		assert_string_equal(hello.host.text, "example.com");
		assert_string_equal(hello.alpn, "alpn");
	}
}

static void test_versions(void **state)
{
	static const uint32_t numbers[] = {1,          0x6b3343cf, 0xff00001d, 0xff000020,
					   0xff00001b, 0xff000017, 0xff000016, 0xff000021,
					   0xff000022, 0xfaceb001, 0xfaceb002};
	static const int salts[] = {0, 1, 2, 2, 3, 3, 4, 0, 0, 4, 3};
	make("example.org", 0);
	for (size_t i = 0; i < sizeof salts / sizeof *salts; i++) {
		struct seal_version version = seal_versions[salts[i]];
		version.number = numbers[i];
		struct seal s = seal_of(0);
		s.version = &version;
		new_flow();
		assert_int_equal(part(&s, 0, message.len), PARSE_OK);
		assert_string_equal(hello.host.text, "example.org");
	}
}

static void test_unknown_version(void **state)
{
	static uint8_t bytes[1200] = {0xc3, 'Q', '0', '5', '0', 8};
	new_flow();
	assert_int_equal(datagram(bytes, 1200), PARSE_BAD);
	assert_int_equal(datagram(bytes, 1199), PARSE_ABSENT); /* too small to be a client's */
	memcpy(bytes + 1, "\x0a\x1a\x2a\x3a", 4);
	assert_int_equal(datagram(bytes, 1200), PARSE_BAD);
	memset(bytes + 1, 0, 4);
	assert_int_equal(datagram(bytes, 1200), PARSE_ABSENT); /* version negotiation */
	memcpy(bytes + 1, "\xff\0\0\x15", 4);                  /* draft 21 has another header */
	assert_int_equal(datagram(bytes, 1200), PARSE_BAD);
	bytes[0] = 0x43;
	assert_int_equal(datagram(bytes, 1200), PARSE_ABSENT); /* a short header */
	assert_int_equal(datagram(bytes, 0), PARSE_ABSENT);
}

/* Every cut of a hello into two datagrams, either first. */
static void test_two_datagrams(void **state)
{
	struct seal s = seal_of(0);
	make("example.org", 0);
	for (size_t cut = 1; cut < message.len; cut++) {
		for (int swap = 0; swap < 2; swap++) {
			new_flow();
			size_t at[] = {0, cut}, len[] = {cut, message.len - cut};
			assert_int_equal(part(&s, at[swap], len[swap]), PARSE_MORE);
			assert_int_equal(part(&s, at[!swap], len[!swap]), PARSE_OK);
			assert_string_equal(hello.host.text, "example.org");
			assert_true(stream_is_kept(crypto));
		}
	}
}

static unsigned next_random(unsigned *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 16 & 0x7fff;
}

/* Frames of one datagram in any order, among PING, PADDING and ACK, some twice. */
static void test_shuffled_frames(void **state)
{
	struct seal s = seal_of(1);
	make("example.org", 900);
	for (unsigned seed = 1; seed <= 200; seed++) {
		size_t cuts[12] = {0}, count = 11;
		unsigned r = seed, order[12];
		for (size_t i = 1; i < count; i++)
			cuts[i] = i * message.len / count + next_random(&r) % 20;
		cuts[count] = message.len;
		for (unsigned i = 0; i < count; i++) {
			unsigned j = next_random(&r) % (i + 1);
			order[i] = order[j];
			order[j] = i;
		}
		plain.len = 0;
		for (size_t i = 0; i < count; i++) {
			unsigned n = order[i];
			put_number(&plain, next_random(&r) % 2, 1); /* PADDING or PING */
			put(&plain, "\0\0\0\0\2\x10\0\1\1\0\0\3\x10\0\0\1\1\2\3", 19);
			put_crypto(&plain, cuts[n], message.at + cuts[n], cuts[n + 1] - cuts[n]);
			if (n % 3 == 0)
				put_crypto(&plain, cuts[n] + 2, message.at + cuts[n] + 2, 5);
		}
		new_flow();
		assert_int_equal(sealed(&s), PARSE_OK);
		assert_string_equal(hello.host.text, "example.org");
	}
}

/* Up to 64 KiB, over many datagrams in any order. */
static void test_largest(void **state)
{
	struct seal s = seal_of(0);
	make("example.org", 65400);
	assert_true(message.len > 65000 && message.len <= 65536);
	new_flow();
	size_t count = (message.len + 1099) / 1100;
	for (size_t i = 0; i < count; i++) {
		size_t from = (i * 7 % count) * 1100;
		size_t left = message.len - from;
		assert_int_not_equal(count % 7, 0);
		assert_int_equal(part(&s, from, left < 1100 ? left : 1100),
				 i + 1 < count ? PARSE_MORE : PARSE_OK);
	}
	assert_string_equal(hello.host.text, "example.org");
}

static void test_coalesced(void **state)
{
	struct seal s = seal_of(0);
	static const uint8_t early[] = {0xd0, 0,    0,    0, 1, 8, 0x83, 0x94, 0xc8, 0xf0,
					0x3e, 0x51, 0x57, 8, 0, 4, 1,    2,    3,    4};
	make("example.org", 600);
	out.len = 0;
	for (size_t from = 0; from < message.len; from += 200) {
		plain.len = 0;
		size_t left = message.len - from;
		put_crypto(&plain, from, message.at + from, left < 200 ? left : 200);
		s.number++;
		put_initial(&out, &s, plain.at, plain.len);
		put(&out, early, sizeof early); /* 0-RTT between them */
	}
	pad();
	new_flow();
	assert_int_equal(datagram(out.at, out.len), PARSE_OK);
	assert_string_equal(hello.host.text, "example.org");
	/* to another destination: a server would pass over it */
	out.len = 0;
	put_initial(&out, &s, plain.at, plain.len);
	s.dcid = s.key_id = other_id;
	put_initial(&out, &s, plain.at, plain.len);
	pad();
	new_flow();
	assert_int_equal(datagram(out.at, out.len), PARSE_BAD);
	/* of another version: no server speaks two in a datagram */
	struct seal first = seal_of(0), second = seal_of(1);
	out.len = plain.len = 0;
	put_crypto(&plain, 0, message.at, 300);
	put_initial(&out, &first, plain.at, plain.len);
	plain.len = 0;
	put_crypto(&plain, 300, message.at + 300, message.len - 300);
	put_initial(&out, &second, plain.at, plain.len);
	pad();
	new_flow();
	assert_int_equal(datagram(out.at, out.len), PARSE_BAD);
	assert_int_equal(flow.known[1].version, 0);
}

static void test_early_alone(void **state)
{
	static const uint8_t early[] = {0xd0, 0,    0,    0, 1, 8, 0x83, 0x94, 0xc8, 0xf0,
					0x3e, 0x51, 0x57, 8, 0, 4, 1,    2,    3,    4};
	uint8_t handshake[sizeof early];
	memcpy(handshake, early, sizeof early);
	handshake[0] = 0xe0;
	new_flow();
	assert_int_equal(datagram(early, sizeof early), PARSE_MORE);
	assert_null(crypto);
	assert_false(flow.waits);
	assert_int_equal(datagram(handshake, sizeof handshake), PARSE_ABSENT);
}

/* After the server's answer the client has another destination ID, and the keys stay. */
static void test_new_id_same_keys(void **state)
{
	struct seal s = seal_of(0);
	make("example.org", 600);
	new_flow();
	assert_int_equal(part(&s, 0, 300), PARSE_MORE);
	s.dcid = other_id;
	s.dcid_len = sizeof other_id;
	assert_int_equal(part(&s, 300, message.len - 300), PARSE_OK);
	assert_string_equal(hello.host.text, "example.org");
	assert_int_equal(flow.known[0].dcid_len, 8);
}

/* After a Retry the keys come from the new ID, and all is sent again. */
static void test_retry(void **state)
{
	struct seal s = seal_of(0);
	make("example.org", 600);
	new_flow();
	assert_int_equal(part(&s, 300, message.len - 300), PARSE_MORE);
	struct seal k = s;
	k.dcid = k.key_id = other_id;
	k.dcid_len = k.key_id_len = sizeof other_id;
	k.token = "retry token";
	/* while the first's parts are held nothing else begins */
	assert_int_equal(part(&k, 0, 300), PARSE_BAD);
	assert_true(flow.lost);
	assert_int_equal(part(&s, 0, 300), PARSE_OK);
	s = k;
	assert_int_equal(part(&s, 0, 300), PARSE_MORE); /* not joined with what was before */
	assert_int_equal(part(&s, 300, message.len - 300), PARSE_OK);
	assert_string_equal(hello.host.text, "example.org");
}

/* A retry that comes when the hello was told already tells the name again, so that another one is
 * noticed. */
static void test_retry_with_another_hello(void **state)
{
	struct seal s = seal_of(0);
	make("first.example", 0);
	new_flow();
	assert_int_equal(part(&s, 0, message.len), PARSE_OK);
	assert_int_equal(part(&s, 0, message.len), PARSE_MORE); /* nothing new */
	assert_false(flow.waits);
	s.dcid = s.key_id = other_id;
	make("second.example", 0);
	assert_int_equal(part(&s, 0, message.len), PARSE_OK);
	assert_string_equal(hello.host.text, "second.example");
}

/* A version negotiation: the same ID may go on, the keys are others. */
static void test_version_change(void **state)
{
	struct seal s = seal_of(2);
	make("example.org", 600);
	new_flow();
	assert_int_equal(part(&s, 0, message.len), PARSE_OK);
	s.version = &seal_versions[0];
	assert_int_equal(part(&s, 300, message.len - 300), PARSE_MORE);
	assert_int_equal(part(&s, 0, 300), PARSE_OK);
	assert_string_equal(hello.host.text, "example.org");
}

/* A HelloRetryRequest: the second hello lies behind the first in the stream. */
static void test_second_hello(void **state)
{
	struct seal s = seal_of(0);
	make("first.example", 0);
	new_flow();
	assert_int_equal(part(&s, 0, message.len), PARSE_OK);
	size_t first = message.len;
	make("second.example", 600);
	for (int half = 0; half < 2; half++) {
		plain.len = 0;
		size_t from = half ? 300 : 0, len = half ? message.len - 300 : 300;
		put_crypto(&plain, first + from, message.at + from, len);
		assert_int_equal(sealed(&s), half ? PARSE_OK : PARSE_MORE);
	}
	assert_string_equal(hello.host.text, "second.example");
}

/* One behind the first before the server has answered would be read by it alone. */
static void test_second_hello_at_once(void **state)
{
	struct seal s = seal_of(0);
	static struct bytes both;
	make("first.example", 0);
	both.len = 0;
	put(&both, message.at, message.len);
	size_t first = both.len;
	make("second.example", 0);
	put(&both, message.at, message.len);
	const size_t lens[] = {first, first + 1, both.len}; /* a byte of it is enough */
	for (int i = 0; i < 3; i++) {
		plain.len = 0;
		put_crypto(&plain, 0, both.at, lens[i]);
		new_flow();
		assert_int_equal(sealed(&s), i ? PARSE_BAD : PARSE_OK);
	}
}

static void test_conflict(void **state)
{
	struct seal s = seal_of(0);
	make("example.org", 0);
	plain.len = 0;
	put_crypto(&plain, 0, message.at, message.len);
	put_crypto(&plain, 90, "x", 1);
	new_flow();
	assert_int_equal(sealed(&s), PARSE_BAD);
	assert_true(conflict);
	new_flow();
	assert_int_equal(part(&s, 0, 100), PARSE_MORE);
	assert_false(conflict);
	plain.len = 0;
	put_crypto(&plain, 90, "x", 1);
	assert_int_equal(sealed(&s), PARSE_BAD);
	assert_true(conflict);
}

static void expect_frames(enum parse want, const char *frames, size_t len)
{
	struct seal s = seal_of(0);
	plain.len = 0;
	put(&plain, frames, len);
	new_flow();
	assert_int_equal(sealed(&s), want);
}

#define FRAMES(text) text, sizeof(text) - 1

static void test_frames(void **state)
{
	expect_frames(PARSE_MORE, FRAMES("\1\0\0\0"));
	expect_frames(PARSE_MORE, FRAMES("\2\0\0\0\0"));
	expect_frames(PARSE_MORE, FRAMES("\x1c\0\0\3bye"));
	expect_frames(PARSE_BAD, FRAMES("\x1c\0\0\4bye"));
	expect_frames(PARSE_BAD, FRAMES("\2\0\0\x3f\0\0\0\0"));
	expect_frames(PARSE_BAD, FRAMES("\2\0\0\xff\xff\xff\xff\xff\xff\xff\xff"));
	expect_frames(PARSE_BAD, FRAMES("\x08\0\0\0"));     /* STREAM */
	expect_frames(PARSE_BAD, FRAMES("\x1d\0\0\0"));     /* CONNECTION_CLOSE of an application */
	expect_frames(PARSE_BAD, FRAMES("\x40\x06\0\0"));   /* a type in too many bytes */
	expect_frames(PARSE_BAD, FRAMES("\6\0\4\1\0\0"));   /* CRYPTO past the end */
	expect_frames(PARSE_BAD, FRAMES("\6\0\4\2\0\0\0")); /* no ClientHello */
	expect_frames(PARSE_MORE, FRAMES("\6\0\4\1\0\0\x50"));
	expect_frames(PARSE_MORE, FRAMES("\6\0\0\0"));
	/* past what can be joined */
	expect_frames(PARSE_BAD, FRAMES("\6\x80\1\x10\0\1x\0"));
	expect_frames(PARSE_BAD, FRAMES("\6\xff\xff\xff\xff\xff\xff\xff\xff\1x"));
	expect_frames(PARSE_BAD, FRAMES("\6\0\xff\xff\xff\xff\xff\xff\xff\xff"));
}

static void test_too_many_frames(void **state)
{
	struct seal s = seal_of(0);
	make("example.org", 900);
	for (size_t count = 256; count <= 257; count++) {
		plain.len = 0;
		for (size_t i = 0; i + 1 < count; i++)
			put_crypto(&plain, i, message.at + i, 1);
		put_crypto(&plain, count - 1, message.at + count - 1, message.len - count + 1);
		new_flow();
		assert_int_equal(sealed(&s), count == 256 ? PARSE_OK : PARSE_BAD);
	}
}

static void test_numbers_and_tokens(void **state)
{
	make("example.org", 0);
	for (int len = 1; len <= 4; len++) {
		struct seal s = seal_of(0);
		s.number_len = len;
		s.number = 0x7f;
		s.token = len % 2 ? "token" : NULL;
		new_flow();
		assert_int_equal(part(&s, 0, message.len), PARSE_OK);
	}
	struct seal s = seal_of(0);
	s.dcid = s.key_id = other_id;
	for (size_t len = 0; len <= sizeof other_id; len++) {
		s.dcid_len = s.key_id_len = len;
		s.token = NULL;
		new_flow();
		/* RFC 9000 7.2: 8 bytes at least, but for an ID that a Retry gave */
		assert_int_equal(part(&s, 0, message.len), len < 8 ? PARSE_BAD : PARSE_OK);
		s.token = "of a Retry";
		new_flow();
		assert_int_equal(part(&s, 0, message.len), PARSE_OK);
	}
	/* a short one of a high number, RFC 9000 A.3 */
	s = seal_of(0);
	s.number = 0x10000ff;
	plain.len = 0;
	put(&plain, "\1\0\0\0", 4);
	new_flow();
	assert_int_equal(sealed(&s), PARSE_MORE);
	assert_true(flow.opened);
	/* and what a server that had it would read in another number's place */
	struct seal after = s;
	after.number_len = 1;
	after.sent = 0x1000100;
	assert_int_equal(part(&after, 0, message.len), PARSE_OK);
	after.sent = 0x2000100;
	assert_int_equal(part(&after, 0, message.len), PARSE_BAD);
	assert_true(flow.lost);
}

/* A token that no server made, and a packet too short for a sample of its bytes. */
static void test_odd_headers(void **state)
{
	static struct bytes b;
	static const uint8_t head[] = {0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0};
	put(&b, head, sizeof head);
	put_number(&b, 0x4000 | 5000, 2);
	b.len += 5000;
	put_number(&b, 0x4000 | 100, 2);
	b.len += 100;
	new_flow();
	assert_int_equal(datagram(b.at, b.len), PARSE_BAD);
	b.len = 0;
	put(&b, head, sizeof head);
	put_number(&b, 0x0013, 2);
	b.len += 19;
	assert_int_equal(datagram(b.at, b.len), PARSE_BAD);
}

/* What was told is compared with what comes in its place, in whatever pieces. */
static void test_compared(void **state)
{
	struct seal s = seal_of(0);
	make("example.org", 600);
	for (size_t at = 0; at < message.len; at += 37) {
		size_t len = message.len - at < 50 ? message.len - at : 50;
		new_flow();
		assert_int_equal(part(&s, 0, message.len), PARSE_OK);
		assert_int_equal(part(&s, at, len), PARSE_MORE);
		assert_false(flow.waits);
		message.at[at + len - 1] ^= 1;
		assert_int_equal(part(&s, at, len), PARSE_BAD);
		assert_true(conflict);
		message.at[at + len - 1] ^= 1;
	}
}

/* Where it was forgotten, only a repeat of all of it passes. */
static void test_forgotten(void **state)
{
	struct seal s = seal_of(0);
	make("example.org", 600);
	for (int changed = 0; changed < 2; changed++) {
		new_flow();
		assert_int_equal(part(&s, 0, message.len), PARSE_OK);
		struct stream *taken = stream_get(pool);
		assert_non_null(taken);
		assert_null(crypto);
		assert_int_equal(part(&s, 0, 300), PARSE_BAD); /* nowhere to wait for the rest */
		stream_put(pool, taken);
		assert_int_equal(part(&s, 0, 300), PARSE_MORE);
		assert_true(flow.waits);
		message.at[400] ^= (uint8_t)changed;
		assert_int_equal(part(&s, 300, message.len - 300),
				 changed ? PARSE_BAD : PARSE_MORE);
		assert_int_equal(conflict, changed);
		assert_true(changed || !flow.waits);
	}
}

static void test_small_datagram(void **state)
{
	struct seal s = seal_of(0);
	make("example.org", 0);
	plain.len = out.len = 0;
	put_crypto(&plain, 0, message.at, message.len);
	put_initial(&out, &s, plain.at, plain.len);
	pad();
	new_flow();
	assert_int_equal(datagram(out.at, 1199), PARSE_BAD);
	assert_true(flow.lost);
	assert_int_equal(flow.known[0].version, 0);
	assert_int_equal(datagram(out.at, 1200), PARSE_OK);
}

/* RFC 9287: the fixed bit tells nothing. Reserved bits do (RFC 9000 17.2). */
static void test_first_byte(void **state)
{
	struct seal s = seal_of(0);
	make("example.org", 0);
	s.flip = 0x40;
	new_flow();
	assert_int_equal(part(&s, 0, message.len), PARSE_OK);
	assert_true(quic_may_open(cursor_of(out.at, 2)));
	assert_true(quic_may_open(cursor_of("\x16\xfe", 2)));
	assert_true(quic_may_open(cursor_of("\x16\3", 2)));
	assert_true(quic_may_open(cursor_of("\x14\xfe", 2)));
	assert_false(quic_may_open(cursor_of("\x24\xfe", 2)));
	for (s.flip = 4; s.flip <= 8; s.flip *= 2) {
		new_flow();
		assert_int_equal(part(&s, 0, message.len), PARSE_BAD);
		assert_false(flow.lost);
	}
}

/* What stands behind a good Initial never makes it bad (RFC 9000 12.2), be it no packet, or one
 * that nobody can open. Where the server may have other keys than we, it is lost. */
static void test_tail(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} tails[] = {{"\xc8\x13", 2},
		     {"\xc3\0\0\0\1", 5},
		     {"\xc3\0\0\0\1\xff", 6},
		     {"\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9},
		     {"\xe0\0\0\0\1\x08\x83\x94\xc8\xf0\x3e\x51\x57\x08\0\x40\xff", 17},
		     {"\x40\1\2", 3}};
	struct seal s = seal_of(0);
	make("example.org", 0);
	for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
		plain.len = out.len = 0;
		put_crypto(&plain, 0, message.at, message.len);
		while (plain.len < 1200)
			put_number(&plain, 0, 1);
		put_initial(&out, &s, plain.at, plain.len);
		put(&out, tails[i].bytes, tails[i].len);
		new_flow();
		assert_int_equal(datagram(out.at, out.len), PARSE_OK);
		assert_string_equal(hello.host.text, "example.org");
	}
	size_t one = out.len;
	put_initial(&out, &s, plain.at, plain.len);
	out.at[one + 600] ^= 1;
	new_flow();
	assert_int_equal(datagram(out.at, out.len), PARSE_OK);
	s.dcid = other_id;
	out.len = 0;
	put_initial(&out, &s, plain.at, plain.len);
	put_initial(&out, &s, plain.at, plain.len);
	out.at[1300] ^= 1;
	assert_int_equal(datagram(out.at, out.len), PARSE_BAD);
	assert_false(flow.lost);
}

/* draft-ietf-scone-protocol: advice stands before a datagram's packets. */
static void test_scone(void **state)
{
	struct seal s = seal_of(0);
	make("example.org", 0);
	plain.len = out.len = 0;
	put(&out, "\xff\x6f\x7d\xc0\xfd\4IDID\2ID", 13);
	put_crypto(&plain, 0, message.at, message.len);
	put_initial(&out, &s, plain.at, plain.len);
	pad();
	new_flow();
	assert_int_equal(datagram(out.at, out.len), PARSE_OK);
	out.at[5] = 255; /* past its end */
	out.len = 100;
	pad();
	memset(out.at + 6, 0xff, out.len - 6);
	new_flow();
	assert_int_equal(datagram(out.at, out.len), PARSE_BAD);
}

/* A flow's fifth connection has to wait until no server waits for a hello of the first. */
static void test_many_connections(void **state)
{
	uint8_t id[8] = "another";
	struct seal s = seal_of(0);
	make("example.org", 0);
	new_flow();
	flow.now = 100;
	s.dcid = s.key_id = id;
	for (id[7] = 0; id[7] < QUIC_CONNECTIONS; id[7]++)
		assert_int_equal(part(&s, 0, message.len), PARSE_OK);
	assert_int_equal(part(&s, 0, message.len), PARSE_BAD);
	assert_true(flow.lost);
	flow.now += 29;
	assert_int_equal(part(&s, 0, message.len), PARSE_BAD);
	flow.now++;
	assert_int_equal(part(&s, 0, message.len), PARSE_OK);
	/* the first of them is not known any more: begun anew, and told again */
	id[7] = 1;
	assert_int_equal(part(&s, 0, message.len), PARSE_MORE);
	assert_false(flow.waits);
}

/* Datagrams that the kernel has joined: each is one. */
static void test_joined(void **state)
{
	static struct bytes all;
	struct seal s = seal_of(0);
	uint8_t id[8] = "several";
	all.len = 0;
	s.dcid = s.key_id = id;
	new_flow();
	for (id[7] = 0; id[7] < 3; id[7]++) {
		make("example.org", 0);
		plain.len = out.len = 0;
		put_crypto(&plain, 0, message.at, message.len);
		put_initial(&out, &s, plain.at, plain.len);
		pad();
		put(&all, out.at, out.len);
		put(&all, "\0\1\2", 3);
	}
	struct cursor rest = cursor_of(all.at, all.len), one;
	for (int i = 0; i < 3; i++) {
		assert_true(quic_next_datagram(quic, &flow, &rest, &one));
		assert_int_equal(cursor_left(&one), 1203);
		assert_int_equal(datagram(one.pos, cursor_left(&one)), PARSE_OK);
	}
	assert_int_equal(cursor_left(&rest), 0);
	/* one that is small, and one in the place that the first's own packets reach */
	all.len = 0;
	put(&all, out.at, 1200);
	put_initial(&all, &s, plain.at, plain.len);
	rest = cursor_of(all.at, all.len);
	assert_true(quic_next_datagram(quic, &flow, &rest, &one));
	assert_int_equal(cursor_left(&one), 1200);
	plain.len = 0;
	while (plain.len < 1200)
		put_number(&plain, 1, 1);
	all.len = 0;
	put_initial(&all, &s, plain.at, plain.len);
	put_initial(&all, &s, plain.at, plain.len);
	rest = cursor_of(all.at, all.len);
	assert_true(quic_next_datagram(quic, &flow, &rest, &one));
	assert_int_equal(cursor_left(&one), all.len);
	/* too much that looks like one */
	out.len = 1200;
	for (int i = 0; i < 16; i++)
		put(&out, "\xc3\0\0\0\1\x08IDIDIDID\0\0\x14twenty bytes of nothing", 38);
	out.len += 1200;
	rest = cursor_of(out.at, out.len);
	assert_false(quic_next_datagram(quic, &flow, &rest, &one));
	out.at[1201] = 9;
	assert_true(quic_next_datagram(quic, &flow, &rest, &one));
	assert_int_equal(cursor_left(&one), out.len);
}

static void test_pool_empty(void **state)
{
	struct seal s = seal_of(0);
	make("example.org", 600);
	new_flow();
	struct stream *taken = stream_get(pool);
	assert_non_null(taken);
	assert_int_equal(part(&s, 0, 300), PARSE_MORE);
	assert_null(crypto);
	assert_int_equal(part(&s, 0, message.len), PARSE_OK);
	stream_put(pool, taken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real),
		cmocka_unit_test(test_authentic),
		cmocka_unit_test(test_cut_short),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_unknown_version),
		cmocka_unit_test(test_two_datagrams),
		cmocka_unit_test(test_shuffled_frames),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_coalesced),
		cmocka_unit_test(test_early_alone),
		cmocka_unit_test(test_new_id_same_keys),
		cmocka_unit_test(test_retry),
		cmocka_unit_test(test_retry_with_another_hello),
		cmocka_unit_test(test_version_change),
		cmocka_unit_test(test_second_hello),
		cmocka_unit_test(test_second_hello_at_once),
		cmocka_unit_test(test_conflict),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_too_many_frames),
		cmocka_unit_test(test_numbers_and_tokens),
		cmocka_unit_test(test_odd_headers),
		cmocka_unit_test(test_pool_empty),
		cmocka_unit_test(test_compared),
		cmocka_unit_test(test_forgotten),
		cmocka_unit_test(test_small_datagram),
		cmocka_unit_test(test_first_byte),
		cmocka_unit_test(test_tail),
		cmocka_unit_test(test_scone),
		cmocka_unit_test(test_many_connections),
		cmocka_unit_test(test_joined),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
