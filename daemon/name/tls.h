/* tls: the ClientHello of TLS over TCP (RFC 8446 section 4.1.2, RFC 5246), and its body as QUIC and
 * DTLS carry it. */
#pragma once
#include "name/hello.h"

#define TLS_HELLO_MAX 65536 /* bytes of a handshake message; a longer one is malformed */

/* Whether a byte may begin a TLS connection, to some server: a record's type. */
static inline bool tls_may_begin(uint8_t first)
{
	return first >= 0x14 && first <= 0x16;
}

/* Records from the start of the connection; the hello may span several of them. PARSE_ABSENT: the
 * first bytes are not a TLS record (so an SSLv2 hello, which carries no name). A record of
 * change_cipher_spec or an alert before the hello, or of another version than 3.x, is malformed:
 * some server overlooks it. PARSE_BAD as soon as no further byte could make it a hello, so a prefix
 * of a good one is always PARSE_MORE.
 */
enum parse tls_records(struct cursor stream, struct hello *out);

/* Bytes of early data (RFC 8446 section 4.2.10) that are walked over for a second hello. A server
 * that asks for one skips no more of them than it would have taken, by default 16 KiB or less with
 * every library, and ends the connection at more; one that takes them tells nobody but the client.
 * So this is four times what a server allows, and what a client in a hurry may cost. */
#define TLS_EARLY_MAX 65536

/* What follows the first hello: a second one, sent after a HelloRetryRequest. change_cipher_spec
 * and alerts may come before it (a server overlooks some alerts), and data where the first hello
 * offered early data: *early is how much of it may still come, 0 where none was offered.
 * PARSE_MORE: it may still come (out->server_next: and has not begun); the first *used bytes, of
 * which the last may not be there yet, are of no more interest then. PARSE_ABSENT: none comes any
 * more. */
enum parse tls_next_hello(struct cursor stream, uint32_t *early, uint64_t *used, struct hello *out);

/* A handshake message without records: type, 24-bit length, ClientHello. *len (may be NULL) is the
 * whole message's, once known; bytes after it are not looked at. */
enum parse tls_client_hello(struct cursor message, size_t *len, struct hello *out);

/* A ClientHello's body with DTLS's cookie (RFC 6347 section 4.2.1), whole. */
enum parse tls_datagram_hello(struct cursor body, struct hello *out);
