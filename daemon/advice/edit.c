#include "advice/edit.h"

#include "advice/draft.h"
#include "base/array.h"
#include "base/host.h"
#include "config/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIALS 4000 /* copies that are compiled for one answer, at most */

struct list {
	struct edit *item;
	size_t count;
};

struct search {
	const struct config *c; /* small */
	struct edit_flow flow;
	int64_t now;
	enum action was;
	struct list all;
	size_t trials;
	struct edits *out;
};

/* ---- every step ---- */

static void add(struct list *all, enum edit_kind kind, size_t at, size_t list, size_t arg)
{
	all->item = array_grow(all->item, &all->count, sizeof *all->item);
	all->item[all->count - 1] = (struct edit){kind, at, list, arg};
}

static bool has(const struct strings *s, const char *text)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->item[i], text) == 0 || strcmp(s->item[i], "*") == 0)
			return true;
	return false;
}

/* Has a line a tier beside this one? */
static bool others(const struct config *c, const struct config_line *l, const char *tier)
{
	for (size_t t = 0; t < c->tier_count; t++)
		if (has(&l->tiers, c->tiers[t].name) && strcmp(c->tiers[t].name, tier) != 0)
			return true;
	return false;
}

/* Of a line that is there; only what changes it. */
static void line_steps(const struct config *c, const struct edit_flow *flow, size_t line,
		       struct list *all)
{
	const struct config_line *l = draft_line(c, line);
	if (has(&l->tiers, flow->f->tier) && others(c, l, flow->f->tier))
		add(all, EDIT_TIER_REMOVE, line, 0, 0);
	add(all, EDIT_LINE_DROP, line, 0, 0);
	if (line >= c->allow_count)
		return;
	if (!has(&l->tiers, flow->f->tier))
		add(all, EDIT_TIER_ADD, line, 0, 0);
	if (l->expires)
		add(all, EDIT_EXPIRES_DROP, line, 0, 0);
	if (l->when)
		add(all, EDIT_WHEN_DROP, line, 0, 0);
	if (flow->has_port)
		add(all, EDIT_PORT_ADD, line, 0, 0);
	if (l->evidence != flow->evidence)
		add(all, EDIT_EVIDENCE_SET, line, 0, 0);
	if (l->mismatch != CONFIG_MISMATCH_LOG && flow->f->mismatch)
		add(all, EDIT_MISMATCH_SET, line, 0, 0);
	for (size_t i = 0; i < l->except.count; i++)
		add(all, EDIT_EXCEPT_REMOVE, line, 0, i);
	for (size_t s = 0; s < c->site_count; s++)
		if (!has(&l->sites, c->sites[s].name))
			add(all, EDIT_SITE_ADD, line, 0, s);
	if (!has(&l->sites, "*"))
		add(all, EDIT_SITE_ADD, line, 0, EDIT_SITE);
}

static void site_steps(const struct config *c, const struct edit_flow *flow, size_t site,
		       struct list *all)
{
	const struct config_site *s = &c->sites[site];
	for (size_t l = 0; l < s->count; l++)
		for (size_t i = 0; i < s->list[l].count; i++)
			if (s->list[l].item[i]->kind == SITE_NOT_TREE &&
			    entry_covers(s->list[l].item[i], flow->f))
				add(all, EDIT_ENTRY_REMOVE, site, l, i);
	add(all, EDIT_ENTRY_ADD, site, 0, 0);
	if (flow->entry.kind != SITE_NETWORK)
		add(all, EDIT_ENTRY_EXCEPT, site, 0, 0);
	if (flow->has_port) {
		add(all, EDIT_LINE_NEW, 0, 0, site);
		add(all, EDIT_LINE_NEW, 1, 0, site);
	}
}

static int by_kind(const void *a, const void *b)
{
	const struct edit *x = a, *y = b;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->list != y->list ? (x->list < y->list ? -1 : 1)
				  : (x->arg > y->arg) - (x->arg < y->arg);
}

static void all_steps(const struct config *c, const struct edit_flow *flow, struct list *all)
{
	for (size_t i = 0; i < c->allow_count + c->deny_count; i++)
		line_steps(c, flow, i, all);
	for (size_t i = 0; i < c->site_count; i++)
		site_steps(c, flow, i, all);
	add(all, EDIT_SITE_NEW, 0, 0, 0);
	if (flow->has_port) {
		add(all, EDIT_LINE_NEW, 0, 0, EDIT_SITE);
		add(all, EDIT_LINE_NEW, 1, 0, EDIT_SITE);
	}
	qsort(all->item, all->count, sizeof *all->item, by_kind);
}

struct edit *edit_all(const struct policy *p, const struct facts *f, size_t *count)
{
	struct edit_flow flow;
	struct list all = {0};
	edit_flow(f, &flow);
	all_steps(p->config, &flow, &all);
	*count = all.count;
	return all.item;
}

/* ---- trying ---- */

