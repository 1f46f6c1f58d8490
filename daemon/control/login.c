#include "control/request.h"

#include "config/value.h"
#include "identity/attached.h"
#include "identity/users.h"

#include <stdio.h>
#include <string.h>

/* The host that a session is for. Behind a router the frames of all have its MAC address, which
 * tells nobody apart. */
static bool take_mac(const struct request *r, const struct address *a, struct session *s)
{
	const char *text = request_text(r, "mac");
	if (!json_object_get(r->body, "mac"))
		return true;
	if (!text || !mac_parse(text, s->mac))
		return false;
	s->has_mac = s->mac_told = attached(a);
	if (!s->has_mac)
		memset(s->mac, 0, sizeof s->mac);
	return true;
}

/* The session ends with `for`, and with its tier's own limit at the latest. */
static bool limits(struct request *r, struct session *s)
{
	const struct control_options *o = &r->control->o;
	const char *text = request_text(r, "for");
	int64_t absolute, wanted = 0;
	if ((text && !duration_parse(text, &wanted)) || (!text && json_object_get(r->body, "for")))
		return false;
	snapshot_tier_limits(o->ops->snapshot(o->ctx), s->tier, &s->idle, &absolute);
	if (absolute && (wanted == 0 || absolute < wanted))
		wanted = absolute;
	s->until = wanted ? r->now + wanted : 0;
	return true;
}

enum done command_login(struct request *r)
{
	const struct control_options *o = &r->control->o;
	struct session s = {.since = r->now}, opened, before;
	struct address a;
	if (!request_take_address(r, "address", &a))
		return request_fail(r, "bad-request", NO_ADDRESS);
	if (!take_mac(r, &a, &s))
		return request_fail(r, "bad-request",
				    "mac must be one such as \"02:00:00:00:00:07\"");
	if (!request_take_text(r, "user", s.user, sizeof s.user) || !user_name_valid(s.user))
		return request_fail(r, "bad-request", "user is missing or no user name");
	const struct lockdown *block =
		lockdowns_block(o->ops->lockdowns(o->ctx), s.user, r->now + r->ahead);
	if (block)
		return request_fail(r, "blocked", "%s is blocked by %s; tiergatectl unblock %s",
				    s.user, block->by, s.user);
	if (!request_take_text(r, "source", s.source, sizeof s.source))
		return request_fail(r, "bad-request", "source is too long");
	if (!s.source[0])
		strcpy(s.source, "login");
	if (!request_take_text(r, "tier", s.tier, sizeof s.tier) ||
	    !snapshot_has_tier(o->ops->snapshot(o->ctx), s.tier))
		return request_fail(r, "not-found", "the policy has no tier of that name");
	if (!limits(r, &s))
		return request_fail(r, "bad-request",
				    "for is no duration; \"8h\" would be accepted");
	bool another = session_at(o->sessions, &a, r->now, &before);
	if (session_open(o->sessions, &a, &s, r->now) < 0)
		return request_fail(r, "full", "the session table is full");
	if (session_at(o->sessions, &a, r->now, &opened))
		json_object_set_new(r->result, "session", json_integer((json_int_t)opened.id));
	request_set_time(r->result, "until", s.until, r->ahead);
	o->ops->sessions_changed(o->ctx, &a);
	if (another) /* has ended, or has another tier now */
		request_ended(r);
	struct decision act = {.client = a};
	strcpy(act.user, s.user);
	strcpy(act.tier, s.tier);
	snprintf(act.detail, sizeof act.detail, "by %s", s.source);
	request_acted(r, &act);
	return DONE;
}
