#include "name/quic_packet.h"
#include <nettle/memops.h>

enum { TAG = 16, NONCE = 12, SAMPLE = 16 };

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

/* clang-format off */
static const struct dialect dialects[QUIC_DIALECTS] = {
	[QUIC_V1] = {{0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
		     0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a}, labels1, 0, 1},
	[QUIC_V2] = {{0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
		     0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9}, labels2, 1, 2},
	[QUIC_DRAFT_29] = {{0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97,
		       0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99}, labels1, 0, 1},
	[QUIC_DRAFT_23] = {{0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7,
		       0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02}, labels1, 0, 1},
	[QUIC_DRAFT_22] = {{0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a,
		       0x96, 0xcd, 0x21, 0x51, 0x9e, 0xbd, 0x7a, 0x02, 0x64, 0x4a}, labels1, 0, 1},
};
/* clang-format on */

int quic_dialect(uint32_t version)
{
	switch (version) {
	case 1: return QUIC_V1;
	case 0x6b3343cf: return QUIC_V2;
	case 0xff000016:
	case 0xfaceb001: return QUIC_DRAFT_22; /* mvfst */
	case 0xff000017 ... 0xff00001c:
	case 0xfaceb002: return QUIC_DRAFT_23;
	case 0xff00001d ... 0xff000020: return QUIC_DRAFT_29;
	case 0xff000021 ... 0xff000022: return QUIC_V1;
	}
	return -1;
}

void quic_keys_init(struct quic_keys *k)
{
	k->dialect = -1;
	for (int i = 0; i < QUIC_DIALECTS; i++)
		hmac_sha256_set_key(&k->extract[i], sizeof dialects[i].salt, dialects[i].salt);
}

static void expand(struct quic_keys *k, const struct label *label, size_t len, uint8_t *to)
{
	hmac_sha256_update(&k->expand, label->len, (const uint8_t *)label->info);
	hmac_sha256_digest(&k->expand, len, to);
}

/* RFC 9001 5.2, of the client's side. */
static void derive_keys(struct quic_keys *k, int dialect, const uint8_t *dcid, uint8_t len)
{
	const struct label *labels = dialects[dialect].labels;
	uint8_t secret[SHA256_DIGEST_SIZE], key[AES128_KEY_SIZE];
	if (k->dialect == dialect && k->dcid_len == len && memcmp(k->dcid, dcid, len) == 0)
		return;
	k->dialect = dialect;
	k->dcid_len = len;
	memcpy(k->dcid, dcid, len);
	hmac_sha256_update(&k->extract[dialect], len, dcid);
	hmac_sha256_digest(&k->extract[dialect], sizeof secret, secret);
	hmac_sha256_set_key(&k->expand, sizeof secret, secret);
	expand(k, &client_label, sizeof secret, secret);
	hmac_sha256_set_key(&k->expand, sizeof secret, secret);
	expand(k, &labels[0], sizeof key, key);
	gcm_aes128_set_key(&k->aead, key);
	expand(k, &labels[1], sizeof k->iv, k->iv);
	expand(k, &labels[2], sizeof key, key);
	aes128_set_encrypt_key(&k->hp, key);
}

uint64_t quic_varint(struct cursor *c)
{
	uint8_t first = cursor_u8(c);
	uint64_t value = first & 0x3f;
	for (int more = (1 << (first >> 6)) - 1; more > 0; more--)
		value = value << 8 | cursor_u8(c);
	return value;
}

bool quic_packet_read(struct cursor *datagram, struct quic_packet *p)
{
	*p = (struct quic_packet){.start = datagram->pos};
	p->type = cursor_u8(datagram) >> 4 & 3;
	p->version = cursor_u32(datagram);
	p->dialect = quic_dialect(p->version);
	p->dcid_len = cursor_u8(datagram);
	p->dcid = cursor_bytes(datagram, p->dcid_len);
	uint8_t scid_len = cursor_u8(datagram);
	cursor_skip(datagram, scid_len);
	if (p->dialect < 0 || p->dcid_len > QUIC_ID_MAX || scid_len > QUIC_ID_MAX)
		return false;
	if (p->type == dialects[p->dialect].initial) {
		p->token_len = quic_varint(datagram);
		cursor_skip(datagram, p->token_len);
	}
	p->body = cursor_sub(datagram, quic_varint(datagram));
	return !datagram->bad;
}

bool quic_is_initial(const struct quic_packet *p)
{
	return p->type == dialects[p->dialect].initial;
}

bool quic_is_zero_rtt(const struct quic_packet *p)
{
	return p->type == dialects[p->dialect].zero_rtt;
}

/* A packet number from its last bytes (RFC 9000 A.3); next: the one after the highest so far. */
static uint64_t whole_number(uint64_t next, uint64_t sent, size_t bytes)
{
	uint64_t window = 1ull << 8 * bytes, number = (next & ~(window - 1)) | sent;
	if (number + window / 2 <= next)
		return number + window;
	return number > next + window / 2 && number >= window ? number - window : number;
}

bool quic_unseal(struct quic_keys *k, const struct quic_packet *p, const uint8_t *dcid,
		 uint8_t dcid_len, uint64_t next, uint8_t *to, size_t room, struct quic_opened *out)
{
	struct cursor sealed = p->body, sample = p->body;
	uint8_t mask[AES_BLOCK_SIZE], tag[TAG], nonce[NONCE];
	size_t header = (size_t)(p->body.pos - p->start);
	uint64_t number = 0;
	cursor_skip(&sample, 4);
	const uint8_t *at = cursor_bytes(&sample, SAMPLE);
	if (!at || header + 4 > sizeof k->header)
		return false;
	derive_keys(k, p->dialect, dcid, dcid_len);
	aes128_encrypt(&k->hp, sizeof mask, mask, at);
	memcpy(k->header, p->start, header + 4);
	k->header[0] ^= mask[0] & 0x0f;
	size_t number_len = (k->header[0] & 3) + 1;
	for (size_t i = 0; i < number_len; i++) {
		k->header[header + i] ^= mask[1 + i];
		number = number << 8 | k->header[header + i];
	}
	number = whole_number(next, number, number_len);
	memcpy(nonce, k->iv, NONCE);
	for (int i = 0; i < 8; i++)
		nonce[NONCE - 1 - i] ^= (uint8_t)(number >> 8 * i);
	cursor_skip(&sealed, number_len);
	struct cursor text = cursor_sub(&sealed, cursor_left(&sealed) - TAG);
	size_t len = cursor_left(&text);
	if (text.bad || len > room)
		return false;
	gcm_aes128_set_iv(&k->aead, NONCE, nonce);
	gcm_aes128_update(&k->aead, header + number_len, k->header);
	gcm_aes128_decrypt(&k->aead, len, to, text.pos);
	gcm_aes128_digest(&k->aead, TAG, tag);
	if (!memeql_sec(tag, sealed.pos, TAG))
		return false;
	out->plain = cursor_of(to, len);
	out->number = number;
	out->reserved = k->header[0] & 0x0c;
	return true;
}
