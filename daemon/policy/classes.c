#include "policy/classes.h"

#include "policy/compiled.h"

/* Unlike what is mixed in, so that nothing cancels it. */
#define START UINT64_C(0x9ae16a3b2f90404f)

static uint64_t mix(uint64_t h, uint64_t value)
{
	h = (h ^ value) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static bool line_is_for(const struct snapshot *s, const struct line *l, const char *tier)
{
	uint32_t t = snapshot_tier(s, tier);
	return !tier || (t != TIER_NONE && l->tiers[t]);
}

static bool names(const uint16_t *sites, size_t count, uint16_t site)
{
	for (size_t i = 0; i < count; i++)
		if (sites[i] == site)
			return true;
	return false;
}

/* Does a line of the tier ask for the site? */
static bool site_matters(const struct snapshot *s, const char *tier, uint16_t site)
{
	bool matters = !tier;
	for (size_t i = 0; i < s->line_count && !matters; i++) {
		const struct line *l = &s->lines[i];
		matters = (names(l->sites, l->site_count, site) ||
			   names(l->except, l->except_count, site)) &&
			  line_is_for(s, l, tier);
	}
	return matters;
}

static uint64_t class_of_set(const struct snapshot *s, const char *tier, uint32_t set)
{
	size_t count;
	const uint16_t *members = siteset_sites(s->sets, set, &count);
	uint64_t class = START;
	for (size_t i = 0; i < count; i++)
		if (site_matters(s, tier, member_site(members[i])))
			class = mix(class, members[i]);
	return class;
}

uint64_t class_of_host(const struct snapshot *s, const char *tier, const struct host *host)
{
	return class_of_set(s, tier, hostset_find(s->hosts, host));
}

uint64_t class_of_address(const struct snapshot *s, const char *tier, const struct address *a)
{
	uint32_t set = netset_find(s->networks, a);
	return mix(class_of_set(s, tier, set == NETSET_NONE ? 0 : set), snapshot_internal(s, a));
}

uint64_t class_of_port(const struct snapshot *s, const char *tier, uint8_t transport, uint16_t port)
{
	uint64_t class = START;
	for (size_t i = 0; i < s->line_count; i++)
		if (line_is_for(s, &s->lines[i], tier))
			class = mix(class, ports_have(s->lines[i].ports, s->lines[i].port_count,
						      transport, port));
	return class;
}

uint64_t class_of_time(const struct snapshot *s, const char *tier, int64_t now)
{
	uint64_t class = START;
	for (size_t i = 0; i < s->line_count; i++) {
		const struct line *l = &s->lines[i];
		if (line_is_for(s, l, tier))
			class = mix(class, now < l->expires &&
						   (!l->when || schedule_active(l->when, now)));
	}
	return class;
}
