#include "ctl/ctl.h"
#include "ctl/strangers.h"

#include "advice/unused.h"
#include "base/clock.h"
#include "ctl/hits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USAGE "unused [--days N] [--against RECORDS...] [--config FILE] [--json]"
#define DAYS  90
#define SHOWN 12 /* entries of a list; --json has all */
#define DAY   (86400 * NS_PER_S)

static void put_list(const char *before, const json_t *list)
{
	size_t i;
	json_t *item;
	fputs(before, stdout);
	json_array_foreach(list, i, item)
	{
		fputs(i ? ", " : "", stdout);
		ctl_put(stdout, json_string_value(item));
	}
}

static void show_line(const json_t *row)
{
	char last[32];
	const char *owner = ctl_text(row, "owner"), *expires = ctl_text(row, "expires");
	ctl_put(stdout, ctl_text(row, "rule"));
	printf(": %s", ctl_text(row, "kind"));
	put_list(" ", json_object_get(row, "tiers"));
	put_list(": ", json_object_get(row, "sites"));
	fputs(owner[0] ? ", owner " : "", stdout);
	ctl_put(stdout, owner);
	if (!ctl_text(row, "last")[0])
		printf("; never used%s%s", ctl_text(row, "since")[0] ? " since " : "",
		       ctl_time(ctl_text(row, "since"), last));
	else
		printf("; last used %s", ctl_time(ctl_text(row, "last"), last));
	if (expires[0])
		printf("; %s %s",
		       json_is_true(json_object_get(row, "expired")) ? "expired with"
								     : "expires with",
		       expires);
	putchar('\n');
}

/* Entries of one list are one line. */
static void show_entries(const json_t *rows)
{
	const char *list = NULL, *site = NULL;
	size_t i, shown = 0;
	json_t *row;
	json_array_foreach(rows, i, row)
	{
		const char *l = ctl_text(row, "list"), *s = ctl_text(row, "site");
		if (!list || strcmp(list, l) != 0 || strcmp(site, s) != 0) {
			if (shown > SHOWN)
				printf(" and %zu more", shown - SHOWN);
			fputs(list ? "\n" : "", stdout);
			printf("site %s, ", s);
			ctl_put(stdout, l);
			fputs(": not used: ", stdout);
			list = l;
			site = s;
			shown = 0;
		}
		if (shown++ < SHOWN)
			printf("%s%s", shown > 1 ? ", " : "", ctl_text(row, "entry"));
	}
	if (shown > SHOWN)
		printf(" and %zu more", shown - SHOWN);
	fputs(list ? "\n" : "", stdout);
}

static void put_all(const json_t *rows)
{
	size_t i;
	json_t *row;
	json_array_foreach(rows, i, row) ctl_put_json(row);
}

/* How far back the records go: what is not in them was perhaps used before. */
static void put_summary(const struct unused *u, struct strangers *foreign,
			const struct records_count *r, int64_t since, size_t lines, size_t entries)
{
	uint64_t records;
	char text[40] = "", local[32];
	struct buf b = BUF_OF(text);
	int64_t first = unused_first(u, &records);
	if (records)
		clock_format(&b, first);
	if (ctl.json) {
		json_t *j = json_pack("{sIsIsI}", "records", (json_int_t)records, "lines",
				      (json_int_t)lines, "entries", (json_int_t)entries);
		ctl_set(j, "first", records ? text : NULL);
		json_object_set_new(j, "too_short", json_boolean(first > since));
		strangers_end(foreign, j);
		ctl_records_words(r, j);
		ctl_put_json(j);
		json_decref(j);
		return;
	}
	strangers_end(foreign, NULL);
	ctl_records_say(r);
	printf("# %zu lines to look at, %zu entries not used, by %" PRIu64 " records", lines,
	       entries, records);
	printf("%s%s\n", records ? " since " : "", ctl_time(text, local));
	if (first > since)
		puts("# the records do not reach back so far");
}

/* What a daemon has counted can't tell. */
static void say_gaps(const struct ctl_hits *h, size_t new, size_t unknown, int64_t since)
{
	char text[40] = "", until[40] = "", local[32], local_until[32];
	struct buf b = BUF_OF(text), u = BUF_OF(until);
	clock_format(&b, h->hits.lost_from);
	clock_format(&u, h->hits.lost_to);
	if (h->hits.since > since)
		puts("# it does not count for so long yet");
	if (h->hits.lost_to > since)
		printf("# the daemon was killed between %s and %s: what was used then is not "
		       "counted\n",
		       ctl_time(text, local), ctl_time(until, local_until));
	if (new)
		printf("# %zu lines or entries are newer than that and not judged\n", new);
	if (h->not_counted)
		printf("# %" PRIi64 " entries are more than a daemon counts, and not judged\n",
		       h->not_counted);
	if (unknown > (size_t)h->not_counted)
		printf("# %zu lines or entries are not in force, and not judged: systemctl reload "
		       "tiergated\n",
		       unknown - (size_t)h->not_counted);
}

