/* tiergatectl report: what was decided, by hour or day, tier, site, reason, user and name. */
#include "ctl/report.h"

#include "advice/report.h"
#include "base/clock.h"
#include "base/file.h"
#include "ctl/ctl.h"
#include "decision/records.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define USAGE                                                                                      \
	"report [--day | --week | --since T] [--against RECORDS...] [--html FILE | --csv]\n"       \
	"                          [--config FILE] [--json]"
#define TOP     15 /* rows of a table for people */
#define TOP_ALL 1000
#define DAY     (86400 * NS_PER_S)

static const char *const parts[][2] = {{"name", "DENIED MOST"}, {"reason", "WHY"},
				       {"tier", "TIER"},        {"user", "USER"},
				       {"site", "SITE"},        {"time", "TIME"}};

static json_int_t number(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

static void put_text(const json_t *report)
{
	char from[32], to[32];
	const json_t *by = json_object_get(report, "by");
	printf("%s to ", ctl_time(ctl_text(report, "from"), from));
	printf("%s: %lld flows, %lld allowed, %lld denied, %lld would be denied, %.1f MB ended\n",
	       ctl_time(ctl_text(report, "to"), to), (long long)number(report, "flows"),
	       (long long)number(report, "allowed"), (long long)number(report, "denied"),
	       (long long)number(report, "would"), (double)number(report, "bytes") / 1e6);
	for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
		const json_t *rows = json_object_get(by, parts[p][0]);
		size_t i;
		json_t *r;
		if (json_array_size(rows))
			printf("\n%9s %9s %9s %10s  %s\n", "ALLOWED", "DENIED", "WOULD", "MB",
			       parts[p][1]);
		json_array_foreach(rows, i, r)
		{
			printf("%9lld %9lld %9lld %10.1f  ", (long long)number(r, "allowed"),
			       (long long)number(r, "denied"), (long long)number(r, "would"),
			       (double)number(r, "bytes") / 1e6);
			ctl_put(stdout, ctl_text(r, "key"));
			putchar('\n');
		}
	}
}

/* RFC 4180; what a spreadsheet would take for a formula stands behind an apostrophe. */
static void put_csv(const json_t *report)
{
	const char *by;
	json_t *rows;
	fputs("by,key,allowed,denied,would,bytes\r\n", stdout);
	json_object_foreach(json_object_get(report, "by"), by, rows)
	{
		size_t i;
		json_t *r;
		json_array_foreach(rows, i, r)
		{
			const char *key = ctl_text(r, "key");
			printf("%s,\"%s", by, strchr("=+-@", *key) ? "'" : "");
			for (; *key; key++)
				fputs(*key == '"' ? "\"\"" : (char[]){*key, '\0'}, stdout);
			printf("\",%lld,%lld,%lld,%lld\r\n", (long long)number(r, "allowed"),
			       (long long)number(r, "denied"), (long long)number(r, "would"),
			       (long long)number(r, "bytes"));
		}
	}
}

static bool put_html(const json_t *report, const char *path)
{
	struct file_new f;
	int e = file_new_open(&f, path, 0640, (gid_t)-1);
	if (e == 0) {
		report_html(report, f.to);
		e = file_new_commit(&f);
	}
	if (e < 0)
		fprintf(stderr, "tiergatectl: %s: %s\n", path, strerror(-e));
	return e == 0;
}

struct wanted {
	const char *html;
	bool day, week, csv;
};

static int run(const struct wanted *w, const struct ctl_against *a, const struct config *c)
{
	struct decision d;
	struct records *records = ctl_records(a->file, a->count, c);
	int64_t since = w->day ? clock_wall() - DAY : w->week ? clock_wall() - 7 * DAY : a->since;
	struct report *r = records ? report_new(since < clock_wall() - 3 * DAY) : NULL;
	int status = EXIT_DONE;
	while (r && records_next(records, &d))
		if (d.time >= since)
			report_record(r, &d);
	json_t *report = r ? report_json(r, ctl.json || w->csv ? TOP_ALL : TOP) : NULL;
	if (report) {
		json_t *read = json_object();
		ctl_records_words(records_counted(records), read);
		json_object_set_new(report, "read", read);
	}
	if (!report)
		status = EXIT_CANNOT;
	else if (w->html)
		status = put_html(report, w->html) ? EXIT_DONE : EXIT_CANNOT;
	else if (ctl.json)
		ctl_put_json(report);
	else if (w->csv)
		put_csv(report);
	else
		put_text(report);
	if (report && !ctl.json && !w->csv)
		ctl_records_say(records_counted(records));
	json_decref(report);
	report_free(r);
	records_free(records);
	return status;
}

int ctl_report(int argc, char **argv)
{
	struct wanted w = {0};
	const struct ctl_option options[] = {{"html", &w.html, NULL},
					     {"day", NULL, &w.day},
					     {"week", NULL, &w.week},
					     {"csv", NULL, &w.csv},
					     {0}};
	struct ctl_against a = {0};
	struct policy p = {0};
	int status = EXIT_CANNOT;
	if (!ctl_against(argc, argv, options, &a) || w.day + w.week + (a.since != INT64_MIN) > 1 ||
	    (w.html && w.csv))
		return ctl_usage(USAGE, NULL);
	if (a.count) /* records alone need no configuration */
		status = run(&w, &a, NULL);
	else if (ctl_policy(ctl.config ? ctl.config : CTL_CONFIG, &p))
		status = run(&w, &a, p.config);
	policy_free(&p);
	return status;
}
