#include "portal/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "portal/assets.h"
#include "portal/checker.h"
#include "portal/deadline.h"
#include "portal/listen.h"
#include "portal/metrics.h"
#include "portal/redirect.h"
#include "portal/tls.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREADS      4
#define LEAVING      8
#define SLACK        128 /* beyond the bound, which on_accept keeps: those that are being closed */
#define HEADER_BYTES (32 * 1024)   /* of a connection: request line, headers and buffers */
#define PASS_OVER    (1024 * 1024) /* of a body that is too large, so that its sender reads why */
#define FORM_TYPE    "application/x-www-form-urlencoded"
#define PRIORITIES   "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA" /* forward secrecy */

/* No script at all, nothing from elsewhere, in nobody's frame. */
#define POLICY                                                                                     \
	"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "               \
	"frame-ancestors 'none'; base-uri 'none'"

struct server {
	struct portal *portal;
	struct MHD_Daemon *https, *http, *metrics; /* metrics: or NULL */
	struct MHD_Daemon *leaving[LEAVING]; /* replaced by a reload; they serve whom they have */
	sd_event_source *sweep;
};

/* ---- a connection ---- */

static struct address peer_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	return address_from_socket(info ? info->client_addr : NULL);
}

static enum MHD_Result on_accept(void *ctx, const struct sockaddr *a, socklen_t len)
{
	struct portal *p = ctx;
	struct portal_config *c = portal_config_now(p);
	struct address peer = address_from_socket(a);
	bool served = false;
	for (size_t i = 0; i < c->clients.count && !served; i++)
		served = network_has(&c->clients.item[i], &peer);
	if (served && !deadline_room(p->deadline, &peer, c->connections)) {
		LOG_LIMITED(log_warn, clock_now(), "%u connections are open; one is refused",
			    c->connections);
		served = false;
	}
	portal_config_free(c);
	return served ? MHD_YES : MHD_NO;
}

struct held { /* by a connection */
	struct watched *watched;
	struct tls_identity *identity;
};

static struct held *hold(struct server *s, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct address peer = peer_of(connection);
	struct held *h = calloc(1, sizeof *h);
	if (!h)
		return NULL;
	h->watched = info ? deadline_begin(s->portal->deadline, info->connect_fd, &peer) : NULL;
	h->identity = tls_hold();
	return h;
}

static void drop(struct server *s, struct held *h)
{
	if (!h)
		return;
	deadline_end(s->portal->deadline, h->watched);
	tls_drop(h->identity);
	free(h);
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **own,
			  enum MHD_ConnectionNotificationCode what)
{
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		*own = hold(ctx, connection);
	} else {
		drop(ctx, *own);
		*own = NULL;
	}
}

static struct watched *watched_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	const struct held *h = info ? info->socket_context : NULL;
	return h ? h->watched : NULL;
}

/* ---- a request ---- */

static const char *header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static struct request *request_new(struct portal *p, struct MHD_Connection *connection,
				   const char *path, const char *method)
{
	struct request *r = calloc(1, sizeof *r);
	const char *cookie = header(connection, MHD_HTTP_HEADER_COOKIE);
	if (!r || !(r->path = strdup(path))) {
		free(r);
		return NULL;
	}
	r->portal = p;
	r->config = portal_config_now(p);
	r->connection = connection;
	r->watched = watched_of(connection);
	r->peer = peer_of(connection);
	r->now = clock_now();
	r->ahead = clock_ahead();
	r->post = strcmp(method, MHD_HTTP_METHOD_POST) == 0;
	r->head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
	r->gate = gate_of(r->config);
	r->has_token = cookie ? cookie_parse(cookie, strlen(cookie), &r->token) : PARSE_ABSENT;
	return r;
}

static void request_free(struct request *r)
{
	if (!r)
		return;
	gate_close(&r->gate);
	if (r->body)
		explicit_bzero(r->body, r->body_cap);
	if (r->sign_in)
		explicit_bzero(r->sign_in, sizeof *r->sign_in);
	free(r->sign_in);
	free(r->body);
	free(r->reply.page.data);
	free(r->path);
	portal_config_free(r->config);
	free(r);
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **own,
			 enum MHD_RequestTerminationCode why)
{
	struct server *s = ctx;
	request_free(*own);
	*own = NULL;
	deadline_restart(s->portal->deadline, watched_of(connection));
}

