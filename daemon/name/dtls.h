/* dtls: the ClientHello of DTLS 1.0, 1.2 (RFC 6347) and 1.3 (RFC 9147), from its fragments. */
#pragma once
#include "name/hello.h"
#include "packet/stream.h"

/* Whether a datagram begins with a DTLS handshake record of epoch 0. */
bool dtls_is_handshake(struct cursor datagram);

/* Reads the handshake records of one client datagram. Where the hello is whole inside it no stream
 * is needed; else its fragments are added to *message, taken from the pool when it is NULL (put
 * back here once the hello is whole; else by the caller). The hello that follows a
 * HelloVerifyRequest is a message of its own and answers PARSE_OK again.
 *
 * PARSE_MORE: wait for the next datagram (*message still NULL: the pool is empty). PARSE_ABSENT: no
 * ClientHello. PARSE_BAD: malformed; *conflict is set where fragments contradict each other.
 */
enum parse dtls_datagram(struct cursor datagram, struct stream_pool *pool, struct stream **message,
			 bool *conflict, struct hello *out);
