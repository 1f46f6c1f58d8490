/* world: what workers share in a bench: a policy with lists of names, people who are signed in, and
 * what DNS told; and the lanes that drive a worker each with packets of traffic.h. */
#pragma once
#include "base/ring.h"
#include "dns/seen.h"
#include "identity/session.h"
#include "policy/counted.h"
#include "policy/load.h"
#include "traffic.h"
#include "worker/worker.h"

#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include <urcu.h>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_TOGGLE_COLLECT
#define CALLGRIND_ZERO_STATS
#define CALLGRIND_DUMP_STATS_AT(text)
#define CALLGRIND_START_INSTRUMENTATION
#endif

enum { LISTS = 8, BURST_MAX = 64, BATCH_MAX = QUICS, LANES = 2 };

/* Keys of hashes are the same in every run, so that the same instructions are. */
ssize_t getrandom(void *out, size_t len, unsigned flags)
{
	static uint64_t x = 0x9e3779b97f4a7c15;
	for (size_t i = 0; i < len; i++) {
		x = x * 6364136223846793005 + 1442695040888963407;
		((uint8_t *)out)[i] = (uint8_t)(x >> 56);
	}
	return (ssize_t)len;
}

struct sizes {
	uint32_t names, users, flows, seen; /* in lists; signed in; room in the tables */
};

struct world {
	struct sizes sizes;
	struct policy policy;
	struct sessions *sessions;
	struct seen *seen;
	char folder[64];
};

/* Neighbours in a list are strangers in a table: one to one below 2^28. */
static inline uint32_t scramble(uint32_t i)
{
	return i * 0x9e3779b1u & 0xfffffff;
}

static inline _Noreturn void give_up(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

static inline FILE *world_file(const struct world *w, const char *name)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", w->folder, name);
	FILE *f = fopen(path, "w");
	if (!f)
		give_up("no room in /tmp");
	return f;
}

static inline void world_lists(const struct world *w)
{
	for (uint32_t l = 0; l < LISTS; l++) {
		char file[16], name[NAME_LEN + 1];
		snprintf(file, sizeof file, "l%u.sites", l);
		FILE *f = world_file(w, file);
		for (uint32_t i = l; i < w->sizes.names; i += LISTS) {
			name_of(scramble(i), name);
			fprintf(f, "%s\n", name + 4); /* without www. */
		}
		fclose(f);
	}
}

/* Tiers as a company has them, a line for each list, one with hours, and a carve-out. */
static inline void world_config(const struct world *w)
{
	FILE *f = world_file(w, "t.conf");
	fprintf(f,
		"resolvers = [ \"10.0.0.53\" ];\n"
		"bounds = { flows = %u; sessions = %u; names = %u; held = 4096; "
		"held_per_client = 4096; };\n"
		"tiers = ( { name = \"guest\"; }, { name = \"staff\"; includes = [ \"guest\" ]; }, "
		"{ name = \"press\"; includes = [ \"staff\" ]; } );\n"
		"schedules = ( { name = \"office\"; days = \"mon-sun\"; hours = \"00:00-24:00\"; "
		"zone = \"Europe/Sofia\"; } );\n"
		"sites = ( { name = \"bad\"; hosts = [ \"bad.example\", \"worse.example\" ]; }",
		w->sizes.flows, w->sizes.users < 16 ? 16 : w->sizes.users, w->sizes.seen);
	for (int l = 0; l < LISTS; l++)
		fprintf(f, ",\n{ name = \"s%d\"; lists = [ \"l%d.sites\" ]; }", l, l);
	fprintf(f, " );\ndeny = ( { tiers = [ \"*\" ]; sites = [ \"bad\" ]; } );\nallow = (");
	for (int l = 0; l < LISTS; l++)
		fprintf(f, "%s\n{ tiers = [ \"%s\" ]; sites = [ \"s%d\" ];%s }", l ? "," : "",
			l % 2 ? "guest" : "staff", l, l == 3 ? " when = \"office\";" : "");
	fprintf(f, " );\n");
	fclose(f);
}

