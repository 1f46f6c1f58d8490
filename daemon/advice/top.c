#include "advice/top_inner.h"

#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct top *top_new(int64_t now)
{
	struct top *t = calloc(1, sizeof *t);
	if (t)
		t->began = t->all.faded = t->some.faded = now;
	return t;
}

void top_free(struct top *t)
{
	if (t)
		json_decref(t->status);
	free(t);
}

/* ---- tables ---- */

/* The row of a key. Where there is no room the lightest one goes and leaves its weight: a new row's
 * weight is never too small, and what is heavy is never put out by what came once. */
static struct top_row *row_of(struct top_table *t, const char *key, const char *more)
{
	struct top_row *least = &t->row[0];
	for (size_t i = 0; i < t->used; i++) {
		struct top_row *r = &t->row[i];
		if (strcmp(r->key, key) == 0 && strcmp(r->more, more) == 0)
			return r;
		if (r->weight < least->weight)
			least = r;
	}
	double weight = 0;
	if (t->used < TOP_ROWS)
		least = &t->row[t->used++];
	else
		weight = least->weight;
	*least = (struct top_row){.weight = weight};
	snprintf(least->key, sizeof least->key, "%s", key);
	snprintf(least->more, sizeof least->more, "%s", more);
	return least;
}

static bool denies(const struct decision *d)
{
	return d->kind != DECISION_ENDED && (d->action == ACTION_DENY || d->would_deny);
}

static void count(struct top_table *t, const char *key, const char *more, const struct decision *d)
{
	struct top_row *r = row_of(t, key, more);
	uint64_t n = d->kind == DECISION_REPEATED ? d->count : 1;
	if (d->kind == DECISION_ENDED) {
		r->bytes += d->bytes;
		return;
	}
	r->weight += (double)n;
	if (denies(d))
		r->denied += n;
	else
		r->allowed += n;
}

/* Weights as they are at a later time; an earlier one changes nothing. */
static void fade(struct top_tables *t, int64_t now)
{
	if (now <= t->faded)
		return;
	double by = exp2(-(double)(now - t->faded) / (double)NS_PER_S / TOP_HALF_LIFE);
	for (int b = 0; b < TOP_TABLES; b++)
		for (size_t i = 0; i < t->by[b].used; i++)
			t->by[b].row[i].weight *= by;
	t->faded = now;
}

static const char *who_of(const struct decision *d, char out[static ADDRESS_TEXT])
{
	return d->user[0] ? d->user : address_format(&d->client, out);
}

static const char *name_of(const struct decision *d, char out[static ADDRESS_TEXT])
{
	return d->host.len ? d->host.text : address_format(&d->server, out);
}

static void enter(struct top_tables *t, const struct decision *d)
{
	char who[ADDRESS_TEXT], name[ADDRESS_TEXT];
	const char *reason = reason_text(d->would_deny ? d->would : d->reason);
	fade(t, d->time - d->time % NS_PER_S); /* once a second: a table is walked */
	count(&t->by[TOP_USERS], who_of(d, who), d->tier, d);
	count(&t->by[TOP_SITES], d->site[0] ? d->site : name_of(d, name), "", d);
	if (d->kind == DECISION_ENDED)
		return;
	count(&t->by[TOP_REASONS], reason, "", d);
	if (denies(d))
		count(&t->by[TOP_DENIALS], name_of(d, name), reason, d);
}

static bool passes(const struct top *t, const struct decision *d)
{
	char client[ADDRESS_TEXT];
	const char *f = t->filter;
	return strcasestr(d->user, f) || strcasestr(address_format(&d->client, client), f) ||
	       strcasestr(d->tier, f) || strcasestr(d->site, f) || strcasestr(d->host.text, f);
}

static void take(struct top *t, const struct decision *d)
{
	enter(&t->all, d);
	if (t->filter[0] && passes(t, d))
		enter(&t->some, d);
}

void top_record(struct top *t, const struct decision *d)
{
	if (d->kind == DECISION_LOST) {
		t->lost += d->count;
		return;
	}
	if (d->kind == DECISION_ACT) /* what an operator did is no flow */
		return;
	t->recent[t->records++ % TOP_RECENT] = *d;
	if (t->paused)
		t->unseen++;
	else
		take(t, d);
}

void top_lost(struct top *t, uint64_t n)
{
	t->lost += n;
}

void top_filter(struct top *t, const char *text)
{
	snprintf(t->filter, sizeof t->filter, "%s", text);
	memset(&t->some, 0, sizeof t->some);
	uint64_t kept = t->records < TOP_RECENT ? t->records : TOP_RECENT;
	for (uint64_t i = t->records - kept; t->filter[0] && i + t->unseen < t->records; i++)
		if (passes(t, &t->recent[i % TOP_RECENT]))
			enter(&t->some, &t->recent[i % TOP_RECENT]);
}

