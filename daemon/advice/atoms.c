#include "advice/atoms.h"

#include "advice/range.h"
#include "base/array.h"
#include "base/clock.h"
#include "policy/classes.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define YEAR        (366 * 86400 * NS_PER_S)
#define DATES_AHEAD INT64_C(30) /* years */
#define CLASS_MAX   65535

static int by_key(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static uint64_t both(uint64_t old, uint64_t new)
{
	return (old ^ (new << 23 | new >> 41)) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Numbers keys: atom i, whose class is `class` bytes into it, is of key[i]; equal keys are one
 * class, and classes go by their first atoms. Takes key over. False where there are too many. */
static bool classify(struct atoms *a, enum dimension d, uint64_t *key, void *atoms, size_t count,
		     size_t size, size_t class)
{
	uint64_t *sorted = must(reallocarray(NULL, count, sizeof *sorted));
	size_t kept = 0;
	memcpy(sorted, key, count * sizeof *key);
	qsort(sorted, count, sizeof *sorted, by_key);
	for (size_t i = 0; i < count; i++)
		if (kept == 0 || sorted[kept - 1] != sorted[i])
			sorted[kept++] = sorted[i];
	size_t *number = must(calloc(kept, sizeof *number)); /* + 1; 0: not met yet */
	size_t first = d == BY_NAME, met = first;
	a->sample[d] = must(calloc(kept + first, sizeof *a->sample[d]));
	for (size_t i = 0; i < count && kept + first <= CLASS_MAX; i++) {
		uint64_t *at = bsearch(&key[i], sorted, kept, sizeof *sorted, by_key);
		size_t *n = &number[at - sorted];
		if (!*n) {
			a->sample[d][met] = i;
			*n = ++met;
		}
		uint16_t value = (uint16_t)(*n - 1);
		memcpy((char *)atoms + i * size + class, &value, sizeof value);
	}
	a->count[d] = kept + first;
	free(number);
	free(sorted);
	free(key);
	return a->count[d] <= CLASS_MAX;
}

#define CLASSIFY(a, d, key, list, count)                                                           \
	classify(a, d, key, list, count, sizeof *(list),                                           \
		 (size_t)((char *)&(list)->class - (char *)(list)))

/* ---- tiers ---- */

static void add_tier(struct atoms *a, const char *name)
{
	for (size_t i = 0; i < a->tier_count; i++)
		if (strcmp(a->tiers[i], name) == 0)
			return;
	a->tiers = array_grow(a->tiers, &a->tier_count, sizeof *a->tiers);
	a->tiers[a->tier_count - 1] = name;
}

static void take_tiers(struct atoms *a)
{
	add_tier(a, "");
	for (int p = 0; p < 2; p++)
		for (size_t i = 0; i < a->policy[p]->config->tier_count; i++)
			add_tier(a, a->policy[p]->config->tiers[i].name);
	a->count[BY_TIER] = a->tier_count;
}

/* ---- names ---- */

typedef void (*each_entry)(struct atoms *a, const struct site_entry *e);

static void entries(struct atoms *a, each_entry each)
{
	for (int p = 0; p < 2; p++)
		for (size_t s = 0; s < a->policy[p]->config->site_count; s++) {
			const struct config_site *site = &a->policy[p]->config->sites[s];
			for (size_t l = 0; l < site->count; l++)
				for (size_t i = 0; i < site->list[l].count; i++)
					each(a, site->list[l].item[i]);
		}
}

static void add_name(struct atoms *a, const struct site_entry *e)
{
	for (int below = 0; below < 2 && e->kind != SITE_NETWORK; below++) {
		a->names = array_grow(a->names, &a->name_count, sizeof *a->names);
		a->names[a->name_count - 1] = (struct name_atom){.host = &e->host, .below = below};
	}
}

static int by_host(const void *a, const void *b)
{
	const struct name_atom *x = a, *y = b;
	if (!x->host || !y->host)
		return (x->host != NULL) - (y->host != NULL);
	int order = strcmp(x->host->text, y->host->text);
	return order ? order : x->below - y->below;
}

static void sort_names(struct atoms *a)
{
	size_t kept = 0;
	qsort(a->names, a->name_count, sizeof *a->names, by_host);
	for (size_t i = 0; i < a->name_count; i++)
		if (kept == 0 || by_host(&a->names[kept - 1], &a->names[i]) != 0)
			a->names[kept++] = a->names[i];
	a->name_count = kept;
}

/* A label that no host of a list begins with, so that it is below any of them and none itself. */
static void choose_label(struct atoms *a)
{
	size_t len = 0;
	for (unsigned n = 0, again = 1; again; n++) {
		len = (size_t)snprintf(a->label, sizeof a->label, "other%u", n);
		again = 0;
		for (size_t i = 1; i < a->name_count && !again; i++) {
			const char *text = a->names[i].host->text;
			again = strncmp(text, a->label, len) == 0 &&
				(!text[len] || text[len] == '.');
		}
	}
}

/* No host has a name below it that would be too long but one that nobody has. */
static void name_of(const struct atoms *a, const struct name_atom *n, struct host *out)
{
	int len = n->host && n->below
			  ? snprintf(out->text, sizeof out->text, "%s.%s", a->label, n->host->text)
			  : snprintf(out->text, sizeof out->text, "%s",
				     n->host ? n->host->text : a->label);
	out->len = (uint8_t)(len > HOST_MAX ? HOST_MAX : len);
}

static uint64_t name_key(const struct atoms *a, const char *tier, const struct name_atom *n)
{
	struct host host;
	name_of(a, n, &host);
	return both(class_of_host(a->policy[0]->snapshot, tier, &host),
		    class_of_host(a->policy[1]->snapshot, tier, &host));
}

static bool take_names(struct atoms *a)
{
	a->names = array_grow(a->names, &a->name_count, sizeof *a->names);
	entries(a, add_name);
	sort_names(a);
	choose_label(a);
	uint64_t *key = must(reallocarray(NULL, a->name_count, sizeof *key));
	for (size_t i = 0; i < a->name_count; i++)
		key[i] = name_key(a, NULL, &a->names[i]);
	return CLASSIFY(a, BY_NAME, key, a->names, a->name_count);
}

/* ---- addresses ---- */

static void add_address(struct atoms *a, const struct address *first)
{
	a->addresses = array_grow(a->addresses, &a->address_count, sizeof *a->addresses);
	a->addresses[a->address_count - 1] = (struct address_atom){.first = *first};
}

/* Something may begin at a network's first address, and behind its last. */
static void add_network(struct atoms *a, const struct network *n)
{
	struct address behind;
	add_address(a, &n->base);
	if (range_behind(n, &behind))
		add_address(a, &behind);
}

static void add_entry_network(struct atoms *a, const struct site_entry *e)
{
	if (e->kind == SITE_NETWORK)
		add_network(a, &e->network);
}

static int by_address(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct address));
}

