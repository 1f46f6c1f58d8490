/* names: tiers, sites and users that begin with some text, for who types one. */
#include "control/request.h"

#include <string.h>

#define NAMES_MAX 200 /* of one kind in an answer */

static void add(json_t *list, const char *name, const char *prefix)
{
	if (*name && strncmp(name, prefix, strlen(prefix)) == 0 &&
	    json_array_size(list) < NAMES_MAX)
		json_array_append_new(list, json_string(name));
}

static json_t *of_policy(const char *(*name)(const struct snapshot *s, uint32_t i),
			 const struct snapshot *s, const char *prefix)
{
	json_t *list = json_array();
	for (uint32_t i = 0; *name(s, i); i++)
		add(list, name(s, i), prefix);
	return list;
}

static bool has(const json_t *list, const char *name)
{
	size_t i;
	json_t *one;
	json_array_foreach(list, i, one)
	{
		if (strcmp(json_string_value(one), name) == 0)
			return true;
	}
	return false;
}

static json_t *users(struct sessions *sessions, const char *prefix)
{
	json_t *list = json_array();
	struct session_view v;
	uint32_t slot = 0;
	while (json_array_size(list) < NAMES_MAX && session_each(sessions, &slot, &v))
		if (!has(list, v.session.user))
			add(list, v.session.user, prefix);
	return list;
}

enum done command_names(struct request *r)
{
	const struct control_options *o = &r->control->o;
	const struct snapshot *s = o->ops->snapshot(o->ctx);
	const char *prefix = request_text(r, "prefix");
	if (!prefix && json_object_get(r->body, "prefix"))
		return request_fail(r, "bad-request", "prefix is no text");
	prefix = prefix ? prefix : "";
	json_object_set_new(r->result, "tiers", of_policy(snapshot_tier_name, s, prefix));
	json_object_set_new(r->result, "sites", of_policy(snapshot_site_name, s, prefix));
	json_object_set_new(r->result, "users", users(o->sessions, prefix));
	return DONE;
}
