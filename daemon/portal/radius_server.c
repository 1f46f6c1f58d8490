#include "portal/radius_server.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/netset.h"
#include "identity/users.h"
#include "portal/daemon.h"

#include <errno.h>
#include <netinet/in.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define BURST       64
#define LOG_EACH    (3600 * NS_PER_S)
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
	const struct portal_config *config;
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
	int64_t log_next;
};

/* ---- the daemon ---- */

static enum accounting_result result_of(enum daemon_answer answer)
{
	switch (answer) {
	case DAEMON_DONE: return ACCOUNTING_DONE;
	case DAEMON_NOT_FOUND: return ACCOUNTING_ENDED;
	case DAEMON_REFUSED: return ACCOUNTING_FULL;
	case DAEMON_AWAY: break;
	}
	return ACCOUNTING_AWAY;
}

static enum accounting_result daemon_open(void *ctx, const struct address *a, const char *user,
					  const char *tier)
{
	struct radius_server *s = ctx;
	enum daemon_answer answer = daemon_login(s->daemon, a, user, tier, clock_now());
	/* The policy has no such tier. */
	return answer == DAEMON_NOT_FOUND ? ACCOUNTING_NO_TIER : result_of(answer);
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

static const struct accounting_ops ops = {daemon_open, daemon_join, daemon_close};

static int64_t lasts(const struct radius_server *s, uint32_t interim)
{
	int64_t each = s->config->radius_interim;
	if (interim >= 60 && interim <= 86400)
		each = interim * NS_PER_S;
	return each * s->config->radius_missed;
}

static void adopt_one(void *ctx, const char *user, const char *tier, const struct address *address,
		      unsigned count)
{
	struct radius_server *s = ctx;
	struct accounting_report r = {.lasts = lasts(s, 0)};
	snprintf(r.user, sizeof r.user, "%s", user);
	snprintf(r.tier, sizeof r.tier, "%s", tier);
	for (r.addresses = 0; r.addresses < count && r.addresses < RADIUS_ADDRESSES; r.addresses++)
		r.address[r.addresses] = address[r.addresses];
	accounting_adopt(s->accounting, &r, clock_now());
}

/* Sessions that were opened by a portal before this one, once the daemon answers. */
static bool adopt(struct radius_server *s, int64_t now)
{
	if (!s->adopted)
		s->adopted = daemon_sessions(s->daemon, adopt_one, s, now) == DAEMON_DONE;
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
			const struct sockaddr_in6 *from, int64_t now)
{
	const struct repeat *set = repeat_set(s, r);
	for (int i = 0; i < WAYS; i++)
		if (set[i].time && now - set[i].time < REPEAT_TIME && set[i].id == r->id &&
		    set[i].port == from->sin6_port &&
		    memcmp(&set[i].client, &from->sin6_addr, sizeof set[i].client) == 0 &&
		    memcmp(set[i].authenticator, r->authenticator, 16) == 0)
			return true;
	return false;
}

static void repeat_note(struct radius_server *s, const struct radius_request *r,
			const struct sockaddr_in6 *from, int64_t now)
{
	struct repeat *set = repeat_set(s, r), *oldest = set;
	for (int i = 1; i < WAYS; i++)
		if (set[i].time < oldest->time)
			oldest = &set[i];
	*oldest = (struct repeat){.time = now, .port = from->sin6_port, .id = r->id};
	memcpy(oldest->authenticator, r->authenticator, 16);
	memcpy(&oldest->client, &from->sin6_addr, sizeof oldest->client);
}

/* ---- packet -> report ---- */

static void digest(struct sha256_ctx *ctx, uint8_t out[ACCOUNTING_KEY])
{
	sha256_digest(ctx, ACCOUNTING_KEY, out);
}

/* Who reports: a client speaks for those behind it (RFC 2866 section 5.4 asks for one of these
 * attributes), and never for those behind another client. */
static void nas_key(const struct radius_request *r, const struct network *client,
		    const struct sockaddr_in6 *from, uint8_t out[ACCOUNTING_KEY])
{
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	sha256_update(&ctx, sizeof client->base, client->base.bytes); /* a row may move */
	sha256_update(&ctx, sizeof client->bits, (const uint8_t *)&client->bits);
	if (r->has_nas)
		sha256_update(&ctx, sizeof r->nas, r->nas.bytes);
	else if (r->nas_name.len)
		sha256_update(&ctx, r->nas_name.len, r->nas_name.bytes);
	else
		sha256_update(&ctx, sizeof from->sin6_addr, from->sin6_addr.s6_addr);
	digest(&ctx, out);
}

/* "" where the bytes are no user name. */
static void user_of(const struct radius_request *r, char out[static USER_MAX])
{
	size_t len = r->user.len < USER_MAX ? r->user.len : 0;
	memcpy(out, r->user.bytes ? r->user.bytes : (const uint8_t *)"", len);
	out[len] = '\0';
	if (strlen(out) != len || !user_name_valid(out))
		out[0] = '\0';
}

static const char *tier_of_value(const struct portal_config *c, const struct radius_text *value,
				 char room[static TIER_MAX])
{
	for (size_t i = 0; i < c->radius_tier_count; i++)
		if (strlen(c->radius_tiers[i].value) == value->len &&
		    memcmp(c->radius_tiers[i].value, value->bytes, value->len) == 0)
			return c->radius_tiers[i].tier;
	if (c->radius_tier_count || value->len >= TIER_MAX)
		return NULL;
	memcpy(room, value->bytes, value->len);
	room[value->len] = '\0';
	return strlen(room) == value->len && tier_name_valid(room) ? room : NULL;
}

static void tier_of(const struct portal_config *c, const struct radius_request *r,
		    char out[static TIER_MAX])
{
	char room[TIER_MAX];
	const char *tier = NULL;
	for (unsigned i = 0; i < r->values && !tier; i++)
		tier = tier_of_value(c, &r->value[i], room);
	if (!tier)
		tier = c->radius_default_tier;
	snprintf(out, TIER_MAX, "%s", tier ? tier : "");
}

static void report_of(struct radius_server *s, const struct radius_request *r,
		      const struct network *client, const struct sockaddr_in6 *from,
		      struct accounting_report *out)
{
	struct sha256_ctx ctx;
	int64_t heard = clock_wall();
	*out = (struct accounting_report){
		.heard = heard,
		.status = (enum radius_status)r->status,
		.addresses = r->addresses,
		.time = r->has_time ? r->time * NS_PER_S : heard - r->delay * NS_PER_S,
		.has_time = r->has_time,
		.has_session_time = r->has_session_time,
		.session_time = r->session_time,
		.lasts = lasts(s, r->interim),
	};
	memcpy(out->address, r->address, sizeof out->address);
	nas_key(r, client, from, out->nas);
	sha256_init(&ctx);
	if (r->session.len)
		sha256_update(&ctx, r->session.len, r->session.bytes);
	digest(&ctx, out->session);
	user_of(r, out->user);
	tier_of(s->config, r, out->tier);
}

/* ---- receive, answer ---- */

struct datagram {
	struct sockaddr_in6 from;
	struct in6_pktinfo to; /* where it was sent to: the answer comes from there */
	bool has_to;
	uint8_t bytes[RADIUS_MAX + 1]; /* one more shows what is too long */
	size_t len;
};

static void answer(struct radius_server *s, const struct radius_request *r, const char *secret,
		   const struct datagram *d)
{
	union {
		struct cmsghdr head;
		uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control = {.head = {.cmsg_len = CMSG_LEN(sizeof d->to),
			      .cmsg_level = IPPROTO_IPV6,
			      .cmsg_type = IPV6_PKTINFO}};
	uint8_t out[RADIUS_MAX];
	struct iovec part = {out, radius_answer(r, secret, out)};
	struct msghdr m = {.msg_name = (void *)&d->from,
			   .msg_namelen = sizeof d->from,
			   .msg_iov = &part,
			   .msg_iovlen = 1};
	struct in6_pktinfo from = {.ipi6_addr = d->to.ipi6_addr};
	memcpy(CMSG_DATA(&control.head), &from, sizeof from);
	if (d->has_to) {
		m.msg_control = &control;
		m.msg_controllen = sizeof control;
	}
	if (sendmsg(s->fd, &m, MSG_DONTWAIT) >= 0)
		s->counters.answered++;
}

static const char *from_text(const struct datagram *d, char out[static ADDRESS_TEXT])
{
	struct address a;
	memcpy(&a, &d->from.sin6_addr, sizeof a);
	return address_format(&a, out);
}

/* Each of these at most once a second; never a text out of the packet. */
#define SAY(now, d, what)                                                                          \
	do {                                                                                       \
		char text_[ADDRESS_TEXT];                                                          \
		LOG_LIMITED(log_warn, now, "RADIUS: " what " from %s", from_text(d, text_));       \
	} while (0)

/* The client's row of a packet that may be acted on; NULL (and counted) where it may not. */
static const struct portal_radius_client *admit(struct radius_server *s, const struct datagram *d,
						struct radius_request *r, int64_t now)
{
	struct address from;
	memcpy(&from, &d->from.sin6_addr, sizeof from);
	uint32_t row = netset_find(s->clients, &from);
	if (row == NETSET_NONE) {
		s->counters.unknown_client++;
		SAY(now, d, "a packet of an unknown client");
		return NULL;
	}
	const struct portal_radius_client *client = &s->config->radius_clients[row];
	if (radius_parse(d->bytes, d->len, &s->attribute, r) != PARSE_OK || !r->status) {
		s->counters.malformed++;
		SAY(now, d, "a packet that is malformed or no accounting request");
		return NULL;
	}
	if (!radius_genuine(r, client->secret)) {
		s->counters.forged++;
		SAY(now, d, "a packet made with another secret");
		return NULL;
	}
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
		    "an Event-Timestamp too far from now (a replay, or a clock that is wrong)");
	else if (result == ACCOUNTING_NO_USER)
		SAY(now, d, "a session without a user name, or with one that cannot be one");
	else if (result == ACCOUNTING_NO_TIER)
		SAY(now, d, "a session for which nothing says a tier of the policy");
	else if (result == ACCOUNTING_FULL)
		SAY(now, d, "a session too many");
}

static void take(struct radius_server *s, const struct datagram *d, int64_t now)
{
	struct radius_request r;
	struct accounting_report report;
	s->counters.packets++;
	const struct portal_radius_client *client = admit(s, d, &r, now);
	if (!client)
		return;
	if (is_repeated(s, &r, &d->from, now)) {
		s->counters.repeated++;
		answer(s, &r, client->secret, d);
		return;
	}
	bool of_session = r.status <= RADIUS_INTERIM;
	if (of_session && !r.session.len) {
		s->counters.malformed++;
		return;
	}
	s->counters.prefix_alone += r.prefix_alone;
	report_of(s, &r, &client->network, &d->from, &report);
	enum accounting_result result =
		adopt(s, now) ? accounting_take(s->accounting, &report, now) : ACCOUNTING_AWAY;
	told(s, d, result, now);
	if (!accounting_answered(result))
		return;
	repeat_note(s, &r, &d->from, now);
	answer(s, &r, client->secret, d);
}

static bool receive(int fd, struct datagram *d)
{
	union {
		struct cmsghdr head;
		uint8_t bytes[256];
	} control;
	struct iovec part = {d->bytes, sizeof d->bytes};
	struct msghdr m = {.msg_name = &d->from,
			   .msg_namelen = sizeof d->from,
			   .msg_iov = &part,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof control};
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
	if (n < 0)
		return false;
	d->len = (size_t)n;
	d->has_to = false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&d->to, CMSG_DATA(c), sizeof d->to);
			d->has_to = true;
		}
	return true;
}

