#include "radius/accounting_table.h"

#include "base/clock.h"

#include <stdlib.h>
#include <unistd.h>

#define NONE ACCOUNTING_NONE
#define REMEMBERS                                                                                  \
	(600 * NS_PER_S) /* so long, at least, a session that has ended is known as such */

struct accounting *accounting_new(uint32_t capacity, int64_t window,
				  const struct accounting_ops *ops, void *ctx)
{
	struct accounting *a = calloc(1, sizeof *a);
	uint32_t slots = 16;
	while (slots < capacity)
		slots *= 2;
	if (!a)
		return NULL;
	a->journal = -1;
	a->entries = calloc(capacity, sizeof *a->entries);
	a->deadline = malloc(capacity * sizeof *a->deadline);
	a->by_key = malloc(slots * sizeof *a->by_key);
	a->by_address = malloc(slots * sizeof *a->by_address);
	if (!a->entries || !a->deadline || !a->by_key || !a->by_address) {
		accounting_free(a);
		return NULL;
	}
	memset(a->by_key, 0xff, slots * sizeof *a->by_key);
	memset(a->by_address, 0xff, slots * sizeof *a->by_address);
	a->capacity = capacity;
	a->mask = slots - 1;
	a->free = NONE;
	a->window = window;
	int64_t replayable = 2 * window + NS_PER_S; /* a report's time may be ahead by the window */
	a->remembers = replayable > REMEMBERS ? replayable : REMEMBERS;
	a->ops = ops;
	a->ctx = ctx;
	return a;
}

void accounting_free(struct accounting *a)
{
	if (!a)
		return;
	if (a->journal >= 0)
		close(a->journal);
	free(a->entries);
	free(a->deadline);
	free(a->by_key);
	free(a->by_address);
	free(a);
}

void accounting_count(const struct accounting *a, struct accounting_counters *out)
{
	*out = a->counters;
}

/* ---- by key ---- */

static uint32_t *key_head(const struct accounting *a, const uint8_t session[ACCOUNTING_KEY])
{
	uint32_t hash;
	memcpy(&hash, session, sizeof hash); /* it is a digest */
	return &a->by_key[hash & a->mask];
}

uint32_t entry_find(const struct accounting *a, const uint8_t nas[ACCOUNTING_KEY],
		    const uint8_t session[ACCOUNTING_KEY])
{
	uint32_t i = *key_head(a, session);
	while (i != NONE && (memcmp(a->entries[i].session, session, ACCOUNTING_KEY) != 0 ||
			     memcmp(a->entries[i].nas, nas, ACCOUNTING_KEY) != 0))
		i = a->entries[i].next;
	return i;
}

static void key_remove(struct accounting *a, uint32_t i)
{
	uint32_t *link = key_head(a, a->entries[i].session);
	while (*link != NONE && *link != i)
		link = &a->entries[*link].next;
	if (*link == i)
		*link = a->entries[i].next;
}

void entry_key(struct accounting *a, uint32_t i, const uint8_t nas[ACCOUNTING_KEY],
	       const uint8_t behind[ACCOUNTING_KEY], const uint8_t session[ACCOUNTING_KEY])
{
	struct entry *e = &a->entries[i];
	key_remove(a, i);
	memcpy(e->nas, nas, ACCOUNTING_KEY);
	memcpy(e->behind, behind, ACCOUNTING_KEY);
	memcpy(e->session, session, ACCOUNTING_KEY);
	uint32_t *head = key_head(a, session);
	e->adopted = false;
	e->next = *head;
	*head = i;
}

/* ---- by address ---- */

static uint32_t *address_head(const struct accounting *a, const struct address *address)
{
	uint64_t half[2];
	memcpy(half, address, sizeof half);
	uint64_t hash = (half[0] ^ half[1] * UINT64_C(0x9e3779b97f4a7c15));
	hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return &a->by_address[(uint32_t)(hash >> 32) & a->mask];
}

static uint32_t *address_next(const struct accounting *a, uint32_t at)
{
	return &a->entries[at / RADIUS_ADDRESSES].at[at % RADIUS_ADDRESSES].next;
}

