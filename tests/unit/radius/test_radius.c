#include "unit.h"
#include "base/clock.h"
#include "radius/report.h"
#include "radius/radius.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET "testing123"

/* A Start of alice at 10.77.1.2, sealed, with a Proxy-State, and its answer; made by another
 * implementation of RFC 2866 and 3579. */
static const uint8_t start[] = {
	0x04, 0x07, 0x00, 0x5f, 0x82, 0x32, 0x12, 0x24, 0x04, 0x01, 0x52, 0x1e, 0x78, 0x02,
	0xcc, 0x44, 0x6f, 0x86, 0xfd, 0xa2, 0x50, 0x12, 0xc4, 0x23, 0x52, 0x5f, 0x4a, 0x7e,
	0x5d, 0x79, 0x00, 0x89, 0x15, 0x70, 0x2b, 0x9d, 0x69, 0xc0, 0x28, 0x06, 0x00, 0x00,
	0x00, 0x01, 0x2c, 0x04, 0x73, 0x31, 0x01, 0x07, 0x61, 0x6c, 0x69, 0x63, 0x65, 0x08,
	0x06, 0x0a, 0x4d, 0x01, 0x02, 0x19, 0x06, 0x67, 0x6f, 0x6c, 0x64, 0x04, 0x06, 0x0a,
	0x4d, 0x01, 0x01, 0x37, 0x06, 0x6b, 0x49, 0xd2, 0x00, 0x29, 0x06, 0x00, 0x00, 0x00,
	0x03, 0x55, 0x06, 0x00, 0x00, 0x01, 0x2c, 0x21, 0x04, 0x70, 0x78};
static const uint8_t answer_of_start[] = {0x05, 0x07, 0x00, 0x18, 0xb6, 0xbc, 0xde, 0x2b,
					  0xf6, 0x4f, 0x60, 0xe4, 0x1d, 0xcc, 0x75, 0xc2,
					  0xf3, 0xc3, 0xf2, 0x53, 0x21, 0x04, 0x70, 0x78};

/* ---- packets ---- */

static struct radius_attribute tier_by(const char *text)
{
	struct radius_attribute a;
	assert_true(radius_attribute_parse(text, &a));
	return a;
}

static enum parse parse(const void *bytes, size_t len, struct radius_request *r)
{
	struct radius_attribute tier = tier_by("Class");
	return radius_parse(bytes, len, &tier, r);
}

static void assert_text(struct radius_text t, const char *want)
{
	assert_int_equal(t.len, strlen(want));
	assert_memory_equal(t.bytes, want, t.len);
}

static void a_start_is_read(void **state)
{
	struct radius_request r;
	struct address a;
	assert_int_equal(parse(start, sizeof start, &r), PARSE_OK);
	assert_int_equal(r.id, 7);
	assert_int_equal(r.status, RADIUS_START);
	assert_text(r.user, "alice");
	assert_text(r.session, "s1");
	assert_int_equal(r.values, 1);
	assert_text(r.value[0], "gold");
	assert_int_equal(r.addresses, 1);
	assert_true(address_parse("10.77.1.2", &a) && address_equal(&a, &r.address[0]));
	assert_true(address_parse("10.77.1.1", &a) && address_equal(&a, &r.nas4));
	assert_true(r.has_time);
	assert_int_equal(r.time, 1800000000);
	assert_int_equal(r.delay, 3);
	assert_int_equal(r.interim, 300);
	assert_false(r.has_session_time || r.prefix_alone);
}

static void an_answer_is_as_others_make_it(void **state)
{
	struct radius_request r;
	uint8_t out[RADIUS_MAX];
	assert_int_equal(parse(start, sizeof start, &r), PARSE_OK);
	assert_true(radius_genuine(&r, SECRET));
	assert_int_equal(radius_answer(&r, SECRET, out), sizeof answer_of_start);
	assert_memory_equal(out, answer_of_start, sizeof answer_of_start);
}

static void what_stands_behind_the_length_is_padding(void **state)
{
	uint8_t padded[sizeof start + 9] = {0};
	struct radius_request r;
	memcpy(padded, start, sizeof start);
	assert_int_equal(parse(padded, sizeof padded, &r), PARSE_OK);
	assert_int_equal(r.len, sizeof start);
	assert_true(radius_genuine(&r, SECRET));
}

