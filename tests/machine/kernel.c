#include "kernel.h"

#include "base/clock.h"
#include "base/handover.h"
#include "base/log.h"
#include "base/privilege.h"
#include "gateway/inner.h"
#include "name/quic.h"
#include "sim.h"
#include "source/mark.h"
#include "source/nfqueue.h"
#include "source/reply.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRIES = 8192, PACKETS = 1024, QUEUES = 8, EVENTS = 8192, BYTES = 4096, COPIES = 512 };
#define MASK        0x7f000000u
#define SYN_TIME    (120 * NS_PER_S)
#define OPEN_TIME   (5 * 86400 * NS_PER_S)
#define CLOSED_TIME (120 * NS_PER_S)
#define RESET_TIME  (10 * NS_PER_S)
#define UDP_TIME    (180 * NS_PER_S)
#define ROUND_TIME  (10 * NS_PER_S)

/* One of conntrack. */
struct flow_of {
	bool used, confirmed, closed, reset;
	struct flow_key key;
	enum mark_kind kind;
	unsigned epoch;
	uint32_t isn;
	int64_t seen;
	uint64_t bytes, packets;
};

/* In a queue, or at a worker. */
struct waiting {
	bool used, handed;
	unsigned queue;
	uint8_t bytes[BYTES];
	uint32_t len;
	struct flow_key key;
	enum entry entry;
	uint64_t number;
	int64_t since;
};

struct end {
	struct flow_key key;
	uint64_t bytes, packets;
	bool counts; /* its bytes are its client's own doing */
	bool denied;
};

struct copy {
	uint8_t bytes[BYTES];
	uint32_t len;
	bool answer;
};

struct queue {
	struct source source;
	unsigned number;
	struct nfqueue_options o;
};

static struct {
	struct kernel_world world;
	struct flow_of flow[ENTRIES];
	unsigned top; /* of flow: those that were ever used */
	struct waiting waiting[PACKETS];
	unsigned waiting_top; /* those that were ever used */
	uint64_t number;
	struct end end[EVENTS];
	unsigned ends;
	struct copy copy[COPIES];
	unsigned copies;
	unsigned epoch;
	char policy[32];
	bool open;
	struct gateway *gateway;
	struct kernel_counters counters;
} k;

void kernel_begin(const struct kernel_world *w)
{
	memset(&k, 0, sizeof k);
	k.world = *w;
}

void kernel_reboot(void)
{
	const struct kernel_world w = k.world;
	const struct kernel_counters c = k.counters;
	kernel_begin(&w);
	k.counters = c;
}

/* ---- flows ---- */

static bool same_key(const struct flow_key *a, const struct flow_key *b)
{
	return a->client_port == b->client_port && a->server_port == b->server_port &&
	       a->transport == b->transport && address_equal(&a->client, &b->client) &&
	       address_equal(&a->server, &b->server);
}

static struct flow_of *find(const struct flow_key *key)
{
	for (unsigned i = 0; i < k.top; i++)
		if (k.flow[i].used && same_key(&k.flow[i].key, key))
			return &k.flow[i];
	return NULL;
}

/* A new flow, for nobody until its first packet has passed. */
static struct flow_of *make(const struct flow_key *key)
{
	for (unsigned i = 0; i < ENTRIES; i++) {
		if (k.flow[i].used)
			continue;
		k.flow[i] = (struct flow_of){.used = true, .key = *key, .seen = sim_boottime()};
		k.top = i >= k.top ? i + 1 : k.top;
		return &k.flow[i];
	}
	abort();
}

static void destroy(struct flow_of *f)
{
	if (f->kind && k.ends < EVENTS)
		k.end[k.ends++] = (struct end){f->key, f->bytes, f->packets, f->kind < MARK_DENIED,
					       f->kind == MARK_DENIED};
	f->used = false;
}

static int64_t time_of(const struct flow_of *f)
{
	if (f->key.transport == IPPROTO_UDP)
		return UDP_TIME;
	if (f->closed)
		return f->reset ? RESET_TIME : CLOSED_TIME;
	return f->kind == MARK_PENDING || !f->kind ? SYN_TIME : OPEN_TIME;
}

void kernel_tick(void)
{
	for (unsigned i = 0; i < k.top; i++)
		if (k.flow[i].used && sim_boottime() - k.flow[i].seen > time_of(&k.flow[i]))
			destroy(&k.flow[i]);
}

/* What the rules take a flow's mark for: another epoch's says nothing. */
static enum mark_kind kind_of(const struct flow_of *f)
{
	return f->epoch == k.epoch ? f->kind : MARK_NONE;
}

