/* What lines and list entries of the policy are used: counted by the workers, kept over restarts
 * and reloads. */
#include "gateway/inner.h"

#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>
#include <string.h>

void hits_count(const struct gateway *g, struct policy *p)
{
	struct counted *c = counted_new(p->config, g->config->queues, COUNTED_ENTRIES);
	if (!c)
		log_error("not enough memory to count what lines of the policy are used");
	else if (counted_left_out(c))
		log_warn("%zu entries of lists are too many to count what is used of them: the "
			 "first %d are",
			 counted_left_out(c), COUNTED_ENTRIES);
	snapshot_count(p->snapshot, c);
}

void hits_in_force(struct gateway *g)
{
	const struct counted *c = snapshot_counted(g->snapshot);
	if (c && !hits_follow(&g->hits, c, clock_wall()))
		log_error("not enough memory to remember what lines of the policy are used");
}

void hits_load(struct gateway *g)
{
	char text[40];
	struct buf b = BUF_OF(text);
	struct policy p = {g->config, g->snapshot};
	int64_t now = clock_wall();
	state_load_hits(g->store, &g->hits, now);
	clock_format(&b, g->hits.lost_from);
	if (g->hits.lost_to == now)
		log_warn("the last process ended without a word: what lines of the policy were "
			 "used after %.19sZ is not counted",
			 text);
	hits_count(g, &p);
	hits_in_force(g);
	hits_save(g, false); /* from here on there is something to lose */
}

/* Of all that is counted: another number where anything was hit. */
static uint64_t sum_of(const struct hits *h)
{
	uint64_t sum = h->count;
	for (size_t i = 0; i < h->count; i++) {
		struct hit hit = hits_at(h, i);
		sum = sum * 31 + hit.key + hit.count * 3 + hit.last;
	}
	return sum;
}

void hits_save(struct gateway *g, bool last)
{
	uint64_t sum = sum_of(&g->hits);
	if (!last && sum == g->hits_saved)
		return;
	int error = state_save_hits(g->store, &g->hits, last);
	if (!error)
		g->hits_saved = sum;
	else
		LOG_LIMITED(log_warn, clock_now(), "%s: hit counters could not be saved: %s",
			    g->config->state_dir, strerror(-error));
}

static void set_time(json_t *to, const char *key, int64_t time)
{
	if (time)
		json_object_set_new(to, key, json_integer(time / NS_PER_S));
}

void gateway_hits(void *ctx, size_t from, size_t max, json_t *out)
{
	struct gateway *g = ctx;
	const struct hits *h = &g->hits;
	json_t *list = json_array();
	char key[17];
	for (size_t i = from; i < h->count && i - from < max; i++) {
		struct hit hit = hits_at(h, i);
		snprintf(key, sizeof key, "%016" PRIx64, hit.key);
		json_array_append_new(list, json_pack("[s, I, I, I]", key, (json_int_t)hit.count,
						      (json_int_t)hit.since, (json_int_t)hit.last));
	}
	json_object_set_new(out, "hits", list);
	if (from < h->count && max < h->count - from)
		json_object_set_new(out, "next", json_integer((json_int_t)(from + max)));
	json_object_set_new(out, "policy", json_string(snapshot_digest(g->snapshot)));
	json_object_set_new(
		out, "not_counted",
		json_integer(h->counted ? (json_int_t)counted_left_out(h->counted) : 0));
	set_time(out, "since", h->since);
	set_time(out, "lost_from", h->lost_from);
	set_time(out, "lost_to", h->lost_to);
}
