/* dispatch: a line of a client -> the command that it names -> an answer. */
#include "control/request.h"

#include "base/clock.h"

#include <string.h>

static const struct command {
	const char *name;
	enum control_right right;
	enum done (*run)(struct request *r);
} commands[] = {
	{"ping", CONTROL_READ, command_ping},
	{"status", CONTROL_READ, command_status},
	{"metrics", CONTROL_READ, command_metrics},
	{"sessions", CONTROL_READ, command_sessions},
	{"login", CONTROL_MANAGE, command_login},
	{"add", CONTROL_MANAGE, command_add},
	{"drop", CONTROL_MANAGE, command_drop},
	{"logout", CONTROL_MANAGE, command_logout},
	{"why", CONTROL_READ, command_why},
	{"denials", CONTROL_READ, command_denials},
	{"reach", CONTROL_READ, command_reach},
	{"watch", CONTROL_READ, command_watch},
	{"reload", CONTROL_MANAGE, command_reload},
	{"names", CONTROL_READ, command_names},
	{"tell", CONTROL_MANAGE, command_tell},
	{"hits", CONTROL_READ, command_hits},
	{"lockdown", CONTROL_MANAGE, command_lockdown},
	{"lockdowns", CONTROL_READ, command_lockdowns},
	{"lockdown-end", CONTROL_MANAGE, command_lockdown_end},
	{"vouchers", CONTROL_MANAGE, command_vouchers},
};

const char *command_name(size_t i)
{
	return i < sizeof commands / sizeof *commands ? commands[i].name : NULL;
}

static enum done dispatch(struct request *r)
{
	const char *name = request_text(r, "command");
	json_t *version = json_object_get(r->body, "v");
	if (!json_is_integer(r->id))
		return request_fail(r, "bad-request", "id is missing or no integer");
	if (!json_is_integer(version) || json_integer_value(version) != CONTROL_VERSION)
		return request_fail(r, "version", "v is missing or not %d", CONTROL_VERSION);
	if (!name)
		return request_fail(r, "bad-request", "command is missing");
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (strcmp(commands[i].name, name) != 0)
			continue;
		if (r->client->right < commands[i].right)
			return request_fail(r, "denied",
					    "only root and tiergate-portal may do this");
		return commands[i].run(r);
	}
	return request_fail(r, "unknown-command", "there is no such command");
}

void command_run(struct client *cl, const char *line, size_t len)
{
	struct control *c = cl->control;
	struct request r = {.client = cl, .control = c, .now = clock_now(), .ahead = clock_ahead()};
	json_t *body = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	enum done done = DONE;
	c->counters.requests++;
	r.body = body;
	r.id = json_object_get(body, "id");
	r.result = json_object();
	if (json_is_object(body))
		done = dispatch(&r);
	else
		request_fail(&r, "bad-request", "a request is one JSON object a line");
	if (r.code)
		c->counters.bad_requests++;
	if (done == DONE)
		request_answer(&r);
	json_decref(r.errors);
	json_decref(r.result);
	json_decref(body);
}
