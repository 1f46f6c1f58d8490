/* follow: a client begins to watch decisions as they are made (watch.h). */
#include "control/request.h"

#include "decision/record.h"

#include <string.h>

static bool action_valid(const char *action)
{
	return !action[0] || strcmp(action, "allow") == 0 || strcmp(action, "deny") == 0 ||
	       strcmp(action, "end") == 0;
}

enum done command_watch(struct request *r)
{
	struct client *cl = r->client;
	struct watch w = {.on = true, .id = json_integer_value(r->id)};
	w.text = request_flag(r, "text");
	w.colour = request_flag(r, "colour");
	w.has_address = json_object_get(r->body, "address") != NULL;
	if (!request_take_text(r, "user", w.user, sizeof w.user) ||
	    !request_take_text(r, "tier", w.tier, sizeof w.tier) ||
	    !request_take_text(r, "action", w.action, sizeof w.action) ||
	    !request_take_text(r, "name", w.name, sizeof w.name))
		return request_fail(r, "bad-request",
				    "user, tier, action or name is no text, or too long");
	if (!action_valid(w.action))
		return request_fail(r, "bad-request", "action is not allow, deny or end");
	if (w.has_address && !request_take_address(r, "address", &w.address))
		return request_fail(r, "bad-request", NO_ADDRESS);
	if (w.tier[0] && !request_knows_tier(r, w.tier, true))
		return DONE; /* it would wait for ever */
	if (w.user[0] && r->control->o.pseudonym) {
		char hidden[PSEUDONYM_TEXT];
		record_pseudonym(r->control->o.pseudonym, w.user, hidden);
		strcpy(w.user, hidden);
	}
	w.ring_lost_seen = ring_refused(r->control->watching.ring);
	if (!cl->watch.on)
		atomic_fetch_add(&r->control->watching.watchers, 1);
	cl->watch = w;
	json_t *j = json_pack("{sO sb sb}", "id", r->id, "more", 1, "watching", 1);
	client_put_json(cl, j);
	json_decref(j);
	return LATER;
}
