/* diff_words: a row of a diff as JSON, in the words that policies are written in. */
#include "advice/diff.h"
#include "advice/diff_when.h"
#include "advice/range.h"
#include "config/value.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static void add_text(json_t *list, const char *text)
{
	json_array_append_new(list, json_string(text));
}

/* Sets a list that is not empty; takes it over. */
static void set_list(json_t *to, const char *key, json_t *list)
{
	if (json_array_size(list))
		json_object_set(to, key, list);
	json_decref(list);
}

/* ---- tiers ---- */

static void set_tiers(const struct diff *d, size_t row, json_t *to)
{
	const struct atoms *a = diff_atoms(d);
	json_t *list = json_array();
	for (uint16_t i = 1; i < a->tier_count; i++)
		if (diff_row_has(d, row, BY_TIER, i))
			add_text(list, a->tiers[i]);
	set_list(to, "tiers", list);
	if (diff_row_has(d, row, BY_TIER, 0))
		json_object_set_new(to, "nobody", json_true());
}

/* ---- names: as a .sites list would have them, the longest that covers a name decides ---- */

static int by_text(const void *key, const void *atom)
{
	const struct host *host = ((const struct name_atom *)atom)->host;
	return host ? strcmp(key, host->text) : 1;
}

/* Whether the row holds names of no list of their own below this one, by the nearest list's host
 * above it. */
static bool inherits(const struct diff *d, size_t row, const struct host *host)
{
	const struct atoms *a = diff_atoms(d);
	const struct name_atom *up = NULL;
	for (const char *dot = strchr(host->text, '.'); dot && !up; dot = strchr(dot + 1, '.'))
		up = bsearch(dot + 1, a->names, a->name_count, sizeof *a->names, by_text);
	if (!up)
		up = a->names;
	else if (!up->below)
		up++;
	return diff_row_has(d, row, BY_NAME, up->class);
}

static void set_names(const struct diff *d, size_t row, json_t *to)
{
	const struct atoms *a = diff_atoms(d);
	static const char *const form[2][2][2] = {/* of a host: whether it, and what is below it */
						  [false] = {{"", "below "}, {"=", ""}},
						  [true] = {{"!", "!="}, {"!below ", ""}}};
	json_t *list = json_array();
	if (diff_row_has(d, row, BY_NAME, a->names[0].class))
		add_text(list, "*");
	for (size_t i = 1; i + 1 < a->name_count; i += 2) {
		const struct host *host = a->names[i].host;
		bool it = diff_row_has(d, row, BY_NAME, a->names[i].class);
		bool below = diff_row_has(d, row, BY_NAME, a->names[i + 1].class);
		bool above = inherits(d, row, host);
		if (it != above || below != above)
			json_array_append_new(
				list, json_sprintf("%s%s", form[above][it][below], host->text));
	}
	set_list(to, "names", list);
	if (diff_row_has(d, row, BY_NAME, NAMELESS))
		json_object_set_new(to, "unnamed", json_true());
}

/* ---- addresses ---- */

/* The ranges of which the row holds all addresses, or none. */
static json_t *ranges(const struct diff *d, size_t row, bool held)
{
	const struct atoms *a = diff_atoms(d);
	json_t *list = json_array();
	for (size_t i = 0, end; i < a->address_count; i = end) {
		const struct address *first = &a->addresses[i].first;
		bool has = diff_row_has(d, row, BY_ADDRESS, a->addresses[i].class);
		for (end = i + 1; end < a->address_count; end++)
			if (diff_row_has(d, row, BY_ADDRESS, a->addresses[end].class) != has ||
			    address_is4(&a->addresses[end].first) != address_is4(first))
				break;
		char text[2 * ADDRESS_TEXT + 2] = "";
		struct buf b = BUF_OF(text);
		range_format(first, end < a->address_count ? &a->addresses[end].first : NULL, &b);
		if (has == held)
			add_text(list, text);
	}
	return list;
}

static void set_addresses(const struct diff *d, size_t row, json_t *to)
{
	json_t *in = ranges(d, row, true), *out = ranges(d, row, false);
	bool but = json_array_size(in) > json_array_size(out);
	if (json_array_size(out))
		json_object_set(to, but ? "addresses_but" : "addresses", but ? out : in);
	json_decref(in);
	json_decref(out);
}

/* ---- ports ---- */

