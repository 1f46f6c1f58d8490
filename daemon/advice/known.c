#include "advice/known.h"

#include "base/array.h"

#include <stdlib.h>
#include <string.h>

struct entry {
	const struct site_entry *entry;
	uint32_t source;
};

struct source {
	const struct config_site *site;
	const struct site_list *list; /* or NULL */
};

struct known {
	struct entry *entries; /* by host, then by source */
	size_t entry_count;
	struct source *sources; /* lists first */
	size_t source_count;
};

static bool names(const struct strings *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->item[i], name) == 0)
			return true;
	return false;
}

static bool keeps_out(const struct config *c, const char *site)
{
	for (size_t i = 0; i < c->deny_count; i++)
		if (names(&c->deny[i].sites, site))
			return true;
	for (size_t i = 0; i < c->allow_count; i++)
		if (names(&c->allow[i].except, site))
			return true;
	return false;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static const struct config_site *site_of_list(const struct config *c, const char *file)
{
	for (size_t i = 0; i < c->site_count; i++)
		if (c->sites[i].count == 1 && c->sites[i].list[0].file &&
		    strcmp(base_name(c->sites[i].list[0].file), base_name(file)) == 0)
			return &c->sites[i];
	return NULL;
}

static void add_source(struct known *k, const struct config_site *site,
		       const struct site_list *list)
{
	k->sources = array_grow(k->sources, &k->source_count, sizeof *k->sources);
	k->sources[k->source_count - 1] = (struct source){site, list};
}

static void add_entries(struct known *k, const struct site_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->item[i]->kind == SITE_NETWORK || list->item[i]->shared)
			continue;
		k->entries = array_grow(k->entries, &k->entry_count, sizeof *k->entries);
		k->entries[k->entry_count - 1] =
			(struct entry){list->item[i], (uint32_t)k->source_count - 1};
	}
}

static int by_host(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = strcmp(x->entry->host.text, y->entry->host.text);
	return order ? order : (x->source > y->source) - (x->source < y->source);
}

struct known *known_new(const struct config *c, const struct site_list *lists, size_t count)
{
	struct known *k = must(calloc(1, sizeof *k));
	for (size_t i = 0; i < count; i++) {
		const struct config_site *site = site_of_list(c, lists[i].file);
		if (site && keeps_out(c, site->name))
			continue;
		add_source(k, site, site ? NULL : &lists[i]);
		add_entries(k, &lists[i]);
	}
	for (size_t i = 0; i < c->site_count; i++) {
		if (keeps_out(c, c->sites[i].name))
			continue;
		add_source(k, &c->sites[i], NULL);
		for (size_t l = 0; l < c->sites[i].count; l++)
			add_entries(k, &c->sites[i].list[l]);
	}
	if (k->entry_count)
		qsort(k->entries, k->entry_count, sizeof *k->entries, by_host);
	return k;
}

void known_free(struct known *k)
{
	if (!k)
		return;
	free(k->entries);
	free(k->sources);
	free(k);
}

/* The first entry of a name. */
static size_t find(const struct known *k, const char *name)
{
	size_t low = 0, high = k->entry_count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (strcmp(k->entries[middle].entry->host.text, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* What a source says of a host by its longest entry, as policy/hostset.h has it. */
enum { HOLDS = 1, HOLDS_NOT = 2, HOLDS_ALONE = 4, SAID = 8 };

static void mark(const struct known *k, const char *name, bool whole, uint8_t *marks)
{
	for (size_t i = find(k, name); i < k->entry_count; i++) {
		const struct site_entry *e = k->entries[i].entry;
		uint8_t *m = &marks[k->entries[i].source];
		if (strcmp(e->host.text, name) != 0)
			break;
		if (*m & SAID || (e->kind == SITE_EXACT && !whole))
			continue;
		*m |= e->kind == SITE_NOT_TREE ? HOLDS_NOT
		      : e->kind == SITE_EXACT  ? HOLDS_ALONE
					       : HOLDS;
	}
	for (size_t i = 0; i < k->source_count; i++)
		marks[i] |= marks[i] ? SAID : 0;
}

static bool holds(uint8_t m)
{
	return m & HOLDS_ALONE || (m & HOLDS && !(m & HOLDS_NOT));
}

bool known_host(const struct known *k, const struct host *host, const struct config_site **site,
		const struct site_list **list)
{
	uint8_t *marks = must(calloc(k->source_count + 1, 1));
	size_t i = 0;
	for (const char *name = host->text; name; name = strchr(name, '.')) {
		name += *name == '.';
		mark(k, name, name == host->text, marks);
	}
	while (i < k->source_count && !holds(marks[i]))
		i++;
	free(marks);
	if (i == k->source_count)
		return false;
	*site = k->sources[i].site;
	*list = k->sources[i].list;
	return true;
}
