#include "control/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define OUT_LOW (CONTROL_OUT_MAX / 4) /* no request is taken beyond this */

size_t client_room(const struct client *cl)
{
	return CONTROL_OUT_MAX - (cl->out_len - cl->out_off);
}

bool client_put(struct client *cl, const char *text, size_t len)
{
	if (len + 1 > client_room(cl))
		return false;
	if (len + 1 > CONTROL_OUT_MAX - cl->out_len) {
		memmove(cl->out, cl->out + cl->out_off, cl->out_len - cl->out_off);
		cl->out_len -= cl->out_off;
		cl->out_off = 0;
	}
	memcpy(cl->out + cl->out_len, text, len);
	cl->out[cl->out_len + len] = '\n';
	cl->out_len += len + 1;
	return true;
}

bool client_put_json(struct client *cl, const json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT);
	bool put = text && client_put(cl, text, strlen(text));
	free(text);
	return put;
}

void client_fail(struct client *cl)
{
	cl->closing = true;
	cl->out_off = cl->out_len = 0;
}

bool client_takes(const struct client *cl)
{
	return !cl->closing && !cl->rows.id && !cl->reload && cl->out_len - cl->out_off < OUT_LOW;
}

void client_flush(struct client *cl)
{
	while (cl->out_off < cl->out_len) {
		ssize_t n = send(cl->fd, cl->out + cl->out_off, cl->out_len - cl->out_off,
				 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			client_fail(cl);
		if (n < 0)
			break;
		cl->out_off += (size_t)n;
	}
	if (cl->out_off == cl->out_len)
		cl->out_off = cl->out_len = 0;
	/* A client at its end is freed by the next event, which EPOLLOUT brings at once. */
	uint32_t events = cl->out_len || cl->closing ? EPOLLOUT : 0;
	if (client_takes(cl) && !cl->eof)
		events |= EPOLLIN;
	sd_event_source_set_io_events(cl->io, events);
}
