#include "dns/dns_tcp.h"

#include "base/clock.h"
#include "base/hash.h"
#include "packet/owned.h"

#include <netinet/in.h>
#include <stdlib.h>

#define QUERIES_MAX 6144        /* the window for a client's bytes */
#define ANSWERS_MAX (66 * 1024) /* for a resolver's: the largest message and some */
#define RANGES      8
#define SHARE       8 /* a host has an eighth of the connections */
#define QUIET       NS_PER_S
#define ROOMY       4096 /* a receive window, unscaled, into which a sender that has more sends it */
#define NONE        UINT32_MAX

struct range {
	uint32_t from, to;
};

/* Bytes of one direction, from the start of the first message that is not whole. */
struct window {
	uint32_t base; /* sequence number of bytes[0] */
	uint32_t size;
	bool begun;
	unsigned count;
	struct range range[RANGES]; /* what is there: sorted, apart from each other */
	uint8_t *bytes;
};

/* A connection that was met mid-stream, until its next message is sure to begin. */
struct loose {
	bool known, settled; /* `next` is; the client has acknowledged that much, and takes more */
	uint32_t next;       /* the resolver's next byte */
	int64_t since;       /* when it was settled */
};

struct connection {
	struct dns_peers peers;
	bool used;
	uint32_t chain; /* the next of its bucket */
	uint32_t first; /* sequence number of the client's SYN */
	bool opened;    /* by a SYN that was seen: the resolver's begins its bytes */
	struct loose loose;
	bool finished[2];
	struct window window[2]; /* the client's, the resolver's */
};

struct dns_tcp {
	struct hash_key key;
	uint32_t count, mask;
	uint64_t lost;
	struct owned *owned;
	uint32_t *bucket;
	uint8_t *bytes;
	struct connection connection[];
};

struct dns_tcp *dns_tcp_new(uint32_t connections)
{
	struct dns_tcp *t = calloc(1, sizeof *t + connections * sizeof t->connection[0]);
	if (!t)
		return NULL;
	for (t->mask = 1; t->mask < connections && t->mask < 1u << 31;)
		t->mask *= 2;
	t->mask--;
	t->bytes = calloc(connections, QUERIES_MAX + ANSWERS_MAX);
	t->bucket = malloc((t->mask + 1ul) * sizeof *t->bucket);
	t->owned = owned_new(connections, connections / SHARE);
	if (!t->bytes || !t->bucket || !t->owned || !hash_key_random(&t->key)) {
		dns_tcp_free(t);
		return NULL;
	}
	for (size_t i = 0; i <= t->mask; i++)
		t->bucket[i] = NONE;
	t->count = connections;
	for (size_t i = 0; i < connections; i++) {
		uint8_t *bytes = t->bytes + i * (QUERIES_MAX + ANSWERS_MAX);
		t->connection[i].window[0] = (struct window){.size = QUERIES_MAX, .bytes = bytes};
		t->connection[i].window[1] =
			(struct window){.size = ANSWERS_MAX, .bytes = bytes + QUERIES_MAX};
	}
	return t;
}

void dns_tcp_free(struct dns_tcp *t)
{
	if (!t)
		return;
	owned_free(t->owned);
	free(t->bucket);
	free(t->bytes);
	free(t);
}

uint64_t dns_tcp_lost(const struct dns_tcp *t)
{
	return t->lost;
}

/* Window */

static void window_begin(struct window *w, uint32_t base)
{
	w->base = base;
	w->begun = true;
	w->count = 0;
}

/* Adds a range to those that are there, joining what it touches; false: too many apart. */
static bool ranges_add(struct window *w, uint32_t from, uint32_t to)
{
	unsigned at = 0, end;
	while (at < w->count && w->range[at].to < from)
		at++;
	for (end = at; end < w->count && w->range[end].from <= to; end++) {
		from = from < w->range[end].from ? from : w->range[end].from;
		to = to > w->range[end].to ? to : w->range[end].to;
	}
	if (end == at && w->count == RANGES)
		return false;
	memmove(&w->range[at + 1], &w->range[end], (w->count - end) * sizeof w->range[0]);
	w->range[at] = (struct range){from, to};
	w->count = w->count + 1 - (end - at);
	return true;
}

