#include "ctl/ctl.h"
#include "ctl/told.h"

#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PAUSE_US 500000 /* between two looks, for what happens a second */

static void show(const json_t *j, int depth);

static void show_value(const char *key, const json_t *value, int depth)
{
	printf("%*s", depth * 2, "");
	ctl_put(stdout, key);
	if (json_is_object(value) || json_is_array(value)) {
		puts(":");
		show(value, depth + 1);
		return;
	}
	printf(": ");
	if (json_is_string(value)) {
		ctl_put(stdout, json_string_value(value));
	} else {
		char text[64];
		size_t n = json_dumpb(value, text, sizeof text - 1, JSON_ENCODE_ANY);
		text[n < sizeof text ? n : 0] = '\0';
		fputs(text, stdout);
	}
	putchar('\n');
}

static void show(const json_t *j, int depth)
{
	const char *key;
	json_t *value;
	size_t i;
	json_object_foreach((json_t *)j, key, value) show_value(key, value, depth);
	json_array_foreach(j, i, value) show_value("-", value, depth);
}

/* ---- one screen ---- */

static json_int_t number(const json_t *j, const char *group, const char *key)
{
	return json_integer_value(json_object_get(group ? json_object_get(j, group) : j, key));
}

/* Over all queues. */
static json_int_t sum(const json_t *j, const char *key)
{
	json_int_t all = 0;
	size_t i;
	json_t *queue;
	json_array_foreach(json_object_get(j, "queues"), i, queue) all += number(queue, NULL, key);
	return all;
}

