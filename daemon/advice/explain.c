#include "advice/explain.h"

#include "advice/edit.h"
#include "advice/meant.h"
#include "base/clock.h"
#include "base/host.h"
#include "config/suggest.h"
#include "config/value.h"
#include "policy/why.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <time.h>

/* ---- time ---- */

static bool local_time(struct tm *tm, int64_t *out)
{
	tm->tm_isdst = -1;
	time_t t = mktime(tm);
	*out = (int64_t)t * NS_PER_S;
	return t != (time_t)-1;
}

static bool next_weektime(unsigned day, unsigned minute, int64_t now, int64_t *out)
{
	time_t t = (time_t)(now / NS_PER_S);
	struct tm tm;
	localtime_r(&t, &tm);
	unsigned today = ((unsigned)tm.tm_wday + 6) % 7;
	unsigned minutes = (unsigned)(tm.tm_hour * 60 + tm.tm_min);
	unsigned ahead = (day + 7 - today) % 7;
	if (ahead == 0 && minute < minutes)
		ahead = 7;
	tm.tm_mday += (int)ahead;
	tm.tm_hour = (int)(minute / 60);
	tm.tm_min = (int)(minute % 60);
	tm.tm_sec = 0;
	return local_time(&tm, out);
}

/* The offset that ends an RFC 3339 time: "Z" or "+02:00"; seconds. */
static bool offset_parse(const char *text, long *out)
{
	unsigned h, m;
	int n = 0;
	*out = 0;
	if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
		return true;
	if ((text[0] != '+' && text[0] != '-') || sscanf(text + 1, "%2u:%2u%n", &h, &m, &n) != 2 ||
	    text[1 + n] || h > 23 || m > 59)
		return false;
	*out = (text[0] == '-' ? -1 : 1) * (long)(h * 3600 + m * 60);
	return true;
}

/* Counted from the next month's day 0: February knows its year. */
static int days_of_month(const struct tm *tm)
{
	struct tm last = {.tm_year = tm->tm_year, .tm_mon = tm->tm_mon + 1};
	timegm(&last);
	return last.tm_mday;
}

static bool ranges_good(const struct tm *tm)
{
	return tm->tm_year >= 70 && tm->tm_year < 400 && tm->tm_mon >= 0 && tm->tm_mon < 12 &&
	       tm->tm_mday >= 1 && tm->tm_mday <= days_of_month(tm) && tm->tm_hour >= 0 &&
	       tm->tm_hour < 24 && tm->tm_min >= 0 && tm->tm_min < 60 && tm->tm_sec >= 0 &&
	       tm->tm_sec < 61;
}

bool when_parse(const char *text, int64_t now, int64_t *out)
{
	struct tm tm = {0};
	unsigned day, minute;
	int n = 0, seconds = 0;
	long offset;
	char mid;
	if (weektime_parse(text, &day, &minute))
		return next_weektime(day, minute, now, out);
	if (sscanf(text, "%4d-%2d-%2d%c%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &mid,
		   &tm.tm_hour, &tm.tm_min, &n) != 6 ||
	    !n || !strchr("Tt ", mid))
		return false;
	if (sscanf(text + n, ":%2d%n", &tm.tm_sec, &seconds) == 1)
		n += seconds;
	if (text[n] == '.')
		n += 1 + (int)strspn(text + n + 1, "0123456789");
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	if (!ranges_good(&tm))
		return false;
	if (!text[n])
		return local_time(&tm, out);
	if (!offset_parse(text + n, &offset))
		return false;
	*out = ((int64_t)timegm(&tm) - offset) * NS_PER_S;
	return true;
}

/* ---- the question ---- */

struct question {
	struct facts facts;
	struct host host;
	struct who who;
	int64_t at;
	bool signed_in;
};

static const char *text_of(const json_t *j, const char *key)
{
	const char *text = json_string_value(json_object_get(j, key));
	return text && text[0] ? text : NULL;
}

