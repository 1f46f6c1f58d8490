#include "advice/unused.h"

#include "base/array.h"
#include "base/clock.h"
#include "config/value.h"
#include "policy/decide.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unused {
	const struct policy *p;
	struct counted *counted;
	uint64_t records;
	int64_t first;
	const struct hits *hits; /* a daemon's, or NULL: by records */
	size_t new, unknown;
};

static size_t line_count(const struct policy *p)
{
	return p->config->allow_count + p->config->deny_count;
}

struct unused *unused_new(const struct policy *p)
{
	struct unused *u = must(calloc(1, sizeof *u));
	u->p = p;
	u->first = INT64_MAX;
	u->counted = must(counted_new(p->config, 1, SIZE_MAX));
	return u;
}

void unused_free(struct unused *u)
{
	if (!u)
		return;
	counted_free(u->counted);
	free(u);
}

void unused_record(struct unused *u, const struct decision *d)
{
	if (d->kind != DECISION_DECIDED && d->kind != DECISION_REPEATED)
		return;
	bool named = d->host.len && d->evidence > EVIDENCE_ADDRESS;
	const struct facts f = {.client = d->client,
				.server = d->server,
				.port = d->server_port,
				.transport = d->transport,
				.tier = d->tier,
				.host = named ? &d->host : NULL,
				.evidence = named ? d->evidence : EVIDENCE_ADDRESS,
				.mismatch = d->evidence == EVIDENCE_HOST ||
					    d->evidence == EVIDENCE_SNI};
	u->records++;
	if (d->time < u->first)
		u->first = d->time;
	struct outcome o = decide(u->p->snapshot, &f, d->time);
	counted_hit(u->counted, 0, &o, &d->host, &d->server, d->time);
}

void unused_counted(struct unused *u, const struct hits *h)
{
	u->hits = h;
	u->first = h->since;
}

/* The last hit of a line or an entry, and whether it is unused since then: of what a daemon has
 * not, or not long enough, counted nobody can say. */
static bool is_unused(struct unused *u, size_t i, int64_t since, struct hit *out)
{
	*out = counted_sum(u->counted, i);
	if (u->hits) {
		const struct hit *hit = hits_find(u->hits, out->key);
		u->unknown += !hit;
		if (!hit)
			return false;
		*out = *hit;
	}
	if (out->last && out->last * NS_PER_S >= since)
		return false;
	bool is_new =
		u->hits && out->since * NS_PER_S > since && out->since > u->hits->since / NS_PER_S;
	u->new += is_new;
	return !is_new;
}

/* ---- rows ---- */

/* seconds: 0: never */
static void set_time(json_t *j, const char *key, uint32_t seconds)
{
	char text[40] = "";
	struct buf b = BUF_OF(text);
	clock_format(&b, seconds * NS_PER_S);
	if (seconds)
		json_object_set_new(j, key, json_string(text));
}

/* since and count: of a daemon. */
static void set_hit(json_t *j, const struct hit *hit)
{
	set_time(j, "last", hit->last);
	set_time(j, "since", hit->since);
	if (hit->since)
		json_object_set_new(j, "count", json_integer((json_int_t)hit->count));
}

static json_t *words(const struct strings *s)
{
	json_t *list = json_array();
	for (size_t i = 0; i < s->count; i++)
		json_array_append_new(list, json_string(s->item[i]));
	return list;
}

static json_t *line_row(const struct config_line *l, bool allow, const struct hit *hit,
			bool is_unused, int64_t now)
{
	char rule[RULE_MAX], date[16] = "";
	struct buf b = BUF_OF(date);
	snprintf(rule, sizeof rule, "%.110s:%d", l->place.file, l->place.line);
	json_t *j = json_pack("{ssss}", "rule", rule, "kind", allow ? "allow" : "deny");
	if (l->owner)
		json_object_set_new(j, "owner", json_string(l->owner));
	json_object_set_new(j, "tiers", words(&l->tiers));
	json_object_set_new(j, "sites", words(&l->sites));
	set_hit(j, hit);
	json_object_set_new(j, "unused", json_boolean(is_unused));
	if (l->expires) {
		date_format(l->expires - NS_PER_S, &b);
		json_object_set_new(j, "expires", json_string(date));
		json_object_set_new(j, "expired", json_boolean(l->expires <= now));
	}
	return j;
}

json_t *unused_lines(struct unused *u, int64_t since, int64_t now, int64_t near)
{
	const struct config *c = u->p->config;
	json_t *rows = json_array();
	for (size_t i = 0; i < line_count(u->p); i++) {
		struct hit hit;
		bool allow = i < c->allow_count, unused = is_unused(u, i, since, &hit);
		const struct config_line *l = allow ? &c->allow[i] : &c->deny[i - c->allow_count];
		if (unused || (l->expires && l->expires <= near))
			json_array_append_new(rows, line_row(l, allow, &hit, unused, now));
	}
	return rows;
}

static json_t *entry_row(const struct config_site *site, const struct site_list *list,
			 const struct site_entry *e, const struct hit *hit)
{
	char text[HOST_MAX + 4] = "";
	struct buf b = BUF_OF(text);
	entry_format(e, &b);
	json_t *j = json_pack("{sssssiss}", "site", site->name, "list",
			      list->file ? list->file : "", "line", e->line, "entry", text);
	set_hit(j, hit);
	return j;
}

json_t *unused_entries(struct unused *u, int64_t since)
{
	const struct config *c = u->p->config;
	json_t *rows = json_array();
	size_t at = line_count(u->p);
	struct hit hit;
	for (size_t s = 0; s < c->site_count; s++)
		for (size_t l = 0; l < c->sites[s].count; l++) {
			const struct site_list *list = &c->sites[s].list[l];
			for (size_t i = 0; i < list->count; i++)
				if (is_unused(u, at++, since, &hit))
					json_array_append_new(rows, entry_row(&c->sites[s], list,
									      list->item[i], &hit));
		}
	return rows;
}

int64_t unused_first(const struct unused *u, uint64_t *records)
{
	*records = u->records;
	return u->first;
}

size_t unused_new_ones(const struct unused *u, size_t *unknown)
{
	*unknown = u->unknown;
	return u->new;
}