/* Cut anywhere, on the heap and so under a sanitizer's eye, it is malformed. */
static void every_truncation_is_malformed(void **state)
{
	struct radius_request r;
	for (size_t len = 0; len < sizeof start; len++) {
		uint8_t *cut = malloc(len ? len : 1);
		memcpy(cut, start, len);
		assert_int_equal(parse(cut, len, &r), PARSE_BAD);
		free(cut);
	}
}

static void every_flipped_bit_is_noticed(void **state)
{
	struct radius_request r;
	for (size_t i = 0; i < sizeof start * 8; i++) {
		uint8_t bytes[sizeof start];
		memcpy(bytes, start, sizeof start);
		bytes[i / 8] ^= (uint8_t)(1 << i % 8);
		if (parse(bytes, sizeof bytes, &r) == PARSE_OK)
			assert_false(radius_genuine(&r, SECRET));
	}
	assert_int_equal(parse(start, sizeof start, &r), PARSE_OK);
	assert_false(radius_genuine(&r, "testing124"));
	assert_false(radius_genuine(&r, "testing12"));
	assert_false(radius_genuine(&r, ""));
}

/* RFC 2865 3: what says that it is longer than 4,096 bytes is none, be it there or not. */
static void a_packet_has_4096_bytes_at_most(void **state)
{
	struct radius_request r;
	for (size_t len = 4095; len <= 4100; len++) {
		uint8_t bytes[4100] = {4, 1, (uint8_t)(len >> 8), (uint8_t)len};
		for (size_t at = 20; at < len;) {
			size_t size = len - at > 257 ? 255 : len - at > 255 ? 200 : len - at;
			bytes[at] = 240;
			bytes[at + 1] = (uint8_t)size;
			at += size;
		}
		assert_int_equal(parse(bytes, len, &r), len <= 4096 ? PARSE_OK : PARSE_BAD);
	}
}

/* A packet under construction. */
struct made {
	uint8_t bytes[RADIUS_MAX];
	size_t len;
};

static void make(struct made *m, uint8_t code)
{
	memset(m, 0, sizeof *m);
	m->bytes[0] = code;
	m->bytes[3] = (uint8_t)(m->len = 20);
}

static void put(struct made *m, uint8_t type, const void *value, size_t len)
{
	m->bytes[m->len] = type;
	m->bytes[m->len + 1] = (uint8_t)(len + 2);
	memcpy(m->bytes + m->len + 2, value, len);
	m->len += len + 2;
	m->bytes[2] = (uint8_t)(m->len >> 8);
	m->bytes[3] = (uint8_t)m->len;
}
#define PUT(m, type, literal) put(m, type, literal, sizeof(literal) - 1)

/* How many attributes of a packet with this one, and a Class, are of a wrong form; the Class counts
 * in any case. */
static unsigned one(uint8_t type, const void *value, size_t len)
{
	struct made m;
	struct radius_request r;
	make(&m, RADIUS_ACCOUNTING_REQUEST);
	put(&m, type, value, len);
	PUT(&m, 25, "gold");
	assert_int_equal(parse(m.bytes, m.len, &r), PARSE_OK);
	assert_int_equal(r.values, 1);
	if (r.bad_attributes) {
		assert_false(r.has_time || r.has_session_time || r.addresses);
		assert_int_equal(r.status + r.delay + r.interim, 0);
	}
	return r.bad_attributes;
}

static void an_attribute_of_a_wrong_form_is_passed_over(void **state)
{
	static const struct {
		uint8_t type, length;
	} exact[] = {{40, 4}, {41, 4}, {46, 4},  {55, 4}, {85, 4},
		     {4, 4},  {8, 4},  {95, 16}, {96, 8}, {168, 16}};
	static const uint8_t ones[20] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
					 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
	for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
		for (size_t len = 0; len < sizeof ones; len++)
			assert_int_equal(one(exact[i].type, ones, len), len != exact[i].length);
	assert_int_equal(one(97, "\0\x80\xfd", 3), 1); /* /128 of one byte */
	assert_int_equal(one(97, "\0\x81", 2), 1);
	assert_int_equal(one(97, "", 0), 1);
	assert_int_equal(one(26, ones, 3), 1);
}

