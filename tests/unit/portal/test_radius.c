#include "unit.h"
#include "base/clock.h"
#include "portal/accounting.h"
#include "portal/radius.h"

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
	assert_true(r.has_nas && address_parse("10.77.1.1", &a) && address_equal(&a, &r.nas));
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

/* A packet under construction. */
struct made {
	uint8_t bytes[RADIUS_MAX];
	size_t len;
};

static void make(struct made *m, uint8_t code)
{
	memset(m, 0, sizeof *m);
	m->bytes[0] = code;
	m->len = 20;
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

static enum parse one(uint8_t type, const void *value, size_t len)
{
	struct made m;
	struct radius_request r;
	make(&m, RADIUS_ACCOUNTING_REQUEST);
	put(&m, type, value, len);
	return parse(m.bytes, m.len, &r);
}

static void lengths_are_exact(void **state)
{
	static const uint8_t numbers[] = {40, 41, 46, 55, 85};
	uint8_t zeros[20] = {0};
	for (size_t i = 0; i < sizeof numbers; i++)
		for (size_t len = 0; len < 9; len++)
			assert_int_equal(one(numbers[i], zeros, len),
					 len == 4 ? PARSE_OK : PARSE_BAD);
	assert_int_equal(one(80, zeros, 15), PARSE_BAD);
	assert_int_equal(one(80, zeros, 17), PARSE_BAD);
	assert_int_equal(one(8, zeros, 3), PARSE_BAD);
	assert_int_equal(one(95, zeros, 15), PARSE_BAD);
	assert_int_equal(one(96, zeros, 7), PARSE_BAD);
	assert_int_equal(one(168, zeros, 15), PARSE_BAD);
	assert_int_equal(one(97, "\0\x80\xfd", 3), PARSE_BAD); /* /128 of one byte */
	assert_int_equal(one(97, "\0\x81", 2), PARSE_BAD);
	assert_int_equal(one(26, zeros, 3), PARSE_BAD);
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
	assert_int_equal(parse(m.bytes, m.len, &r), PARSE_OK);
	assert_int_equal(r.addresses, 0);
	for (int i = 1; i < 12; i++)
		put(&m, 8, (uint8_t[]){10, 0, 0, (uint8_t)i}, 4);
	assert_int_equal(parse(m.bytes, m.len, &r), PARSE_OK);
	assert_int_equal(r.addresses, RADIUS_ADDRESSES);
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

/* ---- sessions ---- */

/* A daemon that keeps a list. */
static struct daemon {
	struct {
		struct address address;
		unsigned session;
		char user[USER_MAX], tier[TIER_MAX];
	} at[32];
	unsigned count, serial, asked;
	bool away, full;
} d;

static int at_index(const struct address *a)
{
	for (unsigned i = 0; i < d.count; i++)
		if (address_equal(&d.at[i].address, a))
			return (int)i;
	return -1;
}

static enum accounting_result daemon_close(void *ctx, const struct address *a)
{
	d.asked++;
	if (d.away)
		return ACCOUNTING_AWAY;
	int i = at_index(a);
	if (i < 0)
		return ACCOUNTING_DONE;
	unsigned session = d.at[i].session, kept = 0;
	for (unsigned k = 0; k < d.count; k++)
		if (d.at[k].session != session)
			d.at[kept++] = d.at[k];
	d.count = kept;
	return ACCOUNTING_DONE;
}

static enum accounting_result daemon_open(void *ctx, const struct address *a, const char *user,
					  const char *tier)
{
	if (strcmp(tier, "gone") == 0)
		return ACCOUNTING_NO_TIER;
	if (d.full)
		return ACCOUNTING_FULL;
	if (daemon_close(ctx, a) == ACCOUNTING_AWAY)
		return ACCOUNTING_AWAY;
	d.at[d.count].address = *a;
	d.at[d.count].session = ++d.serial;
	strcpy(d.at[d.count].user, user);
	strcpy(d.at[d.count++].tier, tier);
	return ACCOUNTING_DONE;
}

static enum accounting_result daemon_add(void *ctx, const struct address *with,
					 const struct address *a)
{
	d.asked++;
	if (d.away)
		return ACCOUNTING_AWAY;
	int i = at_index(with);
	if (i < 0)
		return ACCOUNTING_ENDED;
	d.at[d.count] = d.at[i];
	d.at[d.count++].address = *a;
	return ACCOUNTING_DONE;
}

static const struct accounting_ops ops = {daemon_open, daemon_add, daemon_close};
static struct accounting *a;
static int64_t now;
#define WINDOW (300 * NS_PER_S)
#define LASTS  (1800 * NS_PER_S)

static int set_up_of(uint32_t capacity)
{
	memset(&d, 0, sizeof d);
	now = 1800000000 * NS_PER_S;
	a = accounting_new(capacity, WINDOW, &ops, NULL);
	return a ? 0 : -1;
}

static int set_up(void **state)
{
	return set_up_of(64);
}

static int tear_down(void **state)
{
	accounting_free(a);
	return 0;
}

/* A report: status, session, user, addresses (up to two), time in seconds from the start. */
static struct accounting_report report(enum radius_status status, unsigned session,
				       const char *user, const char *first, const char *second,
				       int time)
{
	struct accounting_report r = {.status = status, .lasts = LASTS, .tier = "staff"};
	const char *text[] = {first, second};
	r.nas[0] = 1;
	memcpy(r.session, &session, sizeof session);
	strcpy(r.user, user);
	for (int i = 0; i < 2; i++)
		if (text[i])
			assert_true(address_parse(text[i], &r.address[r.addresses++]));
	r.time = (1800000000 + (int64_t)time) * NS_PER_S;
	r.has_time = true;
	return r;
}

static enum accounting_result take(struct accounting_report r)
{
	r.heard = now;
	return accounting_take(a, &r, now);
}

static const char *who(const char *address)
{
	struct address at;
	assert_true(address_parse(address, &at));
	int i = at_index(&at);
	return i < 0 ? "" : d.at[i].user;
}

#define START(session, user, ...)   take(report(RADIUS_START, session, user, __VA_ARGS__))
#define INTERIM(session, user, ...) take(report(RADIUS_INTERIM, session, user, __VA_ARGS__))
#define STOP(session, user, ...)    take(report(RADIUS_STOP, session, user, __VA_ARGS__))

static void a_session_opens_and_ends(void **state)
{
	assert_int_equal(START(1, "ann", "10.0.0.1", "fd00::1", 0), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "ann");
	assert_string_equal(who("fd00::1"), "ann");
	assert_int_equal(d.serial, 1);
	assert_int_equal(STOP(1, "ann", "10.0.0.1", "fd00::1", 60), ACCOUNTING_DONE);
	assert_int_equal(d.count, 0);
}

static void repeated_reports_ask_nothing_of_the_daemon(void **state)
{
	START(1, "ann", "10.0.0.1", NULL, 0);
	unsigned asked = d.asked;
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, 0), ACCOUNTING_DONE);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", NULL, 60), ACCOUNTING_DONE);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", NULL, 60), ACCOUNTING_DONE);
	assert_int_equal(d.asked, asked);
	assert_int_equal(d.serial, 1);
}

