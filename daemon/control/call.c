#include "control/call.h"

#include "control/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

struct call {
	int fd;
	FILE *from;
	char *line;
	size_t cap;
};

static int connect_to(const char *socket_path, unsigned seconds)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = seconds};
	if (strlen(socket_path) >= sizeof at.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(at.sun_path, socket_path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if ((seconds && (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0 ||
			 setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0)) ||
	    connect(fd, (struct sockaddr *)&at, sizeof at) < 0) {
		int e = errno;
		close(fd);
		errno = e;
		return -1;
	}
	return fd;
}

struct call *call_open(const char *socket_path, unsigned seconds)
{
	int fd = connect_to(socket_path, seconds);
	if (fd < 0)
		return NULL;
	struct call *c = calloc(1, sizeof *c);
	if (c && (c->from = fdopen(fd, "r"))) {
		c->fd = fd;
		return c;
	}
	close(fd);
	free(c);
	errno = ENOMEM;
	return NULL;
}

void call_close(struct call *c)
{
	if (!c)
		return;
	fclose(c->from);
	free(c->line);
	free(c);
}

int call_fd(const struct call *c)
{
	return c->fd;
}

bool call_send(struct call *c, const char *command, json_t *members)
{
	json_t *request = members ? members : json_object();
	json_object_set_new(request, "id", json_integer(1));
	json_object_set_new(request, "v", json_integer(CONTROL_VERSION));
	json_object_set_new(request, "command", json_string(command));
	char *text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	size_t len = text ? strlen(text) : 0, sent = 0;
	if (text)
		text[len++] = '\n'; /* over its NUL */
	while (text && sent < len) {
		ssize_t n = send(c->fd, text + sent, len - sent, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			break;
		sent += n > 0 ? (size_t)n : 0;
	}
	free(text);
	return text && sent == len;
}

json_t *call_receive(struct call *c)
{
	errno = 0;
	ssize_t len = getline(&c->line, &c->cap, c->from);
	if (len <= 0)
		return NULL;
	json_t *answer = json_loadb(c->line, (size_t)len, 0, NULL);
	if (!answer)
		errno = EBADMSG;
	return answer;
}