void top_pause(struct top *t, bool pause)
{
	t->paused = pause;
	if (pause)
		return;
	if (t->unseen > TOP_RECENT) { /* older ones are no longer there */
		t->lost += t->unseen - TOP_RECENT;
		t->unseen = TOP_RECENT;
	}
	for (; t->unseen; t->unseen--)
		take(t, &t->recent[(t->records - t->unseen) % TOP_RECENT]);
}

/* ---- order ---- */

static int compare(const void *a, const void *b, void *ctx)
{
	const struct top_row *x = *(const struct top_row *const *)a,
			     *y = *(const struct top_row *const *)b;
	double dx = x->weight, dy = y->weight;
	switch (*(const enum top_sort *)ctx) {
	case TOP_DENIED: dx = (double)x->denied, dy = (double)y->denied; break;
	case TOP_ALLOWED: dx = (double)x->allowed, dy = (double)y->allowed; break;
	case TOP_BYTES: dx = (double)x->bytes, dy = (double)y->bytes; break;
	case TOP_NAME: dx = dy = 0; break;
	case TOP_NOW:
	case TOP_SORTS: break;
	}
	if (dx != dy)
		return dx < dy ? 1 : -1;
	int key = strcmp(x->key, y->key);
	return key ? key : strcmp(x->more, y->more);
}

size_t top_rows(struct top *t, enum top_by by, enum top_sort sort, const struct top_row **out,
		size_t max)
{
	const struct top_row *rows[TOP_ROWS];
	const struct top_table *table = &(t->filter[0] ? &t->some : &t->all)->by[by];
	size_t n = table->used < max ? table->used : max;
	for (size_t i = 0; i < table->used; i++)
		rows[i] = &table->row[i];
	qsort_r(rows, table->used, sizeof *rows, compare, &sort);
	memcpy(out, rows, n * sizeof *rows);
	return n;
}

/* ---- the daemon's own counters ---- */

static uint64_t member(const json_t *j, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(j, key));
	return n > 0 ? (uint64_t)n : 0;
}

static void add_times(struct histogram *h, const json_t *buckets)
{
	size_t i;
	json_t *n;
	json_array_foreach(buckets, i, n)
	{
		if (i < HISTOGRAM_BUCKETS && json_integer_value(n) > 0)
			h->bucket[i] += (uint64_t)json_integer_value(n);
	}
}

static struct top_counts counts_of(const json_t *status)
{
	struct top_counts c = {.queries = member(json_object_get(status, "dns"), "queries")};
	size_t i;
	json_t *queue;
	json_array_foreach(json_object_get(status, "queues"), i, queue)
	{
		c.packets += member(queue, "packets");
		c.allowed += member(queue, "allowed");
		c.denied += member(queue, "denied");
		add_times(&c.verdicts, json_object_get(queue, "verdict_times"));
	}
	return c;
}

static double a_second(uint64_t before, uint64_t now, double seconds)
{
	return now > before ? (double)(now - before) / seconds : 0;
}

void top_status(struct top *t, const json_t *status, int64_t now)
{
	struct top_counts c = counts_of(status), b = t->counts;
	const char *started = json_string_value(json_object_get(status, "started"));
	bool same =
		t->counted && now > t->counted && strcmp(t->started, started ? started : "") == 0;
	double s = (double)(now - t->counted) / (double)NS_PER_S;
	t->gone[0] = '\0';
	t->counts = c;
	t->counted = now;
	snprintf(t->started, sizeof t->started, "%s", started ? started : "");
	if (t->paused)
		return;
	json_decref(t->status);
	t->status = json_deep_copy(status);
	fade(&t->all, now);
	fade(&t->some, now);
	t->rated = same;
	if (!same)
		return;
	t->rate[0] = a_second(b.packets, c.packets, s);
	t->rate[1] = a_second(b.allowed, c.allowed, s);
	t->rate[2] = a_second(b.denied, c.denied, s);
	t->rate[3] = a_second(b.queries, c.queries, s);
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
		t->verdicts.bucket[i] = c.verdicts.bucket[i] > b.verdicts.bucket[i]
						? c.verdicts.bucket[i] - b.verdicts.bucket[i]
						: 0;
}

void top_gone(struct top *t, const char *why)
{
	snprintf(t->gone, sizeof t->gone, "%s", why);
	t->counted = 0;
	t->rated = false;
}
