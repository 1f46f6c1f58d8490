/* rig: the portal's server without sockets. The functions of libmicrohttpd that it calls are here,
 * and so are the daemon's answers (control/call.h): a request goes in through the callbacks that
 * server.c gave to MHD_start_daemon, and what it queues is the answer. Checkers run as they do. */
#pragma once
#include "../no_memory.h"
#include "base/clock.h"
#include "portal/assets.h"
#include "portal/checker.h"
#include "portal/deadline.h"
#include "portal/limit.h"
#include "portal/portal.h"
#include "portal/server.h"

#include "rig_daemon.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- libmicrohttpd ---- */

struct MHD_Daemon {
	int fd; /* MHD_INVALID_SOCKET: taken back */
	bool tls, stopped;
	unsigned flags, threads, limit, per_client, timeout, connections;
	size_t memory;
	MHD_AcceptPolicyCallback on_accept;
	void *accept_ctx;
	MHD_AccessHandlerCallback on_request;
	void *request_ctx;
	MHD_NotifyConnectionCallback on_connection;
	void *connection_ctx;
	MHD_RequestCompletedCallback on_completed;
	void *completed_ctx;
};

struct MHD_Connection {
	struct MHD_Daemon *daemon;
	union MHD_ConnectionInfo address, fd, context;
	struct sockaddr_storage peer;
	const char *const *headers; /* name, value, ..., NULL */
	const char *query;          /* "a=b&c=d", decoded already */
	char value[2048];
	pthread_mutex_t lock;
	pthread_cond_t more;
	bool suspended, was_suspended, lost;
	struct MHD_Response *response;
	unsigned status;
};

struct MHD_Response {
	char headers[4096];
	void *data;
	size_t len;
	enum MHD_ResponseMemoryMode mode;
	unsigned held;
};

#define RIG_DAEMONS 256
static struct MHD_Daemon
	*rig_daemons[RIG_DAEMONS]; /* in the order of their start; all that ever were */
static unsigned rig_started;
static bool rig_cannot_start;

static void rig_options(struct MHD_Daemon *d, va_list more)
{
	for (enum MHD_OPTION o; (o = va_arg(more, enum MHD_OPTION)) != MHD_OPTION_END;) {
		switch (o) {
		case MHD_OPTION_LISTEN_SOCKET: d->fd = va_arg(more, int); break;
		case MHD_OPTION_THREAD_POOL_SIZE: d->threads = va_arg(more, unsigned); break;
		case MHD_OPTION_CONNECTION_LIMIT: d->limit = va_arg(more, unsigned); break;
		case MHD_OPTION_PER_IP_CONNECTION_LIMIT:
			d->per_client = va_arg(more, unsigned);
			break;
		case MHD_OPTION_CONNECTION_MEMORY_LIMIT: d->memory = va_arg(more, size_t); break;
		case MHD_OPTION_CONNECTION_TIMEOUT: d->timeout = va_arg(more, unsigned); break;
		case MHD_OPTION_NOTIFY_CONNECTION:
			d->on_connection = va_arg(more, MHD_NotifyConnectionCallback);
			d->connection_ctx = va_arg(more, void *);
			break;
		case MHD_OPTION_NOTIFY_COMPLETED:
			d->on_completed = va_arg(more, MHD_RequestCompletedCallback);
			d->completed_ctx = va_arg(more, void *);
			break;
		case MHD_OPTION_ARRAY:
			d->tls = va_arg(more, struct MHD_OptionItem *)->option ==
				 MHD_OPTION_HTTPS_CERT_CALLBACK;
			break;
		default: RIG_MUST(!"an option that the rig knows");
		}
	}
}

