/* The input is what a client, its server and time do on four connections to port 443: segments cut
 * out of an allowed and of a denied hello, or of the client's own bytes, in any order and place;
 * SYNs, resets, waiting, forgetting. A small kernel stands between the worker and a server, with
 * entries as the rules keep them (wiring/rules.h), and gives the server what passes. Whatever the
 * order: no server reads a whole hello but the allowed one, be it one that keeps the first of two
 * bytes for one place or the last; and every packet gets one verdict in the end. */
#include "base/clock.h"
#include "base/cursor.h"
#include "policy/snapshot.h"
#include "worker/inner.h"

#include "../unit/worker/wire.h"

#include <stdlib.h>
#include <unistd.h>
#include <urcu.h>

#define CLIENT "10.9.0.5"
#define SERVER "203.0.113.7"

enum { PORTS = 4, STREAM = 1024, PACKETS = 512, DENIED_ENTRY = 100 };

static const char policy[] = "tiers = ( { name = \"guest\"; } );\n"
			     "segments = ( { network = \"10.9.0.0/16\"; tier = \"guest\"; } );\n"
			     "sites = ( { name = \"news\"; hosts = [ \"allow.example\" ]; } );\n"
			     "allow = ( { tiers = [ \"guest\" ]; sites = [ \"news\" ]; } );\n";

/* A server's end of a connection. */
struct end {
	bool open;
	uint32_t isn;
	uint32_t read; /* bytes that the application has */
	bool has[STREAM];
	uint8_t first[STREAM], last[STREAM];
};

struct kernel {
	struct source source;
	struct worker *worker;
	struct wire *packet;
	int64_t now;
	int entry[PORTS];    /* enum entry, or DENIED_ENTRY */
	uint32_t isn[PORTS]; /* of the last SYN that passed */
	struct end end[PORTS];
	struct wire sent[PACKETS]; /* by id */
	bool waits[PACKETS];
	uint64_t count;
};

static struct config *config;
static struct snapshot *snapshot;
static uint8_t good[STREAM], bad[STREAM];
static size_t hello_len, name_at;

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* ---- the server ---- */

static bool is_denied(const uint8_t *bytes)
{
	const size_t name_len = strlen("allow.example"), rest = name_at + name_len;
	return memcmp(bytes, good, name_at) == 0 &&
	       memcmp(bytes + rest, good + rest, hello_len - rest) == 0 &&
	       memcmp(bytes + name_at, good + name_at, name_len) != 0;
}

static void end_reads(struct end *e)
{
	while (e->read < STREAM && e->has[e->read])
		e->read++;
	if (e->read >= hello_len)
		require(!is_denied(e->first) && !is_denied(e->last));
}

static void end_data(struct end *e, uint32_t seq, struct cursor data)
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
	end_reads(e);
}

static void end_takes(struct end *e, const struct packet *p)
{
	bool syn = p->tcp_flags & TCP_SYN;
	if (syn && !e->open)
		*e = (struct end){.open = true, .isn = p->seq};
	if (!e->open)
		return;
	if (p->tcp_flags & TCP_RST)
		e->open = p->seq != e->isn + 1 + e->read;
	else
		end_data(e, p->seq + syn, p->payload);
}

/* ---- the kernel ---- */

static struct packet parsed(const struct wire *w)
{
	struct packet p;
	require(packet_parse(w->bytes, w->len, &p) == PACKET_OK);
	return p;
}

static void forward(struct kernel *k, const struct wire *w)
{
	struct packet p = parsed(w);
	unsigned port = p.src_port % PORTS;
	if (p.tcp_flags & TCP_SYN)
		k->isn[port] = p.seq;
	end_takes(&k->end[port], &p);
}

