/* The input is a list of packets {what 8 bits, length 16 bits, bytes} that a client sends in one
 * flow. The bytes are frames, which are sealed here, so that what is searched lies behind the AEAD;
 * `what` picks version, IDs and whether the packet begins a datagram, or makes it raw bytes. */
#include "../unit/name/seal.h"
#include "base/host.h"
#include "name/quic.h"
#include <stdlib.h>

enum { VERSION = 0x03, OTHER_ID = 0x04, OTHER_KEYS = 0x08, NUMBER = 0x10, SAME = 0x20, RAW = 0x40 };

static struct quic *quic;
static struct stream_pool *pool;
static struct bytes out;

/* A piece of what was told, as it was and with a byte changed. */
static void compare(struct quic_flow *f, struct stream **crypto, const uint8_t *told, size_t from,
		    size_t len)
{
	static struct bytes plain, again;
	const struct quic_connection *c = &f->known[0];
	struct seal s = {.key_id = c->dcid,
			 .key_id_len = c->dcid_len,
			 .dcid = c->dcid,
			 .dcid_len = c->dcid_len,
			 .number_len = 4};
	for (int changed = 0; changed < 2; changed++) {
		struct hello h;
		bool conflict;
		for (int i = 0; i < SEAL_VERSIONS; i++)
			if (seal_versions[i].number == c->version)
				s.version = &seal_versions[i];
		s.sent = c->next;
		plain.len = again.len = 0;
		put_crypto(&plain, from, told + from, len);
		plain.at[plain.len - 1] ^= (uint8_t)changed;
		while (plain.len < 4)
			put_number(&plain, 0, 1);
		put_initial(&again, &s, plain.at, plain.len);
		while (again.len < QUIC_DATAGRAM_MIN)
			put_number(&again, 0, 1);
		enum parse answer = quic_datagram(quic, f, cursor_of(again.at, again.len), pool,
						  crypto, &conflict, &h);
		if (changed ? answer != PARSE_BAD || !conflict : answer != PARSE_MORE || f->waits)
			abort();
	}
}

/* A hello that was told is kept: any part of it again says nothing new, any other byte conflicts.
 */
static void compare_told(struct quic_flow *f, struct stream **crypto)
{
	static uint8_t told[STREAM_MAX];
	size_t done = f->known[0].done;
	if (!*crypto || !done || f->known[0].next > UINT32_MAX)
		return;
	struct cursor head = stream_head(*crypto);
	memcpy(told, head.pos, done);
	size_t step = done / 3 + 1, len = done < 900 ? done : 900;
	compare(f, crypto, told, 0, len);
	for (size_t from = 0; from < done; from += step)
		compare(f, crypto, told, from, done - from < 7 ? done - from : 7);
}

static enum parse read_one(struct quic_flow *f, struct stream **crypto)
{
	struct hello h;
	struct host again;
	bool conflict;
	while (out.len && out.len < QUIC_DATAGRAM_MIN)
		put_number(&out, 0,
			   1); /* as a client's is: an Initial in a smaller one is nothing */
	uint8_t *copy = exact(out.at, out.len);
	enum parse answer =
		quic_datagram(quic, f, cursor_of(copy, out.len), pool, crypto, &conflict, &h);
	free(copy);
	out.len = 0;
	if (conflict && answer != PARSE_BAD)
		abort();
	if (answer == PARSE_OK)
		compare_told(f, crypto);
	if (answer == PARSE_OK && h.name == HELLO_NAME_OK &&
	    host_canonical(h.host.text, h.host.len, &again) != PARSE_OK)
		abort();
	return answer;
}

static void add_packet(uint8_t what, struct cursor frames, uint32_t number)
{
	static const uint8_t ids[2][8] = {{1, 2, 3, 4, 5, 6, 7, 8}, {8, 7, 6, 5, 4, 3, 2, 1}};
	static struct bytes plain;
	struct seal s = {&seal_versions[what & VERSION],
			 ids[!!(what & OTHER_KEYS)],
			 8,
			 ids[!!(what & OTHER_ID)],
			 8,
			 NULL,
			 number,
			 what & NUMBER ? 1 : 4,
			 false,
			 0,
			 0};
	plain.len = 0;
	put(&plain, frames.pos, cursor_left(&frames));
	while (plain.len < 4)
		put_number(&plain, 0, 1);
	if (what & RAW)
		put(&out, frames.pos, cursor_left(&frames));
	else
		put_initial(&out, &s, plain.at, plain.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct quic_flow flow = {0};
	struct stream *crypto = NULL;
	struct cursor c = cursor_of(data, size);
	enum parse answer = PARSE_MORE;
	if (!quic) {
		quic = quic_new();
		pool = stream_pool_new(1);
	}
	out.len = 0;
	for (uint32_t number = 0; cursor_left(&c) > 0 && answer != PARSE_BAD; number++) {
		uint8_t what = cursor_u8(&c);
		size_t len = cursor_u16(&c), left = cursor_left(&c);
		if (!(what & SAME) || out.len > 60000)
			answer = read_one(&flow, &crypto);
		add_packet(what, cursor_sub(&c, len < left ? len : left), number);
	}
	if (answer != PARSE_BAD)
		read_one(&flow, &crypto);
	if (crypto)
		stream_put(pool, crypto);
	crypto = stream_get(pool);
	if (!crypto)
		abort();
	stream_put(pool, crypto);
	return 0;
}
