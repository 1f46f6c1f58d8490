#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "packet/packet.h"
#include "source/reply.h"

#include <stdio.h>
#include <string.h>

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

static void data_is_summed_too(void **state)
{
	uint8_t out[REPLY_MAX], whole[64] = {0};
	static const char data[] = "longer than the headers of IPv6";
	struct reply_segment s = {.from = parsed("198.51.100.10"),
				  .to = parsed("10.77.1.2"),
				  .from_port = 80,
				  .to_port = 40001,
				  .flags = TCP_ACK | TCP_FIN,
				  .data = data};
	for (s.len = 0; s.len < sizeof data; s.len++) {
		struct packet p;
		memset(out, 0xee, sizeof out);
		assert_int_equal(reply_build(&s, out), 40 + s.len);
		assert_int_equal(packet_parse(out, 40 + s.len, &p), PACKET_OK);
		assert_int_equal(cursor_left(&p.payload), s.len);
		assert_memory_equal(p.payload.pos, data, s.len);
		assert_int_equal(sum(out, 20), 0xffff);
		memset(whole, 0, sizeof whole);
		memcpy(whole, out + 12, 8);
		memcpy(whole + 8, (uint8_t[]){0, 6, 0, (uint8_t)(20 + s.len)}, 4);
		memcpy(whole + 12, out + 20, 20 + s.len);
		assert_int_equal(sum(whole, sizeof whole), 0xffff);
	}
}

static void a_request_is_sent_to_the_page_about_its_site(void **state)
{
	char page[REPLY_DATA_MAX], longest[HOST_MAX + 1];
	struct endpoint portal = {.address = parsed("10.0.0.1"), .port = 80};
	struct reply_redirect r = {.portal = &portal, .to = "www.denied.example", .follows = true};
	size_t len = reply_page(&r, page);
	assert_int_equal(len, strlen(page));
	assert_string_equal(page, "HTTP/1.1 302 Found\r\n"
				  "Location: http://10.0.0.1/blocked?to=www.denied.example\r\n"
				  "Cache-Control: no-store\r\nConnection: close\r\n"
				  "Content-Length: 0\r\n\r\n");
	portal = (struct endpoint){.address = parsed("fd00:1111:2222:3333:4444:5555:6666:7777"),
				   .port = 65535};
	memset(longest, 'a', HOST_MAX);
	longest[HOST_MAX] = '\0';
	r.to = longest;
	r.follows = false;
	len = reply_page(&r, page);
	assert_int_equal(len, strlen(page));
	assert_non_null(strstr(page, "HTTP/1.1 511 "));
	assert_non_null(strstr(page, "\"http://[fd00:1111:2222:3333:4444:5555:6666:7777]:65535/"));
	const char *body = strstr(page, "\r\n\r\n") + 4;
	char want[40];
	snprintf(want, sizeof want, "Content-Length: %zu\r\n", strlen(body));
	assert_non_null(strstr(page, want));
	assert_string_equal(body + strlen(body) - 8, "</html>\n");
}

/* One hop less, both checksums as a receiver wants them; none where its sender made none. */
static void a_datagram_goes_on_by_one_hop(void **state)
{
	uint8_t four[33] = {0x45, 0,    0,  33, 0,    1,    0x40, 0,   64,  17,   0xde,
			    0xad, 10,   77, 1,  2,    198,  51,   100, 10,  0x9c, 0x41,
			    1,    0xbb, 0,  13, 0xbe, 0xef, 'h',  'e', 'l', 'l',  'o'};
	uint8_t six[53] = {0x60, 0, 0, 0, 0, 13, 17, 9};
	struct packet p;
	assert_int_equal(packet_parse(four, sizeof four, &p), PACKET_OK);
	reply_hop(four, &p);
	assert_int_equal(four[8], 63);
	assert_int_equal(sum(four, 20), 0xffff);
	uint8_t whole[54] = {0};
	memcpy(whole, four + 12, 8);
	memcpy(whole + 8, (uint8_t[]){0, 17, 0, 13}, 4);
	memcpy(whole + 12, four + 20, 13);
	assert_int_equal(sum(whole, 26), 0xffff);
	four[26] = four[27] = 0;
	reply_hop(four, &p);
	assert_int_equal(four[26] | four[27], 0);
	assert_int_equal(four[8], 62);
	assert_int_equal(sum(four, 20), 0xffff);
	for (int i = 8; i < 40; i++)
		six[i] = (uint8_t)(i * 37);
	memcpy(six + 40, four + 20, 13);
	assert_int_equal(packet_parse(six, sizeof six, &p), PACKET_OK);
	reply_hop(six, &p);
	assert_int_equal(six[7], 8);
	assert_true(six[46] | six[47]);
	memset(whole, 0, sizeof whole);
	memcpy(whole, six + 8, 32);
	memcpy(whole + 32, (uint8_t[]){0, 17, 0, 13}, 4);
	memcpy(whole + 36, six + 40, 13);
	assert_int_equal(sum(whole, 50), 0xffff);
	assert_false(reply_forward(-1, -1, six, sizeof six));
	assert_false(reply_forward(-1, -1, six, 39));
}

static void closed_sockets_send_nothing(void **state)
{
	struct flow_key key = {.client = parsed("192.0.2.1"), .server = parsed("192.0.2.2")};
	reply_reset_server(-1, -1, &key, 1);
	reply_probe(-1, -1, &key, 1);
	struct endpoint portal = {.address = key.client, .port = 80};
	reply_redirect(-1, -1, &(struct reply_redirect){&key, 1, 2, true, &portal, "a"});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reset_over_ip4),
		cmocka_unit_test(ack_over_ip6),
		cmocka_unit_test(checksum_carries_at_the_edge),
		cmocka_unit_test(data_is_summed_too),
		cmocka_unit_test(a_request_is_sent_to_the_page_about_its_site),
		cmocka_unit_test(a_datagram_goes_on_by_one_hop),
		cmocka_unit_test(closed_sockets_send_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
