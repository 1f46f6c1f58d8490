#include "control/request.h"

#include <stdio.h>
#include <string.h>

/* Flows end at once; the answer waits until no crash can sign anybody in again. */
static void say_ended(struct request *r, struct decision *act)
{
	const struct control_options *o = &r->control->o;
	o->ops->sessions_changed(o->ctx, NULL);
	request_ended(r);
	request_acted(r, act);
}

/* All sessions of a segment, of a tier, of both, or all there are. */
static enum done logout_many(struct request *r)
{
	const struct control_options *o = &r->control->o;
	const char *segment = request_text(r, "segment"), *tier = request_text(r, "tier");
	bool all = json_object_get(r->body, "all");
	struct session_view v;
	struct network n;
	uint32_t slot = 0;
	unsigned ended = 0;
	/* what is no text would name nobody, and so everybody */
	if (!segment != !json_object_get(r->body, "segment") ||
	    !tier != !json_object_get(r->body, "tier") || (all && (segment || tier)))
		return request_fail(r, "bad-request",
				    "segment and tier are texts; all stands alone");
	if (segment && !network_parse(segment, &n))
		return request_fail(r, "bad-request", NO_NETWORK);
	if (tier && !request_knows_tier(r, tier, true))
		return DONE;
	while (session_each(o->sessions, &slot, &v))
		if (v.address_count && request_names_session(r->body, &v))
			ended += session_close_address(o->sessions, &v.address[0]);
	json_object_set_new(r->result, "ended", json_integer(ended));
	struct decision act = {0};
	snprintf(act.tier, sizeof act.tier, "%s", tier ? tier : "");
	snprintf(act.detail, sizeof act.detail, "%u of %s", ended,
		 segment ? segment
		 : all   ? "all"
			 : "the tier");
	if (ended)
		say_ended(r, &act);
	return DONE;
}

enum done command_logout(struct request *r)
{
	const struct control_options *o = &r->control->o;
	const char *user = request_text(r, "user"), *address = request_text(r, "address");
	bool all = json_is_true(json_object_get(r->body, "all"));
	bool many = all || request_text(r, "segment") || request_text(r, "tier");
	struct address a;
	if ((user != NULL) + (address != NULL) + many != 1)
		return request_fail(r, "bad-request",
				    "say whom: user, address, segment, tier or all");
	if (many)
		return logout_many(r);
	if (address && !address_parse(address, &a))
		return request_fail(r, "bad-request", NO_ADDRESS);
	if (user && json_object_get(r->body, "source"))
		return request_fail(r, "bad-request", "source goes with address");
	unsigned n = 0;
	struct decision act = {0};
	if (user)
		snprintf(act.user, sizeof act.user, "%s", user);
	else
		act.client = a;
	if (user)
		n = session_close_user(o->sessions, user);
	else if (!json_object_get(r->body, "source") || request_session(r, &a))
		n = session_close_address(o->sessions, &a);
	json_object_set_new(r->result, "ended", json_integer(n));
	if (user && !n)
		request_set_meant(r, user);
	if (n)
		say_ended(r, &act);
	return DONE;
}
