#include "source/link.h"

#include <pcap/dlt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define MAC    2, 0, 0, 0, 0, 7
#define OTHERS 2, 0, 0, 0, 0, 9
#define IP4    0x45, 0xee
#define IP6    0x60, 0xee

struct sample {
	const char *what;
	int dlt;
	uint8_t bytes[40];
	size_t len;
	size_t ip;    /* offset of the packet; 0 in `other`s */
	bool has_mac; /* MAC, somewhere before it */
	bool other;
};
#define BYTES(...) {__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__})

static const struct sample samples[] = {
	{"ethernet", DLT_EN10MB, BYTES(OTHERS, MAC, 8, 0, IP4), .ip = 14, .has_mac = true},
	{"ethernet, IPv6", DLT_EN10MB, BYTES(OTHERS, MAC, 0x86, 0xdd, IP6), .ip = 14,
	 .has_mac = true},
	{"one tag", DLT_EN10MB, BYTES(OTHERS, MAC, 0x81, 0, 0, 5, 8, 0, IP4), .ip = 18,
	 .has_mac = true},
	{"three tags", DLT_EN10MB,
	 BYTES(OTHERS, MAC, 0x88, 0xa8, 0, 1, 0x91, 0, 0, 2, 0x81, 0, 0, 3, 8, 0, IP4), .ip = 26,
	 .has_mac = true},
	{"PPPoE", DLT_EN10MB, BYTES(OTHERS, MAC, 0x88, 0x64, 0x11, 0, 0, 1, 0, 4, 0, 0x21, IP4),
	 .ip = 22, .has_mac = true},
	{"PPPoE, LCP", DLT_EN10MB,
	 BYTES(OTHERS, MAC, 0x88, 0x64, 0x11, 0, 0, 1, 0, 4, 0xc0, 0x21, IP4), .other = true},
	{"ARP", DLT_EN10MB, BYTES(OTHERS, MAC, 8, 6, 0, 1), .other = true},
	{"cut before the type", DLT_EN10MB, BYTES(OTHERS, MAC, 8), .other = true},
	{"nothing after the type", DLT_EN10MB, BYTES(OTHERS, MAC, 8, 0), .other = true},
	{"cut in a tag", DLT_EN10MB, BYTES(OTHERS, MAC, 0x81, 0, 0), .other = true},
	{"neither 4 nor 6", DLT_EN10MB, BYTES(OTHERS, MAC, 8, 0, 0x55), .other = true},
	{"SLL", DLT_LINUX_SLL, BYTES(0, 0, 0, 1, 0, 6, MAC, 0, 0, 8, 0, IP4), .ip = 16,
	 .has_mac = true},
	{"SLL, no address", DLT_LINUX_SLL,
	 BYTES(0, 0, 2, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, IP4), .ip = 16},
	{"SLL, tag", DLT_LINUX_SLL,
	 BYTES(0, 0, 0, 1, 0, 6, MAC, 0, 0, 0x81, 0, 0, 1, 0x86, 0xdd, IP6), .ip = 20,
	 .has_mac = true},
	{"SLL2", DLT_LINUX_SLL2, BYTES(8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, MAC, 0, 0, IP4),
	 .ip = 20, .has_mac = true},
	{"SLL2, cut", DLT_LINUX_SLL2, BYTES(8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, MAC),
	 .other = true},
	{"raw", DLT_RAW, BYTES(IP4), .ip = 0},
	{"raw, nothing", DLT_RAW, .other = true},
	{"IPv6", DLT_IPV6, BYTES(IP6), .ip = 0},
	{"loopback of a small-endian", DLT_NULL, BYTES(2, 0, 0, 0, IP4), .ip = 4},
	{"loopback of a big-endian", DLT_NULL, BYTES(0, 0, 0, 30, IP6), .ip = 4},
	{"loopback, another family", DLT_NULL, BYTES(0, 0, 0, 7, IP4), .other = true},
	{"PPP", DLT_PPP, BYTES(0xff, 3, 0, 0x57, IP6), .ip = 4},
	{"PPP, compressed", DLT_PPP, BYTES(0x21, IP4), .ip = 1},
	{"PPP, LCP", DLT_PPP, BYTES(0xff, 3, 0xc0, 0x21, IP4), .other = true},
	{"Cisco HDLC", DLT_C_HDLC, BYTES(0x0f, 0, 8, 0, IP4), .ip = 4},
	{"PPP serial, HDLC", DLT_PPP_SERIAL, BYTES(0x8f, 0, 8, 0, IP4), .ip = 4},
	{"PPP serial", DLT_PPP_SERIAL, BYTES(0xff, 3, 0x21, IP4), .ip = 3},
	{"PPI", DLT_PPI, BYTES(0, 0, 10, 0, 1, 0, 0, 0, 0xaa, 0xbb, OTHERS, MAC, 8, 0, IP4),
	 .ip = 24, .has_mac = true},
	{"PPI in PPI", DLT_PPI, BYTES(0, 0, 8, 0, 192, 0, 0, 0, 0, 0, 8, 0, 101, 0, 0, 0, IP4),
	 .other = true},
	{"PPI, too long", DLT_PPI, BYTES(0, 0, 80, 0, 101, 0, 0, 0, IP4), .other = true},
	{"PPI, too short", DLT_PPI, BYTES(0, 0, 7, 0, 101, 0, 0, 0, IP4), .other = true},
	{"PPI, unknown", DLT_PPI, BYTES(0, 0, 8, 0, 105, 0, 0, 0, IP4), .other = true},
};

static void frames_hold_packets(void **state)
{
	static const uint8_t mac[6] = {MAC};
	for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
		const struct sample *s = &samples[i];
		struct link_frame f;
		enum link_parse got = link_parse(s->dlt, s->bytes, s->len, &f);
		print_message("# %s\n", s->what);
		assert_int_equal(got, s->other ? LINK_OTHER : LINK_IP);
		assert_true(link_known(s->dlt));
		if (s->other)
			continue;
		assert_ptr_equal(f.ip, s->bytes + s->ip);
		assert_int_equal(f.len, s->len - s->ip);
		assert_int_equal(f.mac != NULL, s->has_mac);
		if (f.mac)
			assert_memory_equal(f.mac, mac, 6);
	}
}

static void other_links_are_not_known(void **state)
{
	struct link_frame f;
	assert_false(link_known(DLT_IEEE802_11));
	assert_int_equal(link_parse(DLT_IEEE802_11, (uint8_t[]){IP4}, 2, &f), LINK_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_hold_packets),
		cmocka_unit_test(other_links_are_not_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
