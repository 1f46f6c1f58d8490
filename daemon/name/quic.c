#include "name/quic.h"
#include "name/tls.h"
#include <nettle/gcm.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <stdlib.h>

enum { TAG = 16, NONCE = 12, SAMPLE = 16, ID_MAX = 20, CLIENT_DATAGRAM_MIN = 1200 };
enum { PADDING = 0, PING = 1, ACK = 2, ACK_ECN = 3, CRYPTO = 6, CLOSE = 0x1c };
enum { CHUNKS_MAX = 256, HEADER_MAX = 4096, BYTES_MAX = 65536 };

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
	struct hmac_sha256_ctx extract[DIALECTS]; /* keyed with the salts */
	struct hmac_sha256_ctx expand;
	struct chunk chunks[CHUNKS_MAX];
	size_t chunk_count, plain_used;
	uint8_t header[HEADER_MAX];
	uint8_t plain[BYTES_MAX]; /* all Initials of the datagram at hand */
	uint8_t joined[BYTES_MAX];
};

struct quic *quic_new(void)
{
	struct quic *q = malloc(sizeof *q);
	if (!q)
		return NULL;
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
	p->start = datagram->pos;
	p->type = cursor_u8(datagram) >> 4 & 3;
	p->version = cursor_u32(datagram);
	p->dialect = dialect_of(p->version);
	p->dcid_len = cursor_u8(datagram);
	p->dcid = cursor_bytes(datagram, p->dcid_len);
	uint8_t scid_len = cursor_u8(datagram);
	cursor_skip(datagram, scid_len);
	if (p->dialect < 0 || p->dcid_len > ID_MAX || scid_len > ID_MAX)
		return false;
	if (p->type == dialects[p->dialect].initial)
		cursor_skip(datagram, read_varint(datagram));
	p->body = cursor_sub(datagram, read_varint(datagram));
	return !datagram->bad;
}

/* Takes header protection and AEAD off (RFC 9001 5.3, 5.4) with the keys that dcid gives. */
static bool unseal(struct quic *q, const struct packet *p, const uint8_t *dcid, uint8_t dcid_len,
		   struct cursor *plain)
{
	struct cursor sealed = p->body, sample = p->body;
	uint8_t mask[AES_BLOCK_SIZE], tag[TAG], nonce[NONCE];
	size_t header = (size_t)(p->body.pos - p->start);
	cursor_skip(&sample, 4);
	const uint8_t *at = cursor_bytes(&sample, SAMPLE);
	if (!at || header + 4 > HEADER_MAX)
		return false;
	derive_keys(q, p->dialect, dcid, dcid_len);
	aes128_encrypt(&q->keys.hp, sizeof mask, mask, at);
	memcpy(q->header, p->start, header + 4);
	q->header[0] ^= mask[0] & 0x0f;
	memcpy(nonce, q->keys.iv, NONCE);
	size_t number_len = (q->header[0] & 3) + 1;
	for (size_t i = 0; i < number_len; i++) {
		q->header[header + i] ^= mask[1 + i];
		nonce[NONCE - number_len + i] ^= q->header[header + i];
	}
	cursor_skip(&sealed, number_len);
	struct cursor text = cursor_sub(&sealed, cursor_left(&sealed) - TAG);
	size_t len = cursor_left(&text);
	uint8_t *to = q->plain + q->plain_used;
	if (text.bad || len > BYTES_MAX - q->plain_used)
		return false;
	gcm_aes128_set_iv(&q->keys.aead, NONCE, nonce);
	gcm_aes128_update(&q->keys.aead, header + number_len, q->header);
	gcm_aes128_decrypt(&q->keys.aead, len, to, text.pos);
	gcm_aes128_digest(&q->keys.aead, TAG, tag);
	*plain = cursor_of(to, len);
	return memeql_sec(tag, sealed.pos, TAG);
}

static bool is_same(const struct quic_connection *a, const struct quic_connection *b)
{
	return a->version == b->version && a->dcid_len == b->dcid_len &&
	       memcmp(a->dcid, b->dcid, a->dcid_len) == 0;
}

static bool opens(struct quic *q, const struct quic_connection *c, const struct packet *p,
		  struct cursor *plain)
{
	bool own = c->dcid_len == p->dcid_len && memcmp(c->dcid, p->dcid, p->dcid_len) == 0;
	return c->version && !own && unseal(q, p, c->dcid, c->dcid_len, plain);
}

