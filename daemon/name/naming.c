#include "name/naming.h"

#include "base/clock.h"
#include "base/host.h"
#include "name/first.h"
#include "name/starttls.h"
#include "name/tls.h"

#include <netinet/in.h>

void naming_none(struct naming *out)
{
	out->parse = PARSE_ABSENT;
	out->broken = REASON_COUNT;
	out->word = NAMING_ASK;
	hello_reset(&out->hello);
}

bool naming_joins(const struct naming_flow *f)
{
	return f->stream && !stream_is_kept(f->stream);
}

void naming_drop(struct namer *n, struct naming_flow *f)
{
	if (!f->stream)
		return;
	if (naming_joins(f))
		share_give(n->shares, &f->owner);
	stream_put(n->streams, f->stream);
	f->stream = NULL;
}

void naming_end(struct namer *n, struct naming_flow *f)
{
	naming_drop(n, f);
	kept_drop(&f->kept);
	pool_give(n->quics, f->quic);
	unique_put(n->hosts, f->host);
	f->quic = NULL;
	f->host = NULL;
}

const struct host *naming_host(const struct naming_flow *f)
{
	static const struct host none;
	return f->host ? f->host : &none;
}

/* There is always room: no flow has two. */
void naming_set_host(struct namer *n, struct naming_flow *f, const struct host *host)
{
	const struct host *before = f->host;
	f->host = host->len
			  ? unique_get(n->hosts, host, offsetof(struct host, text) + host->len + 1)
			  : NULL;
	unique_put(n->hosts, before);
}

static void fail(struct naming *out, enum reason why)
{
	out->parse = PARSE_BAD;
	out->broken = why;
}

/* Counts a stream that began or ended to join meanwhile; false, and it is taken from the flow,
 * where its client has too many. */
static bool count_stream(struct namer *n, struct naming_flow *f, bool had, struct naming *out)
{
	if (had && !naming_joins(f))
		share_give(n->shares, &f->owner);
	if (had || !naming_joins(f) || share_take(n->shares, &f->owner))
		return true;
	stream_put(n->streams, f->stream);
	f->stream = NULL;
	fail(out, REASON_HELD_FULL);
	return false;
}

/* Adds to the flow's stream, whose offset 0 is the client's byte f->next. */
static bool join(struct namer *n, struct naming_flow *f, uint64_t offset, struct cursor bytes,
		 struct naming *out)
{
	bool had = f->stream;
	if (!had && !(f->stream = stream_get(n->streams))) {
		fail(out, REASON_TABLE_FULL);
		return false;
	}
	if (!count_stream(n, f, had, out))
		return false;
	switch (stream_add(f->stream, offset, bytes.pos, cursor_left(&bytes))) {
	case STREAM_OK: return true;
	case STREAM_CONFLICT: fail(out, REASON_OVERLAP_CONFLICT); break;
	case STREAM_FULL: fail(out, REASON_HELLO_UNFINISHED); break;
	}
	return false;
}

/* Bytes beyond a hole are joined, but not looked at yet. */
static bool has_hole(const struct naming_flow *f)
{
	if (!f->stream)
		return false;
	struct cursor head = stream_head(f->stream);
	return stream_end(f->stream) != cursor_left(&head);
}

/* No window is larger (RFC 7323 2.3): what an honest client has under way goes no farther. */
#define WINDOW_MAX (INT64_C(1) << 30)

/* A sequence number as an offset from the client's first byte. It wraps every 4 GiB, so it is read
 * relative to where the flow stands; a conntrack that lets any number pass (tcp_be_liberal) makes
 * it ours to see that no client moves that on alone, until judged bytes look like later ones. */
static int64_t offset_of(const struct naming_flow *f, uint32_t seq)
{
	return (int64_t)f->unsent + (int32_t)(seq - f->isn - (uint32_t)f->unsent);
}