static void on_verdict(struct source *s, uint64_t id, enum verdict v)
{
	struct kernel *k = (struct kernel *)s;
	int *entry = &k->entry[parsed(&k->sent[id]).src_port % PORTS];
	require(id < k->count && k->waits[id]);
	k->waits[id] = false;
	switch (v) {
	case VERDICT_PENDING: *entry = ENTRY_PENDING; break;
	case VERDICT_HEARD: *entry = ENTRY_HEARD; break;
	case VERDICT_ALLOWED: *entry = ENTRY_ALLOWED; break;
	case VERDICT_PASS: break;
	case VERDICT_DENIED:
	case VERDICT_DROP_DENIED: *entry = *entry == ENTRY_NONE ? ENTRY_NONE : DENIED_ENTRY; return;
	default: return;
	}
	forward(k, &k->sent[id]);
}

static int on_receive(struct source *s, struct arrival *list, int max)
{
	struct kernel *k = (struct kernel *)s;
	if (!k->packet)
		return 0;
	k->sent[k->count] = *k->packet;
	k->waits[k->count] = true;
	list[0] = (struct arrival){
		.kind = ARRIVAL_CLIENT,
		.entry = (enum entry)k->entry[parsed(k->packet).src_port % PORTS],
		.id = k->count,
		.bytes = k->sent[k->count].bytes,
		.len = k->packet->len,
		.now = k->now,
	};
	k->count++;
	return 1;
}

static int64_t on_now(struct source *s, int64_t *ahead)
{
	if (ahead)
		*ahead = 0;
	return ((struct kernel *)s)->now;
}

static bool on_remark(struct source *s, const struct flow_key *key, uint32_t isn, enum verdict v)
{
	struct kernel *k = (struct kernel *)s;
	if (v == VERDICT_DROP) /* its connection is not over here */
		return true;
	k->entry[key->client_port % PORTS] = v == VERDICT_PENDING ? ENTRY_NONE : DENIED_ENTRY;
	return true;
}

static void on_flush(struct source *s)
{
}

static void on_reset(struct source *s, const struct flow_key *key, uint32_t seq)
{
}

static void on_redirect(struct source *s, const struct reply_redirect *r)
{
}

static const struct source_ops ops = {on_receive, on_verdict, on_now,      on_flush,
				      on_reset,   on_remark,  on_redirect, NULL};

static void turn(struct kernel *k, struct wire *w)
{
	k->packet = w;
	require(worker_turn(k->worker) == 0);
	k->packet = NULL;
}

