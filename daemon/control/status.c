#include "control/request.h"

enum done command_ping(struct request *r)
{
	return DONE;
}

enum done command_status(struct request *r)
{
	const struct control_options *o = &r->control->o;
	o->ops->status(o->ctx, r->result);
	return DONE;
}
