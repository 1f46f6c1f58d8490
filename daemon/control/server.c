#include "control/client.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define READERS_MAX (CONTROL_CLIENTS * 3 / 4) /* the rest is for root and the portal */
#define GROUPS_MAX  1024

/* ---- one client ---- */

static void client_free(struct client *cl)
{
	struct control *c = cl->control;
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		if (c->clients[i] == cl)
			c->clients[i] = NULL;
	if (cl->watch.on)
		atomic_fetch_sub(&c->watching.watchers, 1);
	c->counters.clients--;
	json_decref(cl->rows.id);
	json_decref(cl->rows.filter);
	json_decref(cl->reload);
	sd_event_source_disable_unref(cl->io);
	close(cl->fd);
	free(cl->out);
	free(cl);
}

static void too_long(struct client *cl)
{
	static const char answer[] = "{\"id\":null,\"ok\":false,\"code\":\"bad-request\","
				     "\"error\":\"the request is too long\"}";
	cl->control->counters.bad_requests++;
	client_put(cl, answer, sizeof answer - 1);
	cl->in_len = 0;
	cl->closing = true;
}

static void take_lines(struct client *cl)
{
	size_t done = 0;
	while (client_takes(cl)) {
		char *start = cl->in + done, *end = memchr(start, '\n', cl->in_len - done);
		if (!end)
			break;
		done = (size_t)(end + 1 - cl->in);
		command_run(cl, start, (size_t)(end - start));
	}
	memmove(cl->in, cl->in + done, cl->in_len - done);
	cl->in_len -= done;
	if (cl->in_len == sizeof cl->in && client_takes(cl))
		too_long(cl);
}

static void take_bytes(struct client *cl)
{
	ssize_t n = recv(cl->fd, cl->in + cl->in_len, sizeof cl->in - cl->in_len, MSG_DONTWAIT);
	if (n > 0)
		cl->in_len += (size_t)n;
	else if (n == 0)
		cl->eof = true;
	else if (errno != EAGAIN && errno != EINTR)
		client_fail(cl);
}

static bool at_end(const struct client *cl)
{
	bool busy = cl->out_len || cl->rows.id || cl->reload || memchr(cl->in, '\n', cl->in_len);
	return (cl->closing && !cl->out_len) || (cl->eof && !busy && !cl->watch.on);
}

static int on_client(sd_event_source *io, int fd, uint32_t events, void *ctx)
{
	struct client *cl = ctx;
	if ((events & EPOLLIN) && cl->in_len < sizeof cl->in)
		take_bytes(cl);
	else if (events & (EPOLLHUP | EPOLLERR))
		client_fail(cl);
	client_flush(cl);
	take_lines(cl);
	if (cl->rows.id)
		command_rows(cl);
	client_flush(cl);
	/* What was read before the buffers had room waits no longer. */
	if (client_takes(cl) && memchr(cl->in, '\n', cl->in_len))
		sd_event_source_set_io_events(cl->io, EPOLLIN | EPOLLOUT);
	else if (cl->rows.id)
		sd_event_source_set_io_events(cl->io, EPOLLOUT);
	if (at_end(cl))
		client_free(cl);
	return 0;
}

static size_t free_place(const struct control *c, enum control_right right)
{
	size_t readers = 0, place = CONTROL_CLIENTS;
	for (size_t i = CONTROL_CLIENTS; i-- > 0;) {
		if (!c->clients[i])
			place = i;
		else if (c->clients[i]->right == CONTROL_READ)
			readers++;
	}
	return right == CONTROL_READ && readers >= READERS_MAX ? CONTROL_CLIENTS : place;
}

int control_adopt(struct control *c, int fd, enum control_right right)
{
	size_t place = free_place(c, right);
	struct client *cl = place < CONTROL_CLIENTS ? calloc(1, sizeof *cl) : NULL;
	int e = place < CONTROL_CLIENTS ? -ENOMEM : -EUSERS;
	if (cl && (cl->out = malloc(CONTROL_OUT_MAX)))
		e = sd_event_add_io(c->o.event, &cl->io, fd, EPOLLIN, on_client, cl);
	if (e < 0) {
		c->counters.refused_clients++;
		if (cl)
			free(cl->out);
		free(cl);
		close(fd);
		return e;
	}
	cl->control = c;
	cl->fd = fd;
	cl->right = right;
	c->clients[place] = cl;
	c->counters.clients++;
	return 0;
}