/* As the rules have it: what of a client's packet the kernel does by itself. */
static void from_client(struct kernel *k, struct wire *w)
{
	struct packet p = parsed(w);
	int entry = k->entry[p.src_port % PORTS];
	bool syn = (p.tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	bool empty = !cursor_left(&p.payload) && (p.tcp_flags & ~(TCP_FIN | TCP_RST)) == TCP_ACK;
	if (entry == DENIED_ENTRY || k->count == PACKETS)
		return;
	if (!syn && (entry == ENTRY_ALLOWED ||
		     (empty && (entry == ENTRY_ANSWERED || entry == ENTRY_HEARD))))
		forward(k, w);
	else
		turn(k, w);
}

/* ---- what happens ---- */

static void segment(struct kernel *k, struct cursor *in, unsigned port, uint8_t flags)
{
	struct wire w;
	uint8_t bytes[STREAM];
	uint16_t where = cursor_u16(in);
	uint8_t len = cursor_u8(in), whose = cursor_u8(in);
	uint32_t offset = where % (STREAM - 256), isn = whose & 4 ? 1000 : 1000 + (whose >> 4) * 40;
	memcpy(bytes, whose & 1 ? bad : good, STREAM);
	if (whose & 2)
		for (unsigned i = 0; i < len && cursor_left(in); i++)
			bytes[offset + i] = cursor_u8(in);
	wire_tcp(&w, CLIENT, 4000 + port, SERVER, 443, flags,
		 isn + (flags & TCP_SYN ? 0 : 1 + offset), bytes + offset, len);
	from_client(k, &w);
}

static void forget(struct kernel *k, unsigned port)
{
	struct flow *f;
	for (uint32_t slot = 0; (f = flow_each(k->worker->flows, &slot));)
		if (flow_key_of(f)->client_port % PORTS == port) {
			flow_conclude(k->worker, f);
			flow_forget(k->worker, f);
			return;
		}
}

static void server_speaks(struct kernel *k, unsigned port)
{
	struct end *e = &k->end[port];
	int *entry = &k->entry[port];
	if (*entry == ENTRY_PENDING && e->open && e->isn == k->isn[port])
		*entry = ENTRY_ANSWERED;
	else if (*entry == ENTRY_HEARD && e->open && e->read >= hello_len)
		*entry = ENTRY_ALLOWED;
}

static void wait(struct kernel *k, int64_t ms)
{
	k->now += ms * NS_PER_MS;
	turn(k, NULL);
}

static void happen(struct kernel *k, struct cursor *in)
{
	uint8_t what = cursor_u8(in);
	unsigned port = what % PORTS;
	k->now += NS_PER_MS;
	switch (what / PORTS % 16) {
	case 0: segment(k, in, port, TCP_SYN); break;
	case 1: server_speaks(k, port); break;
	case 2: wait(k, cursor_u8(in)); break;
	case 3: wait(k, cursor_u8(in) * 100); break;
	case 4: segment(k, in, port, TCP_ACK | TCP_RST); break;
	case 5: segment(k, in, port, TCP_ACK | TCP_FIN); break;
	case 6: segment(k, in, port, cursor_u8(in)); break;
	case 7: forget(k, port); break;
	default: segment(k, in, port, TCP_ACK | TCP_PSH);
	}
}

/* ---- the worker ---- */

static bool on_record(void *ctx, const struct decision *d)
{
	return true;
}

static void set_up(void)
{
	char path[] = "/tmp/tiergate-fuzz-XXXXXX";
	struct errors errors = {0};
	int fd = mkstemp(path);
	require(fd >= 0 && write(fd, policy, strlen(policy)) == (ssize_t)strlen(policy));
	close(fd);
	config = config_load(path, CONFIG_FOR_REPLAY, &errors);
	unlink(path);
	snapshot = config ? snapshot_compile(config, &errors) : NULL;
	require(snapshot);
	hello_len = wire_hello(good, "allow.example", 100);
	require(wire_hello(bad, "deny0.example", 100) == hello_len);
	while (good[name_at] == bad[name_at])
		name_at++;
	rcu_register_thread();
}

static struct worker *make_worker(struct kernel *k)
{
	const struct worker_options o = {
		.source = &k->source,
		.seen = seen_new(16, 3600 * NS_PER_S, false),
		.sessions = sessions_new(16),
		.snapshot = &snapshot,
		.config = config,
		.record = on_record,
	};
	k->source.ops = &ops;
	k->now = 1800000000 * NS_PER_S;
	return o.seen && o.sessions ? worker_new(&o) : NULL;
}

/* The next input finds no flow. */
static void clear(struct kernel *k)
{
	struct flow *f;
	for (uint32_t slot = 0; (f = flow_each(k->worker->flows, &slot));) {
		flow_conclude(k->worker, f);
		flow_forget(k->worker, f);
	}
	memset(k->entry, 0, sizeof k->entry);
	memset(k->isn, 0, sizeof k->isn);
	memset(k->end, 0, sizeof k->end);
	k->count = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kernel k;
	struct cursor in = cursor_of(data, size);
	if (!snapshot) {
		set_up();
		k.worker = make_worker(&k);
		require(k.worker);
	}
	while (cursor_left(&in) && k.count < PACKETS)
		happen(&k, &in);
	for (int i = 0; i < 40; i++)
		wait(&k, 1000);
	for (uint64_t id = 0; id < k.count; id++)
		require(!k.waits[id]);
	clear(&k);
	return 0;
}
