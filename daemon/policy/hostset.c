#include "policy/hostset.h"

#include "base/table.h"

#include <stdlib.h>
#include <string.h>

#define NO_ITEM UINT32_MAX

/* One distinct name. While entries are added, `at` is the first of its items and `below` its
 * number of labels; sealed, both are numbers of sets: for the name itself, and for names below it.
 */
struct slot {
	uint32_t tag;
	uint32_t text; /* offset of its length byte and text; 0: a free slot */
	uint32_t at, below;
};

struct item {
	uint32_t next;
	uint16_t site;
	uint8_t kind;
	bool shared;
};

struct hostset {
	struct slot *slots;
	size_t slot_count, used; /* slot_count is a power of two */
	char *text;
	size_t text_len, text_cap;
	struct item *items;
	size_t item_count, item_cap;
	struct siteset *sets;
	bool sealed;
};

/* The suffixes of a name that begin at a label, shortest first, with a hash of each. */
struct suffixes {
	unsigned count;
	uint32_t tag[HOST_MAX + 1];
	uint8_t start[HOST_MAX + 1];
};

static uint32_t tag_of(uint64_t hash)
{
	hash ^= hash >> 29;
	return (uint32_t)((hash * UINT64_C(0xbf58476d1ce4e5b9)) >> 32);
}

