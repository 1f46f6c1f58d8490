#include "gateway.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/ring.h"
#include "control/control.h"
#include "decision/sink.h"
#include "policy/snapshot.h"
#include "source/conntrack.h"
#include "source/dnstap_socket.h"
#include "source/mark.h"
#include "source/nfqueue.h"
#include "source/reply.h"
#include "state/state.h"
#include "wiring/wiring.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <nettle/sha2.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>
#include <urcu.h>

enum { EXIT_DONE, EXIT_NO, EXIT_USAGE, EXIT_CANNOT };

#define LANES_MAX      65 /* workers and the DNS worker */
#define LANE_RING      4096
#define TICK_USEC      (1000 * 1000ULL)
#define MEMORY_PORTION 2048 /* flows copied for the state file between two bursts */
#define SAVE_TICKS     60
#define STUCK_TICKS    5 /* seconds without a turn: the watchdog is no longer fed */

/* A queue, its worker, its thread, and the rings between it and the main thread. */
struct lane {
	struct gateway *gateway;
	struct source *source;
	struct worker *worker;
	struct ring *records; /* the sink's */
	struct ring *ended;   /* main -> worker: struct flow_ended */
	struct ring *remarks; /* worker -> main: struct remark */
	/* flows for the state file: main sets `remember`, the worker fills and clears it */
	struct flow_memory *memory;
	size_t memory_count;
	uint32_t memory_slot;
	_Atomic bool remember;
	pthread_t thread;
	bool running;
	_Atomic bool stop;
	_Atomic int failed; /* -errno of a receive that ended the thread */
	_Atomic uint64_t turns;
	uint64_t turns_seen;
	unsigned stuck;
};

struct remark {
	struct flow_key key;
	uint32_t isn;
	enum verdict verdict;
};

struct gateway {
	struct gateway_options o;
	struct config *config; /* of the start: bounds, queues, paths */
	struct snapshot *snapshot;
	struct seen *seen;
	struct sessions *sessions;
	struct sink *sink;
	struct control *control;
	struct conntrack *conntrack;
	struct dnstap_socket *dnstap;
	struct store *store; /* NULL: nothing is kept */
	unsigned ticks;
	uint64_t sessions_saved; /* the table's generation that is on disk */
	sd_event *event;
	struct lane lanes[LANES_MAX];
	unsigned lane_count, epoch;
	int raw4, raw6;
	int remark_fd; /* eventfd: a worker has a remark */
	uint8_t pseudonym[SHA256_DIGEST_SIZE];
	bool has_pseudonym, strict;
	int64_t started, loaded;
	char wiring[256];  /* what is wrong with the rules, or "" */
	char refused[256]; /* why the last reload was refused, or "" */
	int status;
};

/* ---- what a worker calls ---- */

static bool lane_record(void *ctx, const struct decision *d)
{
	struct lane *l = ctx;
	struct decision *slot = ring_claim(l->records);
	if (!slot)
		return false;
	*slot = *d;
	ring_publish(l->records);
	if (!l->gateway->strict)
		return true;
	struct sink_counters c;
	sink_count(l->gateway->sink, &c);
	return !c.failing;
}

static void lane_remark(void *ctx, const struct flow *f, enum verdict v)
{
	struct lane *l = ctx;
	struct remark *slot = ring_claim(l->remarks);
	if (!slot)
		return; /* counted; the flow's next decision sets it right */
	*slot = (struct remark){f->key, f->isn, v};
	ring_publish(l->remarks);
	eventfd_write(l->gateway->remark_fd, 1);
}

/* A portion of the table a turn, so that packets do not wait for the state file. */
static void lane_remember(struct lane *l)
{
	size_t room = l->gateway->config->flows - l->memory_count;
	size_t portion = room < MEMORY_PORTION ? room : MEMORY_PORTION;
	l->memory_count +=
		worker_remember(l->worker, &l->memory_slot, l->memory + l->memory_count, portion);
	if (l->memory_slot == UINT32_MAX || portion == 0)
		atomic_store_explicit(&l->remember, false, memory_order_release);
}

