#include "name/quic.h"
#include "name/tls.h"
#include <nettle/gcm.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <stdlib.h>
#include <sys/random.h>

enum { TAG = 16, NONCE = 12, SAMPLE = 16, ID_MAX = 20, ID_MIN = 8 };
enum { PADDING = 0, PING = 1, ACK = 2, ACK_ECN = 3, CRYPTO = 6, CLOSE = 0x1c };
enum { CHUNKS_MAX = 256, HEADER_MAX = 4096, BYTES_MAX = 65536 };
enum { TRIES_MAX = 16 };   /* of what looks like an Initial inside a joined packet, and is none */
enum { HANDSHAKE_S = 30 }; /* after which no server waits for the rest of a hello */

/* An HKDF-Expand-Label of one block, as HMAC reads it (RFC 8446 7.1, RFC 5869 2.3): length, label,
 * no context, the block's number. */
struct label {
	const char *info;
	size_t len;
};
#define LABEL(length, text)                                                                        \
	{                                                                                          \
		"\0" length text "\0\x01", sizeof("\0" length text "\0\x01") - 1                   \
	}

static const struct label client_label = LABEL("\x20\x0f", "tls13 client in");

/* What differs between versions: the salt, the labels, and the numbers of packet types. */
struct dialect {
	uint8_t salt[20];
	const struct label *labels; /* key, iv, hp */
	uint8_t initial, zero_rtt;
};

static const struct label labels1[] = {LABEL("\x10\x0e", "tls13 quic key"),
				       LABEL("\x0c\x0d", "tls13 quic iv"),
				       LABEL("\x10\x0d", "tls13 quic hp")};
static const struct label labels2[] = {LABEL("\x10\x10", "tls13 quicv2 key"),
				       LABEL("\x0c\x0f", "tls13 quicv2 iv"),
				       LABEL("\x10\x0f", "tls13 quicv2 hp")};

enum { RFC_V1, RFC_V2, DRAFT_29, DRAFT_23, DRAFT_22, DIALECTS };

/* clang-format off */
static const struct dialect dialects[DIALECTS] = {
	[RFC_V1] = {{0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
		     0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a}, labels1, 0, 1},
	[RFC_V2] = {{0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
		     0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9}, labels2, 1, 2},
	[DRAFT_29] = {{0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97,
		       0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99}, labels1, 0, 1},
	[DRAFT_23] = {{0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7,
		       0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02}, labels1, 0, 1},
	[DRAFT_22] = {{0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a,
		       0x96, 0xcd, 0x21, 0x51, 0x9e, 0xbd, 0x7a, 0x02, 0x64, 0x4a}, labels1, 0, 1},
};
/* clang-format on */

/* Index into dialects, or -1. */
static int dialect_of(uint32_t version)
{
	switch (version) {
	case 1: return RFC_V1;
	case 0x6b3343cf: return RFC_V2;
	case 0xff000016:
	case 0xfaceb001: return DRAFT_22; /* mvfst */
	case 0xff000017 ... 0xff00001c:
	case 0xfaceb002: return DRAFT_23;
	case 0xff00001d ... 0xff000020: return DRAFT_29;
	case 0xff000021 ... 0xff000022: return RFC_V1;
	}
	return -1;
}

struct keys {
	int dialect; /* -1: none yet */
	uint8_t dcid_len, dcid[ID_MAX];
	struct gcm_aes128_ctx aead;
	struct aes128_ctx hp;
	uint8_t iv[NONCE];
};

/* A CRYPTO frame of the datagram at hand. */
struct chunk {
	uint64_t offset;
	struct cursor bytes;
};