/* Moves the window n bytes on; all of them are in the first range. */
static void window_slide(struct window *w, uint32_t n)
{
	uint32_t last = w->range[w->count - 1].to;
	memmove(w->bytes, w->bytes + n, last - n);
	w->base += n;
	w->range[0].to -= n;
	for (unsigned i = 1; i < w->count; i++) {
		w->range[i].from -= n;
		w->range[i].to -= n;
	}
	if (w->range[0].to == 0) {
		w->count--;
		memmove(&w->range[0], &w->range[1], w->count * sizeof w->range[0]);
	}
}

/* Gives the whole messages at the window's start and slides past them. */
static void give_messages(struct connection *c, struct window *w, dns_tcp_message *give, void *ctx)
{
	if (w->count == 0 || w->range[0].from > 0)
		return;
	struct cursor all = cursor_of(w->bytes, w->range[0].to), rest = all;
	for (;;) {
		struct cursor next = rest, message = cursor_sub(&next, cursor_u16(&next));
		if (next.bad)
			break;
		give(ctx, &c->peers, w == &c->window[0], message);
		rest = next;
	}
	if (rest.pos != all.pos)
		window_slide(w, (uint32_t)(rest.pos - all.pos));
}

/* Adds a segment. Where it is longer than the window's free part, messages are given in between.
 * False: bytes are past the window, or lie in too many pieces. */
static bool window_add(struct connection *c, struct window *w, uint32_t seq, struct cursor data,
		       dns_tcp_message *give, void *ctx)
{
	int32_t offset = (int32_t)(seq - w->base);
	if (offset < 0) {
		if (!cursor_skip(&data, (size_t) - (int64_t)offset))
			return true; /* seen before */
		offset = 0;
	}
	uint32_t at = (uint32_t)offset;
	while (cursor_left(&data)) {
		if (at >= w->size)
			return false;
		size_t n = w->size - at;
		n = n < cursor_left(&data) ? n : cursor_left(&data);
		cursor_copy(&data, w->bytes + at, n);
		if (!ranges_add(w, at, at + (uint32_t)n))
			return false;
		uint32_t base = w->base;
		give_messages(c, w, give, ctx);
		at = at + (uint32_t)n - (w->base - base);
	}
	return true;
}

/* Connections */

static bool same_peers(const struct dns_peers *a, const struct dns_peers *b)
{
	return a->client_port == b->client_port && address_equal(&a->client, &b->client) &&
	       address_equal(&a->resolver, &b->resolver);
}

/* The link that leads to the connection of these peers, or the end of its chain. */
static uint32_t *find(struct dns_tcp *t, const struct dns_peers *peers)
{
	uint64_t words[5] = {[4] = peers->client_port};
	memcpy(words, &peers->client, 16);
	memcpy(words + 2, &peers->resolver, 16);
	uint32_t *link = &t->bucket[hash_words13(&t->key, words, 5) & t->mask];
	while (*link != NONE && !same_peers(&t->connection[*link].peers, peers))
		link = &t->connection[*link].chain;
	return link;
}

static void forget(struct dns_tcp *t, uint32_t *link)
{
	struct connection *c = &t->connection[*link];
	*link = c->chain;
	c->used = false;
}

static void end(struct dns_tcp *t, struct connection *c)
{
	forget(t, find(t, &c->peers));
	owned_give(t->owned, (uint32_t)(c - t->connection));
}