/* What proves the sender is not passed over. */
static void a_bad_message_authenticator_condemns_the_packet(void **state)
{
	uint8_t seal[18] = {0};
	for (size_t len = 0; len < sizeof seal; len++) {
		struct made m;
		struct radius_request r;
		make(&m, RADIUS_ACCOUNTING_REQUEST);
		put(&m, 80, seal, len);
		assert_int_equal(parse(m.bytes, m.len, &r), len == 16 ? PARSE_OK : PARSE_BAD);
		put(&m, 80, seal, 16);
		assert_int_equal(parse(m.bytes, m.len, &r), PARSE_BAD); /* two */
	}
}

static void other_codes_and_lengths_are_refused(void **state)
{
	struct made m;
	struct radius_request r;
	make(&m, 1);
	PUT(&m, 40, "\0\0\0\1");
	assert_int_equal(parse(m.bytes, m.len, &r), PARSE_ABSENT);
	make(&m, RADIUS_ACCOUNTING_REQUEST);
	PUT(&m, 40, "\0\0\0\1");
	m.bytes[m.len - 5] = 1; /* an attribute of one byte */
	assert_int_equal(parse(m.bytes, m.len, &r), PARSE_BAD);
	m.bytes[m.len - 5] = 7; /* past the end */
	assert_int_equal(parse(m.bytes, m.len, &r), PARSE_BAD);
	m.bytes[2] = 0, m.bytes[3] = 19;
	assert_int_equal(parse(m.bytes, m.len, &r), PARSE_BAD);
	m.bytes[2] = 0x10, m.bytes[3] = 1;
	assert_int_equal(parse(m.bytes, sizeof m.bytes, &r), PARSE_BAD);
}

static bool at(const struct radius_request *r, unsigned i, const char *text)
{
	struct address a;
	return i < r->addresses && address_parse(text, &a) && address_equal(&a, &r->address[i]);
}

static void ipv6_attributes_make_addresses(void **state)
{
	struct made m;
	struct radius_request r;
	make(&m, RADIUS_ACCOUNTING_REQUEST);
	PUT(&m, 96, "\2\0\0\0\0\0\0\2");
	PUT(&m, 97, "\0\x40\xfd\x77\0\1\0\0\0\0");
	PUT(&m, 168, "\xfd\x77\0\1\0\0\0\0\0\0\0\0\0\0\0\x99");
	PUT(&m, 168, "\xfd\x77\0\1\0\0\0\0\0\0\0\0\0\0\0\x99"); /* twice is once */
	PUT(&m, 97, "\0\x80\xfd\x77\0\1\0\0\0\0\0\0\0\0\0\0\0\7");
	assert_int_equal(parse(m.bytes, m.len, &r), PARSE_OK);
	assert_int_equal(r.addresses, 3);
	assert_true(at(&r, 0, "fd77:1::99") && at(&r, 1, "fd77:1::7"));
	assert_true(at(&r, 2, "fd77:1::200:0:0:2"));
	assert_false(r.prefix_alone);
	make(&m, RADIUS_ACCOUNTING_REQUEST);
	PUT(&m, 97, "\0\x40\xfd\x77\0\1\0\0\0\0");
	assert_int_equal(parse(m.bytes, m.len, &r), PARSE_OK);
	assert_true(r.prefix_alone && r.addresses == 0);
	make(&m, RADIUS_ACCOUNTING_REQUEST);
	PUT(&m, 123, "\0\x38\xfd\x77\0\1\0\0\0");
	assert_int_equal(parse(m.bytes, m.len, &r), PARSE_OK);
	assert_true(r.prefix_alone && r.addresses == 0);
}

