/* client: the inside of control/: one connection, and what a command sees of it. */
#pragma once
#include "control/control.h"
#include "control/tell.h"
#include "control/watch.h"
#include <stdatomic.h>

struct client {
	struct control *control;
	int fd;
	enum control_right right;
	sd_event_source *io;
	char in[CONTROL_LINE_MAX];
	size_t in_len;
	char *out; /* CONTROL_OUT_MAX; [out_off .. out_len) is still to be sent */
	size_t out_len, out_off;
	bool eof, closing;
	struct { /* a list of sessions that is being sent as there is room */
		json_t *id, *filter;
		uint32_t slot, count;
	} rows;
	json_t *reload;   /* the id of a request for a reload that is not over */
	bool reload_next; /* not the one that runs, but the one after it */
	struct watch watch;
};

struct control {
	struct control_options o;
	int listener;
	sd_event_source *listen_io;
	uid_t portal;
	gid_t readers;
	struct client *clients[CONTROL_CLIENTS];
	struct watching watching;
	struct control_counters counters;
	struct told told;
};

/* dispatch.c: answers one request line. What it has to say goes to the client's buffer. */
void command_run(struct client *cl, const char *line, size_t len);
/* The i-th command's name, NULL beyond the last. */
const char *command_name(size_t i);
/* sessions.c: goes on with a list that did not fit at once. */
void command_rows(struct client *cl);

/* Appends a line and its newline to what is to be sent; false where there is no room. */
bool client_put(struct client *cl, const char *text, size_t len);
bool client_put_json(struct client *cl, const json_t *j);
size_t client_room(const struct client *cl);
/* Sends what is there. */
void client_flush(struct client *cl);
/* Whether another request is taken now: none goes on, and there is room for its answer. */
bool client_takes(const struct client *cl);
/* After an error the client only waits to be freed, by its own event. */
void client_fail(struct client *cl);
