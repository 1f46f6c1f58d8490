#include "advice/unused.h"

#include "base/array.h"
#include "base/clock.h"
#include "config/value.h"
#include "policy/decide.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEVER INT64_MIN

struct used {
	const struct site_entry *entry;
	const struct config_site *site;
	const struct site_list *list;
	int64_t last;
	bool by_any; /* any flow to it is a hit, whatever decided */
};

struct unused {
	const struct policy *p;
	int64_t *lines;    /* the last hit of each */
	struct used *used; /* entries, site by site and list by list */
	size_t used_count;
	size_t *by_host; /* of names, ascending by them */
	size_t host_count;
	size_t *networks; /* of networks */
	size_t network_count;
	uint64_t records;
	int64_t first;
};

static size_t line_count(const struct policy *p)
{
	return p->config->allow_count + p->config->deny_count;
}

static int by_host(const void *a, const void *b, void *used)
{
	const struct used *all = used;
	return strcmp(all[*(const size_t *)a].entry->host.text,
		      all[*(const size_t *)b].entry->host.text);
}

/* A site for which some line does not hold: what is of it matters to flows that no line decides. */
static bool excepts(const struct config *c, const char *site)
{
	for (size_t i = 0; i < c->allow_count + c->deny_count; i++) {
		const struct config_line *l =
			i < c->allow_count ? &c->allow[i] : &c->deny[i - c->allow_count];
		for (size_t k = 0; k < l->except.count; k++)
			if (strcmp(l->except.item[k], site) == 0)
				return true;
	}
	return false;
}

/* What takes a flow out of a site, too, is used where no line decides by the site: an exception,
 * and what is shared, as that is not of a deny line's site though a wider entry is. */
static void take_site(struct unused *u, const struct config_site *site)
{
	bool by_any = excepts(u->p->config, site->name);
	for (size_t l = 0; l < site->count; l++)
		for (size_t i = 0; i < site->list[l].count; i++) {
			const struct site_entry *e = &site->list[l].item[i];
			u->used = array_grow(u->used, &u->used_count, sizeof *u->used);
			u->used[u->used_count - 1] =
				(struct used){e, site, &site->list[l], NEVER,
					      by_any || e->kind == SITE_NOT_TREE || e->shared};
			if (e->kind == SITE_NETWORK) {
				u->networks = array_grow(u->networks, &u->network_count,
							 sizeof *u->networks);
				u->networks[u->network_count - 1] = u->used_count - 1;
				continue;
			}
			u->by_host = array_grow(u->by_host, &u->host_count, sizeof *u->by_host);
			u->by_host[u->host_count - 1] = u->used_count - 1;
		}
}

struct unused *unused_new(const struct policy *p)
{
	struct unused *u = must(calloc(1, sizeof *u));
	u->p = p;
	u->first = INT64_MAX;
	u->lines = must(calloc(line_count(p) + 1, sizeof *u->lines));
	for (size_t i = 0; i < line_count(p); i++)
		u->lines[i] = NEVER;
	for (size_t s = 0; s < p->config->site_count; s++)
		take_site(u, &p->config->sites[s]);
	if (u->host_count)
		qsort_r(u->by_host, u->host_count, sizeof *u->by_host, by_host, u->used);
	return u;
}

void unused_free(struct unused *u)
{
	if (!u)
		return;
	free(u->lines);
	free(u->used);
	free(u->by_host);
	free(u->networks);
	free(u);
}

/* ---- records ---- */

