/* inner: what the files of gateway/ share: the gateway and its lanes. For them only. */
#pragma once
#include "base/ring.h"
#include "control/control.h"
#include "decision/sink.h"
#include "gateway/gateway.h"
#include "identity/neighbour.h"
#include "identity/onlink.h"
#include "dns/dns_watch.h"
#include "policy/load.h"
#include "source/conntrack.h"
#include "source/copies.h"
#include "source/dnstap_socket.h"
#include "source/tally.h"
#include "state/state.h"
#include "wiring/watch.h"
#include "worker/worker.h"

#include <nettle/sha2.h>
#include <pthread.h>
#include <systemd/sd-event.h>

#define LANES_MAX 64

struct gateway;

/* From here on the daemon opens only what its configuration names, and makes only the system calls
 * that it needs. Before any thread runs. (confine.c) */
bool confine(const struct gateway *g, struct errors *errors);

/* A queue, its worker, its thread, and the rings between it and the main thread. */
struct lane {
	struct gateway *gateway;
	struct source *source;
	struct worker *worker;
	struct ring *records; /* the sink's */
	struct ring *ended;   /* main -> worker: struct flow_ended */
	struct ring *remarks; /* worker -> main: struct remark */
	struct ring *uses;    /* worker -> main: struct flow_use */
	struct ring *asks;    /* worker -> main: struct address, to ask the segment about */
	/* flows for the state file: main sets `remember`, the worker fills and clears it */
	struct flow_memory *memory;
	size_t memory_count;
	uint32_t memory_slot;
	_Atomic bool remember;
	_Atomic(struct lookup *) lookup; /* main sets it, the worker answers and clears it */
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

/* A reload: loaded, compiled and tried on a thread of its own, put in force by the main thread. */
struct reload {
	pthread_t thread;
	bool running, again;   /* again: asked for while it ran */
	char by[64], next[64]; /* who asked for it, and who for the one after it */
	int done_fd;           /* eventfd: the thread is done */
	struct policy policy;
	struct errors errors;
};

struct gateway {
	struct gateway_options o;
	struct config *config; /* of the start: bounds, queues, paths */
	struct config *latest; /* of the last reload, whose rules should be loaded; or NULL */
	struct snapshot *snapshot;
	struct lockdowns lockdowns;
	bool lockdowns_lost; /* what was kept of them can't be read; until an operator's next */
	int64_t locks_told;  /* up to which time of the wall clock ends are recorded */
	struct hits hits;    /* of the lines and entries of the policy in force */
	uint64_t hits_saved;
	struct usage *usage; /* of quotas */
	struct meter *meter; /* of the flows that count for one */
	sd_event_source *meter_turn;
	bool spent_changed;   /* for the sweep */
	bool usage_urgent;    /* somebody has used up a quota since it was kept */
	uint64_t usage_saved; /* the generation that is on disk */
	int64_t quotas_lost;  /* until then what was used, and can't be read, may be had again */
	struct seen *seen;
	struct copies *copies; /* of DNS packets, for dns */
	struct dns_watch *dns;
	struct sessions *sessions;
	struct onlink *onlink;
	struct sink *sink;
	struct control *control;
	struct conntrack *conntrack;
	sd_event_source *ends, *ends_pause, *ends_turn; /* its socket, and when that is read */
	struct neighbours *neighbours;                  /* NULL: host_change = "ignore" */
	sd_event_source *neighbours_io;
	struct tally *tally;
	struct sweep *sweep; /* of flows that no worker remembers */
	struct watch *watch; /* of the kernel's rules */
	struct dnstap_socket *dnstap;
	struct store *store; /* NULL: nothing is kept */
	unsigned ticks;
	uint64_t sessions_saved; /* the table's generation that is on disk */
	uint64_t sessions_told;  /* changes of it up to there are on disk */
	bool ended_kept;         /* ends since then are, in a file of their own */
	sd_event *event;
	struct lane lanes[LANES_MAX];
	unsigned lane_count, epoch;
	int raw4, raw6;
	int running;   /* what wiring_running gave */
	int remark_fd; /* eventfd: a worker has a remark */
	bool watchdog; /* the service manager asks for signs of life */
	uint8_t pseudonym[SHA256_DIGEST_SIZE];
	bool has_pseudonym;
	struct reload reload;
	int64_t started, loaded;
	char wiring_said[256]; /* what the service manager was told of the rules; "" is good */
	char refused[256];     /* why the last reload was refused, or "" */
	char last_good[512];   /* why one of the history is in force, and which; or "" */
	int status;
};

/* lane.c: a queue's thread and the rings to it. */
bool lane_open(struct gateway *g, unsigned i, struct errors *errors);
int lane_start(struct lane *l); /* 0 or -errno */
void lane_stop(struct lane *l); /* waits for its thread */
void lane_close(struct lane *l);
/* Once a second. False: it has not turned for some seconds. A failed one ends the loop. */
bool lane_check(struct lane *l);
/* conntrack's ends go to every lane; the lanes' remarks to conntrack. Main thread. */
void lanes_moved(void *ctx, const struct address *client, uint64_t bytes);
void lanes_ended(void *ctx, const struct flow_key *key, uint64_t bytes, uint64_t packets,
		 int64_t after, int64_t last, bool denied);
int lanes_remarks(sd_event_source *s, int fd, uint32_t events, void *ctx);

/* people.c: sessions and the kernel: neighbours and traffic. */
#define NEIGHBOURS 65536 /* addresses of our segments */
bool identity_open(struct gateway *g, struct errors *errors);
void identity_close(struct gateway *g);
/* Takes a new configuration, for what it says of neighbours. */
void identity_reload(struct gateway *g, const struct config *c);
/* Somebody signed in at an address. */
void identity_opened(struct gateway *g, const struct address *a);
/* Asks the segments about the addresses of a lane's ring. */
void identity_ask(struct gateway *g, struct ring *asks);
/* Once a second. */
void identity_tick(struct gateway *g, int64_t now);

/* sweep.c: flows that the kernel still lets pass and that no worker remembers. sweep_tick
 * is called once a second. NULL where memory ran out. */
struct sweep *sweep_new(void);
void sweep_free(struct sweep *s); /* when no worker runs */
void sweep_tick(struct gateway *g);
struct sweep_counters {
	uint64_t swept, left; /* left: there were more than one round takes */
};
extern const struct metrics sweep_metrics;
void sweep_count(const struct sweep *s, struct sweep_counters *out);

/* reload.c. begin returns at once; who asked over the control socket is answered when it is
 * over, and sd_notify says so. Where one runs already, another one follows it, and true is
 * returned. end waits for one that runs, and forgets it. */
bool reload_begin(void *ctx, const char *by);
int reload_done(sd_event_source *s, int fd, uint32_t events, void *ctx);
void reload_end(struct gateway *g);
/* A configuration is taken: its notes are said, its lists kept for the next start. */
void reload_taken(const struct config *c);

/* history.c: keeps policies that were in force, none twice in a row. A history begins with the
 * first change; a start goes on with one that is there. */
void history_changed(const struct config *before, const char *digest_before,
		     const struct config *now, const char *digest, const char *by);
void history_go_on(const struct config *c, const char *digest);
/* The same, and one that is not there begins: for who starts by it when need be. */
void history_begin(const struct config *c, const char *digest);
/* The newest policy of STATE_DIR/history that loads; those that don't are logged. Its number, and
 * the policy is the caller's; 0 where there is none. */
unsigned long history_last_good(const char *state_dir, struct policy *out);

/* lockdown.c: what operators have shut. Puts it over a snapshot that is, or will be, in force;
 * false where memory ran out, which is said. */
bool lockdowns_over(const struct gateway *g, struct snapshot *s);
const struct lockdowns *gateway_lockdowns(void *ctx);
int gateway_lock(void *ctx, const struct lockdowns *l);
/* Once a second: records those that are over. */
void lockdowns_tick(struct gateway *g);

/* hits.c: what lines and entries are used. A policy is told to count before it is in force, on any
 * thread; then, when no worker has the one before any more, the count goes on with it. */
void hits_count(const struct gateway *g, struct policy *p);
void hits_in_force(struct gateway *g);
void hits_load(struct gateway *g);
void hits_save(struct gateway *g, bool last);
/* Sets what control.h says of `hits`. */
void gateway_hits(void *ctx, size_t from, size_t max, json_t *out);

/* quota.c: what is used of quotas. over puts it over a snapshot that is, or will be, in force: the
 * one before must be there still. take empties the lanes' rings, tick is called once a second. */
bool quotas_open(struct gateway *g, struct errors *errors);
void quotas_close(struct gateway *g);
void quotas_over(struct gateway *g, struct snapshot *s);
void quotas_load(struct gateway *g);
/* Until when (of the wall clock) what was used before may be had again, as what was kept of it
 * can't be read; 0: nothing was lost. */
int64_t quotas_lost(const struct gateway *g);
void quotas_take(struct gateway *g);
void quotas_tick(struct gateway *g);
void quotas_ended(struct gateway *g, const struct flow_key *key, uint64_t bytes, int64_t after);
/* The next open flow of who has used up its quota, from *slot on (0 at first). */
bool quotas_each_spent(struct gateway *g, uint32_t *slot, struct flow_key *key);
/* What is used of a quota, as control.h has it. */
uint64_t gateway_used(void *ctx, const struct quota *q, const struct quota_who *who);
bool lane_use(void *ctx, const struct flow_use *use);

/* acts.c: records of what operators do. */
void gateway_acted(void *ctx, const struct decision *d);
/* Without a request: who, what, and in words. */
void gateway_act(struct gateway *g, const char *by, const char *act, const char *detail);

/* memory.c: state files. save_tick is called once a second; save_all when no thread runs. */
bool state_load(struct gateway *g); /* true: what is missing or damaged counts as empty */
void state_save_tick(struct gateway *g);
void state_save_all(struct gateway *g);
/* What was used of quotas is on disk, or will be tried again with the next tick. */
void quotas_keep(struct gateway *g);
/* Sessions that have ended are on disk; 0 or -errno, as control.h has it. */
int gateway_ended(void *ctx);

/* status.c: what `tiergatectl status` shows. */
void gateway_status(void *ctx, json_t *out);
/* Shows each module's counters but the queues'. */
void gateway_modules(const struct gateway *g,
		     void (*see)(void *ctx, const struct metrics *m, const void *counters),
		     void *ctx);

/* metrics.c: what `tiergatectl metrics` shows. */
void gateway_metrics(void *ctx, json_t *out);
