/* call: the other end of the control socket, for tiergatectl and the portal. */
#pragma once
#include "base/buf.h"
#include <jansson.h>

struct call;

/* Connects; seconds (0: no limit) bound the connecting and each line. NULL, errno says why. */
struct call *call_open(const char *socket, unsigned seconds);
void call_close(struct call *c);

/* For who waits for several things and reads lines himself (call_receive is then not for him). */
int call_fd(const struct call *c);

/* Sends a command with its members (taken over; may be NULL). False, errno says why. */
bool call_send(struct call *c, const char *command, json_t *members);

/* The next line (the caller's): "more" lines, then one with "ok". NULL where the daemon has gone
 * (errno 0), does not answer in time (EAGAIN), or says what is no JSON (EBADMSG). */
json_t *call_receive(struct call *c);
