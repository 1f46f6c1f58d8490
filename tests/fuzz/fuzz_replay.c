/* The input is a capture: what clients do on three ports (TLS, HTTP, QUIC) to a server, out of
 * hellos for a site that is allowed and one that is not, cut and mixed as it likes, in fragments
 * that need not fit each other, bare or in Ethernet with or without a VLAN, with bytes of any kind
 * between; it is replayed through the whole worker. What would have passed is given to a server
 * that keeps the first, and to one that keeps the last, of two bytes for one place: neither reads a
 * whole denied hello at the start of a connection, nor a denied datagram before an allowed one. */
#include "base/clock.h"
#include "base/cursor.h"
#include "base/exit.h"
#include "gateway/replay.h"

#include "../unit/name/seal.h"
#include "../unit/worker/wire.h"

#include <pcap/pcap.h>
#include <stdlib.h>
#include <unistd.h>

#define CLIENT "10.9.0.5"
#define SERVER "203.0.113.7"

enum { PORTS = 4, STREAM = 1024, FRAMES = 300, DATAGRAM = 1300, WHOLE = 4096, SETS = 16 };
enum link { BARE, ETHERNET, VLAN, LINKS };

static const char policy[] = "tiers = ( { name = \"guest\"; } );\n"
			     "segments = ( { network = \"10.9.0.0/16\"; tier = \"guest\"; } );\n"
			     "sites = ( { name = \"news\"; hosts = [ \"allow.example\" ]; } );\n"
			     "allow = ( { tiers = [ \"guest\" ]; sites = [ \"news\" ]; } );\n"
			     "bounds = { flows = 1024; sessions = 16; names = 1024; };\n";
static const char *const names[] = {"allow.example", "deny0.example"};

/* What a client says first, for each name, and the place of the name in it. */
struct talk {
	uint16_t port;
	uint8_t bytes[2][STREAM];
	size_t len, at;
};
static struct talk tls = {.port = 443}, http = {.port = 80};
static struct bytes quic[2];

static char folder[] = "/tmp/tiergate-fuzz-XXXXXX", conf[64], in_path[64], out_path[64];

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* ---- the server ---- */

struct end {
	bool open;
	uint32_t isn, read;
	bool has[STREAM];
	uint8_t first[STREAM], last[STREAM];
};

struct set { /* fragments of a packet */
	bool used;
	uint16_t id;
	bool has[WHOLE];
	uint8_t first[WHOLE], last[WHOLE], head[20];
	size_t len; /* of what is behind the header; 0: not known */
};

static struct end ends[2][PORTS]; /* TLS's and HTTP's */
static bool greeted[PORTS];       /* an allowed datagram has passed */
static struct set sets[SETS];
static unsigned set_next;

static bool is_denied(const struct talk *t, const uint8_t *bytes)
{
	size_t rest = t->at + strlen(names[0]);
	const uint8_t *good = t->bytes[0];
	return memcmp(bytes, good, t->at) == 0 &&
	       memcmp(bytes + rest, good + rest, t->len - rest) == 0 &&
	       memcmp(bytes + t->at, good + t->at, strlen(names[0])) != 0;
}

static void end_data(struct end *e, const struct talk *t, uint32_t seq, struct cursor data)
{
	size_t len = cursor_left(&data);
	for (size_t i = 0; i < len; i++) {
		uint32_t at = seq + (uint32_t)i - (e->isn + 1);
		uint8_t byte = cursor_u8(&data);
		if (at >= STREAM || at < e->read)
			continue;
		if (!e->has[at])
			e->first[at] = byte;
		e->has[at] = true;
		e->last[at] = byte;
	}
	while (e->read < STREAM && e->has[e->read])
		e->read++;
	if (e->read >= t->len)
		require(!is_denied(t, e->first) && !is_denied(t, e->last));
}

static void take_tcp(const struct packet *p, const struct talk *t, struct end *e)
{
	bool syn = p->tcp_flags & TCP_SYN;
	if (syn && !e->open)
		*e = (struct end){.open = true, .isn = p->seq};
	if (!e->open)
		return;
	if (p->tcp_flags & TCP_RST)
		e->open = p->seq != e->isn + 1 + e->read;
	else
		end_data(e, t, p->seq + syn, p->payload);
}