/* The ports from one atom to before another; nobody has port 0, nor has it a word. */
static void add_ports(json_t *list, const struct atoms *a, size_t first, size_t end)
{
	const struct port_atom *p = &a->ports[first];
	bool last = end == a->port_count || a->ports[end].transport != p->transport;
	struct config_port range = {p->transport, p->first, UINT16_MAX};
	char text[48] = "";
	struct buf b = BUF_OF(text);
	if (!last)
		range.last = (uint16_t)(a->ports[end].first - 1);
	range.first += range.first == 0 && !last;
	if (p->transport)
		port_format(&range, &b);
	if (range.first <= range.last)
		add_text(list, p->transport ? text : "other protocols");
}

static void set_ports(const struct diff *d, size_t row, json_t *to)
{
	const struct atoms *a = diff_atoms(d);
	json_t *list = json_array();
	bool all = true;
	for (size_t i = 0, end; i < a->port_count; i = end) {
		const struct port_atom *p = &a->ports[i];
		bool has = diff_row_has(d, row, BY_PORT, p->class);
		for (end = i + 1; end < a->port_count; end++)
			if (a->ports[end].transport != p->transport ||
			    diff_row_has(d, row, BY_PORT, a->ports[end].class) != has)
				break;
		all &= has;
		if (has)
			add_ports(list, a, i, end);
	}
	if (all)
		json_array_clear(list);
	set_list(to, "ports", list);
}

/* ---- evidence ---- */

static void set_evidence(const struct diff *d, size_t row, json_t *to)
{
	static const char *const words[] = {"address", "ech-outer+address", "ech-outer", "dns",
					    "name",    "name+address"};
	json_t *list = json_array();
	for (uint16_t e = 0; e < KNOWN_COUNT; e++)
		if (diff_row_has(d, row, BY_EVIDENCE, e))
			add_text(list, words[e]);
	if (json_array_size(list) == KNOWN_COUNT - 1) /* a flow with a name has all but the first */
		json_array_clear(list);
	set_list(to, "evidence", list);
}

/* ---- what decides ---- */

struct decided {
	json_t *rules, *reasons, *quotas;
};

static void add_once(json_t *list, const char *text)
{
	size_t i;
	json_t *have;
	json_array_foreach(list, i, have) if (strcmp(json_string_value(have), text) == 0) return;
	if (text[0])
		add_text(list, text);
}

/* Asks both policies about every flow of the row. */
static void ask(const struct diff *d, size_t row, int dim, uint16_t at[DIMENSIONS],
		struct decided by[2], json_t *sites)
{
	const struct atoms *a = diff_atoms(d);
	struct facts f;
	struct host host;
	int64_t now;
	for (uint16_t v = 0; dim < DIMENSIONS && v < a->count[dim]; v++) {
		at[dim] = v;
		if (diff_row_has(d, row, dim, v))
			ask(d, row, dim + 1, at, by, sites);
	}
	if (dim < DIMENSIONS)
		return;
	atoms_flow(a, at, &f, &host, &now);
	for (int p = 0; p < 2; p++) {
		const struct snapshot *s = a->policy[p]->snapshot;
		struct outcome o = decide(s, &f, now);
		add_once(by[p].rules, snapshot_rule_name(s, o.rule));
		add_once(by[p].reasons, reason_text(o.reason));
		const char *quota = diff_limits(d, p, at);
		add_once(by[p].quotas, quota ? quota : "");
		add_once(sites, snapshot_site_name(s, o.site));
	}
}

static void set_decided(const struct diff *d, size_t row, json_t *to)
{
	static const char *const key[2] = {"was", "is"};
	uint16_t at[DIMENSIONS] = {0};
	struct decided by[2];
	json_t *sites = json_array();
	for (int p = 0; p < 2; p++)
		by[p] = (struct decided){json_array(), json_array(), json_array()};
	ask(d, row, 0, at, by, sites);
	set_list(to, "sites", sites);
	for (int p = 0; p < 2; p++) {
		json_t *j = json_object();
		set_list(j, "reasons", by[p].reasons);
		set_list(j, "rules", by[p].rules);
		set_list(j, "quotas", by[p].quotas);
		json_object_set_new(to, key[p], j);
	}
}

json_t *diff_row_words(const struct diff *d, size_t row)
{
	char text[1000] = "";
	struct buf when = BUF_OF(text);
	json_t *to = json_object();
	const char *change = diff_row_limits(d, row)  ? "quota"
			     : diff_row_gains(d, row) ? "gains"
						      : "loses";
	json_object_set_new(to, "change", json_string(change));
	set_tiers(d, row, to);
	set_names(d, row, to);
	set_addresses(d, row, to);
	set_ports(d, row, to);
	diff_when(d, row, &when);
	if (text[0])
		json_object_set_new(to, "when", json_string(text));
	set_evidence(d, row, to);
	set_decided(d, row, to);
	return to;
}
