/* compile: struct config -> struct snapshot. Names become indices; errors are gathered with their
 * place, so that all of them are said at once. config/ has checked most of this already: what is
 * looked for here again protects the packet path from a config that was made otherwise. */
#include "policy/compiled.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct compile {
	const struct config *config;
	struct snapshot *snapshot;
	struct errors *errors;
};

#define FAULT(c, place, ...) errors_add((c)->errors, (place).file, (place).line, __VA_ARGS__)

static const struct config_port default_ports[] = {
	{IPPROTO_TCP, 80, 80}, {IPPROTO_TCP, 443, 443}, {IPPROTO_UDP, 443, 443}};

static void copy_name(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

static bool is_any(const struct strings *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->item[i], "*") == 0)
			return true;
	return false;
}

static bool compile_tier_names(struct compile *c)
{
	struct snapshot *s = c->snapshot;
	uint32_t slots = 8;
	while (slots < s->tier_count * 2)
		slots *= 2;
	s->tier_mask = slots - 1;
	s->tier_slots = snapshot_take(s, slots, sizeof *s->tier_slots);
	s->tiers = snapshot_take(s, s->tier_count, sizeof *s->tiers);
	if (!s->tier_slots || !s->tiers)
		return false;
	for (size_t i = 0; i < s->tier_count; i++) {
		const struct config_tier *from = &c->config->tiers[i];
		struct tier *t = &s->tiers[i];
		copy_name(t->name, sizeof t->name, from->name);
		t->evidence = from->evidence;
		t->mismatch = from->mismatch;
		t->idle = from->idle;
		t->absolute = from->absolute;
		t->observed = from->mode == CONFIG_OBSERVE;
		if (snapshot_tier(s, t->name) != TIER_NONE) {
			FAULT(c, from->place, "tier \"%s\" is defined twice", t->name);
			continue;
		}
		uint32_t at = tier_hash(t->name);
		while (s->tier_slots[at & s->tier_mask])
			at++;
		s->tier_slots[at & s->tier_mask] = (uint32_t)i + 1;
	}
	return true;
}

/* Marks in `holds` a tier and all that it includes; false where that leads back to `start`. */
static bool spread(struct compile *c, size_t start, size_t tier, uint8_t *holds)
{
	const struct strings *includes = &c->config->tiers[tier].includes;
	bool good = true;
	holds[tier] = 1;
	for (size_t i = 0; i < includes->count; i++) {
		uint32_t next = snapshot_tier(c->snapshot, includes->item[i]);
		if (next == start)
			good = false;
		if (next != TIER_NONE && !holds[next] && !spread(c, start, next, holds))
			good = false;
	}
	return good;
}

static bool compile_tiers(struct compile *c)
{
	struct snapshot *s = c->snapshot;
	s->tier_count = c->config->tier_count;
	if (s->tier_count > TIERS_MAX) {
		errors_add(c->errors, NULL, 0, "%zu tiers; at most %d", s->tier_count, TIERS_MAX);
		s->tier_count = 0;
	}
	if (!compile_tier_names(c))
		return false;
	for (size_t i = 0; i < s->tier_count; i++) {
		const struct config_tier *from = &c->config->tiers[i];
		for (size_t k = 0; k < from->includes.count; k++)
			if (!snapshot_has_tier(s, from->includes.item[k]))
				FAULT(c, from->place, "tier \"%s\" includes \"%s\": no such tier",
				      from->name, from->includes.item[k]);
		s->tiers[i].holds = snapshot_take(s, s->tier_count, 1);
		if (!s->tiers[i].holds)
			return false;
		if (!spread(c, i, i, s->tiers[i].holds))
			FAULT(c, from->place, "tier \"%s\" includes itself", from->name);
	}
	return true;
}

static const struct span *copy_spans(struct compile *c, const struct span *from, size_t count)
{
	struct span *to = snapshot_take(c->snapshot, count, sizeof *to);
	if (to && count)
		memcpy(to, from, count * sizeof *to);
	return to;
}

static bool compile_dates(struct compile *c, struct schedule *to, const struct config_dates *d)
{
	to->dates = copy_spans(c, d->day, d->days);
	to->times = copy_spans(c, d->time, d->times);
	to->date_count = d->days;
	to->time_count = d->times;
	return to->dates && to->times;
}