static void set_kind(struct flow_of *f, enum mark_kind kind)
{
	f->kind = kind;
	f->epoch = k.epoch;
}

void kernel_wiring_up(const char *policy)
{
	if (strcmp(policy, k.policy) == 0)
		return;
	if (*k.policy)
		k.epoch = (k.epoch + 1) % MARK_EPOCHS;
	snprintf(k.policy, sizeof k.policy, "%s", policy);
	for (unsigned i = 0; i < k.top; i++)
		if (k.flow[i].epoch == k.epoch)
			k.flow[i].kind = MARK_NONE;
}

/* ---- packets ---- */

static struct flow_key key_of(const struct packet *p, bool from_client)
{
	return from_client
		       ? (struct flow_key){p->src, p->dst, p->src_port, p->dst_port, p->transport}
		       : (struct flow_key){p->dst, p->src, p->dst_port, p->src_port, p->transport};
}

static void pass(struct flow_of *f, const struct packet *p, bool from_client)
{
	bool syn = p->transport == IPPROTO_TCP && p->tcp_flags & TCP_SYN;
	f->confirmed = true;
	f->seen = sim_boottime();
	f->bytes += p->ip_len;
	f->packets++;
	if (syn && from_client)
		f->isn = p->seq;
	if (p->transport == IPPROTO_TCP && p->tcp_flags & (TCP_FIN | TCP_RST))
		f->closed = true;
	f->reset |= p->transport == IPPROTO_TCP && p->tcp_flags & TCP_RST;
	k.world.forwarded(p, from_client);
}

static void hand_up(struct flow_of *f, const void *ip, uint32_t len)
{
	struct waiting *w = NULL;
	for (unsigned i = 0; i < PACKETS && !w; i++)
		if (!k.waiting[i].used)
			w = &k.waiting[i];
	if (!k.open || !w || len > BYTES) {
		k.counters.dropped++;
		if (!f->confirmed)
			f->used = false;
		return;
	}
	*w = (struct waiting){
		.used = true,
		.queue = f->key.client_port % k.gateway->config->queues,
		.len = len,
		.key = f->key,
		.entry = kind_of(f) <= MARK_ALLOWED ? (enum entry)kind_of(f) : ENTRY_NONE,
		.number = ++k.number,
		.since = sim_boottime(),
	};
	memcpy(w->bytes, ip, len);
	if (w - k.waiting >= k.waiting_top)
		k.waiting_top = (unsigned)(w - k.waiting) + 1;
}