struct MHD_Daemon *MHD_start_daemon(unsigned flags, uint16_t port, MHD_AcceptPolicyCallback accept,
				    void *accept_ctx, MHD_AccessHandlerCallback request,
				    void *request_ctx, ...)
{
	va_list more;
	if (rig_cannot_start)
		return NULL;
	struct MHD_Daemon *d = calloc(1, sizeof *d);
	RIG_MUST(rig_started < RIG_DAEMONS);
	if (!d)
		return NULL;
	d->flags = flags;
	d->on_accept = accept;
	d->accept_ctx = accept_ctx;
	d->on_request = request;
	d->request_ctx = request_ctx;
	va_start(more, request_ctx);
	rig_options(d, more);
	va_end(more);
	return rig_daemons[rig_started++] = d;
}

/* As MHD does: a socket that was not taken back is shut down. */
void MHD_stop_daemon(struct MHD_Daemon *d)
{
	RIG_MUST(!d->stopped && !d->connections);
	d->stopped = true;
	if (d->fd != MHD_INVALID_SOCKET) {
		shutdown(d->fd, SHUT_RDWR);
		close(d->fd);
	}
}

MHD_socket MHD_quiesce_daemon(struct MHD_Daemon *d)
{
	MHD_socket fd = d->fd;
	RIG_MUST(!d->stopped && fd != MHD_INVALID_SOCKET);
	d->fd = MHD_INVALID_SOCKET;
	return fd;
}

const union MHD_DaemonInfo *MHD_get_daemon_info(struct MHD_Daemon *d, enum MHD_DaemonInfoType what,
						...)
{
	static union MHD_DaemonInfo info;
	RIG_MUST(!d->stopped);
	if (what == MHD_DAEMON_INFO_LISTEN_FD)
		info.listen_fd = d->fd;
	else
		info.num_connections = d->connections;
	return &info;
}

const union MHD_ConnectionInfo *MHD_get_connection_info(struct MHD_Connection *c,
							enum MHD_ConnectionInfoType what, ...)
{
	return what == MHD_CONNECTION_INFO_CLIENT_ADDRESS  ? &c->address
	       : what == MHD_CONNECTION_INFO_CONNECTION_FD ? &c->fd
							   : &c->context;
}

/* The value of `name` in a list of pairs with a separator. */
static const char *rig_pair(struct MHD_Connection *c, const char *list, const char *name,
			    const char *separator)
{
	size_t len = strlen(name);
	for (const char *at = list; at && *at; at += strspn(at, separator)) {
		size_t n = strcspn(at, separator);
		if (n > len && strncmp(at, name, len) == 0 && at[len] == '=') {
			snprintf(c->value, sizeof c->value, "%.*s", (int)(n - len - 1),
				 at + len + 1);
			return c->value;
		}
		at += n;
	}
	return NULL;
}

const char *MHD_lookup_connection_value(struct MHD_Connection *c, enum MHD_ValueKind kind,
					const char *name)
{
	if (kind == MHD_GET_ARGUMENT_KIND)
		return rig_pair(c, c->query, name, "&");
	const char *wanted = kind == MHD_COOKIE_KIND ? "Cookie" : name;
	for (const char *const *h = c->headers; *h; h += 2)
		if (strcasecmp(h[0], wanted) == 0)
			return kind == MHD_COOKIE_KIND ? rig_pair(c, h[1], name, "; ") : h[1];
	return NULL;
}

struct MHD_Response *MHD_create_response_from_buffer(size_t len, void *data,
						     enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *m = calloc(1, sizeof *m);
	if (!m)
		return NULL;
	m->held = 1;
	m->len = len;
	m->mode = mode;
	m->data = data;
	if (mode == MHD_RESPMEM_MUST_COPY) {
		m->data = malloc(len + 1);
		if (!m->data) {
			free(m);
			return NULL;
		}
		memcpy(m->data, data, len);
	}
	return m;
}

enum MHD_Result MHD_add_response_header(struct MHD_Response *m, const char *name, const char *value)
{
	size_t at = strlen(m->headers);
	RIG_MUST(!strpbrk(value, "\r\n")); /* no header is split */
	snprintf(m->headers + at, sizeof m->headers - at, "%s: %s\n", name, value);
	return MHD_YES;
}

void MHD_destroy_response(struct MHD_Response *m)
{
	if (--m->held)
		return;
	free(m->data);
	free(m);
}