/* Each zone once; NULL and a fault where there is none such. False where memory ran out. */
static bool zone_named(struct compile *c, const struct place *place, const char *name,
		       const struct zone **out)
{
	struct snapshot *s = c->snapshot;
	for (size_t i = 0; i < s->zone_count; i++)
		if (strcmp(s->zones[i].name, name) == 0) {
			*out = s->zones[i].zone;
			return true;
		}
	struct zone *zone = zone_new(name);
	*out = zone;
	if (!zone && errno == ENOMEM)
		return false;
	if (!zone) {
		FAULT(c, *place, "no such time zone \"%s\"; a name such as \"Europe/Sofia\"", name);
		return true;
	}
	s->zones[s->zone_count++] = (struct named_zone){snapshot_text(s, name), zone};
	return s->zones[s->zone_count - 1].name;
}

static bool compile_schedule(struct compile *c, size_t index)
{
	struct snapshot *s = c->snapshot;
	const struct config_schedule *from = &c->config->schedules[index];
	const char *name = from->zone ? from->zone : "UTC";
	const struct zone *zone;
	if (!zone_named(c, &from->place, name, &zone))
		return false;
	struct schedule *to = &s->schedules[index];
	*to = (struct schedule){.zone = zone,
				.days = from->days & 0x7f,
				.hours_count = from->hours_count,
				.dated = from->dated};
	memcpy(to->hours, from->hours, sizeof to->hours);
	copy_name(to->name, sizeof to->name, from->name);
	copy_name(to->zone_name, sizeof to->zone_name, name);
	return compile_dates(c, to, &from->dates);
}

/* The dates of `except` as a schedule of their own. */
static const struct schedule *schedule_of_dates(struct compile *c, const struct schedule *like,
						const struct config_dates *d)
{
	struct schedule *s = snapshot_take(c->snapshot, 1, sizeof *s);
	if (!s)
		return NULL;
	*s = (struct schedule){.zone = like->zone,
			       .days = 0x7f,
			       .hours_count = 1,
			       .hours = {{0, 1440}},
			       .dated = true};
	return compile_dates(c, s, d) ? s : NULL;
}

static bool has_except(const struct config_schedule *s)
{
	return s->not_within || s->except.count || s->except_dates.days || s->except_dates.times;
}

static const struct schedule *excepted(struct compile *c, const struct config_schedule *from,
				       const char *key, const char *name)
{
	for (size_t i = 0; i < c->snapshot->schedule_count; i++)
		if (strcmp(c->config->schedules[i].name, name) == 0 &&
		    !has_except(&c->config->schedules[i]))
			return &c->snapshot->schedules[i];
	FAULT(c, from->place, "%s = \"%s\" is no schedule without a `not` or `except` of its own",
	      key, name);
	return NULL;
}

static bool compile_except(struct compile *c, size_t index)
{
	struct schedule *s = &c->snapshot->schedules[index];
	const struct config_schedule *from = &c->config->schedules[index];
	const struct schedule **to = snapshot_take(c->snapshot, from->except.count + 2, sizeof *to),
			      *other;
	if (!to)
		return false;
	s->except = to;
	if (from->not_within && (other = excepted(c, from, "not", from->not_within)))
		to[s->except_count++] = other;
	for (size_t i = 0; i < from->except.count; i++)
		if ((other = excepted(c, from, "except", from->except.item[i])))
			to[s->except_count++] = other;
	if (!from->except_dates.days && !from->except_dates.times)
		return true;
	to[s->except_count] = schedule_of_dates(c, s, &from->except_dates);
	return to[s->except_count++];
}

static bool compile_schedules(struct compile *c)
{
	struct snapshot *s = c->snapshot;
	s->schedules = snapshot_take(s, c->config->schedule_count, sizeof *s->schedules);
	s->zones = snapshot_take(s, c->config->schedule_count + c->config->allow_count,
				 sizeof *s->zones);
	if (!s->schedules || !s->zones)
		return false;
	s->schedule_count = c->config->schedule_count;
	for (size_t i = 0; i < s->schedule_count; i++)
		if (!compile_schedule(c, i))
			return false;
	for (size_t i = 0; i < s->schedule_count; i++)
		if (!compile_except(c, i))
			return false;
	return true;
}

struct owned_network {
	struct network network;
	uint16_t member;
};