static bool evidence_parse(const char *text, enum evidence *out)
{
	for (int e = 0; e < EVIDENCE_COUNT; e++)
		if (strcmp(text, evidence_text(e)) == 0) {
			*out = (enum evidence)e;
			return true;
		}
	return false;
}

static bool find_user(struct sessions *sessions, const char *user, struct question *q)
{
	struct session_view view;
	uint32_t slot = 0;
	while (sessions && session_each(sessions, &slot, &view)) {
		if (strcmp(view.session.user, user) != 0)
			continue;
		memcpy(q->who.user, view.session.user, USER_MAX);
		memcpy(q->who.tier, view.session.tier, TIER_MAX);
		q->facts.client = view.address[0];
		q->signed_in = true;
		return true;
	}
	return false;
}

/* Who is not signed in, with the tier that the asker knows from elsewhere (the users file). */
static bool otherwise(const struct snapshot *s, const json_t *j, const char *user,
		      struct question *q)
{
	const char *tier = text_of(j, "otherwise");
	if (!tier || !snapshot_has_tier(s, tier))
		return false;
	snprintf(q->who.user, USER_MAX, "%s", user);
	snprintf(q->who.tier, TIER_MAX, "%s", tier);
	return true;
}

static void who_is_at(const struct who_from *from, int64_t now, struct question *q)
{
	struct who_at at;
	who_at(from, &q->facts.client, NULL, false, now, &at);
	q->who = at.who;
	q->signed_in = at.signed_in;
}

static void say_not_signed_in(struct sessions *sessions, const char *user, struct buf *error)
{
	char meant[USER_MAX];
	buf_printf(error, "user %.64s is not signed in; ", user);
	if (meant_user(sessions, user, meant))
		buf_printf(error, "did you mean %.64s, or ask by tier", meant);
	else
		buf_text(error, "ask by tier");
}

static bool who_is_meant(const struct who_from *from, const json_t *j, int64_t now,
			 struct question *q, struct buf *error)
{
	const char *user = text_of(j, "user"), *tier = text_of(j, "tier");
	const char *address = text_of(j, "address");
	if (!!user + !!tier + !!address != 1) {
		buf_text(error, "say who: one of user, tier and address");
	} else if (user && !find_user(from->sessions, user, q) &&
		   !otherwise(from->snapshot, j, user, q)) {
		say_not_signed_in(from->sessions, user, error);
	} else if (tier && !snapshot_has_tier(from->snapshot, tier)) {
		buf_printf(error, "there is no tier %.32s", tier);
		meant_name(from->snapshot, snapshot_tier_name, tier, error);
	} else if (address && !address_parse(address, &q->facts.client)) {
		buf_printf(error,
			   "%.64s is not an address; one such as 10.0.0.7 or fd00::7 would be "
			   "accepted",
			   address);
	} else {
		if (address)
			who_is_at(from, now, q);
		if (tier)
			snprintf(q->who.tier, TIER_MAX, "%s", tier);
		q->facts.tier = q->who.tier;
		q->facts.user = q->who.user;
		return true;
	}
	return false;
}

static void say_no_evidence(const char *word, struct buf *error)
{
	const char *names[EVIDENCE_COUNT];
	for (int e = 0; e < EVIDENCE_COUNT; e++)
		names[e] = evidence_text((enum evidence)e);
	buf_printf(error, "%.32s is no evidence; ", word);
	suggest(word, names, EVIDENCE_COUNT, "kinds", error);
}

static bool where_to(const json_t *j, struct question *q, struct buf *error)
{
	struct config_port port = {IPPROTO_TCP, 443, 443};
	const char *to = text_of(j, "to"), *p = text_of(j, "port");
	const char *evidence = text_of(j, "evidence");
	if (!to) {
		buf_text(error, "say where: to is missing");
	} else if (!address_parse(to, &q->facts.server) && !host_parse(to, &q->host)) {
		buf_printf(error, "%.64s is neither an address nor a host name", to);
	} else if (p && (!port_parse(p, &port) || port.first != port.last)) {
		buf_printf(error, "%.32s is no port; tcp/443 or udp/443 would be accepted", p);
	} else if (evidence && !evidence_parse(evidence, &q->facts.evidence)) {
		say_no_evidence(evidence, error);
	} else {
		if (q->host.len)
			q->facts.host = &q->host;
		if (!evidence)
			q->facts.evidence = q->host.len ? EVIDENCE_SNI_DNS : EVIDENCE_ADDRESS;
		q->facts.transport = port.transport;
		q->facts.port = port.first;
		return true;
	}
	return false;
}