static void a_start_after_its_stop_opens_nothing(void **state)
{
	assert_int_equal(STOP(1, "ann", "10.0.0.1", NULL, 60), ACCOUNTING_DONE);
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, 0), ACCOUNTING_OLD);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", NULL, 30), ACCOUNTING_OLD);
	struct accounting_report r = report(RADIUS_INTERIM, 1, "ann", "10.0.0.1", NULL, 90);
	r.has_time = false; /* who does not say when can't be newer */
	assert_int_equal(take(r), ACCOUNTING_OLD);
	assert_int_equal(d.count, 0);
}

static void an_identifier_used_again_is_a_new_session(void **state)
{
	START(1, "ann", "10.0.0.1", NULL, 0);
	STOP(1, "ann", "10.0.0.1", NULL, 60);
	assert_int_equal(START(1, "bob", "10.0.0.1", NULL, 61), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "bob");
	assert_int_equal(STOP(1, "ann", "10.0.0.1", NULL, 60), ACCOUNTING_OLD); /* replayed */
	assert_string_equal(who("10.0.0.1"), "bob");
}

static void an_old_interim_moves_nothing(void **state)
{
	START(1, "ann", "10.0.0.1", NULL, 0);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.2", NULL, 120), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "");
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", NULL, 60), ACCOUNTING_OLD);
	assert_string_equal(who("10.0.0.2"), "ann");
	struct accounting_report r = report(RADIUS_INTERIM, 1, "ann", "10.0.0.2", NULL, 0);
	r.has_time = false;
	r.has_session_time = true;
	r.session_time = 180;
	r.time = now;
	assert_int_equal(take(r), ACCOUNTING_DONE);
	r.session_time = 179;
	r.address[0].bytes[15] = 9;
	assert_int_equal(take(r), ACCOUNTING_OLD);
	assert_string_equal(who("10.0.0.2"), "ann");
}

