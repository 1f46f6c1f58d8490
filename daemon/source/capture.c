#include "source/capture.h"

#include "base/clock.h"
#include "base/log.h"
#include "name/quic.h"
#include "source/defrag.h"
#include "source/frames.h"
#include "source/link.h"
#include "source/mark.h"
#include "source/track.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define EXPIRE_EVERY (10 * NS_PER_S)
#define WAITING_MAX  (1u << 18)
#define CUT_BEFORE   "of %u bytes, cut before the packet's headers end (snapshot length)"
#define CUT_SHORT    "of %u bytes, cut (snapshot length)"

/* An arrival that has no verdict yet. Its index is its id. */
struct waiting {
	struct track *track; /* if it still has that serial */
	uint64_t serial;
	struct frames frames; /* as they were captured; none where nothing is written */
	uint32_t next_free;
	bool used;
};

/* The packet at hand: one frame, or the fragments that made it whole. */
struct current {
	struct pcap_frame frame;
	const struct frames *joined; /* or NULL */
};

struct capture {
	struct source source;
	struct capture_options o;
	struct pcap_reader *in;
	struct pcap_writer *out; /* or NULL */
	struct tracks *tracks;
	struct defrag *defrag;
	struct waiting *waiting;
	uint32_t waiting_count, free_head; /* of waiting: those made, and the first unused */
	struct current current;
	int64_t now, expired;
	bool over;
	struct capture_counters counters;
};

enum fate {
	FATE_PASS,
	FATE_DROP,
	FATE_CLIENT, /* goes up: a client's packet of an undecided flow */
	FATE_DNS,    /* goes up: a resolver's */
};

static struct capture *capture_of(const struct source *s)
{
	return (struct capture *)s;
}

/* ---- output ---- */

static void write_current(struct capture *c)
{
	if (!c->out)
		return;
	if (c->current.joined)
		frames_write(c->current.joined, c->out);
	else
		pcap_writer_add(c->out, &c->current.frame);
}

/* Copies the current packet's frames, to be written if it passes. */
static bool keep_current(struct capture *c, struct frames *to)
{
	to->len = 0;
	if (!c->out)
		return true;
	if (!c->current.joined)
		return frames_add(to, &c->current.frame, SIZE_MAX);
	return frames_append(to, c->current.joined);
}

/* ---- arrivals that wait for a verdict ---- */

static bool grow_waiting(struct capture *c)
{
	uint32_t count = c->waiting_count ? c->waiting_count * 2 : 64;
	if (count > WAITING_MAX)
		return false;
	struct waiting *all = realloc(c->waiting, count * sizeof *all);
	if (!all)
		return false;
	for (uint32_t i = c->waiting_count; i < count; i++)
		all[i] = (struct waiting){.next_free = i + 1};
	c->waiting = all;
	c->waiting_count = count;
	return true;
}

static struct waiting *take_waiting(struct capture *c)
{
	if (c->free_head == c->waiting_count && !grow_waiting(c))
		return NULL;
	struct waiting *w = &c->waiting[c->free_head];
	if (!keep_current(c, &w->frames))
		return NULL;
	c->free_head = w->next_free;
	w->used = true;
	return w;
}

static bool verdict_passes(enum verdict v)
{
	return v == VERDICT_PASS || v == VERDICT_PENDING || v == VERDICT_HEARD ||
	       v == VERDICT_ALLOWED;
}

/* An entry that was never confirmed is gone with its first packet, and a denied mark with it. */
static void mark(struct track *k, enum verdict v)
{
	switch (v) {
	case VERDICT_PENDING: k->entry = ENTRY_PENDING; break;
	case VERDICT_HEARD: k->entry = ENTRY_HEARD; break;
	case VERDICT_ALLOWED: k->entry = ENTRY_ALLOWED; break;
	case VERDICT_DENIED:
	case VERDICT_DROP_DENIED: k->denied |= k->confirmed; break;
	case VERDICT_REDIRECT: k->denied = true; break;
	case VERDICT_PASS:
	case VERDICT_DROP: break;
	}
}

static void verdict(struct source *s, uint64_t id, enum verdict v)
{
	struct capture *c = capture_of(s);
	struct waiting *w = id < c->waiting_count ? &c->waiting[id] : NULL;
	if (!w || !w->used)
		return;
	bool passes = verdict_passes(v);
	if (w->track->serial == w->serial) {
		w->track->confirmed |= passes || v == VERDICT_REDIRECT;
		mark(w->track, v);
	}
	if (passes && c->out)
		frames_write(&w->frames, c->out);
	c->counters.passed += passes;
	c->counters.denied += !passes;
	w->used = false;
	w->next_free = c->free_head;
	c->free_head = (uint32_t)id;
}