uint32_t entry_find_address(const struct accounting *a, const struct address *address)
{
	uint32_t at = *address_head(a, address);
	while (at != NONE) {
		const struct entry *e = &a->entries[at / RADIUS_ADDRESSES];
		if (address_equal(&e->at[at % RADIUS_ADDRESSES].address, address))
			return at / RADIUS_ADDRESSES;
		at = *address_next(a, at);
	}
	return NONE;
}

void entry_address_add(struct accounting *a, uint32_t i, const struct address *address)
{
	struct entry *e = &a->entries[i];
	uint32_t *head = address_head(a, address), k = e->addresses++;
	e->at[k].address = *address;
	e->at[k].next = *head;
	*head = i * RADIUS_ADDRESSES + k;
}

/* Takes the last of an entry's addresses out. */
static void address_pop(struct accounting *a, uint32_t i)
{
	struct entry *e = &a->entries[i];
	uint32_t k = --e->addresses, own = i * RADIUS_ADDRESSES + k;
	uint32_t *link = address_head(a, &e->at[k].address);
	while (*link != own)
		link = address_next(a, *link);
	*link = e->at[k].next;
}

void entry_addresses_clear(struct accounting *a, uint32_t i)
{
	while (a->entries[i].addresses)
		address_pop(a, i);
}

void entry_address_drop(struct accounting *a, uint32_t i, const struct address *address)
{
	struct address kept[RADIUS_ADDRESSES];
	unsigned count = 0;
	struct entry *e = &a->entries[i];
	for (unsigned k = 0; k < e->addresses; k++)
		if (!address_equal(&e->at[k].address, address))
			kept[count++] = e->at[k].address;
	entry_addresses_clear(a, i);
	for (unsigned k = 0; k < count; k++)
		entry_address_add(a, i, &kept[k]);
}

/* ---- free, open, ended ---- */

void entry_state_set(struct accounting *a, uint32_t i, enum entry_state state, int64_t deadline)
{
	struct entry *e = &a->entries[i];
	a->counters.open += (state == ENTRY_OPEN) - (e->state == ENTRY_OPEN);
	a->counters.ended += (state == ENTRY_ENDED) - (e->state == ENTRY_ENDED);
	e->state = state;
	a->deadline[i] = deadline;
	a->changed = true;
}

void entry_free(struct accounting *a, uint32_t i)
{
	entry_addresses_clear(a, i);
	if (!a->entries[i].adopted)
		key_remove(a, i);
	entry_state_set(a, i, ENTRY_FREE, INT64_MAX);
	a->entries[i].next = a->free;
	a->free = i;
}

static uint32_t entry_reclaim(struct accounting *a)
{
	uint32_t oldest = NONE;
	for (uint32_t i = 0; a->counters.ended && i < a->used_to; i++)
		if (a->entries[i].state == ENTRY_ENDED &&
		    (oldest == NONE || a->deadline[i] < a->deadline[oldest]))
			oldest = i;
	if (oldest != NONE)
		entry_free(a, oldest);
	return oldest;
}

uint32_t entry_new(struct accounting *a)
{
	uint32_t i = a->free;
	if (i == NONE && a->used_to < a->capacity)
		i = a->used_to++;
	else if (i == NONE && (i = entry_reclaim(a)) == NONE)
		return NONE;
	if (i == a->free)
		a->free = a->entries[i].next;
	memset(&a->entries[i], 0, sizeof *a->entries);
	a->entries[i].adopted = true;
	a->deadline[i] = INT64_MAX;
	return i;
}

static const struct metric rows[] = {
	METRIC(accounting_counters, open, GAUGE, "sessions", "sessions that RADIUS has opened"),
	METRIC(accounting_counters, ended, GAUGE, "sessions",
	       "ended sessions that are remembered, lest a report opens them again"),
	METRIC(accounting_counters, timed_out, COUNTER, "sessions",
	       "sessions ended as nobody reported them"),
};
METRICS(accounting_metrics, "radius", accounting_counters, rows);