/* A step that names the new site wants the one that makes it. */
static bool complete(const struct edit *e, size_t count)
{
	bool needs = false, makes = false;
	for (size_t i = 0; i < count; i++) {
		needs |= (e[i].kind == EDIT_LINE_NEW || e[i].kind == EDIT_SITE_ADD) &&
			 e[i].arg == EDIT_SITE;
		makes |= e[i].kind == EDIT_SITE_NEW;
	}
	return !needs || makes;
}

static bool flips(const struct config *c, const struct edit_flow *flow, int64_t now,
		  enum action was, const struct edit *e, size_t count, struct outcome *o)
{
	if (!complete(e, count))
		return false;
	struct snapshot *s = draft_compile(c, flow, e, count);
	if (!s)
		return false;
	*o = decide(s, flow->f, now);
	snapshot_free(s);
	return o->action != was;
}

bool edit_flips(const struct policy *p, const struct facts *f, int64_t now, const struct edit *e,
		size_t count)
{
	struct edit_flow flow;
	struct outcome o;
	edit_flow(f, &flow);
	return flips(p->config, &flow, now, decide(p->snapshot, f, now).action, e, count, &o);
}

static bool good(struct search *s, size_t count, struct outcome *o)
{
	s->trials++;
	s->out->count = count;
	return flips(s->c, &s->flow, s->now, s->was, s->out->item, count, o);
}

/* Steps from..from+more-1 of the edit, of all there are, in their order. */
static bool choose(struct search *s, size_t from, size_t more, size_t first)
{
	struct outcome o;
	if (!more)
		return good(s, from, &o);
	for (size_t i = first; i < s->all.count && s->trials < TRIALS; i++) {
		s->out->item[from] = s->all.item[i];
		if (choose(s, from + 1, more - 1, i + 1))
			return true;
	}
	return false;
}

/* Deny lines that match have each to be taken away from the tier; then the rest is small. Lines
 * that are left out move the numbers of those behind them. */
static size_t deny_steps(struct search *s)
{
	size_t count = 0, dropped = 0;
	struct outcome o = {0};
	while (s->was == ACTION_DENY && count < EDIT_MAX - 2 && !good(s, count, &o) &&
	       o.reason == REASON_DENY_LINE) {
		size_t line = o.rule + dropped;
		bool shared = others(s->c, draft_line(s->c, line), s->flow.f->tier);
		s->out->item[count++] = (struct edit){
			.kind = shared ? EDIT_TIER_REMOVE : EDIT_LINE_DROP, .at = line};
		dropped += !shared;
	}
	return count;
}

/* Steps that are of use after the deny steps; a line for a new site always is. */
static bool find_some(struct search *s)
{
	static const struct edit site = {.kind = EDIT_SITE_NEW};
	const struct edit line = {
		.kind = EDIT_LINE_NEW, .at = s->was == ACTION_ALLOW, .arg = EDIT_SITE};
	struct outcome o;
	size_t denies = deny_steps(s);
	if (denies && good(s, denies, &o))
		return true;
	if (choose(s, denies, 1, 0))
		return true;
	s->out->item[denies] = site;
	s->out->item[denies + 1] = line;
	return good(s, denies + 2, &o);
}

/* Fewer steps than were found, all combinations. */
static void find_fewer(struct search *s)
{
	struct edits found = *s->out;
	s->trials = 0;
	found.smallest = true;
	for (size_t size = 1; size < found.count && found.smallest; size++) {
		if (choose(s, 0, size, 0)) {
			found = *s->out;
			found.smallest = true;
			break;
		}
		found.smallest = s->trials < TRIALS;
	}
	*s->out = found;
}

/* Entries of small lists have numbers of their own: one is found again by its text. */
static bool entry_again(const struct config *c, const struct config *small, struct edit *e)
{
	const struct site_list *from = &small->sites[e->at].list[e->list];
	const struct site_list *to = &c->sites[e->at].list[e->list];
	const struct site_entry *want = from->item[e->arg];
	size_t skip = 0;
	for (size_t i = 0; i < e->arg; i++)
		skip += from->item[i]->kind == want->kind &&
			host_equal(&from->item[i]->host, &want->host);
	for (size_t i = 0; i < to->count; i++)
		if (to->item[i]->kind == want->kind &&
		    host_equal(&to->item[i]->host, &want->host) && skip-- == 0) {
			e->arg = i;
			return true;
		}
	return false;
}

bool edit_find(const struct policy *p, const struct facts *f, int64_t now, struct edits *out)
{
	*out = (struct edits){0};
	if (!f->tier || !snapshot_has_tier(p->snapshot, f->tier))
		return false;
	struct config *small = draft_small(p->config, f);
	struct search s = {
		.c = small, .now = now, .was = decide(p->snapshot, f, now).action, .out = out};
	edit_flow(f, &s.flow);
	all_steps(small, &s.flow, &s.all);
	bool found = find_some(&s);
	if (found)
		find_fewer(&s);
	for (size_t i = 0; found && i < out->count; i++)
		if (out->item[i].kind == EDIT_ENTRY_REMOVE)
			found = entry_again(p->config, small, &out->item[i]);
	free(s.all.item);
	draft_small_free(small);
	return found && edit_flips(p, f, now, out->item, out->count);
}