static void *lane_run(void *arg)
{
	struct lane *l = arg;
	int r = 0;
	rcu_register_thread();
	while (!atomic_load_explicit(&l->stop, memory_order_relaxed) && r == 0) {
		r = worker_turn(l->worker);
		if (atomic_load_explicit(&l->remember, memory_order_acquire))
			lane_remember(l);
		atomic_fetch_add_explicit(&l->turns, 1, memory_order_relaxed);
	}
	l->failed = r;
	rcu_unregister_thread();
	return NULL;
}

/* ---- the main thread's events ---- */

static void on_ended(void *ctx, const struct flow_key *key, uint64_t bytes, uint64_t packets,
		     int64_t first, int64_t last)
{
	struct gateway *g = ctx;
	/* Which queue a flow went to is the kernel's hash: all are told, one knows it. */
	for (unsigned i = 0; i < g->lane_count; i++) {
		struct flow_ended *slot = ring_claim(g->lanes[i].ended);
		if (!slot)
			continue;
		*slot = (struct flow_ended){*key, bytes, packets, first, last};
		ring_publish(g->lanes[i].ended);
	}
}

/* A denied flow's next packet from either side is rejected with the right numbers; a probe makes an
 * idle flow send one. */
static int on_remark(sd_event_source *s, int fd, uint32_t events, void *ctx)
{
	struct gateway *g = ctx;
	eventfd_t count;
	eventfd_read(fd, &count);
	for (unsigned i = 0; i < g->lane_count; i++) {
		const struct remark *r;
		while ((r = ring_peek(g->lanes[i].remarks))) {
			conntrack_remark(g->conntrack, &r->key, r->isn, r->verdict);
			ring_release(g->lanes[i].remarks);
		}
	}
	return 0;
}

static int on_conntrack(sd_event_source *s, int fd, uint32_t events, void *ctx)
{
	conntrack_read(((struct gateway *)ctx)->conntrack);
	return 0;
}

static const struct snapshot *current(void *ctx)
{
	return ((struct gateway *)ctx)->snapshot;
}

static void sessions_changed(void *ctx)
{
	/* Workers see the table's generation within a tick; nothing else depends on it yet. */
}

/* What a running process can't change: said by name, so that nobody wonders why nothing happened.
 */