enum MHD_Result MHD_queue_response(struct MHD_Connection *c, unsigned status,
				   struct MHD_Response *m)
{
	RIG_MUST(!c->response);
	c->status = status;
	c->response = m;
	m->held++;
	return MHD_YES;
}

void MHD_suspend_connection(struct MHD_Connection *c)
{
	pthread_mutex_lock(&c->lock);
	RIG_MUST(!c->suspended);
	c->suspended = c->was_suspended = true;
	pthread_mutex_unlock(&c->lock);
}

void MHD_resume_connection(struct MHD_Connection *c)
{
	pthread_mutex_lock(&c->lock);
	RIG_MUST(c->suspended);
	c->suspended = false;
	pthread_cond_signal(&c->more);
	pthread_mutex_unlock(&c->lock);
}

/* ---- the portal ---- */

static char rig_folder[] = "/tmp/tiergate-pages-XXXXXX", rig_conf[64];
static struct portal rig_portal = {.lock = PTHREAD_RWLOCK_INITIALIZER};

static void rig_write(const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", rig_folder, name);
	FILE *f = fopen(path, "w");
	RIG_MUST(f && fputs(text, f) >= 0 && fclose(f) == 0 && chmod(path, 0640) == 0);
}

/* portal.conf with more options, in rig_conf; read. Files are named from the folder. */
static struct portal_config *rig_config(const char *more)
{
	char text[2048];
	struct errors errors = {0};
	snprintf(
		text, sizeof text,
		"url = \"https://gate.example\"; certificate = \"%1$s/crt\"; key = \"%1$s/key\";\n"
		"https = \"127.0.0.1:1\"; http = \"127.0.0.1:1\"; users_file = \"%1$s/users\";\n"
		"vouchers_file = \"%1$s/vouchers\"; state_dir = \"%1$s\"; texts = \"%1$s/texts\";\n"
		"%2$s\n",
		rig_folder, more);
	rig_write("portal.conf", text);
	snprintf(rig_conf, sizeof rig_conf, "%s/portal.conf", rig_folder);
	struct portal_config *c = portal_config_load(rig_conf, &errors);
	errors_print(&errors, stderr);
	RIG_MUST(c);
	c->https.port = c->http.port = 0; /* any that is free */
	return c;
}

/* A portal of a configuration, with a server and checkers; its daemon knows nobody. */
static void rig_begin(const char *more, unsigned threads)
{
	struct errors errors = {0};
	struct portal *p = &rig_portal;
	memset(&rig_daemon, 0, sizeof rig_daemon);
	p->config = rig_config(more);
	p->config_file = rig_conf;
	p->assets = assets_load(p->config, &errors);
	errors_print(&errors, stderr);
	p->cookies = cookies_new();
	p->limit = limit_new();
	RIG_MUST(sd_event_new(&p->event) >= 0);
	p->checkers = checkers_new(p, threads);
	RIG_MUST(p->assets && p->cookies && p->limit && p->checkers && server_new(p, &errors));
}

static void rig_end(void)
{
	struct portal *p = &rig_portal;
	checkers_stop(p->checkers);
	server_free(p->server);
	checkers_free(p->checkers);
	for (unsigned i = 0; i < rig_started; i++) {
		RIG_MUST(rig_daemons[i]->stopped);
		free(rig_daemons[i]);
	}
	rig_started = 0;
	assets_free(p->assets);
	cookies_free(p->cookies);
	limit_free(p->limit);
	sd_event_unref(p->event);
	portal_config_free(p->config);
}

/* ---- a browser ---- */

struct rig_ask {
	const char *method, *path, *query;
	const char *from; /* an address */
	const char *const *headers;
	const char *body;
	size_t body_len, piece; /* how many bytes of it come at once; 0: all */
};

struct rig_got {
	bool closed; /* without an answer */
	bool waited; /* for a checker */
	unsigned status;
	char headers[4096];
	char *body; /* the caller's, NUL-terminated */
	size_t len;
};