/* ---- words ---- */

static const char *const evidence[] = {[CONFIG_EVIDENCE_ANY] = "any",
				       [CONFIG_EVIDENCE_DNS] = "dns",
				       [CONFIG_EVIDENCE_NAME] = "name"};

static void site_text(const struct config *c, size_t site, char out[static SITE_MAX])
{
	snprintf(out, SITE_MAX, "%s", site == EDIT_SITE ? "new-site" : c->sites[site].name);
}

static void new_line(const struct config *c, const struct edit_flow *flow, const struct edit *e,
		     struct buf *b)
{
	char site[SITE_MAX];
	site_text(c, e->arg, site);
	buf_printf(b, "add { tiers = [ \"%s\" ]; sites = [ \"%s\" ]; ports = [ \"", flow->f->tier,
		   site);
	port_format(&flow->port, b);
	buf_text(b, "\" ];");
	if (!e->at)
		buf_printf(b, " evidence = \"%s\";", evidence[flow->evidence]);
	if (!e->at && flow->f->mismatch)
		buf_text(b, " mismatch = \"log\";");
	buf_text(b, " }");
}

static void quoted_entry(const char *before, const struct site_entry *from, enum site_kind kind,
			 struct buf *b)
{
	struct site_entry e = entry_copy(from);
	e.kind = kind;
	buf_text(b, before);
	entry_format(&e, b);
	buf_char(b, '"');
}

static void line_words(const struct config *c, const struct edit_flow *flow, const struct edit *e,
		       struct buf *b)
{
	const struct config_line *l = draft_line(c, e->at);
	const char *line = e->at < c->allow_count ? "line" : "deny line";
	char site[SITE_MAX];
	if (e->kind == EDIT_SITE_ADD)
		site_text(c, e->arg, site);
	switch (e->kind) {
	case EDIT_EXPIRES_DROP: buf_text(b, "leave out expires"); break;
	case EDIT_WHEN_DROP: buf_printf(b, "leave out when = \"%s\"", l->when); break;
	case EDIT_PORT_ADD:
		buf_text(b, "add \"");
		port_format(&flow->port, b);
		buf_text(b, "\" to ports");
		break;
	case EDIT_EVIDENCE_SET:
		buf_printf(b, "set evidence = \"%s\"", evidence[flow->evidence]);
		break;
	case EDIT_MISMATCH_SET: buf_text(b, "set mismatch = \"log\""); break;
	case EDIT_EXCEPT_REMOVE:
		buf_printf(b, "take \"%s\" out of except", l->except.item[e->arg]);
		break;
	case EDIT_TIER_REMOVE:
		buf_printf(b, "take \"%s\" out of the %s's tiers", flow->f->tier, line);
		break;
	case EDIT_TIER_ADD: buf_printf(b, "add \"%s\" to tiers", flow->f->tier); break;
	case EDIT_SITE_ADD: buf_printf(b, "add \"%s\" to sites", site); break;
	case EDIT_LINE_DROP: buf_printf(b, "leave the %s out", line); break;
	default: break;
	}
}

static struct place step_words(const struct config *c, const struct edit_flow *flow,
			       const struct edit *e, struct buf *b)
{
	switch (e->kind) {
	case EDIT_ENTRY_REMOVE: {
		const struct site_list *l = &c->sites[e->at].list[e->list];
		quoted_entry("leave out \"", l->item[e->arg], SITE_NOT_TREE, b);
		return (struct place){l->file, l->item[e->arg]->line};
	}
	case EDIT_ENTRY_ADD:
	case EDIT_ENTRY_EXCEPT:
		quoted_entry("add \"", &flow->entry,
			     e->kind == EDIT_ENTRY_ADD ? flow->entry.kind : SITE_NOT_TREE, b);
		buf_printf(b, " to site %s", c->sites[e->at].name);
		return c->sites[e->at].place;
	case EDIT_SITE_NEW:
		quoted_entry("add { name = \"new-site\"; hosts = [ \"", &flow->entry,
			     flow->entry.kind, b);
		buf_text(b, " ]; }");
		return (struct place){"sites", 0};
	case EDIT_LINE_NEW:
		new_line(c, flow, e, b);
		return (struct place){e->at ? "deny" : "allow", 0};
	default: line_words(c, flow, e, b); return draft_line(c, e->at)->place;
	}
}

json_t *edit_words(const struct policy *p, const struct facts *f, const struct edits *e)
{
	struct edit_flow flow;
	json_t *rows = json_array();
	edit_flow(f, &flow);
	for (size_t i = 0; i < e->count; i++) {
		char what[HOST_MAX + 200] = "", where[RULE_MAX];
		struct buf b = BUF_OF(what);
		struct place at = step_words(p->config, &flow, &e->item[i], &b);
		if (at.line)
			snprintf(where, sizeof where, "%.110s:%d", at.file, at.line);
		else
			snprintf(where, sizeof where, "%.120s", at.file);
		json_array_append_new(rows, json_pack("{ssss}", "where", where, "what", what));
	}
	return rows;
}
