/* Fragments of a capture, from within: whose they are, when they are whole, when they are lost, and
 * what goes for what. */
#include "no_memory.h"
#include "unit.h"

#include "source/defrag.c"

static unsigned lost;
static struct packet lost_one;

static void on_lost(void *ctx, const struct packet *p)
{
	assert_ptr_equal(ctx, &lost);
	lost++;
	lost_one = *p;
}

static struct defrag *d;

static int begin(void **state)
{
	lost = 0;
	d = defrag_new(true, on_lost, &lost);
	return d ? 0 : -1;
}

static int end(void **state)
{
	defrag_free(d);
	return 0;
}

/* A fragment of `len` bytes from an offset; of UDP over IPv4 or IPv6. */
struct fragment {
	uint8_t ip[60];
	uint8_t bytes[65536];
	struct packet p;
	struct pcap_frame frame;
};

static struct fragment f;

static struct packet *fragment(bool four, uint32_t id, uint16_t offset, bool more, size_t len)
{
	f.p = (struct packet){.transport = 17,
			      .fragment_id = id,
			      .fragment_offset = offset,
			      .fragment_more = more,
			      .ip = f.ip,
			      .ip_header_len = four ? 20 : 48};
	assert_true(address_parse(four ? "10.0.0.1" : "2001:db8::1", &f.p.src));
	assert_true(address_parse(four ? "192.0.2.1" : "2001:db8::2", &f.p.dst));
	memset(f.ip, 0, sizeof f.ip);
	f.ip[0] = four ? 0x45 : 0x60;
	f.ip[6] = four ? 0x20 : 44;
	if (four)
		f.ip[9] = 17;
	for (size_t i = 0; i < len; i++)
		f.bytes[i] = (uint8_t)(offset + i);
	f.p.payload = cursor_of(f.bytes, len);
	f.frame = (struct pcap_frame){.caplen = (uint32_t)len, .bytes = f.bytes};
	return &f.p;
}

static bool add(struct packet *p, int64_t now, struct joined *out)
{
	return defrag_add(d, p, false, now, &f.frame, out);
}

/* Addresses, identification and, of IPv4, protocol. */
static void a_fragment_belongs_by_all_that_tells_it(void **state)
{
	for (int four = 0; four < 2; four++) {
		struct packet p = *fragment(four, 7, 0, true, 8);
		struct datagram g = {.used = true, .of = p};
		assert_true(belongs(&g, &p));
		p.fragment_id = 8;
		assert_false(belongs(&g, &p));
		p = g.of;
		p.src.bytes[15] ^= 1;
		assert_false(belongs(&g, &p));
		p = g.of;
		p.dst.bytes[15] ^= 1;
		assert_false(belongs(&g, &p));
		p = g.of;
		p.transport = 6;
		assert_int_equal(belongs(&g, &p), !four);
		p = g.of;
		g.used = false;
		assert_false(belongs(&g, &p));
	}
}

/* Whole with its last byte, in any order; its header is that of a whole packet. */
static void fragments_make_a_packet(void **state)
{
	for (int four = 0; four < 2; four++)
		for (int order = 0; order < 2; order++) {
			struct joined j = {0};
			size_t head = four ? 20 : 40;
			assert_false(add(fragment(four, 7, order ? 8 : 0, !order, order ? 5 : 8), 1,
					 &j));
			assert_true(
				add(fragment(four, 7, order ? 0 : 8, order, order ? 8 : 5), 1, &j));
			assert_int_equal(j.len, head + 13);
			for (size_t i = 0; i < 13; i++)
				assert_int_equal(j.bytes[head + i], i);
			unsigned len = four ? 33 : 13;
			assert_int_equal(j.bytes[four ? 2 : 4] << 8 | j.bytes[four ? 3 : 5], len);
			assert_int_equal(j.bytes[6], four ? 0 : 17);
			assert_int_equal(lost, 0);
			assert_int_equal(d->datagram[0].used, false);
		}
}

