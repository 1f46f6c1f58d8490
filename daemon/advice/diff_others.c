/* diff_others: what a policy decides by beside its lines: who is where without signing in, limits
 * of tiers, settings. */
#include "advice/diff.h"

#include "advice/range.h"
#include "base/array.h"
#include "config/schema.h"
#include "config/value.h"

#include <stdlib.h>
#include <string.h>

static void add(json_t *list, const char *what, const char *was, const char *is)
{
	json_t *j = json_pack("{ssssssss}", "change", "other", "what", what, "was", was, "is", is);
	json_array_append_new(list, j);
}

/* ---- settings ---- */

/* Those whose rows differ otherwise are no news. */
static void settings(const struct config *old, const struct config *new, json_t *list)
{
	for (size_t i = 0; i < schema_main.count; i++) {
		const struct option *o = &schema_main.options[i];
		if (!o->in_digest || strcmp(o->name, "internal") == 0 ||
		    strcmp(o->name, "mismatch") == 0 || option_same(o, old, new))
			continue;
		char *was = option_text(o, old), *is = option_text(o, new);
		add(list, o->name, was, is);
		free(was);
		free(is);
	}
}

/* ---- tiers ---- */

static void limits_format(const struct snapshot *s, const char *tier, struct buf *b)
{
	int64_t idle, absolute;
	snapshot_tier_limits(s, tier, &idle, &absolute);
	buf_text(b, "idle ");
	idle ? duration_format(idle, b) : buf_text(b, "without limit");
	buf_text(b, ", absolute ");
	absolute ? duration_format(absolute, b) : buf_text(b, "without limit");
}

static void limits(const struct policy *old, const struct policy *new, json_t *list)
{
	for (size_t i = 0; i < old->config->tier_count; i++) {
		const char *tier = old->config->tiers[i].name;
		char text[2][80] = {"", ""}, what[TIER_MAX + 32];
		struct buf was = BUF_OF(text[0]), is = BUF_OF(text[1]);
		if (!snapshot_has_tier(new->snapshot, tier))
			continue;
		limits_format(old->snapshot, tier, &was);
		limits_format(new->snapshot, tier, &is);
		snprintf(what, sizeof what, "sessions of tier %s", tier);
		if (strcmp(text[0], text[1]) != 0)
			add(list, what, text[0], text[1]);
		bool observed[2] = {snapshot_observes(old->snapshot, tier),
				    snapshot_observes(new->snapshot, tier)};
		snprintf(what, sizeof what, "mode of tier %s", tier);
		if (observed[0] != observed[1] &&
		    snapshot_mode(old->snapshot) == snapshot_mode(new->snapshot))
			add(list, what, observed[0] ? "observe" : "enforce",
			    observed[1] ? "observe" : "enforce");
	}
}

/* ---- who is where ---- */

struct places {
	struct address *item;
	size_t count;
};

static void add_place(struct places *p, const struct address *a)
{
	p->item = array_grow(p->item, &p->count, sizeof *p->item);
	p->item[p->count - 1] = *a;
}

static void add_places(struct places *p, const struct network *n)
{
	struct address behind;
	add_place(p, &n->base);
	if (range_behind(n, &behind))
		add_place(p, &behind);
}

static void gather(const struct config *c, struct places *p)
{
	for (size_t i = 0; i < c->segment_count; i++)
		add_places(p, &c->segments[i].network);
	for (size_t i = 0; i < c->host_count; i++)
		if (c->hosts[i].has_address)
			add_places(p, &(struct network){c->hosts[i].address, 128});
}

static int by_address(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct address));
}

static void who_format(const struct snapshot *s, const struct address *a, const uint8_t *mac,
		       struct buf *b)
{
	const char *user, *tier = snapshot_static(s, a, mac, &user);
	buf_reset(b);
	buf_text(b, tier ? "tier " : "nobody");
	buf_text(b, tier ? tier : "");
	if (tier && user[0])
		buf_printf(b, ", user %s", user);
}

#define WHO (USER_MAX + TIER_MAX + 16)

/* Who is at an address by either policy: was and is. */
static void who_both(const struct policy *old, const struct policy *new, const struct address *a,
		     char text[2][WHO])
{
	struct buf was = BUF_OF(text[0]), is = BUF_OF(text[1]);
	who_format(old->snapshot, a, NULL, &was);
	who_format(new->snapshot, a, NULL, &is);
}

