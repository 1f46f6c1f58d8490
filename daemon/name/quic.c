#include "name/quic.h"
#include "name/quic_packet.h"
#include "name/tls.h"
#include <stdlib.h>
#include <sys/random.h>

enum { ID_MIN = 8 };
enum { PADDING = 0, PING = 1, ACK = 2, ACK_ECN = 3, CRYPTO = 6, CLOSE = 0x1c };
enum { CHUNKS_MAX = 256, BYTES_MAX = 65536 };
enum { TRIES_MAX = 16 };   /* of what looks like an Initial inside a joined packet, and is none */
enum { HANDSHAKE_S = 30 }; /* after which no server waits for the rest of a hello */

/* A CRYPTO frame of the datagram at hand. */
struct chunk {
	uint64_t offset;
	struct cursor bytes;
};

struct quic {
	struct quic_keys keys;       /* of the last Initial */
	struct gcm_aes128_ctx print; /* keyed with a secret of this process */
	struct chunk chunks[CHUNKS_MAX];
	size_t chunk_count, plain_used;
	uint8_t plain[BYTES_MAX]; /* all Initials of the datagram at hand */
	uint8_t spare[BYTES_MAX]; /* what other keys make of one */
};

struct quic *quic_new(void)
{
	uint8_t secret[AES128_KEY_SIZE];
	struct quic *q = malloc(sizeof *q);
	if (!q || getrandom(secret, sizeof secret, 0) != sizeof secret) {
		free(q);
		return NULL;
	}
	gcm_aes128_set_key(&q->print, secret);
	quic_keys_init(&q->keys);
	return q;
}

void quic_free(struct quic *q)
{
	free(q);
}

/* What the keys of a flow make of an Initial. */
struct opening {
	struct quic_opened in;
	int by;         /* index of the connection; -1: its own destination ID */
	unsigned count; /* of the keys that open it */
};

static void try_keys(struct quic *q, const struct quic_packet *p, const uint8_t *dcid,
		     uint8_t dcid_len, uint64_t next, int by, struct opening *out)
{
	struct quic_opened other;
	if (out->count) {
		out->count +=
			quic_unseal(&q->keys, p, dcid, dcid_len, next, q->spare, BYTES_MAX, &other);
		return;
	}
	if (!quic_unseal(&q->keys, p, dcid, dcid_len, next, q->plain + q->plain_used,
			 BYTES_MAX - q->plain_used, &out->in))
		return;
	out->count = 1;
	out->by = by;
}

static bool has_id(const struct quic_connection *c, const uint8_t *dcid, uint8_t dcid_len)
{
	return c->dcid_len == dcid_len && memcmp(c->dcid, dcid, dcid_len) == 0;
}

/* Whether keys of connection i are tried: of the same ID and the packet's version is another one
 * here, or is the packet's own. */
static bool is_candidate(const struct quic_flow *f, int i, const struct quic_packet *p)
{
	const struct quic_connection *c = &f->known[i];
	if (c->version == p->version)
		return true;
	for (int j = 0; j < QUIC_CONNECTIONS; j++)
		if (f->known[j].version == p->version && has_id(&f->known[j], c->dcid, c->dcid_len))
			return false;
	return !has_id(c, p->dcid, p->dcid_len);
}

/* Opens an Initial with the keys of a connection of the flow, or with those of its own destination
 * ID: then it is the flow's first, or one begins anew, as after a Retry or a version negotiation.
 * All keys that the server may have are tried: AES-GCM does not bind a packet to its key, so one
 * can be made that says one thing under these and another under those. */
static void open_initial(struct quic *q, const struct quic_flow *f, const struct quic_packet *p,
			 struct opening *out)
{
	bool own = true;
	out->count = 0;
	for (int i = 0; i < QUIC_CONNECTIONS && f->known[i].version; i++) {
		const struct quic_connection *c = &f->known[i];
		if (!is_candidate(f, i, p))
			continue;
		own &= !has_id(c, p->dcid, p->dcid_len);
		try_keys(q, p, c->dcid, c->dcid_len, c->next, i, out);
	}
	if (own)
		try_keys(q, p, p->dcid, p->dcid_len, 0, -1, out);
}

static void skip_padding(struct cursor *c)
{
	static const uint8_t padding[64];
	while (cursor_left(c) >= sizeof padding && memcmp(c->pos, padding, sizeof padding) == 0)
		cursor_skip(c, sizeof padding);
	while (cursor_left(c) && cursor_peek(c) == PADDING)
		cursor_u8(c);
}

static void skip_ack(struct cursor *c, bool ecn)
{
	quic_varint(c); /* largest */
	quic_varint(c); /* delay */
	uint64_t ranges = quic_varint(c);
	quic_varint(c);
	for (; ranges && !c->bad; ranges--) {
		quic_varint(c);
		quic_varint(c);
	}
	for (int i = 0; ecn && i < 3; i++)
		quic_varint(c);
}