struct quic {
	struct keys keys;                         /* of the last Initial */
	struct gcm_aes128_ctx print;              /* keyed with a secret of this process */
	struct hmac_sha256_ctx extract[DIALECTS]; /* keyed with the salts */
	struct hmac_sha256_ctx expand;
	struct chunk chunks[CHUNKS_MAX];
	size_t chunk_count, plain_used;
	uint8_t header[HEADER_MAX];
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
	q->keys.dialect = -1;
	for (int i = 0; i < DIALECTS; i++)
		hmac_sha256_set_key(&q->extract[i], sizeof dialects[i].salt, dialects[i].salt);
	return q;
}

void quic_free(struct quic *q)
{
	free(q);
}

static void expand(struct quic *q, const struct label *label, size_t len, uint8_t *to)
{
	hmac_sha256_update(&q->expand, label->len, (const uint8_t *)label->info);
	hmac_sha256_digest(&q->expand, len, to);
}

/* RFC 9001 5.2, of the client's side. */
static void derive_keys(struct quic *q, int dialect, const uint8_t *dcid, uint8_t len)
{
	struct keys *k = &q->keys;
	const struct label *labels = dialects[dialect].labels;
	uint8_t secret[SHA256_DIGEST_SIZE], key[AES128_KEY_SIZE];
	if (k->dialect == dialect && k->dcid_len == len && memcmp(k->dcid, dcid, len) == 0)
		return;
	k->dialect = dialect;
	k->dcid_len = len;
	memcpy(k->dcid, dcid, len);
	hmac_sha256_update(&q->extract[dialect], len, dcid);
	hmac_sha256_digest(&q->extract[dialect], sizeof secret, secret);
	hmac_sha256_set_key(&q->expand, sizeof secret, secret);
	expand(q, &client_label, sizeof secret, secret);
	hmac_sha256_set_key(&q->expand, sizeof secret, secret);
	expand(q, &labels[0], sizeof key, key);
	gcm_aes128_set_key(&k->aead, key);
	expand(q, &labels[1], sizeof k->iv, k->iv);
	expand(q, &labels[2], sizeof key, key);
	aes128_set_encrypt_key(&k->hp, key);
}

struct packet {
	const uint8_t *start;
	uint32_t version;
	int dialect;
	uint8_t type, dcid_len;
	const uint8_t *dcid;
	uint64_t token_len;
	struct cursor body; /* from the packet number on */
};

static uint64_t read_varint(struct cursor *c)
{
	uint8_t first = cursor_u8(c);
	uint64_t value = first & 0x3f;
	for (int more = (1 << (first >> 6)) - 1; more > 0; more--)
		value = value << 8 | cursor_u8(c);
	return value;
}

/* A long header (RFC 9000 17.2) of a known version; *datagram moves past the packet. */
static bool read_packet(struct cursor *datagram, struct packet *p)
{
	*p = (struct packet){.start = datagram->pos};
	p->type = cursor_u8(datagram) >> 4 & 3;
	p->version = cursor_u32(datagram);
	p->dialect = dialect_of(p->version);
	p->dcid_len = cursor_u8(datagram);
	p->dcid = cursor_bytes(datagram, p->dcid_len);
	uint8_t scid_len = cursor_u8(datagram);
	cursor_skip(datagram, scid_len);
	if (p->dialect < 0 || p->dcid_len > ID_MAX || scid_len > ID_MAX)
		return false;
	if (p->type == dialects[p->dialect].initial) {
		p->token_len = read_varint(datagram);
		cursor_skip(datagram, p->token_len);
	}
	p->body = cursor_sub(datagram, read_varint(datagram));
	return !datagram->bad;
}

static bool is_initial(const struct packet *p)
{
	return p->type == dialects[p->dialect].initial;
}

/* A packet number from its last bytes (RFC 9000 A.3); next: the one after the highest so far. */
static uint64_t whole_number(uint64_t next, uint64_t sent, size_t bytes)
{
	uint64_t window = 1ull << 8 * bytes, number = (next & ~(window - 1)) | sent;
	if (number + window / 2 <= next)
		return number + window;
	return number > next + window / 2 && number >= window ? number - window : number;
}