static uint32_t first_seq(const struct packet *p)
{
	return p->seq + (p->tcp_flags & TCP_SYN ? 1 : 0);
}

enum kept_check naming_compare(const struct namer *n, const struct naming_flow *f,
			       const struct packet *p)
{
	int64_t at = offset_of(f, first_seq(p));
	bool far = !f->unseen && at > (int64_t)f->unsent + WINDOW_MAX;
	return at < 0 || far ? KEPT_GONE : kept_check(n->kept, &f->kept, (uint64_t)at, p->payload);
}

/* Of bytes that begin at offset f->next at most `most`, what is there of them. */
static void keep(struct namer *n, struct naming_flow *f, struct cursor bytes, uint64_t most)
{
	size_t have = cursor_left(&bytes);
	kept_add(n->kept, &f->kept, &f->entry.key.client, f->next,
		 cursor_sub(&bytes, most < have ? (size_t)most : have));
}

/* The packet's bytes from f->next on, and how far after it they begin; false where all are old. */
static bool fresh_bytes(const struct naming_flow *f, const struct packet *p, struct cursor *bytes,
			uint64_t *offset)
{
	int64_t ahead = offset_of(f, first_seq(p)) - (int64_t)f->next;
	*bytes = p->payload;
	*offset = ahead > 0 ? (uint64_t)ahead : 0;
	if (ahead < 0 && !cursor_skip(bytes, (size_t)-ahead))
		return false;
	return cursor_left(bytes) > 0;
}

/* Every byte of the packet was read or may go on (see http_next), though others wait behind a hole:
 * its client may send no more until it is acknowledged. */
static bool is_read(const struct naming_flow *f, const struct packet *p, const struct naming *n)
{
	struct cursor head = {0};
	if (f->stream && n->hello.server_next)
		head = stream_head(f->stream);
	return offset_of(f, first_seq(p)) + (int64_t)cursor_left(&p->payload) <=
	       (int64_t)(f->next + cursor_left(&head));
}

void naming_passed(struct naming_flow *f, const struct packet *p)
{
	/* An empty packet carries no byte past those that are held, whatever its number. */
	if (p->transport != IPPROTO_TCP || cursor_left(&p->payload) == 0)
		return;
	int64_t end = offset_of(f, first_seq(p)) + (int64_t)cursor_left(&p->payload);
	f->sent += cursor_left(&p->payload);
	if (end > (int64_t)f->unsent && (f->unseen || end <= (int64_t)f->sent + WINDOW_MAX))
		f->unsent = (uint64_t)end;
}

static enum parse parse_first(const struct naming_flow *f, struct cursor bytes, struct hello *h)
{
	uint16_t port = f->entry.key.server_port;
	return starttls_at(port) ? first_starttls(port, bytes, h) : first_hello(bytes, h);
}

static void tcp_first(struct namer *n, struct naming_flow *f, const struct packet *p,
		      struct naming *out)
{
	if (!f->started && !f->syn_seen)
		f->isn = first_seq(p); /* met mid-stream: what comes first is taken for the start */
	int64_t offset = offset_of(f, first_seq(p));
	out->parse = PARSE_MORE;
	out->word = NAMING_LOSE;
	if (offset < 0)
		return;
	f->started = true;
	if (!f->stream && offset == 0) { /* nearly always: all in one packet */
		out->parse = parse_first(f, p->payload, &out->hello);
		if (out->parse != PARSE_MORE)
			return;
	}
	bool again = f->stream && stream_has(f->stream, (uint64_t)offset, cursor_left(&p->payload));
	out->word = again ? NAMING_AGAIN : NAMING_HOLD;
	if (join(n, f, (uint64_t)offset, p->payload, out))
		out->parse = parse_first(f, stream_head(f->stream), &out->hello);
}

/* False where the other protocol's parts are held in the flow's stream. */
static bool make_way(struct namer *n, struct naming_flow *f)
{
	if (f->dtls.owns && naming_joins(f))
		return false;
	if (f->dtls.owns)
		naming_drop(n, f);
	f->dtls.owns = false;
	return true;
}

