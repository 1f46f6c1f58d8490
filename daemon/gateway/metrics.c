/* What the modules count, as Prometheus has it: families with samples. Names follow its
 * conventions: tiergate_MODULE_ROW, with _total where it only grows. */
#include "gateway/inner.h"

#include "base/clock.h"
#include "base/version.h"
#include "source/nfqueue.h"

#include <string.h>

#define LISTS_MAX 200 /* whose ages are told */

/* The family of that name, made where it is new. */
static json_t *family_of(json_t *to, const char *name, const char *type, const char *help)
{
	size_t i;
	json_t *family;
	json_array_foreach(to, i,
			   family) if (strcmp(json_string_value(json_object_get(family, "name")),
					      name) == 0) return family;
	family = json_pack("{s:s, s:s, s:s, s:[]}", "name", name, "type", type, "help", help,
			   "samples");
	json_array_append_new(to, family);
	return family;
}

/* labels is taken over. */
static void sample(json_t *family, json_t *labels, double value)
{
	json_array_append_new(json_object_get(family, "samples"),
			      json_pack("{s:o, s:f}", "labels", labels, "value", value));
}

/* One of those that a family of another name's end has. labels is taken over. */
static void part(json_t *family, const char *end, json_t *labels, double value)
{
	json_array_append_new(
		json_object_get(family, "samples"),
		json_pack("{s:s, s:o, s:f}", "end", end, "labels", labels, "value", value));
}

static void gauge(json_t *to, const char *name, const char *help, json_t *labels, double value)
{
	sample(family_of(to, name, "gauge", help), labels, value);
}

static json_t *queue_label(const char *queue)
{
	return queue ? json_pack("{s:s}", "queue", queue) : json_object();
}

/* Rows are words with hyphens or underscores; a module's name stands before them. */
static void row(json_t *to, const char *module, const struct metric *m, const char *queue,
		const void *counters)
{
	char name[128];
	bool counter = m->kind == METRIC_COUNTER;
	snprintf(name, sizeof name, "tiergate_%s_%s%s", module, m->name, counter ? "_total" : "");
	for (char *c = name; *c; c++)
		if (*c == '-')
			*c = '_';
	sample(family_of(to, name, counter ? "counter" : "gauge", m->help), queue_label(queue),
	       (double)metric_value(m, counters));
}

/* Buckets of a histogram have all that took less, too. labels is taken over. */
static void histogram(json_t *to, const char *name, const char *help, json_t *labels,
		      const struct histogram *h)
{
	json_t *family = family_of(to, name, "histogram", help);
	uint64_t count = 0;
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
		json_t *with = json_deep_copy(labels);
		count += h->bucket[i];
		json_object_set_new(
			with, "le",
			json_string(i < HISTOGRAM_BUCKETS - 1 ? histogram_bounds[i].text : "+Inf"));
		part(family, "_bucket", with, (double)count);
	}
	part(family, "_sum", json_incref(labels), (double)h->sum / (double)NS_PER_S);
	part(family, "_count", labels, (double)count);
}

static void module(void *to, const struct metrics *m, const void *counters)
{
	for (size_t i = 0; i < m->count; i++)
		row(to, m->name, &m->rows[i], NULL, counters);
}

/* What many samples are needed for is told of all queues together, and added to *all: an answer has
 * a bound (control.h). */
static void lane(json_t *to, const struct gateway *g, unsigned i, struct worker_counters *all)
{
	struct worker_counters w;
	struct nfqueue_counters q;
	char number[16];
	snprintf(number, sizeof number, "%u", g->config->queue_first + i);
	worker_count(g->lanes[i].worker, &w);
	nfqueue_count(g->lanes[i].source, &q);
	for (size_t r = 0; r < worker_metrics.count; r++)
		row(to, "queue", &worker_metrics.rows[r], number, &w);
	for (size_t r = 0; r < nfqueue_metrics.count; r++)
		row(to, "queue", &nfqueue_metrics.rows[r], number, &q);
	for (int reason = 0; reason < REASON_COUNT; reason++)
		all->reasons[reason] += w.reasons[reason];
	histogram_join(&all->verdicts, &w.verdicts);
	histogram_join(&all->hellos, &w.hellos);
	gauge(to, "tiergate_queue_capacity", "packets that may wait in the queue",
	      queue_label(number), g->config->queue_length);
}

