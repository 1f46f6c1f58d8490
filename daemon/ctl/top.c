#include "ctl/ctl.h"

#include "advice/top.h"
#include "base/clock.h"
#include "decision/read.h"
#include "decision/record.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOK_NS  NS_PER_S /* between two looks at the status, and two screens */
#define ANSWER_S 2        /* a daemon that takes longer to say its status is gone */

/* What the daemon says: of itself when asked, and decisions as they are made. */
struct feed {
	char path[CTL_SOCKET_MAX];
	struct call *asked, *watched; /* NULL: not connected */
	char line[64 * 1024];
	size_t len; /* of line: read and not yet whole */
	struct top *top;
	char trouble[512];
	bool there; /* it answered the last time */
};

/* ---- the feed ---- */

static void feed_gone(struct feed *f, const char *why)
{
	char text[256];
	snprintf(text, sizeof text, "it does not answer at %s: %s", f->path, why);
	top_gone(f->top, text);
	call_close(f->asked);
	call_close(f->watched);
	f->asked = f->watched = NULL;
	f->len = 0;
	f->there = false;
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

static void feed_look(struct feed *f)
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
	if (text && record_read(text, strlen(text), &d) == RECORD_GOOD)
		top_record(f->top, &d);
	if (lost > 0)
		top_lost(f->top, (uint64_t)lost);
	if (refused)
		feed_gone(f, ctl_text(answer, "error"));
	free(text);
	json_decref(answer);
	return !refused;
}

/* Takes what has come of decisions, without waiting. */
static void feed_read(struct feed *f)
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

/* Until the time (of clock_now) comes. */
static void feed_wait(struct feed *f, int64_t until)
{
	int64_t left;
	while ((left = until - clock_now()) > 0) {
		struct pollfd p = {.fd = f->watched ? call_fd(f->watched) : -1, .events = POLLIN};
		if (poll(&p, 1, (int)(left / NS_PER_MS) + 1) > 0)
			feed_read(f);
	}
}

/* ---- the screen ---- */

static void draw(struct feed *f, bool terminal, bool colour)
{
	static struct top_screen screen;
	static const char *const look[] = {"", "\033[32m", "\033[1;31m", "\033[1m"};
	struct top_view v = {80, 44, TOP_NOW, f->trouble};
	struct winsize size;
	if (terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col && size.ws_row)
		v.width = size.ws_col, v.height = size.ws_row;
	top_render(f->top, &v, &screen);
	if (terminal)
		fputs("\033[H", stdout);
	for (size_t i = 0; i < screen.count; i++) {
		enum top_look l = screen.line[i].look;
		/* no newline behind the last line of a terminal: it would scroll */
		printf("%s%s%s%s%s%s", terminal && i ? "\n" : "", terminal ? "\033[K" : "",
		       colour ? look[l] : "", screen.line[i].text,
		       colour && l != TOP_PLAIN ? "\033[0m" : "", terminal ? "" : "\n");
	}
	if (terminal && screen.count < v.height)
		fputs("\n\033[J", stdout);
	fflush(stdout);
}

/* One screen, of what came between two looks. */
static int once(struct feed *f)
{
	feed_look(f);
	if (f->there)
		feed_wait(f, clock_now() + LOOK_NS);
	if (f->there)
		feed_look(f);
	if (f->there) {
		draw(f, false, false);
		return EXIT_DONE;
	}
	fprintf(stderr, "tiergatectl: the daemon does not answer at %s\n", f->path);
	return EXIT_CANNOT;
}

/* Screen after screen until a signal or the terminal's end; a daemon that goes is asked again. */
static int follow(struct feed *f)
{
	const char *no = getenv("NO_COLOR");
	fputs("\033[2J", stdout);
	while (!ferror(stdout)) {
		int64_t next = clock_now() + LOOK_NS;
		feed_look(f);
		draw(f, true, !no || !*no);
		feed_wait(f, next);
	}
	return EXIT_DONE;
}

int ctl_top(int argc, char **argv)
{
	static struct feed f;
	bool one = false;
	const struct ctl_option options[] = {{"once", NULL, &one}, {0}};
	const char *term = getenv("TERM");
	if (!ctl_options(argc, argv, options, NULL) || ctl.help)
		return ctl_usage("top [--once]", NULL);
	if (ctl.json)
		return ctl_usage("top [--once]", "--json: `watch` and `status` have it");
	if (!ctl_socket(f.path))
		return EXIT_CANNOT;
	f.top = top_new(clock_wall());
	if (!f.top) {
		fputs("tiergatectl: there is no memory left\n", stderr);
		return EXIT_CANNOT;
	}
	bool terminal = isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;
	int status = one || !terminal ? once(&f) : follow(&f);
	call_close(f.asked);
	call_close(f.watched);
	top_free(f.top);
	return status;
}
