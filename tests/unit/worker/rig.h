/* rig: a worker between a source of single packets and a log, and what a client says. */
#pragma once
#include "base/ring.h"
#include "base/clock.h"
#include "policy/snapshot.h"
#include "source/reply.h"
#include "unit.h"
#include "wire.h"
#include "worker/inner.h"

#include <stdlib.h>
#include <unistd.h>
#include <urcu.h>

/* A source that hands over one packet a turn and remembers what became of each. */
struct fake {
	struct source source;
	struct wire *packet; /* NULL: nothing comes this turn */
	int64_t now, ahead;
	uint64_t next_id;
	enum arrival_kind kind;
	int verdict[4096]; /* by id; -1: none yet */
	int resets, remarks, remark_room;
	uint32_t reset_seq;
	enum verdict remarked;
	int redirects;
	struct reply_redirect redirect; /* the last */
	char redirect_to[HOST_MAX + 1];
	uint8_t mac[6]; /* the sender's, where it is not all zero */
	/* the kernel's entries, by the client: what is pending is answered before the next segment,
	 * unless the servers are silent */
	enum entry entry[65536];
	uint16_t client[4096]; /* by id */
	bool silent;
	int64_t took; /* what the clock shows after a burst, less its arrival */
};

/* Whose an entry is: a client's port, and the last bytes of its address. */
static inline uint16_t fake_client(unsigned port, unsigned network, unsigned host)
{
	return (uint16_t)(port + 7919 * host + 30011 * network);
}

/* Of the guest's flow from a port. */
static inline enum entry *entry_of(struct fake *f, unsigned port)
{
	return &f->entry[fake_client(port, 0, 5)];
}

static inline enum entry fake_entry(struct fake *f, uint64_t id)
{
	const uint8_t *ip = f->packet->bytes;
	bool six = ip[0] >> 4 == 6;
	size_t head = six ? 40 : 20;
	const uint8_t *l4 = ip + head, *source = ip + (six ? 22 : 14);
	unsigned port = f->packet->len >= head + 2 ? (unsigned)(l4[0] << 8 | l4[1]) : 0;
	enum entry *entry = &f->entry[f->client[id] = fake_client(port, source[0], source[1])];
	bool segment = ip[six ? 6 : 9] == IPPROTO_TCP && f->packet->len >= head + 14 &&
		       !(l4[13] & TCP_SYN);
	if (segment && *entry == ENTRY_PENDING && !f->silent)
		*entry = ENTRY_ANSWERED;
	return *entry;
}

static inline void fake_mark(struct fake *f, uint64_t id, enum verdict v)
{
	enum entry *entry = &f->entry[f->client[id]];
	if (v == VERDICT_PENDING)
		*entry = ENTRY_PENDING;
	else if (v == VERDICT_HEARD || v == VERDICT_HEARD)
		*entry = ENTRY_HEARD;
	else if (v == VERDICT_ALLOWED)
		*entry = ENTRY_ALLOWED;
}

static inline struct fake *of(struct source *s)
{
	return (struct fake *)s;
}

static inline int fake_receive(struct source *s, struct arrival *list, int max)
{
	struct fake *f = of(s);
	if (!f->packet)
		return 0;
	list[0] = (struct arrival){.kind = f->kind,
				   .id = f->next_id,
				   .bytes = f->packet->bytes,
				   .len = f->packet->len,
				   .now = f->now,
				   .ahead = f->ahead,
				   .entry = fake_entry(f, f->next_id)};
	memcpy(list[0].mac, f->mac, sizeof f->mac);
	list[0].has_mac = memcmp(f->mac, "\0\0\0\0\0", sizeof f->mac) != 0;
	f->verdict[f->next_id++] = -1;
	return 1;
}

static inline void fake_verdict(struct source *s, uint64_t id, enum verdict v)
{
	assert_int_equal(of(s)->verdict[id], -1); /* exactly one for each */
	of(s)->verdict[id] = (int)v;
	fake_mark(of(s), id, v);
}

static inline int64_t fake_now(struct source *s, int64_t *ahead)
{
	if (ahead)
		*ahead = of(s)->ahead;
	return of(s)->now + of(s)->took;
}

static inline void fake_flush(struct source *s)
{
}