static void rig_connect(struct MHD_Connection *c, struct MHD_Daemon *d, const char *from)
{
	struct address a;
	memset(c, 0, sizeof *c);
	RIG_MUST(address_parse(from, &a));
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(40000)};
	memcpy(&six.sin6_addr, a.bytes, 16);
	memcpy(&c->peer, &six, sizeof six);
	c->address.client_addr = (struct sockaddr *)&c->peer;
	c->fd.connect_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	c->daemon = d;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->more, NULL);
	d->connections++;
	d->on_connection(d->connection_ctx, c, &c->context.socket_context,
			 MHD_CONNECTION_NOTIFY_STARTED);
}

static void rig_disconnect(struct MHD_Connection *c)
{
	c->daemon->on_connection(c->daemon->connection_ctx, c, &c->context.socket_context,
				 MHD_CONNECTION_NOTIFY_CLOSED);
	RIG_MUST(!c->context.socket_context);
	c->daemon->connections--;
	close(c->fd.connect_fd);
}

/* One request as MHD gives it on: its head, its body, its end, and again when it goes on. */
static enum MHD_Result rig_run(struct MHD_Connection *c, const struct rig_ask *ask, void **own)
{
	struct MHD_Daemon *d = c->daemon;
	size_t len = 0, at = 0, size = ask->body_len;
	enum MHD_Result result = d->on_request(d->request_ctx, c, ask->path, ask->method,
					       "HTTP/1.1", NULL, &len, own);
	while (result == MHD_YES && !c->response && at < size) {
		size_t piece = ask->piece && ask->piece < size - at ? ask->piece : size - at;
		len = piece;
		result = d->on_request(d->request_ctx, c, ask->path, ask->method, "HTTP/1.1",
				       ask->body + at, &len, own);
		RIG_MUST(len == 0);
		at += piece;
	}
	while (result == MHD_YES && !c->response) {
		len = 0;
		result = d->on_request(d->request_ctx, c, ask->path, ask->method, "HTTP/1.1", NULL,
				       &len, own);
		pthread_mutex_lock(&c->lock);
		RIG_MUST(result == MHD_NO || c->response || c->was_suspended);
		while (c->suspended)
			pthread_cond_wait(&c->more, &c->lock);
		pthread_mutex_unlock(&c->lock);
	}
	return result;
}

/* On a connection that is there. */
static struct rig_got rig_request(struct MHD_Connection *c, const struct rig_ask *ask)
{
	struct rig_got got = {0};
	void *own = NULL;
	c->headers = ask->headers;
	c->query = ask->query;
	c->response = NULL;
	c->was_suspended = false;
	got.closed = rig_run(c, ask, &own) == MHD_NO;
	no_memory_end(); /* of the portal, not of the rig */
	got.waited = c->was_suspended;
	got.body = calloc(1, 1);
	if (c->response) {
		struct MHD_Response *m = c->response;
		got.status = c->status;
		got.len = m->len;
		memcpy(got.headers, m->headers, sizeof got.headers);
		RIG_MUST(got.body = realloc(got.body, m->len + 1));
		if (m->len)
			memcpy(got.body, m->data, m->len);
		got.body[m->len] = '\0';
		MHD_destroy_response(m);
	}
	if (c->daemon->on_completed)
		c->daemon->on_completed(c->daemon->completed_ctx, c, &own,
					MHD_REQUEST_TERMINATED_COMPLETED_OK);
	RIG_MUST(!own);
	return got;
}

/* On one of its own, at the first daemon that serves pages, or at the plain one. */
static struct rig_got rig_ask(const struct rig_ask *ask, bool tls)
{
	struct MHD_Connection c;
	struct MHD_Daemon *d = NULL;
	for (unsigned i = 0; i < rig_started; i++)
		if (rig_daemons[i]->tls == tls && rig_daemons[i]->fd != MHD_INVALID_SOCKET)
			d = rig_daemons[i];
	RIG_MUST(d);
	rig_connect(&c, d, ask->from ? ask->from : "10.0.0.7");
	struct rig_got got = rig_request(&c, ask);
	rig_disconnect(&c);
	return got;
}
