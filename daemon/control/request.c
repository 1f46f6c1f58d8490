#include "control/request.h"

#include "advice/meant.h"
#include "base/clock.h"

#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum done request_fail(struct request *r, const char *code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(r->error, sizeof r->error, format, args);
	va_end(args);
	r->code = code;
	return DONE;
}

const char *request_text(const struct request *r, const char *key)
{
	return json_string_value(json_object_get(r->body, key));
}

bool request_flag(const struct request *r, const char *key)
{
	return json_is_true(json_object_get(r->body, key));
}

bool request_take_text(const struct request *r, const char *key, char *out, size_t size)
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

bool request_take_address(const struct request *r, const char *key, struct address *out)
{
	const char *text = request_text(r, key);
	return text && address_parse(text, out);
}

void request_set_time(json_t *to, const char *key, int64_t time, int64_t ahead)
{
	char text[40] = "";
	struct buf b = BUF_OF(text);
	if (time == 0)
		return;
	/* how far the wall clock is ahead is read with a microsecond's play, and a session's time
	 * is to read the same after a restart */
	time = (time + ahead + NS_PER_MS / 2) / NS_PER_MS * NS_PER_MS;
	clock_format(&b, time);
	json_object_set_new(to, key, json_string(text));
}

/* Whether it is one; else the failure says which it may have meant. */
static bool knows(struct request *r, const char *kind, const char *word, name_fn *name_of)
{
	const struct control_options *o = &r->control->o;
	const struct snapshot *s = o->ops->snapshot(o->ctx);
	char meant[96] = "";
	struct buf b = BUF_OF(meant);
	if (meant_is_name(s, name_of, word))
		return true;
	meant_name(s, name_of, word, &b);
	request_fail(r, "not-found", "the policy has no %s \"%.48s\"%s", kind, word, meant);
	return false;
}

/* After a reload sessions may be of a tier that has gone. */
bool request_knows_tier(struct request *r, const char *tier, bool or_sessions)
{
	struct session_view v;
	uint32_t slot = 0;
	if (knows(r, "tier", tier, snapshot_tier_name))
		return true;
	while (or_sessions && session_each(r->control->o.sessions, &slot, &v))
		if (strcmp(v.session.tier, tier) == 0) {
			r->code = NULL;
			return true;
		}
	return false;
}

void request_set_meant(struct request *r, const char *user)
{
	char meant[USER_MAX];
	if (meant_user(r->control->o.sessions, user, meant))
		json_object_set_new(r->result, "meant", json_string(meant));
}

bool request_knows_site(struct request *r, const char *site)
{
	return knows(r, "site", site, snapshot_site_name);
}

struct who_from request_from(const struct request *r)
{
	const struct control_options *o = &r->control->o;
	return (struct who_from){o->ops->snapshot(o->ctx), o->sessions, o->onlink};
}

struct left_from request_left(const struct control *c)
{
	return (struct left_from){c->o.ops->used, c->o.ctx};
}

uint64_t request_session(const struct request *r, const struct address *a)
{
	const json_t *source = json_object_get(r->body, "source");
	struct session s;
	if (!session_at(r->control->o.sessions, a, r->now, &s))
		return 0;
	bool meant = !source ||
		     (json_is_string(source) && strcmp(json_string_value(source), s.source) == 0);
	return meant ? s.id : 0;
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

void request_answer(struct request *r)
{
	json_t *a = answer_of(r);
	bool put = client_put_json(r->client, a);
	json_decref(a);
	if (put)
		return;
	/* who asked must not wait for ever; for so little there is always room (client_takes) */
	json_decref(r->errors);
	r->errors = NULL;
	request_fail(r, "too-long", "the answer is longer than one may be");
	a = answer_of(r);
	client_put_json(r->client, a);
	json_decref(a);
}

void request_ended(struct request *r)
{
	const struct control_options *o = &r->control->o;
	int e = o->ops->ended(o->ctx);
	if (e)
		json_object_set_new(r->result, "unkept", json_string(strerror(-e)));
}

void who_asks(const struct client *cl, char *out, size_t room)
{
	struct ucred peer;
	socklen_t len = sizeof peer;
	struct passwd *p = NULL;
	if (getsockopt(cl->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
		p = getpwuid(peer.uid);
	else
		peer.uid = (uid_t)-1;
	if (p)
		snprintf(out, room, "%s", p->pw_name);
	else
		snprintf(out, room, "uid %u", (unsigned)peer.uid);
}

void request_acted(const struct request *r, struct decision *d)
{
	const struct control_options *o = &r->control->o;
	d->kind = DECISION_ACT;
	d->time = r->now + r->ahead;
	who_asks(r->client, d->by, sizeof d->by);
	snprintf(d->act, sizeof d->act, "%s", request_text(r, "command"));
	strcpy(d->policy, snapshot_digest(o->ops->snapshot(o->ctx)));
	o->ops->acted(o->ctx, d);
}