/* What is known of the flow's QUIC connections: nothing where it speaks none. */
static const struct quic_flow *quic_of(const struct naming_flow *f)
{
	static const struct quic_flow none;
	return f->quic ? f->quic : &none;
}

/* Before a datagram; false where the flow has no memory for QUIC, which each has room for. */
static bool quic_begin(struct namer *n, struct naming_flow *f, bool quic)
{
	if (quic && !f->quic && (f->quic = pool_take(n->quics)))
		f->quic->unseen = f->unseen;
	if (!f->quic)
		return !quic;
	f->quic->now = (uint32_t)(n->now / NS_PER_S);
	f->quic->waits = f->quic->lost = f->quic->opened = false;
	return true;
}

static void read_datagram(struct namer *n, struct naming_flow *f, struct cursor datagram,
			  struct naming *out)
{
	bool conflict = false, quic = quic_is_long(datagram), had = naming_joins(f);
	f->dtls.lost = false;
	if (!quic_begin(n, f, quic))
		fail(out, REASON_TABLE_FULL);
	else if (quic && !make_way(n, f))
		fail(out, REASON_QUIC_UNREADABLE);
	else if (quic)
		out->parse = quic_datagram(n->quic, f->quic, datagram, n->streams, &f->stream,
					   &conflict, &out->hello);
	else
		out->parse = dtls_datagram(&f->dtls, datagram, n->streams, &f->stream, &conflict,
					   &out->hello);
	if (conflict)
		out->broken = REASON_OVERLAP_CONFLICT;
	else if (out->parse == PARSE_BAD && quic)
		out->broken = REASON_QUIC_UNREADABLE;
	if (!count_stream(n, f, had, out))
		return;
	if (out->parse == PARSE_MORE && !f->stream && (!quic || quic_of(f)->waits))
		fail(out, REASON_TABLE_FULL);
}

/* The next datagram of the packet at hand: the kernel may have joined several, of which all are of
 * one size and the last may be smaller. */
static void read_next(struct namer *n, struct naming_flow *f, struct naming *out)
{
	struct cursor one = n->rest;
	if (cursor_left(&one) <= QUIC_DATAGRAM_MIN)
		n->rest.pos = n->rest.end;
	else if (!quic_next_datagram(n->quic, quic_of(f), &n->rest, &one)) {
		fail(out, REASON_QUIC_UNREADABLE);
		return;
	}
	read_datagram(n, f, one, out);
}

static void udp_first(struct namer *n, struct naming_flow *f, const struct packet *p,
		      struct naming *out)
{
	bool more = false;
	f->started = true;
	out->word = NAMING_HOLD;
	n->rest = p->payload;
	do {
		read_next(n, f, out);
		more |= out->parse == PARSE_MORE;
	} while (cursor_left(&n->rest) && (out->parse == PARSE_MORE || out->parse == PARSE_ABSENT));
	if (more && out->parse == PARSE_ABSENT)
		out->parse = PARSE_MORE;
}

void naming_first(struct namer *n, struct naming_flow *f, const struct packet *p,
		  struct naming *out)
{
	naming_none(out);
	if (p->transport == IPPROTO_TCP)
		tcp_first(n, f, p, out);
	else if (p->transport == IPPROTO_UDP)
		udp_first(n, f, p, out);
	if (out->parse != PARSE_MORE) {
		out->word = NAMING_ASK;
		return;
	}
	f->protocol = out->hello.protocol; /* for the record, if no more should come */
	if (out->word != NAMING_LOSE && out->hello.server_next && !has_hole(f))
		out->word = NAMING_PASS_ALL;
}

uint64_t naming_joined(const struct naming_flow *f, bool *hole)
{
	*hole = has_hole(f);
	return f->stream ? stream_end(f->stream) : 0;
}