/* The frames that an Initial may carry (RFC 9000 12.4). */
static bool read_frames(struct quic *q, struct cursor plain)
{
	while (cursor_left(&plain)) {
		switch (cursor_u8(&plain)) {
		case PADDING: skip_padding(&plain); break;
		case PING: break;
		case ACK: skip_ack(&plain, false); break;
		case ACK_ECN: skip_ack(&plain, true); break;
		case CRYPTO: {
			if (q->chunk_count == CHUNKS_MAX)
				return false;
			struct chunk *chunk = &q->chunks[q->chunk_count++];
			chunk->offset = quic_varint(&plain);
			chunk->bytes = cursor_sub(&plain, quic_varint(&plain));
			break;
		}
		case CLOSE:
			quic_varint(&plain);
			quic_varint(&plain);
			cursor_skip(&plain, quic_varint(&plain));
			break;
		default: return false;
		}
	}
	return !plain.bad;
}

/* ---- what the CRYPTO bytes of a connection say ---- */

static uint64_t print_of(struct quic *q, struct cursor bytes, size_t len)
{
	static const uint8_t nonce[GCM_IV_SIZE];
	uint64_t print;
	gcm_aes128_set_iv(&q->print, GCM_IV_SIZE, nonce);
	gcm_aes128_update(&q->print, len, bytes.pos);
	gcm_aes128_digest(&q->print, sizeof print, (uint8_t *)&print);
	return print;
}

/* The next hello of a connection; head: its bytes from the first on, end: of all bytes that have
 * come. A client says no more than its hello before the server has answered; a second hello behind
 * it would be read by the server and not by us. */
static enum parse read_hello(struct quic *q, struct quic_flow *f, struct cursor head, uint64_t end,
			     struct hello *out)
{
	struct quic_connection *c = &f->known[0];
	struct cursor bytes = head;
	size_t len = 0;
	cursor_skip(&bytes, c->done);
	enum parse answer = tls_client_hello(bytes, &len, out);
	out->protocol = PROTOCOL_QUIC;
	f->waits = answer == PARSE_MORE;
	if (answer == PARSE_OK && end > c->done + len)
		return PARSE_BAD;
	if (answer != PARSE_OK)
		return answer;
	f->anew = c->done == 0;
	c->done += (uint32_t)len;
	c->print = print_of(q, head, c->done);
	return PARSE_OK;
}

/* Whether the stream holds what was told: where that was forgotten, all of it has to come again.
 */
static bool is_joined(struct quic *q, struct quic_flow *f, struct cursor head, bool *conflict)
{
	const struct quic_connection *c = &f->known[0];
	if (f->joined || c->done == 0)
		return true;
	if (cursor_left(&head) < c->done)
		return false;
	*conflict = print_of(q, head, c->done) != c->print;
	return f->joined = !*conflict;
}

static enum parse read_stream(struct quic *q, struct quic_flow *f, struct stream_pool *pool,
			      struct stream **crypto, bool *conflict, struct hello *out)
{
	struct cursor head = stream_head(*crypto);
	uint64_t end = stream_end(*crypto);
	enum parse answer = PARSE_MORE;
	f->waits = !is_joined(q, f, head, conflict);
	if (*conflict)
		return PARSE_BAD;
	if (!f->waits && end > f->known[0].done)
		answer = read_hello(q, f, head, end, out);
	f->joined |= answer == PARSE_OK;
	if (f->waits)
		stream_use(pool, *crypto);
	else
		stream_keep(pool, *crypto, crypto);
	return answer;
}

/* With no stream to be had, a hello that is whole in one frame can be told, and not be compared. */
static enum parse read_alone(struct quic *q, struct quic_flow *f, struct hello *out)
{
	const struct chunk *c = &q->chunks[0];
	f->waits = true;
	if (f->known[0].done)
		return PARSE_BAD;
	if (q->chunk_count > 1 || c->offset)
		return PARSE_MORE;
	return read_hello(q, f, c->bytes, cursor_left(&c->bytes), out);
}

static enum parse read_chunks(struct quic *q, struct quic_flow *f, struct stream_pool *pool,
			      struct stream **crypto, bool *conflict, struct hello *out)
{
	if (!*crypto) {
		f->joined = false;
		*crypto = stream_get(pool);
	}
	if (!*crypto)
		return read_alone(q, f, out);
	for (size_t i = 0; i < q->chunk_count; i++) {
		const struct chunk *c = &q->chunks[i];
		enum stream_add added =
			stream_add(*crypto, c->offset, c->bytes.pos, cursor_left(&c->bytes));
		*conflict |= added == STREAM_CONFLICT;
		if (added != STREAM_OK)
			return PARSE_BAD;
	}
	return read_stream(q, f, pool, crypto, conflict, out);
}

