#include "name/naming.h"
#include "seal.h"
#include "unit.h"
#include <netinet/in.h>

static struct namer namer;
static struct naming_flow flow;
static struct naming naming;
static struct bytes message, plain, out;

static const uint8_t client_id[] = {1, 2, 3, 4, 5, 6, 7, 8}, retry_id[] = {8, 7, 6, 5, 4, 3, 2, 1};

static int setup(void **state)
{
	namer = (struct namer){.quic = quic_new(),
			       .streams = stream_pool_new(1),
			       .shares = shares_new(1, 1),
			       .seen = seen_new(16, 0, false),
			       .hosts = unique_new(2, sizeof(struct host)),
			       .quics = pool_new(1, sizeof(struct quic_flow))};
	return !namer.quic || !namer.streams || !namer.shares || !namer.seen || !namer.hosts ||
	       !namer.quics;
}

static int teardown(void **state)
{
	quic_free(namer.quic);
	stream_pool_free(namer.streams);
	shares_free(namer.shares);
	seen_free(namer.seen);
	unique_free(namer.hosts);
	pool_free(namer.quics);
	return 0;
}

static struct packet udp(const void *bytes, size_t len)
{
	return (struct packet){.transport = IPPROTO_UDP, .payload = cursor_of(bytes, len)};
}

/* A hello for this host (NULL: without a name) in one Initial, or its part from..to; key: the ID
 * that its keys come from. */
static struct packet initial_of(const char *host, const uint8_t *key, const uint8_t *id,
				size_t from, size_t to)
{
	static struct bytes extensions;
	struct seal s = {&seal_versions[0], key, 8, id, 8, NULL, 1, 4, false, 0, 0};
	extensions.len = message.len = plain.len = out.len = 0;
	if (host)
		put_usual(&extensions, host);
	put_hello(&message, &extensions);
	put_crypto(&plain, from, message.at + from, (to < message.len ? to : message.len) - from);
	put_initial(&out, &s, plain.at, plain.len);
	while (out.len < QUIC_DATAGRAM_MIN)
		put_number(&out, 0, 1);
	return udp(out.at, out.len);
}

static struct packet initial(const char *host, const uint8_t *id, size_t from, size_t to)
{
	return initial_of(host, id, id, from, to);
}

/* A flow that its first hello made allowed, as the worker does it. */
static void begin(const char *host)
{
	struct packet p = initial(host, client_id, 0, 9999);
	naming_end(&namer, &flow);
	memset(&flow, 0, sizeof flow);
	flow.entry.key.transport = IPPROTO_UDP;
	naming_first(&namer, &flow, &p, &naming);
	assert_int_equal(naming.parse, PARSE_OK);
	naming_weigh(&namer, &flow, &naming, 1);
	naming_follow(&namer, &flow, &naming, &p, false);
	assert_false(flow.live);
	assert_true(naming_follows(&flow, &p));
}

static void expect(struct packet p, enum parse parse, bool may_pass, enum reason broken)
{
	assert_true(naming_follows(&flow, &p));
	naming_later(&namer, &flow, &p, &naming);
	assert_int_equal(naming.parse, parse);
	assert_int_equal(naming.broken, broken);
	if (parse == PARSE_MORE && naming.word != NAMING_LOSE)
		assert_int_equal(naming.word, may_pass ? NAMING_PASS_ALL : NAMING_HOLD);
}

static void test_repeat(void **state)
{
	begin("a.example");
	expect(initial("a.example", client_id, 0, 9999), PARSE_MORE, true, REASON_COUNT);
	struct packet handshake = initial("a.example", client_id, 0, 9999),
		      data = udp("\x40short", 6);
	out.at[0] |= 0x20;
	expect(handshake, PARSE_MORE, true, REASON_COUNT);
	expect(data, PARSE_MORE, true, REASON_COUNT);
}

static void test_retry_same(void **state)
{
	begin("a.example");
	expect(initial("a.example", retry_id, 0, 60), PARSE_MORE, false, REASON_COUNT);
	expect(initial("a.example", retry_id, 60, 9999), PARSE_MORE, true, REASON_COUNT);
	begin(NULL);
	expect(initial(NULL, retry_id, 0, 9999), PARSE_MORE, true, REASON_COUNT);
}

/* Another connection on the same ports: its name is there to be judged. */
static void test_another_connection(void **state)
{
	begin("a.example");
	expect(initial("b.example", retry_id, 0, 60), PARSE_MORE, false, REASON_COUNT);
	expect(initial("b.example", retry_id, 60, 9999), PARSE_OK, false, REASON_COUNT);
	assert_string_equal(naming.hello.host.text, "b.example");
	begin("a.example");
	expect(initial(NULL, retry_id, 0, 9999), PARSE_OK, false, REASON_COUNT);
	begin(NULL);
	expect(initial("b.example", retry_id, 0, 9999), PARSE_OK, false, REASON_COUNT);
}