static int on_packet(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct datagram d;
	for (int i = 0; i < BURST && receive(fd, &d); i++)
		take(ctx, &d, clock_now());
	return 0;
}

/* ---- time ---- */

static void add_count(struct buf *b, uint64_t n, const char *what)
{
	if (n)
		buf_printf(b, ", %llu %s", (unsigned long long)n, what);
}

/* All that is not zero, in one line. */
static void describe(const struct radius_server *s, const struct accounting_counters *now,
		     struct buf *b)
{
	const struct radius_counters *c = &s->counters;
	buf_printf(b, "RADIUS: %u sessions; %llu packets", now->open,
		   (unsigned long long)c->packets);
	add_count(b, c->answered, "answered");
	add_count(b, c->repeated, "repeated");
	add_count(b, c->unknown_client, "of unknown clients");
	add_count(b, c->malformed, "malformed");
	add_count(b, c->forged, "with a bad authenticator");
	add_count(b, c->lacking, "without what is required");
	add_count(b, c->prefix_alone, "with a prefix alone");
	for (int r = ACCOUNTING_DONE + 1; r < ACCOUNTING_COUNT; r++)
		add_count(b, c->result[r], accounting_text((enum accounting_result)r));
	add_count(b, now->timed_out, "sessions timed out");
}

