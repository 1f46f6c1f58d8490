#include "source/defrag.h"

#include "base/clock.h"
#include "packet/stream.h"

#include <netinet/in.h>
#include <stdlib.h>

#define DATAGRAMS   64
#define TIMEOUT     (30 * NS_PER_S)
#define HEADER_MAX  60
#define FRAMES_MAX  (4 * STREAM_MAX)
#define PAYLOAD_MAX 65535

struct datagram {
	struct packet of; /* of any of its fragments: who, to whom, which */
	int64_t first;
	bool used, bad;
	struct stream *stream; /* until it is bad */
	uint32_t total;        /* of its payload; 0: the last fragment has not come */
	size_t size;           /* of its frames, kept or not */
	uint8_t header[HEADER_MAX];
	uint8_t header_len; /* 0: the first fragment has not come */
	struct frames frames;
};

struct defrag {
	bool keep;
	defrag_lost_fn *lost;
	void *ctx;
	struct stream_pool *streams;
	struct datagram datagram[DATAGRAMS];
	struct frames whole; /* of the packet last joined */
	uint8_t joined[HEADER_MAX + PAYLOAD_MAX];
};

struct defrag *defrag_new(bool keep, defrag_lost_fn *lost, void *ctx)
{
	struct defrag *d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	d->keep = keep;
	d->lost = lost;
	d->ctx = ctx;
	d->streams = stream_pool_new(DATAGRAMS);
	if (!d->streams) {
		free(d);
		return NULL;
	}
	return d;
}

void defrag_free(struct defrag *d)
{
	if (!d)
		return;
	for (int i = 0; i < DATAGRAMS; i++)
		frames_deinit(&d->datagram[i].frames);
	frames_deinit(&d->whole);
	stream_pool_free(d->streams);
	free(d);
}

/* The first fragment's header, made that of a whole packet. IPv6 extension headers are left out. */
static void keep_header(struct datagram *g, const struct packet *p)
{
	bool four = address_is4(&p->src);
	g->header_len = four ? (uint8_t)p->ip_header_len : 40;
	memcpy(g->header, p->ip, g->header_len);
	if (four)
		g->header[6] = g->header[7] = 0; /* flags, fragment offset */
	else
		g->header[6] = p->transport;
	g->of.transport = p->transport;
}

/* Writes header and the bytes that there are; returns the length, 0 where that is no IP packet. */
static uint32_t join(struct defrag *d, const struct datagram *g)
{
	struct cursor head = stream_head(g->stream);
	bool four = address_is4(&g->of.src);
	size_t payload = cursor_left(&head), total = four ? g->header_len + payload : payload;
	if (total > PAYLOAD_MAX)
		return 0;
	memcpy(d->joined, g->header, g->header_len);
	memcpy(d->joined + g->header_len, head.pos, payload);
	uint8_t *len = d->joined + (four ? 2 : 4);
	len[0] = (uint8_t)(total >> 8);
	len[1] = (uint8_t)total;
	return (uint32_t)(g->header_len + payload);
}

static void forget(struct defrag *d, struct datagram *g)
{
	if (g->stream)
		stream_put(d->streams, g->stream);
	g->stream = NULL;
	g->used = false;
	g->frames.len = 0;
}

/* Says once that a datagram is lost; its place stays, to swallow what is still to come. */
static void spoil(struct defrag *d, struct datagram *g)
{
	struct packet p = g->of;
	if (g->bad)
		return;
	if (g->header_len > 0) {
		uint32_t len = join(d, g);
		if (packet_parse_quoted(d->joined, len, &p) != PACKET_OK)
			p = g->of;
	}
	g->bad = true;
	stream_put(d->streams, g->stream);
	g->stream = NULL;
	g->frames.len = 0;
	d->lost(d->ctx, &p);
}

/* RFC 791: addresses, protocol and identification; RFC 8200: without the protocol. */
static bool belongs(const struct datagram *g, const struct packet *p)
{
	return g->used && g->of.fragment_id == p->fragment_id &&
	       address_equal(&g->of.src, &p->src) && address_equal(&g->of.dst, &p->dst) &&
	       (g->of.transport == p->transport || !address_is4(&p->src));
}

static struct datagram *find(struct defrag *d, const struct packet *p, int64_t now)
{
	struct datagram *unused = NULL, *oldest = &d->datagram[0];
	for (int i = 0; i < DATAGRAMS; i++) {
		struct datagram *g = &d->datagram[i];
		if (belongs(g, p))
			return g;
		if (!g->used && !unused)
			unused = g;
		if (g->first < oldest->first)
			oldest = g;
	}
	if (!unused) {
		spoil(d, oldest);
		forget(d, oldest);
		unused = oldest;
	}
	*unused = (struct datagram){.of = *p,
				    .first = now,
				    .used = true,
				    .stream = stream_get(d->streams),
				    .frames = unused->frames};
	unused->of.payload = (struct cursor){0}; /* the frame goes, the rest stays */
	unused->of.ip = NULL;
	return unused;
}

/* False where the fragment contradicts what is there. */
static bool add_bytes(struct datagram *g, const struct packet *p)
{
	size_t len = cursor_left(&p->payload);
	uint32_t end = p->fragment_offset + (uint32_t)len;
	if (!p->fragment_more) {
		if (g->total && g->total != end)
			return false;
		g->total = end;
	}
	if (stream_add(g->stream, p->fragment_offset, p->payload.pos, len) != STREAM_OK)
		return false;
	return g->total == 0 || stream_end(g->stream) <= g->total;
}

bool defrag_add(struct defrag *d, const struct packet *p, bool cut, int64_t now,
		const struct pcap_frame *frame, struct joined *out)
{
	struct datagram *g = find(d, p, now);
	if (g->bad)
		return false;
	if (p->fragment_offset == 0)
		keep_header(g, p);
	g->size += sizeof *frame + frame->caplen;
	if (cut || g->size > FRAMES_MAX || !add_bytes(g, p) ||
	    (d->keep && !frames_add(&g->frames, frame, FRAMES_MAX))) {
		spoil(d, g);
		return false;
	}
	struct cursor head = stream_head(g->stream);
	if (g->total == 0 || cursor_left(&head) != g->total)
		return false;
	uint32_t len = join(d, g);
	if (len == 0) {
		spoil(d, g);
		return false;
	}
	struct frames reuse = d->whole;
	d->whole = g->frames;
	g->frames = reuse;
	forget(d, g);
	*out = (struct joined){d->joined, len, &d->whole};
	return true;
}

void defrag_expire(struct defrag *d, int64_t now)
{
	for (int i = 0; i < DATAGRAMS; i++) {
		struct datagram *g = &d->datagram[i];
		if (g->used && g->first < now - TIMEOUT) {
			spoil(d, g);
			forget(d, g);
		}
	}
}