/* The first connection's second hello, after a HelloRetryRequest. */
static struct packet second_hello(const char *host, size_t to)
{
	size_t first = message.len;
	struct seal s = {&seal_versions[0], client_id, 8, client_id, 8, NULL, 2, 4, false, 0, 0};
	initial(host, client_id, 0, 9999);
	plain.len = out.len = 0;
	put_crypto(&plain, first, message.at, to < message.len ? to : message.len);
	put_initial(&out, &s, plain.at, plain.len);
	while (out.len < QUIC_DATAGRAM_MIN)
		put_number(&out, 0, 1);
	return udp(out.at, out.len);
}

static void test_retry_hello(void **state)
{
	begin("a.example");
	expect(second_hello("a.example", 9999), PARSE_MORE, true, REASON_COUNT);
	begin("a.example");
	expect(second_hello("b.example", 9999), PARSE_OK, false, REASON_HELLO_CHANGED);
}

static void test_unreadable(void **state)
{
	begin("a.example");
	struct packet p = initial("a.example", retry_id, 0, 9999);
	out.at[100] ^= 1;
	expect(p, PARSE_MORE, true, REASON_COUNT);
	assert_int_equal(naming.word, NAMING_LOSE);
	out.at[100] ^= 1;
	out.at[4] = 9; /* a version that the server may know, and we don't */
	while (out.len < 1200)
		put_number(&out, 0, 1);
	p = udp(out.at, out.len);
	expect(p, PARSE_BAD, false, REASON_QUIC_UNREADABLE);
	flow.evidence = EVIDENCE_ADDRESS; /* allowed by it, and perhaps never QUIC */
	expect(p, PARSE_MORE, true, REASON_COUNT);
}

/* What no key of ours opens, a server may. */
static void test_lost(void **state)
{
	static const uint8_t third_id[] = {9, 9, 9, 9, 9, 9, 9, 9};
	begin("a.example");
	expect(initial("a.example", retry_id, 0, 9999), PARSE_MORE, true, REASON_COUNT);
	assert_int_not_equal(naming.word, NAMING_LOSE);
	expect(initial("a.example", third_id, 0, 9999), PARSE_MORE, true, REASON_COUNT);
	assert_int_not_equal(naming.word, NAMING_LOSE);
	struct packet p = initial("a.example", client_id, 0, 9999);
	out.at[100] ^= 1;
	expect(p, PARSE_MORE, true, REASON_COUNT);
	assert_int_equal(naming.word, NAMING_LOSE);
}

/* No stream is left to join the second hello in: it does not pass unread. */
static void test_pool_empty(void **state)
{
	begin("a.example");
	struct stream *taken = stream_get(namer.streams);
	expect(second_hello("a.example", 60), PARSE_BAD, false, REASON_QUIC_UNREADABLE);
	stream_put(namer.streams, taken);
}

/* Fragments and hellos of DTLS beside QUIC: the flow stays live, and each is judged. */
static struct packet dtls(const char *host)
{
	static struct bytes extensions, body;
	extensions.len = body.len = out.len = 0;
	put_usual(&extensions, host);
	put_hello_body(&body, 0xfefd, &extensions);
	put(&out, "\x16\xfe\xff\0\0\0\0\0\0\0\0", 11);
	put_number(&out, body.len + 12, 2);
	put_number(&out, 1, 1);
	put_number(&out, body.len, 3);
	put_number(&out, 0, 5);
	put_number(&out, body.len, 3);
	put(&out, body.at, body.len);
	return udp(out.at, out.len);
}

static void test_dtls(void **state)
{
	begin("a.example");
	expect(dtls("a.example"), PARSE_MORE, true, REASON_COUNT);
	assert_true(flow.live);
	expect(udp("\x14\xfe\xfd", 3), PARSE_MORE, true, REASON_COUNT);
	expect(initial("a.example", client_id, 0, 9999), PARSE_MORE, true, REASON_COUNT);
	expect(udp("", 1), PARSE_MORE, true, REASON_COUNT);
	assert_true(flow.live);
	expect(dtls("b.example"), PARSE_OK, false, REASON_HELLO_CHANGED);
	/* a flow that was allowed without a name: now it has one to judge */
	begin(NULL);
	expect(dtls("b.example"), PARSE_OK, false, REASON_COUNT);
	assert_string_equal(naming.hello.host.text, "b.example");
}

