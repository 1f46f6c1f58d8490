/* dnstap_socket: resolvers write what they answered to a Unix stream socket (Frame Streams, both
 * ways of its handshake); a thread of its own notes it in `seen`. */
#pragma once
#include "base/error.h"
#include "base/metric.h"
#include "dns/seen.h"

struct dnstap_socket;

/* Takes the place of what is at path (a socket that is left over), mode 0660, and starts the
 * thread. Who may write there is believed: a resolver's user needs the group. NULL with a sentence
 * in errors. */
struct dnstap_socket *dnstap_socket_open(const char *path, struct seen *seen,
					 struct errors *errors);

/* Ends the thread and removes the socket; takes NULL. */
void dnstap_socket_close(struct dnstap_socket *s);

struct dnstap_counters {
	uint64_t connections, frames; /* accepted and read since the start */
	uint64_t answers;             /* frames that told of an answer to a client */
	uint64_t malformed;           /* frames; the connection goes on */
	uint64_t broken;              /* connections ended for what they sent */
};
extern const struct metrics dnstap_metrics;
void dnstap_count(const struct dnstap_socket *s, struct dnstap_counters *out);
