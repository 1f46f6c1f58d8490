#include "gateway/replay.h"

#include "base/clock.h"
#include "base/exit.h"
#include "base/log.h"
#include "decision/record.h"
#include "packet/stream.h"
#include "policy/load.h"
#include "source/capture.h"
#include "worker/worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <urcu.h>

struct replay {
	const struct replay_options *o;
	struct config *config;
	struct snapshot *snapshot;
	struct seen *seen;
	struct sessions *sessions;
	struct source *source;
	struct worker *worker;
	struct network *inside;
	uint64_t denied, allowed; /* records written, by outcome */
	bool unwritten;
};

static bool record(void *ctx, const struct decision *d)
{
	struct replay *r = ctx;
	char line[RECORD_MAX];
	struct buf b = BUF_OF(line);
	if (r->o->record) {
		r->o->record(r->o->ctx, d);
	} else {
		record_write(&b, d, NULL);
		r->unwritten |= fwrite(b.data, 1, b.len, stdout) != b.len;
	}
	if (d->kind == DECISION_DECIDED)
		d->action == ACTION_ALLOW ? r->allowed++ : r->denied++;
	return true;
}

static void ended(void *ctx, const struct flow_key *key, uint64_t bytes, uint64_t packets,
		  int64_t after, int64_t last)
{
	struct replay *r = ctx;
	worker_flow_ended(r->worker, &(struct flow_ended){*key, FLOW_OVER, bytes, packets, after,
							  last, false});
}

static bool internal(void *ctx, const struct address *a)
{
	return snapshot_internal(((struct replay *)ctx)->snapshot, a);
}

static bool resolver(void *ctx, const struct address *a)
{
	return snapshot_resolver(((struct replay *)ctx)->snapshot, a);
}

/* What the kernel denies by itself is a record here, so that no flow of a capture goes unsaid. */
static void kernel_denied(void *ctx, const struct arrival *a, const struct flow_key *key,
			  enum reason reason)
{
	struct replay *r = ctx;
	struct decision d = {
		.time = a->now + a->ahead,
		.kind = DECISION_DECIDED,
		.action = ACTION_DENY,
		.reason = reason,
		.evidence = EVIDENCE_ADDRESS,
		.client = key->client,
		.server = key->server,
		.client_port = key->client_port,
		.server_port = key->server_port,
		.transport = key->transport,
	};
	if (snapshot_mode(r->snapshot) == CONFIG_OBSERVE) {
		d.observed = d.would_deny = true;
		d.would = reason;
		d.action = ACTION_ALLOW;
		d.reason = REASON_OBSERVE;
	}
	snprintf(d.policy, sizeof d.policy, "%s", snapshot_digest(r->snapshot));
	record(r, &d);
}

/* "ADDRESS=USER:TIER"; false with a sentence on standard error. */
static bool open_session(struct replay *r, const char *text)
{
	char copy[ADDRESS_TEXT + USER_MAX + TIER_MAX + 2];
	struct address a;
	struct session s = {.source = "replay"};
	if (strlen(text) < sizeof copy) {
		strcpy(copy, text);
		char *user = strchr(copy, '='), *tier = user ? strrchr(user, ':') : NULL;
		if (tier && strlen(tier + 1) < TIER_MAX && tier - user - 1 < USER_MAX) {
			*user++ = *tier++ = '\0';
			strcpy(s.user, user);
			strcpy(s.tier, tier);
			if (address_parse(copy, &a) && user_name_valid(user) &&
			    snapshot_has_tier(r->snapshot, tier))
				return session_open(r->sessions, &a, &s, 0) == 0;
		}
	}
	log_error("--session %s: want ADDRESS=USER:TIER with a tier of the configuration", text);
	return false;
}

static bool prepare(struct replay *r, const struct replay_options *o, struct errors *errors)
{
	struct policy p;
	bool good = policy_load(o->config, CONFIG_FOR_REPLAY, &p, errors);
	r->config = p.config;
	r->snapshot = p.snapshot;
	if (!good)
		return false;
	/* Live, a held byte is not acknowledged, so a client's first window is the bound; a capture
	 * has whole hellos however they were cut. */
	r->config->held = r->config->held_per_client = 2 * STREAM_MAX;
	return true;
}