static bool may_open(const struct packet *p)
{
	if (p->transport == IPPROTO_TCP)
		return (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	return p->transport == IPPROTO_UDP && (quic_may_open(p->payload) || p->ip_len >= 2400);
}

static bool is_empty_ack(const struct packet *p)
{
	return p->transport == IPPROTO_TCP && cursor_left(&p->payload) == 0 &&
	       (p->tcp_flags & ~(TCP_FIN | TCP_RST)) == TCP_ACK;
}

void kernel_from_client(const void *ip, uint32_t len)
{
	struct packet p;
	if (packet_parse(ip, len, &p) != PACKET_OK)
		return;
	struct flow_key key = key_of(&p, true);
	if (k.world.internal(&key.server)) {
		k.world.forwarded(&p, true);
		return;
	}
	struct flow_of *f = find(&key);
	if (f && f->closed && may_open(&p) && p.transport == IPPROTO_TCP) {
		destroy(f); /* the ports open another connection */
		f = NULL;
	}
	if (!f && p.transport == IPPROTO_TCP && p.tcp_flags & (TCP_FIN | TCP_RST))
		return; /* INVALID */
	if (!f)
		f = make(&key);
	enum mark_kind kind = kind_of(f);
	if (kind == MARK_DENIED || kind == MARK_REDIRECT)
		k.world.refused(&key);
	else if (kind == MARK_ALLOWED && !may_open(&p))
		pass(f, &p, true);
	else if ((kind == MARK_ANSWERED || kind == MARK_HEARD) && is_empty_ack(&p))
		pass(f, &p, true);
	else
		hand_up(f, ip, len);
}

void kernel_from_server(const void *ip, uint32_t len)
{
	struct packet p;
	if (packet_parse(ip, len, &p) != PACKET_OK)
		return;
	struct flow_key key = key_of(&p, false);
	struct flow_of *f = find(&key);
	if (!f || !f->confirmed)
		return; /* from outside nothing begins here */
	bool tcp = p.transport == IPPROTO_TCP, data = cursor_left(&p.payload) > 0;
	bool syn_ack = tcp && (p.tcp_flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
	enum mark_kind kind = kind_of(f);
	if (kind == MARK_DENIED || kind == MARK_REDIRECT) {
		k.world.reset(&key);
		return;
	}
	if (syn_ack && kind == MARK_PENDING && p.ack == f->isn + 1)
		set_kind(f, MARK_ANSWERED);
	else if (kind == MARK_HEARD && !tcp)
		set_kind(f, MARK_ALLOWED);
	else if (kind == MARK_HEARD && data && !(p.tcp_flags & (TCP_SYN | TCP_RST)))
		set_kind(f, mark_of_answer(key.server_port, p.payload));
	pass(f, &p, false);
}

void kernel_dns(const void *ip, uint32_t len, bool answer)
{
	if (!k.open || k.copies == COPIES || len > BYTES)
		return;
	struct copy *c = &k.copy[k.copies++];
	memcpy(c->bytes, ip, len);
	c->len = len;
	c->answer = answer;
}

void kernel_queues_closed(void)
{
	for (unsigned i = 0; i < PACKETS; i++)
		k.waiting[i].used = false;
	for (unsigned i = 0; i < k.top; i++)
		if (!k.flow[i].confirmed)
			k.flow[i].used = false;
	k.open = false;
	k.gateway = NULL;
	k.copies = 0;
}

struct gateway *kernel_gateway(void)
{
	return k.gateway;
}

void kernel_count(struct kernel_counters *out)
{
	*out = k.counters;
	out->oldest = 0;
	out->waiting = out->flows = 0;
	for (unsigned i = 0; i < k.waiting_top; i++) {
		const struct waiting *w = &k.waiting[i];
		if (!w->used)
			continue;
		out->waiting++;
		if (!out->oldest || w->since < out->oldest)
			out->oldest = w->since;
	}
	for (unsigned i = 0; i < k.top; i++)
		out->flows += k.flow[i].used;
}

/* ---- source/nfqueue.h ---- */

static struct queue *queue_of(struct source *s)
{
	return (struct queue *)s;
}

static struct waiting *next_of(unsigned queue)
{
	struct waiting *best = NULL;
	for (unsigned i = 0; i < k.waiting_top; i++) {
		struct waiting *w = &k.waiting[i];
		if (w->used && !w->handed && w->queue == queue &&
		    (!best || w->number < best->number))
			best = w;
	}
	return best;
}

static int receive(struct source *s, struct arrival *list, int max)
{
	int n = 0;
	struct waiting *w;
	sim_wait();
	while (k.open && n < max && (w = next_of(queue_of(s)->number))) {
		w->handed = true;
		k.counters.packets++;
		list[n++] = (struct arrival){
			.kind = ARRIVAL_CLIENT,
			.entry = w->entry,
			.id = w->number,
			.bytes = w->bytes,
			.len = w->len,
			.now = clock_now(),
			.ahead = clock_ahead(),
		};
	}
	return n;
}

static bool passes(enum verdict v)
{
	return v == VERDICT_PASS || v == VERDICT_PENDING || v == VERDICT_HEARD ||
	       v == VERDICT_ALLOWED;
}

static void give_verdict(struct source *s, uint64_t id, enum verdict v)
{
	struct waiting *w = NULL;
	if (sim_killed() || !k.open)
		return;
	for (unsigned i = 0; i < k.waiting_top && !w; i++)
		if (k.waiting[i].used && k.waiting[i].handed && k.waiting[i].number == id)
			w = &k.waiting[i];
	if (!w) {
		k.counters.twice++;
		return;
	}
	k.counters.verdicts++;
	w->used = false;
	struct flow_of *f = find(&w->key);
	struct packet p;
	enum mark_kind kind = mark_of_verdict(v);
	if (!f || packet_parse(w->bytes, w->len, &p) != PACKET_OK)
		return;
	if (passes(v) && v != VERDICT_PASS)
		set_kind(f, kind);
	if (passes(v)) {
		pass(f, &p, true);
		return;
	}
	if (f->confirmed && (v == VERDICT_DENIED || v == VERDICT_DROP_DENIED))
		set_kind(f, kind);
	if (!f->confirmed)
		f->used = false;
	if (v == VERDICT_DENIED)
		k.world.refused(&w->key);
}

static int64_t now(struct source *s, int64_t *ahead)
{
	if (ahead)
		*ahead = clock_ahead();
	return clock_now();
}

static void flush(struct source *s)
{
}

static void reset_server(struct source *s, const struct flow_key *key, uint32_t seq)
{
}

static bool remark(struct source *s, const struct flow_key *key, uint32_t isn, enum verdict v)
{
	return queue_of(s)->o.remark(queue_of(s)->o.ctx, key, isn, v);
}

static void redirect(struct source *s, const struct reply_redirect *r)
{
}

static void queue_free(struct source *s)
{
	free(s);
}

struct source *nfqueue_open(const struct nfqueue_options *o, struct errors *errors)
{
	static const struct source_ops ops = {receive,      give_verdict, now,      flush,
					      reset_server, remark,       redirect, queue_free};
	struct queue *q = calloc(1, sizeof *q);
	if (!q)
		return NULL;
	q->source.ops = &ops;
	q->o = *o;
	k.gateway = ((struct lane *)o->ctx)->gateway;
	q->number = o->queue - k.gateway->config->queue_first;
	k.open = true;
	return &q->source;
}

int nfqueue_fd(const struct source *s)
{
	return KERNEL_FD;
}

void nfqueue_fail_open(struct source *s, bool on)
{
}

void nfqueue_count(const struct source *s, struct nfqueue_counters *out)
{
	*out = (struct nfqueue_counters){.packets = k.counters.packets};
}

bool nfqueue_bound(uint16_t queue, uint32_t *port)
{
	return k.open;
}

static const struct metric nothing[] = {
	METRIC_AS("received", nfqueue_counters, packets, COUNTER, "packets", "packets"),
};
METRICS(nfqueue_metrics, "queue", nfqueue_counters, nothing);

/* ---- source/conntrack.h ---- */

struct conntrack {
	struct conntrack_options o;
	int64_t empty_at;
};

struct conntrack *conntrack_open(const struct conntrack_options *o, struct errors *errors)
{
	struct conntrack *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	c->o = *o;
	c->empty_at = clock_now();
	return c;
}

void conntrack_close(struct conntrack *c)
{
	free(c);
}

int conntrack_fd(const struct conntrack *c)
{
	return KERNEL_FD + 1;
}

/* The service manager keeps the socket of ends from one daemon to the next. */
unsigned conntrack_read(struct conntrack *c)
{
	unsigned n = k.ends;
	if (sim_killed())
		return 0;
	for (unsigned i = 0; i < n; i++) {
		if (k.end[i].counts)
			c->o.moved(c->o.ctx, &k.end[i].key.client, k.end[i].bytes);
		c->o.ended(c->o.ctx, &k.end[i].key, k.end[i].bytes, k.end[i].packets, c->empty_at,
			   clock_now(), k.end[i].denied);
	}
	k.ends = 0;
	c->empty_at = clock_now();
	return n < CONNTRACK_READ ? n : CONNTRACK_READ;
}

int conntrack_remark(struct conntrack *c, const struct flow_key *key, uint32_t old, enum verdict v)
{
	struct flow_of *f = find(key);
	enum mark_kind kind = mark_of_verdict(v);
	if (sim_killed())
		return 0;
	if (!f || !f->confirmed)
		return -ENOENT;
	if (kind == MARK_NONE || kind == MARK_PENDING)
		f->kind = MARK_NONE;
	else
		set_kind(f, kind);
	if (v == VERDICT_DENIED && key->transport == IPPROTO_TCP) {
		f->closed = f->reset = true;
		k.world.reset(key);
	}
	return 0;
}

bool conntrack_closed(struct conntrack *c, const struct flow_key *key)
{
	const struct flow_of *f = find(key);
	return f && f->closed && key->transport == IPPROTO_TCP && f->kind != MARK_DENIED;
}

int conntrack_delete(struct conntrack *c, const struct flow_key *key)
{
	struct flow_of *f = find(key);
	if (!f)
		return -ENOENT;
	destroy(f);
	return 0;
}

void conntrack_forget_closed(struct conntrack *c, const struct flow_key *key)
{
	const struct flow_of *f = find(key);
	if (f && f->closed)
		conntrack_delete(c, key);
}

int conntrack_list(struct conntrack *c, void (*flow)(void *ctx, const struct flow_key *key),
		   void *ctx)
{
	int n = 0;
	for (unsigned i = 0; i < k.top; i++) {
		enum mark_kind kind = k.flow[i].used ? kind_of(&k.flow[i]) : MARK_NONE;
		if (kind != MARK_ALLOWED && kind != MARK_HEARD)
			continue;
		flow(ctx, &k.flow[i].key);
		n++;
	}
	return n;
}

void conntrack_count(const struct conntrack *c, struct conntrack_counters *out)
{
	*out = (struct conntrack_counters){0};
}

static const struct metric no_ends[] = {
	METRIC(conntrack_counters, ended, COUNTER, "flows", "ends"),
};
METRICS(conntrack_metrics, "conntrack", conntrack_counters, no_ends);

/* ---- source/tally.h ---- */

struct tally {
	struct tally_options o;
	int64_t next;
};

struct tally *tally_open(const struct tally_options *o, struct errors *errors)
{
	struct tally *t = calloc(1, sizeof *t);
	if (t)
		t->o = *o;
	return t;
}

void tally_close(struct tally *t)
{
	free(t);
}

void tally_begin(struct tally *t, int64_t at)
{
	if (at < t->next)
		return;
	t->next = at + ROUND_TIME;
	for (unsigned i = 0; i < k.top; i++) {
		const struct flow_of *f = &k.flow[i];
		if (f->used && f->kind && f->kind != MARK_DENIED)
			t->o.flow(t->o.ctx, &f->key.client, f->bytes);
	}
	/* what ended and is not read yet: the kernel tells of both in one moment, seldom in between
	 */
	for (unsigned i = 0; i < k.ends; i++)
		if (k.end[i].counts)
			t->o.flow(t->o.ctx, &k.end[i].key.client, k.end[i].bytes);
	t->o.round(t->o.ctx, at);
}

int tally_fd(const struct tally *t)
{
	return KERNEL_FD + 2;
}

void tally_read(struct tally *t, int64_t at)
{
}

/* ---- source/copies.h ---- */

struct copies {
	struct copies_options o;
};

struct copies *copies_open(const struct copies_options *o, struct errors *errors)
{
	struct copies *c = calloc(1, sizeof *c);
	if (c)
		c->o = *o;
	return c;
}

void copies_close(struct copies *c)
{
	free(c);
}

int copies_fd(const struct copies *c)
{
	return KERNEL_FD + 3;
}

void copies_read(struct copies *c, int64_t at)
{
	for (unsigned i = 0; i < k.copies; i++) {
		const struct arrival a = {
			.kind = ARRIVAL_DNS,
			.bytes = k.copy[i].bytes,
			.len = k.copy[i].len,
			.now = at,
			.answer = k.copy[i].answer,
		};
		c->o.take(c->o.ctx, &a);
	}
	k.copies = 0;
}

void copies_count(const struct copies *c, struct copies_counters *out)
{
	*out = (struct copies_counters){0};
}

static const struct metric no_copies[] = {
	METRIC(copies_counters, taken, COUNTER, "packets", "copies"),
};
METRICS(copies_metrics, "copies", copies_counters, no_copies);

/* ---- the kernel's rules ---- */

bool reply_open(uint32_t mark, int *raw4, int *raw6, struct errors *errors)
{
	*raw4 = *raw6 = -1;
	return true;
}

bool wiring_epoch(const struct config *c, unsigned *epoch)
{
	*epoch = k.epoch;
	return true;
}

bool wiring_check(const struct config *c, struct errors *errors)
{
	return true;
}

bool wiring_loaded(const struct config *c, struct errors *errors)
{
	return true;
}

int wiring_running(const struct config *c)
{
	return -ENOENT;
}

struct watch {
	int unused;
};

struct watch *watch_new(const struct config *c, struct errors *errors)
{
	return calloc(1, sizeof(struct watch));
}

int watch_start(struct watch *w)
{
	return 0;
}

void watch_free(struct watch *w)
{
	free(w);
}

void watch_config(struct watch *w, const struct config *c)
{
}

void watch_get(struct watch *w, bool fresh, struct watch_state *out)
{
	*out = (struct watch_state){.looked = true, .rules_good = true, .interfaces_good = true};
}

static const struct metric no_rules[] = {
	METRIC(watch_counters, lost, COUNTER, "times", "times"),
};
METRICS(watch_metrics, "rules", watch_counters, no_rules);

/* ---- the rest of the machine ---- */

bool privilege_keep_net_admin(struct errors *errors)
{
	return true;
}

bool privilege_net_admin(void)
{
	return true;
}

int handover_take(const char *name)
{
	return -1;
}

void handover_keep(const char *name, int fd)
{
}

void handover_end(void)
{
}

/* The sandbox, and the helper beside it: this process goes on to be others. */
bool __wrap_confine(const struct gateway *g, struct errors *errors)
{
	return true;
}

bool __wrap_tool_helper(struct errors *errors)
{
	return true;
}

bool __wrap_neighbours_follow(struct neighbours *n, struct errors *errors)
{
	return true;
}

int __wrap_neighbours_fd(const struct neighbours *n)
{
	return KERNEL_FD + 4;
}

void __wrap_neighbours_read(struct neighbours *n, int64_t at)
{
}

void __wrap_neighbours_solicit(struct neighbours *n, const struct address *a)
{
}

bool kernel_ready(int fd)
{
	return fd == KERNEL_FD + 1 && k.ends;
}