bool naming_comes_again(const struct naming_flow *f)
{
	return f->heard && f->protocol == PROTOCOL_HTTP;
}

/* A name from the flow itself. An encrypted hello has only its outer name, and is told from the
 * made-up extension that browsers always send by what DNS told this client (see hello.h). */
static void weigh_hello(struct namer *n, struct naming_flow *f, const struct hello *h, int64_t now)
{
	const struct flow_key *key = &f->entry.key;
	naming_set_host(n, f, &h->host);
	bool agrees = seen_agrees(n->seen, &key->client, &key->server, &h->host, now);
	f->mismatch = !agrees;
	if (h->ech && seen_public_name(n->seen, &key->client, &h->host, h->ech_config, now))
		f->evidence = EVIDENCE_ECH_OUTER;
	else if (h->protocol == PROTOCOL_HTTP)
		f->evidence = agrees ? EVIDENCE_HOST_DNS : EVIDENCE_HOST;
	else
		f->evidence = agrees ? EVIDENCE_SNI_DNS : EVIDENCE_SNI;
}

void naming_weigh(struct namer *n, struct naming_flow *f, const struct naming *in, int64_t now)
{
	struct host told;
	const struct flow_key *key = &f->entry.key;
	told.len = 0;
	f->evidence = EVIDENCE_ADDRESS;
	f->mismatch = false;
	if (in->parse == PARSE_ABSENT || in->hello.protocol != PROTOCOL_NONE)
		f->protocol = in->hello.protocol;
	if (in->parse == PARSE_OK && in->hello.name == HELLO_NAME_OK) {
		weigh_hello(n, f, &in->hello, now);
		return;
	}
	if (seen_names(n->seen, &key->client, &key->server, now, &told, 1) == 1)
		f->evidence = EVIDENCE_DNS;
	else if (in->parse == PARSE_OK)
		told = in->hello.host; /* an IP literal: said in the record, worth nothing */
	naming_set_host(n, f, &told);
}

/* Keeps what the requests before have not used of the bytes; parts behind a hole wait for it. */
static void keep_rest(struct namer *n, struct naming_flow *f, uint64_t used, struct cursor rest,
		      struct naming *out)
{
	enum parse parse = out->parse;
	if (f->stream)
		stream_forget(f->stream, used);
	else if (cursor_left(&rest) && join(n, f, 0, rest, out))
		out->parse = parse;
	if (f->stream && stream_end(f->stream) == 0)
		naming_drop(n, f);
}

/* A part of an HTTP connection that is no request for another host. */
static bool says_no_more(const struct naming_flow *f, const struct naming *n)
{
	return n->parse == PARSE_OK &&
	       (n->hello.protocol == PROTOCOL_NONE ||
		(n->hello.name == HELLO_NAME_OK && host_equal(&n->hello.host, naming_host(f))));
}

/* Another request of an HTTP connection; the bytes begin at f->next. What stands between may be
 * other bytes when it comes again, as long as its length is the same: it is not kept. */
static bool next_request(struct namer *n, struct naming_flow *f, struct cursor bytes,
			 struct naming *out)
{
	uint64_t all = 0;
	do {
		uint64_t used, body;
		out->parse = http_next(&f->follow, bytes, &used, &body, &out->hello);
		keep(n, f, bytes, used - body);
		f->next += used;
		all += used;
		cursor_skip(&bytes, used < cursor_left(&bytes) ? used : cursor_left(&bytes));
	} while (says_no_more(f, out) && cursor_left(&bytes));
	if (says_no_more(f, out))
		out->parse = PARSE_MORE;
	if (out->parse != PARSE_OK && out->parse != PARSE_MORE) {
		naming_drop(n, f);
		return false;
	}
	keep_rest(n, f, all, bytes, out);
	return !f->stream || (out->parse == PARSE_MORE && out->hello.server_next && !has_hole(f));
}