/* Several datagrams in one packet: each is judged, whatever stands in the first. */
static void test_joined(void **state)
{
	static struct bytes all;
	static const uint8_t third_id[] = {9, 9, 9, 9, 9, 9, 9, 9};
	for (int data = 0; data < 2; data++) {
		begin("a.example");
		initial("a.example", retry_id, 0, 9999);
		all.len = 0;
		put(&all, out.at, out.len);
		all.at[0] ^= (uint8_t)(data << 7);
		initial("b.example", third_id, 0, 9999);
		put(&all, out.at, out.len);
		put(&all, "tail", 4);
		expect(udp(all.at, all.len), PARSE_OK, false, REASON_COUNT);
		assert_string_equal(naming.hello.host.text, "b.example");
		assert_false(flow.live);
		naming_later(&namer, &flow, NULL, &naming);
		assert_int_equal(naming.parse, PARSE_MORE);
		assert_int_equal(naming.word, NAMING_PASS_ALL);
	}
	/* of a new flow: the first is told, the other waits */
	naming_end(&namer, &flow);
	memset(&flow, 0, sizeof flow);
	flow.entry.key.transport = IPPROTO_UDP;
	initial("a.example", retry_id, 0, 9999);
	all.len = 0;
	put(&all, out.at, out.len);
	initial("b.example", third_id, 0, 9999);
	put(&all, out.at, out.len);
	struct packet p = udp(all.at, all.len);
	naming_first(&namer, &flow, &p, &naming);
	assert_int_equal(naming.parse, PARSE_OK);
	naming_weigh(&namer, &flow, &naming, 1);
	naming_follow(&namer, &flow, &naming, &p, false);
	assert_true(flow.live);
	naming_later(&namer, &flow, NULL, &naming);
	assert_int_equal(naming.parse, PARSE_OK);
	assert_string_equal(naming.hello.host.text, "b.example");
}

/* The second says other bytes in the first one's place, under keys that only the first tells. */
static void test_joined_under_the_first_ones_keys(void **state)
{
	static struct bytes all;
	struct packet p;
	naming_end(&namer, &flow);
	memset(&flow, 0, sizeof flow);
	flow.entry.key.transport = IPPROTO_UDP;
	initial("a.example", client_id, 0, 9999);
	all.len = 0;
	put(&all, out.at, out.len);
	initial_of("b.example", client_id, retry_id, 0, 9999);
	put(&all, out.at, out.len);
	p = udp(all.at, all.len);
	naming_first(&namer, &flow, &p, &naming);
	assert_int_equal(naming.parse, PARSE_OK);
	naming_weigh(&namer, &flow, &naming, 1);
	naming_follow(&namer, &flow, &naming, &p, false);
	assert_true(flow.live);
	naming_later(&namer, &flow, NULL, &naming);
	assert_int_equal(naming.parse, PARSE_BAD);
	assert_int_equal(naming.broken, REASON_OVERLAP_CONFLICT);
}

/* A segment of a heard flow at an offset from its start. */
static enum kept_check segment(uint64_t offset, size_t len)
{
	static uint8_t data[65000];
	struct packet p = {.transport = IPPROTO_TCP,
			   .seq = flow.isn + (uint32_t)offset,
			   .payload = cursor_of(data, len)};
	enum kept_check check = naming_compare(&namer, &flow, &p);
	if (check == KEPT_SAME)
		naming_passed(&flow, &p);
	return check;
}

static void begin_tcp(void)
{
	naming_end(&namer, &flow);
	flow = (struct naming_flow){.entry.key.transport = IPPROTO_TCP,
				    .isn = 4000000000,
				    .syn_seen = true,
				    .heard = true};
	flow.next = flow.unsent = flow.sent = flow.kept.end = 100;
}

/* An upload whose numbers wrap goes on, with losses; numbers far ahead of what was sent do not make
 * the place of judged bytes one that comes later. */
static void test_numbers(void **state)
{
	namer.kept = kept_new(1);
	assert_non_null(namer.kept);
	begin_tcp();
	for (uint64_t at = 100, n = 0; at < UINT64_C(9) << 30; at += 65000, n++) {
		if (n % 100 == 7) { /* lost before it came here, and sent again */
			assert_int_equal(segment(at + 65000, 65000), KEPT_SAME);
			assert_int_equal(segment(at, 65000), KEPT_SAME);
		}
		assert_int_equal(segment(at, 65000), KEPT_SAME);
	}
	for (unsigned shift = 24; shift < 32; shift++) {
		begin_tcp();
		for (uint64_t at = UINT64_C(1) << shift; at < UINT64_C(1) << 32;
		     at += UINT64_C(1) << shift)
			segment(at, 100);
		assert_int_equal(segment(0, 100), KEPT_GONE);
		assert_int_equal(segment(50, 100), KEPT_GONE);
	}
	kept_free(namer.kept);
	namer.kept = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_repeat),
		cmocka_unit_test(test_retry_same),
		cmocka_unit_test(test_another_connection),
		cmocka_unit_test(test_retry_hello),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_pool_empty),
		cmocka_unit_test(test_dtls),
		cmocka_unit_test(test_joined),
		cmocka_unit_test(test_joined_under_the_first_ones_keys),
		cmocka_unit_test(test_numbers),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
