/* quic: the ClientHello inside QUIC Initial packets: version 1 (RFC 9000, 9001), 2 (RFC 9369),
 * drafts 22 to 34 and the two of mvfst that share their wire image. */
#pragma once
#include "name/hello.h"
#include "packet/stream.h"

#define QUIC_DATAGRAM_MIN 1200 /* bytes of one with a client's Initial (RFC 9000 14.1) */

/* A QUIC connection, known by its keys. What was told of its CRYPTO bytes stays true: no other byte
 * passes in their place. */
struct quic_connection {
	uint32_t version; /* 0: no Initial was read yet */
	uint32_t done;    /* CRYPTO bytes of hellos already told, */
	uint64_t print;   /* and their keyed hash */
	uint64_t next;    /* the packet number after the highest */
	uint32_t used;    /* seconds, of the last Initial */
	uint8_t dcid_len;
	uint8_t dcid[20]; /* destination ID that the Initial keys come from */
};
#define QUIC_CONNECTIONS 4 /* one after a version negotiation and a Retry, and one more */

/* What quic.c remembers of a flow between its datagrams; all zero at first. */
struct quic_flow {
	struct quic_connection known[QUIC_CONNECTIONS]; /* last used first */
	uint32_t now;                                   /* the caller's time, in seconds */
	bool unseen; /* Initials may have gone to the server that we did not see */
	bool joined; /* the stream holds what was told of known[0] */
	bool anew;   /* the hello told last was the first under its keys */
	/* Of the last datagram: an Initial in it was read; it holds CRYPTO bytes that are not
	 * judged yet; no server must take it, or nobody can tell what a server reads in it, so
	 * that it is not to pass. */
	bool opened, waits, lost;
};

struct quic; /* keys and scratch space of one worker */

struct quic *quic_new(void); /* NULL where memory or random bytes ran out */
void quic_free(struct quic *q);

/* Whether a datagram from a client looks like a QUIC long-header packet at all: the form bit, and a
 * version that is known, or the size of a client's Initial (RFC 9000 14.1). The fixed bit tells
 * nothing: a client may clear it (RFC 9287). */
bool quic_is_long(struct cursor datagram);

/* What may open a connection, and comes up even of an allowed flow: what begins as an Initial of
 * any version (RFC 9000 17.2.2, RFC 9369 3.2, RFC 9287) or as a DTLS record of any. */
static inline bool quic_may_open(struct cursor datagram)
{
	uint16_t start = cursor_u16(&datagram);
	return (start & 0x8000) || (start & 0xf000) == 0x1000;
}

/* Takes the first datagram off *all: of several that the kernel has joined into one packet (GSO,
 * GRO), whose size nobody tells, all up to where the next Initial begins that keys of the flow,
 * its own, or the first datagram's open. False where too much looks like one, and is none. */
bool quic_next_datagram(struct quic *q, const struct quic_flow *f, struct cursor *all,
			struct cursor *one);

/* Reads all Initials of one client datagram. Their CRYPTO frames are added to *crypto, taken from
 * the pool when it is NULL, and compared with what is there; once a hello is told it is only kept
 * (stream_keep) there, to compare what comes again. Where it could not be kept, only a repeat of
 * all that was told passes. f is the flow's own memory: the Initial keys stay those of the first
 * destination ID, while the client's packets carry another after the server's answer (RFC 9001
 * 5.2); after a Retry or a version negotiation all starts anew. f->now is the caller's.
 *
 * PARSE_OK: a hello is whole that was not told before: a first one (f->anew), or the one after a
 * HelloRetryRequest. PARSE_MORE: nothing new, or (f->waits) wait for the next datagram; before the
 * first hello *crypto is set then; if it is NULL the pool is empty, which later is PARSE_BAD.
 * PARSE_ABSENT: not QUIC, a version negotiation packet, or mid-stream (Handshake, short header).
 * PARSE_BAD, out->protocol QUIC: unreadable, by version, size, keys or content; f->lost where the
 * datagram need only not pass; *conflict where CRYPTO bytes contradict each other. */
enum parse quic_datagram(struct quic *q, struct quic_flow *f, struct cursor datagram,
			 struct stream_pool *pool, struct stream **crypto, bool *conflict,
			 struct hello *out);
