/* dns_tcp: DNS messages out of TCP connections (RFC 1035 section 4.2.2, RFC 7766): split,
 * pipelined, reordered and repeated segments are joined in a window that slides from message to
 * message. Fixed size; the least recently used connection goes. One thread.
 *
 * Only a connection whose SYN was seen is followed: where a message starts is never guessed, for a
 * server of names could put bytes that look like another message's start into an answer. */
#pragma once
#include "name/question.h"
#include "packet/packet.h"

struct dns_tcp;

/* About 74 KB a connection, touched on use. NULL where memory ran out. */
struct dns_tcp *dns_tcp_new(uint32_t connections);
void dns_tcp_free(struct dns_tcp *t);

/* A TCP packet to or from port 53; gives each message that it makes whole, in order. */
typedef void dns_tcp_message(void *ctx, const struct dns_peers *peers, bool from_client,
			     struct cursor message);
void dns_tcp_packet(struct dns_tcp *t, const struct packet *p, dns_tcp_message *give, void *ctx);

/* Connections given up: too many holes, or bytes past the window. */
uint64_t dns_tcp_lost(const struct dns_tcp *t);