static void put_counted(const struct unused *u, const struct ctl_hits *h, int64_t since,
			size_t lines, size_t entries)
{
	size_t unknown, new = unused_new_ones(u, &unknown);
	char text[40] = "", local[32];
	struct buf b = BUF_OF(text);
	clock_format(&b, h->hits.since);
	if (!ctl.json) {
		printf("# %zu lines to look at, %zu entries not used, by the daemon's counters "
		       "since %s\n",
		       lines, entries, ctl_time(text, local));
		say_gaps(h, new, unknown, since);
		return;
	}
	json_t *j = json_pack("{sssIsIsIsIsIss}", "by", "daemon", "lines", (json_int_t)lines,
			      "entries", (json_int_t)entries, "new", (json_int_t) new, "unknown",
			      (json_int_t)unknown, "not_counted", (json_int_t)h->not_counted,
			      "first", text);
	json_object_set_new(j, "too_short", json_boolean(h->hits.since > since));
	buf_reset(&b);
	clock_format(&b, h->hits.lost_from);
	ctl_set(j, "lost_from", h->hits.lost_to ? text : NULL);
	buf_reset(&b);
	clock_format(&b, h->hits.lost_to);
	ctl_set(j, "lost_to", h->hits.lost_to ? text : NULL);
	ctl_put_json(j);
	json_decref(j);
}

/* By a daemon's counters, else by records. */
static int report(struct unused *u, const struct ctl_hits *h, struct strangers *foreign,
		  const struct records_count *r, int64_t span)
{
	int64_t now = clock_wall();
	json_t *lines = unused_lines(u, now - span, now, now + span);
	json_t *entries = unused_entries(u, now - span), *row;
	size_t i, count = json_array_size(lines);
	if (ctl.json) {
		put_all(lines);
		put_all(entries);
	} else {
		json_array_foreach(lines, i, row) show_line(row);
		show_entries(entries);
	}
	if (h)
		put_counted(u, h, now - span, count, json_array_size(entries));
	else
		put_summary(u, foreign, r, now - span, count, json_array_size(entries));
	json_decref(lines);
	json_decref(entries);
	return count ? EXIT_NO : EXIT_DONE;
}

static int by_records(const struct ctl_against *a, const struct policy *p, int64_t span)
{
	struct decision d;
	struct records *records = ctl_records(a->file, a->count, p->config);
	if (!records)
		return EXIT_CANNOT;
	struct unused *u = unused_new(p);
	struct strangers foreign;
	strangers_begin(&foreign, p);
	while (records_next(records, &d)) {
		strangers_record(&foreign, &d);
		unused_record(u, &d);
	}
	int status = report(u, NULL, &foreign, records_counted(records), span);
	unused_free(u);
	records_free(records);
	return status;
}

static int run(const struct ctl_against *a, const struct policy *p, int64_t span)
{
	struct ctl_hits h;
	if (a->count || !ctl_hits(&h))
		return by_records(a, p, span);
	struct unused *u = unused_new(p);
	unused_counted(u, &h.hits);
	int status = report(u, &h, NULL, NULL, span);
	unused_free(u);
	hits_free(&h.hits);
	return status;
}

static bool days_read(const char *text, int64_t *span)
{
	char *end;
	unsigned long days = text ? strtoul(text, &end, 10) : DAYS;
	*span = (int64_t)days * DAY;
	return !text || (text[0] >= '0' && text[0] <= '9' && !*end && days > 0 && days <= 36500);
}

int ctl_unused(int argc, char **argv)
{
	const char *days = NULL;
	const struct ctl_option options[] = {{"days", &days, NULL}, {0}};
	struct ctl_against a = {0};
	struct policy p = {0};
	int64_t span;
	int status = EXIT_CANNOT;
	if (!ctl_against(argc, argv, options, &a) || a.since != INT64_MIN)
		return ctl_usage(USAGE, NULL);
	if (!days_read(days, &span))
		return ctl_usage(USAGE, "--days wants a number of days, from 1 to 36500");
	if (ctl_policy(ctl.config ? ctl.config : CTL_CONFIG, &p))
		status = run(&a, &p, span);
	policy_free(&p);
	return status;
}
