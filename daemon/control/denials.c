#include "control/request.h"

#include <string.h>

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

enum done command_denials(struct request *r)
{
	struct address a, all[SESSION_ADDRESSES];
	size_t count = 1;
	json_int_t max = json_integer_value(json_object_get(r->body, "max"));
	if (!request_take_address(r, "address", &a))
		return request_fail(r, "bad-request", NO_ADDRESS);
	if (max <= 0 || max > CONTROL_DENIALS_MAX)
		max = CONTROL_DENIALS_MAX;
	all[0] = a;
	if (request_flag(r, "session"))
		count = addresses_of(r, &a, all);
	json_object_set_new(r->result, "denials",
			    watching_denials(r->control, all, count, (size_t)max));
	return DONE;
}