/* ---- the rules ---- */

static bool is_inside(const struct capture *c, const struct address *a)
{
	for (size_t i = 0; i < c->o.inside_count; i++)
		if (network_has(&c->o.inside[i], a))
			return true;
	return c->o.inside_count == 0;
}

/* Never leaves the link, whatever the policy: multicast, broadcast, link-local, and packets of a
 * host that has no address yet. Loopback is not among them: on a capture of it, hosts talk. */
static bool stays_on_link(const struct address *src, const struct address *dst)
{
	static const struct address none6;
	const struct address none4 = address_from4((const uint8_t[4]){0});
	const uint8_t *b = dst->bytes;
	if (address_equal(src, &none4) || address_equal(src, &none6))
		return true;
	if (!address_is4(dst))
		return b[0] == 0xff || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
	return b[12] >= 224 ? b[12] < 240 || memcmp(b + 12, "\xff\xff\xff\xff", 4) == 0
			    : b[12] == 169 && b[13] == 254;
}

static bool is_icmp_error(const struct packet *p)
{
	if (p->transport == IPPROTO_ICMP)
		return p->icmp_type == 3 || p->icmp_type == 4 || p->icmp_type == 5 ||
		       p->icmp_type == 11 || p->icmp_type == 12;
	return p->transport == IPPROTO_ICMPV6 && p->icmp_type >= 1 && p->icmp_type <= 4;
}

/* RELATED: an error about a packet that passed, in either direction. */
static enum fate error_fate(struct capture *c, const struct packet *p)
{
	struct packet quoted;
	bool reply;
	size_t len = cursor_left(&p->payload);
	if (packet_parse_quoted(p->payload.pos, len, &quoted) != PACKET_OK)
		return FATE_DROP;
	const struct track *k = tracks_find(c->tracks, &quoted, c->now, &reply);
	return k && k->confirmed && !k->denied ? FATE_PASS : FATE_DROP;
}

/* What conntrack takes for the first packet of a flow; the rest is INVALID to it. */
static bool may_begin(const struct packet *p)
{
	switch (p->transport) {
	case IPPROTO_TCP: return !(p->tcp_flags & (TCP_FIN | TCP_RST));
	case IPPROTO_ICMP: /* echo, timestamp, information, mask */
		return p->icmp_type == 8 || p->icmp_type == 13 || p->icmp_type == 15 ||
		       p->icmp_type == 17;
	case IPPROTO_ICMPV6: return p->icmp_type == 128 || p->icmp_type == 139;
	}
	return true;
}

static struct flow_key key_of(const struct packet *p)
{
	return (struct flow_key){p->src, p->dst, p->src_port, p->dst_port, p->transport};
}

