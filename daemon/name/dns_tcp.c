#include "name/dns_tcp.h"

#include <netinet/in.h>
#include <stdlib.h>

#define DNS_PORT    53
#define QUERIES_MAX 6144        /* the window for a client's bytes */
#define ANSWERS_MAX (66 * 1024) /* for a resolver's: the largest message and some */
#define RANGES      8

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

struct connection {
	struct dns_peers peers;
	uint64_t used;  /* 0: free */
	uint32_t first; /* sequence number of the client's SYN */
	bool finished[2];
	struct window window[2]; /* the client's, the resolver's */
};

struct dns_tcp {
	uint32_t count;
	uint64_t clock, lost;
	uint8_t *bytes;
	struct connection connection[];
};

struct dns_tcp *dns_tcp_new(uint32_t connections)
{
	struct dns_tcp *t = calloc(1, sizeof *t + connections * sizeof t->connection[0]);
	if (!t)
		return NULL;
	t->bytes = calloc(connections, QUERIES_MAX + ANSWERS_MAX);
	if (!t->bytes) {
		free(t);
		return NULL;
	}
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

static bool peers_are(const struct connection *c, const struct address *client,
		      uint16_t client_port, const struct address *resolver)
{
	return c->used && c->peers.client_port == client_port &&
	       address_equal(&c->peers.client, client) &&
	       address_equal(&c->peers.resolver, resolver);
}

static struct connection *find(struct dns_tcp *t, const struct packet *p, bool *from_client)
{
	for (uint32_t i = 0; i < t->count; i++) {
		struct connection *c = &t->connection[i];
		*from_client =
			p->dst_port == DNS_PORT && peers_are(c, &p->src, p->src_port, &p->dst);
		if (*from_client ||
		    (p->src_port == DNS_PORT && peers_are(c, &p->dst, p->dst_port, &p->src)))
			return c;
	}
	return NULL;
}

static struct connection *make(struct dns_tcp *t, const struct packet *p)
{
	struct connection *oldest = &t->connection[0];
	for (uint32_t i = 1; i < t->count; i++)
		if (t->connection[i].used < oldest->used)
			oldest = &t->connection[i];
	oldest->peers = (struct dns_peers){p->src, p->dst, p->src_port, IPPROTO_TCP};
	return oldest;
}

static bool is_open(const struct packet *p)
{
	return (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && p->dst_port == DNS_PORT;
}

/* A connection's SYN, perhaps with data (RFC 7413). The same one repeated starts nothing anew. */
static struct connection *open_connection(struct dns_tcp *t, struct connection *c,
					  const struct packet *p)
{
	if (!c)
		c = make(t, p);
	else if (c->first == p->seq)
		return c;
	c->first = p->seq;
	window_begin(&c->window[0], p->seq + 1);
	c->window[1].begun = false;
	c->finished[0] = c->finished[1] = false;
	return c;
}

void dns_tcp_packet(struct dns_tcp *t, const struct packet *p, dns_tcp_message *give, void *ctx)
{
	bool from_client, syn = p->tcp_flags & TCP_SYN;
	struct connection *c = find(t, p, &from_client);
	if (is_open(p)) {
		c = open_connection(t, c, p);
		from_client = true;
	}
	if (!c)
		return;
	c->used = ++t->clock;
	struct window *w = &c->window[!from_client];
	if (syn && !from_client && !w->begun)
		window_begin(w, p->seq + 1);
	if (!w->begun)
		return;
	if (!window_add(c, w, p->seq + syn, p->payload, give, ctx)) {
		t->lost++;
		c->used = 0;
	}
	c->finished[!from_client] |= (p->tcp_flags & TCP_FIN) != 0;
	if (p->tcp_flags & TCP_RST || (c->finished[0] && c->finished[1]))
		c->used = 0;
}
