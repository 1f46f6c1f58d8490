/* dns_tcp: DNS messages out of TCP connections (RFC 1035 section 4.2.2, RFC 7766): split,
 * pipelined, reordered and repeated segments are joined in a window that slides from message to
 * message. Fixed size: a host has an eighth, of which its least recently used connection goes;
 * where all are in use, that of a host that has most. One call at a time.
 *
 * Where a message starts is never guessed, for a server of names could put bytes that look like
 * another message's start into an answer, and its client could see to it that they begin a segment.
 * A connection is followed from its SYN on. One that is met mid-stream is taken up when its client
 * has acknowledged all that came, would take more, and nothing came for a second: then the resolver
 * has nothing under way, and the client's next segment and the resolver's next begin messages. */
#pragma once
#include "dns/question.h"
#include "packet/packet.h"

struct dns_tcp;

/* About 74 KB a connection, touched on use. NULL where memory ran out. */
struct dns_tcp *dns_tcp_new(uint32_t connections);
void dns_tcp_free(struct dns_tcp *t);

/* A TCP packet from a client to a resolver, or back; gives each message that it makes whole, in
 * order. host: the client's, for its share of connections. now: ns. */
typedef void dns_tcp_message(void *ctx, const struct dns_peers *peers, bool from_client,
			     struct cursor message);
void dns_tcp_packet(struct dns_tcp *t, const struct packet *p, bool from_client,
		    const struct host_key *host, int64_t now, dns_tcp_message *give, void *ctx);

/* Connections given up: for want of room, too many holes, or bytes past the window. */
uint64_t dns_tcp_lost(const struct dns_tcp *t);