static void replays_far_from_now_open_nothing(void **state)
{
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, -301), ACCOUNTING_STALE);
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, 301), ACCOUNTING_STALE);
	assert_int_equal(d.count, 0);
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, -300), ACCOUNTING_DONE);
	assert_int_equal(START(2, "bob", "10.0.0.2", NULL, 300), ACCOUNTING_DONE);
	/* a Stop that was long on its way still ends */
	now += 3600 * NS_PER_S;
	assert_int_equal(STOP(1, "ann", "10.0.0.1", NULL, 0), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "");
}

/* No report that could be replayed within its window is forgotten before. */
static void what_ended_is_remembered_beyond_the_window(void **state)
{
	START(1, "ann", "10.0.0.1", NULL, 300);
	STOP(1, "ann", "10.0.0.1", NULL, 300);
	for (int s = 0; s <= 600; s += 30) {
		now = (1800000000 + (int64_t)s) * NS_PER_S;
		accounting_sweep(a, now);
		START(1, "ann", "10.0.0.1", NULL, 300);
		assert_int_equal(d.count, 0);
	}
}

static void addresses_come_and_move(void **state)
{
	assert_int_equal(START(1, "ann", NULL, NULL, 0), ACCOUNTING_NO_ADDRESS);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", NULL, 1), ACCOUNTING_DONE);
	assert_int_equal(INTERIM(1, "ann", "fd00::1", NULL, 2), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "ann"); /* nothing was said of IPv4 */
	assert_string_equal(who("fd00::1"), "ann");
	assert_int_equal(d.serial, 1);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.2", NULL, 3), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "");
	assert_string_equal(who("10.0.0.2"), "ann");
	assert_string_equal(who("fd00::1"), "ann");
}

/* The Stop of who had the address before must not sign out who has it now. */
static void a_late_stop_ends_nobody_else(void **state)
{
	START(1, "ann", "10.0.0.1", "10.0.0.3", 0);
	START(2, "bob", "10.0.0.1", NULL, 5);
	assert_string_equal(who("10.0.0.1"), "bob");
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", NULL, 6), ACCOUNTING_ENDED);
	assert_int_equal(STOP(1, "ann", "10.0.0.1", NULL, 7), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "bob");
	assert_int_equal(STOP(2, "bob", "10.0.0.1", NULL, 8), ACCOUNTING_DONE);
	assert_int_equal(d.count, 0);
}

static void who_was_signed_out_by_hand_stays_out(void **state)
{
	struct address at;
	START(1, "ann", "10.0.0.1", NULL, 0);
	assert_true(address_parse("10.0.0.1", &at));
	daemon_close(NULL, &at);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", "fd00::1", 60), ACCOUNTING_ENDED);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", "fd00::1", 120), ACCOUNTING_ENDED);
	assert_int_equal(d.count, 0);
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, 121), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "ann");
}

static void a_tier_changes_and_goes(void **state)
{
	struct accounting_report r = report(RADIUS_INTERIM, 1, "ann", "10.0.0.1", NULL, 1);
	START(1, "ann", "10.0.0.1", NULL, 0);
	strcpy(r.tier, "guest");
	assert_int_equal(take(r), ACCOUNTING_DONE);
	assert_string_equal(d.at[0].tier, "guest");
	assert_int_equal(d.count, 1);
	r.tier[0] = '\0';
	assert_int_equal(take(r), ACCOUNTING_NO_TIER);
	assert_int_equal(d.count, 0);
	strcpy(r.tier, "gone");
	assert_int_equal(take(r), ACCOUNTING_NO_TIER);
	r.user[0] = '\0';
	assert_int_equal(take(r), ACCOUNTING_NO_USER);
}