static bool set_up(struct replay *r, const struct replay_options *o, struct errors *errors)
{
	r->inside = calloc(o->inside_count + 1, sizeof *r->inside);
	for (size_t i = 0; r->inside && i < o->inside_count; i++)
		if (!network_parse(o->inside[i], &r->inside[i]))
			errors_add(errors, NULL, 0,
				   "--inside %s: want a network such as 10.0.0.0/8", o->inside[i]);
	r->sessions = sessions_new(r->config->sessions);
	r->seen = seen_new(r->config->names, r->config->name_grace, r->config->dns_any_client);
	const struct capture_options capture = {
		.read = o->read,
		.write = o->write,
		.inside = o->inside_count ? r->inside : NULL,
		.inside_count = o->inside_count,
		.internal = internal,
		.resolver = resolver,
		.ended = ended,
		.kernel_denied = kernel_denied,
		.ctx = r,
		.flows = r->config->flows,
	};
	if (!errors->count)
		r->source = capture_open(&capture, errors);
	if (!r->source || !r->sessions || !r->seen || !r->inside)
		return false;
	const struct worker_options options = {
		.source = r->source,
		.seen = r->seen,
		.sessions = r->sessions,
		.snapshot = &r->snapshot,
		.config = r->config,
		.record = record,
		.ctx = r,
	};
	r->worker = worker_new(&options);
	return r->worker != NULL;
}

static void print_stats(const struct replay *r, int64_t took)
{
	struct capture_counters c;
	struct worker_counters w;
	capture_count(r->source, &c);
	worker_count(r->worker, &w);
	fprintf(stderr,
		"packets %" PRIu64 ", flows %" PRIu64 ", allowed %" PRIu64 ", denied %" PRIu64
		", not IP %" PRIu64 ", not read %" PRIu64 ", cut %" PRIu64 "\n",
		c.packets, c.flows, r->allowed, r->denied, c.not_ip, c.unread, c.cut);
	for (int i = 0; i < REASON_COUNT; i++)
		if (w.reasons[i])
			fprintf(stderr, "  %-22s %" PRIu64 "\n", reason_text(i), w.reasons[i]);
	fprintf(stderr, "ns per packet %" PRId64 "\n", c.packets ? took / (int64_t)c.packets : 0);
}

static int64_t cpu_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* Says what has no record, or not the one that it would have live. True where there is nothing. */
static bool read_whole(const struct replay *r, const char *name)
{
	struct capture_counters c;
	capture_count(r->source, &c);
	if (c.unread)
		log_error("%s: %" PRIu64 " of %" PRIu64 " frames could not be read", name, c.unread,
			  c.packets);
	if (c.cut)
		log_error("%s: %" PRIu64 " packets that ask for a decision are cut; a capture of "
			  "whole packets is needed (tcpdump -s 0)",
			  name, c.cut);
	if (c.unread || c.cut)
		log_error("%s: the first is %s", name, c.first);
	if (c.broken)
		log_error("%s: behind frame %" PRIu64 ": %s; the capture ends here", name,
			  c.packets, c.broken);
	return !c.unread && !c.cut && !c.broken;
}

static int play(struct replay *r, const struct replay_options *o)
{
	int64_t start = cpu_now();
	int end;
	while ((end = worker_turn(r->worker)) == 0)
		;
	worker_finish(r->worker);
	bool whole = read_whole(r, o->read);
	int error = capture_finish(r->source);
	if (error)
		log_error("%s: %s; it is not complete", o->write, strerror(-error));
	if (fflush(stdout) != 0)
		r->unwritten = true;
	if (o->stats)
		print_stats(r, cpu_now() - start);
	if (r->unwritten)
		log_error("standard output could not be written; the records are not complete");
	return end == SOURCE_END && whole && !error && !r->unwritten ? 0 : 3;
}

static void tear_down(struct replay *r)
{
	worker_free(r->worker);
	if (r->source)
		r->source->ops->free(r->source);
	seen_free(r->seen);
	sessions_free(r->sessions);
	snapshot_free(r->snapshot);
	config_free(r->config);
	free(r->inside);
}

int replay_run(const struct replay_options *o)
{
	struct replay r = {.o = o};
	struct errors errors = {0};
	int status = EXIT_CANNOT;
	rcu_register_thread();
	if (!prepare(&r, o, &errors)) {
		status = 1;
	} else if (set_up(&r, o, &errors)) {
		status = 0;
		for (size_t i = 0; i < o->session_count && status == 0; i++)
			status = open_session(&r, o->sessions[i]) ? 0 : 2;
		if (status == 0)
			status = play(&r, o);
	} else if (!errors.count) {
		log_error("not enough memory for the tables that the configuration asks for");
	}
	errors_print(&errors, stderr);
	errors_deinit(&errors);
	tear_down(&r);
	rcu_unregister_thread();
	return status;
}