static bool has_name(const struct naming_flow *f)
{
	return f->evidence >= EVIDENCE_HOST || f->evidence == EVIDENCE_ECH_OUTER;
}

/* Whether a later hello says no more than the first did: the same name, or none again. */
static bool says_same(const struct naming_flow *f, const struct hello *h)
{
	if (!has_name(f))
		return h->name == HELLO_NAME_ABSENT;
	return h->name == HELLO_NAME_OK && host_equal(&h->host, naming_host(f));
}

/* After a HelloRetryRequest; the bytes begin with the record at f->next. */
static bool next_hello(struct namer *n, struct naming_flow *f, struct cursor bytes,
		       struct naming *out)
{
	uint64_t used;
	out->parse = tls_next_hello(bytes, &f->early, &used, &out->hello);
	if (out->parse == PARSE_OK && says_same(f, &out->hello))
		out->parse = PARSE_ABSENT;
	else if (out->parse == PARSE_OK)
		out->broken = REASON_HELLO_CHANGED;
	keep(n, f, bytes, out->parse == PARSE_MORE ? used : UINT64_MAX);
	f->next += out->parse == PARSE_MORE ? used : cursor_left(&bytes);
	if (out->parse != PARSE_MORE)
		return false;
	cursor_skip(&bytes, used < cursor_left(&bytes) ? used : cursor_left(&bytes));
	keep_rest(n, f, used, bytes, out);
	return out->hello.server_next && !has_hole(f);
}

/* An Initial after the flow was allowed: a HelloRetryRequest's (the same keys, so it must agree),
 * or another connection's, with its own hello to judge; after a Retry or a version negotiation that
 * is the same hello again. What no key of ours opens is lost: a server may have the key, of a
 * connection that was forgotten or not seen, and a hello may stand in it; it costs an honest client
 * an acknowledgement. Where the flow needed no name it need not be QUIC at all. */
static bool next_initial(struct naming_flow *f, struct naming *out)
{
	const struct quic_flow *q = quic_of(f);
	bool nameless = f->evidence <= EVIDENCE_DNS && out->broken != REASON_OVERLAP_CONFLICT;
	if (out->parse == PARSE_OK && !q->anew && !says_same(f, &out->hello))
		out->broken = REASON_HELLO_CHANGED;
	if (out->parse != PARSE_BAD || !(q->lost || (nameless && !q->opened)))
		return false;
	*out = (struct naming){.parse = PARSE_MORE, .broken = REASON_COUNT};
	return q->lost && (!nameless || q->known[0].version);
}

/* A DTLS hello after a HelloVerifyRequest, or behind what was none: which of several its server
 * takes nobody can tell, so that each has to agree. */
static bool next_dtls(const struct naming_flow *f, struct naming *out)
{
	if (out->parse == PARSE_OK && has_name(f) && !says_same(f, &out->hello))
		out->broken = REASON_HELLO_CHANGED;
	return f->dtls.lost;
}

/* The datagrams of a flow that was allowed, up to one that says another name. */
static void next_datagrams(struct namer *n, struct naming_flow *f, struct naming *out)
{
	bool may_pass = true, lost = false;
	out->parse = PARSE_MORE;
	while (cursor_left(&n->rest) && out->parse == PARSE_MORE) {
		bool quic = quic_is_long(n->rest);
		naming_none(out);
		read_next(n, f, out);
		lost |= quic ? next_initial(f, out) : next_dtls(f, out);
		if (out->parse == PARSE_ABSENT ||
		    (out->parse == PARSE_OK && says_same(f, &out->hello)))
			out->parse = PARSE_MORE;
		may_pass &= !naming_joins(f) && !quic_of(f)->waits;
	}
	out->word = lost ? NAMING_LOSE : may_pass ? NAMING_PASS_ALL : NAMING_HOLD;
	f->live = f->dtls.seen || cursor_left(&n->rest);
}