/* From wide to narrow, equal ones together, sites ascending, of one site what is its own first. */
static int by_width(const void *a, const void *b)
{
	const struct owned_network *x = a, *y = b;
	if (x->network.bits != y->network.bits)
		return x->network.bits < y->network.bits ? -1 : 1;
	int order = memcmp(&x->network.base, &y->network.base, sizeof x->network.base);
	return order ? order : (int)x->member - (int)y->member;
}

/* The sites of a run of equal networks, joined with those of the wider networks around it: of one
 * site the narrower says how it holds. */
static bool add_network(struct snapshot *s, const struct owned_network *run, size_t count)
{
	uint16_t members[SITES_MAX];
	size_t wide_count, kept = 0, i = 0, k = 0;
	uint32_t wide = netset_find(s->networks, &run->network.base);
	const uint16_t *from = siteset_sites(s->sets, wide == NETSET_NONE ? 0 : wide, &wide_count);
	while (i < wide_count || k < count) {
		bool narrow = i == wide_count ||
			      (k < count && member_site(run[k].member) <= member_site(from[i]));
		uint16_t next = narrow ? run[k].member : from[i];
		while (i < wide_count && member_site(from[i]) == member_site(next))
			i++;
		while (k < count && member_site(run[k].member) == member_site(next))
			k++;
		members[kept++] = next;
	}
	uint32_t number = siteset_number(s->sets, members, kept);
	return number != SITESET_NONE && netset_add(s->networks, &run->network, number);
}

static bool add_networks(struct snapshot *s, struct owned_network *all, size_t count)
{
	qsort(all, count, sizeof *all, by_width);
	for (size_t i = 0, end; i < count; i = end) {
		for (end = i + 1; end < count; end++)
			if (memcmp(&all[end].network, &all[i].network, sizeof all->network) != 0)
				break;
		if (!add_network(s, all + i, end - i))
			return false;
	}
	return true;
}

/* Adds a site's host entries; its networks go to `all` for later. */
static bool compile_site(struct compile *c, uint16_t index, struct owned_network *all,
			 size_t *network_count)
{
	const struct config_site *from = &c->config->sites[index];
	struct site *site = &c->snapshot->sites[index];
	copy_name(site->name, sizeof site->name, from->name);
	for (size_t l = 0; l < from->count; l++)
		for (size_t i = 0; i < from->list[l].count; i++) {
			const struct site_entry *e = from->list[l].item[i];
			bool holds = e->kind != SITE_NOT_TREE;
			site->has_own |= holds && !e->shared;
			site->has_shared |= e->shared;
			site->has_exceptions |= !holds;
			if (e->kind == SITE_NETWORK) {
				site->has_networks = true;
				all[(*network_count)++] = (struct owned_network){
					e->network,
					member(index, e->shared ? HOLD_SHARED : HOLD_OWN)};
				continue;
			}
			site->has_hosts |= holds;
			site->has_own_hosts |= holds && !e->shared;
			if (!hostset_add(c->snapshot->hosts, e, index))
				return false;
		}
	return true;
}

static size_t count_networks(const struct config *c)
{
	size_t count = 0;
	for (size_t s = 0; s < c->site_count; s++)
		for (size_t l = 0; l < c->sites[s].count; l++)
			for (size_t i = 0; i < c->sites[s].list[l].count; i++)
				count += c->sites[s].list[l].item[i]->kind == SITE_NETWORK;
	return count;
}

static bool compile_sites(struct compile *c)
{
	struct snapshot *s = c->snapshot;
	size_t count = 0;
	if (c->config->site_count > SITES_MAX) {
		errors_add(c->errors, NULL, 0, "%zu sites; at most %d", c->config->site_count,
			   SITES_MAX);
		return true;
	}
	s->sites = snapshot_take(s, c->config->site_count, sizeof *s->sites);
	struct owned_network *all = calloc(count_networks(c->config) + 1, sizeof *all);
	bool good = s->sites && all;
	for (; good && s->site_count < c->config->site_count; s->site_count++)
		good = compile_site(c, (uint16_t)s->site_count, all, &count);
	good = good && hostset_seal(s->hosts) && add_networks(s, all, count);
	free(all);
	return good;
}

