/* sessions: the list of them, sent as there is room. */
#include "control/request.h"

#include "advice/meant.h"
#include "base/clock.h"
#include "config/value.h"

#include <string.h>

enum done command_sessions(struct request *r)
{
	struct client *cl = r->client;
	struct address a;
	struct network segment;
	const char *network = request_text(r, "segment"), *tier = request_text(r, "tier");
	if (json_object_get(r->body, "address") && !request_take_address(r, "address", &a))
		return request_fail(r, "bad-request", NO_ADDRESS);
	if (network && !network_parse(network, &segment))
		return request_fail(r, "bad-request", NO_NETWORK);
	if (tier && !request_knows_tier(r, tier, true))
		return DONE;
	cl->rows.id = json_incref(r->id);
	cl->rows.filter = json_deep_copy(r->body);
	cl->rows.slot = cl->rows.count = 0;
	return LATER;
}

static bool within(const char *segment, const struct session_view *v)
{
	struct network n;
	bool any = false;
	if (!network_parse(segment, &n))
		return false;
	for (unsigned i = 0; i < v->address_count; i++)
		any |= network_has(&n, &v->address[i]);
	return any;
}

bool request_names_session(const json_t *filter, const struct session_view *v)
{
	const char *user = json_string_value(json_object_get(filter, "user"));
	const char *tier = json_string_value(json_object_get(filter, "tier"));
	const char *address = json_string_value(json_object_get(filter, "address"));
	const char *source = json_string_value(json_object_get(filter, "source"));
	const char *segment = json_string_value(json_object_get(filter, "segment"));
	struct address a;
	if ((source && strcmp(source, v->session.source) != 0) ||
	    (user && strcmp(user, v->session.user) != 0) ||
	    (tier && strcmp(tier, v->session.tier) != 0) || (segment && !within(segment, v)))
		return false;
	if (!address)
		return true;
	if (!address_parse(address, &a))
		return false;
	for (unsigned i = 0; i < v->address_count; i++)
		if (address_equal(&a, &v->address[i]))
			return true;
	return false;
}

/* What is left of the quotas that are the user's, at whichever of the addresses. */
static void set_left(const struct control *c, const struct session_view *v, int64_t wall, json_t *j)
{
	const struct left_from left = request_left(c);
	const struct facts f = {
		.client = v->address[0], .user = v->session.user, .tier = v->session.tier};
	json_t *list = left_all(&left, c->o.ops->snapshot(c->o.ctx), &f, wall);
	if (list)
		json_object_set_new(j, "quotas", list);
}

static json_t *row(const struct control *c, const struct session_view *v, int64_t ahead)
{
	const struct session *s = &v->session;
	char text[ADDRESS_TEXT];
	json_t *addresses = json_array();
	for (unsigned i = 0; i < v->address_count; i++)
		json_array_append_new(addresses, json_string(address_format(&v->address[i], text)));
	json_t *j = json_pack("{sI ss ss ss so}", "session", (json_int_t)s->id, "user", s->user,
			      "tier", s->tier, "source", s->source, "addresses", addresses);
	if (!j)
		return NULL;
	request_set_time(j, "since", s->since, ahead);
	request_set_time(j, "until", s->until, ahead);
	request_set_time(j, "last_seen", s->last_seen, ahead);
	json_object_set_new(j, "bytes", json_integer((json_int_t)v->bytes));
	json_object_set_new(j, "flows", json_integer((json_int_t)v->flows));
	if (s->has_mac) {
		char mac[24];
		struct buf b = BUF_OF(mac);
		mac_format(s->mac, &b);
		json_object_set_new(j, "mac", json_string(mac));
	}
	if (s->idle)
		json_object_set_new(j, "idle", json_integer(s->idle / NS_PER_S));
	set_left(c, v, clock_now() + ahead, j);
	return j;
}

/* How many rows; of a user of whom there is none, who may have been meant. */
static json_t *summary(const struct client *cl)
{
	const char *user = json_string_value(json_object_get(cl->rows.filter, "user"));
	json_t *j = json_pack("{sI}", "count", (json_int_t)cl->rows.count);
	char meant[USER_MAX];
	if (user && !cl->rows.count && meant_user(cl->control->o.sessions, user, meant))
		json_object_set_new(j, "meant", json_string(meant));
	return j;
}

#define ROWS_TURN 4096

void command_rows(struct client *cl)
{
	struct session_view v;
	int64_t ahead = clock_ahead();
	for (int n = 0; n < ROWS_TURN && client_room(cl) > CONTROL_OUT_MAX / 2; n++) {
		if (!session_each(cl->control->o.sessions, &cl->rows.slot, &v)) {
			json_t *end = json_pack("{sO sb so}", "id", cl->rows.id, "ok", 1, "result",
						summary(cl));
			client_put_json(cl, end);
			json_decref(end);
			json_decref(cl->rows.id);
			json_decref(cl->rows.filter);
			cl->rows.id = cl->rows.filter = NULL;
			return;
		}
		if (!request_names_session(cl->rows.filter, &v))
			continue;
		json_t *line = json_pack("{sO sb so}", "id", cl->rows.id, "more", 1, "result",
					 row(cl->control, &v, ahead));
		client_put_json(cl, line);
		json_decref(line);
		cl->rows.count++;
	}
}