static void a_lost_stop_is_bounded(void **state)
{
	struct accounting_counters c;
	START(1, "ann", "10.0.0.1", NULL, 0);
	now += LASTS - NS_PER_S;
	accounting_sweep(a, now);
	assert_int_equal(d.count, 1);
	now += NS_PER_S;
	d.away = true;
	accounting_sweep(a, now);
	d.away = false;
	accounting_sweep(a, now);
	assert_int_equal(d.count, 0);
	accounting_count(a, &c);
	assert_int_equal(c.timed_out, 1);
	assert_int_equal(c.open, 0);
	struct accounting_report r = report(RADIUS_INTERIM, 1, "ann", "10.0.0.1", NULL, 0);
	r.has_time = false; /* it was only the network */
	assert_int_equal(take(r), ACCOUNTING_DONE);
	assert_int_equal(d.count, 1);
}

static void a_restart_ends_what_was_before_it(void **state)
{
	START(1, "ann", "10.0.0.1", NULL, 0);
	START(2, "bob", "10.0.0.2", NULL, 50);
	struct accounting_report other = report(RADIUS_START, 3, "cat", "10.0.0.3", NULL, 0);
	other.nas[0] = 2;
	assert_int_equal(take(other), ACCOUNTING_DONE);
	assert_int_equal(take(report(RADIUS_ON, 0, "", NULL, NULL, 40)), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "");
	assert_string_equal(who("10.0.0.2"), "bob");
	assert_string_equal(who("10.0.0.3"), "cat");
	d.away = true;
	assert_int_equal(take(report(RADIUS_OFF, 0, "", NULL, NULL, 60)), ACCOUNTING_AWAY);
	d.away = false;
	assert_int_equal(take(report(RADIUS_OFF, 0, "", NULL, NULL, 60)), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.2"), "");
	assert_string_equal(who("10.0.0.3"), "cat");
}

static void nothing_is_lost_while_the_daemon_is_away(void **state)
{
	d.away = true;
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, 0), ACCOUNTING_AWAY);
	d.away = false;
	assert_int_equal(START(1, "ann", "10.0.0.1", NULL, 0), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.1"), "ann");
	d.away = true;
	assert_int_equal(STOP(1, "ann", "10.0.0.1", NULL, 9), ACCOUNTING_AWAY);
	d.away = false;
	assert_int_equal(STOP(1, "ann", "10.0.0.1", NULL, 9), ACCOUNTING_DONE);
	assert_int_equal(d.count, 0);
	d.full = true;
	assert_int_equal(START(2, "bob", "10.0.0.2", NULL, 9), ACCOUNTING_FULL);
	assert_false(accounting_answered(ACCOUNTING_FULL) || accounting_answered(ACCOUNTING_AWAY));
	assert_true(accounting_answered(ACCOUNTING_OLD) && accounting_answered(ACCOUNTING_STALE));
}