/* Tells the service manager when something was counted, and the log once an hour and at the end. */
static void say_state(struct radius_server *s, int64_t now, bool end)
{
	struct accounting_counters counters;
	char text[512];
	struct buf b = BUF_OF(text);
	accounting_count(s->accounting, &counters);
	uint64_t sum = s->counters.packets + counters.timed_out;
	if (sum != s->said) {
		describe(s, &counters, &b);
		sd_notifyf(0, "STATUS=%s", text);
		s->said = sum;
	}
	if (sum == s->logged || (now < s->log_next && !end))
		return;
	buf_reset(&b);
	describe(s, &counters, &b);
	log_info("%s", text);
	s->logged = sum;
	s->log_next = now + LOG_EACH;
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *ctx)
{
	struct radius_server *s = ctx;
	int64_t now = clock_now();
	if (adopt(s, now))
		accounting_sweep(s->accounting, now);
	say_state(s, now, false);
	sd_event_source_set_time_relative(timer, 1000000);
	return sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

/* ---- up and down ---- */

static int listen_at(const struct address *a, uint16_t port)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int off = 0, on = 1, fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	memcpy(&at.sin6_addr, a, sizeof at.sin6_addr); /* IPv4 is mapped there as it is here */
	if (fd >= 0 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on) == 0 &&
	    bind(fd, (struct sockaddr *)&at, sizeof at) == 0)
		return fd;
	int e = -errno;
	if (fd >= 0)
		close(fd);
	return e;
}

