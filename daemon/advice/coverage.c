#include "advice/coverage.h"

#include "base/array.h"
#include "base/zone.h"
#include "config/value.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES 64 /* of a list that are tried: the first may be another line's, or excepted */

/* A line, and the expectation that is being looked for. */
struct search {
	const struct policy *p;
	int64_t now;
	const struct config_line *l;
	size_t line, lines; /* its rule number; how many there are */
	bool *touched;
	struct config_expect e;
	char to[HOST_MAX + 1], at[20];
};

typedef bool (*attempt)(struct search *s);

static size_t line_count(const struct policy *p)
{
	return p->config->allow_count + p->config->deny_count;
}

static const struct config_line *line_at(const struct config *c, size_t i)
{
	return i < c->allow_count ? &c->allow[i] : &c->deny[i - c->allow_count];
}

static void set_text(json_t *j, const char *key, const char *text)
{
	if (text)
		json_object_set_new(j, key, json_string(text));
}

static json_t *row_of(const struct config_line *l)
{
	char rule[RULE_MAX];
	json_t *j = json_object();
	snprintf(rule, sizeof rule, "%.110s:%d", l->place.file, l->place.line);
	set_text(j, "rule", rule);
	set_text(j, "owner", l->owner);
	return j;
}

static json_t *words(const struct strings *s)
{
	json_t *list = json_array();
	for (size_t i = 0; i < s->count; i++)
		json_array_append_new(list, json_string(s->item[i]));
	return list;
}

/* A deny line in observe mode decides nothing that could be expected: it counts as touched. */
static bool *touched_by_all(const struct policy *p, int64_t now)
{
	bool *touched = must(calloc(line_count(p) + 1, sizeof *touched));
	for (size_t i = p->config->allow_count; i < line_count(p); i++)
		touched[i] = line_at(p->config, i)->mode == CONFIG_LINE_OBSERVE;
	for (size_t i = 0; i < p->config->expect_count; i++)
		(void)snapshot_expected(p->snapshot, &p->config->expects[i], now, touched);
	return touched;
}

json_t *coverage(const struct policy *p, int64_t now)
{
	bool *touched = touched_by_all(p, now);
	json_t *rows = json_array();
	for (size_t i = 0; i < line_count(p); i++) {
		const struct config_line *l = line_at(p->config, i);
		if (touched[i])
			continue;
		json_t *row = row_of(l);
		set_text(row, "kind", i < p->config->allow_count ? "allow" : "deny");
		json_object_set_new(row, "tiers", words(&l->tiers));
		json_object_set_new(row, "sites", words(&l->sites));
		json_array_append_new(rows, row);
	}
	free(touched);
	return rows;
}

/* ---- one that the line decides ---- */

static bool holds(struct search *s)
{
	memset(s->touched, 0, s->lines);
	return snapshot_expected(s->p->snapshot, &s->e, s->now, s->touched);
}

static bool decides(struct search *s)
{
	return holds(s) && s->touched[s->line];
}

static bool at_week(struct search *s, const struct config_schedule *when, attempt good)
{
	for (unsigned k = 0; k < 14u * when->hours_count; k++) {
		const struct config_hours *h = &when->hours[k / 14];
		unsigned day = k % 14 / 2, minute = (k % 2 ? h->to : h->from) % 1440;
		if (!(when->days >> day & 1))
			continue;
		snprintf(s->at, sizeof s->at, "%s %02u:%02u", day_name[day], minute / 60,
			 minute % 60);
		if (good(s))
			return true;
	}
	return false;
}

#define DATES 16 /* of a schedule that are tried: the first and the last day of each range */

static bool at_dates(struct search *s, const struct config_schedule *when,
		     const struct config_dates *d, attempt good)
{
	for (size_t k = 0; k < d->days * 4 * when->hours_count && k < (size_t)DATES * 4; k++) {
		const struct span *range = &d->day[k / 4 / when->hours_count];
		const struct config_hours *h = &when->hours[k / 4 % when->hours_count];
		unsigned minute = (k % 2 ? h->to : h->from) % 1440;
		struct buf b = BUF_OF(s->at);
		buf_reset(&b);
		day_format(k / 2 % 2 ? range->to - 1 : range->from, &b);
		buf_printf(&b, " %02u:%02u", minute / 60, minute % 60);
		if (good(s))
			return true;
	}
	return false;
}

/* At the edges of all schedules: another line's may be in the way. */
static bool at_some_edge(struct search *s, attempt good)
{
	s->e.at = s->at;
	for (size_t i = 0; i < s->p->config->schedule_count; i++) {
		const struct config_schedule *when = &s->p->config->schedules[i];
		if (at_week(s, when, good) || at_dates(s, when, &when->dates, good) ||
		    at_dates(s, when, &when->except_dates, good))
			return true;
	}
	return false;
}

