/* lockdown: what an operator shuts for a while, and what is shut. */
#include "control/request.h"

#include "base/clock.h"
#include "config/value.h"
#include "identity/users.h"

#include <stdio.h>
#include <string.h>

/* One of segment, tier and user. */
static bool take_whom(struct request *r, struct lockdown *l)
{
	const char *segment = request_text(r, "segment"), *tier = request_text(r, "tier");
	const char *user = request_text(r, "user");
	if (!!segment + !!tier + !!user != 1) {
		request_fail(r, "bad-request", "say whom: segment, tier or user");
	} else if (segment && !network_parse(segment, &l->segment)) {
		request_fail(r, "bad-request", NO_NETWORK);
	} else if (tier && !request_knows_tier(r, tier, false)) {
		return false;
	} else if (user && !user_name_valid(user)) {
		request_fail(r, "bad-request", "user is no user name");
	} else {
		l->of = segment ? LOCKDOWN_SEGMENT : tier ? LOCKDOWN_TIER : LOCKDOWN_USER;
		if (!segment)
			snprintf(l->whom, sizeof l->whom, "%s", tier ? tier : user);
		return true;
	}
	return false;
}

static bool take_sites(struct request *r, struct lockdown *l)
{
	const json_t *only = json_object_get(r->body, "only"), *one;
	size_t i;
	if (only && !json_is_array(only))
		return request_fail(r, "bad-request", "only is a list of sites"), false;
	if (json_array_size(only) > LOCKDOWN_SITES)
		return request_fail(r, "bad-request", "only has more than %d sites",
				    LOCKDOWN_SITES),
		       false;
	json_array_foreach(only, i, one)
	{
		const char *site = json_string_value(one);
		if (!request_knows_site(r, site ? site : ""))
			return false;
		strcpy(l->site[l->site_count++], site);
	}
	return true;
}

/* "for", a duration from now, or "until", seconds of the wall clock. */
static bool take_end(struct request *r, struct lockdown *l)
{
	const char *text = request_text(r, "for");
	const json_t *until = json_object_get(r->body, "until");
	int64_t ns = 0;
	l->since = r->now + r->ahead;
	l->until = INT64_MAX;
	if (!json_object_get(r->body, "for") && !until)
		return true;
	if (text && !until && duration_parse(text, &ns) && ns > 0) {
		l->until = l->since + ns;
	} else if (!json_object_get(r->body, "for") && json_is_integer(until) &&
		   json_integer_value(until) > l->since / NS_PER_S &&
		   json_integer_value(until) < INT64_MAX / NS_PER_S) {
		l->until = json_integer_value(until) * NS_PER_S;
	} else {
		request_fail(r, "bad-request",
			     "for is a duration such as \"2h\", until a time to come");
		return false;
	}
	return true;
}

static json_t *row(const struct lockdown *l)
{
	char whom[USER_MAX + 64];
	struct buf b = BUF_OF(whom);
	json_t *only = json_array(), *j;
	lockdown_whom(l, &b);
	for (unsigned i = 0; i < l->site_count; i++)
		json_array_append_new(only, json_string(l->site[i]));
	j = json_pack("{sI ss ss so}", "lockdown", (json_int_t)l->id, "whom", whom, "by", l->by,
		      "only", only);
	request_set_time(j, "since", l->since, 0);
	if (l->until != INT64_MAX)
		request_set_time(j, "until", l->until, 0);
	return j;
}

/* The changed list is what counts; where it could not be kept, that is said. */
static void put_in_force(struct request *r, const struct lockdowns *l, struct decision *act)
{
	const struct control_options *o = &r->control->o;
	int e = o->ops->lock(o->ctx, l);
	if (e)
		json_object_set_new(r->result, "unkept", json_string(strerror(-e)));
	request_acted(r, act);
}

/* A host in the segment reaches the world by its other addresses, too: those that sessions tell are
 * counted, and one is named. */