/* What follows the configuration; false where memory ran out, and nothing is changed. */
static bool follow(struct radius_server *s, const struct portal_config *c)
{
	struct netset *clients = netset_new();
	struct daemon *daemon = daemon_new(c->control_socket, "radius");
	bool good = clients && daemon;
	for (size_t i = 0; good && i < c->radius_client_count; i++)
		good = netset_add(clients, &c->radius_clients[i].network, (uint32_t)i);
	if (!good || !radius_attribute_parse(c->radius_attribute, &s->attribute)) {
		netset_free(clients);
		daemon_free(daemon);
		return false;
	}
	netset_free(s->clients);
	daemon_free(s->daemon);
	s->clients = clients;
	s->daemon = daemon;
	s->config = c;
	return true;
}

static int init(struct radius_server *s, const struct portal_config *c, sd_event *event)
{
	s->repeat_sets = c->radius_repeats / WAYS;
	s->repeats = calloc((size_t)s->repeat_sets * WAYS, sizeof *s->repeats);
	s->accounting = accounting_new(c->radius_sessions, c->radius_window, &ops, s);
	if (!follow(s, c) || !s->repeats || !s->accounting)
		return -ENOMEM;
	s->fd = listen_at(&c->radius, c->radius_port);
	int e = s->fd < 0 ? s->fd : sd_event_add_io(event, &s->io, s->fd, EPOLLIN, on_packet, s);
	if (e >= 0)
		e = sd_event_add_time_relative(event, &s->timer, CLOCK_MONOTONIC, 0, 0, on_timer,
					       s);
	return e;
}

struct radius_server *radius_server_new(const struct portal_config *c, sd_event *event,
					struct errors *errors)
{
	struct radius_server *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->fd = -1;
	int e = init(s, c, event);
	if (e >= 0)
		return s;
	errors_add(errors, NULL, 0, "RADIUS cannot be received: %s", strerror(-e));
	radius_server_free(s);
	return NULL;
}

bool radius_server_reload(struct radius_server *s, const struct portal_config *c)
{
	return follow(s, c);
}

void radius_server_free(struct radius_server *s)
{
	if (!s)
		return;
	if (s->accounting)
		say_state(s, clock_now(), true);
	sd_event_source_unref(s->io);
	sd_event_source_unref(s->timer);
	if (s->fd >= 0)
		close(s->fd);
	netset_free(s->clients);
	accounting_free(s->accounting);
	daemon_free(s->daemon);
	free(s->repeats);
	free(s);
}

void radius_server_count(const struct radius_server *s, struct radius_counters *out)
{
	*out = s->counters;
}