static bool when_asked(const json_t *j, int64_t now, struct question *q, struct buf *error)
{
	const char *at = text_of(j, "at");
	q->at = now;
	if (!at || when_parse(at, now, &q->at))
		return true;
	buf_printf(error,
		   "%.40s is no time; \"mon 10:00\", \"2026-11-24 10:00\" or RFC 3339 would be "
		   "accepted",
		   at);
	return false;
}

/* ---- the answer ---- */

static void set_text(json_t *to, const char *key, const char *value)
{
	if (value && value[0])
		json_object_set_new(to, key, json_string(value));
}

static void answer_with(const struct snapshot *s, const struct question *q, const struct why *why,
			json_t *to)
{
	char time[40] = "";
	struct buf b = BUF_OF(time);
	clock_format(&b, q->at);
	set_text(to, "action", why->outcome.action == ACTION_ALLOW ? "allow" : "deny");
	set_text(to, "reason", reason_text(why->outcome.reason));
	set_text(to, "help", reason_help(why->outcome.reason));
	set_text(to, "rule", why->rule);
	set_text(to, "owner", why->owner);
	set_text(to, "site", why->site);
	set_text(to, "needs", why->needs);
	set_text(to, "nearest", why->nearest);
	set_text(to, "nearest_owner", why->nearest_owner);
	set_text(to, "observed", why->watched);
	set_text(to, "note", why->note);
	set_text(to, "nearest_note", why->nearest_note);
	set_text(to, "user", q->who.user);
	set_text(to, "tier", q->who.tier);
	json_object_set_new(to, "signed_in", json_boolean(q->signed_in));
	set_text(to, "evidence", evidence_text(q->facts.evidence));
	set_text(to, "at", time);
	set_text(to, "policy", snapshot_digest(s));
	if (snapshot_observes(s, q->who.tier))
		set_text(to, "mode", "observe");
	json_t *obstacles = json_array();
	for (unsigned i = 0; i < why->obstacle_count && i < WHY_OBSTACLES; i++)
		json_array_append_new(obstacles, json_string(why->obstacle[i]));
	json_object_set_new(to, "obstacles", obstacles);
}

static bool ask(const struct who_from *from, const json_t *question, int64_t now, int64_t ahead,
		json_t *answer, struct buf *error, struct question *q)
{
	struct why why;
	memset(&why, 0, sizeof why);
	*q = (struct question){0};
	if (!who_is_meant(from, question, now, q, error) || !where_to(question, q, error) ||
	    !when_asked(question, now + ahead, q, error))
		return false;
	why_explain(from->snapshot, &q->facts, q->at, &why);
	answer_with(from->snapshot, q, &why, answer);
	return true;
}

bool explain(const struct who_from *from, const json_t *question, int64_t now, int64_t ahead,
	     json_t *answer, struct buf *error)
{
	struct question q;
	return ask(from, question, now, ahead, answer, error, &q);
}

bool explain_edit(const struct policy *p, const json_t *question, int64_t now, int64_t ahead,
		  json_t *answer, struct buf *error)
{
	const struct who_from from = {.snapshot = p->snapshot};
	struct question q;
	struct edits edits;
	if (!ask(&from, question, now, ahead, answer, error, &q))
		return false;
	if (!edit_find(p, &q.facts, q.at, &edits))
		return true;
	json_object_set_new(answer, "edit", edit_words(p, &q.facts, &edits));
	json_object_set_new(answer, "smallest", json_boolean(edits.smallest));
	return true;
}