static void lanes(json_t *to, const struct gateway *g)
{
	struct worker_counters all = {0};
	for (unsigned i = 0; i < g->lane_count; i++)
		lane(to, g, i, &all);
	for (int reason = 0; reason < REASON_COUNT; reason++)
		sample(family_of(to, "tiergate_decisions_total", "counter",
				 "decisions by the reason that stands in their records"),
		       json_pack("{s:s}", "reason", reason_text(reason)),
		       (double)all.reasons[reason]);
	histogram(to, "tiergate_verdict_seconds",
		  "from when a packet was received from its queue until its verdict was sent; of "
		  "packets that were not held for a name",
		  json_object(), &all.verdicts);
	histogram(to, "tiergate_hello_wait_seconds",
		  "from the first held packet of a flow's hello to its decision; 0 where none was "
		  "held",
		  json_object(), &all.hellos);
}

static void table(json_t *to, const char *name, double entries, double capacity)
{
	gauge(to, "tiergate_table_entries", "entries of a table now",
	      json_pack("{s:s}", "table", name), entries);
	gauge(to, "tiergate_table_capacity", "entries that the table has room for",
	      json_pack("{s:s}", "table", name), capacity);
}

/* ---- by tier ---- */

static const char *const outcome_text[OUTCOMES] = {
	[OUTCOME_ALLOW] = "allow", [OUTCOME_DENY] = "deny", [OUTCOME_WOULD_DENY] = "would-deny"};

struct tiers {
	struct worker_tier item[WORKER_TIERS];
	size_t count;
};

static struct worker_tier *tier_of(struct tiers *all, const char *name)
{
	for (size_t i = 0; i < all->count; i++)
		if (strcmp(all->item[i].name, name) == 0)
			return &all->item[i];
	if (all->count == WORKER_TIERS) /* of several queues there may be more */
		return &all->item[WORKER_TIERS - 1];
	struct worker_tier *t = &all->item[all->count++];
	*t = (struct worker_tier){0};
	strcpy(t->name, all->count == WORKER_TIERS ? "(others)" : name);
	return t;
}

static void add_tiers(struct tiers *all, const struct worker *w)
{
	struct worker_tier one;
	for (size_t i = 0; i < worker_tiers(w); i++) {
		worker_tier(w, i, &one);
		struct worker_tier *t = tier_of(all, one.name);
		for (int o = 0; o < OUTCOMES; o++)
			for (int r = 0; r < REASON_COUNT; r++)
				t->count[o][r] += one.count[o][r];
	}
}

/* What never was has no sample, but for what every tier comes to know: a rate begins at 0. */
static bool shown(uint64_t count, int outcome, int reason)
{
	return count || (outcome == OUTCOME_ALLOW && reason == REASON_ALLOW_LINE) ||
	       (outcome == OUTCOME_DENY && reason == REASON_NO_LINE);
}

static void tiers(json_t *to, const struct gateway *g)
{
	static struct tiers all; /* the main thread's */
	const struct config *c = g->latest ? g->latest : g->config;
	json_t *family = family_of(to, "tiergate_tier_decisions_total", "counter",
				   "decisions by the client's tier, outcome and reason");
	all.count = 0;
	for (size_t i = 0; i < c->tier_count; i++)
		tier_of(&all, c->tiers[i].name);
	for (unsigned i = 0; i < g->lane_count; i++)
		add_tiers(&all, g->lanes[i].worker);
	for (size_t i = 0; i < all.count; i++)
		for (int o = 0; o < OUTCOMES; o++)
			for (int r = 0; r < REASON_COUNT; r++)
				if (shown(all.item[i].count[o][r], o, r))
					sample(family,
					       json_pack("{s:s, s:s, s:s}", "tier",
							 all.item[i].name, "outcome",
							 outcome_text[o], "reason", reason_text(r)),
					       (double)all.item[i].count[o][r]);
}

