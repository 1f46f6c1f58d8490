/* gate: what the portal asks the daemon, over its control socket. Any thread: one connection a
 * request of a browser, opened when it is first needed. */
#pragma once
#include "portal/portal_config.h"
#include <jansson.h>

#define GATE_SECONDS 2 /* how long the daemon may take for a line */

struct call;

struct gate {
	const char *socket;
	struct call *call;
	bool away;     /* the daemon does not answer */
	bool unsure;   /* it got the last command, and may have done it */
	char code[24]; /* of its last refusal, else "" */
};

struct gate gate_of(const struct portal_config *c);
void gate_close(struct gate *g);

/* The result (the caller's), or NULL: away or code says why. Members are taken over. */
json_t *gate_ask(struct gate *g, const char *command, json_t *members);

/* Who is at an address: the answer of the command `reach`, or NULL. */
json_t *gate_reach(struct gate *g, const struct address *a);
/* Whether somebody is signed in there, by the answer. */
bool gate_signed_in(const json_t *who);
/* A member that names an address. */
json_t *gate_address(const struct address *a);

/* False: see away and code ("not-found": no such tier, "full"). lasts: ns. */
bool gate_login(struct gate *g, const struct address *a, const char *user, const char *tier,
		const char *source, int64_t lasts);
bool gate_logout(struct gate *g, const struct address *a);

/* A member's text, or "". */
const char *gate_text(const json_t *j, const char *key);
/* The time that an RFC 3339 text in UTC says, ns; 0 where it is none. */
int64_t gate_time(const char *text);