static size_t find(const struct unused *u, const char *name)
{
	size_t low = 0, high = u->host_count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (strcmp(u->used[u->by_host[middle]].entry->host.text, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void hit(struct used *e, int64_t time)
{
	if (time > e->last)
		e->last = time;
}

/* Whether a longer name of the host, or this one, is an entry of the site. */
static bool said(const struct unused *u, const struct config_site *site, const struct host *host,
		 const char *until)
{
	for (const char *name = host->text; name < until; name = strchr(name, '.') + 1)
		for (size_t i = find(u, name); i < u->host_count; i++) {
			const struct used *e = &u->used[u->by_host[i]];
			if (strcmp(e->entry->host.text, name) != 0)
				break;
			if (e->site == site && (e->entry->kind != SITE_EXACT || name == host->text))
				return true;
		}
	return false;
}

static void hit_names(struct unused *u, const struct decision *d, const struct config_site *site)
{
	for (const char *name = d->host.len ? d->host.text : NULL; name;
	     name = strchr(name, '.') ? strchr(name, '.') + 1 : NULL)
		for (size_t i = find(u, name); i < u->host_count; i++) {
			struct used *e = &u->used[u->by_host[i]];
			if (strcmp(e->entry->host.text, name) != 0)
				break;
			if ((e->entry->kind != SITE_EXACT || name == d->host.text) &&
			    (e->by_any || e->site == site) && !said(u, e->site, &d->host, name))
				hit(e, d->time);
		}
}

static void hit_networks(struct unused *u, const struct decision *d, const struct config_site *site)
{
	for (size_t i = 0; i < u->network_count; i++) {
		struct used *e = &u->used[u->networks[i]];
		if ((e->by_any || e->site == site) && network_has(&e->entry->network, &d->server))
			hit(e, d->time);
	}
}

void unused_record(struct unused *u, const struct decision *d)
{
	const struct config *c = u->p->config;
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
	const struct config_site *site = o.site < c->site_count ? &c->sites[o.site] : NULL;
	if (o.rule < line_count(u->p) && d->time > u->lines[o.rule])
		u->lines[o.rule] = d->time;
	hit_names(u, d, site);
	hit_networks(u, d, site);
}

/* ---- rows ---- */

static void set_time(json_t *j, const char *key, int64_t time)
{
	char text[40] = "";
	struct buf b = BUF_OF(text);
	clock_format(&b, time);
	if (time != NEVER)
		json_object_set_new(j, key, json_string(text));
}

static json_t *words(const struct strings *s)
{
	json_t *list = json_array();
	for (size_t i = 0; i < s->count; i++)
		json_array_append_new(list, json_string(s->item[i]));
	return list;
}

static json_t *line_row(const struct config_line *l, bool allow, int64_t last, bool is_unused,
			int64_t now)
{
	char rule[RULE_MAX], date[16] = "";
	struct buf b = BUF_OF(date);
	snprintf(rule, sizeof rule, "%.110s:%d", l->place.file, l->place.line);
	json_t *j = json_pack("{ssss}", "rule", rule, "kind", allow ? "allow" : "deny");
	if (l->owner)
		json_object_set_new(j, "owner", json_string(l->owner));
	json_object_set_new(j, "tiers", words(&l->tiers));
	json_object_set_new(j, "sites", words(&l->sites));
	set_time(j, "last", last);
	json_object_set_new(j, "unused", json_boolean(is_unused));
	if (l->expires) {
		date_format(l->expires - NS_PER_S, &b);
		json_object_set_new(j, "expires", json_string(date));
		json_object_set_new(j, "expired", json_boolean(l->expires <= now));
	}
	return j;
}

json_t *unused_lines(const struct unused *u, int64_t since, int64_t now, int64_t near)
{
	const struct config *c = u->p->config;
	json_t *rows = json_array();
	for (size_t i = 0; i < line_count(u->p); i++) {
		bool allow = i < c->allow_count, is_unused = u->lines[i] < since;
		const struct config_line *l = allow ? &c->allow[i] : &c->deny[i - c->allow_count];
		if (is_unused || (l->expires && l->expires <= near))
			json_array_append_new(rows,
					      line_row(l, allow, u->lines[i], is_unused, now));
	}
	return rows;
}

json_t *unused_entries(const struct unused *u, int64_t since)
{
	json_t *rows = json_array();
	for (size_t i = 0; i < u->used_count; i++) {
		const struct used *e = &u->used[i];
		char text[HOST_MAX + 4] = "";
		struct buf b = BUF_OF(text);
		if (e->last >= since)
			continue;
		entry_format(e->entry, &b);
		json_t *j = json_pack("{sssssiss}", "site", e->site->name, "list",
				      e->list->file ? e->list->file : "", "line", e->entry->line,
				      "entry", text);
		set_time(j, "last", e->last);
		json_array_append_new(rows, j);
	}
	return rows;
}

int64_t unused_first(const struct unused *u, uint64_t *records)
{
	*records = u->records;
	return u->first;
}
