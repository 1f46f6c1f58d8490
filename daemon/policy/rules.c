/* rules: the lines of a snapshot as each tier has them, in the order in which they are asked. */
#include "policy/compiled.h"

#include <stdlib.h>
#include <string.h>

enum evidence wants_of(enum config_evidence e)
{
	switch (e) {
	case CONFIG_EVIDENCE_ANY: return EVIDENCE_NONE;
	case CONFIG_EVIDENCE_DNS: return EVIDENCE_DNS;
	case CONFIG_EVIDENCE_NAME_ADDRESS: return EVIDENCE_HOST_DNS;
	case CONFIG_EVIDENCE_UNSET:
	case CONFIG_EVIDENCE_NAME: break;
	}
	return EVIDENCE_HOST;
}

const char *wants_text(enum config_evidence e)
{
	static const char *const text[] = {"name", "any", "dns", "name", "name+address"};
	return text[e];
}

enum config_evidence evidence_for(const struct line *l, const struct tier *t)
{
	if (l->evidence != CONFIG_EVIDENCE_UNSET)
		return l->evidence;
	return t && t->evidence != CONFIG_EVIDENCE_UNSET ? t->evidence : CONFIG_EVIDENCE_NAME;
}

bool mismatch_refused(const struct snapshot *s, const struct line *l, const struct tier *t)
{
	enum config_mismatch m = l->mismatch;
	if (m == CONFIG_MISMATCH_UNSET && t)
		m = t->mismatch;
	if (m == CONFIG_MISMATCH_UNSET)
		m = s->settings.mismatch;
	return m == CONFIG_MISMATCH_DENY || evidence_for(l, t) == CONFIG_EVIDENCE_NAME_ADDRESS;
}

/* A line as a tier has it. What is known of a name narrows what allows, never what denies. */
static struct rule rule_of(const struct snapshot *s, uint32_t line, const struct tier *t)
{
	const struct line *l = &s->lines[line];
	return (struct rule){
		.expires = l->expires,
		.when = l->when,
		.quota = l->quota,
		.ports = l->ports,
		.port_count = (uint32_t)l->port_count,
		.line = line,
		.wants = l->deny ? EVIDENCE_NONE : wants_of(evidence_for(l, t)),
		.refuses_mismatch = !l->deny && mismatch_refused(s, l, t),
		.has_hosts = l->has_hosts,
		.any_site = l->any_site,
		.except = l->except,
		.except_count = (uint32_t)l->except_count,
		.except_hosts = l->except_hosts,
	};
}

/* Sorts the rules' numbers by site: counts, adds up, places. */
static bool index_rules(struct snapshot *s, struct rules *r)
{
	size_t sites = s->site_count, total = 0;
	r->first = snapshot_take(s, sites + 2, sizeof *r->first);
	if (!r->first)
		return false;
	for (size_t i = 0; i < r->count; i++) {
		const struct line *l = &s->lines[r->item[i].line];
		for (size_t k = 0; k < l->site_count; k++, total++)
			r->first[l->sites[k] + 1]++;
		r->first[sites + 1] += l->any_site;
		total += l->any_site;
	}
	for (size_t i = 1; i < sites + 2; i++)
		r->first[i] += r->first[i - 1];
	r->by_site = snapshot_take(s, total, sizeof *r->by_site);
	uint32_t *next = calloc(sites + 1, sizeof *next);
	if (!r->by_site || !next) {
		free(next);
		return false;
	}
	memcpy(next, r->first, (sites + 1) * sizeof *next);
	for (size_t i = 0; i < r->count; i++) {
		const struct line *l = &s->lines[r->item[i].line];
		for (size_t k = 0; k < l->site_count; k++)
			r->by_site[next[l->sites[k]]++] = (uint32_t)i;
		if (l->any_site)
			r->by_site[next[sites]++] = (uint32_t)i;
	}
	free(next);
	return true;
}

static bool same_gate(const struct rule *a, const struct rule *b)
{
	return a->expires == b->expires && a->when == b->when &&
	       a->refuses_mismatch == b->refuses_mismatch && a->port_count == b->port_count &&
	       memcmp(a->ports, b->ports, a->port_count * sizeof *a->ports) == 0;
}

/* Whether a name could match anything at all is asked for every first packet: by one rule of each
 * kind, for a thousand lines differ in few ways. */
static bool gather_gates(struct snapshot *s, struct rules *r)
{
	r->gates = snapshot_take(s, r->count, sizeof *r->gates);
	if (!r->gates)
		return false;
	for (uint32_t i = 0; i < r->count; i++) {
		size_t k = 0;
		if (!r->item[i].has_hosts && !r->item[i].any_site && !r->item[i].except_count)
			continue;
		while (k < r->gate_count && !same_gate(&r->item[r->gates[k]], &r->item[i]))
			k++;
		if (k == r->gate_count)
			r->gates[r->gate_count++] = i;
	}
	return true;
}

static bool takes(const struct rules *r, const struct line *l, size_t tier)
{
	return l->tiers[tier] && l->observed == r->observed;
}

bool rules_make(struct snapshot *s, size_t tier, struct rules *r, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		r->count += takes(r, &s->lines[i], tier);
	r->item = snapshot_take(s, r->count, sizeof *r->item);
	if (!r->item)
		return false;
	r->count = 0;
	for (int limited = 0; limited < 2; limited++) /* what is without end is not counted */
		for (size_t i = from; i < to; i++)
			if (takes(r, &s->lines[i], tier) && !s->lines[i].quota == !limited)
				r->item[r->count++] = rule_of(s, (uint32_t)i, &s->tiers[tier]);
	return index_rules(s, r) && gather_gates(s, r);
}