/* The first packet of a flow; NULL where the rules have none begin so. */
static struct track *begin(struct capture *c, const struct packet *p, bool *reply)
{
	struct flow_key key = key_of(p);
	bool answer = p->transport == IPPROTO_TCP &&
		      (p->tcp_flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
	bool outside = !is_inside(c, answer ? &p->dst : &p->src);
	*reply = false;
	if (!may_begin(p))
		return NULL;
	/* NEW TCP without SYN from outside: a server's, met mid-stream; the client's next opens */
	if (outside && p->transport == IPPROTO_TCP && p->tcp_flags & TCP_ACK)
		return NULL;
	if (answer) {
		/* the SYN came before the capture began: its sender is the client */
		key = (struct flow_key){p->dst, p->src, p->dst_port, p->src_port, p->transport};
		*reply = true;
	}
	struct track *k = tracks_add(c->tracks, &key, c->now);
	k->outside = outside;
	k->confirmed = answer;
	c->counters.flows++;
	return k;
}

/* A server's packet moves the entry on (see enum entry). */
static void server_answers(struct track *k, const struct packet *p)
{
	bool tcp = p->transport == IPPROTO_TCP, data = cursor_left(&p->payload) > 0;
	bool syn_ack = tcp && (p->tcp_flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
	if (syn_ack && k->entry == ENTRY_PENDING && p->ack == k->isn + 1)
		k->entry = ENTRY_ANSWERED;
	if (k->entry != ENTRY_HEARD || (tcp && (!data || p->tcp_flags & (TCP_SYN | TCP_RST))))
		return;
	k->entry = tcp ? (enum entry)mark_of_answer(k->flow.key.server_port, p->payload)
		       : ENTRY_ALLOWED;
}

/* An empty ACK carries nothing away, be it with FIN or RST, and the kernel can tell it. */
static bool is_empty_ack(const struct packet *p)
{
	return cursor_left(&p->payload) == 0 && (p->tcp_flags & ~(TCP_FIN | TCP_RST)) == TCP_ACK;
}

/* What may open another connection comes up even of an allowed entry; so does what may be two
 * datagrams in one (GSO), of which the second may be an Initial, with its 1,200 bytes. */
static bool may_open(const struct packet *p)
{
	if (p->transport == IPPROTO_TCP)
		return (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	return p->transport == IPPROTO_UDP && (quic_may_open(p->payload) || p->ip_len >= 2400);
}

static enum fate client_fate(struct capture *c, const struct track *k, const struct packet *p)
{
	if (c->o.internal && c->o.internal(c->o.ctx, &p->dst))
		return FATE_PASS;
	if (k->denied)
		return FATE_DROP;
	if (k->entry == ENTRY_ALLOWED)
		return may_open(p) ? FATE_CLIENT : FATE_PASS;
	bool answered = k->entry == ENTRY_ANSWERED || k->entry == ENTRY_HEARD;
	return p->transport == IPPROTO_TCP && answered && is_empty_ack(p) ? FATE_PASS : FATE_CLIENT;
}

/* The rules in their order. */
static enum fate fate_of(struct capture *c, const struct packet *p, struct track **track)
{
	bool reply;
	if (stays_on_link(&p->src, &p->dst))
		return FATE_PASS;
	if (is_icmp_error(p))
		return error_fate(c, p);
	struct track *k = tracks_find(c->tracks, p, c->now, &reply);
	if (!k)
		k = begin(c, p, &reply);
	if (!k)
		return FATE_DROP;
	*track = k;
	track_see(k, p, reply, c->now);
	const struct flow_key *key = &k->flow.key;
	if (key->server_port == 53 && !k->outside && (!reply || k->confirmed) && c->o.resolver &&
	    (p->transport == IPPROTO_UDP || p->transport == IPPROTO_TCP) &&
	    c->o.resolver(c->o.ctx, &key->server))
		return FATE_DNS;
	/* a SYN is no answer to a flow that began outside, in whoever's name it began; nor does it
	 * open anything to what is not TCP: the inside's answer is a client's packet */
	if (k->outside && !reply)
		return FATE_PASS;
	if (k->outside && p->transport == IPPROTO_TCP)
		return may_open(p) ? FATE_DROP : FATE_PASS;
	if (k->outside)
		return client_fate(c, k, p);
	if (reply && k->confirmed && !k->denied)
		server_answers(k, p);
	if (reply)
		return k->confirmed && !k->denied ? FATE_PASS : FATE_DROP;
	return client_fate(c, k, p);
}

static void pass(struct capture *c, struct track *k)
{
	if (k)
		k->confirmed = true;
	c->counters.passed++;
	c->counters.kernel_passed++;
	write_current(c);
}

/* Denied without being asked: said for the first packet of a client's flow only. */
static void refuse(struct capture *c, const struct packet *p, enum reason reason)
{
	static const struct address unknown;
	bool reply;
	c->counters.denied++;
	if (address_equal(&p->dst, &unknown) || stays_on_link(&p->src, &p->dst) ||
	    !is_inside(c, &p->src) || tracks_find(c->tracks, p, c->now, &reply))
		return;
	struct flow_key key = key_of(p);
	tracks_add(c->tracks, &key, c->now);
	c->counters.flows++;
	if (c->o.kernel_denied)
		c->o.kernel_denied(c->o.ctx, &(struct arrival){.now = c->now}, &key, reason);
}

static void lost_fragments(void *ctx, const struct packet *p)
{
	refuse(ctx, p, REASON_FRAGMENT);
}

/* ---- receiving ---- */

/* What is not decided as it would have been live; the first of them is said. */
static void unread(struct capture *c, uint64_t *counter, const char *why, uint32_t number)
{
	(*counter)++;
	char *text = c->counters.first, *end = text + sizeof c->counters.first;
	if (*text)
		return;
	text += snprintf(text, sizeof c->counters.first, "frame %" PRIu64 ", ",
			 c->counters.packets);
	snprintf(text, (size_t)(end - text), why, number);
}

static void read_mac(const struct link_frame *f, struct arrival *a)
{
	a->has_mac = f->mac != NULL;
	if (f->mac)
		memcpy(a->mac, f->mac, sizeof a->mac);
}

static int hand_up(struct capture *c, struct track *k, const struct packet *p, enum fate fate,
		   struct arrival *a)
{
	struct waiting *w = take_waiting(c);
	if (!w) {
		refuse(c, p, REASON_TABLE_FULL);
		return 0;
	}
	if (a->cut)
		unread(c, &c->counters.cut, CUT_SHORT, c->current.frame.caplen);
	w->track = k;
	w->serial = k->serial;
	a->kind = fate == FATE_DNS ? ARRIVAL_DNS : ARRIVAL_CLIENT;
	a->answer = fate == FATE_DNS && (p->src_port != k->flow.key.client_port ||
					 !address_equal(&p->src, &k->flow.key.client));
	a->id = (uint64_t)(w - c->waiting);
	a->entry = k->entry;
	return 1;
}

/* One whole packet: 1 where it goes up. */
static int packet_in(struct capture *c, const struct packet *p, struct arrival *a)
{
	struct track *k = NULL;
	if (p->transport == IPPROTO_TCP && !track_flags_valid(p->tcp_flags)) {
		c->counters.malformed++;
		refuse(c, p, REASON_PACKET_MALFORMED);
		return 0;
	}
	enum fate fate = fate_of(c, p, &k);
	if (fate == FATE_CLIENT || fate == FATE_DNS)
		return hand_up(c, k, p, fate, a);
	if (fate == FATE_PASS)
		pass(c, k);
	else
		c->counters.denied++;
	/* of a decided flow nothing comes up that says more */
	if (k && (k->entry >= ENTRY_HEARD || k->denied))
		tracks_close(c->tracks, k, p);
	return 0;
}

static bool join_fragment(struct capture *c, struct packet *p, struct arrival *a)
{
	struct joined whole;
	c->counters.fragments++;
	if (a->cut)
		unread(c, &c->counters.cut, CUT_SHORT, c->current.frame.caplen);
	if (!defrag_add(c->defrag, p, a->cut, c->now, &c->current.frame, &whole))
		return false;
	c->current.joined = whole.frames;
	a->bytes = whole.bytes;
	a->len = whole.len;
	return true;
}

/* The frame's IP packet, if it has one that can be read. */
static bool open_frame(struct capture *c, struct link_frame *out)
{
	const struct pcap_frame *f = &c->current.frame;
	switch (link_parse(f->link, f->bytes, f->caplen, out)) {
	case LINK_IP: return true;
	case LINK_OTHER: c->counters.not_ip++; break;
	case LINK_CUT: unread(c, &c->counters.unread, CUT_BEFORE, f->caplen); break;
	case LINK_UNKNOWN:
		unread(c, &c->counters.unread,
		       f->link == PCAP_LINK_NONE ? "of an interface that is not described"
						 : "link type %u is not read",
		       f->link);
		break;
	case LINK_ENCAPSULATED:
		unread(c, &c->counters.unread, "encapsulation 0x%04x is not read", out->type);
		break;
	}
	return false;
}

/* A length of zero stands for all that there was (packet.h), which is more than it can say. */
static bool is_cut(const struct pcap_frame *f, const struct link_frame *in, const struct packet *p)
{
	size_t was = f->len - (size_t)(in->ip - f->bytes);
	return p->ip_len > in->len || (was > in->len && was > UINT16_MAX && p->ip_len == in->len);
}

/* One frame: 1 where it goes up. */
static int frame_in(struct capture *c, struct arrival *a)
{
	struct link_frame frame;
	struct packet p;
	const struct pcap_frame *f = &c->current.frame;
	bool short_frame = f->caplen < f->len;
	c->counters.packets++;
	if (!open_frame(c, &frame))
		return 0;
	*a = (struct arrival){.now = c->now, .bytes = frame.ip, .len = (uint32_t)frame.len};
	read_mac(&frame, a);
	enum packet_parse parsed = short_frame ? packet_parse_cut(frame.ip, frame.len, &p)
					       : packet_parse(frame.ip, frame.len, &p);
	if (parsed == PACKET_MALFORMED && short_frame) {
		unread(c, &c->counters.unread, CUT_BEFORE, f->caplen);
		return 0;
	}
	if (parsed != PACKET_MALFORMED) {
		a->cut = short_frame && is_cut(f, &frame, &p);
		a->len = p.ip_len > a->len ? a->len : p.ip_len;
	}
	if (parsed == PACKET_FRAGMENT) {
		if (!join_fragment(c, &p, a))
			return 0;
		parsed = packet_parse(a->bytes, a->len, &p);
	}
	if (parsed != PACKET_OK) {
		c->counters.malformed++;
		refuse(c, &p, REASON_PACKET_MALFORMED);
		return 0;
	}
	return packet_in(c, &p, a);
}

static void expire(struct capture *c)
{
	defrag_expire(c->defrag, c->now);
	if (c->now - c->expired < EXPIRE_EVERY)
		return;
	c->expired = c->now;
	tracks_expire(c->tracks, c->now);
}

static int finish(struct capture *c, enum pcap_read why)
{
	if (why == PCAP_READ_BROKEN)
		c->counters.broken = pcap_reader_why(c->in);
	c->over = true;
	defrag_expire(c->defrag, INT64_MAX);
	tracks_end(c->tracks);
	return SOURCE_END;
}

/* One arrival at a time, so that a packet meets the marks that the one before it left. */
static int receive(struct source *s, struct arrival *list, int max)
{
	struct capture *c = capture_of(s);
	int got = 0;
	if (c->over || max < 1)
		return c->over ? SOURCE_END : 0;
	while (got == 0) {
		c->current = (struct current){0};
		enum pcap_read read = pcap_reader_next(c->in, &c->current.frame);
		if (read != PCAP_READ_FRAME)
			return finish(c, read);
		c->now = c->current.frame.time;
		expire(c);
		got = frame_in(c, &list[0]);
	}
	return got;
}

static void flush(struct source *s)
{
}

static void reset_server(struct source *s, const struct flow_key *key, uint32_t seq)
{
}

static void redirect(struct source *s, const struct reply_redirect *r)
{
}

static bool remark(struct source *s, const struct flow_key *key, uint32_t isn, enum verdict v)
{
	if (v == VERDICT_DROP) /* nobody sends the SYN again: it is judged now */
		return false;
	struct track *k = tracks_find_key(capture_of(s)->tracks, key);
	if (k && v == VERDICT_PENDING) {
		k->entry = ENTRY_NONE;
		k->denied = false;
	} else if (k) {
		mark(k, v);
	}
	return true;
}

/* ---- opening and closing ---- */

int capture_finish(struct source *s)
{
	struct capture *c = capture_of(s);
	int error = c->out ? pcap_writer_close(c->out) : 0;
	c->out = NULL;
	return error;
}

static void capture_free(struct source *s)
{
	struct capture *c = capture_of(s);
	for (uint32_t i = 0; i < c->waiting_count; i++)
		frames_deinit(&c->waiting[i].frames);
	free(c->waiting);
	tracks_free(c->tracks);
	defrag_free(c->defrag);
	capture_finish(s);
	pcap_reader_close(c->in);
	free(c);
}

static bool same_file(const char *a, const char *b)
{
	struct stat one, other;
	return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}

static bool open_output(struct capture *c, struct errors *errors)
{
	if (!c->o.write)
		return true;
	if (same_file(c->o.read, c->o.write)) {
		errors_add(errors, NULL, 0, "%s: the capture that is read cannot be written",
			   c->o.write);
		return false;
	}
	c->out = pcap_writer_open(c->o.write, c->in);
	if (!c->out)
		errors_add(errors, NULL, 0, "%s: %s", c->o.write, strerror(errno));
	return c->out != NULL;
}

static const struct source_ops ops = {
	.receive = receive,
	.verdict = verdict,
	.flush = flush,
	.reset_server = reset_server,
	.remark = remark,
	.redirect = redirect,
	.free = capture_free,
};

struct source *capture_open(const struct capture_options *o, struct errors *errors)
{
	struct capture *c = calloc(1, sizeof *c);
	if (!c) {
		errors_add(errors, NULL, 0, "%s: %s", o->read, strerror(ENOMEM));
		return NULL;
	}
	c->source.ops = &ops;
	c->o = *o;
	c->tracks = tracks_new(o->flows ? o->flows : 1, o->ended, o->ctx);
	c->defrag = defrag_new(o->write != NULL, lost_fragments, c);
	bool ready = c->tracks && c->defrag;
	if (!ready)
		errors_add(errors, NULL, 0, "%s: %s", o->read, strerror(ENOMEM));
	if (ready)
		c->in = pcap_reader_open(o->read, errors);
	if (!c->in || !open_output(c, errors)) {
		capture_free(&c->source);
		return NULL;
	}
	return &c->source;
}

void capture_count(const struct source *s, struct capture_counters *out)
{
	*out = capture_of(s)->counters;
}