/* A language that was chosen by hand comes before what the browser asks for. */
static const struct language *language_of(const struct portal *p, struct MHD_Connection *c)
{
	const char *chosen = MHD_lookup_connection_value(c, MHD_COOKIE_KIND, "language");
	const struct texts *t = p->assets->texts;
	const struct language *l = chosen ? texts_named(t, chosen) : NULL;
	return l ? l : texts_choose(t, header(c, MHD_HTTP_HEADER_ACCEPT_LANGUAGE));
}

/* ---- its body ---- */

/* What is refused before a byte of the body is read; TEXT_COUNT: nothing. */
static enum text refusal(const struct request *r, struct MHD_Connection *c, unsigned *status)
{
	const char *length = header(c, MHD_HTTP_HEADER_CONTENT_LENGTH);
	const char *type = header(c, MHD_HTTP_HEADER_CONTENT_TYPE);
	const char *host = header(c, MHD_HTTP_HEADER_HOST);
	if (!host || strcasecmp(host, portal_authority(r->config)) != 0) {
		*status = 421;
		return TEXT_ELSEWHERE;
	}
	if (!r->post)
		return TEXT_COUNT;
	if (length && strtoull(length, NULL, 10) > PASS_OVER) {
		*status = 413;
		return TEXT_TOO_LARGE;
	}
	if (!type || strncasecmp(type, FORM_TYPE, sizeof FORM_TYPE - 1) != 0) {
		*status = 415;
		return TEXT_BAD_REQUEST;
	}
	return TEXT_COUNT;
}

/* False where nothing more is to be read. */
static bool take_body(struct request *r, const char *bytes, size_t len)
{
	uint32_t max = r->config->request_bytes;
	if (r->passed_over || len > max - r->body_len) {
		r->passed_over += len;
		return r->passed_over <= PASS_OVER;
	}
	if (!r->body) {
		r->body = malloc(max);
		r->body_cap = r->body ? max : 0;
	}
	if (!r->body)
		return false;
	memcpy(r->body + r->body_len, bytes, len);
	r->body_len += len;
	return true;
}

/* ---- its answer ---- */

static struct MHD_Response *body_of(struct reply *reply)
{
	if (reply->fixed) /* copied: a reload may replace it while it is being sent */
		return MHD_create_response_from_buffer(reply->fixed_len, (void *)reply->fixed,
						       MHD_RESPMEM_MUST_COPY);
	struct buf b = reply->page;
	reply->page = (struct buf){0};
	return MHD_create_response_from_buffer(b.len, b.data, MHD_RESPMEM_MUST_FREE);
}

static void add(struct MHD_Response *m, const char *name, const char *value)
{
	if (value && value[0])
		MHD_add_response_header(m, name, value);
}

static void headers_of(struct MHD_Response *m, const struct request *r)
{
	const struct reply *reply = &r->reply;
	char retry[16] = "", language[160];
	if (reply->retry_after)
		snprintf(retry, sizeof retry, "%u", reply->retry_after);
	add(m, "Content-Type", reply->type ? reply->type : "text/html; charset=utf-8");
	add(m, "Content-Security-Policy", POLICY);
	add(m, "X-Content-Type-Options", "nosniff");
	add(m, "Referrer-Policy", "same-origin");
	add(m, "Cross-Origin-Opener-Policy", "same-origin");
	add(m, "Cross-Origin-Resource-Policy", "same-origin");
	add(m, "Strict-Transport-Security", "max-age=86400");
	add(m, "Cache-Control", reply->cacheable ? "private, max-age=86400" : "private, no-store");
	if (!reply->type) {
		add(m, "Content-Language", r->language->name);
		add(m, "Vary", "Accept-Language, Cookie");
	}
	add(m, "Location", reply->location);
	add(m, "Set-Cookie", reply->cookie);
	add(m, "Retry-After", retry);
	add(m, "Allow", reply->allow);
	if (reply->language[0]) {
		snprintf(language, sizeof language,
			 "language=%s; Path=/; Max-Age=31536000; Secure; HttpOnly; SameSite=Lax",
			 reply->language);
		add(m, "Set-Cookie", language);
	}
}

