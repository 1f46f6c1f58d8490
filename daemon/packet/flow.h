/* flow: a worker's table of flows: fixed size, no allocation once made. Of a full one the least
 * recently used goes: of the newcomer's host where that has an eighth of the table, else of another
 * host that has more, else of all: no host can make others' flows forgotten. */
#pragma once
#include "base/address.h"
#include "base/decision.h"
#include "packet/kept.h"
#include "packet/share.h"
#include <stddef.h>
#include <stdint.h>

struct stream;

/* Always from the client's side: client is who sent the first packet. */
struct flow_key {
	struct address client, server;
	uint16_t client_port, server_port;
	uint8_t transport;
};

enum flow_state {
	FLOW_NEW,     /* nothing decided, no name yet */
	FLOW_HOLDING, /* packets of it are held until its hello is whole */
	FLOW_ALLOWED,
	FLOW_DENIED,
};

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

/* The same of dtls.c. */
struct dtls_flow {
	bool seen;         /* the flow speaks DTLS */
	bool owns;         /* the flow's stream is dtls.c's, not quic.c's */
	bool lost;         /* of the last datagram: it is not to pass */
	uint16_t sequence; /* message number of the hello whose fragments are joined or kept */
	uint32_t floor;    /* fragments below this number can no longer be compared */
};

/* Where http.c is in a connection between packets; zero at its start. */
struct http_follow {
	enum { HTTP_FIRST, HTTP_HEAD, HTTP_CHUNK, HTTP_CHUNK_END, HTTP_TRAILER, HTTP_FRAMES } at;
	bool begun;   /* a request was read */
	bool upgrade; /* one offered to go on with another protocol, or CONNECT */
};

struct flow {
	/* hot: what every packet reads, in the first cache line */
	struct flow_key key;
	bool used;
	bool syn_seen; /* TCP: began with a SYN that we saw, so stream offsets are known */
	bool answered; /* TCP: the kernel has seen its server's SYN,ACK */
	bool started;  /* a packet with payload was seen */
	bool heard;    /* allowed for what its bytes say: what comes in their place is compared */
	bool asked;    /* TLS: its server has said something since, perhaps HelloRetryRequest */
	bool live;     /* allowed, but later packets matter: those are looked at, too */
	bool ended;    /* conntrack forgot it; kept for a grace (UDP) */
	bool restored; /* an earlier process decided it */
	bool stuck;    /* held bytes of it passed before it had a name, as no more came */
	bool unsaid;   /* denied since, if it is still open: no record yet */
	bool unfit;    /* a name that no line allows stands in what is held: it is not let go */
	bool recorded; /* its decision is in the log */
	bool passed;   /* it was allowed once: its end is worth a record */
	bool unconfirmed; /* who its client is was told by a frame alone */
	enum flow_state state;
	uint32_t next_;        /* the table's own */
	uint32_t isn;          /* TCP: sequence number of the client's first data byte */
	struct stream *stream; /* first bytes, while they are being joined */
	int64_t first, last;
	int64_t held_since, held_at;                            /* packet/held.h's */
	uint32_t held_first, held_last, held_count, holding_at; /* packet/held.h's */
	struct host_key
		host_key; /* whose share what it holds is of; changes only while that is none */
	struct quic_flow quic;
	struct dtls_flow dtls;
	/* TCP: offset of the client's first byte that is not yet judged (its stream's offset 0),
	 * and of the first that the server was not given */
	uint64_t next, unsent;
	struct http_follow follow;
	struct kept_flow kept;
	uint32_t early; /* TLS: bytes of early data that may still come before a second hello */
	/* what was decided, for repeats, for deciding again, and for the end record */
	char user[USER_MAX], tier[TIER_MAX];
	struct outcome outcome;
	enum reason was; /* unsaid: what allowed it */
	enum evidence evidence;
	enum protocol protocol;
	bool mismatch, has_mac;
	uint8_t mac[6];
	uint64_t repeats; /* packets met again with the same denial since the last record */
	int64_t repeat_said;
	struct host host;
};

struct flow_table;

/* capacity flows, all memory taken now; NULL where it ran out. */
struct flow_table *flow_table_new(uint32_t capacity);
void flow_table_free(struct flow_table *t);

/* The flow of a key, most recently used from now on; NULL where there is none. */
struct flow *flow_find(struct flow_table *t, const struct flow_key *key);

/* Whether it is there; its use is not noted. */
bool flow_known(const struct flow_table *t, const struct flow_key *key);

/* A new flow of a host, for a key that is not in the table. Where the table is full one that holds
 * no packets goes first: it is passed to `evicted` (may be NULL) while still whole. NULL only where
 * every flow holds packets (reason table-full). */
struct flow *flow_add(struct flow_table *t, const struct flow_key *key, const struct host_key *host,
		      int64_t now, void (*evicted)(void *ctx, struct flow *), void *ctx);

void flow_remove(struct flow_table *t, struct flow *f);

/* Walks the table in slot order, for deciding again in portions: the first used flow at or after
 * *slot, which moves past it; NULL at the end. Removing the returned flow is allowed. */
struct flow *flow_each(struct flow_table *t, uint32_t *slot);

/* The least recently used flow, NULL where the table is empty (for idle sweeps). */
struct flow *flow_oldest(struct flow_table *t);

/* The slot of a flow, below the capacity and its own until it is removed: for a caller that keeps
 * more about flows than struct flow does. */
uint32_t flow_slot(const struct flow_table *t, const struct flow *f);

uint32_t flow_count(const struct flow_table *t);
uint32_t flow_capacity(const struct flow_table *t);
