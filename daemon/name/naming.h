/* naming: a flow's packets -> the name it wants and how well it is known. Joins what does not stand
 * in one packet, and follows a flow on where later hellos or requests matter. */
#pragma once
#include "base/pool.h"
#include "base/unique.h"
#include "name/dtls.h"
#include "name/hello.h"
#include "name/http.h"
#include "name/quic.h"
#include "dns/seen.h"
#include "packet/flow.h"
#include "packet/kept.h"
#include "packet/packet.h"
#include "packet/share.h"
#include "packet/stream.h"

struct namer {
	struct quic *quic;           /* the worker's */
	struct stream_pool *streams; /* the worker's */
	struct shares *shares;       /* the worker's: whose the streams are */
	struct kept *kept;           /* the worker's: what was judged, of flows not answered yet */
	struct seen *seen;           /* shared */
	struct unique *hosts;        /* the worker's: of struct host, one a flow */
	struct pool *quics;          /* the worker's: of struct quic_flow, one a flow */
	int64_t now;                 /* of the packet at hand */
	struct cursor rest; /* UDP: the datagrams of the packet at hand that are not read yet */
};

/* What is known of a flow's name, and what naming remembers of it between its packets; all zero at
 * first but its entry. */
struct naming_flow {
	struct flow_entry entry;
	uint32_t isn;      /* TCP: sequence number of the client's first data byte */
	bool syn_seen : 1; /* TCP: began with a SYN that we saw, so stream offsets are known */
	bool started : 1;  /* a packet with payload was seen */
	bool heard : 1; /* allowed for what its bytes say: what comes in their place is compared */
	bool live : 1;  /* allowed, but later packets matter: those are looked at, too */
	bool mismatch : 1; /* it names a host that was not resolved to its address */
	bool unseen : 1;   /* its first packets were another process's */
	enum evidence evidence : 8;
	enum protocol protocol : 8;
	struct http_follow follow;
	struct dtls_flow dtls;
	uint32_t early; /* TLS: bytes of early data that may still come before a second hello */
	const struct host *host; /* naming_set_host alone sets it; NULL: no name */
	struct quic_flow *quic;  /* NULL: no datagram of QUIC was read */
	struct stream *stream;   /* first bytes, while they are being joined */
	/* TCP: offset of the client's first byte that is not yet judged (its stream's offset 0),
	 * and of the first that the server was not given */
	uint64_t next, unsent;
	uint64_t sent; /* TCP: bytes of all segments that went on, repeated ones too */
	struct kept_flow kept;
	struct host_key owner; /* whose share its stream, and what it holds, is of; changes only
				  while there is none */
};

/* What becomes of a packet, as far as names go. */
enum naming_word {
	NAMING_ASK,      /* it tells a name, or that there is none, to ask the policy about */
	NAMING_HOLD,     /* it waits for more */
	NAMING_AGAIN,    /* it brings again what waits for more */
	NAMING_PASS,     /* it goes on; what is held waits on */
	NAMING_PASS_ALL, /* all that has come goes on, held or not */
	NAMING_LOSE,     /* it may not go on, and denies nothing */
	NAMING_DONE,     /* it goes on, and nothing more comes: the flow need not be live */
	NAMING_BAD,      /* broken says why there is no name, if it is the flow's fault */
};

struct naming {
	enum naming_word word;
	enum parse parse; /* of the bytes: PARSE_ABSENT, PARSE_OK and PARSE_BAD weigh differently */
	enum reason
		broken; /* why there is no name, where it is the flow's fault; else REASON_COUNT */
	struct hello hello; /* filled on PARSE_OK; protocol also on PARSE_BAD */
};

/* What is said of a flow whose bytes nobody reads: no name, of no protocol. */
void naming_none(struct naming *out);

/* First bytes: what they say together with those of earlier packets. NAMING_ASK also where they are
 * bad or no name comes: the policy may take the address. NAMING_PASS_ALL: the server has to see
 * what came before the rest can come (STARTTLS). */
void naming_first(struct namer *n, struct naming_flow *f, const struct packet *p,
		  struct naming *out);

/* What is held of an allowed HTTP connection may be dropped at any bound, and nothing is wrong with
 * it: its client gives it again, and what was judged of it by then passes. */
bool naming_comes_again(const struct naming_flow *f);

/* The bytes of the flow that wait for more, and whether one is missing before the last of them. */
uint64_t naming_joined(const struct naming_flow *f, bool *hole);

/* Sets the flow's host, evidence, mismatch and protocol from what its bytes say and DNS told. */
void naming_weigh(struct namer *n, struct naming_flow *f, const struct naming *in, int64_t now);

/* After a name was allowed, p the packet that told it: the flow is heard, and the bytes that were
 * judged are kept to be compared with what comes in their place. It is live where a later hello or
 * request can name another host; every_request is the policy's http = "every-request". */
void naming_follow(struct namer *n, struct naming_flow *f, const struct naming *first,
		   const struct packet *p, bool every_request);

/* A TCP segment of a heard flow against what was judged; KEPT_GONE also where it begins before the
 * flow does, or farther on than its sender can be. */
enum kept_check naming_compare(const struct namer *n, const struct naming_flow *f,
			       const struct packet *p);

/* Whether a heard flow's later packets matter for as long as it lives, whatever its server says
 * (HTTP's every request, DTLS): the kernel must not settle it. */
bool naming_stays(const struct naming_flow *f);

/* Whether a packet of an allowed flow is to be looked at: the flow is live, or the packet is a
 * datagram, each of which may begin another connection. */
bool naming_follows(const struct naming_flow *f, const struct packet *p);

/* A packet of such a flow, at first the one that completed the first hello (NULL: go on with what
 * is joined). NAMING_ASK: another name to ask the policy for; call again with NULL. NAMING_BAD:
 * broken, else the bytes are malformed; REASON_HELLO_CHANGED: a name that must not be. */
void naming_later(struct namer *n, struct naming_flow *f, const struct packet *p,
		  struct naming *out);

/* The packet went on to the server: what a reset to it has to name next. */
void naming_passed(struct naming_flow *f, const struct packet *p);

/* Puts the flow's stream back. */
void naming_drop(struct namer *n, struct naming_flow *f);

/* The flow goes, or begins anew: puts back all that is the worker's. */
void naming_end(struct namer *n, struct naming_flow *f);

/* The name of a flow, of no length where it has none; and another one. */
const struct host *naming_host(const struct naming_flow *f);
void naming_set_host(struct namer *n, struct naming_flow *f, const struct host *host);

/* Whether bytes of the flow wait for more; else a stream is only kept to compare with. */
bool naming_joins(const struct naming_flow *f);
