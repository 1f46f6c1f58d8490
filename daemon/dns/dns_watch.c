#include "dns/dns_watch.h"
#include "base/clock.h"
#include "dns/dns_tcp.h"

#include <netinet/in.h>
#include <stdlib.h>

#define DNS_PORT 53
#define ORIGINS  16          /* names that lead to the asked one; the newest count */
#define AT_ONCE  16          /* addresses that are stored together */
#define TTL_MAX  (7 * 86400) /* s; resolvers keep nothing longer (RFC 8767 section 4) */

struct dns_watch {
	struct seen *seen;
	struct host_key host; /* of the client at hand */
	struct questions *questions;
	struct dns_tcp *tcp;
	int64_t now; /* of the packet at hand */
	struct dns_watch_counters count;
};

/* One writer, readers elsewhere. */
#define COUNT(w, field, n)                                                                         \
	__atomic_store_n(&(w)->count.field, (w)->count.field + (n), __ATOMIC_RELAXED)

struct dns_watch *dns_watch_new(uint32_t questions, uint32_t connections, struct seen *seen)
{
	struct dns_watch *w = calloc(1, sizeof *w);
	if (!w)
		return NULL;
	w->seen = seen;
	w->questions = questions_new(questions);
	w->tcp = dns_tcp_new(connections);
	if (w->questions && w->tcp)
		return w;
	dns_watch_free(w);
	return NULL;
}

void dns_watch_free(struct dns_watch *w)
{
	if (!w)
		return;
	questions_free(w->questions);
	dns_tcp_free(w->tcp);
	free(w);
}

static int64_t ttl_ns(uint32_t ttl)
{
	return (ttl < TTL_MAX ? ttl : TTL_MAX) * NS_PER_S;
}

/* An answer, and the names that a client connects under to what it gives: the asked one, and those
 * that led to it: by the record of a service, or by a chain that its answer did not bring to an
 * end. */
struct note {
	struct seen *seen;
	const struct address *client;
	int64_t now;
	const struct host *asked;
	size_t origins;
	struct host origin[ORIGINS];
};

static void note_addresses(const struct note *n, const struct seen_told *told, size_t count)
{
	seen_add_all(n->seen, n->client, n->asked, told, count, n->now);
	for (size_t i = 0; i < n->origins; i++)
		seen_add_all(n->seen, n->client, &n->origin[i], told, count, n->now);
}

static void note_target(const struct note *n, const struct host *target, uint32_t ttl)
{
	seen_add_target(n->seen, n->client, target, n->asked, ttl_ns(ttl), n->now);
	for (size_t i = 0; i < n->origins; i++)
		seen_add_target(n->seen, n->client, target, &n->origin[i], ttl_ns(ttl), n->now);
}

static void note_services(const struct note *n, struct dns_message *m)
{
	struct dns_ech e;
	struct host target;
	uint32_t ttl;
	dns_rewind(m);
	while (dns_next_ech(m, &e) == PARSE_OK)
		seen_add_ech(n->seen, n->client, &e.public_name, e.config_id, ttl_ns(e.ttl),
			     n->now);
	for (unsigned t = 0; t < m->targets; t++) {
		dns_target(m, t, &target, &ttl);
		note_target(n, &target, ttl);
	}
}

unsigned dns_note(struct seen *seen, const struct address *client, struct dns_message *m,
		  int64_t now)
{
	struct note note;
	struct seen_told told[AT_ONCE];
	struct dns_address d;
	unsigned count = 0;
	size_t n = 0;
	if (m->answers == 0)
		return 0;
	note.seen = seen;
	note.client = client;
	note.now = now;
	note.asked = &m->question;
	note.origins = seen_origins(seen, client, note.asked, now, note.origin, ORIGINS);
	for (; dns_next(m, &d) == PARSE_OK; count++) {
		if (n == AT_ONCE) {
			note_addresses(&note, told, n);
			n = 0;
		}
		told[n++] = (struct seen_told){d.address, ttl_ns(d.ttl)};
	}
	note_addresses(&note, told, n);
	if (m->targets || m->type == DNS_HTTPS || m->type == DNS_SVCB)
		note_services(&note, m);
	struct host end;
	uint32_t ttl;
	if (count == 0 && dns_alias(m, &end, &ttl))
		note_target(&note, &end, ttl);
	return count;
}