static bool line_tiers(struct compile *c, struct line *l, const struct config_line *from)
{
	struct snapshot *s = c->snapshot;
	l->tiers = snapshot_take(s, s->tier_count, 1);
	if (!l->tiers)
		return false;
	l->every_tier = is_any(&from->tiers);
	if (l->every_tier) {
		memset(l->tiers, 1, s->tier_count);
		return true;
	}
	for (size_t i = 0; i < from->tiers.count; i++) {
		uint32_t named = snapshot_tier(s, from->tiers.item[i]);
		if (named == TIER_NONE) {
			FAULT(c, from->place, "no such tier \"%s\"", from->tiers.item[i]);
			continue;
		}
		l->tiers[named] = 1;
		for (size_t t = 0; !l->deny && t < s->tier_count; t++)
			l->tiers[t] |= s->tiers[t].holds[named];
	}
	return true;
}

static uint32_t site_index(const struct snapshot *s, const char *name)
{
	for (uint32_t i = 0; i < s->site_count; i++)
		if (strcmp(s->sites[i].name, name) == 0)
			return i;
	return SITE_NONE;
}

static int by_site(const void *a, const void *b)
{
	return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

/* The sites of these names, ascending, each once; false where memory ran out. */
static bool sites_named(struct compile *c, const struct place *place, const struct strings *names,
			uint16_t **out, size_t *count)
{
	struct snapshot *s = c->snapshot;
	uint16_t *sites = *out = snapshot_take(s, names->count, sizeof *sites);
	size_t n = 0, kept = 0;
	if (!sites)
		return false;
	for (size_t i = 0; i < names->count; i++) {
		uint32_t site = site_index(s, names->item[i]);
		if (site == SITE_NONE)
			FAULT(c, *place, "no such site \"%s\"", names->item[i]);
		else
			sites[n++] = (uint16_t)site;
	}
	qsort(sites, n, sizeof *sites, by_site);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || sites[kept - 1] != sites[i])
			sites[kept++] = sites[i];
	*count = kept;
	return true;
}

static bool line_sites(struct compile *c, struct line *l, const struct config_line *from)
{
	struct snapshot *s = c->snapshot;
	static const struct strings none;
	l->any_site = is_any(&from->sites);
	if (!sites_named(c, &from->place, l->any_site ? &none : &from->sites, &l->sites,
			 &l->site_count) ||
	    !sites_named(c, &from->place, &from->except, &l->except, &l->except_count))
		return false;
	for (size_t i = 0; i < l->site_count; i++)
		l->has_hosts |= l->deny ? s->sites[l->sites[i]].has_own_hosts
					: s->sites[l->sites[i]].has_hosts;
	for (size_t i = 0; i < l->except_count; i++)
		l->except_hosts |= s->sites[l->except[i]].has_hosts;
	return true;
}

static bool line_ports(struct compile *c, struct line *l, const struct config_line *from)
{
	const struct config_port *ports = from->port_count ? from->ports : default_ports;
	l->port_count = from->port_count ? from->port_count : 3;
	l->ports = snapshot_take(c->snapshot, l->port_count, sizeof *l->ports);
	if (!l->ports)
		return false;
	for (size_t i = 0; i < l->port_count; i++) { /* one by one: gates compare the bytes */
		l->ports[i].transport = ports[i].transport;
		l->ports[i].first = ports[i].first;
		l->ports[i].last = ports[i].last;
	}
	return true;
}

static bool line_quota(struct compile *c, struct line *l, const struct config_line *from)
{
	struct snapshot *s = c->snapshot;
	const struct config_quota *q = &from->quota;
	if (!q->amount || l->deny)
		return true;
	struct quota *to = snapshot_take(s, 1, sizeof *to);
	if (!to)
		return false;
	*to = (struct quota){.id = digest_quota(from),
			     .amount = q->amount,
			     .bytes = q->bytes,
			     .week = q->week,
			     .together = q->together,
			     .day = q->day,
			     .minute = q->minute,
			     .line = (uint32_t)(l - s->lines)};
	s->quotas[s->quota_count++] = to;
	l->quota = to;
	to->zone_name = snapshot_text(s, q->zone[0] ? q->zone : "UTC");
	char *words = quota_words(from);
	to->words = snapshot_text(s, words);
	free(words);
	return to->zone_name && to->words && zone_named(c, &from->place, to->zone_name, &to->zone);
}

