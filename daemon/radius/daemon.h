/* daemon: one lasting connection to the daemon for what opens and ends sessions all the time. A
 * daemon that does not answer is left alone for a second, so that the caller's loop goes on. */
#pragma once
#include "base/address.h"

enum daemon_answer {
	DAEMON_DONE,
	DAEMON_NOT_FOUND, /* no such tier, no such session */
	DAEMON_BLOCKED,   /* an operator lets the user not sign in */
	DAEMON_REFUSED,   /* its table is full */
	DAEMON_AWAY,
};

struct daemon;

/* source: of the sessions that are opened, and the only ones that are meant by add and logout. Both
 * texts must outlive it. Connects when it is first needed. */
struct daemon *daemon_new(const char *socket, const char *source);
void daemon_free(struct daemon *d);

/* mac: of the host that the session is for; NULL: not known. now: of clock_now, everywhere. */
enum daemon_answer daemon_login(struct daemon *d, const struct address *a, const char *user,
				const char *tier, const uint8_t mac[6], int64_t now);
/* The session at `with` has the address too. */
enum daemon_answer daemon_add(struct daemon *d, const struct address *with, const struct address *a,
			      int64_t now);
/* The address alone leaves its session. DONE also where it has none. */
enum daemon_answer daemon_drop(struct daemon *d, const struct address *a, int64_t now);
enum daemon_answer daemon_ping(struct daemon *d, int64_t now);
/* DONE also where there is no such session any more. */
enum daemon_answer daemon_logout(struct daemon *d, const struct address *a, int64_t now);

/* Tells each session of this source that is open. */
typedef void daemon_session_fn(void *ctx, const char *user, const char *tier,
			       const struct address *address, unsigned count);
enum daemon_answer daemon_sessions(struct daemon *d, daemon_session_fn *each, void *ctx,
				   int64_t now);
