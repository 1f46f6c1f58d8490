/* quic: the ClientHello inside QUIC Initial packets: version 1 (RFC 9000, 9001), 2 (RFC 9369),
 * drafts 22 to 34 and the two of mvfst that share their wire image. */
#pragma once
#include "name/hello.h"
#include "packet/flow.h"
#include "packet/stream.h"

struct quic; /* keys and scratch space of one worker */

struct quic *quic_new(void);
void quic_free(struct quic *q);

/* Whether a datagram from a client looks like a QUIC long-header packet at all: the form bit, and a
 * version that is known, or the fixed bit and the size of a client's Initial (RFC 9000 14.1). */
bool quic_is_long(struct cursor datagram);

/* Whether one can begin with an Initial of any version (RFC 9000 17.2.2, RFC 9369 3.2): these come
 * up even of an allowed flow. */
static inline bool quic_may_be_initial(struct cursor datagram)
{
	return (cursor_peek(&datagram) & 0xe0) == 0xc0;
}

/* Reads all Initials of one client datagram. Where the hello is whole inside it no stream is
 * needed; else its CRYPTO frames are added to *crypto, taken from the pool when it is NULL (put
 * back here once the hello is whole; else by the caller). f is the flow's own memory: the Initial
 * keys stay those of the first destination ID, while the client's packets carry another after the
 * server's answer (RFC 9001 5.2); after a Retry or a version negotiation all starts anew.
 *
 * PARSE_OK: a hello is whole; a later OK is the same again or another one (HelloRetryRequest; with
 * f->anew Retry, new version, another connection): nothing ties it to the first.
 * PARSE_MORE: wait for the next datagram (before the first hello *crypto is set then; if it is
 * NULL the pool is empty, which later is PARSE_BAD). PARSE_ABSENT: not QUIC, a version negotiation
 * packet, or mid-stream (Handshake, short header). PARSE_BAD, out->protocol QUIC: unreadable, by
 * version, keys (f->sealed then) or content; *conflict is set where CRYPTO frames contradict each
 * other. */
enum parse quic_datagram(struct quic *q, struct quic_flow *f, struct cursor datagram,
			 struct stream_pool *pool, struct stream **crypto, bool *conflict,
			 struct hello *out);