static void refuse_fixed(const struct config *a, const struct config *b, struct errors *errors)
{
#define FIXED(key)                                                                                 \
	if (a->key != b->key)                                                                      \
	errors_add(errors, b->path, 0,                                                             \
		   #key ": a running tiergated can't change it; systemctl restart tiergated")
	FIXED(queues);
	FIXED(queue_first);
	FIXED(queue_length);
	FIXED(mark_mask);
	FIXED(flows);
	FIXED(sessions);
	FIXED(names);
	FIXED(streams);
	FIXED(held);
	FIXED(held_per_client);
	FIXED(log_ring);
#undef FIXED
}

static void swap_snapshot(struct gateway *g, struct snapshot *fresh)
{
	struct snapshot *old = rcu_xchg_pointer(&g->snapshot, fresh);
	synchronize_rcu();
	snapshot_free(old);
}

/* sd_notify(3): what RELOADING=1 has to carry. */
static uint64_t monotonic_usec(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static size_t reload(void *ctx, struct errors *errors)
{
	struct gateway *g = ctx;
	struct snapshot *fresh = NULL;
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, monotonic_usec());
	struct config *c = config_load(g->o.config, CONFIG_FOR_RUN, errors);
	if (c)
		refuse_fixed(g->config, c, errors);
	if (c && !errors->count)
		fresh = snapshot_compile(c, errors);
	if (fresh && !errors->count)
		snapshot_expect(fresh, errors, clock_now());
	if (fresh && !errors->count && !wiring_check(c, errors))
		errors_add(errors, NULL, 0, "tiergatectl wiring up, then reload again");
	config_free(c);
	g->refused[0] = '\0';
	if (errors->count) {
		snapshot_free(fresh);
		for (size_t i = 0; i < errors->count; i++)
			log_error("%s", errors->lines[i]);
		log_error("reload refused, policy %s stays in force", snapshot_digest(g->snapshot));
		snprintf(g->refused, sizeof g->refused, "%s", errors->lines[0]);
	} else {
		swap_snapshot(g, fresh);
		g->loaded = clock_now();
		g->wiring[0] = '\0';
		log_info("policy %s is in force", snapshot_digest(g->snapshot));
	}
	sd_notifyf(0, "READY=1\nSTATUS=policy %s%s", snapshot_digest(g->snapshot),
		   g->refused[0] ? "; the last reload was refused" : "");
	return errors->count;
}

static int on_hangup(sd_event_source *s, const struct signalfd_siginfo *si, void *ctx)
{
	struct gateway *g = ctx;
	struct errors errors = {0};
	sink_reopen(g->sink);
	reload(g, &errors);
	errors_deinit(&errors);
	return 0;
}

static void check_lane(struct gateway *g, struct lane *l, bool *healthy)
{
	uint64_t turns = l->turns;
	l->stuck = turns == l->turns_seen ? l->stuck + 1 : 0;
	l->turns_seen = turns;
	if (l->failed) {
		log_error("queue %u: %s; stopping so that systemd can start again",
			  (unsigned)(g->config->queue_first + (l - g->lanes)),
			  strerror(-l->failed));
		g->status = EXIT_CANNOT;
		sd_event_exit(g->event, 0);
	}
	if (l->stuck >= STUCK_TICKS)
		*healthy = false;
}

/* ---- state files ---- */

static void say_unsaved(const struct gateway *g, const char *what, int error)
{
	if (error)
		LOG_LIMITED(log_warn, clock_now(), "%s: %s could not be saved: %s",
			    g->config->state_dir, what, strerror(-error));
}

static void save_sessions(struct gateway *g)
{
	uint64_t generation = sessions_generation(g->sessions);
	if (!g->store || g->sessions_saved == generation)
		return;
	int error = state_save_sessions(g->store, g->sessions);
	if (!error)
		g->sessions_saved = generation;
	say_unsaved(g, "sessions", error);
}

static void save_flows(struct gateway *g, unsigned i)
{
	struct lane *l = &g->lanes[i];
	say_unsaved(g, "flows",
		    state_save_flows(g->store, i, l->memory, l->memory_count,
				     snapshot_digest(g->snapshot)));
	l->memory_count = 0;
}

/* Every minute: the workers are asked for their flows, and what they gave the last time is written
 * when it is whole. */
static void save_state(struct gateway *g)
{
	save_sessions(g);
	if (!g->store)
		return;
	for (unsigned i = 0; i < g->config->queues; i++)
		if (g->lanes[i].memory_count && !g->lanes[i].remember)
			save_flows(g, i);
	if (++g->ticks % SAVE_TICKS)
		return;
	say_unsaved(g, "names", state_save_names(g->store, g->seen));
	for (unsigned i = 0; i < g->config->queues; i++) {
		struct lane *l = &g->lanes[i];
		if (l->remember || l->memory_count)
			continue;
		l->memory_slot = 0;
		atomic_store_explicit(&l->remember, true, memory_order_release);
	}
}

/* At the end, when no thread of ours runs any more. */
static void save_all(struct gateway *g)
{
	save_sessions(g);
	say_unsaved(g, "names", state_save_names(g->store, g->seen));
	for (unsigned i = 0; i < g->config->queues; i++) {
		struct lane *l = &g->lanes[i];
		if (!l->memory || !l->worker)
			continue;
		l->memory_slot = 0;
		l->memory_count =
			worker_remember(l->worker, &l->memory_slot, l->memory, g->config->flows);
		save_flows(g, i);
	}
}

static void restore_flow(void *ctx, const struct flow_memory *m, bool same)
{
	worker_restore(ctx, m);
}

static void load_state(struct gateway *g)
{
	unsigned flows = 0;
	int64_t now = clock_now();
	g->store = store_folder_new(g->config->state_dir);
	if (!g->store)
		return;
	unsigned sessions = state_load_sessions(g->store, g->sessions, now);
	unsigned names = state_load_names(g->store, g->seen, now);
	for (unsigned i = 0; i < g->config->queues; i++)
		flows += state_load_flows(g->store, i, snapshot_digest(g->snapshot), restore_flow,
					  g->lanes[i].worker);
	g->sessions_saved = sessions_generation(g->sessions);
	log_info("remembered: %u sessions, %u names, %u flows", sessions, names, flows);
}

/* Once a second: sessions end, and the watchdog is fed while every worker turns. */
static int on_tick(sd_event_source *s, uint64_t usec, void *ctx)
{
	struct gateway *g = ctx;
	int64_t next;
	bool healthy = true;
	if (sessions_expire(g->sessions, clock_now(), &next))
		sessions_changed(g);
	for (unsigned i = 0; i < g->lane_count; i++)
		check_lane(g, &g->lanes[i], &healthy);
	save_state(g);
	if (healthy)
		sd_notify(0, "WATCHDOG=1");
	sd_event_source_set_time_relative(s, TICK_USEC);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

/* ---- status ---- */

static json_t *counters_json(const struct worker_counters *c)
{
	json_t *reasons = json_object();
	for (int i = 0; i < REASON_COUNT; i++)
		if (c->reasons[i])
			json_object_set_new(reasons, reason_text(i),
					    json_integer((json_int_t)c->reasons[i]));
	return json_pack("{sI sI sI sI sI sI sI sI sI so}", "packets", (json_int_t)c->packets,
			 "flows", (json_int_t)c->flows, "allowed", (json_int_t)c->allowed, "denied",
			 (json_int_t)c->denied, "held", (json_int_t)c->held, "malformed",
			 (json_int_t)c->malformed, "dns", (json_int_t)c->dns, "evicted",
			 (json_int_t)c->evicted, "decided_again", (json_int_t)c->again, "reasons",
			 reasons);
}

static json_t *lane_json(const struct gateway *g, unsigned i)
{
	struct worker_counters w;
	struct nfqueue_counters q;
	worker_count(g->lanes[i].worker, &w);
	nfqueue_count(g->lanes[i].source, &q);
	json_t *out = counters_json(&w);
	json_object_set_new(out, "queue", json_integer(g->config->queue_first + i));
	json_object_set_new(out, "bursts", json_integer((json_int_t)q.bursts));
	json_object_set_new(out, "waiting", json_integer(q.waiting));
	json_object_set_new(out, "full", json_integer((json_int_t)q.full));
	json_object_set_new(out, "overruns", json_integer((json_int_t)q.overruns));
	json_object_set_new(out, "verdict_errors", json_integer((json_int_t)q.verdict_errors));
	json_object_set_new(out, "remarks_lost",
			    json_integer((json_int_t)ring_refused(g->lanes[i].remarks)));
	return out;
}

static json_t *time_json(int64_t time)
{
	char text[40];
	struct buf b = BUF_OF(text);
	clock_format(&b, time);
	return json_string(text);
}

static json_t *dnstap_json(const struct dnstap_socket *s)
{
	struct dnstap_counters c;
	dnstap_count(s, &c);
	return json_pack("{sI sI sI sI sI}", "connections", (json_int_t)c.connections, "frames",
			 (json_int_t)c.frames, "answers", (json_int_t)c.answers, "malformed",
			 (json_int_t)c.malformed, "broken", (json_int_t)c.broken);
}

static void status(void *ctx, json_t *out)
{
	struct gateway *g = ctx;
	struct sink_counters s;
	struct seen_counters n;
	json_t *queues = json_array();
	sink_count(g->sink, &s);
	seen_count(g->seen, &n);
	for (unsigned i = 0; i < g->lane_count; i++)
		json_array_append_new(queues, lane_json(g, i));
	json_object_set_new(out, "policy", json_string(snapshot_digest(g->snapshot)));
	json_object_set_new(
		out, "mode",
		json_string(snapshot_mode(g->snapshot) == CONFIG_OBSERVE ? "observe" : "enforce"));
	json_object_set_new(out, "started", time_json(g->started));
	json_object_set_new(out, "loaded", time_json(g->loaded));
	json_object_set_new(out, "wiring", json_string(g->wiring[0] ? g->wiring : "in place"));
	if (g->refused[0])
		json_object_set_new(out, "reload_refused", json_string(g->refused));
	json_object_set_new(out, "epoch", json_integer(g->epoch));
	json_object_set_new(out, "sessions", json_integer(sessions_count(g->sessions)));
	json_object_set_new(out, "names", json_integer((json_int_t)n.entries));
	json_object_set_new(out, "log",
			    json_pack("{sI sI sI sb}", "written", (json_int_t)s.written,
				      "lost_ring", (json_int_t)s.lost_ring, "lost_write",
				      (json_int_t)s.lost_write, "failing", s.failing));
	if (g->dnstap)
		json_object_set_new(out, "dnstap", dnstap_json(g->dnstap));
	json_object_set_new(out, "queues", queues);
}

/* ---- init, in order ---- */

static const struct control_ops control_ops = {
	.status = status,
	.snapshot = current,
	.sessions_changed = sessions_changed,
	.reload = reload,
};

/* Any secret text is good: its SHA-256 is the key. */
static bool load_pseudonym(struct gateway *g, struct errors *errors)
{
	uint8_t text[4096];
	if (!g->config->pseudonym_key_file)
		return true;
	int fd = open(g->config->pseudonym_key_file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
	if (fd >= 0)
		close(fd);
	if (n < 16) {
		errors_add(errors, g->config->pseudonym_key_file, 0,
			   n < 0 ? "the pseudonym key can't be read: %s"
				 : "the pseudonym key is shorter than 16 bytes%s",
			   n < 0 ? strerror(errno) : "");
		return false;
	}
	struct sha256_ctx hash;
	sha256_init(&hash);
	sha256_update(&hash, (size_t)n, text);
	sha256_digest(&hash, sizeof g->pseudonym, g->pseudonym);
	g->has_pseudonym = true;
	return true;
}

static bool load_policy(struct gateway *g, struct errors *errors)
{
	struct errors failed = {0};
	g->config = config_load(g->o.config, CONFIG_FOR_RUN, errors);
	if (!g->config)
		return false;
	struct snapshot *s = snapshot_compile(g->config, errors);
	if (!s)
		return false;
	g->snapshot = s;
	g->strict = g->config->audit == CONFIG_AUDIT_STRICT;
	g->started = g->loaded = clock_now();
	if (snapshot_expect(s, &failed, g->started)) { /* at start an error, and the daemon runs */
		for (size_t i = 0; i < failed.count; i++)
			log_error("%s", failed.lines[i]);
		snprintf(g->refused, sizeof g->refused, "expect: %s", failed.lines[0]);
	}
	errors_deinit(&failed);
	return load_pseudonym(g, errors);
}

static void sink_line(void *ctx, const struct decision *d, const char *json, size_t len)
{
	struct gateway *g = ctx;
	control_line(g->control, d, json, len);
}

static bool open_sink(struct gateway *g, struct errors *errors)
{
	static const enum sink_to to[] = {
		[CONFIG_LOG_FILE] = SINK_FILE,
		[CONFIG_LOG_JOURNAL] = SINK_JOURNAL,
		[CONFIG_LOG_STDOUT] = SINK_STDOUT,
		[CONFIG_LOG_NONE] = SINK_NONE,
	};
	const struct sink_options o = {
		.to = g->o.foreground ? SINK_STDOUT : to[g->config->log],
		.file = g->config->log_file,
		.pseudonym = g->has_pseudonym ? g->pseudonym : NULL,
		.rings = g->lane_count,
		.slots = g->config->log_ring,
		.line = sink_line,
		.ctx = g,
	};
	g->sink = sink_new(&o, errors);
	return g->sink != NULL;
}

static bool open_lane(struct gateway *g, unsigned i, struct errors *errors)
{
	struct lane *l = &g->lanes[i];
	bool dns = i == g->config->queues;
	l->gateway = g;
	l->records = sink_ring(g->sink, i);
	l->ended = ring_new(LANE_RING, sizeof(struct flow_ended));
	l->remarks = ring_new(LANE_RING, sizeof(struct remark));
	const struct nfqueue_options q = {
		.queue = (uint16_t)(g->config->queue_first + i),
		.kind = dns ? ARRIVAL_DNS : ARRIVAL_CLIENT,
		.length = g->config->queue_length,
		.fail_open = dns || g->config->when_full == CONFIG_OPEN,
		.mark_mask = g->config->mark_mask,
		.epoch = g->epoch,
		.raw4 = g->raw4,
		.raw6 = g->raw6,
		.remark = lane_remark,
		.ctx = l,
	};
	l->source = nfqueue_open(&q, errors);
	if (!l->source)
		return false;
	const struct worker_options w = {
		.source = l->source,
		.seen = g->seen,
		.sessions = g->sessions,
		.snapshot = &g->snapshot,
		.config = g->config,
		.ended = l->ended,
		.record = lane_record,
		.ctx = l,
	};
	l->memory = dns ? NULL : calloc(g->config->flows, sizeof *l->memory);
	l->worker = l->ended && l->remarks && (dns || l->memory) ? worker_new(&w) : NULL;
	if (!l->worker)
		errors_add(errors, NULL, 0, "not enough memory for queue %u", q.queue);
	return l->worker != NULL;
}

static bool open_kernel(struct gateway *g, struct errors *errors)
{
	struct errors missing = {0};
	uint32_t own = mark_value(g->config->mark_mask, MARK_OWN, 0);
	if (!reply_open(own, &g->raw4, &g->raw6, errors))
		return false;
	if (!wiring_epoch(g->config, &g->epoch))
		g->epoch = 0; /* no rules: nothing has a mark yet, wiring_check says so */
	if (!wiring_check(g->config, &missing)) {
		snprintf(g->wiring, sizeof g->wiring, "%s",
			 missing.count ? missing.lines[0] : "missing");
		log_warn("the kernel's rules are not those of the configuration (%s); tiergatectl "
			 "wiring up",
			 g->wiring);
	}
	errors_deinit(&missing);
	for (unsigned i = 0; i < g->lane_count; i++)
		if (!open_lane(g, i, errors))
			return false;
	return true;
}

/* CAP_NET_RAW was for the raw sockets; nothing but CAP_NET_ADMIN stays, in any set of any later
 * thread. */
static bool drop_capabilities(struct errors *errors)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct keep[2] = {0};
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (cap != CAP_NET_ADMIN)
			prctl(PR_CAPBSET_DROP, cap, 0, 0,
			      0); /* only with CAP_SETPCAP: the unit bounds it */
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_NET_RAW, 0, 0);
	keep[0].permitted = keep[0].effective = keep[0].inheritable = 1U << CAP_NET_ADMIN;
	if (syscall(SYS_capset, &header, keep) == 0)
		return true;
	errors_add(errors, NULL, 0, "CAP_NET_RAW could not be dropped: %s", strerror(errno));
	return false;
}

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *ctx)
{
	return sd_event_exit(sd_event_source_get_event(s), 0);
}

