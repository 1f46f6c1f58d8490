#include "control/request.h"

enum done command_logout(struct request *r)
{
	const struct control_options *o = &r->control->o;
	const char *user = request_text(r, "user"), *address = request_text(r, "address");
	struct address a;
	if (!user == !address)
		return request_fail(r, "bad-request", "say whom: user or address");
	if (address && !address_parse(address, &a))
		return request_fail(r, "bad-request", NO_ADDRESS);
	if (user && json_object_get(r->body, "source"))
		return request_fail(r, "bad-request", "source goes with address");
	unsigned n = 0;
	if (user)
		n = session_close_user(o->sessions, user);
	else if (!json_object_get(r->body, "source") || request_session(r, &a))
		n = session_close_address(o->sessions, &a);
	json_object_set_new(r->result, "ended", json_integer(n));
	if (n)
		o->ops->sessions_changed(o->ctx, NULL);
	return DONE;
}
