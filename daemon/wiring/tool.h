/* tool: runs nft, iptables-restore and the like: text in, text out. */
#pragma once
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>

struct tool {
	int status; /* exit status; 127: it could not be run */
	char *out, *err;
};

/* Runs argv (found in the system's folders alone, language C) with `input` (NULL: none) on its
 * standard input and waits for it. scratch: in a network namespace of its own, which goes with it;
 * status 126 where none can be made. False where memory or processes ran out; deinit either way. */
bool tool_run(struct tool *t, const char *const argv[], const char *input, bool scratch)
	__attribute__((warn_unused_result));
void tool_deinit(struct tool *t);

/* A process beside this one that runs for it what it may no longer run itself: programs of nft and
 * iptables alone, and not in a scratch namespace (status 126). It is made before there are threads
 * and secrets, ends with this process, and is asked from tool_helper_only on; where it has ended,
 * status 125. False with a sentence in errors. */
bool tool_helper(struct errors *errors) __attribute__((warn_unused_result));
void tool_helper_only(void);