static inline void world_policy(struct world *w)
{
	char path[128];
	struct errors errors = {0};
	strcpy(w->folder, "/tmp/tiergate-bench-XXXXXX");
	if (!mkdtemp(w->folder))
		give_up("no room in /tmp");
	world_lists(w);
	world_config(w);
	snprintf(path, sizeof path, "%s/t.conf", w->folder);
	bool good = policy_load(path, CONFIG_FOR_REPLAY, &w->policy, &errors);
	errors_print(&errors, stderr);
	if (!good)
		give_up("its own policy is wrong");
	errors_deinit(&errors);
	snapshot_count(w->policy.snapshot, counted_new(w->policy.config, LANES, COUNTED_ENTRIES));
	snprintf(path, sizeof path, "rm -r %s", w->folder);
	if (system(path) != 0)
		give_up("its files could not be removed");
}

static inline uint32_t client_ip(uint32_t client)
{
	return 0x0a400000 + client; /* 10.64.0.0 and up */
}

static inline uint32_t server_ip(uint32_t name)
{
	return 0x50000000 | name; /* 80.0.0.0 and up */
}

static inline void put_be32(uint8_t *p, uint32_t v)
{
	put_be16(p, v >> 16);
	put_be16(p + 2, v & 0xffff);
}

static inline struct address address_of(uint32_t ip)
{
	uint8_t b[4];
	put_be32(b, ip);
	return address_from4(b);
}

static inline void world_people(struct world *w, int64_t now)
{
	struct session s = {.source = "login"};
	w->sessions = sessions_new(w->sizes.users);
	strcpy(s.tier, "staff");
	for (uint32_t i = 0; w->sessions && i < w->sizes.users; i++) {
		struct address a = address_of(client_ip(i));
		snprintf(s.user, sizeof s.user, "user%u@school.example", i);
		if (session_open(w->sessions, &a, &s, now))
			give_up("a session was refused");
	}
}

/* ---- a lane ---- */

struct subject {
	uint32_t client, name;
	uint16_t port;
};

struct lane {
	struct source source; /* first */
	struct world *world;
	struct worker *worker;
	struct ring *records, *ended;
	uint32_t seed, first_client, clients;
	uint16_t port;
	int64_t now, began, spent; /* spent: ns of the processor, of the steps since it was 0 */
	struct subject subject[BATCH_MAX];
	enum kind kind, opened; /* what is sent; what its flows began with */
	unsigned at, end;       /* of the subjects */
	unsigned verdicts[16];
	uint64_t took; /* records that were taken from the ring */
	uint8_t bytes[BURST_MAX][PACKET_ROOM];
};

static inline uint32_t lane_random(struct lane *l, uint32_t below)
{
	l->seed = l->seed * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)l->seed * below >> 32);
}

static bool lanes_untimed; /* no system call is made then */

