#include "policy/counted.h"

#include "base/clock.h"
#include "base/netset.h"
#include "config/value.h"

#include <stdlib.h>
#include <string.h>

enum { LABELS = HOST_MAX / 2 + 2, NETWORKS = 64, SAID = 32 };

struct cell {
	uint32_t count, last;
};

struct entry {
	uint32_t next; /* of the same name; 0: no more */
	uint16_t site;
	bool exact;
	bool by_any; /* any flow to it is a hit, whatever decided */
};

/* Entry 0 is none, so that zeroed memory is an empty table. */
struct counted {
	size_t lines, entries, left_out;
	unsigned workers;
	uint64_t *keys;
	struct cell *cells; /* a worker's after another's */
	struct entry *entry;
	struct slot {
		uint64_t hash; /* of a name; of 64 bits, so the name itself is not kept */
		uint32_t first;
	} * slots;
	size_t slot_count;
	struct netset *networks;
};

/* ---- keys ---- */

static uint64_t mix(uint64_t h)
{
	h = (h ^ h >> 32) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static uint64_t text_hash(const char *text)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (; text && *text; text++)
		h = (h ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return mix(h);
}

static uint64_t add(uint64_t h, uint64_t what)
{
	return mix(h * 31 + what);
}

/* The same in any order. */
static uint64_t words_hash(const struct strings *s)
{
	uint64_t sum = s->count;
	for (size_t i = 0; i < s->count; i++)
		sum += text_hash(s->item[i]);
	return sum;
}

static uint64_t ports_hash(const struct config_line *l)
{
	uint64_t sum = l->port_count;
	for (size_t i = 0; i < l->port_count; i++)
		sum += mix((uint64_t)l->ports[i].transport << 32 |
			   (uint64_t)l->ports[i].first << 16 | l->ports[i].last);
	return sum;
}

static uint64_t quota_hash(const struct config_quota *q)
{
	char text[160] = "";
	struct buf b = BUF_OF(text);
	quota_format(q, &b);
	return text_hash(text);
}

static uint64_t line_key(const struct config_line *l, bool allow)
{
	uint64_t h = add(allow, words_hash(&l->tiers));
	h = add(h, words_hash(&l->sites));
	h = add(h, words_hash(&l->except));
	h = add(h, ports_hash(l));
	h = add(h, text_hash(l->when));
	h = add(h, (uint64_t)l->evidence << 8 | (uint64_t)l->mismatch);
	/* without these as it was before there were any: counts are kept over versions */
	if (l->mode == CONFIG_LINE_OBSERVE)
		h = add(h, text_hash("observe"));
	return l->quota.amount ? add(h, quota_hash(&l->quota)) : h;
}

static uint64_t entry_key(const char *site, const struct site_entry *e)
{
	char text[HOST_MAX + 64] = "";
	struct buf b = BUF_OF(text);
	entry_format(e, &b);
	return add(text_hash(site), text_hash(text));
}

struct numbered {
	uint64_t key;
	size_t at;
};

static int numbered_order(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

static bool line_keys(struct counted *c, const struct config *from)
{
	struct numbered *all = calloc(c->lines + 1, sizeof *all);
	if (!all)
		return false;
	for (size_t i = 0; i < c->lines; i++) {
		bool allow = i < from->allow_count;
		const struct config_line *l =
			allow ? &from->allow[i] : &from->deny[i - from->allow_count];
		all[i] = (struct numbered){line_key(l, allow), i};
	}
	qsort(all, c->lines, sizeof *all, numbered_order);
	for (size_t i = 0, same = 0; i < c->lines; i++) {
		same = i && all[i].key == all[i - 1].key ? same + 1 : 0;
		c->keys[all[i].at] = same ? add(all[i].key, same) : all[i].key;
	}
	free(all);
	return true;
}

/* ---- entries ---- */

static struct slot *slot_of(const struct counted *c, uint64_t hash)
{
	size_t i = (size_t)hash & (c->slot_count - 1);
	while (c->slots[i].first && c->slots[i].hash != hash)
		i = (i + 1) & (c->slot_count - 1);
	return &c->slots[i];
}

/* Hashes of a name and of the names above it, the longest last. */
static size_t suffixes(const struct host *host, uint64_t out[static LABELS])
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	size_t count = 0;
	for (size_t i = host->len; i-- > 0;) {
		h = (h ^ (uint8_t)host->text[i]) * UINT64_C(0x100000001b3);
		if ((i == 0 || host->text[i - 1] == '.') && count < LABELS)
			out[count++] = mix(h);
	}
	return count;
}

/* A site for which some line does not hold: what is of it matters to flows that no line decides. */
static bool excepted(const struct config *c, const char *site)
{
	for (size_t i = 0; i < c->allow_count + c->deny_count; i++) {
		const struct config_line *l =
			i < c->allow_count ? &c->allow[i] : &c->deny[i - c->allow_count];
		for (size_t k = 0; k < l->except.count; k++)
			if (strcmp(l->except.item[k], site) == 0)
				return true;
	}
	return false;
}

/* What takes a flow out of a site, too, is used where no line decides by the site: an exception,
 * and what is shared, as that is not of a deny line's site though a wider entry is. */
static bool take_entry(struct counted *c, const struct config_site *site, uint16_t number,
		       bool by_any, const struct site_entry *e, size_t max)
{
	uint64_t names[LABELS];
	if (c->entries == max) {
		c->left_out++;
		return true;
	}
	uint32_t at = (uint32_t)++c->entries;
	c->keys[c->lines + at - 1] = entry_key(site->name, e);
	c->entry[at] = (struct entry){
		.site = number,
		.exact = e->kind == SITE_EXACT,
		.by_any = by_any || e->kind == SITE_NOT_TREE || e->shared,
	};
	if (e->kind == SITE_NETWORK)
		return netset_add(c->networks, &e->network, at);
	size_t count = suffixes(&e->host, names);
	if (!count)
		return true;
	struct slot *slot = slot_of(c, names[count - 1]);
	c->entry[at].next = slot->first;
	*slot = (struct slot){names[count - 1], at};
	return true;
}

static bool take_entries(struct counted *c, const struct config *from, size_t max)
{
	bool good = true;
	for (size_t s = 0; s < from->site_count; s++) {
		const struct config_site *site = &from->sites[s];
		bool by_any = excepted(from, site->name);
		for (size_t l = 0; l < site->count; l++)
			for (size_t i = 0; good && i < site->list[l].count; i++)
				good = take_entry(c, site, (uint16_t)s, by_any,
						  site->list[l].item[i], max);
	}
	return good;
}

static size_t entries_of(const struct config *c)
{
	size_t count = 0;
	for (size_t s = 0; s < c->site_count; s++)
		for (size_t l = 0; l < c->sites[s].count; l++)
			count += c->sites[s].list[l].count;
	return count;
}

struct counted *counted_new(const struct config *from, unsigned workers, size_t entries_max)
{
	struct counted *c = calloc(1, sizeof *c);
	size_t room = entries_of(from);
	if (!c)
		return NULL;
	room = room < entries_max ? room : entries_max;
	c->workers = workers;
	c->lines = from->allow_count + from->deny_count;
	for (c->slot_count = 16; c->slot_count < room * 2; c->slot_count *= 2)
		;
	c->keys = calloc(c->lines + room + 1, sizeof *c->keys);
	c->cells = calloc((c->lines + room) * workers + 1, sizeof *c->cells);
	c->entry = calloc(room + 1, sizeof *c->entry);
	c->slots = calloc(c->slot_count, sizeof *c->slots);
	c->networks = netset_new();
	if (c->keys && c->cells && c->entry && c->slots && c->networks && line_keys(c, from) &&
	    take_entries(c, from, room))
		return c;
	counted_free(c);
	return NULL;
}

void counted_free(struct counted *c)
{
	if (!c)
		return;
	free(c->keys);
	free(c->cells);
	free(c->entry);
	free(c->slots);
	netset_free(c->networks);
	free(c);
}

/* ---- a flow ---- */

static struct cell *cells_of(const struct counted *c, unsigned worker)
{
	return c->cells + worker * (c->lines + c->entries);
}

/* One writer, readers elsewhere: plain stores that a reader sees whole. */
static void hit(struct cell *cell, uint32_t more, uint32_t now)
{
	if (more && cell->count != UINT32_MAX)
		__atomic_store_n(&cell->count, cell->count + more, __ATOMIC_RELAXED);
	if (now > cell->last) /* records come in no order */
		__atomic_store_n(&cell->last, now, __ATOMIC_RELAXED);
}

/* Sites of which a longer name was met. */
struct said {
	uint16_t site[SAID];
	size_t count;
};

static bool is_said(const struct said *said, size_t count, uint16_t site)
{
	for (size_t i = 0; i < count; i++)
		if (said->site[i] == site)
			return true;
	return false;
}

/* By the line that decided, and by one in observe mode that is seen at work. */
static bool is_of(const struct entry *e, const struct outcome *o)
{
	return e->by_any || e->site == o->site || (o->watched && e->site == o->watched_site);
}

static void hit_names(const struct counted *c, struct cell *cells, const struct outcome *o,
		      const struct host *host, uint32_t now)
{
	uint64_t names[LABELS];
	struct said said = {.count = 0};
	size_t count = suffixes(host, names);
	for (size_t n = count; n-- > 0;) {
		size_t longer = said.count;
		for (uint32_t i = slot_of(c, names[n])->first; i; i = c->entry[i].next) {
			const struct entry *e = &c->entry[i];
			if (e->exact && n != count - 1)
				continue;
			if (is_of(e, o) && !is_said(&said, longer, e->site))
				hit(&cells[c->lines + i - 1], 1, now);
			if (said.count < SAID)
				said.site[said.count++] = e->site;
		}
	}
}

static void hit_networks(const struct counted *c, struct cell *cells, const struct outcome *o,
			 const struct address *server, uint32_t now)
{
	uint32_t in[NETWORKS];
	size_t count = netset_all(c->networks, server, in, NETWORKS);
	for (size_t i = 0; i < count && i < NETWORKS; i++)
		if (is_of(&c->entry[in[i]], o))
			hit(&cells[c->lines + in[i] - 1], 1, now);
}

static uint32_t seconds(int64_t wall)
{
	return wall < NS_PER_S ? 1 : (uint32_t)(wall / NS_PER_S);
}

void counted_hit(struct counted *c, unsigned worker, const struct outcome *o,
		 const struct host *host, const struct address *server, int64_t wall)
{
	struct cell *cells = cells_of(c, worker);
	uint32_t now = seconds(wall);
	if (o->rule < c->lines)
		hit(&cells[o->rule], 1, now);
	if (o->watched && o->watched_rule < c->lines)
		hit(&cells[o->watched_rule], 1, now);
	if (!c->entries)
		return;
	hit_names(c, cells, o, host, now);
	hit_networks(c, cells, o, server, now);
}

void counted_use(struct counted *c, unsigned worker, const struct outcome *o, int64_t wall)
{
	if (o->rule < c->lines)
		hit(&cells_of(c, worker)[o->rule], 0, seconds(wall));
	if (o->watched && o->watched_rule < c->lines)
		hit(&cells_of(c, worker)[o->watched_rule], 0, seconds(wall));
}

/* ---- what was counted ---- */

size_t counted_lines(const struct counted *c)
{
	return c->lines;
}

size_t counted_entries(const struct counted *c)
{
	return c->entries;
}

size_t counted_left_out(const struct counted *c)
{
	return c->left_out;
}

uint64_t counted_key(const struct counted *c, size_t i)
{
	return c->keys[i];
}

struct hit counted_sum(const struct counted *c, size_t i)
{
	struct hit sum = {.key = c->keys[i]};
	for (unsigned w = 0; w < c->workers; w++) {
		const struct cell *cell = &cells_of(c, w)[i];
		uint32_t last = __atomic_load_n(&cell->last, __ATOMIC_RELAXED);
		sum.count += __atomic_load_n(&cell->count, __ATOMIC_RELAXED);
		sum.last = last > sum.last ? last : sum.last;
	}
	return sum;
}
