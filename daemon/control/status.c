#include "control/request.h"

enum done command_ping(struct request *r)
{
	return DONE;
}

enum done command_metrics(struct request *r)
{
	const struct control_options *o = &r->control->o;
	json_t *families = json_array();
	if (o->ops->metrics)
		o->ops->metrics(o->ctx, families);
	told_metrics(&r->control->told, r->now, r->ahead, families);
	json_object_set_new(r->result, "families", families);
	return DONE;
}

enum done command_status(struct request *r)
{
	const struct control_options *o = &r->control->o;
	o->ops->status(o->ctx, r->result);
	told_status(&r->control->told, r->now, r->result);
	return DONE;
}
