/* expect: the policy's own tests. A line's schedule moves with the clock, so an expectation is
 * tried at its time in every zone that matters, or, without one, now and from every edge of a week
 * on, of a year where there are dates: between two edges nothing changes. `expires` is not applied:
 * a policy's tests do not rot with its lines. */
#include "base/host.h"
#include "config/value.h"
#include "policy/compiled.h"
#include "policy/why.h"

#include <stdio.h>
#include <string.h>

#define WEEK  (7 * 86400 * NS_PER_S)
#define WEEKS 53 /* of a year, in which dates are looked for */

struct trial {
	const struct snapshot *s;
	const struct expectation *e;
	struct errors *errors; /* or NULL: why it does not hold is not asked */
	bool *touched;         /* a place a line, set where it decides; or NULL */
	struct facts facts;
	struct host host;
};

static uint32_t trial_tier(const struct trial *t)
{
	if (t->e->tier != TIER_NONE)
		return t->e->tier;
	const char *user;
	return snapshot_tier(t->s, snapshot_static(t->s, &t->e->from, NULL, &user));
}

/* A name without agreement is one that this network did not resolve to the address. */
static bool trial_init(struct trial *t)
{
	const struct expectation *e = t->e;
	uint32_t tier = trial_tier(t);
	enum evidence evidence = e->evidence;
	t->facts = (struct facts){
		.client = e->from,
		.port = e->port.first,
		.transport = e->port.transport,
		.tier = tier == TIER_NONE ? NULL : t->s->tiers[tier].name,
		.evidence = EVIDENCE_ADDRESS,
	};
	if (address_parse(e->to, &t->facts.server))
		return true;
	if (host_canonical(e->to, strlen(e->to), &t->host) != PARSE_OK)
		return false;
	t->facts.server = (struct address){0};
	if (evidence <= EVIDENCE_ADDRESS)
		return true; /* what is reached is the name's, and the gateway does not know it */
	t->facts.host = &t->host;
	t->facts.evidence = evidence < EVIDENCE_COUNT ? evidence : EVIDENCE_SNI_DNS;
	t->facts.mismatch = evidence == EVIDENCE_HOST || evidence == EVIDENCE_SNI;
	return true;
}

/* Do the lines that hold for the person's tier use this schedule? */
static bool matters(const struct trial *t, const struct schedule *schedule)
{
	uint32_t tier = trial_tier(t);
	for (size_t i = 0; tier != TIER_NONE && i < t->s->line_count; i++)
		if (t->s->lines[i].when == schedule && t->s->lines[i].tiers[tier])
			return true;
	return false;
}

static void fail(const struct trial *t, int64_t time, const struct schedule *schedule,
		 const struct why *why)
{
	char when[80] = "", who[ADDRESS_TEXT + 8];
	const struct expectation *e = t->e;
	if (schedule) {
		struct buf b = BUF_OF(when);
		buf_text(&b, " at ");
		if (schedule_has_dates(schedule))
			zone_format_date(schedule->zone, time, &b);
		else
			zone_format(schedule->zone, time, &b);
		buf_printf(&b, " %s", schedule->zone_name);
	}
	if (e->tier != TIER_NONE)
		snprintf(who, sizeof who, "tier %s", t->facts.tier);
	else
		address_format(&e->from, who);
	const char *line = why->rule[0] ? why->rule : why->nearest;
	errors_add(t->errors, e->file, e->line,
		   "expected %s for %s to %s%s; the policy says %s (%s%s%s%s%s)",
		   e->outcome == ACTION_ALLOW ? "allow" : "deny", who, e->to, when,
		   why->outcome.action == ACTION_ALLOW ? "allow" : "deny",
		   reason_text(why->outcome.reason),
		   why->rule[0] ? ", "
		   : line[0]    ? ", nearest "
				: "",
		   line, why->obstacle_count ? ": " : "",
		   why->obstacle_count ? why->obstacle[0] : "");
}