/* ---- the policy ---- */

static double seconds(int64_t time)
{
	return (double)(time / NS_PER_S);
}

static void state(json_t *to, const struct gateway *g)
{
	struct watch_state s;
	struct seen_counters names;
	struct usage_counters used;
	bool observe = snapshot_mode(g->snapshot) == CONFIG_OBSERVE;
	watch_get(g->watch, false, &s);
	seen_count(g->seen, &names);
	usage_count(g->usage, &used);
	gauge(to, "tiergate_build_info", "always 1; the version of the program",
	      json_pack("{s:s}", "version", version), 1);
	gauge(to, "tiergate_policy_info", "always 1; the policy in force",
	      json_pack("{s:s, s:s}", "digest", snapshot_digest(g->snapshot), "mode",
			observe ? "observe" : "enforce"),
	      1);
	gauge(to, "tiergate_start_time_seconds", "when the daemon started, since 1970",
	      json_object(), seconds(g->started));
	gauge(to, "tiergate_policy_load_time_seconds",
	      "when the policy in force was loaded, since 1970", json_object(), seconds(g->loaded));
	gauge(to, "tiergate_policy_refused", "1: the last reload was refused", json_object(),
	      g->refused[0] != '\0');
	gauge(to, "tiergate_last_good_in_force",
	      "1: the configuration could not be used at the start, and the last good policy is in "
	      "force",
	      json_object(), g->last_good[0] != '\0');
	gauge(to, "tiergate_lockdowns_lost",
	      "1: the lockdowns that were kept can't be read, and what was shut may be open",
	      json_object(), g->lockdowns_lost);
	gauge(to, "tiergate_quotas_lost",
	      "1: what was used of quotas can't be read, and may be had again until they begin "
	      "anew",
	      json_object(), quotas_lost(g) != 0);
	gauge(to, "tiergate_lists_with_faults", "lists of sites whose last good copy is in force",
	      json_object(), (double)(g->latest ? g->latest : g->config)->faults);
	gauge(to, "tiergate_rules_in_place",
	      "1: the kernel's rules are those of the configuration, and interfaces are there",
	      json_object(), s.rules_good && s.interfaces_good);
	table(to, "sessions", sessions_count(g->sessions), g->config->sessions);
	table(to, "names", (double)names.entries, g->config->names);
	table(to, "quotas", (double)used.accounts, g->config->quotas);
}

static void lists(json_t *to, const struct gateway *g)
{
	const struct config *c = g->latest ? g->latest : g->config;
	unsigned told = 0;
	for (size_t s = 0; s < c->site_count; s++)
		for (size_t l = 0; l < c->sites[s].count; l++) {
			const struct site_list *list = &c->sites[s].list[l];
			if (!list->changed || told++ >= LISTS_MAX)
				continue;
			gauge(to, "tiergate_list_changed_time_seconds",
			      "when the file of a list that is in force was changed last, since "
			      "1970",
			      json_pack("{s:s, s:s}", "site", c->sites[s].name, "list", list->file),
			      seconds(list->changed));
			gauge(to, "tiergate_list_entries", "entries of a list that is in force",
			      json_pack("{s:s, s:s}", "site", c->sites[s].name, "list", list->file),
			      (double)list->count);
		}
}

void gateway_metrics(void *ctx, json_t *out)
{
	struct gateway *g = ctx;
	state(out, g);
	lanes(out, g);
	tiers(out, g);
	lists(out, g);
	gateway_modules(g, module, out);
}