/* From each place to the next all are the same. */
static void addresses(const struct policy *old, const struct policy *new, json_t *list)
{
	struct places p = {0};
	char text[2][WHO], next[2][WHO];
	gather(old->config, &p);
	gather(new->config, &p);
	if (p.count)
		qsort(p.item, p.count, sizeof *p.item, by_address);
	for (size_t i = 0, end; i < p.count; i = end) {
		char what[2 * ADDRESS_TEXT + 2] = "";
		struct buf b = BUF_OF(what);
		who_both(old, new, &p.item[i], text);
		for (end = i + 1; end < p.count; end++) {
			who_both(old, new, &p.item[end], next);
			if (strcmp(next[0], text[0]) != 0 || strcmp(next[1], text[1]) != 0)
				break;
		}
		range_format(&p.item[i], end < p.count ? &p.item[end] : NULL, &b);
		if (strcmp(text[0], text[1]) != 0)
			add(list, what, text[0], text[1]);
	}
	free(p.item);
}

static void hosts_of(const struct config *c, const struct policy *old, const struct policy *new,
		     json_t *list)
{
	const struct address nowhere = {0};
	for (size_t i = 0; i < c->host_count; i++) {
		char text[2][WHO], what[48] = "";
		struct buf was = BUF_OF(text[0]), is = BUF_OF(text[1]), b = BUF_OF(what);
		if (!c->hosts[i].has_mac)
			continue;
		who_format(old->snapshot, &nowhere, c->hosts[i].mac, &was);
		who_format(new->snapshot, &nowhere, c->hosts[i].mac, &is);
		buf_text(&b, "host ");
		mac_format(c->hosts[i].mac, &b);
		bool known = false; /* said already, of the old one */
		for (size_t k = 0; c == new->config &&k < old->config->host_count; k++)
			known |= old->config->hosts[k].has_mac &&
				 memcmp(old->config->hosts[k].mac, c->hosts[i].mac, 6) == 0;
		if (!known && strcmp(text[0], text[1]) != 0)
			add(list, what, text[0], text[1]);
	}
}

/* ---- what denies nothing ---- */

static void list_format(const struct strings *s, struct buf *b)
{
	for (size_t i = 0; i < s->count; i++)
		buf_printf(b, "%s%s", i ? ", " : "", s->item[i]);
}

static bool strings_same(const struct strings *a, const struct strings *b)
{
	bool same = a->count == b->count;
	for (size_t i = 0; same && i < a->count; i++)
		same = strcmp(a->item[i], b->item[i]) == 0;
	return same;
}

static bool ports_same(const struct config_line *a, const struct config_line *b)
{
	bool same = a->port_count == b->port_count;
	for (size_t i = 0; same && i < a->port_count; i++)
		same = a->ports[i].transport == b->ports[i].transport &&
		       a->ports[i].first == b->ports[i].first &&
		       a->ports[i].last == b->ports[i].last;
	return same;
}

/* Is a line there that is as this one is, wherever it stands? */
static bool observes_too(const struct config *c, const struct config_line *l)
{
	for (size_t i = 0; i < c->deny_count; i++) {
		const struct config_line *other = &c->deny[i];
		if (other->mode == CONFIG_LINE_OBSERVE && strings_same(&other->tiers, &l->tiers) &&
		    strings_same(&other->sites, &l->sites) &&
		    strings_same(&other->except, &l->except) && ports_same(other, l) &&
		    other->expires == l->expires &&
		    strcmp(other->when ? other->when : "", l->when ? l->when : "") == 0)
			return true;
	}
	return false;
}

/* Deny lines in observe mode: no decision tells that they are there. */
static void observed_lines(const struct config *c, const struct config *other, bool is,
			   json_t *list)
{
	for (size_t i = 0; i < c->deny_count; i++) {
		const struct config_line *l = &c->deny[i];
		char what[400] = "";
		struct buf b = BUF_OF(what);
		if (l->mode != CONFIG_LINE_OBSERVE || observes_too(other, l))
			continue;
		buf_text(&b, "what would be denied ");
		list_format(&l->tiers, &b);
		buf_text(&b, " at ");
		list_format(&l->sites, &b);
		add(list, what, is ? "not observed" : "observed", is ? "observed" : "not observed");
	}
}

json_t *diff_others(const struct policy *old, const struct policy *new)
{
	json_t *list = json_array();
	settings(old->config, new->config, list);
	addresses(old, new, list);
	hosts_of(old->config, old, new, list);
	hosts_of(new->config, old, new, list);
	limits(old, new, list);
	observed_lines(old->config, new->config, false, list);
	observed_lines(new->config, old->config, true, list);
	return list;
}