static struct connection *make(struct dns_tcp *t, const struct dns_peers *peers,
			       const struct host_key *host)
{
	bool evicted;
	uint32_t i = owned_take(t->owned, host, &evicted);
	struct connection *c = &t->connection[i];
	if (evicted) {
		t->lost++;
		forget(t, find(t, &c->peers));
	}
	uint32_t *link = find(t, peers);
	*c = (struct connection){.peers = *peers,
				 .used = true,
				 .chain = NONE,
				 .window = {c->window[0], c->window[1]}};
	c->window[0].begun = c->window[1].begun = false;
	*link = i;
	return c;
}

/* A connection's SYN, perhaps with data (RFC 7413). The same one repeated starts nothing anew. */
static void open_connection(struct connection *c, const struct packet *p)
{
	if (c->opened && c->first == p->seq)
		return;
	c->first = p->seq;
	c->opened = true;
	window_begin(&c->window[0], p->seq + 1);
	c->window[1].begun = false;
	c->finished[0] = c->finished[1] = false;
}

/* What the resolver sent last, and whether the client waits for more of it. */
static void watch_loose(struct connection *c, const struct packet *p, bool from_client, int64_t now)
{
	struct loose *l = &c->loose;
	uint32_t end = p->seq + (uint32_t)cursor_left(&p->payload);
	if (from_client) {
		if (!l->known)
			*l = (struct loose){.known = true, .next = p->ack};
		bool settled = p->ack == l->next && p->window >= ROOMY;
		if (settled && !l->settled)
			l->since = now;
		l->settled = settled;
	} else if (cursor_left(&p->payload) && (!l->known || (int32_t)(end - l->next) > 0)) {
		*l = (struct loose){.known = true, .next = end};
	} else if (cursor_left(&p->payload)) {
		l->settled = false; /* sent again: it waits for an acknowledgement */
	}
}

/* Begins both directions where a client's message is the first after a quiet time. */
static void take_up(struct connection *c, const struct packet *p, bool from_client, int64_t now)
{
	const struct loose *l = &c->loose;
	if (from_client && cursor_left(&p->payload) && l->settled && p->ack == l->next &&
	    now - l->since >= QUIET) {
		window_begin(&c->window[0], p->seq);
		window_begin(&c->window[1], l->next);
		return;
	}
	watch_loose(c, p, from_client, now);
}

/* The connection of a packet, which is made where there is none; NULL where it would be over. */
static struct connection *connection_of(struct dns_tcp *t, const struct packet *p, bool from_client,
					const struct host_key *host)
{
	struct dns_peers peers = {p->src, p->dst, p->src_port, IPPROTO_TCP};
	if (!from_client)
		peers = (struct dns_peers){p->dst, p->src, p->dst_port, IPPROTO_TCP};
	uint32_t i = *find(t, &peers);
	if (i != NONE) {
		owned_touch(t->owned, i);
		return &t->connection[i];
	}
	if (p->tcp_flags & (TCP_RST | TCP_FIN))
		return NULL;
	return make(t, &peers, host);
}

void dns_tcp_packet(struct dns_tcp *t, const struct packet *p, bool from_client,
		    const struct host_key *host, int64_t now, dns_tcp_message *give, void *ctx)
{
	bool syn = p->tcp_flags & TCP_SYN;
	struct connection *c = connection_of(t, p, from_client, host);
	if (!c)
		return;
	if (syn && from_client && !(p->tcp_flags & TCP_ACK))
		open_connection(c, p);
	struct window *w = &c->window[!from_client];
	if (syn && !from_client && c->opened && !w->begun)
		window_begin(w, p->seq + 1);
	if (!c->opened && !c->window[0].begun)
		take_up(c, p, from_client, now);
	bool lost = w->begun && !window_add(c, w, p->seq + syn, p->payload, give, ctx);
	t->lost += lost;
	c->finished[!from_client] |= (p->tcp_flags & TCP_FIN) != 0;
	if (lost || p->tcp_flags & TCP_RST || (c->finished[0] && c->finished[1]))
		end(t, c);
}
