#include "advice/top_inner.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>

#define HEADER 4 /* lines above the tables */

struct page {
	struct top_screen *out;
	size_t width, height;
};

/* ---- lines ---- */

/* Appends at most `width` characters of a text: what is no UTF-8, and what a terminal obeys (C0,
 * DEL, C1), is '?'. How many they are. */
static size_t put_clean(struct buf *b, const char *text, size_t width)
{
	size_t n = 0;
	for (size_t left = strlen(text); left && n < width && !b->full; n++) {
		const unsigned char *u = (const unsigned char *)text;
		size_t len = utf8_len(text, left);
		bool obeyed =
			len == 0 || u[0] < 0x20 || u[0] == 0x7f || (u[0] == 0xc2 && u[1] < 0xa0);
		if (obeyed)
			buf_char(b, '?');
		else
			buf_bytes(b, text, len);
		text += len ? len : 1;
		left -= len ? len : 1;
	}
	return n;
}

static void put(struct page *p, enum top_look look, const char *text)
{
	if (p->out->count >= p->height)
		return;
	struct buf b = BUF_OF(p->out->line[p->out->count].text);
	b.data[0] = '\0'; /* nothing may fit */
	put_clean(&b, text, p->width);
	p->out->line[p->out->count++].look = look;
}

/* ---- what stands at the top ---- */

static const char *text_of(const json_t *j, const char *key)
{
	const char *text = json_string_value(json_object_get(j, key));
	return text ? text : "";
}

/* A bound of a histogram, as people say it. */
static void put_time(struct buf *b, int64_t ns)
{
	if (ns == INT64_MAX)
		buf_printf(b, "more than %s s", histogram_bounds[HISTOGRAM_BUCKETS - 2].text);
	else if (ns < NS_PER_MS)
		buf_printf(b, "%" PRIi64 " us", ns / 1000);
	else
		buf_printf(b, "%g ms", (double)ns / (double)NS_PER_MS);
}

static void put_latency(const struct top *t, struct page *p)
{
	char line[TOP_WIDTH];
	struct buf b = BUF_OF(line);
	buf_text(&b, "latency   ");
	if (!t->rated) {
		buf_text(&b, "not known yet");
	} else if (!histogram_count(&t->verdicts)) {
		buf_text(&b, "no packet came");
	} else {
		buf_text(&b, "half of the verdicts within ");
		put_time(&b, histogram_within(&t->verdicts, 0.5));
		buf_text(&b, ", 99 of 100 within ");
		put_time(&b, histogram_within(&t->verdicts, 0.99));
	}
	put(p, TOP_PLAIN, line);
}

static void put_header(const struct top *t, const struct top_view *v, struct page *p)
{
	char line[TOP_WIDTH];
	const char *mode = text_of(t->status, "mode");
	if (t->gone[0])
		snprintf(line, sizeof line, "tiergate  no daemon: %s", t->gone);
	else
		snprintf(line, sizeof line, "tiergate  %s: %s%s", text_of(t->status, "version"),
			 v->trouble[0] ? "NOT OK: " : "ok", v->trouble);
	put(p, t->gone[0] || v->trouble[0] ? TOP_BAD : TOP_GOOD, line);
	snprintf(line, sizeof line, "mode      %s, policy %s%s", mode, text_of(t->status, "policy"),
		 json_object_get(t->status, "reloading") ? ", reloading now" : "");
	put(p, TOP_PLAIN, line);
	struct buf b = BUF_OF(line);
	if (t->rated)
		buf_printf(&b,
			   "now       a second: %.0f packets, %.0f flows allowed, %.0f denied, "
			   "%.0f DNS questions",
			   t->rate[0], t->rate[1], t->rate[2], t->rate[3]);
	else
		buf_text(&b, "now       a second: not known yet");
	if (t->lost)
		buf_printf(&b, "; %" PRIu64 " records were lost", t->lost);
	put(p, TOP_PLAIN, line);
	put_latency(t, p);
}

/* ---- tables ---- */

/* How many characters put_clean makes of a text. */
static size_t utf8_count(const char *text)
{
	size_t n = 0;
	for (size_t left = strlen(text), len; left; left -= len, text += len, n++) {
		len = utf8_len(text, left);
		len = len ? len : 1;
	}
	return n;
}

static void put_table_line(struct page *p, enum top_look look, const char *key, const char *more,
			   const char *numbers)
{
	char line[TOP_WIDTH];
	struct buf b = BUF_OF(line);
	size_t right = strlen(numbers), room = p->width > right ? p->width - right : 0, n;
	/* what stands behind a long name is not pushed out: the name is cut, and it is seen */
	size_t behind = more[0] ? strlen(more) + 2 : 0;
	bool cut = behind && behind < room / 2 && utf8_count(key) + behind > room;
	n = put_clean(&b, key, cut ? room - behind - 2 : room);
	if (cut) {
		buf_text(&b, "..");
		n += 2;
	}
	if (more[0] && n + 2 < room) {
		buf_text(&b, "  ");
		n += 2 + put_clean(&b, more, room - n - 2);
	}
	while (n++ < room && !b.full)
		buf_char(&b, ' ');
	if (!b.full)
		buf_text(&b, numbers);
	put(p, look, line);
}

static void put_table(struct top *t, const struct top_view *v, enum top_by by, size_t lines,
		      struct page *p)
{
	static const char *const title[TOP_TABLES] = {"USER", "SITE", "DENIED", "REASON"};
	static const char *const more[TOP_TABLES] = {"tier", "", "reason", ""};
	const struct top_row *row[TOP_LINES];
	char numbers[96];
	bool bytes = by == TOP_USERS || by == TOP_SITES; /* an end has no reason */
	bool allowed = by != TOP_DENIALS;
	size_t n = top_rows(t, by, v->sort, row, lines - 1);
	snprintf(numbers, sizeof numbers, " %9s %9s %12s", allowed ? "allowed" : "", "denied",
		 bytes ? "bytes" : "");
	put_table_line(p, TOP_TITLE, title[by], more[by], numbers);
	for (size_t i = 0; i < n; i++) {
		char count[24] = "", passed[24] = "";
		if (allowed)
			snprintf(passed, sizeof passed, "%" PRIu64, row[i]->allowed);
		if (bytes)
			snprintf(count, sizeof count, "%" PRIu64, row[i]->bytes);
		snprintf(numbers, sizeof numbers, " %9s %9" PRIu64 " %12s", passed, row[i]->denied,
			 count);
		put_table_line(p, TOP_PLAIN, row[i]->key, row[i]->more, numbers);
	}
}

void top_render(struct top *t, const struct top_view *v, struct top_screen *out)
{
	struct page p = {out, v->width, v->height < TOP_LINES ? v->height : TOP_LINES};
	if (p.width > TOP_WIDTH - 1)
		p.width = TOP_WIDTH - 1;
	out->count = 0;
	put_header(t, v, &p);
	size_t each = p.height > HEADER ? (p.height - HEADER) / TOP_TABLES : 0;
	for (enum top_by by = TOP_USERS; each > 1 && by < TOP_TABLES; by++)
		put_table(t, v, by, each, &p);
}
