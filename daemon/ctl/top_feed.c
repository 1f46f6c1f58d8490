#include "ctl/top_feed.h"

#include "advice/top.h"
#include "base/clock.h"
#include "base/probe.h"
#include "decision/read.h"
#include "decision/record.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define ANSWER_S 2 /* a daemon that takes longer to say its status is gone */

static void feed_gone(struct feed *f, const char *why)
{
	char text[256];
	snprintf(text, sizeof text, "it does not answer at %s: %s", f->path, why);
	top_gone(f->top, text);
	feed_close(f);
}

static bool feed_connect(struct feed *f)
{
	if (!f->asked)
		f->asked = call_open(f->path, ANSWER_S);
	if (f->asked && !f->watched) {
		f->watched = call_open(f->path, ANSWER_S);
		f->len = 0;
		if (f->watched && !call_send(f->watched, "watch", NULL))
			return false;
	}
	return f->asked && f->watched;
}

void feed_look(struct feed *f)
{
	json_t *answer = NULL;
	errno = 0;
	if (feed_connect(f) && call_send(f->asked, "status", NULL))
		answer = call_receive(f->asked);
	if (!answer) {
		feed_gone(f, errno ? strerror(errno) : "it has gone");
		return;
	}
	f->there = json_is_true(json_object_get(answer, "ok"));
	if (f->there) {
		const json_t *status = json_object_get(answer, "result");
		ctl_trouble(status, f->trouble);
		top_status(f->top, status, clock_wall());
	} else {
		feed_gone(f, ctl_text(answer, "error"));
	}
	json_decref(answer);
}

/* False where the daemon does not let us watch. */
static bool take_line(struct feed *f, const char *line, size_t len)
{
	struct decision d;
	json_t *answer = json_loadb(line, len, 0, NULL);
	json_t *record = json_object_get(answer, "record");
	json_int_t lost = json_integer_value(json_object_get(answer, "lost"));
	char *text = record ? json_dumps(record, JSON_COMPACT) : NULL;
	bool refused = json_is_false(json_object_get(answer, "ok"));
	if (text && record_read(text, strlen(text), &d) == RECORD_GOOD && !decision_is_probe(&d))
		top_record(f->top, &d);
	if (lost > 0)
		top_lost(f->top, (uint64_t)lost);
	if (refused)
		feed_gone(f, ctl_text(answer, "error"));
	free(text);
	json_decref(answer);
	return !refused;
}

void feed_read(struct feed *f)
{
	ssize_t n =
		recv(call_fd(f->watched), f->line + f->len, sizeof f->line - f->len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) { /* no line is as long as the buffer: nothing to read is an end */
		feed_gone(f, n < 0 ? strerror(errno) : "it has gone");
		return;
	}
	f->len += (size_t)n;
	char *at = f->line, *end = f->line + f->len, *newline;
	while ((newline = memchr(at, '\n', (size_t)(end - at)))) {
		if (!take_line(f, at, (size_t)(newline - at)))
			return;
		at = newline + 1;
	}
	f->len = (size_t)(end - at);
	memmove(f->line, at, f->len);
}

bool feed_wait(struct feed *f, int fd, int64_t until)
{
	int64_t left;
	while ((left = until - clock_now()) > 0) {
		struct pollfd p[] = {
			{.fd = f->watched ? call_fd(f->watched) : -1, .events = POLLIN},
			{.fd = fd, .events = POLLIN},
		};
		int n = poll(p, 2, (int)(left / NS_PER_MS) + 1);
		if (n > 0 && p[0].revents) {
			feed_read(f);
			if (!f->watched)
				return true;
		}
		if (n < 0 || p[1].revents)
			return true;
	}
	return false;
}

void feed_close(struct feed *f)
{
	call_close(f->asked);
	call_close(f->watched);
	f->asked = f->watched = NULL;
	f->len = 0;
	f->there = false;
}