static void take_message(struct dns_watch *w, const struct dns_peers *peers, struct dns_message *m)
{
	if (!m->response) {
		COUNT(w, queries, 1);
		question_add(w->questions, &w->host, peers, m, w->now);
	} else if (question_take(w->questions, peers, m, w->now)) {
		COUNT(w, answers, 1);
		COUNT(w, addresses, dns_note(w->seen, &peers->client, m, w->now));
		COUNT(w, malformed, m->damaged); /* known when all is walked */
	} else {
		COUNT(w, unasked, 1);
	}
}

static void take_tcp(void *ctx, const struct dns_peers *peers, bool from_client,
		     struct cursor bytes)
{
	struct dns_watch *w = ctx;
	struct dns_message m;
	enum parse parsed = dns_message(bytes, &m);
	COUNT(w, malformed, parsed == PARSE_BAD);
	if (parsed == PARSE_OK && m.response == !from_client)
		take_message(w, peers, &m);
}

/* A client's message is a query, whatever it says of itself, and a resolver's an answer. */
static void take_udp(struct dns_watch *w, const struct packet *p, const struct dns_peers *peers,
		     bool from_client)
{
	struct dns_message m;
	enum parse parsed = dns_message(p->payload, &m);
	COUNT(w, malformed, parsed == PARSE_BAD);
	if (parsed == PARSE_OK && m.response == !from_client)
		take_message(w, peers, &m);
}

void dns_watch_packet(struct dns_watch *w, const struct packet *p, bool from_client, int64_t now)
{
	struct dns_peers peers = {p->src, p->dst, p->src_port, p->transport};
	if (!from_client)
		peers = (struct dns_peers){p->dst, p->src, p->dst_port, p->transport};
	if ((from_client ? p->dst_port : p->src_port) != DNS_PORT)
		return;
	w->now = now;
	w->host = seen_whose(w->seen, &peers.client);
	if (p->transport == IPPROTO_UDP)
		take_udp(w, p, &peers, from_client);
	else if (p->transport == IPPROTO_TCP)
		dns_tcp_packet(w->tcp, p, from_client, &w->host, now, take_tcp, w);
	COUNT(w, lost, dns_tcp_lost(w->tcp) - w->count.lost);
}

void dns_watch_bytes(struct dns_watch *w, const void *bytes, size_t len, bool from_client,
		     int64_t now)
{
	struct packet p;
	if (packet_parse(bytes, len, &p) == PACKET_OK)
		dns_watch_packet(w, &p, from_client, now);
}

void dns_watch_count(const struct dns_watch *w, struct dns_watch_counters *out)
{
	const uint64_t *from = (const uint64_t *)&w->count;
	uint64_t *to = (uint64_t *)out;
	for (size_t i = 0; i < sizeof *out / sizeof *to; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

static const struct metric rows[] = {
	METRIC(dns_watch_counters, queries, COUNTER, "messages",
	       "queries of class IN with one question"),
	METRIC(dns_watch_counters, answers, COUNTER, "messages",
	       "answers to a query that was seen"),
	METRIC(dns_watch_counters, unasked, COUNTER, "messages",
	       "answers to none, which count for nothing"),
	METRIC(dns_watch_counters, malformed, COUNTER, "messages",
	       "messages that were damaged; what stood before the damage counts"),
	METRIC(dns_watch_counters, addresses, COUNTER, "addresses", "addresses that answers told"),
	METRIC_AS("connections_lost", dns_watch_counters, lost, COUNTER, "connections",
		  "DNS connections over TCP that could not be followed"),
};
METRICS(dns_watch_metrics, "dns", dns_watch_counters, rows);
