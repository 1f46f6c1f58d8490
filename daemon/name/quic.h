/* quic: the ClientHello inside QUIC Initial packets (RFC 9000, 9001, 9369; draft-29). */
#pragma once
#include "name/hello.h"
#include "packet/stream.h"

struct quic; /* keys and scratch space of one worker */

struct quic *quic_new(void);
void quic_free(struct quic *q);

/* Whether a datagram from a client looks like a QUIC long-header packet at all (fixed bit or a
 * version); what does not is another protocol. */
bool quic_is_long(struct cursor datagram);

/* Reads all Initials of one client datagram. Where the hello is whole inside it, no stream is
 * needed; else its CRYPTO frames are added to *crypto, taken from the pool when it is NULL (the
 * caller puts it back). PARSE_MORE: wait for the next datagram. PARSE_ABSENT: no Initial in it, or
 * Initials without a hello. PARSE_BAD with out->protocol QUIC: unreadable (reason quic-unreadable);
 * *conflict is set for CRYPTO frames that contradict each other. */
enum parse quic_datagram(struct quic *q, struct cursor datagram, struct stream_pool *pool,
			 struct stream **crypto, bool *conflict, struct hello *out);