/* ---- datagrams ---- */

bool quic_is_long(struct cursor datagram)
{
	size_t len = cursor_left(&datagram);
	uint8_t first = cursor_u8(&datagram);
	uint32_t version = cursor_u32(&datagram);
	if (datagram.bad || !(first & 0x80))
		return false;
	return version == 0 || quic_dialect(version) >= 0 || len >= QUIC_DATAGRAM_MIN;
}

static bool goes_with(const struct quic_packet *p, const struct quic_packet *first)
{
	return p->version == first->version && p->dcid_len == first->dcid_len &&
	       memcmp(p->dcid, first->dcid, p->dcid_len) == 0;
}

/* Whether the bytes begin with an Initial that keys of the flow, or its own, open; or those of the
 * datagram before it, whose first packet (start NULL: none) the flow may not know yet. */
static bool begins_datagram(struct quic *q, const struct quic_flow *f,
			    const struct quic_packet *before, struct cursor bytes, int *tries)
{
	struct quic_packet p;
	struct opening o;
	if (!(cursor_peek(&bytes) & 0x80) || !quic_packet_read(&bytes, &p) || !quic_is_initial(&p))
		return false;
	++*tries;
	q->plain_used = 0;
	open_initial(q, f, &p, &o);
	if (o.count == 0 && before->start)
		try_keys(q, &p, before->dcid, before->dcid_len, 0, -1, &o);
	return o.count > 0;
}

/* Behind the packets for one destination that the first bytes hold, and behind the least that a
 * datagram has. *first is the first of them. */
static struct cursor skip_packets(struct cursor all, struct quic_packet *first)
{
	struct cursor c = all, least = all;
	struct quic_packet p;
	*first = (struct quic_packet){0};
	cursor_skip(&least, QUIC_DATAGRAM_MIN);
	for (struct cursor next = all;
	     (cursor_peek(&next) & 0x80) && quic_packet_read(&next, &p);) {
		*first = first->start ? *first : p;
		if (!goes_with(&p, first))
			break;
		c = next;
	}
	return c.pos > least.pos ? c : least;
}

bool quic_next_datagram(struct quic *q, const struct quic_flow *f, struct cursor *all,
			struct cursor *one)
{
	struct quic_packet first;
	struct cursor rest = skip_packets(*all, &first);
	int tries = 0;
	while (cursor_left(&rest)) {
		if (begins_datagram(q, f, &first, rest, &tries)) {
			*one = cursor_sub(all, (size_t)(rest.pos - all->pos));
			return true;
		}
		if (tries == TRIES_MAX)
			return false;
		cursor_u8(&rest);
	}
	*one = cursor_sub(all, cursor_left(all));
	return true;
}

/* A datagram while its packets are read. */
struct reading {
	struct quic_packet first;
	int owner;         /* index of the connection whose Initials it holds; -1: none yet */
	bool small, fresh; /* fresh: no Initial of the flow went before it */
	bool sealed;       /* an Initial in it that no key of ours opens */
	struct stream_pool *pool;
	struct stream **crypto; /* of the flow's first connection */
};

/* What is kept of another connection's bytes goes; their print stays. */
static void lose_stream(struct quic_flow *f, const struct reading *r)
{
	if (*r->crypto)
		stream_put(r->pool, *r->crypto);
	*r->crypto = NULL;
	f->joined = false;
}

/* A hello in parts is held: beside it nothing else begins, lest its parts go out with that. */
static bool is_busy(const struct reading *r)
{
	return *r->crypto && !stream_is_kept(*r->crypto);
}

/* Makes connection i the flow's first. */
static void move_up(struct quic_flow *f, const struct reading *r, int i)
{
	struct quic_connection c = f->known[i];
	memmove(&f->known[1], &f->known[0], (size_t)i * sizeof c);
	f->known[0] = c;
	lose_stream(f, r);
}

/* A connection begins. False while another's hello is held, or where the server may still wait for
 * that of the one in whose place this would be remembered. */
static bool begin(struct quic_flow *f, const struct reading *r, const struct quic_packet *p)
{
	struct quic_connection *last = &f->known[QUIC_CONNECTIONS - 1];
	if (is_busy(r) || (last->version && f->now - last->used < HANDSHAKE_S))
		return false;
	*last = (struct quic_connection){.version = p->version, .dcid_len = p->dcid_len};
	memcpy(last->dcid, p->dcid, p->dcid_len);
	move_up(f, r, QUIC_CONNECTIONS - 1);
	return true;
}

