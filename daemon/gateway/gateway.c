#include "gateway/inner.h"

#include "base/clock.h"
#include "base/exit.h"
#include "base/handover.h"
#include "base/log.h"
#include "base/privilege.h"
#include "source/mark.h"
#include "source/reply.h"
#include "wiring/tool.h"
#include "wiring/wiring.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>
#include <urcu.h>

#define TICK_USEC       (1000 * 1000ULL)
#define ENDS_PAUSE_USEC (20 * 1000ULL)

/* Ends come one by one, and on a busy machine a wake-up costs more than an end: after the first the
 * socket rests until the pause is over, and again as long as there is something to read. */
static int on_conntrack(sd_event_source *s, int fd, uint32_t events, void *ctx)
{
	struct gateway *g = ctx;
	conntrack_read(g->conntrack);
	sd_event_source_set_enabled(s, SD_EVENT_OFF);
	sd_event_source_set_time_relative(g->ends_pause, ENDS_PAUSE_USEC);
	return sd_event_source_set_enabled(g->ends_pause, SD_EVENT_ONESHOT);
}

static int on_ends_pause(sd_event_source *s, uint64_t usec, void *ctx)
{
	struct gateway *g = ctx;
	if (!conntrack_read(g->conntrack))
		return sd_event_source_set_enabled(g->ends, SD_EVENT_ON);
	sd_event_source_set_time_relative(s, ENDS_PAUSE_USEC);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

/* Whatever else wakes the main thread: an end is told from an earlier connection's on the same
 * ports by when none was waiting, which is so known to the second and better. */
static int on_turn(sd_event_source *s, void *ctx)
{
	conntrack_read(((struct gateway *)ctx)->conntrack);
	return 0;
}

static const struct snapshot *current(void *ctx)
{
	return ((struct gateway *)ctx)->snapshot;
}

/* Workers see the table's generation with their next turn. */
static void sessions_changed(void *ctx, const struct address *opened)
{
	if (opened)
		identity_opened(ctx, opened);
}

static int on_hangup(sd_event_source *s, const struct signalfd_siginfo *si, void *ctx)
{
	struct gateway *g = ctx;
	sink_reopen(g->sink);
	reload_begin(g, "a signal");
	return 0;
}

/* What logrotate asks for: a draft of the configuration may be lying there at midnight. */
static int on_reopen(sd_event_source *s, const struct signalfd_siginfo *si, void *ctx)
{
	sink_reopen(((struct gateway *)ctx)->sink);
	return 0;
}

/* The service manager hears of rules that are not good, and of good ones again. */
static void tell_wiring(struct gateway *g)
{
	struct watch_state s;
	watch_get(g->watch, false, &s);
	bool good = s.rules_good && s.interfaces_good;
	const char *text = good ? "" : s.rules_good ? s.interfaces : s.rules;
	if (s.looked && strcmp(text, g->wiring_said) != 0) {
		snprintf(g->wiring_said, sizeof g->wiring_said, "%s", text);
		sd_notifyf(0, "STATUS=%s%s%s", good ? "policy " : text,
			   good ? snapshot_digest(g->snapshot) : "",
			   good && g->last_good[0] ? "; the configuration can't be used" : "");
	}
}

/* Once a second: sessions end, and the watchdog is fed while every worker turns. */
static int on_tick(sd_event_source *s, uint64_t usec, void *ctx)
{
	struct gateway *g = ctx;
	int64_t next, now = clock_now();
	bool healthy = true;
	sessions_expire(g->sessions, now, &next);
	identity_tick(g, now);
	lockdowns_tick(g);
	quotas_tick(g);
	for (unsigned i = 0; i < g->lane_count; i++)
		healthy &= lane_check(&g->lanes[i]);
	state_save_tick(g);
	tell_wiring(g);
	sweep_tick(g);
	if (healthy && g->watchdog) /* unasked, and unread, it would fill the socket and block */
		sd_notify(0, "WATCHDOG=1");
	sd_event_source_set_time_relative(s, TICK_USEC);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

/* ---- init, in order ---- */

static const struct control_ops control_ops = {
	.status = gateway_status,
	.metrics = gateway_metrics,
	.snapshot = current,
	.sessions_changed = sessions_changed,
	.reload = reload_begin,
	.acted = gateway_acted,
	.lockdowns = gateway_lockdowns,
	.lock = gateway_lock,
	.hits = gateway_hits,
	.used = gateway_used,
	.ended = gateway_ended,
};

/* Any secret text is good: its SHA-256 is the key. */
static bool load_pseudonym(struct gateway *g, struct errors *errors)
{
	uint8_t text[4096];
	if (!g->config->pseudonym_key_file)
		return true;
	int fd = open(g->config->pseudonym_key_file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
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

/* A start whose configuration can't be used: a reboot must not take the network down for it. The
 * errors are said and taken out, for they end nothing. */
static bool load_last_good(struct gateway *g, struct policy *p, struct errors *errors)
{
	policy_free(p);
	unsigned long n = history_last_good(g->o.last_good, p);
	if (!n) {
		errors_add(errors, NULL, 0, "no policy in %s/history can be used in its place",
			   g->o.last_good);
		return false;
	}
	for (size_t i = 0; i < errors->count; i++)
		log_error("%s", errors->lines[i]);
	snprintf(g->last_good, sizeof g->last_good,
		 "the last good policy, %lu of the history, for the configuration can't be used: "
		 "%s",
		 n, errors->lines[0]);
	log_error("in force is %s; mend %s, then systemctl reload tiergated", g->last_good,
		  g->o.config);
	errors_deinit(errors);
	*errors = (struct errors){0};
	return true;
}

/* What a later start may need. */
static void keep_policy(const struct gateway *g)
{
	const char *digest = snapshot_digest(g->snapshot);
	if (!g->o.last_good) {
		history_go_on(g->config, digest);
		return;
	}
	history_begin(g->config, digest);
	if (strcmp(g->config->state_dir, g->o.last_good) != 0)
		log_warn("policies are kept in %s, where state_dir says, and --last-good looks for "
			 "them in %s; give both the same folder",
			 g->config->state_dir, g->o.last_good);
}

static bool load_policy(struct gateway *g, struct errors *errors)
{
	struct errors failed = {0};
	struct policy p;
	bool good = policy_load(g->o.config, CONFIG_FOR_START, &p, errors) ||
		    (g->o.last_good && load_last_good(g, &p, errors));
	g->config = p.config;
	g->snapshot = p.snapshot;
	if (!good)
		return false;
	reload_taken(g->config);
	keep_policy(g);
	g->started = g->loaded = g->locks_told = clock_wall();
	if (snapshot_expect(g->snapshot, &failed,
			    g->started)) { /* at start an error, and the daemon runs */
		for (size_t i = 0; i < failed.count; i++)
			log_error("%s", failed.lines[i]);
		snprintf(g->refused, sizeof g->refused, "expect: %s", failed.lines[0]);
	}
	errors_deinit(&failed);
	return load_pseudonym(g, errors);
}

static void sink_written(void *ctx, const struct decision *d)
{
	struct gateway *g = ctx;
	control_decided(g->control, d);
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
		.fold = g->config->log_fold,
		.pseudonym = g->has_pseudonym ? g->pseudonym : NULL,
		.rings = g->lane_count + 1, /* and the main thread's */
		.slots = g->config->log_ring,
		.written = sink_written,
		.ctx = g,
	};
	g->sink = sink_new(&o, errors);
	return g->sink != NULL;
}

static void take_copy(void *ctx, const struct arrival *a)
{
	dns_watch_bytes(((struct gateway *)ctx)->dns, a->bytes, a->len, !a->answer, a->now);
}

/* Copies come to a group by its number. */
static bool open_dns(struct gateway *g, struct errors *errors)
{
	char name[32];
	snprintf(name, sizeof name, "copies-%u", g->config->queue_first + g->config->queues);
	const struct copies_options o = {
		.group = (uint16_t)(g->config->queue_first + g->config->queues),
		.kept = handover_take(name),
		.take = take_copy,
		.ctx = g,
	};
	g->dns = dns_watch_new(DNS_QUESTIONS, DNS_CONNECTIONS, g->seen);
	if (!g->dns)
		errors_add(errors, NULL, 0, "not enough memory for what DNS is asked");
	g->copies = g->dns ? copies_open(&o, errors) : NULL;
	if (g->copies)
		handover_keep(name, copies_fd(g->copies));
	return g->copies != NULL;
}

static bool open_kernel(struct gateway *g, struct errors *errors)
{
	struct errors missing = {0};
	uint32_t own = mark_value(g->config->mark_mask, MARK_OWN, 0);
	if (!reply_open(own, &g->raw4, &g->raw6, errors))
		return false;
	if (!wiring_epoch(g->config, &g->epoch))
		g->epoch = 0; /* no rules: nothing has a mark yet, wiring_check says so */
	if (!wiring_check(g->config, &missing))
		log_warn("the kernel's rules are not those of the configuration (%s); tiergatectl "
			 "wiring up",
			 missing.count ? missing.lines[0] : "none are loaded");
	errors_deinit(&missing);
	if (!open_dns(g, errors))
		return false;
	for (unsigned i = 0; i < g->lane_count; i++)
		if (!lane_open(g, i, errors))
			return false;
	return true;
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
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL); /* before any thread, so that all inherit it */
	signal(SIGPIPE, SIG_IGN);
	g->watchdog = sd_watchdog_enabled(0, NULL) > 0;
	g->remark_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	g->reload.done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (sd_event_default(&g->event) < 0 || g->remark_fd < 0 || g->reload.done_fd < 0 ||
	    sd_event_add_signal(g->event, NULL, SIGTERM, on_signal, g) < 0 ||
	    sd_event_add_signal(g->event, NULL, SIGINT, on_signal, g) < 0 ||
	    sd_event_add_signal(g->event, NULL, SIGHUP, on_hangup, g) < 0 ||
	    sd_event_add_signal(g->event, NULL, SIGUSR1, on_reopen, g) < 0 ||
	    sd_event_add_io(g->event, NULL, g->remark_fd, EPOLLIN, lanes_remarks, g) < 0 ||
	    sd_event_add_io(g->event, NULL, g->reload.done_fd, EPOLLIN, reload_done, g) < 0 ||
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
		.onlink = g->onlink,
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
		.kept = handover_take("ends"),
		.skips = g->config->flowtable.count,
		.raw4 = g->raw4,
		.raw6 = g->raw6,
		.ended = lanes_ended,
		.moved = lanes_moved,
		.ctx = g,
	};
	g->conntrack = conntrack_open(&o, errors);
	if (!g->conntrack)
		return false;
	handover_keep("ends", conntrack_fd(g->conntrack));
	return sd_event_add_io(g->event, &g->ends, conntrack_fd(g->conntrack), EPOLLIN,
			       on_conntrack, g) >= 0 &&
	       sd_event_add_time_relative(g->event, &g->ends_pause, CLOCK_MONOTONIC,
					  ENDS_PAUSE_USEC, ENDS_PAUSE_USEC / 4, on_ends_pause,
					  g) >= 0 &&
	       sd_event_add_post(g->event, &g->ends_turn, on_turn, g) >= 0;
}

static bool open_dnstap(struct gateway *g, struct errors *errors)
{
	if (!g->config->dnstap_socket)
		return true;
	g->dnstap = dnstap_socket_open(g->config->dnstap_socket, g->seen, errors);
	return g->dnstap != NULL;
}

static bool open_watch(struct gateway *g, struct errors *errors)
{
	g->watch = watch_new(g->config, errors);
	g->sweep = sweep_new();
	return g->watch && g->sweep;
}

static bool start_threads(struct gateway *g, struct errors *errors)
{
	int r = sink_start(g->sink);
	if (r == 0)
		r = watch_start(g->watch);
	for (unsigned i = 0; r == 0 && i < g->lane_count; i++)
		r = lane_start(&g->lanes[i]);
	if (r < 0)
		errors_add(errors, NULL, 0, "a thread could not be started: %s", strerror(-r));
	return r == 0;
}

static struct host_key host_at(void *onlink, const struct address *client)
{
	return onlink_host(onlink, client);
}

/* Says to `wiring up` that the marks that are there are a running daemon's. */
static void say_running(struct gateway *g)
{
	g->running = wiring_running(g->config);
	if (g->running < 0)
		log_warn("%s: %s: a reload of the rules will take this daemon for a stopped one",
			 g->config->runtime_dir, strerror(-g->running));
}

static bool left_nothing(void)
{
	handover_end();
	return true;
}

static bool set_up(struct gateway *g, struct errors *errors)
{
	say_running(g);
	g->lane_count = g->config->queues;
	g->seen = seen_new(g->config->names, g->config->name_grace, g->config->dns_any_client);
	g->sessions = sessions_new(g->config->sessions);
	g->onlink = onlink_new(NEIGHBOURS);
	if (!g->seen || !g->sessions || !g->onlink) {
		errors_add(errors, NULL, 0,
			   "not enough memory for the tables of names and sessions");
		return false;
	}
	seen_hosts(g->seen, host_at, g->onlink);
	return open_loop(g, errors) && open_sink(g, errors) && open_kernel(g, errors) &&
	       privilege_keep_net_admin(errors) && quotas_open(g, errors) && state_load(g) &&
	       open_control(g, errors) && open_conntrack(g, errors) && left_nothing() &&
	       identity_open(g, errors) && open_dnstap(g, errors) && open_watch(g, errors) &&
	       confine(g, errors) && start_threads(g, errors);
}

/* ---- down, in reverse ---- */

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* Of the flows that are kept for the next daemon, only later ends are in the socket that it gets.
 */
static void take_last_ends(struct gateway *g)
{
	unsigned read = CONNTRACK_READ;
	while (g->conntrack && read == CONNTRACK_READ) {
		read = conntrack_read(g->conntrack);
		for (unsigned i = 0; i < g->lane_count; i++)
			if (g->lanes[i].worker)
				worker_take_ended(g->lanes[i].worker);
	}
}

static void tear_down(struct gateway *g)
{
	reload_end(g);
	watch_free(g->watch);
	for (unsigned i = 0; i < g->lane_count; i++)
		g->lanes[i].stop = true;
	for (unsigned i = 0; i < g->lane_count; i++)
		lane_stop(&g->lanes[i]);
	sweep_free(g->sweep);
	take_last_ends(g);
	if (g->store) {
		state_save_all(g);
		g->store->ops->free(g->store);
	}
	for (unsigned i = 0; i < g->lane_count; i++)
		lane_close(&g->lanes[i]);
	copies_close(g->copies);
	dns_watch_free(g->dns);
	dnstap_socket_close(g->dnstap);
	identity_close(g);
	quotas_close(g);
	sink_free(g->sink); /* writes what is there; before control, which its lines go to */
	control_free(g->control);
	sd_event_source_disable_unref(g->ends);
	sd_event_source_disable_unref(g->ends_pause);
	sd_event_source_disable_unref(g->ends_turn);
	conntrack_close(g->conntrack);
	close_fd(g->running);
	close_fd(g->raw4);
	close_fd(g->raw6);
	close_fd(g->remark_fd);
	close_fd(g->reload.done_fd);
	seen_free(g->seen);
	sessions_free(g->sessions);
	onlink_free(g->onlink);
	hits_free(&g->hits);
	snapshot_free(g->snapshot);
	config_free(g->latest);
	config_free(g->config);
	sd_event_unref(g->event);
}

int gateway_run(const struct gateway_options *o)
{
	static struct gateway g;
	struct errors errors = {0};
	g = (struct gateway){
		.o = *o,
		.running = -1,
		.remark_fd = -1,
		.raw4 = -1,
		.raw6 = -1,
		.reload.done_fd = -1,
	};
	/* Zones are read by the C library, through TZ, while other threads look at the environment:
	 * what is there already is only changed in place. */
	setenv("TZ", ":/etc/localtime", 0);
	rcu_register_thread();
	if (!tool_helper(&errors)) {
		g.status = EXIT_CANNOT;
	} else if (!load_policy(&g, &errors)) {
		g.status = EXIT_NO;
	} else if (!set_up(&g, &errors)) {
		g.status = EXIT_CANNOT;
	} else {
		log_info("policy %s is in force on %u queues from %u", snapshot_digest(g.snapshot),
			 g.config->queues, g.config->queue_first);
		sd_notifyf(0, "READY=1\nSTATUS=policy %s%s%s", snapshot_digest(g.snapshot),
			   g.last_good[0] ? "; in force is " : "", g.last_good);
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