static void say_elsewhere(struct request *r, const struct network *segment)
{
	struct session_view v;
	uint32_t slot = 0, count = 0;
	char text[ADDRESS_TEXT];
	while (session_each(r->control->o.sessions, &slot, &v)) {
		unsigned inside = 0, outside = v.address_count;
		for (unsigned i = 0; i < v.address_count; i++) {
			if (network_has(segment, &v.address[i]))
				inside++;
			else
				outside = i;
		}
		if (inside && outside < v.address_count && count++ == 0)
			json_object_set_new(r->result, "elsewhere_one",
					    json_string(address_format(&v.address[outside], text)));
	}
	if (count)
		json_object_set_new(r->result, "elsewhere", json_integer(count));
}

/* Nothing is denied where the gateway only looks on. */
static void say_mode(struct request *r)
{
	const struct control_options *o = &r->control->o;
	if (snapshot_mode(o->ops->snapshot(o->ctx)) == CONFIG_OBSERVE)
		json_object_set_new(r->result, "mode", json_string("observe"));
}

/* A user is a member of its own, which a log may hide. */
static struct decision act_of(const struct lockdown *l)
{
	struct decision act = {0};
	char text[40];
	struct buf b = BUF_OF(act.detail), until = BUF_OF(text);
	if (l->of == LOCKDOWN_USER)
		strcpy(act.user, l->whom);
	else
		lockdown_whom(l, &b);
	clock_format(&until, l->until);
	buf_printf(&b, "%s%u, only", b.len ? ", " : "", l->id);
	for (unsigned i = 0; i < l->site_count; i++)
		buf_printf(&b, " %s", l->site[i]);
	buf_text(&b, l->site_count ? "" : " nothing outside");
	if (l->until != INT64_MAX)
		buf_printf(&b, ", until %.19sZ", text);
	return act;
}

enum done command_lockdown(struct request *r)
{
	const struct control_options *o = &r->control->o;
	struct lockdowns changed = *o->ops->lockdowns(o->ctx);
	struct lockdown l = {0};
	if (!take_whom(r, &l) || !take_sites(r, &l) || !take_end(r, &l))
		return DONE;
	who_asks(r->client, l.by, sizeof l.by);
	if (!lockdowns_add(&changed, &l, l.since))
		return request_fail(r, "full", "there are %d lockdowns; end one of them",
				    LOCKDOWNS_MAX);
	struct decision act = act_of(&l);
	json_t *shown = row(&l);
	json_object_update(r->result, shown);
	json_decref(shown);
	say_mode(r);
	if (l.of == LOCKDOWN_SEGMENT)
		say_elsewhere(r, &l.segment);
	if (l.of == LOCKDOWN_USER)
		request_set_meant(r, l.whom);
	put_in_force(r, &changed, &act);
	return DONE;
}

enum done command_lockdowns(struct request *r)
{
	const struct control_options *o = &r->control->o;
	const struct lockdowns *l = o->ops->lockdowns(o->ctx);
	json_t *list = json_array();
	for (unsigned i = 0; i < l->count; i++)
		if (lockdown_holds(&l->item[i], r->now + r->ahead))
			json_array_append_new(list, row(&l->item[i]));
	json_object_set_new(r->result, "lockdowns", list);
	say_mode(r);
	return DONE;
}

/* By its number; or all that block a user. */
enum done command_lockdown_end(struct request *r)
{
	const struct control_options *o = &r->control->o;
	struct lockdowns changed = *o->ops->lockdowns(o->ctx);
	const json_t *id = json_object_get(r->body, "lockdown");
	const char *user = request_text(r, "user");
	const struct lockdown *block;
	struct decision act = {0};
	unsigned ended = 0;
	if (json_is_integer(id) == !!user || (id && !json_is_integer(id)))
		return request_fail(r, "bad-request", "say which: lockdown or user");
	if (id && json_integer_value(id) > 0 && json_integer_value(id) <= UINT32_MAX)
		ended = lockdowns_end(&changed, (uint32_t)json_integer_value(id));
	while (user && (block = lockdowns_block(&changed, user, r->now + r->ahead)))
		ended += lockdowns_end(&changed, block->id);
	json_object_set_new(r->result, "ended", json_integer(ended));
	snprintf(act.user, sizeof act.user, "%s", user ? user : "");
	if (id)
		snprintf(act.detail, sizeof act.detail, "%lld", (long long)json_integer_value(id));
	if (ended)
		put_in_force(r, &changed, &act);
	return DONE;
}