static bool compile_line(struct compile *c, struct line *l, const struct config_line *from)
{
	snprintf(l->name, sizeof l->name, "%s:%d", from->place.file ? from->place.file : "",
		 from->place.line);
	copy_name(l->owner, sizeof l->owner, from->owner);
	l->note = snapshot_text(c->snapshot, from->note ? from->note : "");
	l->evidence = from->evidence;
	l->mismatch = from->mismatch;
	l->observed = l->deny && from->mode == CONFIG_LINE_OBSERVE;
	l->expires = from->expires ? from->expires : INT64_MAX;
	if (from->when) {
		for (size_t i = 0; i < c->snapshot->schedule_count && !l->when; i++)
			if (strcmp(c->config->schedules[i].name, from->when) == 0)
				l->when = &c->snapshot->schedules[i];
		if (!l->when)
			FAULT(c, from->place, "no such schedule \"%s\"", from->when);
	}
	return l->note && line_tiers(c, l, from) && line_sites(c, l, from) &&
	       line_ports(c, l, from) && line_quota(c, l, from);
}

/* A quota, as it is told from those whose lines are alike but for what is no part of its id. */
struct told_apart {
	struct quota *quota;
	const struct config_line *line;
};

/* In whatever order the lines stand; those that are alike in all, in theirs. */
static int by_content(const void *a, const void *b)
{
	const struct told_apart *x = a, *y = b;
	const struct config_line *l = x->line, *m = y->line;
	if (x->quota->id != y->quota->id)
		return x->quota->id < y->quota->id ? -1 : 1;
	if (l->evidence != m->evidence)
		return l->evidence < m->evidence ? -1 : 1;
	if (l->mismatch != m->mismatch)
		return l->mismatch < m->mismatch ? -1 : 1;
	if (l->quota.amount != m->quota.amount)
		return l->quota.amount < m->quota.amount ? -1 : 1;
	return x->quota->line < y->quota->line ? -1 : 1;
}

/* Lines that say the same but for how much of it there is count apart: the first by content has
 * the id that it has alone. */
static bool quota_ids(struct compile *c)
{
	const struct snapshot *s = c->snapshot;
	struct told_apart *list = calloc(s->quota_count + 1, sizeof *list);
	if (!list)
		return false;
	for (size_t i = 0; i < s->quota_count; i++)
		list[i] = (struct told_apart){s->quotas[i], &c->config->allow[s->quotas[i]->line]};
	qsort(list, s->quota_count, sizeof *list, by_content);
	for (size_t i = 1; i < s->quota_count; i++)
		if (list[i].quota->id <= list[i - 1].quota->id)
			list[i].quota->id = list[i - 1].quota->id + 1;
	free(list);
	return true;
}

static bool compile_lines(struct compile *c)
{
	struct snapshot *s = c->snapshot;
	s->allow_count = c->config->allow_count;
	s->line_count = s->allow_count + c->config->deny_count;
	s->lines = snapshot_take(s, s->line_count, sizeof *s->lines);
	s->quotas = snapshot_take(s, s->allow_count, sizeof *s->quotas);
	if (!s->lines || !s->quotas)
		return false;
	for (size_t i = 0; i < s->line_count; i++) {
		s->lines[i].deny = i >= s->allow_count;
		const struct config_line *from = i < s->allow_count
							 ? &c->config->allow[i]
							 : &c->config->deny[i - s->allow_count];
		if (!compile_line(c, &s->lines[i], from))
			return false;
	}
	return quota_ids(c);
}

static bool compile_networks(struct compile *c)
{
	struct snapshot *s = c->snapshot;
	const struct config *from = c->config;
	for (size_t i = 0; i < from->internal.count; i++)
		if (!netset_add(s->internal, &from->internal.item[i], 0))
			return false;
	for (size_t i = 0; i < from->resolvers.count; i++)
		if (!netset_add(s->resolvers, &from->resolvers.item[i], 0))
			return false;
	for (size_t i = 0; i < from->segment_count; i++) {
		uint32_t tier = snapshot_tier(s, from->segments[i].tier);
		if (tier == TIER_NONE)
			FAULT(c, from->segments[i].place, "no such tier \"%s\"",
			      from->segments[i].tier ? from->segments[i].tier : "");
		else if (!netset_add(s->segments, &from->segments[i].network, tier))
			return false;
	}
	return true;
}

static int fixed_order(const void *a, const void *b)
{
	return memcmp(((const struct fixed_host *)a)->key, ((const struct fixed_host *)b)->key, 16);
}