static inline void fake_reset(struct source *s, const struct flow_key *key, uint32_t seq)
{
	of(s)->resets++;
	of(s)->reset_seq = seq;
}

static inline bool fake_remark(struct source *s, const struct flow_key *key, uint32_t isn,
			       enum verdict v)
{
	if (of(s)->remark_room == 0)
		return false;
	of(s)->remark_room--;
	of(s)->remarks++;
	of(s)->remarked = v;
	return true;
}

static inline void fake_redirect(struct source *s, const struct reply_redirect *r)
{
	of(s)->redirects++;
	of(s)->redirect = *r;
	strcpy(of(s)->redirect_to, r->to);
}

static const struct source_ops fake_ops = {fake_receive, fake_verdict, fake_now,      fake_flush,
					   fake_reset,   fake_remark,  fake_redirect, NULL};

struct rig {
	struct fake source;
	struct config *config;
	struct snapshot *snapshot;
	struct sessions *sessions;
	struct onlink *onlink;
	struct address asked; /* the last */
	unsigned asks;
	struct flow_use use; /* the last */
	unsigned uses;
	bool uses_full; /* of a quota, nothing is taken */
	struct seen *seen;
	struct worker *worker;
	struct decision log[64];
	unsigned logged;
	unsigned decided[REASON_COUNT]; /* records of decisions, and those that were lost */
	bool full;                      /* the log takes nothing */
};

static inline bool rig_record(void *ctx, const struct decision *d)
{
	struct rig *r = ctx;
	if (d->kind == DECISION_DECIDED)
		r->decided[d->reason]++;
	if (r->full)
		return false;
	assert_true(r->logged < 64);
	r->log[r->logged++] = *d;
	return true;
}

static inline void rig_ask(void *ctx, const struct address *a)
{
	struct rig *r = ctx;
	r->asked = *a;
	r->asks++;
}

static inline bool rig_use(void *ctx, const struct flow_use *use)
{
	struct rig *r = ctx;
	if (r->uses_full)
		return false;
	r->use = *use;
	r->uses++;
	return true;
}

#define POLICY                                                                                     \
	"tiers = ( { name = \"guest\"; }, { name = \"press\"; includes = [ \"guest\" ]; } );\n"    \
	"segments = ( { network = \"10.9.0.0/16\"; tier = \"guest\"; } );\n"                       \
	"sites = ( { name = \"news\"; hosts = [ \"news.example\" ]; },\n"                          \
	"          { name = \"social\"; hosts = [ \"social.example\" ]; } );\n"                    \
	"allow = ( { tiers = [ \"guest\" ]; sites = [ \"news\" ]; },\n"                            \
	"          { tiers = [ \"press\" ]; sites = [ \"social\" ]; } );\n"

static inline struct config *config_of(const char *text)
{
	char path[] = "/tmp/tiergate-worker-XXXXXX";
	struct errors errors = {0};
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	struct config *c = config_load(path, CONFIG_FOR_REPLAY, &errors);
	errors_print(&errors, stderr);
	assert_non_null(c);
	unlink(path);
	errors_deinit(&errors);
	return c;
}

static inline struct snapshot *snapshot_of(struct config *c)
{
	struct errors errors = {0};
	struct snapshot *s = snapshot_compile(c, &errors);
	errors_print(&errors, stderr);
	assert_non_null(s);
	errors_deinit(&errors);
	return s;
}

/* By which a rig made next hears of ends; most need none. */
static struct ring *rig_told;

/* A worker under a whole configuration; onlink: with a neighbour table, or as on a capture. */
static inline struct rig *rig_on(const char *text, bool onlink)
{
	struct rig *r = calloc(1, sizeof *r);
	r->config = config_of(text);
	r->snapshot = snapshot_of(r->config);
	r->sessions = sessions_new(64);
	r->seen = seen_new(1024, 3600 * NS_PER_S, false);
	r->source.source.ops = &fake_ops;
	r->source.remark_room = 1000;
	r->source.now = 1800000000 * NS_PER_S;
	const struct worker_options o = {
		.source = &r->source.source,
		.seen = r->seen,
		.sessions = r->sessions,
		.onlink = r->onlink = onlink ? onlink_new(64) : NULL,
		.snapshot = &r->snapshot,
		.config = r->config,
		.ended = rig_told,
		.record = rig_record,
		.use = rig_use,
		.ask = rig_ask,
		.ctx = r,
	};
	r->worker = worker_new(&o);
	assert_non_null(r->worker);
	return r;
}

