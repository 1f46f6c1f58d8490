#include "base/clock.h"
#include "config/value.h"
#include "control/client.h"
#include "advice/explain.h"
#include "advice/reach.h"
#include "decision/record.h"
#include "identity/attached.h"
#include "identity/users.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define ERRORS_MAX 100 /* of a reload, in an answer */
#define NO_ADDRESS "address must be an IPv4 or IPv6 address, such as 10.0.0.7 or fd00::7"

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

static enum done fail(struct request *r, const char *code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static enum done fail(struct request *r, const char *code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(r->error, sizeof r->error, format, args);
	va_end(args);
	r->code = code;
	return DONE;
}

/* ---- members of a request ---- */

static const char *text_of(const struct request *r, const char *key)
{
	return json_string_value(json_object_get(r->body, key));
}

static bool flag_of(const struct request *r, const char *key)
{
	return json_is_true(json_object_get(r->body, key));
}

/* Copies text that fits; "" where the member is absent. False where it is something else. */
static bool take_text(const struct request *r, const char *key, char *out, size_t size)
{
	json_t *j = json_object_get(r->body, key);
	out[0] = '\0';
	if (!j)
		return true;
	if (!json_is_string(j) || json_string_length(j) >= size)
		return false;
	strcpy(out, json_string_value(j));
	return true;
}

static bool take_address(const struct request *r, const char *key, struct address *out)
{
	const char *text = text_of(r, key);
	return text && address_parse(text, out);
}

/* The host that a session is for. Behind a router the frames of all have its MAC address, which
 * tells nobody apart. */
static bool take_mac(const struct request *r, const struct address *a, struct session *s)
{
	const char *text = text_of(r, "mac");
	if (!json_object_get(r->body, "mac"))
		return true;
	if (!text || !mac_parse(text, s->mac))
		return false;
	s->has_mac = s->mac_told = attached(a);
	if (!s->has_mac)
		memset(s->mac, 0, sizeof s->mac);
	return true;
}

/* A time of clock_now, by the wall clock. */
static void set_time(json_t *to, const char *key, int64_t time, int64_t ahead)
{
	char text[40] = "";
	struct buf b = BUF_OF(text);
	if (time == 0)
		return;
	clock_format(&b, time + ahead);
	json_object_set_new(to, key, json_string(text));
}

/* ---- commands ---- */

static enum done ping(struct request *r)
{
	return DONE;
}

static enum done status(struct request *r)
{
	const struct control_options *o = &r->control->o;
	o->ops->status(o->ctx, r->result);
	return DONE;
}

/* The session ends with `for`, and with its tier's own limit at the latest. */
static bool limits(struct request *r, struct session *s)
{
	const struct control_options *o = &r->control->o;
	const char *text = text_of(r, "for");
	int64_t absolute, wanted = 0;
	if ((text && !duration_parse(text, &wanted)) || (!text && json_object_get(r->body, "for")))
		return false;
	snapshot_tier_limits(o->ops->snapshot(o->ctx), s->tier, &s->idle, &absolute);
	if (absolute && (wanted == 0 || absolute < wanted))
		wanted = absolute;
	s->until = wanted ? r->now + wanted : 0;
	return true;
}

static enum done login(struct request *r)
{
	const struct control_options *o = &r->control->o;
	struct session s = {.since = r->now}, opened;
	struct address a;
	if (!take_address(r, "address", &a))
		return fail(r, "bad-request", NO_ADDRESS);
	if (!take_mac(r, &a, &s))
		return fail(r, "bad-request", "mac must be one such as \"02:00:00:00:00:07\"");
	if (!take_text(r, "user", s.user, sizeof s.user) || !user_name_valid(s.user))
		return fail(r, "bad-request", "user is missing or no user name");
	if (!take_text(r, "source", s.source, sizeof s.source))
		return fail(r, "bad-request", "source is too long");
	if (!s.source[0])
		strcpy(s.source, "login");
	if (!take_text(r, "tier", s.tier, sizeof s.tier) ||
	    !snapshot_has_tier(o->ops->snapshot(o->ctx), s.tier))
		return fail(r, "not-found", "the policy has no tier of that name");
	if (!limits(r, &s))
		return fail(r, "bad-request", "for is no duration; \"8h\" would be accepted");
	if (session_open(o->sessions, &a, &s, r->now) < 0)
		return fail(r, "full", "the session table is full");
	if (session_at(o->sessions, &a, r->now, &opened))
		json_object_set_new(r->result, "session", json_integer((json_int_t)opened.id));
	set_time(r->result, "until", s.until, r->ahead);
	o->ops->sessions_changed(o->ctx, &a);
	return DONE;
}

/* The session at an address, where it comes from `source` (if that is said); 0: there is none. */
static uint64_t session_of(const struct request *r, const struct address *a)
{
	const json_t *source = json_object_get(r->body, "source");
	struct session s;
	if (!session_at(r->control->o.sessions, a, r->now, &s))
		return 0;
	bool meant = !source ||
		     (json_is_string(source) && strcmp(json_string_value(source), s.source) == 0);
	return meant ? s.id : 0;
}

/* One address of a session alone; the session goes on with the others, and ends with its last. */
static enum done drop(struct request *r)
{
	const struct control_options *o = &r->control->o;
	struct address a;
	if (!take_address(r, "address", &a))
		return fail(r, "bad-request", NO_ADDRESS);
	bool meant = session_of(r, &a) && session_drop_address(o->sessions, &a);
	json_object_set_new(r->result, "dropped", json_boolean(meant));
	if (meant)
		o->ops->sessions_changed(o->ctx, NULL);
	return DONE;
}

/* To a session by its number, or, since numbers end with the daemon, by another address of it. */
static enum done add(struct request *r)
{
	const struct control_options *o = &r->control->o;
	json_t *id = json_object_get(r->body, "session");
	struct address a, with;
	bool by_address = take_address(r, "with", &with);
	if (json_is_integer(id) == by_address || !take_address(r, "address", &a))
		return fail(r, "bad-request", "session (or with) or address is missing");
	int e = session_add_address(
		o->sessions, by_address ? session_of(r, &with) : (uint64_t)json_integer_value(id),
		&a);
	if (e == -ENOENT)
		return fail(r, "not-found", "there is no such session");
	if (e < 0)
		return fail(r, "full", "the session has %d addresses already", SESSION_ADDRESSES);
	o->ops->sessions_changed(o->ctx, NULL);
	return DONE;
}

static enum done logout(struct request *r)
{
	const struct control_options *o = &r->control->o;
	const char *user = text_of(r, "user"), *address = text_of(r, "address");
	struct address a;
	if (!user == !address)
		return fail(r, "bad-request", "say whom: user or address");
	if (address && !address_parse(address, &a))
		return fail(r, "bad-request", NO_ADDRESS);
	if (user && json_object_get(r->body, "source"))
		return fail(r, "bad-request", "source goes with address");
	unsigned n = 0;
	if (user)
		n = session_close_user(o->sessions, user);
	else if (!json_object_get(r->body, "source") || session_of(r, &a))
		n = session_close_address(o->sessions, &a);
	json_object_set_new(r->result, "ended", json_integer(n));
	if (n)
		o->ops->sessions_changed(o->ctx, NULL);
	return DONE;
}

static struct who_from from_of(const struct request *r)
{
	const struct control_options *o = &r->control->o;
	return (struct who_from){o->ops->snapshot(o->ctx), o->sessions, o->onlink};
}

static enum done why(struct request *r)
{
	struct buf error = BUF_OF(r->error);
	const struct who_from from = from_of(r);
	if (!explain(&from, r->body, r->now, r->ahead, r->result, &error))
		r->code = "bad-request";
	return DONE;
}

/* The addresses of the session at one; that one alone where there is none. */
static size_t addresses_of(const struct request *r, const struct address *a,
			   struct address out[static SESSION_ADDRESSES])
{
	struct session s;
	struct session_view view;
	uint32_t slot = 0;
	out[0] = *a;
	if (!session_at(r->control->o.sessions, a, r->now, &s))
		return 1;
	while (session_each(r->control->o.sessions, &slot, &view))
		if (view.session.id == s.id) {
			memcpy(out, view.address, view.address_count * sizeof *out);
			return view.address_count;
		}
	return 1;
}

static enum done denials(struct request *r)
{
	struct address a, all[SESSION_ADDRESSES];
	size_t count = 1;
	json_int_t max = json_integer_value(json_object_get(r->body, "max"));
	if (!take_address(r, "address", &a))
		return fail(r, "bad-request", NO_ADDRESS);
	if (max <= 0 || max > CONTROL_DENIALS_MAX)
		max = CONTROL_DENIALS_MAX;
	all[0] = a;
	if (flag_of(r, "session"))
		count = addresses_of(r, &a, all);
	json_object_set_new(r->result, "denials",
			    watching_denials(r->control, all, count, (size_t)max));
	return DONE;
}

static enum done reach_of(struct request *r)
{
	struct address a;
	if (!take_address(r, "address", &a))
		return fail(r, "bad-request", NO_ADDRESS);
	const struct who_from from = from_of(r);
	reach(&from, &a, r->now, r->ahead, r->result);
	return DONE;
}

static enum done reload(struct request *r)
{
	r->client->reload = json_incref(r->id);
	r->control->o.ops->reload(r->control->o.ctx);
	return LATER;
}

static enum done sessions(struct request *r)
{
	struct client *cl = r->client;
	struct address a;
	if (json_object_get(r->body, "address") && !take_address(r, "address", &a))
		return fail(r, "bad-request", NO_ADDRESS);
	cl->rows.id = json_incref(r->id);
	cl->rows.filter = json_deep_copy(r->body);
	cl->rows.slot = cl->rows.count = 0;
	return LATER;
}

static bool action_valid(const char *action)
{
	return !action[0] || strcmp(action, "allow") == 0 || strcmp(action, "deny") == 0 ||
	       strcmp(action, "end") == 0;
}

static enum done watch(struct request *r)
{
	struct client *cl = r->client;
	struct watch w = {.on = true, .id = json_integer_value(r->id)};
	w.text = flag_of(r, "text");
	w.colour = flag_of(r, "colour");
	w.has_address = json_object_get(r->body, "address") != NULL;
	if (!take_text(r, "user", w.user, sizeof w.user) ||
	    !take_text(r, "tier", w.tier, sizeof w.tier) ||
	    !take_text(r, "action", w.action, sizeof w.action) ||
	    !take_text(r, "name", w.name, sizeof w.name))
		return fail(r, "bad-request", "user, tier, action or name is no text, or too long");
	if (!action_valid(w.action))
		return fail(r, "bad-request", "action is not allow, deny or end");
	if (w.has_address && !take_address(r, "address", &w.address))
		return fail(r, "bad-request", NO_ADDRESS);
	if (w.user[0] && r->control->o.pseudonym) {
		char hidden[PSEUDONYM_TEXT];
		record_pseudonym(r->control->o.pseudonym, w.user, hidden);
		strcpy(w.user, hidden);
	}
	w.ring_lost_seen = ring_refused(r->control->watching.ring);
	if (!cl->watch.on)
		atomic_fetch_add(&r->control->watching.watchers, 1);
	cl->watch = w;
	json_t *j = json_pack("{sO sb sb}", "id", r->id, "more", 1, "watching", 1);
	client_put_json(cl, j);
	json_decref(j);
	return LATER;
}

static const struct command {
	const char *name;
	enum control_right right;
	enum done (*run)(struct request *r);
} commands[] = {
	{"ping", CONTROL_READ, ping},         {"status", CONTROL_READ, status},
	{"sessions", CONTROL_READ, sessions}, {"login", CONTROL_MANAGE, login},
	{"add", CONTROL_MANAGE, add},         {"drop", CONTROL_MANAGE, drop},
	{"logout", CONTROL_MANAGE, logout},   {"why", CONTROL_READ, why},
	{"denials", CONTROL_READ, denials},   {"reach", CONTROL_READ, reach_of},
	{"watch", CONTROL_READ, watch},       {"reload", CONTROL_MANAGE, reload},
};

const char *command_name(size_t i)
{
	return i < sizeof commands / sizeof *commands ? commands[i].name : NULL;
}

/* ---- the list of sessions ---- */

static bool row_wanted(const json_t *filter, const struct session_view *v)
{
	const char *user = json_string_value(json_object_get(filter, "user"));
	const char *tier = json_string_value(json_object_get(filter, "tier"));
	const char *address = json_string_value(json_object_get(filter, "address"));
	const char *source = json_string_value(json_object_get(filter, "source"));
	struct address a;
	if ((source && strcmp(source, v->session.source) != 0) ||
	    (user && strcmp(user, v->session.user) != 0) ||
	    (tier && strcmp(tier, v->session.tier) != 0))
		return false;
	if (!address)
		return true;
	if (!address_parse(address, &a))
		return false;
	for (unsigned i = 0; i < v->address_count; i++)
		if (address_equal(&a, &v->address[i]))
			return true;
	return false;
}

static json_t *row(const struct session_view *v, int64_t ahead)
{
	const struct session *s = &v->session;
	char text[ADDRESS_TEXT];
	json_t *addresses = json_array();
	for (unsigned i = 0; i < v->address_count; i++)
		json_array_append_new(addresses, json_string(address_format(&v->address[i], text)));
	json_t *j = json_pack("{sI ss ss ss so}", "session", (json_int_t)s->id, "user", s->user,
			      "tier", s->tier, "source", s->source, "addresses", addresses);
	if (!j)
		return NULL;
	set_time(j, "since", s->since, ahead);
	set_time(j, "until", s->until, ahead);
	set_time(j, "last_seen", s->last_seen, ahead);
	json_object_set_new(j, "bytes", json_integer((json_int_t)v->bytes));
	json_object_set_new(j, "flows", json_integer((json_int_t)v->flows));
	if (s->has_mac) {
		char mac[24];
		struct buf b = BUF_OF(mac);
		mac_format(s->mac, &b);
		json_object_set_new(j, "mac", json_string(mac));
	}
	if (s->idle)
		json_object_set_new(j, "idle", json_integer(s->idle / NS_PER_S));
	return j;
}

#define ROWS_TURN 4096

void command_rows(struct client *cl)
{
	struct session_view v;
	int64_t ahead = clock_ahead();
	for (int n = 0; n < ROWS_TURN && client_room(cl) > CONTROL_OUT_MAX / 2; n++) {
		if (!session_each(cl->control->o.sessions, &cl->rows.slot, &v)) {
			json_t *end = json_pack("{sO sb s{sI}}", "id", cl->rows.id, "ok", 1,
						"result", "count", (json_int_t)cl->rows.count);
			client_put_json(cl, end);
			json_decref(end);
			json_decref(cl->rows.id);
			json_decref(cl->rows.filter);
			cl->rows.id = cl->rows.filter = NULL;
			return;
		}
		if (!row_wanted(cl->rows.filter, &v))
			continue;
		json_t *line = json_pack("{sO sb so}", "id", cl->rows.id, "more", 1, "result",
					 row(&v, ahead));
		client_put_json(cl, line);
		json_decref(line);
		cl->rows.count++;
	}
}

/* ---- dispatch ---- */

static enum done dispatch(struct request *r)
{
	const char *name = text_of(r, "command");
	json_t *version = json_object_get(r->body, "v");
	if (!json_is_integer(r->id))
		return fail(r, "bad-request", "id is missing or no integer");
	if (!json_is_integer(version) || json_integer_value(version) != CONTROL_VERSION)
		return fail(r, "version", "v is missing or not %d", CONTROL_VERSION);
	if (!name)
		return fail(r, "bad-request", "command is missing");
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (strcmp(commands[i].name, name) != 0)
			continue;
		if (r->client->right < commands[i].right)
			return fail(r, "denied", "only root and tiergate-portal may do this");
		return commands[i].run(r);
	}
	return fail(r, "unknown-command", "there is no such command");
}