static bool open_loop(struct gateway *g, struct errors *errors)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL); /* before any thread, so that all inherit it */
	signal(SIGPIPE, SIG_IGN);
	g->remark_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (sd_event_default(&g->event) < 0 || g->remark_fd < 0 ||
	    sd_event_add_signal(g->event, NULL, SIGTERM, on_signal, g) < 0 ||
	    sd_event_add_signal(g->event, NULL, SIGINT, on_signal, g) < 0 ||
	    sd_event_add_signal(g->event, NULL, SIGHUP, on_hangup, g) < 0 ||
	    sd_event_add_io(g->event, NULL, g->remark_fd, EPOLLIN, on_remark, g) < 0 ||
	    sd_event_add_time_relative(g->event, NULL, CLOCK_MONOTONIC, TICK_USEC, 0, on_tick, g) <
		    0) {
		errors_add(errors, NULL, 0, "the event loop could not be set up");
		return false;
	}
	return true;
}

static bool open_control(struct gateway *g, struct errors *errors)
{
	const struct control_options o = {
		.socket = g->config->control_socket,
		.ops = &control_ops,
		.ctx = g,
		.event = g->event,
		.sessions = g->sessions,
		.pseudonym = g->has_pseudonym ? g->pseudonym : NULL,
	};
	g->control = control_new(&o, errors);
	return g->control != NULL;
}

