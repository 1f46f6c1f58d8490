#include "policy/may.h"

#include "policy/compiled.h"

#include <string.h>

static bool active(const struct line *l, int64_t now)
{
	return now < l->expires && (!l->when || schedule_active(l->when, now));
}

static int64_t edge(const struct line *l, int64_t now)
{
	int64_t next = l->when ? schedule_next_edge(l->when, now) : 0;
	if (l->expires != INT64_MAX && (next == 0 || l->expires < next))
		next = l->expires;
	return next;
}

static bool names_site(const struct line *l, uint16_t site)
{
	for (size_t i = 0; i < l->except_count; i++)
		if (l->except[i] == site)
			return false;
	for (size_t i = 0; i < l->site_count; i++)
		if (l->sites[i] == site)
			return true;
	return l->any_site;
}

/* A line that denies some ports alone leaves the site reachable. */
static bool denied(const struct snapshot *s, uint32_t tier, uint16_t site, int64_t now)
{
	for (size_t i = s->allow_count; i < s->line_count; i++) {
		const struct line *l = &s->lines[i];
		if (!l->observed && l->tiers[tier] && active(l, now) && names_site(l, site) &&
		    ports_have(l->ports, l->port_count, 6, 443))
			return true;
	}
	return false;
}

/* What one line gives without end no other limits. */
static void join_quotas(const struct may *a, const struct may *b, struct may *out)
{
	unsigned count = 0;
	const struct quota *both[2 * MAY_QUOTAS];
	for (unsigned i = 0; i < a->quotas && b->quotas; i++)
		both[count++] = a->quota[i];
	for (unsigned i = 0; i < b->quotas && a->quotas; i++)
		both[count++] = b->quota[i];
	out->quotas = count < MAY_QUOTAS ? count : MAY_QUOTAS;
	memcpy(out->quota, both, out->quotas * sizeof *both);
}

/* Of two that are open, or not, now; a later end beats an earlier one. */
static void merge(struct may *there, struct may m)
{
	bool later = m.now && there->edge && (!m.edge || m.edge > there->edge);
	struct may better = later ? m : *there;
	join_quotas(there, &m, &better);
	*there = better;
}

/* Adds a site, or makes better what is there: open beats closed. */
static void add(struct may *out, size_t *count, size_t max, struct may m)
{
	size_t i = 0;
	while (i < *count && strcmp(out[i].site, m.site) != 0)
		i++;
	if (i == max)
		return;
	if (i == *count)
		out[(*count)++] = m;
	else if (m.now == out[i].now)
		merge(&out[i], m);
}

size_t snapshot_may(const struct snapshot *s, const char *tier, int64_t now, struct may *out,
		    size_t max)
{
	uint32_t t = snapshot_tier(s, tier);
	size_t count = 0;
	if (t == TIER_NONE)
		return 0;
	for (int open = 1; open >= 0; open--)
		for (size_t i = 0; i < s->allow_count; i++) {
			const struct line *l = &s->lines[i];
			struct may m = {.site = "*",
					.rule = l->name,
					.owner = l->owner,
					.now = active(l, now),
					.edge = edge(l, now),
					.quota = {l->quota},
					.quotas = l->quota != NULL};
			if (!l->tiers[t] || now >= l->expires || m.now != open)
				continue;
			if (l->any_site)
				add(out, &count, max, m);
			for (size_t k = 0; k < l->site_count; k++) {
				m.site = s->sites[l->sites[k]].name;
				if (!denied(s, t, l->sites[k], now))
					add(out, &count, max, m);
			}
		}
	return count;
}

size_t snapshot_tier_quotas(const struct snapshot *s, const char *tier, int64_t now,
			    const struct quota **out, size_t max)
{
	uint32_t t = snapshot_tier(s, tier);
	size_t count = 0;
	for (size_t i = 0; t != TIER_NONE && i < s->quota_count && count < max; i++) {
		const struct line *l = &s->lines[s->quotas[i]->line];
		if (l->tiers[t] && now < l->expires)
			out[count++] = s->quotas[i];
	}
	return count;
}

const char *snapshot_line_site(const struct snapshot *s, uint32_t line, size_t i)
{
	const struct line *l = &s->lines[line];
	if (l->any_site)
		return i == 0 ? "*" : NULL;
	return i < l->site_count ? s->sites[l->sites[i]].name : NULL;
}
