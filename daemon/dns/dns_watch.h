/* dns_watch: overhears the queries to the configured resolvers and their answers, and notes in
 * `seen` what each client was told. One call at a time. */
#pragma once
#include "base/metric.h"
#include "dns/question.h"
#include "dns/seen.h"
#include "packet/packet.h"

struct dns_watch;

enum { DNS_QUESTIONS = 16384, DNS_CONNECTIONS = 1024 }; /* of a gateway */

/* questions and connections: how many questions wait for answers, how many TCP connections are
 * followed (74 KB each, touched on use). NULL where memory ran out. seen stays the caller's. */
struct dns_watch *dns_watch_new(uint32_t questions, uint32_t connections, struct seen *seen);
void dns_watch_free(struct dns_watch *w);

/* A packet from a client to port 53 of a configured resolver, or back from there (what others send
 * is never handed in): its names are in `seen` when this returns. Which way it goes is the rules'
 * word, for both ports may be 53, and a client may call an answer what it sends. A truncated
 * answer's addresses count: clients may use them. */
void dns_watch_packet(struct dns_watch *w, const struct packet *p, bool from_client, int64_t now);

/* The same from its bytes on, which begin at the IP header; what is no packet is nothing. */
void dns_watch_bytes(struct dns_watch *w, const void *bytes, size_t len, bool from_client,
		     int64_t now);

struct dns_watch_counters {
	uint64_t queries, answers; /* of class IN with one question; answers to a question seen */
	uint64_t unasked;          /* answers to none, ignored */
	uint64_t malformed;        /* messages; what stood before the damage counts */
	uint64_t addresses;        /* given to `seen` */
	uint64_t lost; /* TCP connections that could not be followed, or for want of room */
};
/* Any thread. */
extern const struct metrics dns_watch_metrics;
void dns_watch_count(const struct dns_watch *w, struct dns_watch_counters *out);

/* Notes in `seen` what an answer tells a client; returns how many addresses. For every input. */
unsigned dns_note(struct seen *seen, const struct address *client, struct dns_message *m,
		  int64_t now);
