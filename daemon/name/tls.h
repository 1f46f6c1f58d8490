/* tls: the ClientHello of TLS over TCP (RFC 8446 section 4.1.2, RFC 5246), and its body as QUIC and
 * DTLS carry it. */
#pragma once
#include "name/hello.h"

#define TLS_HELLO_MAX 65536 /* bytes of a handshake message; a longer one is malformed */

/* Records from the start of the connection; the hello may span several of them. PARSE_ABSENT: the
 * first bytes are not a TLS handshake record (so an SSLv2 hello, which carries no name). PARSE_BAD
 * as soon as no further byte could make it a hello, so a prefix of a good one is always PARSE_MORE.
 */
enum parse tls_records(struct cursor stream, struct hello *out);

/* The same stream, of which tls_records has read the first hello: a second one, sent after a
 * HelloRetryRequest. PARSE_MORE: it may still come (out->server_next: and has not begun);
 * PARSE_ABSENT: none comes any more. */
enum parse tls_next_hello(struct cursor stream, struct hello *out);

/* A handshake message without records: type, 24-bit length, ClientHello. *len (may be NULL) is the
 * whole message's, once known; bytes after it are not looked at. */
enum parse tls_client_hello(struct cursor message, size_t *len, struct hello *out);

/* A ClientHello's body with DTLS's cookie (RFC 6347 section 4.2.1), whole. */
enum parse tls_datagram_hello(struct cursor body, struct hello *out);