static enum MHD_Result send_reply(struct MHD_Connection *connection, struct request *r)
{
	unsigned status = r->reply.status;
	if (r->reply.page.full) {
		LOG_LIMITED(log_error, r->now, "a page is larger than %d bytes", PAGE_MAX);
		status = 500;
	}
	struct MHD_Response *m = body_of(&r->reply);
	if (!m)
		return MHD_NO;
	headers_of(m, r);
	/* After a refusal the rest of the request is not read. */
	if (r->refused)
		add(m, "Connection", "close");
	enum MHD_Result result = MHD_queue_response(connection, status, m);
	MHD_destroy_response(m);
	return result;
}

static enum MHD_Result answer(struct MHD_Connection *connection, struct request *r)
{
	struct portal *p = r->portal;
	pthread_rwlock_rdlock(&p->lock);
	r->language = language_of(p, connection);
	bool later = route_answer(r);
	enum MHD_Result result = later ? MHD_YES : send_reply(connection, r);
	pthread_rwlock_unlock(&p->lock);
	return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, struct request *r, unsigned status,
			      enum text what)
{
	struct portal *p = r->portal;
	pthread_rwlock_rdlock(&p->lock);
	r->language = language_of(p, connection);
	r->refused = true;
	page_error(r, status, what, what);
	enum MHD_Result result = send_reply(connection, r);
	pthread_rwlock_unlock(&p->lock);
	return result;
}

static bool method_known(const char *method)
{
	return strcmp(method, MHD_HTTP_METHOD_GET) == 0 ||
	       strcmp(method, MHD_HTTP_METHOD_HEAD) == 0 ||
	       strcmp(method, MHD_HTTP_METHOD_POST) == 0;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *path,
				  const char *method, const char *version, const char *bytes,
				  size_t *len, void **own)
{
	struct server *s = ctx;
	struct request *r = *own;
	unsigned status;
	if (!r) {
		*own = r = request_new(s->portal, connection, path, method);
		if (!r)
			return MHD_NO;
		if (!method_known(method)) {
			r->reply.allow = "GET, HEAD, POST";
			return refuse(connection, r, 405, TEXT_BAD_METHOD);
		}
		enum text what = refusal(r, connection, &status);
		return what == TEXT_COUNT ? MHD_YES : refuse(connection, r, status, what);
	}
	if (*len) {
		bool taken = take_body(r, bytes, *len);
		*len = 0;
		return taken ? MHD_YES : MHD_NO;
	}
	if (r->passed_over)
		return refuse(connection, r, 413, TEXT_TOO_LARGE);
	return answer(connection, r);
}

/* ---- its listeners ---- */

#define FLAGS (MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC)

enum listener { PAGES, REDIRECTS, METRICS };

static struct MHD_Daemon *start(struct server *s, int fd, enum listener l)
{
	const struct portal_config *c = s->portal->config;
	const struct MHD_OptionItem secure[] = {
		{MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)tls_retrieve},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)PRIORITIES},
		{MHD_OPTION_END, 0, NULL},
	};
	const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
	MHD_AccessHandlerCallback handler = l == PAGES     ? on_request
					    : l == METRICS ? metrics_request
							   : redirect_request;
	return MHD_start_daemon(
		FLAGS | (l == REDIRECTS ? 0 : MHD_USE_TLS), 0,
		l == METRICS ? metrics_accept : on_accept, s->portal, handler,
		l == PAGES ? (void *)s : s->portal, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_THREAD_POOL_SIZE, l == PAGES ? THREADS : 1, MHD_OPTION_CONNECTION_LIMIT,
		c->connections + SLACK, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		c->connections_per_client, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_BYTES,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(c->request_time / NS_PER_S),
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, s, MHD_OPTION_ARRAY, l == REDIRECTS ? none : secure, MHD_OPTION_END);
}

/* A listener that is replaced goes with its last connection. */
static void let_go(struct server *s)
{
	for (size_t i = 0; i < LEAVING; i++) {
		const union MHD_DaemonInfo *info =
			s->leaving[i] ? MHD_get_daemon_info(s->leaving[i],
							    MHD_DAEMON_INFO_CURRENT_CONNECTIONS)
				      : NULL;
		if (!info || info->num_connections > 0)
			continue;
		MHD_stop_daemon(s->leaving[i]);
		s->leaving[i] = NULL;
	}
}

