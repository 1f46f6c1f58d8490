#include "ctl/ctl.h"

#include "advice/coverage.h"
#include "base/clock.h"

#include <stdio.h>

#define USAGE "coverage [--config FILE] [--json]"

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

static void show(const json_t *row)
{
	const char *owner = ctl_text(row, "owner");
	ctl_put(stdout, ctl_text(row, "rule"));
	printf(": %s", ctl_text(row, "kind"));
	put_list(" ", json_object_get(row, "tiers"));
	put_list(": ", json_object_get(row, "sites"));
	fputs(owner[0] ? ", owner " : "", stdout);
	ctl_put(stdout, owner);
	putchar('\n');
}

static int report(const struct policy *p)
{
	json_t *rows = coverage(p, clock_wall()), *row;
	size_t i, untouched = json_array_size(rows);
	size_t lines = p->config->allow_count + p->config->deny_count;
	json_array_foreach(rows, i, row)
	{
		if (ctl.json)
			ctl_put_json(row);
		else
			show(row);
	}
	if (ctl.json) {
		json_t *sum = json_pack("{sIsI}", "lines", (json_int_t)lines, "untouched",
					(json_int_t)untouched);
		ctl_put_json(sum);
		json_decref(sum);
	} else {
		printf("%zu of %zu lines decide no expect\n", untouched, lines);
	}
	json_decref(rows);
	return untouched ? EXIT_NO : EXIT_DONE;
}

int ctl_coverage(int argc, char **argv)
{
	static const struct ctl_option none[] = {{0}};
	struct policy p = {0};
	int status = EXIT_CANNOT;
	if (!ctl_options(argc, argv, none, NULL) || ctl.help)
		return ctl_usage(USAGE, NULL);
	if (ctl_policy(ctl.config ? ctl.config : CTL_CONFIG, &p))
		status = report(&p);
	policy_free(&p);
	return status;
}