static bool at_some_time(struct search *s)
{
	s->e.at = NULL;
	return (!s->l->when && decides(s)) || at_some_edge(s, decides);
}

static bool by_some_port(struct search *s)
{
	s->e.port = (struct config_port){IPPROTO_TCP, 443, 443};
	if (at_some_time(s))
		return true;
	for (size_t i = 0; i < s->l->port_count; i++) {
		s->e.port = s->l->ports[i];
		s->e.port.last = s->e.port.first;
		if (at_some_time(s))
			return true;
	}
	return false;
}

static bool for_some_tier(struct search *s)
{
	const struct config *c = s->p->config;
	for (size_t i = 0; i < s->l->tiers.count; i++) {
		bool all = strcmp(s->l->tiers.item[i], "*") == 0;
		for (size_t t = 0; t < c->tier_count; t++) {
			s->e.tier = c->tiers[t].name;
			if ((all || strcmp(s->e.tier, s->l->tiers.item[i]) == 0) && by_some_port(s))
				return true;
		}
	}
	return false;
}

static bool to_entry(struct search *s, const struct site_entry *e)
{
	if (e->kind == SITE_NOT_TREE)
		return false;
	if (e->kind == SITE_NETWORK)
		address_format(&e->network.base, s->to);
	else
		strcpy(s->to, e->host.text);
	return for_some_tier(s);
}

static bool to_site(struct search *s, const struct config_site *site)
{
	for (size_t l = 0; l < site->count; l++)
		for (size_t i = 0; i < site->list[l].count && i < ENTRIES; i++)
			if (to_entry(s, site->list[l].item[i]))
				return true;
	return false;
}

static bool to_somewhere(struct search *s)
{
	const struct config *c = s->p->config;
	for (size_t i = 0; i < s->l->sites.count; i++) {
		const char *name = s->l->sites.item[i];
		strcpy(s->to, "www.example.org");
		bool any = strcmp(name, "*") == 0;
		if (any && for_some_tier(s))
			return true;
		for (size_t k = 0; k < c->site_count; k++)
			if ((any || strcmp(c->sites[k].name, name) == 0) &&
			    to_site(s, &c->sites[k]))
				return true;
	}
	return false;
}

/* ---- rows ---- */

static void add(json_t *rows, const struct search *s)
{
	const struct config_expect *e = &s->e;
	char text[24] = "";
	struct buf port = BUF_OF(text);
	json_t *row = row_of(s->l);
	port_format(&e->port, &port);
	set_text(row, "tier", e->tier);
	set_text(row, "to", e->to);
	set_text(row, "port", text);
	set_text(row, "at", e->at);
	set_text(row, "outcome", e->outcome == ACTION_ALLOW ? "allow" : "deny");
	json_array_append_new(rows, row);
}

/* What the line does not open: the same for another tier, and for this one at another time. */
static void add_limits(json_t *rows, struct search *s)
{
	const struct config *c = s->p->config;
	char *tier = s->e.tier;
	s->e.outcome = ACTION_DENY;
	for (size_t t = 0; t < c->tier_count; t++) {
		s->e.tier = c->tiers[t].name;
		if (!holds(s))
			continue;
		add(rows, s);
		break;
	}
	s->e.tier = tier;
	if (s->l->when && at_some_edge(s, holds))
		add(rows, s);
}

static void suggest_for(json_t *rows, const struct policy *p, size_t line, int64_t now)
{
	bool allow = line < p->config->allow_count;
	struct search s = {
		.p = p,
		.now = now,
		.l = line_at(p->config, line),
		.line = line,
		.lines = line_count(p),
		.touched = must(calloc(line_count(p), sizeof *s.touched)),
		.e = {.evidence = EVIDENCE_COUNT, .outcome = allow ? ACTION_ALLOW : ACTION_DENY}};
	s.e.to = s.to;
	if (!to_somewhere(&s)) {
		json_array_append_new(rows, row_of(s.l));
	} else {
		add(rows, &s);
		if (allow)
			add_limits(rows, &s);
	}
	free(s.touched);
}

json_t *coverage_suggest(const struct policy *p, int64_t now)
{
	bool *touched = touched_by_all(p, now);
	json_t *rows = json_array();
	for (size_t i = 0; i < line_count(p); i++)
		if (!touched[i])
			suggest_for(rows, p, i, now);
	free(touched);
	return rows;
}