static bool compile_hosts(struct compile *c)
{
	struct snapshot *s = c->snapshot;
	const struct config *from = c->config;
	s->by_address.item = snapshot_take(s, from->host_count, sizeof(struct fixed_host));
	s->by_mac.item = snapshot_take(s, from->host_count, sizeof(struct fixed_host));
	if (!s->by_address.item || !s->by_mac.item)
		return false;
	for (size_t i = 0; i < from->host_count; i++) {
		const struct config_host *h = &from->hosts[i];
		struct fixed_hosts *to = h->has_mac ? &s->by_mac : &s->by_address;
		struct fixed_host *f = &to->item[to->count++];
		memcpy(f->key, h->has_mac ? h->mac : h->address.bytes, h->has_mac ? 6 : 16);
		copy_name(f->user, sizeof f->user, h->user);
		f->tier = snapshot_tier(s, h->tier);
		if (f->tier == TIER_NONE)
			FAULT(c, h->place, "no such tier \"%s\"", h->tier ? h->tier : "");
	}
	qsort(s->by_address.item, s->by_address.count, sizeof(struct fixed_host), fixed_order);
	qsort(s->by_mac.item, s->by_mac.count, sizeof(struct fixed_host), fixed_order);
	return true;
}

static bool compile_expects(struct compile *c)
{
	struct snapshot *s = c->snapshot;
	s->expects = snapshot_take(s, c->config->expect_count, sizeof *s->expects);
	if (!s->expects)
		return false;
	for (; s->expect_count < c->config->expect_count; s->expect_count++) {
		const struct config_expect *from = &c->config->expects[s->expect_count];
		struct expectation *e = &s->expects[s->expect_count];
		*e = (struct expectation){
			.file = snapshot_text(s, from->place.file ? from->place.file : ""),
			.to = snapshot_text(s, from->to ? from->to : ""),
			.at = snapshot_text(s, from->at),
			.line = from->place.line,
			.tier = snapshot_tier(s, from->tier),
			.from = from->from,
			.port = from->port,
			.evidence = from->evidence,
			.outcome = from->outcome,
		};
		if (!e->file || !e->to || (from->at && !e->at))
			return false;
		if (from->tier && e->tier == TIER_NONE)
			FAULT(c, from->place, "no such tier \"%s\"", from->tier);
		if (!from->has_from && !from->tier)
			FAULT(c, from->place, "neither tier nor from; one of them");
	}
	return true;
}

static struct settings settings_of(const struct config *c)
{
	return (struct settings){
		.mode = c->mode,
		.audit = c->audit,
		.held_until = c->held_until,
		.http = c->http,
		.on_deny = c->on_deny,
		.mismatch = c->mismatch,
		.portal = {c->portal[0], c->portal[1]},
	};
}

static bool compile_all(struct compile *c)
{
	struct snapshot *s = c->snapshot;
	s->sets = siteset_new();
	s->hosts = s->sets ? hostset_new(s->sets) : NULL;
	s->networks = netset_new();
	s->internal = netset_new();
	s->resolvers = netset_new();
	s->segments = netset_new();
	if (!s->hosts || !s->networks || !s->internal || !s->resolvers || !s->segments)
		return false;
	s->settings = settings_of(c->config);
	if (!compile_tiers(c) || !compile_networks(c) || !compile_hosts(c) ||
	    !compile_schedules(c) || !compile_sites(c) || !compile_lines(c) || !compile_expects(c))
		return false;
	for (size_t t = 0; t < s->tier_count; t++) {
		s->tiers[t].deny.deny = s->tiers[t].watch.deny = true;
		s->tiers[t].watch.observed = true;
		if (!rules_make(s, t, &s->tiers[t].allow, 0, s->allow_count) ||
		    !rules_make(s, t, &s->tiers[t].deny, s->allow_count, s->line_count) ||
		    !rules_make(s, t, &s->tiers[t].watch, s->allow_count, s->line_count))
			return false;
	}
	return true;
}

struct snapshot *snapshot_compile(const struct config *config, struct errors *errors)
{
	struct compile c = {config, calloc(1, sizeof *c.snapshot), errors};
	size_t errors_before = errors->count;
	if (!c.snapshot || !compile_all(&c)) {
		errors_add(errors, NULL, 0, "out of memory while compiling the policy");
	} else if (errors->count == errors_before) {
		unreachable_check(c.snapshot, config, errors);
		digest_make(config, c.snapshot->digest);
	}
	if (errors->count == errors_before)
		return c.snapshot;
	snapshot_free(c.snapshot);
	return NULL;
}
