#include "control/request.h"

#include "advice/reach.h"

enum done command_reach(struct request *r)
{
	struct address a;
	if (!request_take_address(r, "address", &a))
		return request_fail(r, "bad-request", NO_ADDRESS);
	const struct who_from from = request_from(r);
	const struct left_from left = request_left(r->control);
	reach(&from, &left, &a, r->now, r->ahead, r->result);
	return DONE;
}
