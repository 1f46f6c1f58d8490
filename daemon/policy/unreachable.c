/* unreachable: lines that can never match. Only sure cases are errors: a line that says again what
 * another says, one that a deny line covers whole, and one whose sites hold networks alone while
 * the evidence that it wants refuses a plain address. */
#include "policy/compiled.h"

#include <string.h>

static bool ports_within(const struct line *inner, const struct line *outer)
{
	for (size_t i = 0; i < inner->port_count; i++) {
		const struct config_port *p = &inner->ports[i];
		bool covered = false;
		for (size_t k = 0; k < outer->port_count && !covered; k++)
			covered = outer->ports[k].transport == p->transport &&
				  outer->ports[k].first <= p->first &&
				  p->last <= outer->ports[k].last;
		if (!covered)
			return false;
	}
	return true;
}

static bool sites_within(const struct line *inner, const struct line *outer)
{
	size_t k = 0;
	if (outer->any_site || inner->any_site)
		return outer->any_site;
	for (size_t i = 0; i < inner->site_count; i++) {
		while (k < outer->site_count && outer->sites[k] < inner->sites[i])
			k++;
		if (k == outer->site_count || outer->sites[k] != inner->sites[i])
			return false;
	}
	return true;
}

static bool tiers_within(const struct snapshot *s, const struct line *inner,
			 const struct line *outer)
{
	for (size_t t = 0; t < s->tier_count; t++)
		if (inner->tiers[t] && !outer->tiers[t])
			return false;
	return true;
}

static bool excepts_same(const struct line *a, const struct line *b)
{
	return a->except_count == b->except_count &&
	       memcmp(a->except, b->except, a->except_count * sizeof *a->except) == 0;
}

/* A deny line leaves what its sites need of others. */
static bool shares(const struct snapshot *s, const struct line *l)
{
	bool shared = false;
	for (size_t i = 0; i < l->site_count; i++)
		shared |= s->sites[l->sites[i]].has_shared;
	return shared;
}

static bool only_shared(const struct snapshot *s, const struct line *l)
{
	for (size_t i = 0; i < l->site_count; i++)
		if (s->sites[l->sites[i]].has_own)
			return false;
	return shares(s, l);
}

static bool within(const struct snapshot *s, const struct line *inner, const struct line *outer)
{
	return (!outer->except_count || excepts_same(inner, outer)) && sites_within(inner, outer) &&
	       ports_within(inner, outer) && tiers_within(s, inner, outer);
}

static bool same(const struct snapshot *s, const struct line *a, const struct line *b)
{
	return a->deny == b->deny && a->when == b->when && a->evidence == b->evidence &&
	       a->mismatch == b->mismatch && a->expires == b->expires &&
	       a->site_count == b->site_count && excepts_same(a, b) && within(s, a, b) &&
	       within(s, b, a);
}

/* Networks alone are known by address alone, which only evidence "any" takes. */
static bool needs_any(const struct snapshot *s, const struct line *l)
{
	bool networks = false;
	if (l->deny || l->any_site || l->has_hosts)
		return false;
	for (size_t i = 0; i < l->site_count; i++)
		networks |= s->sites[l->sites[i]].has_networks;
	for (size_t t = 0; t < s->tier_count; t++)
		if (l->tiers[t] && evidence_for(l, &s->tiers[t]) == CONFIG_EVIDENCE_ANY)
			return false;
	return networks;
}

void unreachable_check(const struct snapshot *s, const struct config *c, struct errors *errors)
{
	for (size_t i = 0; i < s->line_count; i++) {
		const struct line *l = &s->lines[i];
		const struct place *p = i < s->allow_count ? &c->allow[i].place
							   : &c->deny[i - s->allow_count].place;
		if (needs_any(s, l))
			errors_add(errors, p->file, p->line,
				   "its sites hold networks alone, and an address is not the "
				   "evidence it wants; evidence = \"any\", or names in the sites");
		if (l->deny && !l->any_site && only_shared(s, l))
			errors_add(errors, p->file, p->line,
				   "can never deny: all that its sites hold is shared (~), which a "
				   "deny line leaves; names of their own");
		for (size_t k = 0; k < i; k++)
			if (same(s, l, &s->lines[k])) {
				errors_add(errors, p->file, p->line,
					   "says again what %s says; one of them",
					   s->lines[k].name);
				break;
			}
		for (size_t k = s->allow_count; !l->deny && k < s->line_count; k++) {
			const struct line *d = &s->lines[k];
			if (!d->observed && !d->when && d->expires == INT64_MAX &&
			    within(s, l, d) && (d->any_site || !shares(s, l))) {
				errors_add(errors, p->file, p->line,
					   "can never allow: the deny line %s covers it whole",
					   d->name);
				break;
			}
		}
	}
}
