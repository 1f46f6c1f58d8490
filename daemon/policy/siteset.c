#include "policy/siteset.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct set {
	uint32_t first, count; /* in sites */
	uint32_t hash;
};

struct siteset {
	uint16_t *sites;
	struct set *sets;
	uint32_t *slots; /* set number + 1 by hash; 0: free */
	size_t site_count, site_cap, set_count, set_cap, slot_count;
};

struct siteset *siteset_new(void)
{
	struct siteset *s = calloc(1, sizeof *s);
	if (s && siteset_number(s, NULL, 0) == SITESET_NONE) {
		siteset_free(s);
		return NULL;
	}
	return s;
}

void siteset_free(struct siteset *s)
{
	if (!s)
		return;
	free(s->sites);
	free(s->sets);
	free(s->slots);
	free(s);
}

static uint32_t hash_of(const uint16_t *sites, size_t count)
{
	uint64_t h = count;
	for (size_t i = 0; i < count; i++)
		h = (h ^ sites[i]) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(h >> 32);
}

static void slot_put(struct siteset *s, uint32_t number)
{
	size_t at = s->sets[number].hash & (s->slot_count - 1);
	while (s->slots[at])
		at = (at + 1) & (s->slot_count - 1);
	s->slots[at] = number + 1;
}

/* Room for one more set of `count` sites. */
static bool grow(struct siteset *s, size_t count)
{
	if (s->site_count + count >= s->site_cap) {
		size_t cap = (s->site_count + count) * 2 + 64;
		uint16_t *sites = reallocarray(s->sites, cap, sizeof *sites);
		if (!sites)
			return false;
		s->sites = sites;
		s->site_cap = cap;
	}
	if (s->set_count < s->set_cap)
		return true;
	size_t cap = s->set_cap ? s->set_cap * 2 : 64;
	struct set *sets = reallocarray(s->sets, cap, sizeof *sets);
	if (!sets)
		return false;
	s->sets = sets;
	uint32_t *slots = calloc(cap * 2, sizeof *slots);
	if (!slots)
		return false;
	free(s->slots);
	s->slots = slots;
	s->slot_count = cap * 2;
	s->set_cap = cap;
	for (size_t i = 0; i < s->set_count; i++)
		slot_put(s, (uint32_t)i);
	return true;
}

uint32_t siteset_number(struct siteset *s, const uint16_t *sites, size_t count)
{
	uint32_t hash = hash_of(sites, count);
	size_t at = s->slot_count ? hash & (s->slot_count - 1) : 0;
	for (; s->slot_count && s->slots[at]; at = (at + 1) & (s->slot_count - 1)) {
		const struct set *set = &s->sets[s->slots[at] - 1];
		if (set->hash == hash && set->count == count &&
		    (count == 0 ||
		     memcmp(s->sites + set->first, sites, count * sizeof *sites) == 0))
			return s->slots[at] - 1;
	}
	if (!grow(s, count))
		return SITESET_NONE;
	if (count)
		memcpy(s->sites + s->site_count, sites, count * sizeof *sites);
	s->sets[s->set_count] = (struct set){(uint32_t)s->site_count, (uint32_t)count, hash};
	s->site_count += count;
	slot_put(s, (uint32_t)s->set_count);
	return (uint32_t)s->set_count++;
}

const uint16_t *siteset_sites(const struct siteset *s, uint32_t number, size_t *count)
{
	*count = s->sets[number].count;
	return s->sites + s->sets[number].first;
}

enum hold siteset_hold(const struct siteset *s, uint32_t number, uint16_t site)
{
	size_t count;
	const uint16_t *m = siteset_sites(s, number, &count);
	for (size_t i = 0; i < count && member_site(m[i]) <= site; i++)
		if (member_site(m[i]) == site)
			return member_hold(m[i]);
	return HOLD_NONE;
}
