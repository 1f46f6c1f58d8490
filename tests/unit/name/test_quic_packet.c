#include "name/quic_packet.h"
#include "seal.h"
#include "unit.h"

static struct bytes plain, out;

/* RFC 9000 A.1. */
static void varints(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		uint64_t value;
	} samples[] = {{"\xc2\x19\x7c\x5e\xff\x14\xe8\x8c", 8, 151288809941952652},
		       {"\x9d\x7f\x3e\x7d", 4, 494878333},
		       {"\x7b\xbd", 2, 15293},
		       {"\x25", 1, 37},
		       {"\x40\x25", 2, 37}};
	for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
		struct cursor c = cursor_of((const uint8_t *)samples[i].bytes, samples[i].len);
		assert_int_equal(quic_varint(&c), samples[i].value);
		assert_false(c.bad);
		assert_int_equal(cursor_left(&c), 0);
		c = cursor_of((const uint8_t *)samples[i].bytes, samples[i].len - 1);
		quic_varint(&c);
		assert_true(c.bad);
	}
}

static struct quic_packet initial(struct seal *s)
{
	struct quic_packet p;
	out.len = 0;
	put_initial(&out, s, plain.at, plain.len);
	struct cursor c = cursor_of(out.at, out.len);
	assert_true(quic_packet_read(&c, &p));
	assert_int_equal(cursor_left(&c), 0);
	return p;
}

static void a_header(void **state)
{
	for (int v = 0; v < SEAL_VERSIONS; v++) {
		struct seal s = seal_of(v);
		s.token = "token";
		plain.len = 0;
		put_number(&plain, 0, 4);
		struct quic_packet p = initial(&s);
		assert_true(quic_is_initial(&p));
		assert_false(quic_is_zero_rtt(&p));
		assert_int_equal(p.version, seal_versions[v].number);
		assert_int_equal(p.dialect, quic_dialect(p.version));
		assert_int_equal(p.token_len, 5);
		assert_int_equal(p.dcid_len, s.dcid_len);
		assert_memory_equal(p.dcid, s.dcid, s.dcid_len);
		p.type = seal_versions[v].zero_rtt;
		assert_true(quic_is_zero_rtt(&p));
		assert_false(quic_is_initial(&p));
	}
	assert_int_equal(quic_dialect(0), -1);
	assert_int_equal(quic_dialect(2), -1);
}

/* IDs have 20 bytes at most (RFC 9000 17.2), and a packet ends where its length says. */
static void bounds_of_a_header(void **state)
{
	for (unsigned dcid = 0; dcid < 30; dcid++)
		for (unsigned scid = 0; scid < 30; scid++) {
			struct quic_packet p;
			uint8_t bytes[100] = {0xc0, 0, 0, 0, 1, (uint8_t)dcid};
			bytes[6 + dcid] = (uint8_t)scid;
			size_t head = 7 + dcid + scid; /* no token; length 20 */
			bytes[head + 1] = 20;
			struct cursor c = cursor_of(bytes, head + 2 + 20);
			assert_int_equal(quic_packet_read(&c, &p), dcid <= 20 && scid <= 20);
			c = cursor_of(bytes, head + 2 + 19);
			assert_false(quic_packet_read(&c, &p));
		}
}

/* RFC 9000 A.3: what is sent of a number stands for the one nearest to the next. */
static void numbers(void **state)
{
	static const struct {
		uint64_t next, sent;
		int bytes;
	} samples[] = {{0xa82f30eb, 0xa82f9b32, 2},
		       {0, 0, 1},
		       {0x80, 0xff, 1},
		       {0x100, 0x81, 1},
		       {0x100, 0x17f, 1}};
	static struct quic_keys keys;
	quic_keys_init(&keys);
	for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
		struct seal s = seal_of(0);
		s.number_len = samples[i].bytes;
		s.sent = samples[i].sent;
		s.number = (uint32_t)samples[i].sent;
		plain.len = 0;
		put_number(&plain, 0, 4);
		put_number(&plain, 0, 4);
		struct quic_packet p = initial(&s);
		struct quic_opened o;
		uint8_t room[64];
		assert_true(quic_unseal(&keys, &p, p.dcid, p.dcid_len, samples[i].next, room,
					sizeof room, &o));
		assert_int_equal(o.number, samples[i].sent);
	}
}

/* A bit of the packet that differs anywhere, another ID or less room: it does not open. */
static void what_does_not_open(void **state)
{
	static struct quic_keys keys;
	struct seal s = seal_of(0);
	struct quic_opened o;
	uint8_t room[64], id[20] = {1};
	quic_keys_init(&keys);
	plain.len = 0;
	for (int i = 0; i < 32; i++)
		put_number(&plain, 0, 1);
	struct quic_packet p = initial(&s);
	assert_true(quic_unseal(&keys, &p, p.dcid, p.dcid_len, 0, room, 32, &o));
	assert_int_equal(cursor_left(&o.plain), 32);
	assert_false(quic_unseal(&keys, &p, p.dcid, p.dcid_len, 0, room, 31, &o));
	assert_false(quic_unseal(&keys, &p, id, p.dcid_len, 0, room, 32, &o));
	for (size_t bit = 0; bit < 8 * cursor_left(&p.body); bit++) {
		uint8_t *at = out.at + (p.body.pos - out.at) + bit / 8;
		*at ^= (uint8_t)(1 << bit % 8);
		assert_false(quic_unseal(&keys, &p, p.dcid, p.dcid_len, 0, room, 32, &o));
		*at ^= (uint8_t)(1 << bit % 8);
	}
}

/* One byte more of header than there is room to unprotect it in goes nowhere. */
static void a_long_header_stays_in_its_room(void **state)
{
	static struct {
		struct quic_keys keys;
		uint8_t after[4096];
	} w;
	static uint8_t bytes[16384] = {0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0};
	enum { HEAD = 15, LENGTHS = 4, BODY = 40 };
	quic_keys_init(&w.keys);
	for (size_t header = sizeof w.keys.header - 4; header < 8192; header += 1000) {
		size_t token = header - HEAD - LENGTHS;
		struct quic_packet p;
		struct quic_opened o;
		uint8_t room[64];
		bytes[HEAD] = (uint8_t)(0x40 | token >> 8);
		bytes[HEAD + 1] = (uint8_t)token;
		bytes[header - 2] = 0x40;
		bytes[header - 1] = BODY;
		memset(bytes + header, 0xff, 64);
		struct cursor c = cursor_of(bytes, header + BODY);
		assert_true(quic_packet_read(&c, &p));
		assert_int_equal(p.body.pos - p.start, header);
		assert_false(
			quic_unseal(&w.keys, &p, p.dcid, p.dcid_len, 0, room, sizeof room, &o));
		for (size_t i = 0; i < sizeof w.after; i++)
			assert_int_equal(w.after[i], 0);
		memset(bytes + HEAD, 0, sizeof bytes - HEAD);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(varints),
		cmocka_unit_test(a_header),
		cmocka_unit_test(bounds_of_a_header),
		cmocka_unit_test(numbers),
		cmocka_unit_test(what_does_not_open),
		cmocka_unit_test(a_long_header_stays_in_its_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