bool naming_follows(const struct naming_flow *f, const struct packet *p)
{
	return cursor_left(&p->payload) && (f->live || p->transport == IPPROTO_UDP);
}

void naming_follow(struct namer *n, struct naming_flow *f, const struct naming *first,
		   const struct packet *p, bool every_request)
{
	const struct hello *h = &first->hello;
	bool tls = h->protocol == PROTOCOL_TLS;
	f->heard = true;
	if (f->entry.key.transport == IPPROTO_UDP) {
		f->live = f->dtls.seen || cursor_left(&n->rest);
		return;
	}
	f->live = first->parse == PARSE_OK && h->another_may_come &&
		  (h->protocol != PROTOCOL_HTTP || every_request);
	if (f->live && !tls)
		return;
	struct cursor bytes = f->stream ? stream_head(f->stream) : p->payload;
	uint64_t judged = f->live ? h->end : cursor_left(&bytes);
	keep(n, f, bytes, judged);
	f->next = judged;
	f->unsent = judged > f->unsent ? judged : f->unsent;
	if (!f->live)
		return;
	f->early = h->early_data ? TLS_EARLY_MAX : 0;
	if (f->stream)
		stream_forget(f->stream, h->end);
	if (f->stream && stream_end(f->stream) == 0)
		naming_drop(n, f);
}

bool naming_stays(const struct naming_flow *f)
{
	return f->live && f->protocol != PROTOCOL_TLS;
}

/* Where a hole is what keeps bytes from being read, those that find no more room are lost: their
 * sender gives them again when the hole is filled. */
static void lose(struct namer *n, struct naming_flow *f, uint64_t offset, struct naming *out)
{
	if (out->broken != REASON_HELLO_UNFINISHED || !naming_comes_again(f))
		return;
	struct cursor head = stream_head(f->stream);
	if (!has_hole(f) && offset <= cursor_left(&head))
		return;
	out->parse = PARSE_MORE;
	out->broken = REASON_COUNT;
	out->word = NAMING_LOSE;
	if (stream_end(f->stream) == 0)
		naming_drop(n, f);
}

/* A segment of a live flow; what it brings may be joined to others. */
static void next_segment(struct namer *n, struct naming_flow *f, const struct packet *p,
			 struct naming *out)
{
	struct cursor bytes;
	uint64_t offset = 0;
	bool again = false, all;
	out->parse = PARSE_MORE;
	out->word = p ? NAMING_PASS : NAMING_PASS_ALL;
	if (p ? !fresh_bytes(f, p, &bytes, &offset) : !f->stream)
		return;
	if (f->stream || offset) {
		again = p && f->stream && stream_has(f->stream, offset, cursor_left(&bytes));
		if (p && !join(n, f, offset, bytes, out)) {
			lose(n, f, offset, out);
			return;
		}
		bytes = stream_head(f->stream);
	}
	all = f->protocol == PROTOCOL_HTTP ? next_request(n, f, bytes, out)
					   : next_hello(n, f, bytes, out);
	if (all)
		out->word = NAMING_PASS_ALL;
	else if (f->protocol != PROTOCOL_HTTP || !p || !is_read(f, p, out))
		out->word = again ? NAMING_AGAIN : NAMING_HOLD;
}

void naming_later(struct namer *n, struct naming_flow *f, const struct packet *p,
		  struct naming *out)
{
	naming_none(out);
	if (p && f->entry.key.transport == IPPROTO_UDP)
		n->rest = p->payload;
	if (f->entry.key.transport == IPPROTO_UDP)
		next_datagrams(n, f, out);
	else
		next_segment(n, f, p, out);
	if (out->parse == PARSE_BAD || out->broken != REASON_COUNT)
		out->word = NAMING_BAD;
	else if (out->parse == PARSE_OK)
		out->word = NAMING_ASK;
	else if (out->parse == PARSE_ABSENT)
		out->word = NAMING_DONE;
}