static void line(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void line(const char *what, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	printf("%-9s ", what);
	ctl_put(stdout, text);
	putchar('\n');
}

void ctl_trouble(const json_t *j, char out[static 512])
{
	const char *wiring = ctl_text(j, "wiring"), *refused = ctl_text(j, "reload_refused");
	json_int_t dropped = sum(j, "full") + sum(j, "overruns");
	json_int_t records = number(j, "log", "lost_ring") + number(j, "log", "lost_write");
	struct buf b = {.data = out, .cap = 511};
	char time[32];
	out[0] = '\0';
	told_trouble(j, &b);
	if (strcmp(wiring, "in place") != 0)
		buf_printf(&b, "rules: %s; ", wiring);
	if (*ctl_text(j, "last_good"))
		buf_printf(&b, "in force is %s; ", ctl_text(j, "last_good"));
	if (json_object_get(j, "lockdowns_lost"))
		buf_printf(&b, "lockdowns were lost, their state can't be read: shut anew what has "
			       "to be shut (tiergatectl lockdown, block); ");
	if (*ctl_text(j, "quotas_lost"))
		buf_printf(&b,
			   "what was used of quotas was lost, its state can't be read: it may be "
			   "had again until %s; ",
			   ctl_time(ctl_text(j, "quotas_lost"), time));
	if (*refused)
		buf_printf(&b, "the last reload was refused: %s; ", refused);
	if (number(j, NULL, "lists_with_faults"))
		buf_printf(&b, "%" JSON_INTEGER_FORMAT " lists have faults; ",
			   number(j, NULL, "lists_with_faults"));
	if (number(j, "log", "failing"))
		buf_printf(&b, "the log takes no records: is the disk full?; ");
	if (dropped)
		buf_printf(&b, "%" JSON_INTEGER_FORMAT " times a queue was full since the start; ",
			   dropped);
	if (records)
		buf_printf(&b, "%" JSON_INTEGER_FORMAT " records were lost; ", records);
	out[b.len < 511 ? b.len : 511] = '\0';
	if (b.len > 2)
		out[b.len - 2] = '\0';
}

static void show_queues(const json_t *j)
{
	size_t i, more = 0;
	json_t *queue;
	json_array_foreach(json_object_get(j, "queues"), i, queue)
	{
		if (i >= 4) { /* a screen has 24 lines */
			more++;
			continue;
		}
		line(i ? "" : "queues",
		     "%" JSON_INTEGER_FORMAT ": %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
		     " waiting, %" JSON_INTEGER_FORMAT " held, %" JSON_INTEGER_FORMAT
		     " found it full",
		     number(queue, NULL, "queue"), number(queue, NULL, "waiting"),
		     number(j, "bounds", "queue_length"), number(queue, NULL, "held"),
		     number(queue, NULL, "full") + number(queue, NULL, "overruns"));
	}
	if (more)
		line("", "and %zu more (--all)", more);
}

static void show_mode(const json_t *j)
{
	char text[256] = "", started[32];
	struct buf b = {.data = text, .cap = sizeof text - 1};
	size_t i;
	json_t *tier;
	json_array_foreach(json_object_get(j, "tiers_observed"), i, tier)
		buf_printf(&b, "%s%s", i ? ", " : " (observe for ", json_string_value(tier));
	if (i)
		buf_char(&b, ')');
	text[b.len < sizeof text - 1 ? b.len : sizeof text - 1] = '\0';
	line("mode", "%s%s; runs since %s", ctl_text(j, "mode"), text,
	     ctl_time(ctl_text(j, "started"), started));
}

static void show_told(const json_t *j)
{
	char text[512] = "";
	struct buf b = BUF_OF(text);
	told_portal_words(j, &b);
	line("portal", "%s", text);
	b.len = 0;
	text[0] = '\0';
	told_portal_error(j, &b);
	if (text[0])
		line("", "%s", text);
	b.len = 0;
	text[0] = '\0';
	if (told_probe_words(j, &b))
		line("probe", "%s", text);
}

/* before: the same, PAUSE earlier. */
static void screen(const json_t *j, const json_t *before)
{
	char why[512], loaded[32];
	ctl_trouble(j, why);
	line("tiergate", "%s: %s%s", ctl_text(j, "version"), *why ? "NOT OK: " : "ok", why);
	show_mode(j);
	line("policy", "%s, loaded %s%s", ctl_text(j, "policy"),
	     ctl_time(ctl_text(j, "loaded"), loaded),
	     json_object_get(j, "reloading") ? ", reloading now" : "");
	line("rules", "%s; put back %" JSON_INTEGER_FORMAT " times", ctl_text(j, "wiring"),
	     number(j, "rules", "put_back"));
	line("now", "%.0f packets a second came up, %.0f flows allowed, %.0f denied",
	     (double)(sum(j, "packets") - sum(before, "packets")) * 1e6 / PAUSE_US,
	     (double)(sum(j, "allowed") - sum(before, "allowed")) * 1e6 / PAUSE_US,
	     (double)(sum(j, "denied") - sum(before, "denied")) * 1e6 / PAUSE_US);
	line("so far", "%" JSON_INTEGER_FORMAT " flows allowed, %" JSON_INTEGER_FORMAT " denied",
	     sum(j, "allowed"), sum(j, "denied"));
	line("sessions", "%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT,
	     number(j, NULL, "sessions"), number(j, "bounds", "sessions"));
	line("names",
	     "%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT
	     " had to go early",
	     number(j, NULL, "names"), number(j, "bounds", "names"), number(j, "seen", "evicted"));
	line("flows",
	     "room for %" JSON_INTEGER_FORMAT " a queue, %" JSON_INTEGER_FORMAT " had to go early",
	     number(j, "bounds", "flows"), sum(j, "evicted"));
	line("DNS", "%" JSON_INTEGER_FORMAT " packets read, %" JSON_INTEGER_FORMAT " lost",
	     number(j, "dns", "copies"), number(j, "dns", "copies_lost"));
	show_queues(j);
	line("log", "%" JSON_INTEGER_FORMAT " records written, %" JSON_INTEGER_FORMAT " lost",
	     number(j, "log", "written"),
	     number(j, "log", "lost_ring") + number(j, "log", "lost_write"));
	show_told(j);
}

int ctl_status(int argc, char **argv)
{
	bool all = false;
	const struct ctl_option options[] = {{"all", NULL, &all}, {0}};
	int status;
	json_t *before = NULL;
	if (!ctl_options(argc, argv, options, NULL) || ctl.help)
		return ctl_usage("status [--all] [--json]", NULL);
	json_t *result = ctl_ask("status", NULL, &status);
	if (result && !ctl.json && !all) { /* what happens now takes two looks */
		before = result;
		usleep(PAUSE_US);
		result = ctl_ask("status", NULL, &status);
	}
	if (result && ctl.json)
		ctl_put_json(result);
	else if (result && all)
		show(result, 0);
	else if (result)
		screen(result, before);
	const char *wiring = json_string_value(json_object_get(result, "wiring"));
	if ((wiring && strcmp(wiring, "in place") != 0) ||
	    (result &&
	     (told_leak(result) || *ctl_text(result, "last_good") ||
	      json_object_get(result, "lockdowns_lost") || *ctl_text(result, "quotas_lost"))))
		status = 1; /* the network is not governed as it should be */
	json_decref(before);
	json_decref(result);
	return status;
}
