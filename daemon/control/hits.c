/* hits: what lines and list entries of the policy are used, a portion at a time. */
#include "control/request.h"

#define PORTION 1000 /* some 50 kB of an answer */

enum done command_hits(struct request *r)
{
	const struct control_options *o = &r->control->o;
	const json_t *from = json_object_get(r->body, "from");
	if (from && (!json_is_integer(from) || json_integer_value(from) < 0))
		return request_fail(r, "bad-request", "from is a number, the last answer's next");
	o->ops->hits(o->ctx, (size_t)json_integer_value(from), PORTION, r->result);
	return DONE;
}
