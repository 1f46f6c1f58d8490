/* reply: packets of our own, sent through raw sockets that are opened while CAP_NET_RAW is there.
 *
 * All of them carry MARK_OWN, which our rules let go. */
#pragma once
#include "base/error.h"
#include "packet/flow.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Opens both sockets (-1 where the kernel has no such protocol). False with a sentence in errors
 * where the right is missing. */
bool reply_open(uint32_t mark, int *raw4, int *raw6, struct errors *errors)
	__attribute__((warn_unused_result));

/* A reset that the client could have sent, next in sequence at seq (RFC 9293 section 3.5.3). */
void reply_reset_server(int raw4, int raw6, const struct flow_key *key, uint32_t seq);

/* Makes both ends of an established TCP flow send an empty ACK with their right numbers, which the
 * denied mark's rules then answer by a reset that fits: each end gets an ACK that is outside its
 * window (RFC 9293 section 3.10.7.4). old is a sequence number that the client has used before, its
 * initial one for example. */
void reply_probe(int raw4, int raw6, const struct flow_key *key, uint32_t old);

/* A TCP segment without data in `out`; its length. For the two above and their test. */
#define REPLY_MAX 60
struct reply_segment {
	struct address from, to;
	uint16_t from_port, to_port;
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window;
};
size_t reply_build(const struct reply_segment *s, uint8_t out[static REPLY_MAX]);
