/* tls: the ClientHello, of TLS over TCP (RFC 8446 section 4.1.2, RFC 5246), its body as QUIC
 * carries it, and DTLS (RFC 6347, RFC 9147). */
#pragma once
#include "name/hello.h"

/* Records from the start of the connection; the hello may span several of them. PARSE_ABSENT: the
 * first bytes are not a TLS handshake record. */
enum parse tls_records(struct cursor stream, struct hello *out);

/* A handshake message without records: type, 24-bit length, ClientHello. */
enum parse tls_client_hello(struct cursor message, struct hello *out);
