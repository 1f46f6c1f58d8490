#include "gateway/inner.h"

#include "base/sandbox.h"
#include "base/clock.h"
#include "base/metric.h"
#include "base/version.h"
#include "source/nfqueue.h"

#include <string.h>

static void add(json_t *to, const struct metrics *m, const void *counters)
{
	for (size_t i = 0; i < m->count; i++)
		json_object_set_new(to, m->rows[i].name,
				    json_integer((json_int_t)metric_value(&m->rows[i], counters)));
}

/* The rows of a module, in the object that has its name. */
static void show(void *out, const struct metrics *m, const void *counters)
{
	if (!json_object_get(out, m->name))
		json_object_set_new(out, m->name, json_object());
	add(json_object_get(out, m->name), m, counters);
}

#define SEE(module, name, counters, from)                                                          \
	do {                                                                                       \
		struct counters c_;                                                                \
		name##_count(from, &c_);                                                           \
		see(ctx, &module##_metrics, &c_);                                                  \
	} while (0)

void gateway_modules(const struct gateway *g,
		     void (*see)(void *ctx, const struct metrics *m, const void *counters),
		     void *ctx)
{
	struct watch_state s;
	watch_get(g->watch, true, &s);
	see(ctx, &watch_metrics, &s.counters);
	SEE(sweep, sweep, sweep_counters, g->sweep);
	SEE(seen, seen, seen_counters, g->seen);
	SEE(usage, usage, usage_counters, g->usage);
	SEE(meter, meter, meter_counters, g->meter);
	SEE(sink, sink, sink_counters, g->sink);
	SEE(copies, copies, copies_counters, g->copies);
	SEE(dns_watch, dns_watch, dns_watch_counters, g->dns);
	SEE(conntrack, conntrack, conntrack_counters, g->conntrack);
	SEE(control, control, control_counters, g->control);
	if (g->neighbours)
		SEE(neighbour, neighbours, neighbour_counters, g->neighbours);
	if (g->dnstap)
		SEE(dnstap, dnstap, dnstap_counters, g->dnstap);
}

static json_t *reasons_json(const struct worker_counters *c)
{
	json_t *reasons = json_object();
	for (int i = 0; i < REASON_COUNT; i++)
		if (c->reasons[i])
			json_object_set_new(reasons, reason_text(i),
					    json_integer((json_int_t)c->reasons[i]));
	return reasons;
}

/* The numbers of base/histogram.h's buckets. */
static json_t *histogram_json(const struct histogram *h)
{
	json_t *list = json_array();
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
		json_array_append_new(list, json_integer((json_int_t)h->bucket[i]));
	return list;
}

static json_t *lane_json(const struct gateway *g, unsigned i)
{
	struct worker_counters w;
	struct nfqueue_counters q;
	json_t *out = json_object();
	worker_count(g->lanes[i].worker, &w);
	nfqueue_count(g->lanes[i].source, &q);
	add(out, &worker_metrics, &w);
	add(out, &nfqueue_metrics, &q);
	json_object_set_new(out, "reasons", reasons_json(&w));
	json_object_set_new(out, "verdict_times", histogram_json(&w.verdicts));
	json_object_set_new(out, "hello_waits", histogram_json(&w.hellos));
	json_object_set_new(out, "queue", json_integer(g->config->queue_first + i));
	json_object_set_new(out, "remarks_lost",
			    json_integer((json_int_t)ring_refused(g->lanes[i].remarks)));
	return out;
}

static json_t *lanes_json(const struct gateway *g)
{
	json_t *queues = json_array();
	for (unsigned i = 0; i < g->lane_count; i++)
		json_array_append_new(queues, lane_json(g, i));
	return queues;
}

static json_t *time_json(int64_t time)
{
	char text[40];
	struct buf b = BUF_OF(text);
	clock_format(&b, time);
	return json_string(text);
}

/* Of who watches them: nothing is run to answer. */
static void wiring_status(const struct gateway *g, json_t *out)
{
	struct watch_state s;
	watch_get(g->watch, true, &s);
	const char *text = s.rules_good && !s.interfaces_good ? s.interfaces : s.rules;
	json_object_set_new(out, "wiring", json_string(text));
	json_object_set_new(out, "undecided",
			    json_integer((json_int_t)s.counters.counts[RULESET_UNDECIDED]));
}

static void policy_status(const struct gateway *g, json_t *out)
{
	const struct config *c = g->latest ? g->latest : g->config;
	bool observe = snapshot_mode(g->snapshot) == CONFIG_OBSERVE;
	json_object_set_new(out, "version", json_string(version));
	json_object_set_new(out, "policy", json_string(snapshot_digest(g->snapshot)));
	json_object_set_new(out, "mode", json_string(observe ? "observe" : "enforce"));
	json_t *observed = json_array();
	for (size_t i = 0; i < c->tier_count && !observe; i++)
		if (c->tiers[i].mode == CONFIG_OBSERVE)
			json_array_append_new(observed, json_string(c->tiers[i].name));
	if (json_array_size(observed))
		json_object_set(out, "tiers_observed", observed);
	json_decref(observed);
	json_object_set_new(out, "started", time_json(g->started));
	json_object_set_new(out, "loaded", time_json(g->loaded));
	if (c->faults)
		json_object_set_new(out, "lists_with_faults", json_integer((json_int_t)c->faults));
	if (g->reload.running)
		json_object_set_new(out, "reloading", json_true());
	if (g->refused[0])
		json_object_set_new(out, "reload_refused", json_string(g->refused));
	if (*sandbox_lacks())
		json_object_set_new(out, "sandbox_lacks", json_string(sandbox_lacks()));
	if (g->last_good[0])
		json_object_set_new(out, "last_good", json_string(g->last_good));
	if (g->lockdowns_lost)
		json_object_set_new(out, "lockdowns_lost", json_true());
	if (quotas_lost(g))
		json_object_set_new(out, "quotas_lost", time_json(quotas_lost(g)));
	json_object_set_new(out, "epoch", json_integer(g->epoch));
	json_object_set_new(out, "sessions", json_integer(sessions_count(g->sessions)));
}

void gateway_status(void *ctx, json_t *out)
{
	struct gateway *g = ctx;
	struct seen_counters n;
	seen_count(g->seen, &n);
	policy_status(g, out);
	wiring_status(g, out);
	/* how many there are stands by itself, too: it is what people look for */
	json_object_set_new(out, "names", json_integer((json_int_t)n.entries));
	gateway_modules(g, show, out);
	json_object_set_new(
		out, "bounds",
		json_pack("{s:I, s:I, s:I, s:I, s:I}", "flows", (json_int_t)g->config->flows,
			  "quotas", (json_int_t)g->config->quotas, "sessions",
			  (json_int_t)g->config->sessions, "names", (json_int_t)g->config->names,
			  "queue_length", (json_int_t)g->config->queue_length));
	json_object_set_new(out, "queues", lanes_json(g));
}
