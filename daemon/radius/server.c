#include "radius/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/netset.h"
#include "radius/daemon.h"
#include "radius/report.h"
#include "radius/socket.h"
#include "state/store.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define BURST       64
#define LOG_EACH    (3600 * NS_PER_S)
#define SAVE_EACH   (60 * NS_PER_S) /* what ends is in the journal at once */
#define WAYS        4
#define REPEAT_TIME (60 * NS_PER_S) /* a client gives up sooner (RFC 5080 section 2.2.1) */

struct repeat { /* a packet that was answered */
	uint8_t authenticator[16];
	struct address client;
	int64_t time; /* 0: free */
	uint16_t port;
	uint8_t id;
};

struct radius_server {
	const struct radius_settings *settings;
	struct radius_attribute attribute;
	struct netset *clients; /* index of the client's row */
	struct daemon *daemon;
	struct accounting *accounting;
	struct repeat *repeats; /* sets of WAYS */
	uint32_t repeat_sets;
	int fd;
	bool adopted;
	sd_event_source *io, *timer;
	struct radius_counters counters;
	uint64_t said, logged; /* packets when the state was last said */
	int64_t log_next, save_next;
	char *folder;        /* of the state */
	struct store *store; /* or NULL */
};

/* ---- the daemon ---- */

static enum accounting_result result_of(enum daemon_answer answer)
{
	switch (answer) {
	case DAEMON_DONE: return ACCOUNTING_DONE;
	case DAEMON_NOT_FOUND:
	case DAEMON_BLOCKED: return ACCOUNTING_ENDED;
	case DAEMON_REFUSED: return ACCOUNTING_FULL;
	case DAEMON_AWAY: break;
	}
	return ACCOUNTING_AWAY;
}

static enum accounting_result daemon_open(void *ctx, const struct address *a, const char *user,
					  const char *tier, const uint8_t mac[6])
{
	struct radius_server *s = ctx;
	enum daemon_answer answer = daemon_login(s->daemon, a, user, tier, mac, clock_now());
	/* The policy has no such tier, or an operator has blocked the user: both are answered, so
	 * that the NAS does not take this server for a dead one. */
	bool none = answer == DAEMON_NOT_FOUND || answer == DAEMON_BLOCKED;
	return none ? ACCOUNTING_NO_TIER : result_of(answer);
}

static enum accounting_result daemon_join(void *ctx, const struct address *with,
					  const struct address *a)
{
	struct radius_server *s = ctx;
	return result_of(daemon_add(s->daemon, with, a, clock_now()));
}

static enum accounting_result daemon_close(void *ctx, const struct address *a)
{
	struct radius_server *s = ctx;
	return result_of(daemon_logout(s->daemon, a, clock_now()));
}

static enum accounting_result daemon_part(void *ctx, const struct address *a)
{
	struct radius_server *s = ctx;
	return result_of(daemon_drop(s->daemon, a, clock_now()));
}

static const struct accounting_ops ops = {daemon_open, daemon_join, daemon_part, daemon_close};

static void adopt_one(void *ctx, const char *user, const char *tier, const struct address *address,
		      unsigned count)
{
	struct radius_server *s = ctx;
	struct accounting_report r = {.lasts = radius_lasts(s->settings, 0)};
	snprintf(r.user, sizeof r.user, "%s", user);
	snprintf(r.tier, sizeof r.tier, "%s", tier);
	for (r.addresses = 0; r.addresses < count && r.addresses < RADIUS_ADDRESSES; r.addresses++)
		r.address[r.addresses] = address[r.addresses];
	accounting_adopt(s->accounting, &r, clock_now());
}

/* Sessions that were opened by a portal before this one, once the daemon answers. */
static bool adopt(struct radius_server *s, int64_t now)
{
	if (s->adopted)
		return true;
	s->adopted = daemon_sessions(s->daemon, adopt_one, s, now) == DAEMON_DONE;
	if (s->adopted)
		accounting_adopted(s->accounting);
	return s->adopted;
}

/* ---- packets repeated ---- */

static struct repeat *repeat_set(const struct radius_server *s, const struct radius_request *r)
{
	uint32_t hash; /* the authenticator is a digest already */
	memcpy(&hash, r->authenticator, sizeof hash);
	return &s->repeats[(size_t)(hash % s->repeat_sets) * WAYS];
}

