/* reply: packets of our own, sent through raw sockets that are opened while CAP_NET_RAW is there.
 *
 * All of them carry MARK_OWN, which our rules let go. */
#pragma once
#include "base/error.h"
#include "config/config.h"
#include "packet/flow.h"
#include "packet/packet.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Opens both sockets (-1 where the kernel has no such protocol). False with a sentence in errors
 * where the right is missing. */
bool reply_open(uint32_t mark, int *raw4, int *raw6, struct errors *errors)
	__attribute__((warn_unused_result));

/* For a service that has no right to open them: opens both and gives them to the service manager,
 * by whom reply_open of its next process has them. False with a sentence in errors. */
bool reply_hand_over(struct errors *errors) __attribute__((warn_unused_result));

/* A reset that the client could have sent, next in sequence at seq (RFC 9293 section 3.5.3). */
void reply_reset_server(int raw4, int raw6, const struct flow_key *key, uint32_t seq);

/* Makes both ends of an established TCP flow send an empty ACK with their right numbers, which the
 * denied mark's rules then answer by a reset that fits: each end gets an ACK that is outside its
 * window (RFC 9293 section 3.10.7.4). old is a sequence number that the client has used before, its
 * initial one for example. */
void reply_probe(int raw4, int raw6, const struct flow_key *key, uint32_t old);

/* Sends a client's UDP datagram on as a router does, one hop less, its checksum whole (it is not
 * where an offload would have made it). bytes: from an IP header without extension headers, of
 * which there are hops to go; written to. False where it could not be sent. */
bool reply_forward(int raw4, int raw6, uint8_t *bytes, size_t len);
/* What that does to the bytes of a parsed packet; for its test. */
void reply_hop(uint8_t *bytes, const struct packet *p);

/* Answers a plain HTTP request that never reached its server, in the server's place: GET and HEAD
 * are sent to the portal's page about the site (302); who asks for anything else is told of it
 * (511, RFC 6585 section 6). */
struct reply_redirect {
	const struct flow_key *key;
	uint32_t seq, ack; /* the next byte that the client wants, and that it will send */
	bool follows;      /* GET or HEAD */
	const struct endpoint *portal;
	const char *to; /* the site's name or address */
};
void reply_redirect(int raw4, int raw6, const struct reply_redirect *r);

/* What it says, and a TCP segment in `out`; their lengths. For those above and their test. */
#define REPLY_DATA_MAX 1100 /* with its headers it fits wherever IPv6 does (RFC 8200 section 5) */
size_t reply_page(const struct reply_redirect *r, char out[static REPLY_DATA_MAX]);
#define REPLY_MAX (60 + REPLY_DATA_MAX)
struct reply_segment {
	struct address from, to;
	uint16_t from_port, to_port;
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window;
	const char *data; /* or NULL */
	size_t len;       /* at most REPLY_DATA_MAX */
};
size_t reply_build(const struct reply_segment *s, uint8_t out[static REPLY_MAX]);
