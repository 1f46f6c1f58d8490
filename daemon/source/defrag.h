/* defrag: joins IP fragments (RFC 791, RFC 8200 section 4.5), as the kernel does before our rules.
 *
 * Bounded: 64 datagrams at a time, the oldest goes; 30 s from a datagram's first fragment. Overlaps
 * of the same bytes are joined; of other bytes make the datagram bad, and what comes of it later is
 * swallowed. */
#pragma once
#include "packet/packet.h"
#include "source/frames.h"

struct defrag;

/* A datagram that will not be joined, told once. What is known of its packet: addresses and
 * transport always, ports where its beginning was there. */
typedef void defrag_lost_fn(void *ctx, const struct packet *p);

/* keep: keep the fragments' frames, for what is joined to be written as it was. NULL where memory
 * ran out. */
struct defrag *defrag_new(bool keep, defrag_lost_fn *lost, void *ctx);
void defrag_free(struct defrag *d);

struct joined {
	const uint8_t *bytes; /* the whole packet, its header the first fragment's */
	uint32_t len;
	const struct frames *frames; /* all three valid until the next call */
};

/* One fragment (PACKET_FRAGMENT) of a frame; cut: the capture has only a part of it. True
 * where it makes a packet whole. */
bool defrag_add(struct defrag *d, const struct packet *p, bool cut, int64_t now,
		const struct pcap_frame *frame, struct joined *out);

/* Gives up what began 30 s before now; INT64_MAX: everything. */
void defrag_expire(struct defrag *d, int64_t now);
