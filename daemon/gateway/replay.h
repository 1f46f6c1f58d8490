/* replay: the worker on a capture file: same code, same records, the capture's time. */
#pragma once
#include "base/decision.h"
#include <stdbool.h>
#include <stddef.h>

struct replay_options {
	const char *config, *read, *write; /* write: NULL for none */
	const char **sessions;             /* "ADDRESS=USER:TIER" */
	size_t session_count;
	const char *
		*inside; /* networks of the clients; none: a flow's first sender is the inside */
	size_t inside_count;
	bool stats;
	/* Takes each record; NULL: they go to standard output as JSON. */
	void (*record)(void *ctx, const struct decision *d);
	void *ctx;
};

/* Writes records. Returns an exit status (base/exit.h). */
int replay_run(const struct replay_options *o);