static bool open_conntrack(struct gateway *g, struct errors *errors)
{
	const struct conntrack_options o = {
		.mark_mask = g->config->mark_mask,
		.epoch = g->epoch,
		.raw4 = g->raw4,
		.raw6 = g->raw6,
		.ended = on_ended,
		.ctx = g,
	};
	g->conntrack = conntrack_open(&o, errors);
	return g->conntrack && sd_event_add_io(g->event, NULL, conntrack_fd(g->conntrack), EPOLLIN,
					       on_conntrack, g) >= 0;
}

static bool open_dnstap(struct gateway *g, struct errors *errors)
{
	if (!g->config->dnstap_socket)
		return true;
	g->dnstap = dnstap_socket_open(g->config->dnstap_socket, g->seen, errors);
	return g->dnstap != NULL;
}

static bool start_threads(struct gateway *g, struct errors *errors)
{
	int r = sink_start(g->sink);
	for (unsigned i = 0; r == 0 && i < g->lane_count; i++) {
		r = -pthread_create(&g->lanes[i].thread, NULL, lane_run, &g->lanes[i]);
		g->lanes[i].running = r == 0;
	}
	if (r < 0)
		errors_add(errors, NULL, 0, "a thread could not be started: %s", strerror(-r));
	return r == 0;
}

