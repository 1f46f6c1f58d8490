#include "gateway/inner.h"

#include "base/clock.h"
#include "source/nfqueue.h"

static json_t *counters_json(const struct worker_counters *c)
{
	json_t *reasons = json_object();
	for (int i = 0; i < REASON_COUNT; i++)
		if (c->reasons[i])
			json_object_set_new(reasons, reason_text(i),
					    json_integer((json_int_t)c->reasons[i]));
	return json_pack("{sI sI sI sI sI sI sI sI sI sI sI sI so}", "packets",
			 (json_int_t)c->packets, "flows", (json_int_t)c->flows, "allowed",
			 (json_int_t)c->allowed, "denied", (json_int_t)c->denied, "held",
			 (json_int_t)c->held, "malformed", (json_int_t)c->malformed, "dns",
			 (json_int_t)c->dns, "evicted", (json_int_t)c->evicted, "decided_again",
			 (json_int_t)c->again, "unread", (json_int_t)c->unread, "let_go",
			 (json_int_t)c->stuck, "unconfirmed", (json_int_t)c->unconfirmed, "reasons",
			 reasons);
}

static json_t *lane_json(const struct gateway *g, unsigned i)
{
	struct worker_counters w;
	struct nfqueue_counters q;
	worker_count(g->lanes[i].worker, &w);
	nfqueue_count(g->lanes[i].source, &q);
	json_t *out = counters_json(&w);
	json_object_set_new(out, "queue", json_integer(g->config->queue_first + i));
	json_object_set_new(out, "bursts", json_integer((json_int_t)q.bursts));
	json_object_set_new(out, "waiting", json_integer(q.waiting));
	json_object_set_new(out, "full", json_integer((json_int_t)q.full));
	json_object_set_new(out, "overruns", json_integer((json_int_t)q.overruns));
	json_object_set_new(out, "verdict_errors", json_integer((json_int_t)q.verdict_errors));
	json_object_set_new(out, "remarks_lost",
			    json_integer((json_int_t)ring_refused(g->lanes[i].remarks)));
	return out;
}

static json_t *time_json(int64_t time)
{
	char text[40];
	struct buf b = BUF_OF(text);
	clock_format(&b, time);
	return json_string(text);
}

static json_t *neighbours_json(const struct neighbours *n)
{
	struct neighbour_counters c;
	neighbours_count(n, &c);
	return json_pack("{sI sI sI sI sI sI}", "known", (json_int_t)c.known, "refused",
			 (json_int_t)c.refused, "joined", (json_int_t)c.joined, "ended",
			 (json_int_t)c.ended, "solicited", (json_int_t)c.solicited, "overruns",
			 (json_int_t)c.overruns);
}

static json_t *dnstap_json(const struct dnstap_socket *s)
{
	struct dnstap_counters c;
	dnstap_count(s, &c);
	return json_pack("{sI sI sI sI sI}", "connections", (json_int_t)c.connections, "frames",
			 (json_int_t)c.frames, "answers", (json_int_t)c.answers, "malformed",
			 (json_int_t)c.malformed, "broken", (json_int_t)c.broken);
}

static json_t *dns_json(const struct gateway *g)
{
	struct copies_counters c;
	struct dns_watch_counters d;
	copies_count(g->copies, &c);
	dns_watch_count(g->dns, &d);
	return json_pack("{sI sI sI sI sI sI sI sI}", "copies", (json_int_t)c.taken, "copies_lost",
			 (json_int_t)c.lost, "queries", (json_int_t)d.queries, "answers",
			 (json_int_t)d.answers, "unasked", (json_int_t)d.unasked, "malformed",
			 (json_int_t)d.malformed, "addresses", (json_int_t)d.addresses,
			 "connections_lost", (json_int_t)d.lost);
}

/* Of who watches them: nothing is run to answer. */
static void wiring_status(const struct gateway *g, json_t *out)
{
	struct watch_state s;
	watch_get(g->watch, true, &s);
	const char *text = s.rules_good && !s.interfaces_good ? s.interfaces : s.rules;
	const uint64_t *n = s.counts;
	json_object_set_new(out, "wiring", json_string(text));
	json_object_set_new(out, "rules",
			    json_pack("{sI sI sI sI sI sI}", "lost", (json_int_t)s.lost, "put_back",
				      (json_int_t)s.put_back, "reverse_path",
				      (json_int_t)n[RULESET_REVERSE], "invalid",
				      (json_int_t)n[RULESET_INVALID], "unopened",
				      (json_int_t)n[RULESET_UNOPENED], "untracked",
				      (json_int_t)n[RULESET_UNTRACKED]));
	json_object_set_new(out, "undecided", json_integer((json_int_t)n[RULESET_UNDECIDED]));
}

void gateway_status(void *ctx, json_t *out)
{
	struct gateway *g = ctx;
	struct sink_counters s;
	struct seen_counters n;
	struct sweep_counters swept;
	json_t *queues = json_array();
	sink_count(g->sink, &s);
	seen_count(g->seen, &n);
	for (unsigned i = 0; i < g->lane_count; i++)
		json_array_append_new(queues, lane_json(g, i));
	json_object_set_new(out, "policy", json_string(snapshot_digest(g->snapshot)));
	json_object_set_new(
		out, "mode",
		json_string(snapshot_mode(g->snapshot) == CONFIG_OBSERVE ? "observe" : "enforce"));
	json_object_set_new(out, "started", time_json(g->started));
	json_object_set_new(out, "loaded", time_json(g->loaded));
	wiring_status(g, out);
	sweep_count(g->sweep, &swept);
	json_object_set_new(out, "swept",
			    json_pack("{sI sI}", "flows", (json_int_t)swept.swept, "left",
				      (json_int_t)swept.left));
	const struct config *c = g->latest ? g->latest : g->config;
	if (c->faults)
		json_object_set_new(out, "lists_with_faults", json_integer((json_int_t)c->faults));
	if (g->reload.running)
		json_object_set_new(out, "reloading", json_true());
	if (g->refused[0])
		json_object_set_new(out, "reload_refused", json_string(g->refused));
	json_object_set_new(out, "epoch", json_integer(g->epoch));
	json_object_set_new(out, "sessions", json_integer(sessions_count(g->sessions)));
	json_object_set_new(out, "names", json_integer((json_int_t)n.entries));
	json_object_set_new(out, "log",
			    json_pack("{sI sI sI sb}", "written", (json_int_t)s.written,
				      "lost_ring", (json_int_t)s.lost_ring, "lost_write",
				      (json_int_t)s.lost_write, "failing", s.failing));
	if (g->neighbours)
		json_object_set_new(out, "neighbours", neighbours_json(g->neighbours));
	json_object_set_new(out, "dns", dns_json(g));
	if (g->dnstap)
		json_object_set_new(out, "dnstap", dnstap_json(g->dnstap));
	json_object_set_new(out, "queues", queues);
}
