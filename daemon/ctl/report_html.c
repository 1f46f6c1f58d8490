#include "ctl/ctl.h"
#include "ctl/report.h"

#include "base/decision.h"

#include <string.h>

static const char head[] =
	"<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
	"content=\"width=device-width\"><title>tiergate report</title>\n<style>\n"
	":root{color-scheme:light "
	"dark;--ink:#222;--paper:#fff;--line:#ddd;--ok:#2a7f62;--no:#c0392b;"
	"--would:#d68910}\n"
	"@media (prefers-color-scheme:dark){:root{--ink:#ddd;--paper:#181a1b;--line:#444}}\n"
	"@media print{:root{--ink:#000;--paper:#fff;--line:#bbb}section{break-inside:avoid}}\n"
	"body{font:15px/1.45 sans-serif;color:var(--ink);background:var(--paper);max-width:56rem;"
	"margin:2rem auto;padding:0 1rem}\n"
	"table{border-collapse:collapse;width:100%;table-layout:fixed}th{width:6.5rem}"
	"th:first-child{width:auto}small{display:block;opacity:.75}"
	"td,th{padding:.25rem .6rem;border-bottom:1px "
	"solid "
	"var(--line);text-align:right}\n"
	"td:first-child,th:first-child{text-align:left;overflow-wrap:anywhere}h2{margin:1.8rem 0 "
	".4rem}"
	"svg{width:100%;height:auto}svg text{fill:var(--ink);font-size:11px}\n"
	".key span{display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 1em}"
	".key .ok{background:var(--ok)}.key .no{background:var(--no)}.key "
	".would{background:var(--would)}\n"
	".ok{fill:var(--ok)}.no{fill:var(--no)}.would{fill:var(--would)}\n"
	"@media (max-width:40rem){td,th{padding:.25rem .2rem}th{width:4.1rem;font-size:.85em}"
	"svg text{font-size:17px}}</style>\n"; /* last: it overrides what is above */

static void put(FILE *to, const char *text)
{
	for (; *text; text++)
		switch (*text) {
		case '<': fputs("&lt;", to); break;
		case '>': fputs("&gt;", to); break;
		case '&': fputs("&amp;", to); break;
		case '"': fputs("&quot;", to); break;
		default: putc(*text, to);
		}
}