static uint64_t address_key(const struct atoms *a, const char *tier, const struct address *at)
{
	return both(class_of_address(a->policy[0]->snapshot, tier, at),
		    class_of_address(a->policy[1]->snapshot, tier, at));
}

static bool take_addresses(struct atoms *a)
{
	const struct network all4 = {.base = address_from4((uint8_t[4]){0}), .bits = 96},
			     all6 = {0};
	size_t kept = 0;
	add_network(a, &all6);
	add_network(a, &all4);
	for (int p = 0; p < 2; p++)
		for (size_t i = 0; i < a->policy[p]->config->internal.count; i++)
			add_network(a, &a->policy[p]->config->internal.item[i]);
	entries(a, add_entry_network);
	qsort(a->addresses, a->address_count, sizeof *a->addresses, by_address);
	for (size_t i = 0; i < a->address_count; i++)
		if (kept == 0 || by_address(&a->addresses[kept - 1], &a->addresses[i]) != 0)
			a->addresses[kept++] = a->addresses[i];
	a->address_count = kept;
	uint64_t *key = must(reallocarray(NULL, kept, sizeof *key));
	for (size_t i = 0; i < kept; i++)
		key[i] = address_key(a, NULL, &a->addresses[i].first);
	return CLASSIFY(a, BY_ADDRESS, key, a->addresses, kept);
}

/* ---- ports ---- */

/* The lines of both policies, one after another; NULL behind the last. */
static const struct config_line *line_at(const struct atoms *a, size_t i)
{
	for (int p = 0; p < 2; p++) {
		const struct config *c = a->policy[p]->config;
		if (i < c->allow_count)
			return &c->allow[i];
		i -= c->allow_count;
		if (i < c->deny_count)
			return &c->deny[i];
		i -= c->deny_count;
	}
	return NULL;
}

