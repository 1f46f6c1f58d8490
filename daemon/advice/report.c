#include "advice/report.h"

#include "base/buf.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLOTS 16384 /* of a table; three quarters of them are used */
#define KEY   256

struct count {
	char *key; /* NULL: free */
	uint64_t allowed, denied, would, bytes;
};

enum by { BY_TIME, BY_TIER, BY_SITE, BY_REASON, BY_USER, BY_NAME, BY_COUNT };
static const char *const by_names[] = {"time", "tier", "site", "reason", "user", "name"};

struct table {
	struct count slot[SLOTS], others;
	size_t used;
};

struct report {
	bool by_day;
	int64_t first, last;
	struct count all;
	uint64_t lost;
	struct table table[BY_COUNT];
};

struct report *report_new(bool by_day)
{
	struct report *r = calloc(1, sizeof *r);
	if (r)
		r->by_day = by_day;
	return r;
}

void report_free(struct report *r)
{
	for (int b = 0; r && b < BY_COUNT; b++)
		for (size_t i = 0; i < SLOTS; i++)
			free(r->table[b].slot[i].key);
	free(r);
}

static struct count *slot_of(struct table *t, const char *key)
{
	uint32_t h = 2166136261u;
	for (const char *c = key; *c; c++)
		h = (h ^ (uint8_t)*c) * 16777619u;
	for (;; h++) {
		struct count *c = &t->slot[h % SLOTS];
		if (c->key && strcmp(c->key, key) == 0)
			return c;
		if (c->key)
			continue;
		if (t->used >= SLOTS / 4 * 3 || !(c->key = strdup(key)))
			return &t->others;
		t->used++;
		return c;
	}
}

static void add(struct count *c, const struct decision *d)
{
	uint64_t n = d->kind == DECISION_REPEATED ? d->count : 1;
	if (d->kind == DECISION_ENDED)
		c->bytes += d->bytes;
	else if (d->action == ACTION_DENY)
		c->denied += n;
	else if (d->would_deny)
		c->would += n;
	else
		c->allowed += n;
}

static void count(struct report *r, enum by b, const char *key, const struct decision *d)
{
	if (*key)
		add(slot_of(&r->table[b], key), d);
}

static void hour_of(const struct report *r, int64_t time, char out[static 32])
{
	time_t s = time / NS_PER_S;
	struct tm tm;
	localtime_r(&s, &tm);
	strftime(out, 32, r->by_day ? "%Y-%m-%d" : "%Y-%m-%d %H:00", &tm);
}

/* The name that was denied, else the address. */
static const char *name_of(const struct decision *d, char out[static KEY])
{
	char text[ADDRESS_TEXT];
	if (d->host.len)
		snprintf(out, KEY, "%.*s", (int)d->host.len, d->host.text);
	else
		snprintf(out, KEY, "%s", address_format(&d->server, text));
	return out;
}

void report_record(struct report *r, const struct decision *d)
{
	char hour[32], name[KEY];
	bool denial = d->kind != DECISION_ENDED && (d->action == ACTION_DENY || d->would_deny);
	if (d->kind == DECISION_LOST) {
		r->lost += d->count;
		return;
	}
	if (d->kind == DECISION_ACT)
		return;
	r->first = !r->first || d->time < r->first ? d->time : r->first;
	r->last = d->time > r->last ? d->time : r->last;
	hour_of(r, d->time, hour);
	add(&r->all, d);
	count(r, BY_TIME, hour, d);
	count(r, BY_TIER, *d->tier ? d->tier : "nobody", d);
	count(r, BY_SITE, d->site, d);
	count(r, BY_USER, d->user, d);
	if (!denial)
		return;
	count(r, BY_REASON, reason_text(d->would_deny ? d->would : d->reason), d);
	count(r, BY_NAME, name_of(d, name), d);
}

/* ---- out ---- */

static int by_key(const void *a, const void *b)
{
	return strcmp((*(const struct count *const *)a)->key,
		      (*(const struct count *const *)b)->key);
}

static int by_denials(const void *a, const void *b)
{
	const struct count *x = *(const struct count *const *)a,
			   *y = *(const struct count *const *)b;
	uint64_t dx = x->denied + x->would, dy = y->denied + y->would;
	if (dx != dy)
		return dx < dy ? 1 : -1;
	if (x->allowed != y->allowed)
		return x->allowed < y->allowed ? 1 : -1;
	return strcmp(x->key, y->key);
}

static json_t *row(const char *key, const struct count *c)
{
	json_t *j = json_pack("{s:I, s:I, s:I, s:I}", "allowed", (json_int_t)c->allowed, "denied",
			      (json_int_t)c->denied, "would", (json_int_t)c->would, "bytes",
			      (json_int_t)c->bytes);
	if (key)
		json_object_set_new(j, "key", json_string(key));
	return j;
}

/* What an operator did, or a flow without a byte that ended, makes no row. */
static bool is_nothing(const struct count *c)
{
	return !(c->allowed | c->denied | c->would | c->bytes);
}

static json_t *rows_of(const struct table *t, enum by b, size_t top)
{
	static const struct count none;
	const struct count **order = calloc(t->used + 1, sizeof *order);
	json_t *rows = json_array();
	struct count others = t->others;
	size_t n = 0;
	for (size_t i = 0; order && i < SLOTS; i++)
		if (t->slot[i].key && !is_nothing(&t->slot[i]))
			order[n++] = &t->slot[i];
	if (order)
		qsort(order, n, sizeof *order, b == BY_TIME ? by_key : by_denials);
	for (size_t i = 0; i < n; i++) {
		if (i < top || b == BY_TIME) {
			json_array_append_new(rows, row(order[i]->key, order[i]));
			continue;
		}
		others.allowed += order[i]->allowed;
		others.denied += order[i]->denied;
		others.would += order[i]->would;
		others.bytes += order[i]->bytes;
	}
	if (memcmp(&others, &none, sizeof none) != 0)
		json_array_append_new(rows, row("others", &others));
	free(order);
	return rows;
}

static void set_time(json_t *to, const char *key, int64_t time)
{
	char text[40];
	struct buf b = BUF_OF(text);
	clock_format(&b, time);
	json_object_set_new(to, key, json_string(text));
}

json_t *report_json(const struct report *r, size_t top)
{
	json_t *j = row(NULL, &r->all), *by = json_object();
	json_object_set_new(
		j, "flows",
		json_integer((json_int_t)(r->all.allowed + r->all.denied + r->all.would)));
	json_object_set_new(j, "lost", json_integer((json_int_t)r->lost));
	if (r->first) {
		set_time(j, "from", r->first);
		set_time(j, "to", r->last);
	}
	for (int b = 0; b < BY_COUNT; b++)
		json_object_set_new(by, by_names[b], rows_of(&r->table[b], (enum by)b, top));
	json_object_set_new(j, "by", by);
	return j;
}
