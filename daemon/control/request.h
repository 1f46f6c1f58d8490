/* request: a request while it is answered, and what all commands do with one. */
#pragma once
#include "control/client.h"
#include "advice/left.h"
#include "policy/who.h"

struct request {
	struct client *client;
	struct control *control;
	const json_t *body;
	json_t *id;
	json_t *result;     /* an object to fill */
	int64_t now, ahead; /* base/clock.h */
	const char *code;   /* of a failure */
	char error[256];
	json_t *errors; /* all of them, where there are several */
};

/* DONE sends the result or the failure; LATER: the command sends lines of its own. */
enum done { DONE, LATER };

#define NO_ADDRESS "address must be an IPv4 or IPv6 address, such as 10.0.0.7 or fd00::7"
#define NO_NETWORK "segment is no network: 10.0.12.0/24, 2001:db8:12::/64"

enum done request_fail(struct request *r, const char *code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A member's text, NULL where it is none; whether it is true. */
const char *request_text(const struct request *r, const char *key);
bool request_flag(const struct request *r, const char *key);
/* Copies text that fits; "" where the member is absent. False where it is something else. */
bool request_take_text(const struct request *r, const char *key, char *out, size_t size);
bool request_take_address(const struct request *r, const char *key, struct address *out);

/* Whether the policy has a name of this kind ("tier" or "site"), else the request fails, and says
 * which is nearest. or_sessions: a tier that only sessions have, since before a reload, is one,
 * too. */
bool request_knows_tier(struct request *r, const char *tier, bool or_sessions);
/* Of a user whom no session has: the nearest that one has, as "meant" of the result. */
void request_set_meant(struct request *r, const char *user);
bool request_knows_site(struct request *r, const char *site);

/* Whom to ask who is at an address. */
struct who_from request_from(const struct request *r);

/* Whom to ask what is used of quotas. */
struct left_from request_left(const struct control *c);

/* The session at an address, where it comes from `source` (if the request says that); 0: there is
 * none. */
uint64_t request_session(const struct request *r, const struct address *a);

/* A time of clock_now, by the wall clock; nothing where it is 0. */
void request_set_time(json_t *to, const char *key, int64_t time, int64_t ahead);

/* "root", or "uid 7": who is at the other end of the socket, and cannot lie about it. */
void who_asks(const struct client *cl, char *out, size_t room);

/* A session has lost an address, or ended: that is on disk before the answer, which says so where
 * it could not be kept ("unkept"). */
void request_ended(struct request *r);

/* Records that what the request asked for was done. d: whom it was done to (client, user, tier) and
 * detail, the rest zero; who did it, and when, is filled in. */
void request_acted(const struct request *r, struct decision *d);

/* Sends the result, or the failure. */
void request_answer(struct request *r);

/* ---- commands: one file each, and their table in dispatch.c ---- */

enum done command_ping(struct request *r);
/* Whether a session is one of those that user, tier, source, address and segment (a network) of a
 * request name; what is not given names all. */
bool request_names_session(const json_t *filter, const struct session_view *v);

enum done command_status(struct request *r);
enum done command_metrics(struct request *r);
enum done command_sessions(struct request *r);
enum done command_login(struct request *r);
enum done command_add(struct request *r);
enum done command_drop(struct request *r);
enum done command_logout(struct request *r);
enum done command_why(struct request *r);
enum done command_denials(struct request *r);
enum done command_reach(struct request *r);
enum done command_watch(struct request *r);
enum done command_reload(struct request *r);
enum done command_tell(struct request *r);
enum done command_names(struct request *r);
enum done command_hits(struct request *r);
enum done command_lockdown(struct request *r);
enum done command_lockdowns(struct request *r);
enum done command_lockdown_end(struct request *r);
enum done command_vouchers(struct request *r);
