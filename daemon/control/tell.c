#include "control/request.h"

#include "base/clock.h"

#include <string.h>

#define TEXT_BYTES 400 /* of what is told in words */

struct member {
	const char *name;
	bool number; /* else a text */
};

/* What the portal counts is counted since it started, but for "_today". */
static const struct member portal_members[] = {
	{"url", false},   {"since", false},          {"signed_in", true},
	{"failed", true}, {"signed_in_today", true}, {"failed_today", true},
	{"error", false}, {"error_at", false},       {"stopped", false},
	{NULL, false},
};

/* allowed and denied: "ok", "wrong" or "none": there is no name to try. */
static const struct member probe_members[] = {
	{"tier", false},        {"allowed", false}, {"allowed_name", false}, {"denied", false},
	{"denied_name", false}, {"why", false},     {NULL, false},
};

static bool good(const json_t *value, bool number)
{
	if (number)
		return json_is_integer(value) && json_integer_value(value) >= 0;
	return json_is_string(value) && json_string_length(value) <= TEXT_BYTES;
}

/* The members that are known (the caller's); NULL where one is of another type. */
static json_t *take(const json_t *from, const struct member *members)
{
	json_t *out = json_object();
	for (const struct member *m = members; m->name; m++) {
		json_t *value = json_object_get(from, m->name);
		if (!value)
			continue;
		if (!good(value, m->number)) {
			json_decref(out);
			return NULL;
		}
		json_object_set(out, m->name, value);
	}
	return out;
}

static void keep(struct told_item *item, json_t *what, int64_t now)
{
	json_decref(item->what);
	*item = (struct told_item){what, now};
}

static const char *text(const json_t *j, const char *key)
{
	const char *t = json_string_value(json_object_get(j, key));
	return t ? t : "";
}

static bool is_result(const json_t *what, const char *key)
{
	const char *t = text(what, key);
	return strcmp(t, "ok") == 0 || strcmp(t, "wrong") == 0 || strcmp(t, "none") == 0;
}

/* The place of a tier, else a free one, else NULL. Tiers that have gone from the policy leave. */
static struct told_item *place(struct told *t, const char *tier, const struct snapshot *policy)
{
	struct told_item *free_one = NULL;
	for (size_t i = 0; i < TOLD_TIERS; i++) {
		struct told_item *item = &t->tier[i];
		if (item->what && !snapshot_has_tier(policy, text(item->what, "tier")))
			keep(item, NULL, 0);
		if (item->what && strcmp(text(item->what, "tier"), tier) == 0)
			return item;
		if (!item->what && !free_one)
			free_one = item;
	}
	return free_one;
}

static enum done take_probe(struct request *r, json_t *what)
{
	const struct control_options *o = &r->control->o;
	const struct snapshot *policy = o->ops->snapshot(o->ctx);
	const char *tier = text(what, "tier");
	struct told_item *item = NULL;
	if (!is_result(what, "allowed") || !is_result(what, "denied"))
		request_fail(r, "bad-request", "allowed and denied of probe are ok, wrong or none");
	else if (!snapshot_has_tier(policy, tier))
		request_fail(r, "not-found", "the policy has no tier of that name");
	else if (!(item = place(&r->control->told, tier, policy)))
		request_fail(r, "full", "no more than %d tiers are probed", TOLD_TIERS);
	if (item)
		keep(item, what, r->now);
	else
		json_decref(what);
	return DONE;
}

enum done command_tell(struct request *r)
{
	const json_t *portal = json_object_get(r->body, "portal"),
		     *probe = json_object_get(r->body, "probe");
	json_t *what = NULL;
	if (json_is_object(portal) && !probe)
		what = take(portal, portal_members);
	else if (json_is_object(probe) && !portal)
		what = take(probe, probe_members);
	if (!what)
		return request_fail(r, "bad-request",
				    "tell wants one of portal and probe, an object as "
				    "tiergate-control(7) has it");
	if (probe)
		return take_probe(r, what);
	keep(&r->control->told.portal, what, r->now);
	return DONE;
}