static bool is_repeated(const struct radius_server *s, const struct radius_request *r,
			const struct datagram *from, int64_t now)
{
	const struct repeat *set = repeat_set(s, r);
	for (int i = 0; i < WAYS; i++)
		if (set[i].time && now - set[i].time < REPEAT_TIME && set[i].id == r->id &&
		    set[i].port == from->port && address_equal(&set[i].client, &from->from) &&
		    memcmp(set[i].authenticator, r->authenticator, 16) == 0)
			return true;
	return false;
}

static void repeat_note(struct radius_server *s, const struct radius_request *r,
			const struct datagram *from, int64_t now)
{
	struct repeat *set = repeat_set(s, r), *oldest = set;
	for (int i = 1; i < WAYS; i++)
		if (set[i].time < oldest->time)
			oldest = &set[i];
	*oldest = (struct repeat){.time = now, .port = from->port, .id = r->id};
	memcpy(oldest->authenticator, r->authenticator, 16);
	oldest->client = from->from;
}

/* ---- receive, answer ---- */

static void answer(struct radius_server *s, const struct radius_request *r, const char *secret,
		   const struct datagram *d)
{
	uint8_t out[RADIUS_MAX];
	s->counters.answered += radius_send(s->fd, d, out, radius_answer(r, secret, out));
}

static const char *from_text(const struct datagram *d, char out[static ADDRESS_TEXT])
{
	return address_format(&d->from, out);
}

/* Each of these at most once a second; never a text out of the packet. */
#define SAY(now, d, what)                                                                          \
	do {                                                                                       \
		char text_[ADDRESS_TEXT];                                                          \
		LOG_LIMITED(log_warn, now, "RADIUS: " what " from %s", from_text(d, text_));       \
	} while (0)

/* The client's row of a packet that may be acted on; NULL (and counted) where it may not. */
static const struct radius_client *admit(struct radius_server *s, const struct datagram *d,
					 struct radius_request *r, int64_t now)
{
	uint32_t row = netset_find(s->clients, &d->from);
	if (row == NETSET_NONE) {
		s->counters.unknown_client++;
		SAY(now, d, "a packet of an unknown client");
		return NULL;
	}
	const struct radius_client *client = &s->settings->clients[row];
	bool good = radius_parse(d->bytes, d->len, &s->attribute, r) == PARSE_OK;
	bool asks = r->code == RADIUS_STATUS_SERVER;
	if (!good || (!asks && !r->status)) {
		s->counters.malformed++;
		SAY(now, d, "a packet that is malformed, or neither accounting nor Status-Server");
		return NULL;
	}
	if (!radius_genuine(r, client->secret)) {
		s->counters.forged++;
		SAY(now, d, "a packet made with another secret");
		return NULL;
	}
	if (asks)
		return client;
	if (((client->require & RADIUS_MESSAGE_AUTHENTICATOR) && !r->message_authenticator) ||
	    ((client->require & RADIUS_EVENT_TIMESTAMP) && !r->has_time)) {
		s->counters.lacking++;
		SAY(now, d, "a packet without what its client must send");
		return NULL;
	}
	return client;
}

static void told(struct radius_server *s, const struct datagram *d, enum accounting_result result,
		 int64_t now)
{
	s->counters.result[result]++;
	if (result == ACCOUNTING_STALE)
		SAY(now, d,
		    "an Event-Timestamp too far from now (a replay, or a clock that is wrong: set "
		    "it, "
		    "or have it disregarded by clock in portal.conf)");
	else if (result == ACCOUNTING_NO_USER)
		SAY(now, d, "a session without a user name, or with one that cannot be one");
	else if (result == ACCOUNTING_NO_TIER)
		SAY(now, d,
		    "a session for which nothing says a tier of the policy, or whose user is "
		    "blocked");
	else if (result == ACCOUNTING_FULL)
		SAY(now, d, "a session too many");
}

/* What is passed over of a packet that counts. */
static void note_oddities(struct radius_server *s, const struct datagram *d,
			  const struct radius_request *r, int64_t now)
{
	s->counters.prefix_alone += r->prefix_alone;
	s->counters.left_out += r->left_out;
	s->counters.bad_attributes += r->bad_attributes;
	if (r->bad_attributes)
		SAY(now, d, "an attribute of a wrong form, which is passed over, in a packet");
	if (r->left_out)
		SAY(now, d, "more addresses of a session than it can have");
}

