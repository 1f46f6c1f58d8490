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

/* Whose quotas are meant, and what counts them. */
struct asked {
	const struct left_from *left;
	const struct snapshot *snapshot;
	struct facts facts;
	int64_t now;
};

static json_t *row(const struct may *m, const struct asked *q)
{
	json_t *j = json_object();
	set_text(j, "site", m->site);
	set_text(j, "rule", m->rule);
	set_text(j, "owner", m->owner);
	json_object_set_new(j, "now", json_boolean(m->now));
	set_time(j, m->now ? "until" : "from", m->edge);
	json_t *quotas = m->quotas ? json_array() : NULL;
	for (unsigned i = 0; i < m->quotas; i++)
		json_array_append_new(
			quotas, left_of(q->left, q->snapshot, m->quota[i], &q->facts, q->now));
	json_object_set_new(j, "quotas", quotas);
	return j;
}

static void set_session(json_t *to, const struct session *s, int64_t ahead)
{
	json_object_set_new(to, "session", json_integer((json_int_t)s->id));
	set_text(to, "source", s->source);
	set_time(to, "since", s->since ? s->since + ahead : 0);
	set_time(to, "until", s->until ? s->until + ahead : 0);
}

void reach(const struct who_from *from, const struct left_from *left, const struct address *a,
	   int64_t now, int64_t ahead, json_t *to)
{
	const struct snapshot *s = from->snapshot;
	struct may may[REACH_MAX];
	struct who_at at;
	who_at(from, a, NULL, false, now, &at);
	if (at.signed_in)
		set_session(to, &at.session, ahead);
	set_text(to, "user", at.who.user);
	set_text(to, "tier", at.who.tier);
	set_text(to, "mode", snapshot_observes(s, at.who.tier) ? "observe" : "enforce");
	const struct host_key host =
		from->onlink ? onlink_host(from->onlink, a) : host_key_address(a);
	const struct asked q = {
		.left = left,
		.snapshot = s,
		.facts = {.client = *a, .user = at.who.user, .tier = at.who.tier, .whose = &host},
		.now = now + ahead};
	json_t *list = json_array();
	size_t count =
		at.who.tier[0] ? snapshot_may(s, at.who.tier, now + ahead, may, REACH_MAX) : 0;
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, row(&may[i], &q));
	json_object_set_new(to, "may", list);
}