/* Two ends, or bytes beyond the end, or other bytes in the place of some. */
static void what_contradicts_itself_is_lost_once(void **state)
{
	struct joined j;
	assert_false(add(fragment(true, 7, 8, false, 5), 1, &j));
	assert_false(add(fragment(true, 7, 8, false, 6), 1, &j));
	assert_int_equal(lost, 1);
	assert_false(add(fragment(true, 7, 0, true, 8), 1, &j)); /* swallowed */
	assert_int_equal(lost, 1);
	assert_false(add(fragment(true, 8, 8, false, 5), 1, &j));
	assert_false(add(fragment(true, 8, 16, true, 8), 1, &j));
	assert_int_equal(lost, 2);
	assert_false(add(fragment(true, 9, 0, true, 8), 1, &j));
	struct packet *p = fragment(true, 9, 0, true, 8);
	f.bytes[3] ^= 1;
	assert_false(add(p, 1, &j));
	assert_int_equal(lost, 3);
	p = fragment(true, 10, 0, true, 8);
	assert_false(defrag_add(d, p, true, 1, &f.frame, &j)); /* cut by the capture */
	assert_int_equal(lost, 4);
	assert_int_equal(lost_one.transport, 17);
}

/* A minute, or what that is here, and no longer. */
static void what_never_becomes_whole_is_lost_in_time(void **state)
{
	struct joined j;
	assert_false(add(fragment(true, 7, 0, true, 8), 1000, &j));
	defrag_expire(d, 1000 + TIMEOUT);
	assert_int_equal(lost, 0);
	defrag_expire(d, 1000 + TIMEOUT + 1);
	assert_int_equal(lost, 1);
	assert_false(d->datagram[0].used);
	assert_false(add(fragment(true, 7, 8, false, 5), 2000 + TIMEOUT, &j)); /* a new one */
	assert_int_equal(lost, 1);
}

static void the_oldest_goes_where_there_is_no_room(void **state)
{
	struct joined j;
	for (uint32_t i = 0; i < DATAGRAMS; i++)
		assert_false(
			add(fragment(true, i, 8, false, 5), i == 5 ? 1 : 100 + (int64_t)i, &j));
	assert_int_equal(lost, 0);
	assert_false(add(fragment(true, 1000, 8, false, 5), 900, &j));
	assert_int_equal(lost, 1);
	assert_int_equal(lost_one.fragment_id, 5);
	for (uint32_t i = 0; i < DATAGRAMS; i++)
		if (i != 5)
			assert_true(add(fragment(true, i, 0, true, 8), 901, &j));
	assert_true(add(fragment(true, 1000, 0, true, 8), 901, &j));
	assert_int_equal(lost, 1);
}

/* The largest packet is whole; one that would be larger is none. */
static void a_packet_has_its_largest(void **state)
{
	for (int four = 0; four < 2; four++)
		for (uint32_t more = 0; more < 2; more++) {
			struct joined j = {0};
			uint32_t len = 65535 - (four ? 20 : 0) + more, half = 32768;
			lost = 0;
			assert_false(add(fragment(four, 7 + more, 0, true, half), 1, &j));
			bool whole = add(
				fragment(four, 7 + more, (uint16_t)half, false, len - half), 1, &j);
			assert_int_equal(whole, !more);
			assert_int_equal(lost, more);
			if (whole)
				assert_int_equal(j.len, len + (four ? 20 : 40));
		}
}

static void without_memory_there_is_none(void **state)
{
	bool failed = NO_MEMORY;
	for (long n = 0; failed; n++) {
		no_memory_at(n);
		struct defrag *one = defrag_new(false, on_lost, &lost);
		failed = no_memory_failed;
		no_memory_end();
		assert_true(!one == failed);
		defrag_free(one);
	}
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		WITH(a_fragment_belongs_by_all_that_tells_it),
		WITH(fragments_make_a_packet),
		WITH(what_contradicts_itself_is_lost_once),
		WITH(what_never_becomes_whole_is_lost_in_time),
		WITH(the_oldest_goes_where_there_is_no_room),
		WITH(a_packet_has_its_largest),
		WITH(without_memory_there_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