static void take_udp(const struct packet *p, unsigned port)
{
	for (int i = 0; i < 2; i++) {
		bool same = cursor_left(&p->payload) == quic[i].len &&
			    memcmp(p->payload.pos, quic[i].at, quic[i].len) == 0;
		require(!same || i == 0 || greeted[port]);
		greeted[port] |= same;
	}
}

static void take_packet(const uint8_t *bytes, size_t len)
{
	struct packet p;
	struct address server;
	require(address_parse(SERVER, &server));
	if (packet_parse(bytes, len, &p) != PACKET_OK || !address_equal(&p.dst, &server))
		return;
	unsigned port = p.src_port % PORTS;
	if (p.transport == IPPROTO_TCP && p.dst_port == tls.port)
		take_tcp(&p, &tls, &ends[0][port]);
	else if (p.transport == IPPROTO_TCP && p.dst_port == http.port)
		take_tcp(&p, &http, &ends[1][port]);
	else if (p.transport == IPPROTO_UDP && p.dst_port == 443)
		take_udp(&p, port);
}

/* ---- fragments, as a server joins them ---- */

static struct set *set_of(uint16_t id, const uint8_t *head)
{
	for (unsigned i = 0; i < SETS; i++)
		if (sets[i].used && sets[i].id == id &&
		    memcmp(sets[i].head + 12, head + 12, 8) == 0)
			return &sets[i];
	struct set *s = &sets[set_next++ % SETS];
	memset(s, 0, sizeof *s);
	s->used = true;
	s->id = id;
	memcpy(s->head, head, sizeof s->head);
	return s;
}

static void give_whole(const struct set *s, const uint8_t *body)
{
	uint8_t bytes[20 + WHOLE];
	memcpy(bytes, s->head, 20);
	memcpy(bytes + 20, body, s->len);
	put16(bytes + 2, (unsigned)(20 + s->len));
	put16(bytes + 6, 0);
	take_packet(bytes, 20 + s->len);
}

static void take_fragment(const uint8_t *bytes, size_t len, unsigned word)
{
	struct set *s = set_of((uint16_t)(bytes[4] << 8 | bytes[5]), bytes);
	size_t at = (word & 0x1fff) * 8u, n = len - 20, have = 0;
	for (size_t i = 0; i < n && at + i < WHOLE; i++) {
		if (!s->has[at + i])
			s->first[at + i] = bytes[20 + i];
		s->has[at + i] = true;
		s->last[at + i] = bytes[20 + i];
	}
	if (!(word & 0x2000) && at + n <= WHOLE)
		s->len = at + n;
	while (have < s->len && s->has[have])
		have++;
	if (!s->len || have < s->len)
		return;
	give_whole(s, s->first);
	give_whole(s, s->last);
}

static void take_frame(const uint8_t *bytes, size_t len, enum link link)
{
	size_t head = link == BARE ? 0 : link == ETHERNET ? 14 : 18;
	if (len < head + 20 || bytes[head] != 0x45)
		return; /* what is no packet of a template's form */
	bytes += head;
	size_t total = (size_t)(bytes[2] << 8 | bytes[3]);
	unsigned word = (unsigned)(bytes[6] << 8 | bytes[7]);
	len = total >= 20 && total < len - head ? total : len - head;
	if (word & 0x3fff)
		take_fragment(bytes, len, word);
	else
		take_packet(bytes, len);
}

/* ---- the capture ---- */

struct making {
	pcap_dumper_t *out;
	enum link link;
	struct timeval time;
	uint16_t id;
};

static void put_frame(struct making *m, const uint8_t *bytes, size_t len)
{
	static const uint8_t ethernet[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0},
			     vlan[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 5, 8, 0};
	uint8_t frame[18 + 4200];
	size_t head = m->link == BARE ? 0 : m->link == ETHERNET ? 14 : 18;
	memcpy(frame, m->link == VLAN ? vlan : ethernet, head);
	memcpy(frame + head, bytes, len);
	struct pcap_pkthdr h = {m->time, (uint32_t)(head + len), (uint32_t)(head + len)};
	pcap_dump((unsigned char *)m->out, &h, frame);
	m->time.tv_usec += 1000;
	m->time.tv_sec += m->time.tv_usec / 1000000;
	m->time.tv_usec %= 1000000;
}