static void add_port(struct atoms *a, uint8_t transport, unsigned first)
{
	for (size_t i = 0; i < a->port_count; i++)
		if (a->ports[i].transport == transport && a->ports[i].first == first)
			return;
	if (first > UINT16_MAX)
		return;
	a->ports = array_grow(a->ports, &a->port_count, sizeof *a->ports);
	a->ports[a->port_count - 1] =
		(struct port_atom){.transport = transport, .first = (uint16_t)first};
}

static int by_port(const void *a, const void *b)
{
	const struct port_atom *x = a, *y = b;
	return x->transport != y->transport ? x->transport - y->transport : x->first - y->first;
}

static uint64_t port_key(const struct atoms *a, const char *tier, const struct port_atom *p)
{
	return both(class_of_port(a->policy[0]->snapshot, tier, p->transport, p->first),
		    class_of_port(a->policy[1]->snapshot, tier, p->transport, p->first));
}

static bool take_ports(struct atoms *a)
{
	const struct config_line *l;
	add_port(a, 0, 0);
	add_port(a, IPPROTO_TCP, 0);
	add_port(a, IPPROTO_UDP, 0);
	for (size_t i = 0; (l = line_at(a, i)); i++)
		for (size_t k = 0; k < l->port_count; k++) {
			add_port(a, l->ports[k].transport, l->ports[k].first);
			add_port(a, l->ports[k].transport, l->ports[k].last + 1u);
		}
	qsort(a->ports, a->port_count, sizeof *a->ports, by_port);
	uint64_t *key = must(reallocarray(NULL, a->port_count, sizeof *key));
	for (size_t i = 0; i < a->port_count; i++)
		key[i] = port_key(a, NULL, &a->ports[i]);
	return CLASSIFY(a, BY_PORT, key, a->ports, a->port_count);
}

/* ---- times ---- */

