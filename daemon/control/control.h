/* control: the control socket: one JSON object a line over a Unix stream socket, requests with an
 * id, answers with the same id (tiergate-control(7)). Runs on the main thread's sd-event loop, is
 * the writer of the session table, and never blocks: every line, client and buffer has a bound. */
#pragma once
#include "base/error.h"
#include "base/metric.h"
#include "decision/sink.h"
#include "identity/onlink.h"
#include "identity/session.h"
#include "policy/lockdown.h"
#include "policy/quota.h"
#include "policy/snapshot.h"
#include <jansson.h>
#include <systemd/sd-event.h>

#define CONTROL_VERSION     1
#define CONTROL_LINE_MAX    8192 /* a request, newline included */
#define CONTROL_CLIENTS     64
#define CONTROL_OUT_MAX     (256 * 1024) /* a client's answers that it has not read yet */
#define CONTROL_DENIALS     4096         /* recent denials kept, of all clients */
#define CONTROL_DENIALS_MAX 32           /* of one address in one answer */

enum control_right { CONTROL_NONE, CONTROL_READ, CONTROL_MANAGE };

/* What the gateway does for the socket; all on the main thread. */
struct control_ops {
	/* Sets the members of the status object. */
	void (*status)(void *ctx, json_t *out);
	/* Appends families of metrics: name, type, help, and samples of labels and a value. NULL:
	 * there are none. */
	void (*metrics)(void *ctx, json_t *out);
	/* The policy in force; used until the callback's caller returns. */
	const struct snapshot *(*snapshot)(void *ctx);
	/* Sessions were opened or closed (the table's generation has moved); opened: where
	 * somebody signed in, or NULL. */
	void (*sessions_changed)(void *ctx, const struct address *opened);
	/* Begins to load the configuration again; control_reloaded says how it ended. by: who
	 * asked, in words, for the history. True: one ran already, whose end is not this one's. */
	bool (*reload)(void *ctx, const char *by);
	/* Records what an operator did: act, by, and what else is meant are set. */
	void (*acted)(void *ctx, const struct decision *d);
	/* What operators have shut; the callee's until lock is called. */
	const struct lockdowns *(*lockdowns)(void *ctx);
	/* Puts a changed list in force and keeps it; 0, or -errno: it is in force, and will be
	 * forgotten with the process. */
	int (*lock)(void *ctx, const struct lockdowns *l);
	/* Sets what lines and entries of the policy are used: "hits", at most max of them from the
	 * from-th on, each [key, count, since, last], and what holds for all. */
	void (*hits)(void *ctx, size_t from, size_t max, json_t *out);
	/* Keeps that sessions were closed, before anybody is told; 0, or -errno: they are closed,
	 * and a crash may bring them back. */
	int (*ended)(void *ctx);
	/* What is used of a quota of the policy in force, as advice/left.h wants it. */
	uint64_t (*used)(void *ctx, const struct quota *q, const struct quota_who *who);
};

struct control_options {
	const char *socket; /* path; NULL: none, clients are adopted (tests) */
	const struct control_ops *ops;
	void *ctx;
	sd_event *event;
	struct sessions *sessions;
	const struct onlink *onlink; /* or NULL; outlives it, too */
	const uint8_t *pseudonym;    /* as the sink's: filters name users as they are */
};

struct control;

/* Listens; NULL with a sentence in errors. The ops, ctx and sessions must outlive it. */
struct control *control_new(const struct control_options *o, struct errors *errors);
/* Closes every client, removes the socket. */
void control_free(struct control *c);

/* Serves a connected stream socket with the given right; closes it at its end. 0 or -errno. */
int control_adopt(struct control *c, int fd, enum control_right right);

/* sink_options.written (ctx is the struct control): hands a decision over to watchers and to the
 * memory of recent denials. The sink's thread; never waits. */
void control_decided(void *ctx, const struct decision *d);

/* A reload is over; with errors nothing has changed. Answers all that asked before it began. */
void control_reloaded(struct control *c, const struct errors *errors);

struct control_counters {
	uint64_t clients, refused_clients, requests, bad_requests, lost_lines;
};
extern const struct metrics control_metrics;
void control_count(const struct control *c, struct control_counters *out);