/* Hashes from the last byte to the first, so that one pass gives the hash of every suffix. */
static void suffixes_of(const struct hostset *h, const char *text, size_t len, struct suffixes *out)
{
	uint64_t hash = UINT64_C(0x9e3779b97f4a7c15);
	out->count = 0;
	for (size_t i = len; i-- > 0;) {
		hash = (hash ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
		if (i == 0 || text[i - 1] == '.') {
			uint32_t tag = tag_of(hash);
			__builtin_prefetch(&h->slots[tag & (h->slot_count - 1)]);
			out->tag[out->count] = tag;
			out->start[out->count++] = (uint8_t)i;
		}
	}
}

struct hostset *hostset_new(struct siteset *sets)
{
	struct hostset *h = calloc(1, sizeof *h);
	if (!h)
		return NULL;
	h->sets = sets;
	h->slot_count = 64;
	h->text_len = 1; /* offset 0 means a free slot */
	h->text_cap = 1024;
	h->slots = table_new(h->slot_count, sizeof *h->slots);
	h->text = malloc(h->text_cap);
	if (!h->slots || !h->text) {
		hostset_free(h);
		return NULL;
	}
	return h;
}

void hostset_free(struct hostset *h)
{
	if (!h)
		return;
	table_free(h->slots, h->slot_count, sizeof *h->slots);
	if (h->sealed)
		table_free(h->text, h->text_len, 1);
	else
		free(h->text);
	free(h->items);
	free(h);
}

/* The slot of a name, or the free one where it would be. */
static struct slot *slot_find(const struct hostset *h, uint32_t tag, const char *text, size_t len)
{
	size_t mask = h->slot_count - 1;
	for (size_t i = tag & mask;; i = (i + 1) & mask) {
		struct slot *s = &h->slots[i];
		if (s->text == 0)
			return s;
		const char *its = h->text + s->text;
		if (s->tag == tag && (uint8_t)its[0] == len && memcmp(its + 1, text, len) == 0)
			return s;
	}
}

static bool slots_grow(struct hostset *h)
{
	size_t count = h->slot_count * 2;
	struct slot *slots = table_new(count, sizeof *slots);
	if (!slots)
		return false;
	for (size_t i = 0; i < h->slot_count; i++) {
		if (h->slots[i].text == 0)
			continue;
		size_t at = h->slots[i].tag & (count - 1);
		while (slots[at].text)
			at = (at + 1) & (count - 1);
		slots[at] = h->slots[i];
	}
	table_free(h->slots, h->slot_count, sizeof *h->slots);
	h->slots = slots;
	h->slot_count = count;
	return true;
}

static bool room(struct hostset *h, size_t text)
{
	if ((h->used + 1) * 5 > h->slot_count * 3 && !slots_grow(h))
		return false;
	if (h->text_len + text > h->text_cap) {
		char *grown = realloc(h->text, h->text_cap * 2);
		if (!grown)
			return false;
		h->text = grown;
		h->text_cap *= 2;
	}
	if (h->item_count == h->item_cap) {
		size_t cap = h->item_cap ? h->item_cap * 2 : 64;
		struct item *grown = reallocarray(h->items, cap, sizeof *grown);
		if (!grown)
			return false;
		h->items = grown;
		h->item_cap = cap;
	}
	/* offsets are 32 bits: more than 4 GiB of names is out of memory too */
	return h->text_len + text <= UINT32_MAX && h->item_count < NO_ITEM;
}

bool hostset_add(struct hostset *h, const struct site_entry *e, uint16_t site)
{
	struct suffixes s;
	const struct host *host = &e->host;
	if (host->len == 0)
		return true;
	if (!room(h, host->len + 1u))
		return false;
	suffixes_of(h, host->text, host->len, &s);
	uint32_t tag = s.tag[s.count - 1];
	struct slot *slot = slot_find(h, tag, host->text, host->len);
	if (slot->text == 0) {
		*slot = (struct slot){tag, (uint32_t)h->text_len, NO_ITEM, s.count};
		h->text[h->text_len] = (char)host->len;
		memcpy(h->text + h->text_len + 1, host->text, host->len);
		h->text_len += host->len + 1u;
		h->used++;
	}
	h->items[h->item_count] = (struct item){slot->at, site, (uint8_t)e->kind, e->shared};
	slot->at = (uint32_t)h->item_count++;
	return true;
}

/* Slots in the order of their label counts, so that what stands above a name comes before it. */
static struct slot **by_depth(const struct hostset *h)
{
	size_t first[HOST_MAX + 2] = {0};
	struct slot **order = calloc(h->used + 1, sizeof *order);
	if (!order)
		return NULL;
	for (size_t i = 0; i < h->slot_count; i++)
		if (h->slots[i].text)
			first[h->slots[i].below + 1]++;
	for (size_t i = 1; i < sizeof first / sizeof *first; i++)
		first[i] += first[i - 1];
	for (size_t i = 0; i < h->slot_count; i++)
		if (h->slots[i].text)
			order[first[h->slots[i].below]++] = &h->slots[i];
	return order;
}

/* The set that a name inherits: of names below the nearest entry above it. */
static uint32_t inherited(const struct hostset *h, const char *text, size_t len)
{
	struct suffixes s;
	suffixes_of(h, text, len, &s);
	for (unsigned i = s.count - 1; i-- > 0;) {
		const struct slot *slot =
			slot_find(h, s.tag[i], text + s.start[i], len - s.start[i]);
		if (slot->text)
			return slot->below;
	}
	return 0;
}

/* Puts a member into an array by site ascending, in the place of the site's other. */
static size_t member_set(uint16_t *members, size_t count, uint16_t m)
{
	size_t at = 0;
	while (at < count && member_site(members[at]) < member_site(m))
		at++;
	if (at == count || member_site(members[at]) != member_site(m)) {
		memmove(members + at + 1, members + at, (count - at) * sizeof *members);
		count++;
	}
	members[at] = m;
	return count;
}

/* What stands at one name, from what gives way to what prevails; what is below it has all but the
 * last two. */
static const struct {
	enum site_kind kind;
	bool shared;
	enum hold hold;
} ranks[] = {{SITE_TREE, true, HOLD_SHARED},
	     {SITE_TREE, false, HOLD_OWN},
	     {SITE_NOT_TREE, false, HOLD_NOT},
	     {SITE_EXACT, true, HOLD_SHARED},
	     {SITE_EXACT, false, HOLD_OWN}};
#define RANKS       (sizeof ranks / sizeof *ranks)
#define RANKS_BELOW (RANKS - 2)

static bool slot_seal(struct hostset *h, struct slot *slot)
{
	uint16_t members[SITES_MAX + 1];
	size_t count;
	const char *text = h->text + slot->text;
	const uint16_t *from =
		siteset_sites(h->sets, inherited(h, text + 1, (uint8_t)text[0]), &count);
	memcpy(members, from, count * sizeof *members);
	uint32_t first = slot->at;
	for (size_t k = 0; k < RANKS; k++) {
		if (k == RANKS_BELOW)
			slot->below = siteset_number(h->sets, members, count);
		for (uint32_t i = first; i != NO_ITEM; i = h->items[i].next) {
			const struct item *e = &h->items[i];
			if (e->kind == ranks[k].kind && e->shared == ranks[k].shared)
				count = member_set(members, count, member(e->site, ranks[k].hold));
		}
	}
	slot->at = siteset_number(h->sets, members, count);
	return slot->below != SITESET_NONE && slot->at != SITESET_NONE;
}

/* Names are met in no order: on large pages each is found with one miss less. */
static bool text_settle(struct hostset *h)
{
	char *text = table_new(h->text_len, 1);
	if (!text)
		return false;
	memcpy(text, h->text, h->text_len);
	free(h->text);
	h->text = text;
	h->sealed = true;
	return true;
}

bool hostset_seal(struct hostset *h)
{
	struct slot **order = by_depth(h);
	bool good = order != NULL;
	for (size_t i = 0; good && i < h->used; i++)
		good = slot_seal(h, order[i]);
	free(order);
	free(h->items);
	h->items = NULL;
	h->item_count = h->item_cap = 0;
	return good && text_settle(h);
}

uint32_t hostset_find(const struct hostset *h, const struct host *host)
{
	struct suffixes s;
	if (h->used == 0)
		return 0;
	suffixes_of(h, host->text, host->len, &s);
	for (unsigned i = s.count; i-- > 0;) {
		const char *text = host->text + s.start[i];
		const struct slot *slot =
			slot_find(h, s.tag[i], text, (size_t)host->len - s.start[i]);
		if (slot->text)
			return i == s.count - 1 ? slot->at : slot->below;
	}
	return 0;
}