/* What one key makes of an Initial. */
struct opening {
	struct cursor plain;
	uint64_t number;
	int by;         /* index of the connection; -1: its own destination ID */
	unsigned count; /* of the keys that open it */
	bool reserved;  /* a reserved bit is set (RFC 9000 17.2) */
};

/* Takes header protection and AEAD off (RFC 9001 5.3, 5.4) with the keys that dcid gives. */
static bool unseal(struct quic *q, const struct packet *p, const uint8_t *dcid, uint8_t dcid_len,
		   uint64_t next, uint8_t *to, size_t room, struct opening *out)
{
	struct cursor sealed = p->body, sample = p->body;
	uint8_t mask[AES_BLOCK_SIZE], tag[TAG], nonce[NONCE];
	size_t header = (size_t)(p->body.pos - p->start);
	uint64_t number = 0;
	cursor_skip(&sample, 4);
	const uint8_t *at = cursor_bytes(&sample, SAMPLE);
	if (!at || header + 4 > HEADER_MAX)
		return false;
	derive_keys(q, p->dialect, dcid, dcid_len);
	aes128_encrypt(&q->keys.hp, sizeof mask, mask, at);
	memcpy(q->header, p->start, header + 4);
	q->header[0] ^= mask[0] & 0x0f;
	size_t number_len = (q->header[0] & 3) + 1;
	for (size_t i = 0; i < number_len; i++) {
		q->header[header + i] ^= mask[1 + i];
		number = number << 8 | q->header[header + i];
	}
	number = whole_number(next, number, number_len);
	memcpy(nonce, q->keys.iv, NONCE);
	for (int i = 0; i < 8; i++)
		nonce[NONCE - 1 - i] ^= (uint8_t)(number >> 8 * i);
	cursor_skip(&sealed, number_len);
	struct cursor text = cursor_sub(&sealed, cursor_left(&sealed) - TAG);
	size_t len = cursor_left(&text);
	if (text.bad || len > room)
		return false;
	gcm_aes128_set_iv(&q->keys.aead, NONCE, nonce);
	gcm_aes128_update(&q->keys.aead, header + number_len, q->header);
	gcm_aes128_decrypt(&q->keys.aead, len, to, text.pos);
	gcm_aes128_digest(&q->keys.aead, TAG, tag);
	if (!memeql_sec(tag, sealed.pos, TAG))
		return false;
	out->plain = cursor_of(to, len);
	out->number = number;
	out->reserved = q->header[0] & 0x0c;
	return true;
}

static void try_keys(struct quic *q, const struct packet *p, const uint8_t *dcid, uint8_t dcid_len,
		     uint64_t next, int by, struct opening *out)
{
	struct opening other;
	if (out->count) {
		out->count += unseal(q, p, dcid, dcid_len, next, q->spare, BYTES_MAX, &other);
		return;
	}
	if (!unseal(q, p, dcid, dcid_len, next, q->plain + q->plain_used, BYTES_MAX - q->plain_used,
		    out))
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
static bool is_candidate(const struct quic_flow *f, int i, const struct packet *p)
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
static void open_initial(struct quic *q, const struct quic_flow *f, const struct packet *p,
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
	read_varint(c); /* largest */
	read_varint(c); /* delay */
	uint64_t ranges = read_varint(c);
	read_varint(c);
	for (; ranges && !c->bad; ranges--) {
		read_varint(c);
		read_varint(c);
	}
	for (int i = 0; ecn && i < 3; i++)
		read_varint(c);
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
			chunk->offset = read_varint(&plain);
			chunk->bytes = cursor_sub(&plain, read_varint(&plain));
			break;
		}
		case CLOSE:
			read_varint(&plain);
			read_varint(&plain);
			cursor_skip(&plain, read_varint(&plain));
			break;
		default: return false;
		}
	}
	return !plain.bad;
}