static int on_sweep(sd_event_source *source, uint64_t now, void *ctx)
{
	struct server *s = ctx;
	unsigned late = deadline_sweep(s->portal->deadline);
	if (late)
		LOG_LIMITED(log_info, clock_now(), "%u slow connections are closed", late);
	late = checkers_late(s->portal->checkers, clock_now());
	if (late)
		LOG_LIMITED(
			log_warn, clock_now(),
			"%u people who signed in were told to try again: no checker was free; is "
			"PAM slow?",
			late);
	let_go(s);
	sd_event_source_set_time(source, now + 500000);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static struct MHD_Daemon *start_at(struct server *s, const struct endpoint *at, enum listener l,
				   struct errors *errors)
{
	int fd = listen_at(at, errors);
	struct MHD_Daemon *d = fd >= 0 ? start(s, fd, l) : NULL;
	if (fd >= 0 && !d)
		errors_add(errors, NULL, 0, "the web server of port %u cannot be started",
			   at->port);
	return d;
}

static bool start_all(struct server *s, struct errors *errors)
{
	const struct portal_config *c = s->portal->config;
	s->https = start_at(s, &c->https, PAGES, errors);
	s->http = start_at(s, &c->http, REDIRECTS, errors);
	if (c->metrics.port)
		s->metrics = start_at(s, &c->metrics, METRICS, errors);
	return s->https && s->http && (s->metrics || !c->metrics.port);
}

struct server *server_new(struct portal *p, struct errors *errors)
{
	struct server *s = calloc(1, sizeof *s);
	if (!s || !(p->deadline = deadline_new(p->config->request_time))) {
		free(s);
		return NULL;
	}
	s->portal = p;
	p->server = s;
	if (start_all(s, errors) && sd_event_add_time_relative(p->event, &s->sweep, CLOCK_MONOTONIC,
							       500000, 100000, on_sweep, s) >= 0)
		return s;
	server_free(s);
	p->server = NULL;
	return NULL;
}

/* The socket is taken back first: MHD would shut it down, and with it the service manager's, which
 * the next process is to get. */
static void stop(struct MHD_Daemon *d)
{
	if (!d)
		return;
	MHD_socket fd = MHD_quiesce_daemon(d);
	MHD_stop_daemon(d);
	if (fd != MHD_INVALID_SOCKET)
		close(fd);
}

/* MHD takes its bounds at the start alone: another that has the new ones takes the place of `old`,
 * which is left those that it serves. */
static struct MHD_Daemon *replace(struct server *s, struct MHD_Daemon *old, enum listener l)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(old, MHD_DAEMON_INFO_LISTEN_FD);
	size_t i = 0;
	while (i < LEAVING && s->leaving[i])
		i++;
	int fd = info && i < LEAVING ? fcntl(info->listen_fd, F_DUPFD_CLOEXEC, 0) : -1;
	struct MHD_Daemon *d = fd >= 0 ? start(s, fd, l) : NULL;
	if (!d && fd >= 0)
		close(fd);
	if (!d)
		return NULL;
	close(MHD_quiesce_daemon(old));
	s->leaving[i] = old;
	return d;
}

bool server_reload(struct server *s, const struct portal_config *before)
{
	const struct portal_config *c = s->portal->config;
	deadline_limit(s->portal->deadline, c->request_time);
	if (before->connections == c->connections && before->request_time == c->request_time &&
	    before->connections_per_client == c->connections_per_client)
		return true;
	struct MHD_Daemon *https = replace(s, s->https, PAGES),
			  *http = replace(s, s->http, REDIRECTS),
			  *metrics = s->metrics ? replace(s, s->metrics, METRICS) : NULL;
	bool all = https && http && (metrics || !s->metrics);
	s->https = https ? https : s->https;
	s->http = http ? http : s->http;
	s->metrics = metrics ? metrics : s->metrics;
	return all;
}

void server_free(struct server *s)
{
	if (!s)
		return;
	sd_event_source_disable_unref(s->sweep);
	stop(s->https);
	stop(s->http);
	stop(s->metrics);
	for (size_t i = 0; i < LEAVING; i++)
		if (s->leaving[i])
			MHD_stop_daemon(s->leaving[i]); /* its socket was taken back before */
	deadline_free(s->portal->deadline);
	s->portal->deadline = NULL;
	free(s);
}