/* Status-Server (RFC 5997 section 4.2): whether accounting would be taken now, and so by the
 * daemon.
 */
static void take_status(struct radius_server *s, const struct datagram *d,
			const struct radius_request *r, const char *secret, int64_t now)
{
	s->counters.status++;
	if (adopt(s, now) && daemon_ping(s->daemon, now) == DAEMON_DONE)
		answer(s, r, secret, d);
}

static void take(struct radius_server *s, const struct datagram *d, int64_t now)
{
	struct radius_request r;
	struct accounting_report report;
	s->counters.packets++;
	const struct radius_client *client = admit(s, d, &r, now);
	if (!client)
		return;
	if (r.code == RADIUS_STATUS_SERVER) {
		take_status(s, d, &r, client->secret, now);
		return;
	}
	if (is_repeated(s, &r, d, now)) {
		s->counters.repeated++;
		answer(s, &r, client->secret, d);
		return;
	}
	bool of_session = r.status <= RADIUS_INTERIM;
	if (of_session && !r.session.len) {
		s->counters.malformed++;
		SAY(now, d, "a report without an Acct-Session-Id");
		return;
	}
	note_oddities(s, d, &r, now);
	radius_report(s->settings, client, &r, &d->from, clock_wall(), now, &report);
	enum accounting_result result =
		adopt(s, now) ? accounting_take(s->accounting, &report, now) : ACCOUNTING_AWAY;
	told(s, d, result, now);
	if (!accounting_answered(result))
		return;
	repeat_note(s, &r, d, now);
	answer(s, &r, client->secret, d);
}

static int on_packet(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct datagram d;
	for (int i = 0; i < BURST && radius_receive(fd, &d); i++)
		take(ctx, &d, clock_now());
	return 0;
}

/* ---- time ---- */

static void add_count(struct buf *b, const char *what, uint64_t n)
{
	if (n)
		buf_printf(b, "%s%s %llu", b->len ? ", " : "", what, (unsigned long long)n);
}

static void add_rows(struct buf *b, const struct metrics *m, const void *counters)
{
	for (size_t i = 0; i < m->count; i++)
		add_count(b, m->rows[i].name, metric_value(&m->rows[i], counters));
}

/* All that is not zero, in one line. */
static void describe(const struct radius_server *s, const struct accounting_counters *now,
		     struct buf *b)
{
	add_rows(b, &accounting_metrics, now);
	add_rows(b, &radius_metrics, &s->counters);
	for (int r = ACCOUNTING_DONE + 1; r < ACCOUNTING_COUNT; r++)
		add_count(b, accounting_text((enum accounting_result)r), s->counters.result[r]);
}

/* Tells the service manager when something was counted, and the log once an hour and at the end. */
static void say_state(struct radius_server *s, int64_t now, bool end)
{
	struct accounting_counters counters;
	char text[1024];
	struct buf b = BUF_OF(text);
	accounting_count(s->accounting, &counters);
	uint64_t sum = s->counters.packets + counters.timed_out;
	if (sum != s->said) {
		describe(s, &counters, &b);
		sd_notifyf(0, "STATUS=RADIUS: %s", text);
		s->said = sum;
	}
	if (sum == s->logged || (now < s->log_next && !end))
		return;
	buf_reset(&b);
	describe(s, &counters, &b);
	log_info("RADIUS: %s", text);
	s->logged = sum;
	s->log_next = now + LOG_EACH;
}

