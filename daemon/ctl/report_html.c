#include "ctl/ctl.h"
#include "ctl/report.h"

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
	"table{border-collapse:collapse;width:100%}td,th{padding:.25rem .6rem;border-bottom:1px "
	"solid "
	"var(--line);text-align:right}\n"
	"td:first-child,th:first-child{text-align:left;overflow-wrap:anywhere}h2{margin:1.8rem 0 "
	".4rem}"
	"svg{width:100%;height:auto}svg text{fill:var(--ink);font-size:11px}\n"
	".ok{fill:var(--ok)}.no{fill:var(--no)}.would{fill:var(--would)}</style>\n";

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

#define HIGH 120.0
#define WIDE 720.0

/* A bar an hour: allowed below, what would be and what was denied above. */
static void put_bars(const json_t *rows, FILE *to)
{
	static const char *const parts[] = {"allowed", "would", "denied"};
	static const char *const classes[] = {"ok", "would", "no"};
	double step = WIDE / (double)(json_array_size(rows) ? json_array_size(rows) : 1);
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
		fprintf(to, "</text><text x=\"%g\" y=\"%g\" text-anchor=\"end\">", WIDE, HIGH + 14);
		put(to, ctl_text(json_array_get(rows, json_array_size(rows) - 1), "key"));
		fputs("</text>\n", to);
	}
	fputs("</svg>\n", to);
}

static void put_table(const json_t *rows, const char *title, FILE *to)
{
	size_t i;
	json_t *r;
	if (!json_array_size(rows))
		return;
	fprintf(to,
		"<section><h2>%s</h2><table><tr><th></th><th>allowed</th><th>denied</th><th>would "
		"be "
		"denied</th><th>MB</th></tr>\n",
		title);
	json_array_foreach(rows, i, r)
	{
		fputs("<tr><td>", to);
		put(to, ctl_text(r, "key"));
		fprintf(to, "</td><td>%lld</td><td>%lld</td><td>%lld</td><td>%.1f</td></tr>\n",
			(long long)number(r, "allowed"), (long long)number(r, "denied"),
			(long long)number(r, "would"), (double)number(r, "bytes") / 1e6);
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
	fprintf(to, "; %.1f MB in connections that ended.</p>\n",
		(double)number(report, "bytes") / 1e6);
	put_bars(json_object_get(by, "time"), to);
	put_table(json_object_get(by, "name"), "Most denied names", to);
	put_table(json_object_get(by, "reason"), "Why", to);
	put_table(json_object_get(by, "tier"), "By tier", to);
	put_table(json_object_get(by, "user"), "By user", to);
	put_table(json_object_get(by, "site"), "By site of the policy", to);
	fputs("</html>\n", to);
}