static void put_part(struct making *m, const struct wire *w, size_t from, size_t to)
{
	struct wire part = {.len = (uint32_t)(20 + to - from)};
	memcpy(part.bytes, w->bytes, 20);
	memcpy(part.bytes + 20, w->bytes + 20 + from, to - from);
	put16(part.bytes + 2, part.len);
	put16(part.bytes + 4, m->id);
	put16(part.bytes + 6, (unsigned)(from / 8 | (to < w->len - 20 ? 0x2000 : 0)));
	put_frame(m, part.bytes, part.len);
}

/* cut: where, in eights; the second part is of another packet with the same head, or begins in the
 * first one, as its top bits say. */
static void put_packet(struct making *m, const struct wire *w, const struct wire *other,
		       uint8_t cut)
{
	size_t len = w->len - 20, at = (cut & 0x1f) * 8u;
	m->id++;
	if (!at || at >= len || other->len != w->len) {
		put_frame(m, w->bytes, w->len);
		return;
	}
	size_t back = cut & 0x40 ? at - 8 : at;
	if (cut & 0x80)
		put_part(m, other, back, len);
	put_part(m, w, 0, at);
	put_part(m, cut & 0x20 ? other : w, back, len);
}

static void segment(struct making *m, struct cursor *in, const struct talk *t, unsigned port,
		    uint8_t flags)
{
	struct wire w[2];
	uint16_t where = cursor_u16(in);
	uint8_t len = cursor_u8(in), whose = cursor_u8(in);
	uint32_t offset = where % (STREAM - 256), isn = whose & 4 ? 1000 : 1000 + (whose >> 4) * 40;
	for (int i = 0; i < 2; i++)
		wire_tcp(&w[i], CLIENT, 4000 + port, SERVER, t->port, flags,
			 isn + (flags & TCP_SYN ? 0 : 1 + offset),
			 t->bytes[i == (whose & 1) ? 0 : 1] + offset, len);
	for (int i = 0; i < 2 && flags & TCP_ACK; i++)
		put32(w[i].bytes + 28, 5001);
	put_packet(m, &w[0], &w[1], whose & 2 ? cursor_u8(in) : 0);
}

static void datagram(struct making *m, struct cursor *in, unsigned port)
{
	struct wire w[2];
	uint8_t whose = cursor_u8(in);
	for (int i = 0; i < 2; i++) {
		const struct bytes *b = &quic[i == (whose & 1) ? 0 : 1];
		wire_udp(&w[i], CLIENT, 4000 + port, SERVER, 443, b->at, b->len);
	}
	put_packet(m, &w[0], &w[1], whose & 2 ? cursor_u8(in) : 0);
}

