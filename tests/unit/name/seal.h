/* seal: protects QUIC Initials as a client does (RFC 9001 5), written apart from quic.c. */
#pragma once
#include "bytes.h"
#include <stdio.h>
#include <nettle/gcm.h>
#include <nettle/hkdf.h>
#include <nettle/hmac.h>

struct seal_version {
	uint32_t number;
	uint8_t salt[20];
	const char *prefix;
	uint8_t initial, zero_rtt, handshake; /* packet types */
};

/* clang-format off */
static const struct seal_version seal_versions[] = {
	{1, {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
	     0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a}, "quic", 0, 1, 2},
	{0x6b3343cf, {0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
		      0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9}, "quicv2", 1, 2, 3},
	{0xff00001d, {0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97,
		      0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99}, "quic", 0, 1, 2},
	{0xff00001b, {0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7,
		      0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02}, "quic", 0, 1, 2},
	{0xfaceb001, {0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a,
		      0x96, 0xcd, 0x21, 0x51, 0x9e, 0xbd, 0x7a, 0x02, 0x64, 0x4a}, "quic", 0, 1, 2},
};
/* clang-format on */
enum { SEAL_VERSIONS = sizeof seal_versions / sizeof *seal_versions };

struct seal {
	const struct seal_version *version;
	const uint8_t *key_id; /* the ID that keys come from, */
	size_t key_id_len;
	const uint8_t *dcid; /* and the one that the packet carries */
	size_t dcid_len;
	const char *token;
	uint32_t number;
	int number_len;
	bool short_length; /* the Length field has 2 bytes, as in the RFCs' vectors */
	uint64_t sent;     /* the whole packet number where it is not `number` */
	uint8_t flip;      /* bits of the first byte that are to differ */
};

/* The ID of the RFCs' vectors. */
static const uint8_t first_id[] = {0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08};

static inline struct seal seal_of(int version)
{
	return (struct seal){
		&seal_versions[version], first_id, 8, first_id, 8, NULL, 2, 4, false, 0, 0};
}

static inline void seal_expand(const uint8_t secret[32], const char *prefix, const char *name,
			       size_t len, uint8_t *to)
{
	uint8_t info[64];
	struct hmac_sha256_ctx mac;
	int text = snprintf((char *)info + 3, sizeof info - 3, "tls13 %s%s", prefix, name);
	info[0] = 0;
	info[1] = (uint8_t)len;
	info[2] = (uint8_t)text;
	info[3 + text] = 0;
	hmac_sha256_set_key(&mac, 32, secret);
	hkdf_expand(&mac, (nettle_hash_update_func *)hmac_sha256_update,
		    (nettle_hash_digest_func *)hmac_sha256_digest, 32, (size_t)text + 4, info, len,
		    to);
}

/* Appends an Initial with this plaintext, of 4 bytes at least, to a datagram. */
static inline void put_initial(struct bytes *b, const struct seal *s, const void *plain, size_t len)
{
	uint8_t secret[32], key[16], iv[12], hp[16], mask[16];
	struct hmac_sha256_ctx mac;
	struct gcm_aes128_ctx aead;
	struct aes128_ctx protect;
	size_t start = b->len;
	hmac_sha256_set_key(&mac, 20, s->version->salt);
	hmac_sha256_update(&mac, s->key_id_len, s->key_id);
	hmac_sha256_digest(&mac, 32, secret);
	seal_expand(secret, "", "client in", 32, secret);
	seal_expand(secret, s->version->prefix, " key", 16, key);
	seal_expand(secret, s->version->prefix, " iv", 12, iv);
	seal_expand(secret, s->version->prefix, " hp", 16, hp);
	put_number(b,
		   (0xc0u | (unsigned)s->version->initial << 4 | (unsigned)(s->number_len - 1)) ^
			   s->flip,
		   1);
	put_number(b, s->version->number, 4);
	put_number(b, s->dcid_len, 1);
	put(b, s->dcid, s->dcid_len);
	put_number(b, 0, 1);
	size_t token = s->token ? strlen(s->token) : 0;
	put_number(b, token, 1); /* below 64 bytes */
	put(b, s->token, token);
	uint32_t length = (uint32_t)((size_t)s->number_len + len + 16);
	put_number(b, length | (s->short_length ? 0x4000u : 0x80000000u), s->short_length ? 2 : 4);
	size_t number = b->len;
	uint64_t whole = s->sent ? s->sent : s->number;
	put_number(b, whole & (UINT64_MAX >> (64 - 8 * s->number_len)), s->number_len);
	size_t body = b->len;
	for (int i = 0; i < 8; i++)
		iv[11 - i] ^= (uint8_t)(whole >> 8 * i);
	gcm_aes128_set_key(&aead, key);
	gcm_aes128_set_iv(&aead, 12, iv);
	gcm_aes128_update(&aead, body - start, b->at + start);
	gcm_aes128_encrypt(&aead, len, b->at + body, plain);
	gcm_aes128_digest(&aead, 16, b->at + body + len);
	b->len = body + len + 16;
	aes128_set_encrypt_key(&protect, hp);
	aes128_encrypt(&protect, 16, mask, b->at + number + 4);
	b->at[start] ^= mask[0] & 0x0f;
	for (int i = 0; i < s->number_len; i++)
		b->at[number + (size_t)i] ^= mask[1 + i];
}

/* A CRYPTO frame. */
static inline void put_crypto(struct bytes *b, size_t offset, const void *bytes, size_t len)
{
	put_number(b, 6, 1);
	put_number(b, 0x80000000u | (uint32_t)offset, 4);
	put_number(b, 0x80000000u | (uint32_t)len, 4);
	put(b, bytes, len);
}
