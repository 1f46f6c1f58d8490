#include "ctl/ctl.h"

#include "advice/coverage.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>

#define USAGE "expect --suggest [--config FILE] [--json]"

static bool is_found(const json_t *row)
{
	return json_object_get(row, "outcome");
}

static void key(const char *name, const char *value)
{
	if (value[0])
		printf(" %s = \"%s\";", name, value);
}

static void comment(const json_t *row)
{
	const char *owner = ctl_text(row, "owner");
	fputs("\t# ", stdout);
	ctl_put(stdout, ctl_text(row, "rule"));
	fputs(owner[0] ? ", " : "", stdout);
	ctl_put(stdout, owner);
	puts(is_found(row) ? "" : ": nothing found that this line alone decides");
}

static void row_words(const json_t *row, bool is_last)
{
	const char *port = ctl_text(row, "port");
	fputs("\t{", stdout);
	key("tier", ctl_text(row, "tier"));
	key("to", ctl_text(row, "to"));
	key("port", strcmp(port, "tcp/443") == 0 ? "" : port);
	key("at", ctl_text(row, "at"));
	key("outcome", ctl_text(row, "outcome"));
	puts(is_last ? " }" : " },");
}

/* A policy file of its own; its rows can be pasted into another's list. */
static void show(const json_t *rows)
{
	size_t i, last = 0;
	json_t *row;
	json_array_foreach(rows, i, row) if (is_found(row)) last = i;
	puts("expect = (");
	json_array_foreach(rows, i, row)
	{
		comment(row);
		if (is_found(row))
			row_words(row, i == last);
	}
	puts(");");
}

static int suggest(const struct policy *p)
{
	json_t *rows = coverage_suggest(p, clock_wall()), *row;
	int status = EXIT_DONE;
	size_t i;
	json_array_foreach(rows, i, row)
	{
		if (!is_found(row))
			status = EXIT_NO;
		if (ctl.json)
			ctl_put_json(row);
	}
	if (!ctl.json && json_array_size(rows))
		show(rows);
	json_decref(rows);
	return status;
}

int ctl_expect(int argc, char **argv)
{
	bool wanted = false;
	const struct ctl_option options[] = {{"suggest", NULL, &wanted}, {0}};
	struct policy p = {0};
	int status = EXIT_CANNOT;
	if (!ctl_options(argc, argv, options, NULL) || ctl.help)
		return ctl_usage(USAGE, NULL);
	if (!wanted)
		return ctl_usage(USAGE, "`tiergated check` runs the expect lines; --suggest writes "
					"some");
	if (ctl_policy(ctl.config ? ctl.config : CTL_CONFIG, &p))
		status = suggest(&p);
	policy_free(&p);
	return status;
}
