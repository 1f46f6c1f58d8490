/* quic_packet: a QUIC packet with a long header, and what its Initial keys make of it: versions 1
 * (RFC 9000, 9001) and 2 (RFC 9369), drafts 22 to 34 and the two of mvfst that share their wire
 * image. */
#pragma once
#include "base/cursor.h"
#include <nettle/gcm.h>
#include <nettle/hmac.h>

enum { QUIC_ID_MAX = 20 }; /* bytes of a connection ID */
enum { QUIC_V1, QUIC_V2, QUIC_DRAFT_29, QUIC_DRAFT_23, QUIC_DRAFT_22, QUIC_DIALECTS };

struct quic_packet {
	const uint8_t *start;
	uint32_t version;
	int dialect;
	uint8_t type, dcid_len;
	const uint8_t *dcid;
	uint64_t token_len;
	struct cursor body; /* from the packet number on */
};

/* Which of the dialects a version speaks; -1 where it is not known. */
int quic_dialect(uint32_t version);

uint64_t quic_varint(struct cursor *c);

/* Reads a long header (RFC 9000 17.2) of a known version; *datagram moves past the packet. False
 * where it is none. */
bool quic_packet_read(struct cursor *datagram, struct quic_packet *p);
bool quic_is_initial(const struct quic_packet *p);
bool quic_is_zero_rtt(const struct quic_packet *p);

/* The Initial keys of a client (RFC 9001 5.2), those used last; and scratch space. */
struct quic_keys {
	int dialect; /* -1: none yet */
	uint8_t dcid_len, dcid[QUIC_ID_MAX];
	struct gcm_aes128_ctx aead;
	struct aes128_ctx hp;
	uint8_t iv[12];
	struct hmac_sha256_ctx extract[QUIC_DIALECTS]; /* keyed with the salts */
	struct hmac_sha256_ctx expand;
	uint8_t header[4096];
};
void quic_keys_init(struct quic_keys *k);

/* What keys make of an Initial. */
struct quic_opened {
	struct cursor plain; /* in the caller's room */
	uint64_t number;
	bool reserved; /* a reserved bit is set (RFC 9000 17.2) */
};

/* Takes header protection and AEAD off (RFC 9001 5.3, 5.4) with the keys that dcid gives; next: the
 * packet number after the highest so far. False where they do not open it, or it has more than
 * `room` bytes. */
bool quic_unseal(struct quic_keys *k, const struct quic_packet *p, const uint8_t *dcid,
		 uint8_t dcid_len, uint64_t next, uint8_t *to, size_t room,
		 struct quic_opened *out);