/* Opens an Initial with the keys of a connection of the flow, or with those of its own destination
 * ID: then it is the flow's first, or one begins anew, as after a Retry or a version negotiation.
 * *other: it is not of the connection of the Initial before it. */
static bool open_initial(struct quic *q, struct quic_flow *f, const struct packet *p, bool *other,
			 struct cursor *plain)
{
	if (opens(q, &f->now, p, plain))
		return true;
	bool older = opens(q, &f->before, p, plain);
	if (!older && !unseal(q, p, p->dcid, p->dcid_len, plain))
		return false;
	struct quic_connection own = {.version = p->version, .dcid_len = p->dcid_len};
	memcpy(own.dcid, p->dcid, p->dcid_len);
	older = older || is_same(&f->before, &own);
	if (!older && is_same(&f->now, &own))
		return true;
	*other = true;
	f->several |= !older && f->before.version;
	if (older)
		own = f->before;
	f->before = f->now;
	f->now = own;
	return true;
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

/* Leaves out what belongs to hellos already told, and sorts the rest by offset. */
static void order_chunks(struct quic *q, uint32_t done)
{
	size_t kept = 0;
	for (size_t i = 0; i < q->chunk_count; i++) {
		struct chunk c = q->chunks[i];
		size_t len = cursor_left(&c.bytes);
		uint64_t old = c.offset < done ? done - c.offset : 0;
		if (old >= len)
			continue;
		cursor_skip(&c.bytes, old);
		c.offset += old;
		c.offset -= done;
		size_t at = kept++;
		for (; at && q->chunks[at - 1].offset > c.offset; at--)
			q->chunks[at] = q->chunks[at - 1];
		q->chunks[at] = c;
	}
	q->chunk_count = kept;
}

/* The bytes from offset 0 up to the first hole, of this datagram alone. */
static struct cursor join_chunks(struct quic *q, bool *conflict)
{
	size_t len = 0;
	if (q->chunk_count == 1 && q->chunks[0].offset == 0)
		return q->chunks[0].bytes;
	for (size_t i = 0; i < q->chunk_count && q->chunks[i].offset <= len; i++) {
		struct cursor c = q->chunks[i].bytes;
		size_t at = q->chunks[i].offset;
		size_t have = cursor_left(&c);
		size_t twice = len - at < have ? len - at : have;
		if (twice && memcmp(q->joined + at, cursor_bytes(&c, twice), twice) != 0)
			*conflict = true;
		have = cursor_left(&c);
		if (have > BYTES_MAX - len)
			break;
		cursor_copy(&c, q->joined + len, have);
		len += have;
	}
	return cursor_of(q->joined, len);
}

/* The offset after the last byte of the datagram at hand, holes or not. */
static uint64_t end_of_chunks(const struct quic *q)
{
	uint64_t end = 0;
	for (size_t i = 0; i < q->chunk_count; i++) {
		uint64_t to = q->chunks[i].offset + cursor_left(&q->chunks[i].bytes);
		end = to > end ? to : end;
	}
	return end;
}

/* end: of all bytes that have come. A client says no more than its hello before the server has
 * answered; a second hello behind it would be read by the server and not by us. */
static enum parse read_hello(struct quic_flow *f, struct cursor joined, uint64_t end,
			     struct hello *out)
{
	size_t len = 0;
	enum parse answer = tls_client_hello(joined, &len, out);
	out->protocol = PROTOCOL_QUIC;
	if (answer == PARSE_OK && end > len)
		return PARSE_BAD;
	if (answer == PARSE_OK) {
		f->anew = f->now.done == 0;
		f->now.done += len;
	}
	return answer;
}

/* Adds what the datagram holds to the stream of the datagrams before it. */
static enum parse join_stream(struct quic *q, struct quic_flow *f, struct stream *crypto,
			      bool *conflict, struct hello *out)
{
	for (size_t i = 0; i < q->chunk_count; i++) {
		const struct chunk *c = &q->chunks[i];
		enum stream_add added =
			stream_add(crypto, c->offset, c->bytes.pos, cursor_left(&c->bytes));
		*conflict |= added == STREAM_CONFLICT;
		if (added != STREAM_OK)
			return PARSE_BAD;
	}
	return read_hello(f, stream_head(crypto), stream_end(crypto), out);
}

/* A whole hello once more under the keys of one already told: sent again, or to a server that has
 * forgotten the first, so it may be another. PARSE_MORE: the datagram has none. */
static enum parse read_again(struct quic *q, const struct quic_flow *f, bool *conflict,
			     struct hello *out)
{
	size_t len = 0;
	order_chunks(q, 0);
	struct cursor joined = join_chunks(q, conflict);
	if (*conflict)
		return PARSE_BAD;
	enum parse answer = tls_client_hello(joined, &len, out);
	out->protocol = PROTOCOL_QUIC;
	if (answer != PARSE_OK)
		return PARSE_MORE;
	return end_of_chunks(q) > f->now.done ? PARSE_BAD : PARSE_OK;
}

static enum parse read_chunks(struct quic *q, struct quic_flow *f, struct stream_pool *pool,
			      struct stream **crypto, bool *conflict, struct hello *out)
{
	enum parse answer = f->now.done ? read_again(q, f, conflict, out) : PARSE_MORE;
	if (answer != PARSE_MORE)
		return answer;
	order_chunks(q, f->now.done);
	if (q->chunk_count == 0)
		return PARSE_MORE;
	if (!*crypto) {
		struct cursor joined = join_chunks(q, conflict);
		answer = *conflict ? PARSE_BAD : read_hello(f, joined, end_of_chunks(q), out);
		if (answer != PARSE_MORE)
			return answer;
		*crypto = pool ? stream_get(pool) : NULL;
		if (!*crypto)
			return f->now.done ? PARSE_BAD : PARSE_MORE;
	}
	answer = join_stream(q, f, *crypto, conflict, out);
	if (answer == PARSE_OK) {
		stream_put(pool, *crypto);
		*crypto = NULL;
	}
	return answer;
}

bool quic_is_long(struct cursor datagram)
{
	size_t len = cursor_left(&datagram);
	uint8_t first = cursor_u8(&datagram);
	uint32_t version = cursor_u32(&datagram);
	if (datagram.bad || !(first & 0x80))
		return false;
	return version == 0 || dialect_of(version) >= 0 ||
	       ((first & 0x40) && len >= CLIENT_DATAGRAM_MIN);
}

/* All packets of a datagram: of one version, to one destination (RFC 9000 12.2). */
static enum parse read_packets(struct quic *q, struct quic_flow *f, struct cursor datagram,
			       bool *other)
{
	struct packet first = {0};
	enum parse answer = PARSE_ABSENT;
	bool sealed = false;
	while (cursor_left(&datagram) && (cursor_peek(&datagram) & 0x80)) {
		struct packet p;
		struct cursor plain;
		if (!read_packet(&datagram, &p))
			return PARSE_BAD;
		if (!first.start)
			first = p;
		if (p.version != first.version || p.dcid_len != first.dcid_len ||
		    memcmp(p.dcid, first.dcid, p.dcid_len) != 0)
			return PARSE_BAD;
		if (p.type == dialects[p.dialect].zero_rtt)
			answer = PARSE_MORE;
		if (p.type != dialects[p.dialect].initial)
			continue;
		if (!open_initial(q, f, &p, other, &plain)) {
			sealed = true;
			continue;
		}
		f->opened = true;
		if (!read_frames(q, plain))
			return PARSE_BAD;
		q->plain_used += cursor_left(&plain);
		answer = PARSE_MORE;
	}
	f->sealed = sealed && !f->opened;
	return sealed ? PARSE_BAD : answer;
}

enum parse quic_datagram(struct quic *q, struct quic_flow *f, struct cursor datagram,
			 struct stream_pool *pool, struct stream **crypto, bool *conflict,
			 struct hello *out)
{
	struct cursor header = datagram;
	bool other = false;
	*conflict = f->opened = f->sealed = false;
	hello_reset(out);
	if (!quic_is_long(datagram))
		return PARSE_ABSENT;
	out->protocol = PROTOCOL_QUIC;
	cursor_u8(&header);
	if (cursor_u32(&header) == 0)
		return PARSE_ABSENT;
	q->chunk_count = q->plain_used = 0;
	enum parse answer = read_packets(q, f, datagram, &other);
	if (answer != PARSE_MORE)
		return answer;
	if (other && *crypto) {
		stream_put(pool, *crypto);
		*crypto = NULL;
	}
	answer = read_chunks(q, f, pool, crypto, conflict, out);
	if (answer == PARSE_MORE && !*crypto && pool && f->now.done == 0)
		*crypto = stream_get(pool);
	return answer;
}