/* A server takes a first Initial with a short ID only after its own Retry (RFC 9000 7.2). */
static bool is_short(const struct quic_packet *p, const struct opening *o)
{
	return o->by < 0 && p->dcid_len < ID_MIN && !p->token_len;
}

/* The connection of an Initial that was opened; -1: it can't begin now. */
static int owner_of(struct quic_flow *f, const struct reading *r, const struct quic_packet *p,
		    const struct opening *o)
{
	if (o->by < 0 && !begin(f, r, p))
		return -1;
	int i = o->by < 0 ? 0 : o->by;
	struct quic_connection *c = &f->known[i];
	c->next = o->in.number + 1 > c->next ? o->in.number + 1 : c->next;
	c->used = f->now;
	return i;
}

/* An Initial of the datagram; false: PARSE_BAD. A server passes over what no key of its own opens;
 * where nothing went to it before, it has none that we lack. One that opens behind another's is to
 * be passed over as well (RFC 9000 12.2), but nobody honest makes that. */
static bool take_initial(struct quic *q, struct quic_flow *f, struct reading *r,
			 const struct quic_packet *p, bool *conflict)
{
	struct opening o;
	f->lost = r->small;
	if (r->small)
		return false;
	open_initial(q, f, p, &o);
	r->sealed |= o.count == 0 && !(r->fresh && f->opened);
	if (o.count == 0)
		return true;
	*conflict = o.count > 1;
	if (o.count != 1 || o.in.reserved || is_short(p, &o) || !goes_with(p, &r->first))
		return false;
	int owner = owner_of(f, r, p, &o);
	f->lost = owner < 0;
	if (owner < 0 || (f->opened && owner != r->owner))
		return false;
	r->owner = owner;
	f->opened = true;
	q->plain_used += cursor_left(&o.in.plain);
	return read_frames(q, o.in.plain);
}

/* All packets of a datagram: of one version, to one destination (RFC 9000 12.2). What can't be read
 * as a packet behind the first is no part of it. */
static enum parse read_packets(struct quic *q, struct quic_flow *f, struct reading *r,
			       struct cursor datagram, bool *conflict)
{
	enum parse answer = PARSE_ABSENT;
	while (cursor_left(&datagram) && (cursor_peek(&datagram) & 0x80)) {
		struct quic_packet p;
		bool good = quic_packet_read(&datagram, &p);
		if (!good && !r->first.start)
			return PARSE_BAD;
		if (!good)
			break;
		if (!r->first.start)
			r->first = p;
		if (quic_is_initial(&p) && !take_initial(q, f, r, &p, conflict))
			return PARSE_BAD;
		if (quic_is_initial(&p) || quic_is_zero_rtt(&p))
			answer = PARSE_MORE;
	}
	f->lost = r->sealed && !f->opened;
	return r->sealed ? PARSE_BAD : answer;
}

/* Advice for the path, before a datagram's packets: it has their IDs and no length, and no server
 * reads more in it (draft-ietf-scone-protocol). */
static void skip_scone(struct cursor *datagram)
{
	struct cursor c = *datagram;
	cursor_u8(&c);
	uint32_t version = cursor_u32(&c);
	if (version != 0x6f7dc0fd && version != 0xef7dc0fd)
		return;
	cursor_skip(&c, cursor_u8(&c));
	cursor_skip(&c, cursor_u8(&c));
	if (!c.bad)
		*datagram = c;
}

enum parse quic_datagram(struct quic *q, struct quic_flow *f, struct cursor datagram,
			 struct stream_pool *pool, struct stream **crypto, bool *conflict,
			 struct hello *out)
{
	struct cursor header = datagram;
	struct reading r = {.owner = -1,
			    .small = cursor_left(&datagram) < QUIC_DATAGRAM_MIN,
			    .fresh = !f->known[0].version && !f->unseen,
			    .pool = pool,
			    .crypto = crypto};
	*conflict = f->opened = f->waits = f->lost = false;
	hello_reset(out);
	if (!quic_is_long(datagram))
		return PARSE_ABSENT;
	out->protocol = PROTOCOL_QUIC;
	cursor_u8(&header);
	if (cursor_u32(&header) == 0)
		return PARSE_ABSENT;
	q->chunk_count = q->plain_used = 0;
	skip_scone(&datagram);
	enum parse answer = read_packets(q, f, &r, datagram, conflict);
	if (answer != PARSE_MORE)
		return answer;
	if (q->chunk_count == 0)
		return PARSE_MORE;
	f->lost = r.owner > 0 && is_busy(&r);
	if (f->lost)
		return PARSE_BAD;
	if (r.owner > 0)
		move_up(f, &r, r.owner);
	return read_chunks(q, f, pool, crypto, conflict, out);
}