static void sessions_of_before_are_taken_over(void **state)
{
	struct accounting_report old = report(0, 0, "ann", "10.0.0.1", "fd00::1", 0);
	struct accounting_report dan = report(0, 0, "dan", "10.0.0.4", NULL, 0);
	old.time = dan.time = 0;
	daemon_open(NULL, &old.address[0], "ann", "staff");
	daemon_add(NULL, &old.address[0], &old.address[1]);
	daemon_open(NULL, &dan.address[0], "dan", "staff");
	accounting_adopt(a, &old, now);
	accounting_adopt(a, &old, now); /* twice is once */
	accounting_adopt(a, &dan, now);
	assert_int_equal(INTERIM(1, "ann", "10.0.0.1", NULL, 0), ACCOUNTING_DONE);
	assert_int_equal(d.serial, 2); /* no new session */
	assert_int_equal(STOP(1, "ann", "10.0.0.1", NULL, 5), ACCOUNTING_DONE);
	assert_int_equal(d.count, 1);
	assert_int_equal(STOP(7, "eve", "10.0.0.4", NULL, 5), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.4"), "dan"); /* not eve's */
	now += LASTS;
	accounting_sweep(a, now);
	assert_int_equal(d.count, 0); /* nobody reported it */
}

static void a_full_table_refuses_and_forgets_what_ended(void **state)
{
	tear_down(NULL);
	assert_int_equal(set_up_of(4), 0);
	char address[16];
	for (unsigned i = 1; i <= 5; i++) {
		snprintf(address, sizeof address, "10.0.0.%u", i);
		assert_int_equal(START(i, "ann", address, NULL, 0),
				 i <= 4 ? ACCOUNTING_DONE : ACCOUNTING_FULL);
	}
	assert_int_equal(STOP(2, "ann", "10.0.0.2", NULL, 1), ACCOUNTING_DONE);
	assert_int_equal(START(5, "eve", "10.0.0.5", NULL, 2), ACCOUNTING_DONE);
	assert_string_equal(who("10.0.0.5"), "eve");
	assert_string_equal(who("10.0.0.2"), "");
	assert_string_equal(who("10.0.0.4"), "ann");
	assert_int_equal(START(6, "fay", "10.0.0.6", NULL, 3), ACCOUNTING_FULL);
}

/* Reports in every order, thrice each: who is signed in at the end is who reported last. */
static void any_order_ends_the_same(void **state)
{
	unsigned seed = 1;
	for (int round = 0; round < 200; round++) {
		struct accounting_report list[12];
		tear_down(NULL);
		assert_int_equal(set_up_of(16), 0);
		for (unsigned i = 0; i < 12; i++) {
			static const enum radius_status status[] = {RADIUS_START, RADIUS_INTERIM,
								    RADIUS_INTERIM, RADIUS_STOP};
			unsigned which = i % 4;
			list[i] = report(status[which], i / 4 + 1, i / 4 == 1 ? "bob" : "ann",
					 i / 4 == 2 ? "10.0.0.2" : "10.0.0.1", NULL, (int)i * 10);
		}
		for (unsigned i = 0; i < 36; i++) {
			seed = seed * 1103515245 + 12345;
			take(list[(seed >> 16) % 12]);
		}
		for (unsigned i = 3; i < 12;
		     i += 4) /* what a client got no answer to comes again */
			take(list[i]);
		assert_int_equal(d.count, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_start_is_read),
		cmocka_unit_test(an_answer_is_as_others_make_it),
		cmocka_unit_test(what_stands_behind_the_length_is_padding),
		cmocka_unit_test(every_truncation_is_malformed),
		cmocka_unit_test(every_flipped_bit_is_noticed),
		cmocka_unit_test(lengths_are_exact),
		cmocka_unit_test(other_codes_and_lengths_are_refused),
		cmocka_unit_test(ipv6_attributes_make_addresses),
		cmocka_unit_test(what_is_no_session_s_address_is_passed_over),
		cmocka_unit_test(the_tier_s_attribute_is_found),
#define SESSION_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		SESSION_TEST(a_session_opens_and_ends),
		SESSION_TEST(repeated_reports_ask_nothing_of_the_daemon),
		SESSION_TEST(a_start_after_its_stop_opens_nothing),
		SESSION_TEST(an_identifier_used_again_is_a_new_session),
		SESSION_TEST(an_old_interim_moves_nothing),
		SESSION_TEST(replays_far_from_now_open_nothing),
		SESSION_TEST(what_ended_is_remembered_beyond_the_window),
		SESSION_TEST(addresses_come_and_move),
		SESSION_TEST(a_late_stop_ends_nobody_else),
		SESSION_TEST(who_was_signed_out_by_hand_stays_out),
		SESSION_TEST(a_tier_changes_and_goes),
		SESSION_TEST(a_lost_stop_is_bounded),
		SESSION_TEST(a_restart_ends_what_was_before_it),
		SESSION_TEST(nothing_is_lost_while_the_daemon_is_away),
		SESSION_TEST(sessions_of_before_are_taken_over),
		SESSION_TEST(a_full_table_refuses_and_forgets_what_ended),
		SESSION_TEST(any_order_ends_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