/* ---- what the CRYPTO bytes of a connection say ---- */

static uint64_t print_of(struct quic *q, struct cursor bytes, size_t len)
{
	static const uint8_t nonce[NONCE];
	uint64_t print;
	gcm_aes128_set_iv(&q->print, NONCE, nonce);
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
	return version == 0 || dialect_of(version) >= 0 || len >= QUIC_DATAGRAM_MIN;
}

static bool goes_with(const struct packet *p, const struct packet *first)
{
	return p->version == first->version && p->dcid_len == first->dcid_len &&
	       memcmp(p->dcid, first->dcid, p->dcid_len) == 0;
}

/* Whether the bytes begin with an Initial that keys of the flow, or its own, open; or those of the
 * datagram before it, whose first packet (start NULL: none) the flow may not know yet. */
static bool begins_datagram(struct quic *q, const struct quic_flow *f, const struct packet *before,
			    struct cursor bytes, int *tries)
{
	struct packet p;
	struct opening o;
	if (!(cursor_peek(&bytes) & 0x80) || !read_packet(&bytes, &p) || !is_initial(&p))
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
static struct cursor skip_packets(struct cursor all, struct packet *first)
{
	struct cursor c = all, least = all;
	struct packet p;
	*first = (struct packet){0};
	cursor_skip(&least, QUIC_DATAGRAM_MIN);
	for (struct cursor next = all; (cursor_peek(&next) & 0x80) && read_packet(&next, &p);) {
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
	struct packet first;
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
	struct packet first;
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
static bool begin(struct quic_flow *f, const struct reading *r, const struct packet *p)
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
static bool is_short(const struct packet *p, const struct opening *o)
{
	return o->by < 0 && p->dcid_len < ID_MIN && !p->token_len;
}

/* The connection of an Initial that was opened; -1: it can't begin now. */
static int owner_of(struct quic_flow *f, const struct reading *r, const struct packet *p,
		    const struct opening *o)
{
	if (o->by < 0 && !begin(f, r, p))
		return -1;
	int i = o->by < 0 ? 0 : o->by;
	struct quic_connection *c = &f->known[i];
	c->next = o->number + 1 > c->next ? o->number + 1 : c->next;
	c->used = f->now;
	return i;
}

/* An Initial of the datagram; false: PARSE_BAD. A server passes over what no key of its own opens;
 * where nothing went to it before, it has none that we lack. One that opens behind another's is to
 * be passed over as well (RFC 9000 12.2), but nobody honest makes that. */
static bool take_initial(struct quic *q, struct quic_flow *f, struct reading *r,
			 const struct packet *p, bool *conflict)
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
	if (o.count != 1 || o.reserved || is_short(p, &o) || !goes_with(p, &r->first))
		return false;
	int owner = owner_of(f, r, p, &o);
	f->lost = owner < 0;
	if (owner < 0 || (f->opened && owner != r->owner))
		return false;
	r->owner = owner;
	f->opened = true;
	q->plain_used += cursor_left(&o.plain);
	return read_frames(q, o.plain);
}

/* All packets of a datagram: of one version, to one destination (RFC 9000 12.2). What can't be read
 * as a packet behind the first is no part of it. */
static enum parse read_packets(struct quic *q, struct quic_flow *f, struct reading *r,
			       struct cursor datagram, bool *conflict)
{
	enum parse answer = PARSE_ABSENT;
	while (cursor_left(&datagram) && (cursor_peek(&datagram) & 0x80)) {
		struct packet p;
		bool good = read_packet(&datagram, &p);
		if (!good && !r->first.start)
			return PARSE_BAD;
		if (!good)
			break;
		if (!r->first.start)
			r->first = p;
		if (is_initial(&p) && !take_initial(q, f, r, &p, conflict))
			return PARSE_BAD;
		if (is_initial(&p) || p.type == dialects[p.dialect].zero_rtt)
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