static bool set_up(struct gateway *g, struct errors *errors)
{
	g->lane_count = g->config->queues + 1;
	g->seen = seen_new(g->config->names, g->config->name_grace, g->config->dns_any_client);
	g->sessions = sessions_new(g->config->sessions);
	if (!g->seen || !g->sessions) {
		errors_add(errors, NULL, 0,
			   "not enough memory for the tables of names and sessions");
		return false;
	}
	return open_loop(g, errors) && open_sink(g, errors) && open_kernel(g, errors) &&
	       drop_capabilities(errors) && (load_state(g), true) && open_control(g, errors) &&
	       open_conntrack(g, errors) && open_dnstap(g, errors) && start_threads(g, errors);
}

/* ---- down, in reverse ---- */

static void stop_lane(struct lane *l)
{
	l->stop = true;
	if (l->running)
		pthread_join(l->thread, NULL);
}

static void close_lane(struct lane *l)
{
	worker_free(l->worker);
	if (l->source)
		l->source->ops->free(l->source);
	ring_free(l->ended);
	ring_free(l->remarks);
	free(l->memory);
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void tear_down(struct gateway *g)
{
	for (unsigned i = 0; i < g->lane_count; i++)
		g->lanes[i].stop = true;
	for (unsigned i = 0; i < g->lane_count; i++)
		stop_lane(&g->lanes[i]);
	if (g->store) {
		save_all(g);
		g->store->ops->free(g->store);
	}
	for (unsigned i = 0; i < g->lane_count; i++)
		close_lane(&g->lanes[i]);
	dnstap_socket_close(g->dnstap);
	sink_free(g->sink); /* writes what is there; before control, which its lines go to */
	control_free(g->control);
	conntrack_close(g->conntrack);
	close_fd(g->raw4);
	close_fd(g->raw6);
	close_fd(g->remark_fd);
	seen_free(g->seen);
	sessions_free(g->sessions);
	snapshot_free(g->snapshot);
	config_free(g->config);
	sd_event_unref(g->event);
}

int gateway_run(const struct gateway_options *o)
{
	static struct gateway g;
	struct errors errors = {0};
	g = (struct gateway){.o = *o, .remark_fd = -1, .raw4 = -1, .raw6 = -1};
	rcu_register_thread();
	if (!load_policy(&g, &errors)) {
		g.status = EXIT_NO;
	} else if (!set_up(&g, &errors)) {
		g.status = EXIT_CANNOT;
	} else {
		log_info("policy %s is in force on %u queues from %u", snapshot_digest(g.snapshot),
			 g.config->queues, g.config->queue_first);
		sd_notifyf(0, "READY=1\nSTATUS=policy %s", snapshot_digest(g.snapshot));
		sd_event_loop(g.event);
		sd_notify(0, "STOPPING=1");
	}
	for (size_t i = 0; i < errors.count; i++)
		log_error("%s", errors.lines[i]);
	errors_deinit(&errors);
	tear_down(&g);
	rcu_unregister_thread();
	return g.status;
}
