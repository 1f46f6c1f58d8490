/* mark: how verdicts are written into the bits of the packet and conntrack mark that are ours.
 * A mark is kind | epoch << 4, shifted to the mask's lowest bit; the mask has at least 7 bits in a
 * row. */
#pragma once
#include "base/cursor.h"
#include "name/starttls.h"
#include "source/source.h"

#include <assert.h>

enum mark_kind {
	MARK_NONE,
	/* Of a flow that goes on, in the order that an honest one takes: */
	MARK_PENDING,  /* its SYN passed, or its first datagrams; the server has not answered */
	MARK_ANSWERED, /* TCP: the server has answered the SYN, or asked for a second hello */
	MARK_HEARD,    /* its hello was judged and allowed; the server has not answered that */
	MARK_ALLOWED,  /* the server has: set by the rules, or by a verdict that needs no hello */
	MARK_DENIED,
	MARK_REDIRECT,
	/* On packets only, never on a conntrack entry: */
	MARK_OWN,         /* made by the daemon's raw sockets */
	MARK_SENT,        /* | the entry's kind: on its way to a worker's queue */
	MARK_PASS = 13,   /* a verdict: goes on, and leaves the entry's mark as it is */
	MARK_ANSWER = 15, /* a resolver's, by the resolver's own route; copied up after NAT */
};
#define MARK_KINDS  16
#define MARK_EPOCHS 8

static_assert((int)ENTRY_PENDING == MARK_PENDING && (int)ENTRY_ANSWERED == MARK_ANSWERED &&
		      (int)ENTRY_HEARD == MARK_HEARD && (int)ENTRY_ALLOWED == MARK_ALLOWED,
	      "an entry's state is its mark's kind");

static inline uint32_t mark_value(uint32_t mask, enum mark_kind kind, unsigned epoch)
{
	return ((uint32_t)kind | (uint32_t)(epoch % MARK_EPOCHS) << 4) << __builtin_ctz(mask);
}

static inline enum mark_kind mark_kind_of(uint32_t mask, uint32_t mark)
{
	return (enum mark_kind)((mark & mask) >> __builtin_ctz(mask) & (MARK_KINDS - 1));
}

static inline unsigned mark_epoch_of(uint32_t mask, uint32_t mark)
{
	return (mark & mask) >> __builtin_ctz(mask) >> 4 & (MARK_EPOCHS - 1);
}

/* What the mark of a packet on its way to a worker says of its flow; another epoch's says
 * nothing. */
static inline enum entry mark_entry_of(uint32_t mask, uint32_t mark, unsigned epoch)
{
	unsigned kind = mark_kind_of(mask, mark);
	bool known = kind >= MARK_SENT && kind <= (MARK_SENT | MARK_ALLOWED) &&
		     mark_epoch_of(mask, mark) == epoch % MARK_EPOCHS;
	return known ? (enum entry)(kind & ~(unsigned)MARK_SENT) : ENTRY_NONE;
}

/* The mark that a verdict leaves on the packet or, by remark, on the flow; MARK_NONE where the
 * flow stays undecided and its packet is gone. */
static inline enum mark_kind mark_of_verdict(enum verdict v)
{
	switch (v) {
	case VERDICT_PENDING: return MARK_PENDING;
	case VERDICT_HEARD: return MARK_HEARD;
	case VERDICT_PASS: return MARK_PASS;
	case VERDICT_ALLOWED: return MARK_ALLOWED;
	case VERDICT_DENIED:
	case VERDICT_DROP_DENIED: return MARK_DENIED;
	case VERDICT_REDIRECT: return MARK_REDIRECT;
	case VERDICT_DROP: break;
	}
	return MARK_NONE;
}

/* What a server's segment from this port makes of a TCP flow that is heard. It answers a hello or a
 * head where its payload begins as only such an answer does, TLS's ServerHello (RFC 8446 4.1.3) or
 * HTTP's status line: a banner of a server that speaks first answers nothing. Nor does "HTTP" where
 * TLS is asked for in words (STARTTLS), which servers repeat. A HelloRetryRequest (a ServerHello
 * whose random is fixed) asks for another hello; so may what begins as TLS and is too short to
 * tell. The rules have the same in their own words. */
static inline enum mark_kind mark_of_answer(uint16_t port, struct cursor payload)
{
	struct cursor tls = payload;
	if (cursor_u32(&payload) == 0x48545450) /* "HTTP" */
		return starttls_at(port) ? MARK_HEARD : MARK_ALLOWED;
	if (cursor_peek(&tls) != 0x16)
		return MARK_HEARD;
	bool is_tls = cursor_u16(&tls) == 0x1603;
	cursor_skip(&tls, 3); /* minor version, length */
	bool server_hello = cursor_u8(&tls) == 2;
	cursor_skip(&tls, 5); /* length, version */
	bool retry = cursor_u32(&tls) == 0xcf21ad74;
	return is_tls && server_hello && !retry && !tls.bad ? MARK_ALLOWED : MARK_ANSWERED;
}