static void save(struct radius_server *s, int64_t now)
{
	int e = s->store ? accounting_save(s->accounting, s->store, now) : 0;
	s->save_next = now + SAVE_EACH;
	if (e < 0)
		log_warn("%s: RADIUS sessions cannot be saved: %s", s->folder, strerror(-e));
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *ctx)
{
	struct radius_server *s = ctx;
	int64_t now = clock_now();
	if (adopt(s, now))
		accounting_sweep(s->accounting, now);
	if (now >= s->save_next || accounting_save_due(s->accounting))
		save(s, now);
	say_state(s, now, false);
	sd_event_source_set_time_relative(timer, 1000000);
	return sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

/* ---- up and down ---- */

/* What follows the configuration; false where memory ran out, and nothing is changed. */
static bool follow(struct radius_server *s, const struct radius_settings *c, const char *socket)
{
	struct netset *clients = netset_new();
	struct daemon *daemon = daemon_new(socket, "radius");
	bool good = clients && daemon;
	for (size_t i = 0; good && i < c->client_count; i++)
		good = netset_add(clients, &c->clients[i].network, (uint32_t)i);
	if (!good || !radius_attribute_parse(c->attribute, &s->attribute)) {
		netset_free(clients);
		daemon_free(daemon);
		return false;
	}
	netset_free(s->clients);
	daemon_free(s->daemon);
	s->clients = clients;
	s->daemon = daemon;
	s->settings = c;
	return true;
}

static void remember(struct radius_server *s)
{
	char journal[PATH_MAX];
	snprintf(journal, sizeof journal, "%s/radius.journal", s->folder);
	if (!(s->store = store_folder_new(s->folder)))
		return;
	accounting_load(s->accounting, s->store, journal, clock_now());
	save(s, clock_now());
}

static int init(struct radius_server *s, const struct radius_settings *c, const char *socket,
		sd_event *event)
{
	s->repeat_sets = c->repeats / WAYS;
	s->repeats = calloc((size_t)s->repeat_sets * WAYS, sizeof *s->repeats);
	s->accounting = accounting_new(c->sessions, c->window, &ops, s);
	if (!follow(s, c, socket) || !s->repeats || !s->accounting || !s->folder)
		return -ENOMEM;
	remember(s);
	s->fd = radius_listen(&c->listen.address, c->listen.port);
	int e = s->fd < 0 ? s->fd : sd_event_add_io(event, &s->io, s->fd, EPOLLIN, on_packet, s);
	if (e >= 0)
		e = sd_event_add_time_relative(event, &s->timer, CLOCK_MONOTONIC, 0, 0, on_timer,
					       s);
	return e;
}

struct radius_server *radius_server_new(const struct radius_settings *c, const char *socket,
					const char *folder, sd_event *event, struct errors *errors)
{
	struct radius_server *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->fd = -1;
	s->folder = strdup(folder);
	int e = init(s, c, socket, event);
	if (e >= 0)
		return s;
	errors_add(errors, NULL, 0, "RADIUS cannot be received: %s", strerror(-e));
	radius_server_free(s);
	return NULL;
}

bool radius_server_reload(struct radius_server *s, const struct radius_settings *c,
			  const char *socket)
{
	return follow(s, c, socket);
}

void radius_server_free(struct radius_server *s)
{
	if (!s)
		return;
	if (s->accounting && s->fd >= 0) {
		save(s, clock_now());
		say_state(s, clock_now(), true);
	}
	if (s->store)
		s->store->ops->free(s->store);
	sd_event_source_unref(s->io);
	sd_event_source_unref(s->timer);
	if (s->fd >= 0)
		close(s->fd);
	netset_free(s->clients);
	accounting_free(s->accounting);
	daemon_free(s->daemon);
	free(s->repeats);
	free(s->folder);
	free(s);
}

static const struct metric rows[] = {
	METRIC(radius_counters, packets, COUNTER, "packets", "packets received"),
	METRIC(radius_counters, answered, COUNTER, "packets", "packets answered"),
	METRIC(radius_counters, repeated, COUNTER, "packets", "packets that came again"),
	METRIC(radius_counters, unknown_client, COUNTER, "packets",
	       "packets from an address that is no client's, dropped"),
	METRIC(radius_counters, malformed, COUNTER, "packets",
	       "packets that are not RADIUS, dropped"),
	METRIC(radius_counters, forged, COUNTER, "packets",
	       "packets whose authenticator is not of the client's secret, dropped"),
	METRIC(radius_counters, lacking, COUNTER, "packets",
	       "packets without an attribute that is required, dropped"),
	METRIC(radius_counters, status, COUNTER, "packets", "Status-Server packets"),
	METRIC(radius_counters, prefix_alone, COUNTER, "reports",
	       "reports of a prefix without an address, which make no session"),
	METRIC(radius_counters, bad_attributes, COUNTER, "attributes",
	       "malformed attributes, passed over"),
	METRIC(radius_counters, left_out, COUNTER, "addresses",
	       "addresses beyond what a session holds, left out"),
};
METRICS(radius_metrics, "radius", radius_counters, rows);
