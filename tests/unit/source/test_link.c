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
	uint32_t dlt;
	uint8_t bytes[48];
	size_t len;
	size_t ip;            /* offset of the packet */
	bool has_mac;         /* MAC, somewhere before it */
	enum link_parse want; /* LINK_IP where it is not said */
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
	 BYTES(OTHERS, MAC, 0x88, 0x64, 0x11, 0, 0, 1, 0, 4, 0xc0, 0x21, IP4), .want = LINK_OTHER},
	{"ARP", DLT_EN10MB, BYTES(OTHERS, MAC, 8, 6, 0, 1), .want = LINK_OTHER},
	{"cut before the type", DLT_EN10MB, BYTES(OTHERS, MAC, 8), .want = LINK_CUT},
	{"nothing after the type", DLT_EN10MB, BYTES(OTHERS, MAC, 8, 0), .want = LINK_CUT},
	{"cut in a tag", DLT_EN10MB, BYTES(OTHERS, MAC, 0x81, 0, 0), .want = LINK_CUT},
	{"tags of HSR, VN and Cisco", DLT_EN10MB,
	 BYTES(OTHERS, MAC, 0x89, 0x2f, 0, 0, 0, 0, 0x89, 0x26, 0, 0, 0, 0, 0x89, 0x09, 1, 1, 0, 1,
	       0, 5, 8, 0, IP4),
	 .ip = 34, .has_mac = true},
	{"LLC and SNAP", DLT_EN10MB, BYTES(OTHERS, MAC, 0, 50, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0, IP4),
	 .ip = 22, .has_mac = true},
	{"LLC and SNAP, bridge-tunneled, in a tag", DLT_EN10MB,
	 BYTES(OTHERS, MAC, 0x81, 0, 0, 5, 0, 50, 0xaa, 0xaa, 3, 0, 0, 0xf8, 0x86, 0xdd, IP6),
	 .ip = 26, .has_mac = true},
	{"LLC, IP", DLT_EN10MB, BYTES(OTHERS, MAC, 0, 50, 6, 6, 3, IP4), .ip = 17, .has_mac = true},
	{"SLL, LLC and SNAP", DLT_LINUX_SLL,
	 BYTES(0, 0, 0, 1, 0, 6, MAC, 0, 0, 0, 4, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0, IP4), .ip = 24,
	 .has_mac = true},
	{"spanning tree", DLT_EN10MB, BYTES(OTHERS, MAC, 0, 39, 0x42, 0x42, 3, 0, 0),
	 .want = LINK_OTHER},
	{"SNAP, another's", DLT_EN10MB,
	 BYTES(OTHERS, MAC, 0, 39, 0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0, IP4), .want = LINK_OTHER},
	{"SNAP in SNAP", DLT_EN10MB,
	 BYTES(OTHERS, MAC, 0, 50, 0xaa, 0xaa, 3, 0, 0, 0, 0, 9, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0),
	 .want = LINK_OTHER},
	{"SNAP, cut", DLT_EN10MB, BYTES(OTHERS, MAC, 0, 50, 0xaa, 0xaa, 3, 0, 0), .want = LINK_CUT},
	{"MPLS", DLT_EN10MB, BYTES(OTHERS, MAC, 0x88, 0x47, 0, 0, 0x11, 64, IP4), .ip = 18,
	 .has_mac = true},
	{"MPLS, three labels, in a tag", DLT_EN10MB,
	 BYTES(OTHERS, MAC, 0x81, 0, 0, 5, 0x88, 0x48, 0, 0, 0x10, 64, 0, 0, 0x20, 64, 0, 0, 0x31,
	       64, IP6),
	 .ip = 30, .has_mac = true},
	{"MPLS of PPP", DLT_PPP, BYTES(0xff, 3, 2, 0x81, 0, 0, 0x11, 64, IP4), .ip = 8},
	{"MPLS, a pseudowire", DLT_EN10MB,
	 BYTES(OTHERS, MAC, 0x88, 0x47, 0, 0, 0x11, 64, 0, 0, 0, 0, OTHERS, MAC),
	 .want = LINK_ENCAPSULATED},
	{"MPLS, cut", DLT_EN10MB, BYTES(OTHERS, MAC, 0x88, 0x47, 0, 0, 0x10, 64, 0, 0),
	 .want = LINK_CUT},
	{"MACsec", DLT_EN10MB, BYTES(OTHERS, MAC, 0x88, 0xe5, 0, 0, IP4),
	 .want = LINK_ENCAPSULATED},
	{"PPP, Van Jacobson", DLT_PPP, BYTES(0xff, 3, 0, 0x2d, 1), .want = LINK_ENCAPSULATED},
	{"NFLOG", DLT_NFLOG, BYTES(2, 0, 0, 1, 5, 0, 10, 0, 'x', 0, 0, 0, 6, 0, 9, 0, IP4),
	 .ip = 16},
	{"NFLOG, cut", DLT_NFLOG, BYTES(2, 0, 0, 1, 80, 0, 9, 0, IP4), .ip = 8},
	{"NFLOG, nothing", DLT_NFLOG, BYTES(2, 0, 0, 1, 3, 0, 9, 0, IP4), .want = LINK_CUT},
	{"neither 4 nor 6", DLT_EN10MB, BYTES(OTHERS, MAC, 8, 0, 0x55), .want = LINK_OTHER},
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
	 .want = LINK_CUT},
	{"raw", DLT_RAW, BYTES(IP4), .ip = 0},
	{"raw, nothing", DLT_RAW, .want = LINK_CUT},
	{"IPv6", DLT_IPV6, BYTES(IP6), .ip = 0},
	{"loopback of a small-endian", DLT_NULL, BYTES(2, 0, 0, 0, IP4), .ip = 4},
	{"loopback of a big-endian", DLT_NULL, BYTES(0, 0, 0, 30, IP6), .ip = 4},
	{"loopback, another family", DLT_NULL, BYTES(0, 0, 0, 7, IP4), .want = LINK_OTHER},
	{"PPP", DLT_PPP, BYTES(0xff, 3, 0, 0x57, IP6), .ip = 4},
	{"PPP, compressed", DLT_PPP, BYTES(0x21, IP4), .ip = 1},
	{"PPP, LCP", DLT_PPP, BYTES(0xff, 3, 0xc0, 0x21, IP4), .want = LINK_OTHER},
	{"Cisco HDLC", DLT_C_HDLC, BYTES(0x0f, 0, 8, 0, IP4), .ip = 4},
	{"PPP serial, HDLC", DLT_PPP_SERIAL, BYTES(0x8f, 0, 8, 0, IP4), .ip = 4},
	{"PPP serial", DLT_PPP_SERIAL, BYTES(0xff, 3, 0x21, IP4), .ip = 3},
	{"PPI", DLT_PPI, BYTES(0, 0, 10, 0, 1, 0, 0, 0, 0xaa, 0xbb, OTHERS, MAC, 8, 0, IP4),
	 .ip = 24, .has_mac = true},
	{"PPI in PPI", DLT_PPI, BYTES(0, 0, 8, 0, 192, 0, 0, 0, 0, 0, 8, 0, 101, 0, 0, 0, IP4),
	 .want = LINK_UNKNOWN},
	{"PPI, too long", DLT_PPI, BYTES(0, 0, 80, 0, 101, 0, 0, 0, IP4), .want = LINK_CUT},
	{"PPI, too short", DLT_PPI, BYTES(0, 0, 7, 0, 101, 0, 0, 0, IP4), .want = LINK_UNKNOWN},
	{"PPI, unknown", DLT_PPI, BYTES(0, 0, 8, 0, 105, 0, 0, 0, IP4), .want = LINK_UNKNOWN},
};

static void frames_hold_packets(void **state)
{
	static const uint8_t mac[6] = {MAC};
	for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
		const struct sample *s = &samples[i];
		struct link_frame f;
		enum link_parse got = link_parse(s->dlt, s->bytes, s->len, &f);
		print_message("# %s\n", s->what);
		assert_int_equal(got, s->want);
		if (got == LINK_ENCAPSULATED)
			assert_int_not_equal(f.type, 0);
		if (got != LINK_IP)
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
	assert_int_equal(link_parse(DLT_IEEE802_11, (uint8_t[]){IP4}, 2, &f), LINK_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_hold_packets),
		cmocka_unit_test(other_links_are_not_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