static void server_speaks(struct making *m, struct cursor *in, unsigned port)
{
	struct wire w;
	uint8_t how = cursor_u8(in);
	static const char said[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	unsigned from = how & 1 ? 80 : 443;
	if (how & 2)
		wire_udp(&w, SERVER, 443, CLIENT, 4000 + port, said, 20);
	else
		wire_tcp(&w, SERVER, from, CLIENT, 4000 + port,
			 how & 4 ? TCP_ACK : TCP_SYN | TCP_ACK, how & 4 ? 5001 : 5000, said,
			 how & 4 ? sizeof said - 1 : 0);
	if (!(how & 2))
		put32(w.bytes + 28, 1000 + (how & 8 ? 1u + (unsigned)tls.len : 1u));
	put_frame(m, w.bytes, w.len);
}

static void anything(struct making *m, struct cursor *in)
{
	uint8_t bytes[256], len = cursor_u8(in);
	size_t left = cursor_left(in), n = len < left ? len : left;
	if (n)
		cursor_copy(in, bytes, n);
	put_frame(m, bytes, n);
}

static void happen(struct making *m, struct cursor *in)
{
	uint8_t what = cursor_u8(in);
	unsigned port = what % PORTS;
	const struct talk *t = what & 0x80 ? &http : &tls;
	switch (what / PORTS % 16) {
	case 0: segment(m, in, t, port, TCP_SYN); break;
	case 1:
	case 2: server_speaks(m, in, port); break;
	case 3: m->time.tv_sec += cursor_u8(in) / 4; break;
	case 4: segment(m, in, t, port, TCP_ACK | TCP_RST); break;
	case 5: segment(m, in, t, port, TCP_ACK | TCP_FIN); break;
	case 6: segment(m, in, t, port, cursor_u8(in)); break;
	case 7: anything(m, in); break;
	case 8:
	case 9:
	case 10: datagram(m, in, port); break;
	default: segment(m, in, t, port, TCP_ACK | TCP_PSH);
	}
}

static enum link make_capture(const uint8_t *data, size_t size)
{
	struct cursor in = cursor_of(data, size);
	struct making m = {.time = {1800000000, 0}, .link = cursor_u8(&in) % LINKS};
	pcap_t *shape = pcap_open_dead(m.link == BARE ? DLT_RAW : DLT_EN10MB, 65535);
	require(shape && (m.out = pcap_dump_open(shape, in_path)));
	for (unsigned i = 0; i < FRAMES && cursor_left(&in); i++)
		happen(&m, &in);
	pcap_dump_close(m.out);
	pcap_close(shape);
	return m.link;
}

/* ---- */

static void on_record(void *ctx, const struct decision *d)
{
	require(d->reason < REASON_COUNT && d->evidence < EVIDENCE_COUNT);
	++*(unsigned *)ctx;
}

static void read_passed(enum link link)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *in = pcap_open_offline(out_path, error);
	struct pcap_pkthdr *h;
	const uint8_t *bytes;
	require(in);
	memset(ends, 0, sizeof ends);
	memset(greeted, 0, sizeof greeted);
	memset(sets, 0, sizeof sets);
	while (pcap_next_ex(in, &h, &bytes) == 1)
		take_frame(bytes, h->caplen, link);
	pcap_close(in);
}

static void make_talks(void)
{
	for (int i = 0; i < 2; i++) {
		uint8_t hello[STREAM], plain[DATAGRAM] = {0};
		struct bytes frame = {0};
		tls.len = wire_hello(tls.bytes[i], names[i], 100);
		http.len = (size_t)snprintf((char *)http.bytes[i], STREAM,
					    "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", names[i]);
		/* a QUIC client's hello is TLS's without its record */
		size_t len = wire_hello(hello, names[i], 100) - 5;
		struct seal s = seal_of(0);
		put_crypto(&frame, 0, hello + 5, len);
		memcpy(plain, frame.at, frame.len);
		put_initial(&quic[i], &s, plain, 1162);
	}
	while (tls.bytes[0][tls.at] == tls.bytes[1][tls.at])
		tls.at++;
	while (http.bytes[0][http.at] == http.bytes[1][http.at])
		http.at++;
}

static void remove_folder(void)
{
	unlink(conf);
	unlink(in_path);
	unlink(out_path);
	rmdir(folder);
}

static void set_up(void)
{
	make_talks();
	require(mkdtemp(folder));
	snprintf(conf, sizeof conf, "%s/conf", folder);
	snprintf(in_path, sizeof in_path, "%s/in", folder);
	snprintf(out_path, sizeof out_path, "%s/out", folder);
	FILE *f = fopen(conf, "w");
	require(f && fputs(policy, f) >= 0 && fclose(f) == 0);
	atexit(remove_folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *inside[] = {"10.9.0.0/16"};
	unsigned records = 0;
	struct replay_options o = {.config = conf,
				   .read = in_path,
				   .write = out_path,
				   .inside = inside,
				   .inside_count = 1,
				   .record = on_record,
				   .ctx = &records};
	if (!conf[0])
		set_up();
	if (!size)
		return 0;
	enum link link = make_capture(data, size);
	int status = replay_run(&o);
	require(status != EXIT_USAGE); /* it cannot where a frame cannot be read; the rest passes */
	read_passed(link);
	return 0;
}
