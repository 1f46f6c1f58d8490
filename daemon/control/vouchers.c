/* vouchers: that an operator made some. They are in a file that this process neither reads nor
 * writes; who made them, and what for, is a record as every other act of an operator is. */
#include "control/request.h"

#include "config/value.h"
#include "identity/vouchers.h"

#include <stdio.h>
#include <string.h>

enum done command_vouchers(struct request *r)
{
	const struct control_options *o = &r->control->o;
	const json_t *count = json_object_get(r->body, "count");
	const char *lasts = request_text(r, "for");
	struct decision act = {0};
	int64_t ns;
	if (!json_is_integer(count) || json_integer_value(count) < 1 ||
	    json_integer_value(count) > VOUCHERS_MAX)
		return request_fail(r, "bad-request", "count is a number from 1 to %d",
				    VOUCHERS_MAX);
	if (!lasts || !duration_parse(lasts, &ns))
		return request_fail(r, "bad-request",
				    "for is no duration; \"8h\" would be accepted");
	if (!request_take_text(r, "tier", act.tier, sizeof act.tier) ||
	    !snapshot_has_tier(o->ops->snapshot(o->ctx), act.tier))
		return request_fail(r, "not-found", "the policy has no tier of that name");
	snprintf(act.detail, sizeof act.detail, "%d for %.32s each", (int)json_integer_value(count),
		 lasts);
	request_acted(r, &act);
	return DONE;
}
