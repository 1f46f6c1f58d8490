/* What the modules count, as Prometheus has it: families with samples. Names follow its
 * conventions: tiergate_MODULE_ROW, with _total where it only grows. */
#include "gateway/inner.h"

#include "base/clock.h"
#include "base/version.h"
#include "source/nfqueue.h"

#include <string.h>

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

static void module(void *to, const struct metrics *m, const void *counters)
{
	for (size_t i = 0; i < m->count; i++)
		row(to, m->name, &m->rows[i], NULL, counters);
}

static void lane(json_t *to, const struct gateway *g, unsigned i)
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
		sample(family_of(to, "tiergate_decisions_total", "counter",
				 "decisions by the reason that stands in their records"),
		       json_pack("{s:s, s:s}", "queue", number, "reason", reason_text(reason)),
		       (double)w.reasons[reason]);
	gauge(to, "tiergate_queue_capacity", "packets that may wait in the queue",
	      queue_label(number), g->config->queue_length);
}

static void table(json_t *to, const char *name, double entries, double capacity)
{
	gauge(to, "tiergate_table_entries", "entries of a table now",
	      json_pack("{s:s}", "table", name), entries);
	gauge(to, "tiergate_table_capacity", "entries that the table has room for",
	      json_pack("{s:s}", "table", name), capacity);
}

static double seconds(int64_t time)
{
	return (double)(time / NS_PER_S);
}

static void state(json_t *to, const struct gateway *g)
{
	struct watch_state s;
	struct seen_counters names;
	bool observe = snapshot_mode(g->snapshot) == CONFIG_OBSERVE;
	watch_get(g->watch, false, &s);
	seen_count(g->seen, &names);
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
	gauge(to, "tiergate_lists_with_faults", "lists of sites whose last good copy is in force",
	      json_object(), (double)(g->latest ? g->latest : g->config)->faults);
	gauge(to, "tiergate_rules_in_place",
	      "1: the kernel's rules are those of the configuration, and interfaces are there",
	      json_object(), s.rules_good && s.interfaces_good);
	table(to, "sessions", sessions_count(g->sessions), g->config->sessions);
	table(to, "names", (double)names.entries, g->config->names);
}

void gateway_metrics(void *ctx, json_t *out)
{
	struct gateway *g = ctx;
	state(out, g);
	for (unsigned i = 0; i < g->lane_count; i++)
		lane(out, g, i);
	gateway_modules(g, module, out);
}