/* ---- who may connect ---- */

static bool in_group(int fd, gid_t primary, gid_t group)
{
	static gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof groups;
	if (group == (gid_t)-1)
		return false;
	if (primary == group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof *groups; i++)
		if (groups[i] == group)
			return true;
	return false;
}

static enum control_right right_of(const struct control *c, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof peer;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return CONTROL_NONE;
	if (peer.uid == 0 || peer.uid == geteuid() || peer.uid == c->portal)
		return CONTROL_MANAGE;
	return in_group(fd, peer.gid, c->readers) ? CONTROL_READ : CONTROL_NONE;
}

static int on_connect(sd_event_source *io, int listener, uint32_t events, void *ctx)
{
	static const char answer[] =
		"{\"id\":null,\"ok\":false,\"code\":\"denied\",\"error\":\"only root, "
		"tiergate-portal and the group tiergate may ask\"}\n";
	struct control *c = ctx;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return 0;
	enum control_right right = right_of(c, fd);
	if (right != CONTROL_NONE) {
		int e = control_adopt(c, fd, right);
		if (e < 0)
			LOG_LIMITED(log_warn, clock_now(),
				    "control socket: a client is refused: %s", strerror(-e));
		return 0;
	}
	c->counters.refused_clients++;
	send(fd, answer, sizeof answer - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
	return 0;
}

/* ---- all of it ---- */

/* A socket that nobody listens at is left over from a crash; one that answers is another daemon's.
 */
static int listen_at(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof at.sun_path)
		return -ENAMETOOLONG;
	strcpy(at.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	struct stat st;
	int e = 0;
	if (connect(fd, (struct sockaddr *)&at, sizeof at) == 0 || errno == EAGAIN)
		e = -EADDRINUSE;
	else if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path);
	/* Peer credentials decide, so that everybody may try. */
	if (e == 0 && (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || chmod(path, 0666) < 0 ||
		       listen(fd, 64) < 0))
		e = -errno;
	if (e < 0)
		close(fd);
	return e < 0 ? e : fd;
}

static bool start(struct control *c, struct errors *errors)
{
	int e = watching_init(c);
	if (e >= 0 && c->o.socket) {
		e = c->listener = listen_at(c->o.socket);
		if (e >= 0)
			e = sd_event_add_io(c->o.event, &c->listen_io, c->listener, EPOLLIN,
					    on_connect, c);
	}
	if (e < 0)
		errors_add(errors, c->o.socket, 0, "the control socket cannot be opened: %s",
			   strerror(-e));
	return e >= 0;
}

struct control *control_new(const struct control_options *o, struct errors *errors)
{
	struct control *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	c->o = *o;
	c->listener = c->watching.event_fd = -1;
	struct passwd *portal = getpwnam("tiergate-portal");
	struct group *readers = getgrnam("tiergate");
	c->portal = portal ? portal->pw_uid : (uid_t)-1;
	c->readers = readers ? readers->gr_gid : (gid_t)-1;
	if (start(c, errors))
		return c;
	control_free(c);
	return NULL;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		if (c->clients[i])
			client_free(c->clients[i]);
	sd_event_source_disable_unref(c->listen_io);
	if (c->listener >= 0) {
		close(c->listener);
		unlink(c->o.socket);
	}
	watching_deinit(c);
	told_deinit(&c->told);
	free(c);
}

void control_count(const struct control *c, struct control_counters *out)
{
	*out = c->counters;
}

static const struct metric rows[] = {
	METRIC(control_counters, clients, COUNTER, "connections",
	       "connections to the control socket"),
	METRIC(control_counters, refused_clients, COUNTER, "connections",
	       "connections refused, there being too many"),
	METRIC(control_counters, requests, COUNTER, "requests", "requests that came"),
	METRIC(control_counters, bad_requests, COUNTER, "requests", "requests that were refused"),
	METRIC(control_counters, lost_lines, COUNTER, "records",
	       "records that a watcher was too slow for"),
};
METRICS(control_metrics, "control", control_counters, rows);
