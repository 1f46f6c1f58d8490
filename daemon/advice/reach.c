#include "advice/reach.h"

#include "base/clock.h"
#include "policy/may.h"

static void set_text(json_t *to, const char *key, const char *value)
{
	if (value && value[0])
		json_object_set_new(to, key, json_string(value));
}

static void set_time(json_t *to, const char *key, int64_t time)
{
	char text[40] = "";
	struct buf b = BUF_OF(text);
	if (time == 0)
		return;
	clock_format(&b, time);
	set_text(to, key, text);
}

static json_t *row(const struct may *m)
{
	json_t *j = json_object();
	set_text(j, "site", m->site);
	set_text(j, "rule", m->rule);
	set_text(j, "owner", m->owner);
	json_object_set_new(j, "now", json_boolean(m->now));
	set_time(j, m->now ? "until" : "from", m->edge);
	return j;
}

void reach(const struct snapshot *s, struct sessions *sessions, const struct address *a,
	   int64_t now, int64_t ahead, json_t *to)
{
	struct session at;
	struct may may[REACH_MAX];
	const char *tier = snapshot_segment(s, a);
	if (session_at(sessions, a, now, &at)) {
		tier = at.tier;
		json_object_set_new(to, "session", json_integer((json_int_t)at.id));
		set_text(to, "user", at.user);
		set_text(to, "source", at.source);
		set_time(to, "since", at.since ? at.since + ahead : 0);
		set_time(to, "until", at.until ? at.until + ahead : 0);
	}
	set_text(to, "tier", tier);
	set_text(to, "mode", snapshot_mode(s) == CONFIG_OBSERVE ? "observe" : "enforce");
	json_t *list = json_array();
	size_t count = tier ? snapshot_may(s, tier, now + ahead, may, REACH_MAX) : 0;
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, row(&may[i]));
	json_object_set_new(to, "may", list);
}