static int64_t sooner(int64_t a, int64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

/* The next `expires` after a time; 0: none. */
static int64_t next_expiry(const struct atoms *a, int64_t now)
{
	const struct config_line *l;
	int64_t next = 0;
	for (size_t i = 0; (l = line_at(a, i)); i++)
		if (l->expires > now)
			next = sooner(next, l->expires);
	return next;
}

static uint64_t time_key(const struct atoms *a, const char *tier, int64_t now)
{
	return both(class_of_time(a->policy[0]->snapshot, tier, now),
		    class_of_time(a->policy[1]->snapshot, tier, now));
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* In seconds, a day behind the last of dates: whatever the zone. */
static int64_t last_of(const struct config_dates *d, int64_t last)
{
	if (d->days)
		last = later(last, (d->day[d->days - 1].to + 1) * DAY_S);
	if (d->times)
		last = later(last, d->time[d->times - 1].to);
	return last;
}

/* When the last date that a schedule names is over, no more than DATES_AHEAD from now. */
static int64_t last_date(const struct atoms *a, int64_t now)
{
	int64_t last = now / NS_PER_S, most = last + DATES_AHEAD * 366 * DAY_S;
	for (int p = 0; p < 2; p++)
		for (size_t i = 0; i < a->policy[p]->config->schedule_count; i++) {
			const struct config_schedule *s = &a->policy[p]->config->schedules[i];
			last = last_of(&s->except_dates, last_of(&s->dates, last));
		}
	return (last < most ? last : most) * NS_PER_S;
}

static bool take_times(struct atoms *a, int64_t now)
{
	uint64_t *key = NULL;
	size_t keys = 0;
	int64_t mark = last_date(a, now); /* to a year from here, where no line expires later */
	do {
		a->times = array_grow(a->times, &a->time_count, sizeof *a->times);
		a->times[a->time_count - 1] = (struct time_atom){.first = now};
		key = array_grow(key, &keys, sizeof *key);
		key[keys - 1] = time_key(a, NULL, now);
		int64_t expiry = next_expiry(a, now);
		int64_t edge = sooner(snapshot_next_edge(a->policy[0]->snapshot, now),
				      snapshot_next_edge(a->policy[1]->snapshot, now));
		a->settled = !edge;
		now = expiry || edge - mark <= YEAR ? edge : 0;
		if (now == expiry)
			mark = later(mark, now);
	} while (now);
	return CLASSIFY(a, BY_TIME, key, a->times, a->time_count);
}

static void add_zone(struct atoms *a, const char *name)
{
	for (size_t i = 0; i < a->zone_count; i++)
		if (strcmp(a->zones[i].name, name) == 0)
			return;
	a->zones = array_grow(a->zones, &a->zone_count, sizeof *a->zones);
	a->zones[a->zone_count - 1] = (struct atoms_zone){must(zone_new(name)), name};
}

static void take_zones(struct atoms *a)
{
	for (int p = 1; p >= 0; p--)
		for (size_t i = 0; i < a->policy[p]->config->schedule_count; i++)
			if (a->policy[p]->config->schedules[i].zone)
				add_zone(a, a->policy[p]->config->schedules[i].zone);
	if (!a->zone_count)
		add_zone(a, "UTC");
}

/* ---- all ---- */

struct atoms *atoms_new(const struct policy *old, const struct policy *new, int64_t now)
{
	struct atoms *a = must(calloc(1, sizeof *a));
	a->policy[0] = old;
	a->policy[1] = new;
	take_tiers(a);
	take_zones(a);
	a->count[BY_EVIDENCE] = KNOWN_COUNT;
	if (take_names(a) && take_addresses(a) && take_ports(a) && take_times(a, now))
		return a;
	atoms_free(a);
	return NULL;
}

void atoms_free(struct atoms *a)
{
	if (!a)
		return;
	for (int d = 0; d < DIMENSIONS; d++)
		free(a->sample[d]);
	for (size_t i = 0; i < a->zone_count; i++)
		zone_free(a->zones[i].zone);
	free(a->zones);
	free(a->tiers);
	free(a->names);
	free(a->addresses);
	free(a->ports);
	free(a->times);
	free(a);
}

void atoms_flow(const struct atoms *a, const uint16_t at[DIMENSIONS], struct facts *f,
		struct host *host, int64_t *now)
{
	static const struct {
		enum evidence evidence;
		bool mismatch;
	} known[] = {[KNOWN_ADDRESS] = {EVIDENCE_ADDRESS, false},
		     [KNOWN_OUTER] = {EVIDENCE_ECH_OUTER, false},
		     [KNOWN_OUTER_ASTRAY] = {EVIDENCE_ECH_OUTER, true},
		     [KNOWN_DNS] = {EVIDENCE_DNS, false},
		     [KNOWN_NAME] = {EVIDENCE_SNI, true},
		     [KNOWN_NAME_ADDRESS] = {EVIDENCE_SNI_DNS, false}};
	const struct port_atom *p = &a->ports[a->sample[BY_PORT][at[BY_PORT]]];
	bool named = at[BY_NAME] != NAMELESS;
	if (named)
		name_of(a, &a->names[a->sample[BY_NAME][at[BY_NAME]]], host);
	*f = (struct facts){.server = a->addresses[a->sample[BY_ADDRESS][at[BY_ADDRESS]]].first,
			    .port = p->first,
			    .transport = p->transport,
			    .tier = a->tiers[at[BY_TIER]],
			    .host = named ? host : NULL,
			    .evidence = known[at[BY_EVIDENCE]].evidence,
			    .mismatch = known[at[BY_EVIDENCE]].mismatch};
	*now = a->times[a->sample[BY_TIME][at[BY_TIME]]].first;
}

/* ---- for one tier ---- */

static uint64_t key_for(const struct atoms *a, enum dimension d, const char *tier, size_t atom)
{
	switch (d) {
	case BY_NAME: return name_key(a, tier, &a->names[atom]);
	case BY_ADDRESS: return address_key(a, tier, &a->addresses[atom].first);
	case BY_PORT: return port_key(a, tier, &a->ports[atom]);
	case BY_TIME: return time_key(a, tier, a->times[atom].first);
	case BY_TIER:
	case BY_EVIDENCE:
	case DIMENSIONS: break;
	}
	return atom;
}

struct keyed {
	uint64_t key;
	uint16_t class;
};

static int by_keyed(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;
	return x->key != y->key ? (x->key > y->key) - (x->key < y->key) : x->class - y->class;
}

void atoms_alike(const struct atoms *a, enum dimension d, uint16_t tier, uint16_t *first)
{
	size_t from = d == BY_NAME, count = a->count[d];
	struct keyed *all = must(calloc(count, sizeof *all));
	for (size_t i = from; i < count; i++)
		all[i] =
			(struct keyed){key_for(a, d, a->tiers[tier], a->sample[d][i]), (uint16_t)i};
	qsort(all + from, count - from, sizeof *all, by_keyed);
	for (size_t i = 0; i < count; i++)
		first[all[i].class] = i > from && all[i].key == all[i - 1].key
					      ? first[all[i - 1].class]
					      : all[i].class;
	free(all);
}
