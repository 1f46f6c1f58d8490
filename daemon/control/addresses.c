/* addresses: one comes to a session, or leaves it. */
#include "control/request.h"

#include <errno.h>

/* One address of a session alone; the session goes on with the others, and ends with its last. */
enum done command_drop(struct request *r)
{
	const struct control_options *o = &r->control->o;
	struct address a;
	if (!request_take_address(r, "address", &a))
		return request_fail(r, "bad-request", NO_ADDRESS);
	bool meant = request_session(r, &a) && session_drop_address(o->sessions, &a);
	json_object_set_new(r->result, "dropped", json_boolean(meant));
	if (meant) {
		o->ops->sessions_changed(o->ctx, NULL);
		request_ended(r);
	}
	return DONE;
}

/* To a session by its number, or, since numbers end with the daemon, by another address of it. */
enum done command_add(struct request *r)
{
	const struct control_options *o = &r->control->o;
	json_t *id = json_object_get(r->body, "session");
	struct address a, with;
	struct session before;
	bool by_address = request_take_address(r, "with", &with);
	if (json_is_integer(id) == by_address || !request_take_address(r, "address", &a))
		return request_fail(r, "bad-request", "session (or with) or address is missing");
	uint64_t to = by_address ? request_session(r, &with) : (uint64_t)json_integer_value(id);
	bool another = session_at(o->sessions, &a, r->now, &before) && before.id != to;
	int e = session_add_address(o->sessions, to, &a);
	if (e == -ENOENT)
		return request_fail(r, "not-found", "there is no such session");
	if (e < 0)
		return request_fail(r, "full", "the session has %d addresses already",
				    SESSION_ADDRESSES);
	o->ops->sessions_changed(o->ctx, NULL);
	if (another)
		request_ended(r);
	return DONE;
}