static bool holds_at(const struct trial *t, int64_t time, const struct schedule *schedule)
{
	struct why why;
	struct outcome o = decide_expiring(t->s, &t->facts, time, INT64_MIN);
	if (t->touched && o.rule < t->s->line_count)
		t->touched[o.rule] = true;
	if (o.action == t->e->outcome || !t->errors)
		return o.action == t->e->outcome;
	why_expiring(t->s, &t->facts, time, INT64_MIN, &why);
	fail(t, time, schedule, &why);
	return false;
}

/* Is a date on, of a schedule that matters? */
static bool on_date(const struct trial *t, int64_t time)
{
	for (size_t i = 0; i < t->s->schedule_count; i++)
		if (schedule_on_date(&t->s->schedules[i], time) && matters(t, &t->s->schedules[i]))
			return true;
	return false;
}

/* A time of the week is that of a week without dates, where one is found within a year: else what
 * holds on Mondays would fail with the first holiday on one. */
static int64_t ordinary(const struct trial *t, const struct zone *z, int64_t now, unsigned day,
			unsigned minute)
{
	int64_t first = zone_at(z, now, day, minute), at = first;
	for (int week = 1; on_date(t, at) && week <= WEEKS; week++)
		at = zone_at(z, now + week * WEEK, day, minute);
	return on_date(t, at) ? first : at;
}

static bool holds_in_zones(const struct trial *t, int64_t now)
{
	unsigned day, minute;
	int64_t date;
	bool any = false, dated = datetime_parse(t->e->at, &date, &minute);
	if (!dated && !weektime_parse(t->e->at, &day, &minute)) {
		if (t->errors)
			errors_add(t->errors, t->e->file, t->e->line,
				   "at = \"%s\" is no time of the week; one as \"mon 10:00\"",
				   t->e->at);
		return false;
	}
	for (size_t i = 0; i < t->s->schedule_count; i++) {
		const struct schedule *s = &t->s->schedules[i];
		if (!matters(t, s))
			continue;
		any = true;
		int64_t at = dated ? zone_utc(s->zone, date * DAY_S + minute * 60) * NS_PER_S
				   : ordinary(t, s->zone, now, day, minute);
		if (!holds_at(t, at, s))
			return false;
	}
	return any || holds_at(t, now, NULL);
}

static bool holds_always(const struct trial *t, int64_t now)
{
	bool any = false;
	for (size_t i = 0; i < t->s->schedule_count; i++) {
		const struct schedule *s = &t->s->schedules[i];
		int64_t last = now + (schedule_has_dates(s) ? WEEKS : 1) * WEEK;
		if (!matters(t, s))
			continue;
		any = true;
		if (!holds_at(t, now, s))
			return false;
		for (int64_t edge = schedule_next_edge(s, now); edge && edge <= last;
		     edge = schedule_next_edge(s, edge))
			if (!holds_at(t, edge, s))
				return false;
	}
	return any || holds_at(t, now, NULL);
}

bool snapshot_expected(const struct snapshot *s, const struct config_expect *e, int64_t now,
		       bool *touched)
{
	const struct expectation tried = {
		.to = e->to,
		.at = e->at,
		.tier = snapshot_tier(s, e->tier),
		.from = e->from,
		.port = e->port,
		.evidence = e->evidence,
		.outcome = e->outcome,
	};
	struct trial t = {.s = s, .e = &tried, .touched = touched};
	return trial_init(&t) && (e->at ? holds_in_zones(&t, now) : holds_always(&t, now));
}

size_t snapshot_expect(const struct snapshot *s, struct errors *errors, int64_t now)
{
	size_t failed = 0;
	for (size_t i = 0; i < s->expect_count; i++) {
		struct trial t = {.s = s, .e = &s->expects[i], .errors = errors};
		if (!trial_init(&t)) {
			errors_add(errors, t.e->file, t.e->line,
				   "\"%s\" is neither a host name nor an address", t.e->to);
			failed++;
		} else if (!(t.e->at ? holds_in_zones(&t, now) : holds_always(&t, now))) {
			failed++;
		}
	}
	return failed;
}