static void what_is_no_session_s_address_is_passed_over(void **state)
{
	struct made m;
	struct radius_request r;
	make(&m, RADIUS_ACCOUNTING_REQUEST);
	PUT(&m, 8, "\0\0\0\0");
	PUT(&m, 8, "\xff\xff\xff\xff");
	PUT(&m, 8, "\xff\xff\xff\xfe");
	PUT(&m, 168, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\1"); /* IPv4 in disguise */
	PUT(&m, 168, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
	for (int i = 1; i < 12; i++) { /* what is never forwarded takes no place */
		put(&m, 168, (uint8_t[16]){0xfe, 0x80, [15] = (uint8_t)i}, 16);
		put(&m, 8, (uint8_t[]){169, 254, 0, (uint8_t)i}, 4);
	}
	PUT(&m, 8, "\x7f\0\0\1");
	PUT(&m, 8, "\xe0\0\0\1");
	PUT(&m, 168, "\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\1");
	assert_int_equal(parse(m.bytes, m.len, &r), PARSE_OK);
	assert_int_equal(r.addresses + r.left_out, 0);
	for (int i = 1; i < 12; i++)
		put(&m, 8, (uint8_t[]){10, 0, 0, (uint8_t)i}, 4);
	assert_int_equal(parse(m.bytes, m.len, &r), PARSE_OK);
	assert_int_equal(r.addresses, RADIUS_ADDRESSES);
	assert_int_equal(r.left_out, 3);
}

static bool mac_of(const char *text, uint8_t mac[static 6])
{
	struct made m;
	struct radius_request r;
	make(&m, RADIUS_ACCOUNTING_REQUEST);
	put(&m, 31, text, strlen(text));
	assert_int_equal(parse(m.bytes, m.len, &r), PARSE_OK);
	assert_int_equal(r.bad_attributes, 0);
	memcpy(mac, r.mac, 6);
	return r.has_mac;
}

static void a_calling_station_is_a_mac_where_it_is_one(void **state)
{
	static const uint8_t want[6] = {2, 0xab, 0xcd, 0xef, 0x10, 7};
	static const char *const good[] = {"02-AB-CD-EF-10-07", "02:ab:cd:ef:10:07", "02abcdef1007",
					   "02ab.cdef.1007", "02AB-CDEF-1007"};
	static const char *const bad[] = {"",
					  "+4930123456",
					  "02-ab-cd-ef-10",
					  "02-ab-cd-ef-10-07-",
					  "02-ab:cd-ef-10-07",
					  "02-ab-cd-ef-10-07:SSID",
					  "0-2ab-cd-ef-10-07",
					  "02abcdef10071",
					  "10.77.1.7",
					  "01-00-5e-00-00-01",
					  "00-00-00-00-00-00",
					  "02ab-cdef1007"};
	uint8_t mac[6];
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_true(mac_of(good[i], mac));
		assert_memory_equal(mac, want, 6);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(mac_of(bad[i], mac));
}

/* Made by another implementation of RFC 5997, with the secret "testing123". */
static void a_status_server_is_genuine_by_its_seal_alone(void **state)
{
	static const uint8_t packet[] = {0x0c, 0x2a, 0x00, 0x26, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05,
					 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f,
					 0x50, 0x12, 0x60, 0x13, 0xb5, 0x14, 0x30, 0x2f, 0x8e, 0xbc,
					 0x77, 0x2f, 0xa5, 0x5b, 0x2a, 0x44, 0xde, 0xbd};
	struct radius_request r;
	struct made m;
	uint8_t bytes[sizeof packet];
	assert_int_equal(parse(packet, sizeof packet, &r), PARSE_OK);
	assert_true(radius_genuine(&r, SECRET));
	assert_false(radius_genuine(&r, "testing124"));
	for (size_t i = 4; i < sizeof packet; i++) {
		memcpy(bytes, packet, sizeof packet);
		bytes[i] ^= 1;
		if (parse(bytes, sizeof bytes, &r) == PARSE_OK)
			assert_false(radius_genuine(&r, SECRET));
	}
	make(&m, RADIUS_STATUS_SERVER); /* without a seal anybody could have made it */
	PUT(&m, 32, "ap-1");
	assert_int_equal(parse(m.bytes, m.len, &r), PARSE_OK);
	assert_false(radius_genuine(&r, SECRET));
}

/* ---- what a packet says of a session ---- */

static struct radius_client row;
static struct radius_settings config;

static struct accounting_report report_of(const struct made *m, const char *from)
{
	struct radius_request r;
	struct accounting_report out;
	struct address a;
	assert_true(address_parse(from, &a) && network_parse("10.77.3.0/24", &row.network));
	config.default_tier = "visitor";
	config.interim = 600 * NS_PER_S;
	config.missed = 3;
	assert_int_equal(parse(m->bytes, m->len, &r), PARSE_OK);
	radius_report(&config, &row, &r, &a, 1800000000 * NS_PER_S, 1000 * NS_PER_S, &out);
	return out;
}

static bool same_nas(const struct made *a, const char *from_a, const struct made *b,
		     const char *from_b)
{
	struct accounting_report x = report_of(a, from_a), y = report_of(b, from_b);
	return memcmp(x.nas, y.nas, sizeof x.nas) == 0;
}

static struct made nas(const char *name, const char *four, size_t six_len, bool reverse)
{
	struct made m;
	static const uint8_t six[16] = {0xfd, 0x77, [15] = 9};
	make(&m, RADIUS_ACCOUNTING_REQUEST);
	for (int i = 0; i < 3; i++) {
		int which = reverse ? 2 - i : i;
		if (which == 0 && name)
			put(&m, 32, name, strlen(name));
		if (which == 1 && four)
			put(&m, 4, four, 4);
		if (which == 2 && six_len)
			put(&m, 95, six, six_len);
	}
	return m;
}

/* Two access points that say 127.0.0.1, or one name, are two. */
static void a_nas_is_told_by_all_that_it_says(void **state)
{
	struct made loop = nas(NULL, "\x7f\0\0\1", 0, false), none = nas(NULL, NULL, 0, false);
	struct made one = nas("ap-1", "\x7f\0\0\1", 0, false);
	struct made two = nas("ap-2", "\x7f\0\0\1", 0, false);
	struct made all = nas("ap-1", "\x0a\0\0\1", 16, false),
		    back = nas("ap-1", "\x0a\0\0\1", 16, true);
	struct made four = nas("ap-1", "\x0a\0\0\1", 0, false);
	assert_true(same_nas(&loop, "10.77.3.2", &loop, "10.77.3.2"));
	assert_false(same_nas(&loop, "10.77.3.2", &loop, "10.77.3.3"));
	assert_true(same_nas(&loop, "10.77.3.2", &none, "10.77.3.2"));
	assert_false(same_nas(&one, "10.77.3.2", &two, "10.77.3.2"));
	assert_false(same_nas(&one, "10.77.3.2", &one, "10.77.3.3"));
	assert_true(same_nas(&all, "10.77.3.2", &back, "10.77.3.2"));
	assert_false(same_nas(&all, "10.77.3.2", &four, "10.77.3.2"));
	struct accounting_report x = report_of(&all, "10.77.3.2"), y = report_of(&all, "10.77.3.3");
	assert_memory_equal(x.behind, y.behind, sizeof x.behind);
	/* another client's row is another NAS */
	struct radius_request r;
	struct address from;
	struct radius_client other = {.network.bits = 128};
	assert_int_equal(parse(all.bytes, all.len, &r), PARSE_OK);
	assert_true(address_parse("10.77.3.2", &from));
	radius_report(&config, &other, &r, &from, 0, 0, &y);
	assert_memory_not_equal(x.nas, y.nas, sizeof x.nas);
	assert_memory_not_equal(x.behind, y.behind, sizeof x.behind);
}

static void what_a_report_leaves_out_is_not_told(void **state)
{
	struct made m;
	make(&m, RADIUS_ACCOUNTING_REQUEST);
	struct accounting_report r = report_of(&m, "10.77.3.2");
	assert_false(r.user_told || r.tier_told || r.has_mac || r.delayed);
	assert_string_equal(r.tier, "visitor");
	assert_int_equal(r.lasts, 1800 * NS_PER_S);
	PUT(&m, 1, "ann");
	PUT(&m, 25, "gold");
	PUT(&m, 31, "02-00-00-00-00-07");
	PUT(&m, 41, "\0\0\0\5");
	PUT(&m, 85, "\0\0\0\x3c");
	r = report_of(&m, "10.77.3.2");
	assert_true(r.user_told && r.tier_told && r.has_mac && r.delayed);
	assert_string_equal(r.user, "ann");
	assert_string_equal(r.tier, "gold");
	assert_int_equal(r.time.heard, 995 * NS_PER_S);
	assert_int_equal(r.lasts, 180 * NS_PER_S);
	/* of what RFC 2869 section 2.1 does not allow, or a day outlasts, the operator's counts */
	PUT(&m, 85, "\0\0\0\x3b");
	assert_int_equal(report_of(&m, "10.77.3.2").lasts, 1800 * NS_PER_S);
	PUT(&m, 85, "\0\1\x51\x81");
	assert_int_equal(report_of(&m, "10.77.3.2").lasts, 1800 * NS_PER_S);
}

static void report_names(const char *name, size_t len, const char *want)
{
	struct made m;
	make(&m, RADIUS_ACCOUNTING_REQUEST);
	put(&m, 1, name, len);
	struct accounting_report r = report_of(&m, "10.77.3.2");
	assert_true(r.user_told);
	assert_string_equal(r.user, want);
}

/* Nobody is signed in under a part of what was said, or under what a log can't bear. */
static void what_is_no_user_name_names_nobody(void **state)
{
	char longest[USER_MAX];
	memset(longest, 'a', sizeof longest);
	report_names(longest, USER_MAX, "");
	longest[USER_MAX - 1] = '\0';
	report_names(longest, USER_MAX - 1, longest);
	report_names("ann", 3, "ann");
	report_names("ann\0admin", 9, "");
	report_names("ann\nbob", 7, "");
	report_names("-ann", 4, "");
	report_names("ann ", 4, "");
	report_names("ann\xff", 4, "");
}

/* As many values of the tier's attribute as there is room for: the first. */
static void a_request_has_no_more_values_than_room(void **state)
{
	struct radius_request r;
	struct made m;
	make(&m, RADIUS_ACCOUNTING_REQUEST);
	for (char i = 0; i < 40; i++)
		put(&m, 25, (char[]){'a' + i % 26}, 1);
	assert_int_equal(parse(m.bytes, m.len, &r), PARSE_OK);
	assert_int_equal(r.values, RADIUS_VALUES);
	assert_text(r.value[0], "a");
	assert_text(r.value[RADIUS_VALUES - 1], "d");
}

/* Where a map is written, its values alone stand for tiers. */
static void a_value_that_the_map_lacks_is_no_tier(void **state)
{
	struct config_tier_of map = {.value = "gold", .tier = "staff"};
	struct made m;
	make(&m, RADIUS_ACCOUNTING_REQUEST);
	PUT(&m, 25, "silver");
	config.tiers = &map;
	config.tier_count = 1;
	assert_string_equal(report_of(&m, "10.77.3.2").tier, "visitor");
	PUT(&m, 25, "gold");
	assert_string_equal(report_of(&m, "10.77.3.2").tier, "staff");
	config.tier_count = 0;
	assert_string_equal(report_of(&m, "10.77.3.2").tier, "silver");
}

/* The clock of a machine that has just come up says 1970, or its firmware's year. */
static void a_clock_that_is_not_set_says_nothing_of_ends(void **state)
{
	static const char *const times[] = {"\0\0\0\x25", "\x47\x79\x93\x5b"}; /* 37 s, 2008 */
	for (size_t i = 0; i < 2; i++)
		for (uint8_t status = 1; status <= 8; status++) {
			struct made m;
			make(&m, RADIUS_ACCOUNTING_REQUEST);
			put(&m, 40, (uint8_t[]){0, 0, 0, status}, 4);
			put(&m, 55, times[i], 4);
			bool begins = status == RADIUS_START || status == RADIUS_INTERIM;
			assert_int_equal(report_of(&m, "10.77.3.2").time.said != 0, begins);
		}
	struct made m;
	make(&m, RADIUS_ACCOUNTING_REQUEST);
	PUT(&m, 40, "\0\0\0\7");
	PUT(&m, 55, "\x6b\x49\xd2\0");
	assert_int_equal(report_of(&m, "10.77.3.2").time.said, 1800000000 * NS_PER_S);
	row.clock = RADIUS_CLOCK_DISREGARD;
	assert_int_equal(report_of(&m, "10.77.3.2").time.said, 0);
	row.clock = RADIUS_CLOCK_REGARD;
}

static void the_tier_s_attribute_is_found(void **state)
{
	struct radius_attribute cisco = tier_by("vendor:9:1"), filter = tier_by("Filter-Id"), none;
	struct radius_request r;
	struct made m;
	make(&m, RADIUS_ACCOUNTING_REQUEST);
	PUT(&m, 26, "\0\0\0\x09\2\4no\1\6gold\1\5ace");
	PUT(&m, 26, "\0\0\1\x37\1\4no");
	PUT(&m, 26, "\0\0\0\x09\1\1"); /* the vendor's own affair */
	PUT(&m, 26, "\0\0\0\x09\1\x20no");
	PUT(&m, 25, "class");
	PUT(&m, 11, "silver");
	assert_int_equal(radius_parse(m.bytes, m.len, &cisco, &r), PARSE_OK);
	assert_int_equal(r.values, 2);
	assert_text(r.value[0], "gold");
	assert_text(r.value[1], "ace");
	assert_int_equal(radius_parse(m.bytes, m.len, &filter, &r), PARSE_OK);
	assert_int_equal(r.values, 1);
	assert_text(r.value[0], "silver");
	assert_int_equal(radius_parse(m.bytes, m.len, NULL, &r), PARSE_OK);
	assert_int_equal(r.values, 0);
	for (const char *const *p =
		     (const char *const[]){"", "class", "vendor:", "vendor:9", "vendor:9:0",
					   "vendor:9:256", "vendor:0:1", "vendor:9:1 ",
					   "vendor:16777216:1", NULL};
	     *p; p++)
		assert_false(radius_attribute_parse(*p, &none));
}

/* ::1, a multicast address and one of a link are of many: as good as none. */
static void an_address_that_many_have_tells_no_nas(void **state)
{
	static const uint8_t many[][16] = {{[15] = 1}, {0xff, 2, [15] = 1}, {0xfe, 0x80, [15] = 1}};
	struct made none = nas("ap-1", NULL, 0, false);
	for (size_t i = 0; i < sizeof many / sizeof *many; i++) {
		struct made m;
		make(&m, RADIUS_ACCOUNTING_REQUEST);
		put(&m, 32, "ap-1", 4);
		put(&m, 95, many[i], 16);
		assert_true(same_nas(&m, "10.77.3.2", &none, "10.77.3.2"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_has_4096_bytes_at_most),
		cmocka_unit_test(a_start_is_read),
		cmocka_unit_test(an_answer_is_as_others_make_it),
		cmocka_unit_test(what_stands_behind_the_length_is_padding),
		cmocka_unit_test(every_truncation_is_malformed),
		cmocka_unit_test(every_flipped_bit_is_noticed),
		cmocka_unit_test(an_attribute_of_a_wrong_form_is_passed_over),
		cmocka_unit_test(a_bad_message_authenticator_condemns_the_packet),
		cmocka_unit_test(other_codes_and_lengths_are_refused),
		cmocka_unit_test(ipv6_attributes_make_addresses),
		cmocka_unit_test(what_is_no_session_s_address_is_passed_over),
		cmocka_unit_test(a_calling_station_is_a_mac_where_it_is_one),
		cmocka_unit_test(a_status_server_is_genuine_by_its_seal_alone),
		cmocka_unit_test(the_tier_s_attribute_is_found),
		cmocka_unit_test(a_nas_is_told_by_all_that_it_says),
		cmocka_unit_test(what_a_report_leaves_out_is_not_told),
		cmocka_unit_test(what_is_no_user_name_names_nobody),
		cmocka_unit_test(a_request_has_no_more_values_than_room),
		cmocka_unit_test(a_value_that_the_map_lacks_is_no_tier),
		cmocka_unit_test(a_clock_that_is_not_set_says_nothing_of_ends),
		cmocka_unit_test(an_address_that_many_have_tells_no_nas),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
