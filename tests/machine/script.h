/* script: what happens in a week, as a list of events made from a seed. Each says all about itself,
 * so that a part of the list is a script, too. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { ROOMS = 4, HOSTS = 32, USERS = 24 };
#define STATIC_HOST 30 /* 10.20.2.40 */

#define EVENT_LIST(X)                                                                              \
	X(LOGIN, "login")               /* a user, b host, c seconds or 0 */                       \
	X(LOGOUT, "logout")             /* a user */                                               \
	X(LOGOUT_HOST, "logout-host")   /* b host */                                               \
	X(LOGOUT_TIER, "logout-tier")   /* a tier */                                               \
	X(LOGOUT_ROOM, "logout-room")   /* a room */                                               \
	X(CONNECT, "connect")           /* a name, b host, c seconds */                            \
	X(PROBE, "probe")               /* a name, b host: data without a SYN */                   \
	X(FLOOD, "flood")               /* a name, b host, c SYNs from it and its neighbours */    \
	X(LOCKDOWN, "lockdown")         /* a of * 100 + whom, b sites, c seconds or 0 */           \
	X(LOCKDOWN_END, "lockdown-end") /* a which */                                              \
	X(UNBLOCK, "unblock")           /* a user */                                               \
	X(POLICY, "policy")             /* a version; and a reload */                              \
	X(LIST, "list")                 /* a version; and a reload */                              \
	X(BAD_POLICY, "bad-policy")     /* a kind; and a reload; mended afterwards */              \
	X(BAD_LIST, "bad-list")         /* a kind; the same */                                     \
	X(RELOAD, "reload")             /* by SIGHUP */                                            \
	X(ROTATE, "rotate")                                                                        \
	X(RESTART, "restart")     /* a 1: a bad list, 2: another policy, 3: a bad one */           \
	X(KILL, "kill")           /* c seconds away */                                             \
	X(REBOOT, "reboot")       /* a 1: by pulling the plug, c seconds away */                   \
	X(SET_CLOCK, "set-clock") /* c seconds on, or back */                                      \
	X(SUSPEND, "suspend")     /* c seconds */

enum event_kind {
#define X(id, text) EVENT_##id,
	EVENT_LIST(X)
#undef X
		EVENT_KINDS
};

struct event {
	int64_t at; /* ms since the week's beginning */
	enum event_kind kind;
	int a, b, c;
};

enum { EVENTS_MAX = 4096 };
#define WEEK_SECONDS (7 * 86400)

/* How many; in their order. */
size_t script_make(uint64_t seed, struct event out[static EVENTS_MAX]);
/* When the week begins: ns of the wall clock. */
int64_t script_begins(uint64_t seed);
void event_print(const struct event *e, FILE *to);
