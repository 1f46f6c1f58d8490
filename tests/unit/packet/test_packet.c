#include "packet/packet.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* A packet under construction. */
struct made {
	uint8_t bytes[2048];
	size_t len;
};

static void put(struct made *m, const void *bytes, size_t len)
{
	assert_true(m->len + len <= sizeof m->bytes);
	memcpy(m->bytes + m->len, bytes, len);
	m->len += len;
}
#define PUT(m, ...) put(m, (uint8_t[]){__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__}))

/* The lengths that the headers claim are set last, from what there is. */
static void finish4(struct made *m)
{
	m->bytes[2] = (uint8_t)(m->len >> 8);
	m->bytes[3] = (uint8_t)m->len;
}

static void finish6(struct made *m)
{
	m->bytes[4] = (uint8_t)((m->len - 40) >> 8);
	m->bytes[5] = (uint8_t)(m->len - 40);
}

static void ip4(struct made *m, uint8_t protocol)
{
	m->len = 0;
	PUT(m, 0x45, 0, 0, 0, 0x12, 0x34, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 192, 0, 2, 7);
}

static void ip6(struct made *m, uint8_t next)
{
	m->len = 0;
	PUT(m, 0x60, 0, 0, 0, 0, 0, next, 64);
	PUT(m, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
	PUT(m, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2);
}

static void tcp(struct made *m)
{
	PUT(m, 0xc0, 0x01, 0x01, 0xbb, 1, 2, 3, 4, 5, 6, 7, 8, 0x60, TCP_ACK | TCP_PSH, 0, 0, 0, 0,
	    0, 0);
	PUT(m, 2, 4, 5, 0xb4);
}

static void udp(struct made *m, uint8_t len)
{
	PUT(m, 0xc0, 0x01, 0, 53, 0, len, 0, 0);
}

static enum packet_parse parse(const struct made *m, struct packet *p)
{
	return packet_parse(m->bytes, m->len, p);
}

static void assert_address(const struct address *a, const char *text)
{
	char out[ADDRESS_TEXT];
	assert_string_equal(address_format(a, out), text);
}

static void tcp_over_ip4(void **state)
{
	struct made m;
	struct packet p;
	ip4(&m, IPPROTO_TCP);
	tcp(&m);
	put(&m, "hello", 5);
	finish4(&m);
	put(&m, "padding", 7);
	assert_int_equal(parse(&m, &p), PACKET_OK);
	assert_address(&p.src, "10.0.0.1");
	assert_address(&p.dst, "192.0.2.7");
	assert_int_equal(p.src_port, 0xc001);
	assert_int_equal(p.dst_port, 443);
	assert_int_equal(p.seq, 0x01020304);
	assert_int_equal(p.ack, 0x05060708);
	assert_int_equal(p.tcp_flags, TCP_ACK | TCP_PSH);
	assert_int_equal(p.ip_header_len, 20);
	assert_int_equal(p.ip_len, 49);
	assert_int_equal(cursor_left(&p.payload), 5);
	assert_memory_equal(p.payload.pos, "hello", 5);
}

static void every_shorter_packet_is_malformed(void **state)
{
	struct made m;
	struct packet p;
	ip4(&m, IPPROTO_TCP);
	tcp(&m);
	put(&m, "hello", 5);
	finish4(&m);
	for (size_t len = 0; len < m.len; len++)
		assert_int_equal(packet_parse(m.bytes, len, &p), PACKET_MALFORMED);
	ip6(&m, IPPROTO_UDP);
	udp(&m, 13);
	put(&m, "hello", 5);
	finish6(&m);
	for (size_t len = 0; len < m.len; len++)
		assert_int_equal(packet_parse(m.bytes, len, &p), PACKET_MALFORMED);
	assert_int_equal(parse(&m, &p), PACKET_OK);
}

static void cut_packet_has_what_is_there(void **state)
{
	struct made m;
	struct packet p;
	ip4(&m, IPPROTO_TCP);
	tcp(&m);
	put(&m, "hello", 5);
	finish4(&m);
	assert_int_equal(packet_parse_cut(m.bytes, m.len - 2, &p), PACKET_OK);
	assert_int_equal(cursor_left(&p.payload), 3);
	assert_int_equal(p.ip_len, 49);
	assert_int_equal(packet_parse_cut(m.bytes, 42, &p), PACKET_OK); /* within TCP options */
	assert_int_equal(cursor_left(&p.payload), 0);
	assert_false(p.payload.bad);
	assert_int_equal(packet_parse_cut(m.bytes, 39, &p), PACKET_MALFORMED);
	assert_int_equal(packet_parse_cut(m.bytes, 19, &p), PACKET_MALFORMED);
	ip4(&m, IPPROTO_UDP); /* its IP length is there, so its UDP length must be too */
	udp(&m, 9);
	finish4(&m);
	assert_int_equal(packet_parse_cut(m.bytes, m.len, &p), PACKET_MALFORMED);
	m.bytes[3]++;
	assert_int_equal(packet_parse_cut(m.bytes, m.len, &p), PACKET_OK);
}

static void quoted_packet_has_ports(void **state)
{
	struct made m;
	struct packet p;
	ip4(&m, IPPROTO_TCP);
	tcp(&m);
	finish4(&m);
	assert_int_equal(packet_parse_quoted(m.bytes, 28, &p), PACKET_OK);
	assert_address(&p.dst, "192.0.2.7");
	assert_int_equal(p.src_port, 0xc001);
	assert_int_equal(p.dst_port, 443);
	assert_int_equal(packet_parse_quoted(m.bytes, 23, &p), PACKET_MALFORMED);
	assert_int_equal(packet_parse_quoted(m.bytes, 19, &p), PACKET_MALFORMED);
	m.bytes[9] = IPPROTO_ICMP;
	assert_int_equal(packet_parse_quoted(m.bytes, 23, &p), PACKET_OK);
}

static void ip4_options_are_skipped(void **state)
{
	struct made m;
	struct packet p;
	ip4(&m, IPPROTO_UDP);
	m.bytes[0] = 0x47;
	PUT(&m, 1, 1, 1, 1, 1, 1, 1, 0);
	udp(&m, 10);
	put(&m, "ab", 2);
	finish4(&m);
	assert_int_equal(parse(&m, &p), PACKET_OK);
	assert_int_equal(p.ip_header_len, 28);
	assert_int_equal(p.dst_port, 53);
	assert_int_equal(cursor_left(&p.payload), 2);
}

static void bad_ip4_headers(void **state)
{
	struct made m;
	struct packet p;
	ip4(&m, IPPROTO_UDP);
	udp(&m, 8);
	finish4(&m);
	assert_int_equal(parse(&m, &p), PACKET_OK);
	m.bytes[0] = 0x44;
	assert_int_equal(parse(&m, &p), PACKET_MALFORMED);
	m.bytes[0] = 0x4f; /* options past the end */
	assert_int_equal(parse(&m, &p), PACKET_MALFORMED);
	m.bytes[0] = 0x55;
	assert_int_equal(parse(&m, &p), PACKET_MALFORMED);
	m.bytes[0] = 0x45;
	m.bytes[3] = 19; /* shorter than its header */
	assert_int_equal(parse(&m, &p), PACKET_MALFORMED);
	m.bytes[3] = 0; /* offloaded: all the bytes */
	assert_int_equal(parse(&m, &p), PACKET_OK);
	assert_int_equal(p.ip_len, 28);
	m.bytes[3] = 29;
	assert_int_equal(parse(&m, &p), PACKET_MALFORMED);
	assert_address(&p.src, "10.0.0.1");
	assert_address(&p.dst, "192.0.2.7");
}

static void udp_length_bounds_the_payload(void **state)
{
	struct made m;
	struct packet p;
	ip4(&m, IPPROTO_UDP);
	udp(&m, 11);
	put(&m, "abcdef", 6);
	finish4(&m);
	assert_int_equal(parse(&m, &p), PACKET_OK);
	assert_int_equal(cursor_left(&p.payload), 3);
	m.bytes[25] = 14;
	assert_int_equal(parse(&m, &p), PACKET_OK);
	assert_int_equal(cursor_left(&p.payload), 6);
	m.bytes[25] = 15;
	assert_int_equal(parse(&m, &p), PACKET_MALFORMED);
	m.bytes[25] = 7;
	assert_int_equal(parse(&m, &p), PACKET_MALFORMED);
	m.bytes[25] = 0;
	assert_int_equal(parse(&m, &p), PACKET_MALFORMED);
	assert_int_equal(p.dst_port, 0);
}

static void tcp_offset_is_bounded(void **state)
{
	struct made m;
	struct packet p;
	ip4(&m, IPPROTO_TCP);
	tcp(&m);
	finish4(&m);
	assert_int_equal(parse(&m, &p), PACKET_OK);
	assert_int_equal(cursor_left(&p.payload), 0);
	m.bytes[32] = 0x70;
	assert_int_equal(parse(&m, &p), PACKET_MALFORMED);
	m.bytes[32] = 0x40;
	assert_int_equal(parse(&m, &p), PACKET_MALFORMED);
}

static void ip4_fragments(void **state)
{
	struct made m;
	struct packet p;
	ip4(&m, IPPROTO_UDP);
	put(&m, "0123456789abcdef", 16);
	finish4(&m);
	m.bytes[6] = 0x20;
	m.bytes[7] = 0x03;
	assert_int_equal(parse(&m, &p), PACKET_FRAGMENT);
	assert_int_equal(p.fragment_offset, 24);
	assert_true(p.fragment_more);
	assert_int_equal(p.fragment_id, 0x1234);
	assert_int_equal(p.transport, IPPROTO_UDP);
	assert_int_equal(cursor_left(&p.payload), 16);
	m.bytes[3]--; /* not a multiple of 8, */
	assert_int_equal(parse(&m, &p), PACKET_MALFORMED);
	m.bytes[6] = 0; /* which the last may have */
	assert_int_equal(parse(&m, &p), PACKET_FRAGMENT);
	assert_false(p.fragment_more);
	m.bytes[6] = 0x1f; /* past 64 KiB */
	m.bytes[7] = 0xff;
	assert_int_equal(parse(&m, &p), PACKET_MALFORMED);
	m.bytes[6] = 0x40; /* don't fragment */
	m.bytes[7] = 0;
	m.bytes[24] = 0;
	m.bytes[25] = 15;
	assert_int_equal(parse(&m, &p), PACKET_OK);
}

static void extension_headers_are_walked(void **state)
{
	struct made m;
	struct packet p;
	ip6(&m, IPPROTO_HOPOPTS);
	PUT(&m, IPPROTO_DSTOPTS, 0, 1, 4, 0, 0, 0, 0);
	PUT(&m, IPPROTO_ROUTING, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	PUT(&m, IPPROTO_FRAGMENT, 0, 4, 0, 0, 0, 0, 0);
	PUT(&m, IPPROTO_AH, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef); /* atomic */
	PUT(&m, IPPROTO_TCP, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
	    12);
	tcp(&m);
	put(&m, "x", 1);
	finish6(&m);
	assert_int_equal(parse(&m, &p), PACKET_OK);
	assert_address(&p.src, "fd00::1");
	assert_address(&p.dst, "2001:db8::2");
	assert_int_equal(p.transport, IPPROTO_TCP);
	assert_int_equal(p.ip_header_len, 40 + 8 + 16 + 8 + 8 + 24);
	assert_int_equal(p.dst_port, 443);
	assert_int_equal(cursor_left(&p.payload), 1);
	m.bytes[41] = 20; /* a header past the end */
	assert_int_equal(parse(&m, &p), PACKET_MALFORMED);
}

static void extension_headers_are_counted(void **state)
{
	for (int n = 7; n <= 9; n++) {
		struct made m;
		struct packet p;
		ip6(&m, IPPROTO_DSTOPTS);
		for (int i = 0; i < n; i++)
			PUT(&m, i == n - 1 ? IPPROTO_UDP : IPPROTO_DSTOPTS, 0, 1, 4, 0, 0, 0, 0);
		udp(&m, 8);
		finish6(&m);
		assert_int_equal(parse(&m, &p), n <= 8 ? PACKET_OK : PACKET_MALFORMED);
	}
}

static void ip6_fragments(void **state)
{
	struct made m;
	struct packet p;
	ip6(&m, IPPROTO_FRAGMENT);
	PUT(&m, IPPROTO_UDP, 0, 0, 8 | 1, 0, 0, 1, 2);
	put(&m, "01234567", 8);
	finish6(&m);
	assert_int_equal(parse(&m, &p), PACKET_FRAGMENT);
	assert_int_equal(p.fragment_offset, 8);
	assert_true(p.fragment_more);
	assert_int_equal(p.fragment_id, 0x102);
	assert_int_equal(p.transport, IPPROTO_UDP);
	assert_int_equal(p.ip_header_len, 48);
	assert_int_equal(cursor_left(&p.payload), 8);
	m.bytes[5]--;
	assert_int_equal(parse(&m, &p), PACKET_MALFORMED);
	m.bytes[5] -= 7; /* an empty fragment */
	assert_int_equal(parse(&m, &p), PACKET_MALFORMED);
}

/* Past 64 KiB the kernel has no length to write: a jumbogram's header (RFC 2675), or none. */
static void length_of_zero_is_all_there_is(void **state)
{
	struct made m;
	struct packet p;
	ip6(&m, IPPROTO_TCP);
	tcp(&m);
	put(&m, "hello", 5);
	assert_int_equal(parse(&m, &p), PACKET_OK);
	assert_int_equal(cursor_left(&p.payload), 5);
	assert_int_equal(p.ip_len, m.len);
	ip6(&m, IPPROTO_HOPOPTS);
	PUT(&m, IPPROTO_TCP, 0, 0xc2, 4, 0, 1, 0, 0);
	tcp(&m);
	put(&m, "hello", 5);
	assert_int_equal(parse(&m, &p), PACKET_OK);
	assert_int_equal(cursor_left(&p.payload), 5);
	ip6(&m, IPPROTO_TCP); /* nothing behind it */
	assert_int_equal(parse(&m, &p), PACKET_MALFORMED);
}

static void mapped_addresses_are_malformed(void **state)
{
	struct made m;
	struct packet p;
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	for (int at = 8; at <= 24; at += 16) {
		ip6(&m, IPPROTO_UDP);
		udp(&m, 8);
		finish6(&m);
		assert_int_equal(parse(&m, &p), PACKET_OK);
		memcpy(m.bytes + at, mapped, 12);
		assert_int_equal(parse(&m, &p), PACKET_MALFORMED);
	}
}

static void icmp_and_others(void **state)
{
	struct made m;
	struct packet p;
	ip4(&m, IPPROTO_ICMP);
	PUT(&m, 3, 13, 0, 0, 0, 0, 0, 0, 0x45);
	finish4(&m);
	assert_int_equal(parse(&m, &p), PACKET_OK);
	assert_int_equal(p.icmp_type, 3);
	assert_int_equal(p.icmp_code, 13);
	assert_int_equal(cursor_left(&p.payload), 1);
	m.bytes[3] -= 2;
	assert_int_equal(parse(&m, &p), PACKET_MALFORMED);
	m.bytes[9] = IPPROTO_ICMPV6; /* of the other family */
	assert_int_equal(parse(&m, &p), PACKET_MALFORMED);
	m.bytes[9] = IPPROTO_ESP;
	assert_int_equal(parse(&m, &p), PACKET_OK);
	assert_int_equal(p.src_port, 0);
	assert_int_equal(cursor_left(&p.payload), 7);
	ip6(&m, IPPROTO_ICMPV6);
	PUT(&m, 128, 0, 0, 0, 0, 1, 0, 1);
	finish6(&m);
	assert_int_equal(parse(&m, &p), PACKET_OK);
	assert_int_equal(p.icmp_type, 128);
	ip6(&m, IPPROTO_NONE);
	assert_int_equal(parse(&m, &p), PACKET_OK);
	assert_int_equal(p.transport, IPPROTO_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_over_ip4),
		cmocka_unit_test(every_shorter_packet_is_malformed),
		cmocka_unit_test(cut_packet_has_what_is_there),
		cmocka_unit_test(quoted_packet_has_ports),
		cmocka_unit_test(ip4_options_are_skipped),
		cmocka_unit_test(bad_ip4_headers),
		cmocka_unit_test(udp_length_bounds_the_payload),
		cmocka_unit_test(tcp_offset_is_bounded),
		cmocka_unit_test(ip4_fragments),
		cmocka_unit_test(extension_headers_are_walked),
		cmocka_unit_test(extension_headers_are_counted),
		cmocka_unit_test(ip6_fragments),
		cmocka_unit_test(length_of_zero_is_all_there_is),
		cmocka_unit_test(mapped_addresses_are_malformed),
		cmocka_unit_test(icmp_and_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
