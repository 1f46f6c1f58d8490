#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "packet/packet.h"
#include "source/reply.h"

static struct address parsed(const char *text)
{
	struct address a;
	assert_true(address_parse(text, &a));
	return a;
}

/* Expected bytes come from a separate implementation of the checksums (RFC 1071, RFC 8200 8.1). */
static void reset_over_ip4(void **state)
{
	static const uint8_t want[40] = {
		0x45, 0x00, 0x00, 0x28, 0x00, 0x00, 0x40, 0x00, 0x40, 0x06, 0xf3, 0x77, 0x0a, 0x4d,
		0x01, 0x02, 0xcb, 0x00, 0x71, 0x09, 0x9c, 0x41, 0x01, 0xbb, 0xff, 0xff, 0xff, 0xf0,
		0x00, 0x00, 0x00, 0x00, 0x50, 0x04, 0x00, 0x00, 0xca, 0x9a, 0x00, 0x00};
	uint8_t out[REPLY_MAX];
	struct reply_segment s = {.from = parsed("10.77.1.2"),
				  .to = parsed("203.0.113.9"),
				  .from_port = 40001,
				  .to_port = 443,
				  .seq = 0xfffffff0,
				  .flags = TCP_RST};
	assert_int_equal(reply_build(&s, out), sizeof want);
	assert_memory_equal(out, want, sizeof want);
}

static void ack_over_ip6(void **state)
{
	static const uint8_t want[60] = {
		0x60, 0x00, 0x00, 0x00, 0x00, 0x14, 0x06, 0x40, 0xfd, 0x77, 0x00, 0x01,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02,
		0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x09, 0x9c, 0x41, 0x01, 0xbb, 0x01, 0x02, 0x03, 0x04,
		0xa0, 0xb0, 0xc0, 0xd0, 0x50, 0x10, 0x04, 0x00, 0x7d, 0x14, 0x00, 0x00};
	uint8_t out[REPLY_MAX];
	struct reply_segment s = {.from = parsed("fd77:1::2"),
				  .to = parsed("2001:db8::9"),
				  .from_port = 40001,
				  .to_port = 443,
				  .seq = 0x01020304,
				  .ack = 0xa0b0c0d0,
				  .flags = TCP_ACK,
				  .window = 1024};
	assert_int_equal(reply_build(&s, out), sizeof want);
	assert_memory_equal(out, want, sizeof want);
}

/* A receiver's check: over a right header the ones' complement sum is all ones. */
static uint16_t sum(const uint8_t *bytes, size_t len)
{
	uint32_t s = 0;
	for (size_t i = 0; i < len; i += 2)
		s += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

static void checksum_carries_at_the_edge(void **state)
{
	uint8_t out[REPLY_MAX], whole[32];
	struct reply_segment s = {.from = parsed("255.255.255.255"),
				  .to = parsed("255.255.255.254"),
				  .from_port = 0xffff,
				  .to_port = 0xffff,
				  .ack = 0xffffffff,
				  .flags = TCP_ACK,
				  .window = 0xffff};
	for (uint32_t seq = 0; seq < 0x20000; seq += 7) {
		s.seq = seq << 15 | seq;
		assert_int_equal(reply_build(&s, out), 40);
		assert_int_equal(sum(out, 20), 0xffff);
		memcpy(whole, out + 12, 8);
		memcpy(whole + 8, (uint8_t[]){0, 6, 0, 20}, 4);
		memcpy(whole + 12, out + 20, 20);
		assert_int_equal(sum(whole, sizeof whole), 0xffff);
	}
}

static void closed_sockets_send_nothing(void **state)
{
	struct flow_key key = {.client = parsed("192.0.2.1"), .server = parsed("192.0.2.2")};
	reply_reset_server(-1, -1, &key, 1);
	reply_probe(-1, -1, &key, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reset_over_ip4),
		cmocka_unit_test(ack_over_ip6),
		cmocka_unit_test(checksum_carries_at_the_edge),
		cmocka_unit_test(closed_sockets_send_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
