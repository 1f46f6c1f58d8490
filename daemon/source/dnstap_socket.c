#include "source/dnstap_socket.h"
#include "base/clock.h"
#include "base/cursor.h"
#include "dns/dnstap.h"

#include <errno.h>
#include <fstrm.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTIONS 8
#define FRAME_MAX   (2 * 65536 + 1024) /* a query, its answer, and what is told of them */

struct connection {
	int fd;                /* -1: free */
	bool started, answers; /* a START came; a READY came, so STOP is answered by FINISH */
	uint64_t used;
	size_t len;
	uint8_t *bytes; /* FRAME_MAX + 8 */
};

struct dnstap_socket {
	char path[sizeof((struct sockaddr_un *)0)->sun_path];
	int listen, stop;
	struct seen *seen;
	pthread_t thread;
	bool running;
	uint64_t clock;
	struct fstrm_control *control;
	struct connection connection[CONNECTIONS];
	_Atomic uint64_t connections, frames, answers, malformed, broken;
};

/* Frames */

static bool reply(struct dnstap_socket *s, struct connection *c, fstrm_control_type type)
{
	uint8_t bytes[FSTRM_CONTROL_FRAME_LENGTH_MAX + 8];
	size_t len = sizeof bytes;
	const uint8_t *content = (const uint8_t *)DNSTAP_CONTENT_TYPE;
	fstrm_control_reset(s->control);
	if (fstrm_control_set_type(s->control, type) != fstrm_res_success)
		return false;
	if (type == FSTRM_CONTROL_ACCEPT &&
	    fstrm_control_add_field_content_type(s->control, content,
						 strlen(DNSTAP_CONTENT_TYPE)) != fstrm_res_success)
		return false;
	if (fstrm_control_encode(s->control, bytes, &len, FSTRM_CONTROL_FLAG_WITH_HEADER) !=
	    fstrm_res_success)
		return false;
	return send(c->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
}

/* PARSE_MORE: the connection goes on; PARSE_ABSENT: it ends as it should. */
static enum parse take_control(struct dnstap_socket *s, struct connection *c, struct cursor frame)
{
	fstrm_control_type type;
	const uint8_t *content = (const uint8_t *)DNSTAP_CONTENT_TYPE;
	fstrm_control_reset(s->control);
	if (cursor_left(&frame) > FSTRM_CONTROL_FRAME_LENGTH_MAX ||
	    fstrm_control_decode(s->control, frame.pos, cursor_left(&frame), 0) !=
		    fstrm_res_success ||
	    fstrm_control_get_type(s->control, &type) != fstrm_res_success)
		return PARSE_BAD;
	bool ours = fstrm_control_match_field_content_type(
			    s->control, content, strlen(DNSTAP_CONTENT_TYPE)) == fstrm_res_success;
	if (type == FSTRM_CONTROL_READY && ours && !c->started) {
		c->answers = true;
		return reply(s, c, FSTRM_CONTROL_ACCEPT) ? PARSE_MORE : PARSE_BAD;
	}
	if (type == FSTRM_CONTROL_START && ours && !c->started) {
		c->started = true;
		return PARSE_MORE;
	}
	if (type != FSTRM_CONTROL_STOP)
		return PARSE_BAD;
	if (c->answers)
		reply(s, c, FSTRM_CONTROL_FINISH);
	return PARSE_ABSENT;
}

static void take_data(struct dnstap_socket *s, struct cursor frame, int64_t now)
{
	enum parse parsed = dnstap_note(s->seen, frame, now);
	atomic_fetch_add_explicit(&s->frames, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->answers, parsed == PARSE_OK, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->malformed, parsed == PARSE_BAD, memory_order_relaxed);
}

/* The next whole frame in c; PARSE_MORE where it has not come whole. */
static enum parse next_frame(struct cursor *c, bool *is_control, struct cursor *frame)
{
	struct cursor ahead = *c;
	uint32_t len = cursor_u32(&ahead);
	*is_control = !ahead.bad && len == 0;
	if (*is_control)
		len = cursor_u32(&ahead);
	if (ahead.bad)
		return PARSE_MORE;
	if (len > FRAME_MAX)
		return PARSE_BAD;
	*frame = cursor_sub(&ahead, len);
	if (ahead.bad)
		return PARSE_MORE;
	*c = ahead;
	return PARSE_OK;
}

/* Takes all whole frames; what is left moves to the front. Returns as take_control does. */
static enum parse take_frames(struct dnstap_socket *s, struct connection *c, int64_t now)
{
	struct cursor all = cursor_of(c->bytes, c->len), frame;
	bool is_control;
	enum parse parsed;
	while ((parsed = next_frame(&all, &is_control, &frame)) == PARSE_OK) {
		if (is_control)
			parsed = take_control(s, c, frame);
		else if (c->started)
			take_data(s, frame, now);
		else
			parsed = PARSE_BAD;
		if (parsed == PARSE_ABSENT || parsed == PARSE_BAD)
			return parsed;
	}
	c->len = cursor_left(&all);
	memmove(c->bytes, all.pos, c->len);
	return parsed;
}

/* Connections */

static void hang_up(struct connection *c)
{
	close(c->fd);
	free(c->bytes);
	*c = (struct connection){.fd = -1};
}

/* A newcomer takes a free place, or that of the connection that has been silent longest: a
 * resolver that was cut off comes again, one that hangs does not keep others out. */
static void welcome(struct dnstap_socket *s)
{
	int fd = accept4(s->listen, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	struct connection *place = &s->connection[0];
	for (int i = 1; i < CONNECTIONS; i++)
		if (s->connection[i].used < place->used)
			place = &s->connection[i];
	if (place->fd >= 0)
		hang_up(place);
	*place = (struct connection){.fd = fd, .used = ++s->clock, .bytes = malloc(FRAME_MAX + 8)};
	if (!place->bytes)
		hang_up(place);
	else
		atomic_fetch_add_explicit(&s->connections, 1, memory_order_relaxed);
}

static void listen_to(struct dnstap_socket *s, struct connection *c)
{
	ssize_t n = recv(c->fd, c->bytes + c->len, FRAME_MAX + 8 - c->len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		hang_up(c);
		return;
	}
	c->used = ++s->clock;
	c->len += (size_t)n;
	enum parse parsed = take_frames(s, c, clock_now());
	if (parsed == PARSE_BAD)
		atomic_fetch_add_explicit(&s->broken, 1, memory_order_relaxed);
	if (parsed != PARSE_MORE)
		hang_up(c);
}

static void *work(void *arg)
{
	struct dnstap_socket *s = arg;
	struct pollfd wait[CONNECTIONS + 2];
	for (;;) {
		wait[CONNECTIONS] = (struct pollfd){.fd = s->listen, .events = POLLIN};
		wait[CONNECTIONS + 1] = (struct pollfd){.fd = s->stop, .events = POLLIN};
		for (int i = 0; i < CONNECTIONS; i++)
			wait[i] = (struct pollfd){.fd = s->connection[i].fd, .events = POLLIN};
		if (poll(wait, CONNECTIONS + 2, -1) < 0 && errno != EINTR)
			return NULL;
		if (wait[CONNECTIONS + 1].revents)
			return NULL;
		for (int i = 0; i < CONNECTIONS; i++)
			if (wait[i].revents)
				listen_to(s, &s->connection[i]);
		if (wait[CONNECTIONS].revents)
			welcome(s);
	}
}

/* Life */

static bool bind_socket(struct dnstap_socket *s)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct stat old;
	memcpy(at.sun_path, s->path, sizeof at.sun_path);
	if (lstat(s->path, &old) == 0 && S_ISSOCK(old.st_mode))
		unlink(s->path);
	s->listen = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return s->listen >= 0 && bind(s->listen, (struct sockaddr *)&at, sizeof at) == 0 &&
	       chmod(s->path, 0660) == 0 && listen(s->listen, CONNECTIONS) == 0;
}

struct dnstap_socket *dnstap_socket_open(const char *path, struct seen *seen, struct errors *errors)
{
	struct dnstap_socket *s = calloc(1, sizeof *s);
	if (!s || strlen(path) >= sizeof s->path) {
		errors_add(errors, path, 0, "%s", s ? "too long for a socket's path" : "no memory");
		free(s);
		return NULL;
	}
	strcpy(s->path, path);
	s->seen = seen;
	s->listen = -1;
	for (int i = 0; i < CONNECTIONS; i++)
		s->connection[i].fd = -1;
	s->control = fstrm_control_init();
	s->stop = eventfd(0, EFD_CLOEXEC);
	if (s->control && s->stop >= 0 && bind_socket(s)) {
		int err = pthread_create(&s->thread, NULL, work, s);
		s->running = err == 0;
		errno = err;
	}
	if (s->running)
		return s;
	errors_add(errors, path, 0, "can't listen for dnstap: %s", strerror(errno));
	dnstap_socket_close(s);
	return NULL;
}

void dnstap_socket_close(struct dnstap_socket *s)
{
	if (!s)
		return;
	uint64_t one = 1;
	if (s->running && write(s->stop, &one, sizeof one) == sizeof one)
		pthread_join(s->thread, NULL);
	for (int i = 0; i < CONNECTIONS; i++)
		if (s->connection[i].fd >= 0)
			hang_up(&s->connection[i]);
	if (s->listen >= 0)
		close(s->listen);
	if (s->running)
		unlink(s->path);
	if (s->stop >= 0)
		close(s->stop);
	fstrm_control_destroy(&s->control);
	free(s);
}

void dnstap_count(const struct dnstap_socket *s, struct dnstap_counters *out)
{
	out->connections = atomic_load_explicit(&s->connections, memory_order_relaxed);
	out->frames = atomic_load_explicit(&s->frames, memory_order_relaxed);
	out->answers = atomic_load_explicit(&s->answers, memory_order_relaxed);
	out->malformed = atomic_load_explicit(&s->malformed, memory_order_relaxed);
	out->broken = atomic_load_explicit(&s->broken, memory_order_relaxed);
}

static const struct metric rows[] = {
	METRIC(dnstap_counters, connections, COUNTER, "connections", "connections of resolvers"),
	METRIC(dnstap_counters, frames, COUNTER, "messages", "messages read"),
	METRIC(dnstap_counters, answers, COUNTER, "messages",
	       "messages that told of an answer to a client"),
	METRIC(dnstap_counters, malformed, COUNTER, "messages", "messages that could not be read"),
	METRIC(dnstap_counters, broken, COUNTER, "connections",
	       "connections ended for what they sent"),
};
METRICS(dnstap_metrics, "dnstap", dnstap_counters, rows);