static json_int_t number(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

static json_int_t most(const json_t *rows)
{
	json_int_t max = 1;
	size_t i;
	json_t *r;
	json_array_foreach(rows, i, r)
	{
		json_int_t n = number(r, "allowed") + number(r, "denied") + number(r, "would");
		max = n > max ? n : max;
	}
	return max;
}

#define HIGH     120.0
#define WIDE     720.0
#define BARS_MIN 7 /* a few hours make no wall; three have room for two labels of a phone */

/* What colours mean, and how many the highest bar has. */
static void put_key(const json_t *rows, bool would, FILE *to)
{
	fputs("<p class=\"key\">Connections by time:<span class=\"ok\"></span>allowed"
	      "<span class=\"no\"></span>denied",
	      to);
	if (would)
		fputs("<span class=\"would\"></span>would be denied", to);
	fprintf(to, "; the highest bar is %lld</p>\n", (long long)most(rows));
}

/* A bar an hour or day: allowed below, what would be and what was denied above. */
static void put_bars(const json_t *rows, FILE *to)
{
	static const char *const parts[] = {"allowed", "would", "denied"};
	static const char *const classes[] = {"ok", "would", "no"};
	size_t count = json_array_size(rows);
	double step = WIDE / (double)(count < BARS_MIN ? BARS_MIN : count);
	double scale = HIGH / (double)most(rows);
	size_t i;
	json_t *r;
	fprintf(to, "<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"flows by time\">\n", WIDE,
		HIGH + 18);
	json_array_foreach(rows, i, r)
	{
		double y = HIGH;
		fputs("<g><title>", to);
		put(to, ctl_text(r, "key"));
		fprintf(to, ": %lld allowed, %lld denied, %lld would be denied</title>",
			(long long)number(r, "allowed"), (long long)number(r, "denied"),
			(long long)number(r, "would"));
		for (int p = 0; p < 3; p++) {
			double high = (double)number(r, parts[p]) * scale;
			y -= high;
			if (high > 0)
				fprintf(to,
					"<rect class=\"%s\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" "
					"height=\"%.2f\"/>",
					classes[p], (double)i * step, y, step * .9, high);
		}
		fputs("</g>\n", to);
	}
	if (json_array_size(rows)) {
		fprintf(to, "<text x=\"0\" y=\"%g\">", HIGH + 14);
		put(to, ctl_text(json_array_get(rows, 0), "key"));
		fputs("</text>", to);
	}
	if (count > 1) {
		double end = (double)count * step - step * .1;
		bool room = count > 2 || step > WIDE / 3;
		fprintf(to, "<text x=\"%g\" y=\"%g\" text-anchor=\"%s\">",
			room ? end : end + step * .2, HIGH + 14, room ? "end" : "start");
		put(to, ctl_text(json_array_get(rows, count - 1), "key"));
		fputs("</text>\n", to);
	}
	fputs("</svg>\n", to);
}

/* What a word of the records means, or nothing. */
static void put_meaning(const char *reason, FILE *to)
{
	for (int r = 0; r < REASON_COUNT; r++)
		if (strcmp(reason_text(r), reason) == 0) {
			fputs("<small>", to);
			put(to, reason_help(r));
			fputs("</small>", to);
		}
}

/* Columns that not every report has: where nothing is observed, nothing would be denied; and where
 * a kilobyte or none was counted, a column of 0.0 says less than none. */
struct columns {
	bool would, bytes;
};

#define BYTES_SHOWN 50000 /* 0.1 MB */

static void put_row(const json_t *r, bool reasons, struct columns shown, FILE *to)
{
	fputs("<tr><td>", to);
	put(to, ctl_text(r, "key"));
	if (reasons)
		put_meaning(ctl_text(r, "key"), to);
	fprintf(to, "</td><td>%lld</td><td>%lld</td>", (long long)number(r, "allowed"),
		(long long)number(r, "denied"));
	if (shown.would)
		fprintf(to, "<td>%lld</td>", (long long)number(r, "would"));
	if (shown.bytes)
		fprintf(to, "<td>%.1f</td>", (double)number(r, "bytes") / 1e6);
	fputs("</tr>\n", to);
}

static void put_table(const json_t *by, const char *key, const char *title, struct columns shown,
		      FILE *to)
{
	const json_t *rows = json_object_get(by, key);
	size_t i;
	json_t *r;
	if (!json_array_size(rows))
		return;
	fprintf(to,
		"<section><h2>%s</h2><table><tr><th></th><th>allowed</th><th>denied</th>%s%s"
		"</tr>\n",
		title, shown.would ? "<th>would be denied</th>" : "",
		shown.bytes ? "<th>MB</th>" : "");
	json_array_foreach(rows, i, r)
	{
		/* a few bytes of nobody's, and nothing decided: a row of zeros */
		if (number(r, "allowed") + number(r, "denied") + number(r, "would") ||
		    number(r, "bytes") >= BYTES_SHOWN)
			put_row(r, strcmp(key, "reason") == 0, shown, to);
	}
	fputs("</table></section>\n", to);
}

void report_html(const json_t *report, FILE *to)
{
	const json_t *by = json_object_get(report, "by");
	char from[32], until[32];
	fputs(head, to);
	fprintf(to, "<h1>What the gateway decided</h1>\n<p>%s to ",
		ctl_time(ctl_text(report, "from"), from));
	fprintf(to,
		"%s: %lld connections, of which <b>%lld were allowed</b> and <b>%lld denied</b>",
		ctl_time(ctl_text(report, "to"), until), (long long)number(report, "flows"),
		(long long)number(report, "allowed"), (long long)number(report, "denied"));
	if (number(report, "would"))
		fprintf(to, "; %lld more would be denied if the gateway did not only observe",
			(long long)number(report, "would"));
	struct columns shown = {number(report, "would"), number(report, "bytes") >= BYTES_SHOWN};
	if (shown.bytes)
		fprintf(to, "; %.1f MB in connections that ended",
			(double)number(report, "bytes") / 1e6);
	fputs(".</p>\n", to);
	put_key(json_object_get(by, "time"), shown.would, to);
	put_bars(json_object_get(by, "time"), to);
	put_table(by, "name", "Most denied names", shown, to);
	put_table(by, "reason", "Why", shown, to);
	put_table(by, "tier", "By tier", shown, to);
	put_table(by, "user", "By user", shown, to);
	put_table(by, "site", "By site of the policy", shown, to);
	fputs("</html>\n", to);
}
