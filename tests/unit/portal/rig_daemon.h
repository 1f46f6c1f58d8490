/* rig_daemon: the daemon's answers to the portal (control/call.h), and what it was told. */
#pragma once
#include "base/address.h"
#include "base/decision.h"
#include "control/call.h"
#include "portal/gate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC diagnostic ignored "-Wunused-function" /* no test uses all of it */

#define RIG_MUST(what)                                                                             \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);         \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

struct rig_session {
	char address[2][ADDRESS_TEXT];
	char user[USER_MAX], tier[TIER_MAX];
};

static struct {
	bool away;                 /* takes no connection */
	bool hangs_up;             /* takes commands, and says nothing */
	const char *refuse;        /* a code: login is refused with it */
	const char *reach;         /* more members of the answer of reach, as JSON; or NULL */
	const char *why, *denials; /* results, as JSON */
	struct rig_session session[4];
	char log[4096];   /* each command that changes something, a line */
	char asked[4096]; /* each that changes nothing */
} rig_daemon;

struct call {
	json_t *answer;
};

struct call *call_open(const char *socket, unsigned seconds)
{
	errno = ECONNREFUSED;
	return rig_daemon.away ? NULL : calloc(1, sizeof(struct call));
}

void call_close(struct call *c)
{
	if (c)
		json_decref(c->answer);
	free(c);
}

static struct rig_session *rig_session_at(const char *address)
{
	for (size_t i = 0; i < 4; i++)
		for (size_t n = 0; n < 2; n++)
			if (rig_daemon.session[i].address[n][0] &&
			    strcmp(rig_daemon.session[i].address[n], address) == 0)
				return &rig_daemon.session[i];
	return NULL;
}

static void rig_open(const char *address, const char *user, const char *tier)
{
	struct rig_session *s = rig_session_at(address);
	for (s = s ? s : rig_daemon.session; s->user[0] && s != rig_session_at(address);)
		s++;
	RIG_MUST(s < rig_daemon.session + 4);
	*s = (struct rig_session){0};
	snprintf(s->address[0], sizeof s->address[0], "%s", address);
	snprintf(s->user, sizeof s->user, "%s", user);
	snprintf(s->tier, sizeof s->tier, "%s", tier);
}

static json_t *rig_reach(const char *address)
{
	const struct rig_session *s = rig_session_at(address);
	json_t *j = s ? json_pack("{si ss ss ss ss}", "session", (int)(s - rig_daemon.session) + 1,
				  "user", s->user, "tier", s->tier, "since", "2001-02-03T04:05:06Z",
				  "until", "2099-12-31T23:59:58Z")
		      : json_object();
	json_t *more = rig_daemon.reach ? json_loads(rig_daemon.reach, 0, NULL) : NULL;
	RIG_MUST(more || !rig_daemon.reach);
	json_object_update(j, more);
	json_decref(more);
	return j;
}

static void rig_add(json_t *m, const char *address)
{
	struct rig_session *s =
		&rig_daemon.session[json_integer_value(json_object_get(m, "session")) - 1];
	snprintf(s->address[1], sizeof s->address[1], "%s", address);
}

static void rig_logout(const char *address)
{
	struct rig_session *s = rig_session_at(address);
	if (s)
		*s = (struct rig_session){0};
}

static json_t *rig_result(const char *command, json_t *m)
{
	const char *address = gate_text(m, "address");
	if (strcmp(command, "reach") == 0)
		return rig_reach(address);
	if (strcmp(command, "why") == 0)
		return rig_daemon.why ? json_loads(rig_daemon.why, 0, NULL) : NULL;
	if (strcmp(command, "denials") == 0)
		return rig_daemon.denials ? json_loads(rig_daemon.denials, 0, NULL)
					  : json_pack("{s[]}", "denials");
	if (strcmp(command, "login") == 0) {
		if (rig_daemon.refuse)
			return NULL;
		rig_open(address, gate_text(m, "user"), gate_text(m, "tier"));
	}
	if (strcmp(command, "logout") == 0)
		rig_logout(address);
	if (strcmp(command, "add") == 0)
		rig_add(m, address);
	return json_object();
}

bool call_send(struct call *c, const char *command, json_t *m)
{
	char *said = json_dumps(m, JSON_COMPACT | JSON_SORT_KEYS);
	bool asks = strcmp(command, "reach") == 0 || strcmp(command, "why") == 0 ||
		    strcmp(command, "denials") == 0;
	char *log = asks ? rig_daemon.asked : rig_daemon.log;
	size_t len = strlen(log);
	snprintf(log + len, sizeof rig_daemon.log - len, "%s %s\n", command, said);
	free(said);
	json_t *result = rig_result(command, m);
	json_decref(m);
	json_decref(c->answer);
	c->answer = result ? json_pack("{sb so}", "ok", 1, "result", result)
			   : json_pack("{sb ss}", "ok", 0, "code",
				       rig_daemon.refuse ? rig_daemon.refuse : "bad-request");
	return true;
}

json_t *call_receive(struct call *c)
{
	json_t *answer = c->answer;
	c->answer = NULL;
	if (rig_daemon.hangs_up) {
		json_decref(answer);
		errno = 0;
		return NULL;
	}
	return answer;
}
