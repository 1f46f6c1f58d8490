/* session: who is at an address, until when. One table shared by all workers: fixed size, one
 * writer (the main thread), lock-free readers. A session may own several addresses. */
#pragma once
#include "base/decision.h"

#define SESSION_ADDRESSES 8 /* addresses of one session, at most */
#define SESSION_NETWORKS  4 /* IPv6 /64s where its host is known by its MAC address, at most */

struct session {
	char user[USER_MAX]; /* of those that are read: zeros behind the text */
	char tier[TIER_MAX];
	char source[16];      /* "login", "radius", "portal", "static", ... */
	int64_t since, until; /* ns since the epoch; until 0: no end */
	int64_t idle;         /* ns without traffic after which it ends; 0: never */
	int64_t last_seen;
	uint64_t id; /* never reused while the process lives */
	uint8_t mac[6];
	bool has_mac;  /* only the host of this MAC address is the session's (session_bind) */
	bool mac_told; /* by who opened it: what the neighbour table says does not change it */
	uint8_t zero[7];
};

struct sessions;

/* capacity sessions; memory is taken as it is used. NULL where there is none. */
struct sessions *sessions_new(uint32_t capacity);
void sessions_free(struct sessions *s);

/* Reader, any thread, no lock: copies the session at an address; false where there is none that is
 * still good at now (*out is then undefined). */
bool session_at(struct sessions *s, const struct address *a, int64_t now, struct session *out);

/* What session_at will touch comes into the cache meanwhile: first where the address is looked up,
 * then the session. Hints, no more. */
void session_fetch_address(const struct sessions *s, const struct address *a);
void session_fetch(const struct sessions *s, const struct address *a);

/* The same for an IPv6 address that has no session of its own, by the MAC address that it comes
 * from: a host's new address is known before the neighbour table tells of it (session_add_network).
 */
bool session_of_host(struct sessions *s, const struct address *a, const uint8_t mac[6], int64_t now,
		     struct session *out);

/* Notes traffic, for idle timeouts. Any thread, no lock. */
void session_touch(struct sessions *s, const struct address *a, int64_t now);

/* Changes whenever a session is opened, closed, moved or has expired: workers decide their flows
 * again when it moved. */
uint64_t sessions_generation(const struct sessions *s);

/* The writer's: whose sessions changed since the last call (*since: 0 at first), oldest first. How
 * many, or SIZE_MAX where there were more than are remembered. */
#define SESSION_CHANGES 256
size_t sessions_changes(const struct sessions *s, uint64_t *since,
			struct network out[static SESSION_CHANGES]);

/* Writer only. Opens a session at an address, ending one that was there; 0 on success, -ENOSPC.
 * last_seen becomes now, id is given here; session_at tells it. Where the same user's session is
 * there it is replaced without a moment between, and keeps its addresses and, where `what` has
 * none, its MAC address. */
int session_open(struct sessions *s, const struct address *a, const struct session *what,
		 int64_t now);
/* Adds an address to a session (by id), ending another that was there; 0, -ENOENT or -ENOSPC. */
int session_add_address(struct sessions *s, uint64_t id, const struct address *a);
/* Takes an address from its session, which ends with its last one; whether one had it. */
bool session_drop_address(struct sessions *s, const struct address *a);
/* The session's host (by MAC address) is known in the /64 of an IPv6 address, or no longer. An
 * address beyond SESSION_NETWORKS changes nothing. */
void session_add_network(struct sessions *s, uint64_t id, const struct address *a,
			 const uint8_t mac[6]);
void session_drop_network(struct sessions *s, const struct address *a, const uint8_t mac[6]);
/* From now on the session (by id) is the host's that has this MAC address. */
void session_bind(struct sessions *s, uint64_t id, const uint8_t mac[6]);
/* These return how many sessions ended. */
unsigned session_close_address(struct sessions *s, const struct address *a);
unsigned session_close_user(struct sessions *s, const char *user);
/* Ends what has expired or idled; the time of the next end is written to *next (0: none). */
unsigned sessions_expire(struct sessions *s, int64_t now, int64_t *next);

/* Writer only: traffic that passes without a worker. A flow's bytes are told once when it has
 * ended. Those of open flows are told in rounds: session_flow_open for each, then sessions_round. A
 * session whose sum has risen since the round before had traffic: it is touched. */
void session_flow_ended(struct sessions *s, const struct address *a, uint64_t bytes);
void session_flow_open(struct sessions *s, const struct address *a, uint64_t bytes);
void sessions_round(struct sessions *s, int64_t now);

/* Writer only: walks all sessions with their addresses; false at the end. */
struct session_view {
	struct session session;
	struct address address[SESSION_ADDRESSES];
	unsigned address_count;
	uint64_t bytes, flows; /* as of the last round */
};
bool session_each(struct sessions *s, uint32_t *slot, struct session_view *out);

uint32_t sessions_count(const struct sessions *s);
