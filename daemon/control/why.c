#include "control/request.h"

#include "advice/explain.h"

enum done command_why(struct request *r)
{
	struct buf error = BUF_OF(r->error);
	const struct who_from from = request_from(r);
	if (!explain(&from, r->body, r->now, r->ahead, r->result, &error))
		r->code = "bad-request";
	return DONE;
}
