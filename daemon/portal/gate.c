#include "portal/gate.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/value.h"
#include "control/call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct gate gate_of(const struct portal_config *c)
{
	return (struct gate){.socket = c->control_socket};
}

void gate_close(struct gate *g)
{
	call_close(g->call);
	g->call = NULL;
}

static json_t *away(struct gate *g)
{
	LOG_LIMITED(log_warn, clock_now(), "%s: the daemon does not answer: %s", g->socket,
		    errno ? strerror(errno) : "it has gone");
	g->away = true;
	gate_close(g);
	return NULL;
}

json_t *gate_ask(struct gate *g, const char *command, json_t *members)
{
	g->code[0] = '\0';
	g->unsure = false;
	if (!g->away && !g->call)
		g->call = call_open(g->socket, GATE_SECONDS);
	if (!g->call || !call_send(g->call, command, members)) {
		if (!g->call)
			json_decref(members);
		return g->away ? NULL : away(g);
	}
	json_t *answer = call_receive(g->call), *result = NULL;
	if (!answer) {
		g->unsure = true;
		return away(g);
	}
	if (json_is_true(json_object_get(answer, "ok")))
		result = json_incref(json_object_get(answer, "result"));
	else
		snprintf(g->code, sizeof g->code, "%s", gate_text(answer, "code"));
	if (!result)
		LOG_LIMITED(log_warn, clock_now(), "%s: %s is refused: %s", g->socket, command,
			    gate_text(answer, "error"));
	json_decref(answer);
	return result;
}

json_t *gate_address(const struct address *a)
{
	char text[ADDRESS_TEXT];
	return json_pack("{ss}", "address", address_format(a, text));
}

json_t *gate_reach(struct gate *g, const struct address *a)
{
	return gate_ask(g, "reach", gate_address(a));
}

bool gate_signed_in(const json_t *who)
{
	return json_object_get(who, "session");
}

bool gate_login(struct gate *g, const struct address *a, const char *user, const char *tier,
		const char *source, int64_t lasts)
{
	char text[32];
	struct buf b = BUF_OF(text);
	json_t *m = gate_address(a);
	/* Whole seconds: the command takes no parts of one. */
	duration_format(lasts < NS_PER_S ? NS_PER_S : lasts / NS_PER_S * NS_PER_S, &b);
	json_object_set_new(m, "user", json_string(user));
	json_object_set_new(m, "tier", json_string(tier));
	json_object_set_new(m, "source", json_string(source));
	json_object_set_new(m, "for", json_string(text));
	json_t *result = gate_ask(g, "login", m);
	json_decref(result);
	return result;
}

bool gate_logout(struct gate *g, const struct address *a)
{
	json_t *result = gate_ask(g, "logout", gate_address(a));
	json_decref(result);
	return result;
}

const char *gate_text(const json_t *j, const char *key)
{
	const char *text = json_string_value(json_object_get(j, key));
	return text ? text : "";
}

int64_t gate_time(const char *text)
{
	struct tm tm = {0};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	return end ? (int64_t)timegm(&tm) * NS_PER_S : 0;
}
