#include "advice/draft.h"

#include "base/array.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct draft {
	struct config c;
	const struct edit_flow *flow;
	bool *dropped; /* a place a line */
	size_t lines;  /* before the edit */
	void **owned;
	size_t owned_count;
};

void edit_flow(const struct facts *f, struct edit_flow *out)
{
	bool named = f->host && f->host->len;
	*out = (struct edit_flow){.f = f,
				  .entry = {.kind = named ? SITE_EXACT : SITE_NETWORK},
				  .evidence = CONFIG_EVIDENCE_ANY,
				  .port = {f->transport, f->port, f->port},
				  .has_port = f->transport == IPPROTO_TCP ||
					      f->transport == IPPROTO_UDP};
	if (named)
		out->entry.host = *f->host;
	else
		out->entry.network = (struct network){.base = f->server, .bits = 128};
	if (named && f->evidence >= EVIDENCE_HOST)
		out->evidence = CONFIG_EVIDENCE_NAME;
	else if (named && f->evidence == EVIDENCE_DNS)
		out->evidence = CONFIG_EVIDENCE_DNS;
}

const struct config_line *draft_line(const struct config *c, size_t line)
{
	return line < c->allow_count ? &c->allow[line] : &c->deny[line - c->allow_count];
}

bool entry_covers(const struct site_entry *e, const struct facts *f)
{
	if (e->kind == SITE_NETWORK)
		return network_has(&e->network, &f->server);
	if (!f->host || f->host->len < e->host.len)
		return false;
	const char *end = f->host->text + f->host->len - e->host.len;
	return strcmp(end, e->host.text) == 0 && (end == f->host->text || end[-1] == '.');
}

/* ---- what matters for a flow ---- */

static struct site_list small_list(const struct site_list *from, const struct facts *f)
{
	struct site_list list = {.file = from->file, .changed = from->changed};
	bool kept[SITE_NETWORK + 1][2] = {{false}};
	for (size_t i = 0; i < from->count; i++) {
		const struct site_entry *e = from->item[i];
		bool *one = &kept[e->kind][e->shared];
		if (*one && !entry_covers(e, f))
			continue;
		*one = true;
		list_add(&list, e);
	}
	return list;
}

struct config *draft_small(const struct config *c, const struct facts *f)
{
	struct config *small = must(malloc(sizeof *small));
	*small = *c;
	small->expect_count = 0;
	small->sites = must(calloc(c->site_count + 1, sizeof *small->sites));
	for (size_t s = 0; s < c->site_count; s++) {
		struct config_site *site = &small->sites[s];
		*site = c->sites[s];
		site->list = must(calloc(site->count + 1, sizeof *site->list));
		for (size_t l = 0; l < site->count; l++)
			site->list[l] = small_list(&c->sites[s].list[l], f);
	}
	return small;
}

void draft_small_free(struct config *c)
{
	for (size_t s = 0; s < c->site_count; s++) {
		for (size_t l = 0; l < c->sites[s].count; l++)
			list_clear(&c->sites[s].list[l]);
		free(c->sites[s].list);
	}
	free(c->sites);
	free(c);
}

/* ---- steps ---- */

/* A copy with room for more at its end; the draft's. */
static void *copy(struct draft *d, const void *from, size_t count, size_t more, size_t size)
{
	d->owned = array_grow(d->owned, &d->owned_count, sizeof *d->owned);
	void *to = must(calloc(count + more + 1, size));
	d->owned[d->owned_count - 1] = to;
	if (count)
		memcpy(to, from, count * size);
	return to;
}

static void add_string(struct draft *d, struct strings *s, const char *text)
{
	s->item = copy(d, s->item, s->count, 1, sizeof *s->item);
	s->item[s->count++] = (char *)text;
}

static void remove_string(struct draft *d, struct strings *s, size_t i)
{
	s->item = copy(d, s->item, s->count, 0, sizeof *s->item);
	memmove(&s->item[i], &s->item[i + 1], (--s->count - i) * sizeof *s->item);
}

/* "*" is all tiers, written out. */
static void remove_tier(struct draft *d, struct strings *tiers, const char *tier)
{
	struct strings left = {0};
	for (size_t i = 0; i < tiers->count; i++) {
		bool all = strcmp(tiers->item[i], "*") == 0;
		for (size_t t = 0; t < d->c.tier_count; t++) {
			const char *name = d->c.tiers[t].name;
			if ((all || strcmp(name, tiers->item[i]) == 0) && strcmp(name, tier) != 0)
				add_string(d, &left, name);
		}
	}
	*tiers = left;
}

static void add_port(struct draft *d, struct config_line *l)
{
	l->ports = copy(d, l->ports, l->port_count, 1, sizeof *l->ports);
	l->ports[l->port_count++] = d->flow->port;
}

static void add_entry(struct draft *d, struct config_site *s, enum site_kind kind)
{
	struct site_entry *e = copy(d, &d->flow->entry, 1, 0, sizeof *e);
	e->kind = kind;
	s->list = copy(d, s->list, s->count, 1, sizeof *s->list);
	s->list[s->count++] = (struct site_list){
		.file = "", .item = copy(d, &e, 1, 0, sizeof(struct site_entry *)), .count = 1};
}

