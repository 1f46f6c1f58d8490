/* top_feed: what a daemon says of itself and of its decisions, into the model of advice/top.h. */
#pragma once
#include "ctl/ctl.h"

struct top;

struct feed {
	char path[CTL_SOCKET_MAX];
	struct call *asked, *watched; /* NULL: not connected */
	char line[64 * 1024];
	size_t len; /* of line: read and not yet whole */
	struct top *top;
	char trouble[512]; /* what is not ok with the daemon */
	bool there;        /* it answered the last time */
};

/* Asks for the status, after connecting where need be. */
void feed_look(struct feed *f);
/* Takes what has come of decisions, without waiting. */
void feed_read(struct feed *f);
/* Until the time (of clock_now) comes; true before that where there is something to read from fd
 * (-1: nothing is looked at), a signal came, or the daemon has gone. */
bool feed_wait(struct feed *f, int fd, int64_t until);
void feed_close(struct feed *f);

/* top_screen.c: screen after screen on the terminal, until a key, a signal or the terminal ends it.
 * -1 where the terminal is of a kind that nobody knows. */
int top_screen(struct feed *f);