void told_deinit(struct told *t)
{
	keep(&t->portal, NULL, 0);
	for (size_t i = 0; i < TOLD_TIERS; i++)
		keep(&t->tier[i], NULL, 0);
}

/* ---- status ---- */

static json_t *with_age(const struct told_item *item, int64_t now)
{
	json_t *out = json_copy(item->what);
	json_object_set_new(out, "age", json_integer((now - item->at) / NS_PER_S));
	return out;
}

void told_status(const struct told *t, int64_t now, json_t *out)
{
	json_t *probe = json_array();
	if (t->portal.what)
		json_object_set_new(out, "portal", with_age(&t->portal, now));
	for (size_t i = 0; i < TOLD_TIERS; i++)
		if (t->tier[i].what)
			json_array_append_new(probe, with_age(&t->tier[i], now));
	if (json_array_size(probe))
		json_object_set(out, "probe", probe);
	json_decref(probe);
}

/* ---- metrics ---- */

static json_t *family(json_t *to, const char *name, const char *type, const char *help)
{
	json_t *samples = json_array();
	json_array_append_new(to, json_pack("{s:s, s:s, s:s, s:o}", "name", name, "type", type,
					    "help", help, "samples", samples));
	return samples;
}

/* labels is taken over. */
static void sample(json_t *samples, json_t *labels, double value)
{
	json_array_append_new(samples, json_pack("{s:o, s:f}", "labels", labels, "value", value));
}

static void probe_family(const struct told *t, json_t *to, const char *name, const char *key,
			 const char *help)
{
	json_t *samples = family(to, name, "gauge", help);
	for (size_t i = 0; i < TOLD_TIERS; i++) {
		const json_t *what = t->tier[i].what;
		if (what && strcmp(text(what, key), "none") != 0)
			sample(samples, json_pack("{s:s}", "tier", text(what, "tier")),
			       strcmp(text(what, key), "ok") == 0);
	}
}

static bool any_probe(const struct told *t)
{
	for (size_t i = 0; i < TOLD_TIERS; i++)
		if (t->tier[i].what)
			return true;
	return false;
}

static void probe_metrics(const struct told *t, int64_t ahead, json_t *to)
{
	if (!any_probe(t))
		return;
	probe_family(t, to, "tiergate_probe_allowed", "allowed",
		     "1: what the tier is allowed went through when it was probed last");
	probe_family(t, to, "tiergate_probe_denied", "denied",
		     "1: what the tier is denied was denied when it was probed last; 0: it went "
		     "through");
	json_t *times = family(to, "tiergate_probe_time_seconds", "gauge",
			       "when the tier was probed last, since 1970");
	for (size_t i = 0; i < TOLD_TIERS; i++)
		if (t->tier[i].what)
			sample(times, json_pack("{s:s}", "tier", text(t->tier[i].what, "tier")),
			       (double)((t->tier[i].at + ahead) / NS_PER_S));
}

static double number(const json_t *j, const char *key)
{
	return (double)json_integer_value(json_object_get(j, key));
}

/* Without a portal there is nothing to say of one. */
static void portal_metrics(const struct told_item *p, int64_t now, json_t *to)
{
	if (!p->what)
		return;
	bool up = now - p->at <= TOLD_SILENCE && !json_object_get(p->what, "stopped");
	sample(family(to, "tiergate_portal_up", "gauge", "1: the portal has said that it runs"),
	       json_object(), up);
	json_t *samples = family(to, "tiergate_portal_sign_ins_total", "counter",
				 "tries to sign in at the portal, by what came of them");
	sample(samples, json_pack("{s:s}", "result", "ok"), number(p->what, "signed_in"));
	sample(samples, json_pack("{s:s}", "result", "failed"), number(p->what, "failed"));
}

void told_metrics(const struct told *t, int64_t now, int64_t ahead, json_t *out)
{
	portal_metrics(&t->portal, now, out);
	probe_metrics(t, ahead, out);
}
