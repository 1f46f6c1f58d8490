#include "radius/daemon.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/value.h"
#include "control/call.h"
#include "identity/session.h"

#include <errno.h>
#include <stdlib.h>

#define SECONDS 2 /* for a line */
#define REST    NS_PER_S

struct daemon {
	const char *socket, *source;
	struct call *call;
	int64_t rests_until;
};

struct daemon *daemon_new(const char *socket, const char *source)
{
	struct daemon *d = calloc(1, sizeof *d);
	if (d) {
		d->socket = socket;
		d->source = source;
	}
	return d;
}

void daemon_free(struct daemon *d)
{
	if (!d)
		return;
	call_close(d->call);
	free(d);
}

static void hang_up(struct daemon *d)
{
	call_close(d->call);
	d->call = NULL;
}

/* The first line of an answer, or NULL. An old connection may be one to a daemon that has gone. */
static json_t *ask(struct daemon *d, const char *command, json_t *members, int64_t now)
{
	json_t *answer = NULL;
	json_object_set_new(members, "source", json_string(d->source));
	if (now < d->rests_until) {
		json_decref(members);
		return NULL;
	}
	for (int tries = d->call ? 2 : 1; tries && !answer; tries--) {
		if (!d->call && !(d->call = call_open(d->socket, SECONDS)))
			break;
		if (call_send(d->call, command, json_incref(members)))
			answer = call_receive(d->call);
		if (!answer) {
			tries -= errno == EAGAIN; /* it is there, and slow */
			hang_up(d);
		}
	}
	json_decref(members);
	if (!answer) {
		LOG_LIMITED(log_warn, now, "%s: the daemon does not answer", d->socket);
		d->rests_until = now + REST;
	}
	return answer;
}

static enum daemon_answer ask_once(struct daemon *d, const char *command, json_t *members,
				   int64_t now)
{
	json_t *answer = ask(d, command, members, now);
	const char *code = json_string_value(json_object_get(answer, "code"));
	enum daemon_answer did = DAEMON_REFUSED;
	if (!answer)
		return DAEMON_AWAY;
	if (json_is_true(json_object_get(answer, "ok")))
		did = DAEMON_DONE;
	else if (code && strcmp(code, "not-found") == 0)
		did = DAEMON_NOT_FOUND;
	else if (code && strcmp(code, "blocked") == 0)
		did = DAEMON_BLOCKED;
	else
		LOG_LIMITED(log_warn, now, "the daemon refuses %s: %s", command, code ? code : "?");
	json_decref(answer);
	return did;
}

enum daemon_answer daemon_login(struct daemon *d, const struct address *a, const char *user,
				const char *tier, const uint8_t mac[6], int64_t now)
{
	char text[ADDRESS_TEXT], mac_text[24];
	struct buf b = BUF_OF(mac_text);
	json_t *m = json_pack("{ss ss ss}", "address", address_format(a, text), "user", user,
			      "tier", tier);
	if (mac) {
		mac_format(mac, &b);
		json_object_set_new(m, "mac", json_string(mac_text));
	}
	return ask_once(d, "login", m, now);
}

enum daemon_answer daemon_add(struct daemon *d, const struct address *with, const struct address *a,
			      int64_t now)
{
	char text[ADDRESS_TEXT], with_text[ADDRESS_TEXT];
	return ask_once(d, "add",
			json_pack("{ss ss}", "address", address_format(a, text), "with",
				  address_format(with, with_text)),
			now);
}

enum daemon_answer daemon_drop(struct daemon *d, const struct address *a, int64_t now)
{
	char text[ADDRESS_TEXT];
	return ask_once(d, "drop", json_pack("{ss}", "address", address_format(a, text)), now);
}

enum daemon_answer daemon_ping(struct daemon *d, int64_t now)
{
	return ask_once(d, "ping", json_object(), now);
}

enum daemon_answer daemon_logout(struct daemon *d, const struct address *a, int64_t now)
{
	char text[ADDRESS_TEXT];
	return ask_once(d, "logout", json_pack("{ss}", "address", address_format(a, text)), now);
}

static void tell(const json_t *row, daemon_session_fn *each, void *ctx)
{
	const char *user = json_string_value(json_object_get(row, "user"));
	const char *tier = json_string_value(json_object_get(row, "tier"));
	struct address address[SESSION_ADDRESSES];
	unsigned count = 0;
	size_t i;
	json_t *one;
	json_array_foreach(json_object_get(row, "addresses"), i, one)
	{
		const char *text = json_string_value(one);
		if (count < SESSION_ADDRESSES && text && address_parse(text, &address[count]))
			count++;
	}
	if (user && tier && count)
		each(ctx, user, tier, address, count);
}

enum daemon_answer daemon_sessions(struct daemon *d, daemon_session_fn *each, void *ctx,
				   int64_t now)
{
	json_t *answer = ask(d, "sessions", json_object(), now);
	while (answer && json_is_true(json_object_get(answer, "more"))) {
		tell(json_object_get(answer, "result"), each, ctx);
		json_decref(answer);
		if (!(answer = call_receive(d->call)))
			hang_up(d);
	}
	bool good = json_is_true(json_object_get(answer, "ok"));
	json_decref(answer);
	return good ? DAEMON_DONE : DAEMON_AWAY;
}
