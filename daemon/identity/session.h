/* session: who is at an address, until when. One table shared by all workers: fixed size, one
 * writer (the main thread), lock-free readers. A session may own several addresses. */
#pragma once
#include "base/decision.h"

#define SESSION_ADDRESSES 8 /* addresses of one session, at most */

struct session {
	char user[USER_MAX];
	char tier[TIER_MAX];
	char source[16];      /* "login", "radius", "portal", "static", ... */
	int64_t since, until; /* ns since the epoch; until 0: no end */
	int64_t idle;         /* ns without traffic after which it ends; 0: never */
	int64_t last_seen;
	uint64_t id; /* never reused while the process lives */
};

struct sessions;

/* capacity sessions; memory is taken as it is used. NULL where there is none. */
struct sessions *sessions_new(uint32_t capacity);
void sessions_free(struct sessions *s);

/* Reader, any thread, no lock: copies the session at an address; false where there is none that is
 * still good at now (*out is then undefined). */
bool session_at(struct sessions *s, const struct address *a, int64_t now, struct session *out);

/* Notes traffic, for idle timeouts. Any thread, no lock. */
void session_touch(struct sessions *s, const struct address *a, int64_t now);

/* Changes whenever a session is opened, closed, moved or has expired: workers decide their flows
 * again when it moved. */
uint64_t sessions_generation(const struct sessions *s);

/* Writer only. Opens a session at an address, ending one that was there; 0 on success, -ENOSPC.
 * last_seen becomes now, id is given here; session_at tells it. */
int session_open(struct sessions *s, const struct address *a, const struct session *what,
		 int64_t now);
/* Adds an address to a session (by id), ending another that was there; 0, -ENOENT or -ENOSPC. */
int session_add_address(struct sessions *s, uint64_t id, const struct address *a);
/* These return how many sessions ended. */
unsigned session_close_address(struct sessions *s, const struct address *a);
unsigned session_close_user(struct sessions *s, const char *user);
/* Ends what has expired or idled; the time of the next end is written to *next (0: none). */
unsigned sessions_expire(struct sessions *s, int64_t now, int64_t *next);

/* Writer only: walks all sessions with their addresses; false at the end. */
struct session_view {
	struct session session;
	struct address address[SESSION_ADDRESSES];
	unsigned address_count;
};
bool session_each(struct sessions *s, uint32_t *slot, struct session_view *out);

uint32_t sessions_count(const struct sessions *s);