static inline int64_t lane_clock(void)
{
	struct timespec ts;
	if (lanes_untimed)
		return 0;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static inline uint8_t *quic_of(enum kind k, unsigned i)
{
	return k >= KIND_INITIAL && k <= KIND_INITIAL_2 ? initials[k - KIND_INITIAL][i] : NULL;
}

static inline void packet_write(const struct lane *l, unsigned i, uint8_t *out)
{
	const struct form *f = &forms[l->kind];
	const struct subject *s = &l->subject[i];
	bool dns = f->port == 53, back = f->from_server;
	uint32_t server = dns ? 0x0a000035 : server_ip(s->name);
	memcpy(out, f->bytes, f->len);
	if (quic_of(l->kind, i))
		memcpy(out + 28, quic_of(l->kind, i), INITIAL_LEN);
	put_be32(out + 12, back ? server : client_ip(s->client));
	put_be32(out + 16, back ? client_ip(s->client) : server);
	put_be16(out + 20, back ? f->port : s->port);
	put_be16(out + 22, back ? s->port : dns ? 53 : forms[l->opened].port);
	if (f->names[0])
		name_write(out + f->names[0], s->name);
	if (dns)
		put_be16(out + 28, i);
	if (back)
		put_be32(out + f->len - 4, server_ip(s->name));
}

static inline void lane_end(struct lane *l, unsigned i)
{
	const struct subject *s = &l->subject[i];
	struct flow_ended *e = ring_claim(l->ended);
	if (!e)
		give_up("the ring of ends is full");
	*e = (struct flow_ended){.bytes = 5000, .packets = 20, .after = l->now, .last = l->now};
	e->key.client = address_of(client_ip(s->client));
	e->key.server = address_of(server_ip(s->name));
	e->key.client_port = s->port;
	e->key.server_port = forms[l->opened].port;
	e->key.transport = forms[l->opened].bytes[9];
	ring_publish(l->ended);
}

/* What another thread does beside. */
static inline void records_take(struct lane *l)
{
	while (ring_peek(l->records)) {
		ring_release(l->records);
		l->took++;
	}
}

static inline int lane_receive(struct source *s, struct arrival *list, int max)
{
	struct lane *l = (struct lane *)s;
	int n = 0;
	records_take(l);
	for (; n < max && n < BURST_MAX && l->at < l->end; n++, l->at++) {
		if (l->kind == KIND_END) {
			lane_end(l, l->at);
			continue;
		}
		const struct form *f = &forms[l->kind];
		packet_write(l, l->at, l->bytes[n]);
		list[n] = (struct arrival){
			.kind = f->port == 53 ? ARRIVAL_DNS : ARRIVAL_CLIENT,
			.entry = (enum entry)f->entry,
			.id = l->at,
			.bytes = l->bytes[n],
			.len = f->len,
			.now = l->now += 1000,
			.ahead = INT64_C(1795000000) * NS_PER_S,
			.has_mac = true,
			.answer = f->from_server,
		};
		put_be32(list[n].mac, client_ip(l->subject[l->at].client));
	}
	l->began = lane_clock();
	CALLGRIND_TOGGLE_COLLECT;
	return l->kind == KIND_END ? 0 : n;
}

static inline void lane_flush(struct source *s)
{
	struct lane *l = (struct lane *)s;
	CALLGRIND_TOGGLE_COLLECT;
	l->spent += lane_clock() - l->began;
}

static inline void lane_verdict(struct source *s, uint64_t id, enum verdict v)
{
	((struct lane *)s)->verdicts[v]++;
}

static inline int64_t lane_now(struct source *s, int64_t *ahead)
{
	if (ahead)
		*ahead = INT64_C(1795000000) * NS_PER_S;
	return ((struct lane *)s)->now;
}

static inline void lane_reset(struct source *s, const struct flow_key *key, uint32_t seq)
{
}

static inline bool lane_remark(struct source *s, const struct flow_key *key, uint32_t isn,
			       enum verdict v)
{
	return true;
}

static inline void lane_redirect(struct source *s, const struct reply_redirect *r)
{
}

/* As the daemon's lanes do. */
static inline bool lane_record(void *ctx, const struct decision *d)
{
	struct lane *l = ctx;
	struct decision *slot = ring_claim(l->records);
	if (!slot)
		return false;
	*slot = *d;
	ring_publish(l->records);
	return true;
}

static const struct source_ops lane_ops = {lane_receive, lane_verdict, lane_now,      lane_flush,
					   lane_reset,   lane_remark,  lane_redirect, NULL};

/* Lane number i of `of`, each with clients of its own. */
static inline struct lane *lane_new(struct world *w, unsigned i, unsigned of)
{
	struct lane *l = calloc(1, sizeof *l);
	l->source.ops = &lane_ops;
	l->world = w;
	l->seed = i + 1;
	l->now = 1000 * NS_PER_S;
	l->clients = w->sizes.users / of ? w->sizes.users / of : 1;
	l->first_client = i * l->clients;
	l->records = ring_new(16384, sizeof(struct decision));
	l->ended = ring_new(4096, sizeof(struct flow_ended));
	const struct worker_options o = {
		.source = &l->source,
		.seen = w->seen,
		.sessions = w->sessions,
		.snapshot = &w->policy.snapshot,
		.config = w->policy.config,
		.ended = l->ended,
		.record = lane_record,
		.ctx = l,
		.index = i,
	};
	l->worker = worker_new(&o);
	if (!l->records || !l->ended || !l->worker)
		give_up("out of memory");
	return l;
}

static inline void lane_free(struct lane *l)
{
	worker_free(l->worker);
	ring_free(l->records);
	ring_free(l->ended);
	free(l);
}

static inline void world_free(struct world *w)
{
	seen_free(w->seen);
	sessions_free(w->sessions);
	policy_free(&w->policy);
}
