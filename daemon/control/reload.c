#include "control/client.h"
#include "control/request.h"

#include <stdio.h>

#define ERRORS_MAX 100 /* in an answer */

enum done command_reload(struct request *r)
{
	char by[64];
	who_asks(r->client, by, sizeof by);
	r->client->reload = json_incref(r->id);
	r->client->reload_next = false; /* it may be over within the call */
	r->client->reload_next = r->control->o.ops->reload(r->control->o.ctx, by);
	return LATER;
}

void control_reloaded(struct control *c, const struct errors *errors)
{
	for (size_t n = 0; n < CONTROL_CLIENTS; n++) {
		struct client *cl = c->clients[n];
		if (!cl || !cl->reload)
			continue;
		if (cl->reload_next) {
			cl->reload_next = false;
			continue;
		}
		struct request r = {.client = cl, .id = cl->reload, .result = json_object()};
		if (errors->count) {
			r.errors = json_array();
			request_fail(&r, "failed", "%zu error%s; the old policy stays in force",
				     errors->count, errors->count == 1 ? "" : "s");
		}
		for (size_t i = 0; i < errors->count && i < ERRORS_MAX; i++)
			json_array_append_new(r.errors, json_string(errors->lines[i]));
		request_answer(&r);
		json_decref(r.result);
		json_decref(r.errors);
		json_decref(r.id);
		cl->reload = NULL;
		client_flush(cl);
	}
}