static void remove_entry(struct draft *d, struct config_site *s, size_t list, size_t entry)
{
	s->list = copy(d, s->list, s->count, 0, sizeof *s->list);
	struct site_list *l = &s->list[list];
	l->item = copy(d, l->item, l->count, 0, sizeof *l->item);
	memmove(&l->item[entry], &l->item[entry + 1], (--l->count - entry) * sizeof *l->item);
}

#define NEW_SITE "new site" /* no name can be so */

static void add_site(struct draft *d)
{
	struct config_site *s = &d->c.sites[d->c.site_count++];
	*s = (struct config_site){.place = {"", 0}, .name = NEW_SITE};
	add_entry(d, s, d->flow->entry.kind);
}

static const char *site_name(const struct draft *d, size_t site)
{
	return site == EDIT_SITE ? NEW_SITE : d->c.sites[site].name;
}

static void add_line(struct draft *d, bool deny, size_t site)
{
	struct config_line l = {.place = {"", 0}};
	add_string(d, &l.tiers, d->flow->f->tier);
	add_string(d, &l.sites, site_name(d, site));
	add_port(d, &l);
	if (!deny) {
		l.evidence = d->flow->evidence;
		l.mismatch = CONFIG_MISMATCH_LOG;
		d->c.allow[d->c.allow_count++] = l;
	} else {
		d->c.deny[d->c.deny_count++] = l;
	}
}

static struct config_line *line_of(struct draft *d, size_t line, size_t allows)
{
	return line < allows ? &d->c.allow[line] : &d->c.deny[line - allows];
}

/* allows: how many lines of allow there were before the edit. */
static void step(struct draft *d, const struct edit *e, size_t allows)
{
	bool of_line = e->kind != EDIT_ENTRY_REMOVE && e->kind != EDIT_LINE_NEW &&
		       e->kind != EDIT_ENTRY_ADD && e->kind != EDIT_ENTRY_EXCEPT &&
		       e->kind != EDIT_SITE_NEW;
	struct config_line *l = of_line ? line_of(d, e->at, allows) : NULL;
	switch (e->kind) {
	case EDIT_EXPIRES_DROP: l->expires = 0; break;
	case EDIT_WHEN_DROP: l->when = NULL; break;
	case EDIT_PORT_ADD: add_port(d, l); break;
	case EDIT_EVIDENCE_SET: l->evidence = d->flow->evidence; break;
	case EDIT_MISMATCH_SET: l->mismatch = CONFIG_MISMATCH_LOG; break;
	case EDIT_EXCEPT_REMOVE: remove_string(d, &l->except, e->arg); break;
	case EDIT_ENTRY_REMOVE: remove_entry(d, &d->c.sites[e->at], e->list, e->arg); break;
	case EDIT_TIER_REMOVE: remove_tier(d, &l->tiers, d->flow->f->tier); break;
	case EDIT_TIER_ADD: add_string(d, &l->tiers, d->flow->f->tier); break;
	case EDIT_LINE_NEW: add_line(d, e->at, e->arg); break;
	case EDIT_SITE_ADD: add_string(d, &l->sites, site_name(d, e->arg)); break;
	case EDIT_ENTRY_ADD: add_entry(d, &d->c.sites[e->at], d->flow->entry.kind); break;
	case EDIT_LINE_DROP: d->dropped[e->at] = true; break;
	case EDIT_ENTRY_EXCEPT: add_entry(d, &d->c.sites[e->at], SITE_NOT_TREE); break;
	case EDIT_SITE_NEW: add_site(d); break;
	}
}

static void drop_lines(struct config_line *lines, size_t *count, const bool *dropped, size_t before)
{
	size_t kept = 0;
	for (size_t i = 0; i < *count; i++)
		if (i >= before || !dropped[i])
			lines[kept++] = lines[i];
	*count = kept;
}

struct snapshot *draft_compile(const struct config *c, const struct edit_flow *flow,
			       const struct edit *e, size_t count)
{
	struct errors errors = {0};
	struct draft d = {.c = *c, .flow = flow, .lines = c->allow_count + c->deny_count};
	d.c.expect_count = 0;
	d.c.allow = copy(&d, c->allow, c->allow_count, count, sizeof *c->allow);
	d.c.deny = copy(&d, c->deny, c->deny_count, count, sizeof *c->deny);
	d.c.sites = copy(&d, c->sites, c->site_count, count, sizeof *c->sites);
	d.dropped = copy(&d, NULL, 0, d.lines, sizeof *d.dropped);
	for (size_t i = count; i-- > 0;) /* of a list's items the last goes first */
		step(&d, &e[i], c->allow_count);
	drop_lines(d.c.allow, &d.c.allow_count, d.dropped, c->allow_count);
	drop_lines(d.c.deny, &d.c.deny_count, d.dropped + c->allow_count, c->deny_count);
	struct snapshot *s = snapshot_compile(&d.c, &errors);
	for (size_t i = 0; i < d.owned_count; i++)
		free(d.owned[i]);
	free(d.owned);
	errors_deinit(&errors);
	return s;
}
