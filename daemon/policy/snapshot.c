/* snapshot: its memory, and what others ask of it. compile.c fills it. */
#include "policy/snapshot.h"

#include "policy/compiled.h"
#include "policy/counted.h"
#include "policy/lockdown.h"

#include <stdlib.h>
#include <string.h>

struct block {
	struct block *next;
	max_align_t data[];
};

void *snapshot_take(struct snapshot *s, size_t count, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2)
		return NULL;
	struct block *b = calloc(1, sizeof *b + bytes);
	if (!b)
		return NULL;
	b->next = s->blocks;
	s->blocks = b;
	return b->data;
}

char *snapshot_text(struct snapshot *s, const char *text)
{
	if (!text)
		return NULL;
	char *copy = snapshot_take(s, strlen(text) + 1, 1);
	return copy ? strcpy(copy, text) : NULL;
}

void snapshot_free(struct snapshot *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->zone_count; i++)
		zone_free(s->zones[i].zone);
	hostset_free(s->hosts);
	siteset_free(s->sets);
	netset_free(s->networks);
	netset_free(s->internal);
	netset_free(s->resolvers);
	netset_free(s->segments);
	for (struct block *b = s->blocks, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	locks_free(s->locks);
	counted_free(s->counted);
	spent_free(s->spent);
	free(s);
}

const char *snapshot_digest(const struct snapshot *s)
{
	return s->digest;
}

bool snapshot_internal(const struct snapshot *s, const struct address *a)
{
	return netset_find(s->internal, a) != NETSET_NONE;
}

bool snapshot_resolver(const struct snapshot *s, const struct address *a)
{
	return netset_find(s->resolvers, a) != NETSET_NONE;
}

const char *snapshot_segment(const struct snapshot *s, const struct address *a)
{
	uint32_t tier = netset_find(s->segments, a);
	return tier == NETSET_NONE ? NULL : s->tiers[tier].name;
}

static int key_order(const void *key, const void *host)
{
	return memcmp(key, ((const struct fixed_host *)host)->key, 16);
}

static const struct fixed_host *fixed_find(const struct fixed_hosts *h, const uint8_t key[16])
{
	return h->count ? bsearch(key, h->item, h->count, sizeof *h->item, key_order) : NULL;
}

const char *snapshot_static(const struct snapshot *s, const struct address *a, const uint8_t mac[6],
			    const char **user)
{
	uint8_t key[16] = {0};
	const struct fixed_host *host = fixed_find(&s->by_address, a->bytes);
	if (!host && mac) {
		memcpy(key, mac, 6);
		host = fixed_find(&s->by_mac, key);
	}
	*user = host ? host->user : "";
	return host ? s->tiers[host->tier].name : snapshot_segment(s, a);
}

uint32_t tier_hash(const char *name)
{
	uint32_t h = 2166136261u;
	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h ^ h >> 15;
}

uint32_t snapshot_tier(const struct snapshot *s, const char *name)
{
	if (!name || !*name)
		return TIER_NONE;
	for (uint32_t i = tier_hash(name);; i++) {
		uint32_t tier = s->tier_slots[i & s->tier_mask];
		if (tier == 0)
			return TIER_NONE;
		if (strcmp(s->tiers[tier - 1].name, name) == 0)
			return tier - 1;
	}
}

uint32_t snapshot_tier_number(const struct snapshot *s, const char *tier)
{
	return snapshot_tier(s, tier) + 1; /* TIER_NONE is the greatest */
}

bool snapshot_has_tier(const struct snapshot *s, const char *tier)
{
	return snapshot_tier(s, tier) != TIER_NONE;
}

void snapshot_tier_limits(const struct snapshot *s, const char *tier, int64_t *idle,
			  int64_t *absolute)
{
	uint32_t t = snapshot_tier(s, tier);
	*idle = t == TIER_NONE ? 0 : s->tiers[t].idle;
	*absolute = t == TIER_NONE ? 0 : s->tiers[t].absolute;
}

const char *snapshot_rule_name(const struct snapshot *s, uint32_t rule)
{
	if (rule == RULE_LOCKDOWN)
		return "lockdown";
	return rule < s->line_count ? s->lines[rule].name : "";
}

const char *snapshot_rule_owner(const struct snapshot *s, uint32_t rule)
{
	return rule < s->line_count ? s->lines[rule].owner : "";
}

const char *snapshot_rule_note(const struct snapshot *s, uint32_t rule)
{
	return rule < s->line_count ? s->lines[rule].note : "";
}

const char *snapshot_tier_name(const struct snapshot *s, uint32_t tier)
{
	return tier < s->tier_count ? s->tiers[tier].name : "";
}

const char *snapshot_site_name(const struct snapshot *s, uint32_t site)
{
	return site < s->site_count ? s->sites[site].name : "";
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

int64_t snapshot_next_edge(const struct snapshot *s, int64_t now)
{
	int64_t edge = sooner(locks_next_edge(s, now), spent_next_edge(s, now));
	for (size_t i = 0; i < s->schedule_count; i++)
		edge = sooner(edge, schedule_next_edge(&s->schedules[i], now));
	for (size_t i = 0; i < s->line_count; i++)
		if (s->lines[i].expires > now && s->lines[i].expires != INT64_MAX)
			edge = sooner(edge, s->lines[i].expires);
	return edge;
}

void snapshot_count(struct snapshot *s, struct counted *c)
{
	counted_free(s->counted);
	s->counted = c;
}

struct counted *snapshot_counted(const struct snapshot *s)
{
	return s->counted;
}

enum config_mode snapshot_mode(const struct snapshot *s)
{
	return s->settings.mode;
}

bool snapshot_observes(const struct snapshot *s, const char *tier)
{
	return snapshot_tier_observes(s, snapshot_tier_number(s, tier));
}

bool snapshot_tier_observes(const struct snapshot *s, uint32_t number)
{
	return s->settings.mode == CONFIG_OBSERVE || (number && s->tiers[number - 1].observed);
}

const struct settings *snapshot_settings(const struct snapshot *s)
{
	return &s->settings;
}
