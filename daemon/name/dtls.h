/* dtls: the ClientHello of DTLS 1.0, 1.2 (RFC 6347) and 1.3 (RFC 9147), from its fragments. */
#pragma once
#include "name/hello.h"
#include "packet/stream.h"

/* What is remembered of a flow between its datagrams; all zero at first. */
struct dtls_flow {
	bool seen : 1;     /* the flow speaks DTLS */
	bool owns : 1;     /* the flow's stream is DTLS's, not QUIC's */
	bool lost : 1;     /* of the last datagram: it is not to pass */
	uint16_t sequence; /* message number of the hello whose fragments are joined or kept */
	uint32_t floor;    /* fragments below this number can no longer be compared */
};

/* Reads every plaintext handshake record that stands in a client's datagram, wherever it begins:
 * what a server makes of the bytes before it, and where it goes on after a record that it discards,
 * is its own affair. A hello that is whole in one fragment needs no stream; fragments are added to
 * *message, taken from the pool when it is NULL, and compared with what is there; once the hello is
 * told it is only kept there (stream_keep), to compare what comes again. f is the flow's own
 * memory.
 *
 * PARSE_OK: a hello is whole; the one that follows a HelloVerifyRequest is a message of its own and
 * answers PARSE_OK again. PARSE_MORE: wait for the next datagram (*message still NULL: the pool is
 * empty), or f->lost. PARSE_ABSENT: no ClientHello that is new. PARSE_BAD: malformed; *conflict is
 * set where fragments contradict each other, or the datagram holds two hellos for two hosts. */
enum parse dtls_datagram(struct dtls_flow *f, struct cursor datagram, struct stream_pool *pool,
			 struct stream **message, bool *conflict, struct hello *out);