static inline struct rig *rig_with(const char *text)
{
	return rig_on(text, false);
}

static inline struct rig *rig_new(const char *more)
{
	char text[4096];
	snprintf(text, sizeof text, POLICY "%s", more);
	return rig_with(text);
}

/* What is counted by reason is a record, or one that was lost; two reasons have none. */
static inline void rig_adds_up(const struct rig *r)
{
	for (enum reason i = 0; i < REASON_COUNT; i++)
		if (i != REASON_TABLE_FULL && i != REASON_NO_RECORD)
			assert_int_equal(r->worker->counters.reasons[i], r->decided[i]);
}

/* Whatever became of the flows: with the last of them the worker has back all that they had. */
static inline void rig_free(struct rig *r)
{
	rig_adds_up(r);
	uint32_t slot = 0;
	struct flow *f;
	while ((f = flow_each(r->worker->flows, &slot)))
		flow_forget(r->worker, f);
	assert_int_equal(unique_count(r->worker->people), 0);
	assert_int_equal(unique_count(r->worker->namer.hosts), 0);
	assert_int_equal(pool_taken(r->worker->namer.quics), 0);
	worker_free(r->worker);
	seen_free(r->seen);
	sessions_free(r->sessions);
	onlink_free(r->onlink);
	snapshot_free(r->snapshot);
	config_free(r->config);
	free(r);
}

/* Hands over a packet; its verdict, -1 while it is held. */
static inline int packet(struct rig *r, struct wire *w)
{
	uint64_t id = r->source.next_id;
	r->source.packet = w;
	r->source.now += NS_PER_MS;
	assert_int_equal(worker_turn(r->worker), 0);
	r->source.packet = NULL;
	return r->source.verdict[id];
}

static inline void wait_ms(struct rig *r, int64_t ms)
{
	r->source.now += ms * NS_PER_MS;
	assert_int_equal(worker_turn(r->worker), 0);
}

static const char *const guest = "10.9.0.5", *const nobody = "10.8.0.5",
			 *const site = "203.0.113.7";

/* The key of a flow from guest to site. */
static inline struct flow_key guest_key(uint8_t transport, uint16_t from, uint16_t to)
{
	struct flow_key key = {.client_port = from, .server_port = to, .transport = transport};
	address_parse(guest, &key.client);
	address_parse(site, &key.server);
	return key;
}

static inline int syn(struct rig *r, const char *client, unsigned port)
{
	struct wire w;
	wire_tcp(&w, client, port, site, 443, TCP_SYN, 1000, NULL, 0);
	return packet(r, &w);
}

static inline int data(struct rig *r, const char *client, unsigned port, uint32_t offset,
		       const void *bytes, size_t len)
{
	struct wire w;
	wire_tcp(&w, client, port, site, 443, TCP_ACK | TCP_PSH, 1001 + offset, bytes, len);
	return packet(r, &w);
}

static inline int hello(struct rig *r, const char *client, unsigned port, const char *name)
{
	uint8_t bytes[2048];
	size_t len = wire_hello(bytes, name, 0);
	return data(r, client, port, 0, bytes, len);
}

static inline int request(struct rig *r, unsigned port, uint32_t offset, const char *text)
{
	struct wire w;
	wire_tcp(&w, guest, port, site, 80, TCP_ACK | TCP_PSH, 1001 + offset, text, strlen(text));
	return packet(r, &w);
}

static inline void http_syn(struct rig *r, unsigned port)
{
	struct wire w;
	wire_tcp(&w, guest, port, site, 80, TCP_SYN, 1000, NULL, 0);
	assert_int_equal(packet(r, &w), VERDICT_PENDING);
}

#define GOOD "GET / HTTP/1.1\r\nHost: news.example\r\n\r\n"
#define BAD  "GET / HTTP/1.1\r\nHost: social.example\r\n\r\n"
#define POST "POST / HTTP/1.1\r\nHost: news.example\r\nContent-Length: 10\r\n\r\n"