static json_t *answer_of(struct request *r)
{
	json_t *a = json_object();
	json_object_set(a, "id", json_is_integer(r->id) ? r->id : json_null());
	json_object_set_new(a, "ok", json_boolean(!r->code));
	if (!r->code) {
		json_object_set(a, "result", r->result);
		return a;
	}
	json_object_set_new(a, "code", json_string(r->code));
	json_object_set_new(a, "error", json_string(r->error));
	if (r->errors)
		json_object_set(a, "errors", r->errors);
	return a;
}

static void answer(struct request *r)
{
	json_t *a = answer_of(r);
	client_put_json(r->client, a);
	json_decref(a);
}

void control_reloaded(struct control *c, const struct errors *errors)
{
	for (size_t n = 0; n < CONTROL_CLIENTS; n++) {
		struct client *cl = c->clients[n];
		if (!cl || !cl->reload)
			continue;
		struct request r = {.client = cl, .id = cl->reload, .result = json_object()};
		if (errors->count) {
			r.errors = json_array();
			fail(&r, "failed", "%zu error%s; the old policy stays in force",
			     errors->count, errors->count == 1 ? "" : "s");
		}
		for (size_t i = 0; i < errors->count && i < ERRORS_MAX; i++)
			json_array_append_new(r.errors, json_string(errors->lines[i]));
		answer(&r);
		json_decref(r.result);
		json_decref(r.errors);
		json_decref(r.id);
		cl->reload = NULL;
		client_flush(cl);
	}
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
		fail(&r, "bad-request", "a request is one JSON object a line");
	if (r.code)
		c->counters.bad_requests++;
	if (done == DONE)
		answer(&r);
	json_decref(r.errors);
	json_decref(r.result);
	json_decref(body);
}
