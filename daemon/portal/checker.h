/* checker: threads that check credentials and open sessions, so that a slow hash or directory keeps
 * no page waiting. A bounded queue: what does not fit is told to come again. */
#pragma once
#include "base/clock.h"
#include "identity/users.h"
#include "portal/credential.h"
#include "portal/request.h"

#define CHECKS_WAITING 64
#define CHECK_WAIT_NS  (20 * NS_PER_S) /* for a checker to be free */

/* A sign-in on its way. */
struct sign_in {
	char user[USER_MAX]; /* "": a voucher */
	char secret[PASSWORD_MAX + 1];
	char to[HOST_MAX + 1];
	bool done;
	bool busy; /* no checker had room, or none was free in time */
	enum credential_result result;
	struct credential_answer answer;
	bool opened; /* the session; else gate.away or gate.code says why not */
};

struct checkers;
struct checkers *checkers_new(struct portal *p, unsigned threads);
/* Gives what still waits back as busy, and waits for the rest; takes nothing from here on. */
void checkers_stop(struct checkers *c);
void checkers_free(struct checkers *c); /* stopped */

/* Takes a suspended request, which request_resume wakes when it is done. False: no room. */
bool checkers_add(struct checkers *c, struct request *r);

/* Gives back as busy what has waited for CHECK_WAIT_NS: the checkers may all hang in a PAM module,
 * and nobody should look at a white page meanwhile. now: of clock_now. Returns how many. Every
 * second or so. */
unsigned checkers_late(struct checkers *c, int64_t now);
