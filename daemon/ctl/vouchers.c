#include "ctl/ctl.h"

#include "base/clock.h"
#include "config/value.h"
#include "identity/users.h"
#include "identity/vouchers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define USAGE "vouchers --tier T --for 8h [--count 1] [--vouchers FILE]"

static void tell(void *ctx, const char *code)
{
	if (ctl.json)
		printf("{\"code\":\"%s\"}\n", code);
	else
		puts(code);
}

/* The daemon's log says who made them; they are good where it does not answer, too. */
static void record(unsigned count, const char *tier, const char *lasts)
{
	int status;
	json_t *members = json_pack("{si ss ss}", "count", (int)count, "tier", tier, "for", lasts);
	json_decref(ctl_ask("vouchers", members, &status));
	if (status != EXIT_DONE)
		fputs("tiergatectl: the vouchers are made, and no record says by whom\n", stderr);
}

/* The codes go to standard output, once; the file has only their hashes. */
int ctl_vouchers(int argc, char **argv)
{
	const char *tier = NULL, *lasts = NULL, *count = "1", *file = CTL_VOUCHERS;
	const struct ctl_option options[] = {{"tier", &tier, NULL},
					     {"for", &lasts, NULL},
					     {"count", &count, NULL},
					     {"vouchers", &file, NULL},
					     {0}};
	struct errors errors = {0};
	int64_t ns;
	char *end;
	if (!ctl_options(argc, argv, options, NULL) || ctl.help || !tier || !lasts)
		return ctl_usage(USAGE, NULL);
	unsigned long n = strtoul(count, &end, 10);
	if (*end || count[0] == '-' || n == 0 || n > VOUCHERS_MAX)
		return ctl_usage(USAGE, "--count takes a number from 1 to 10000");
	if (!duration_parse(lasts, &ns) || ns < NS_PER_S)
		return ctl_usage(USAGE, "--for takes a duration such as 8h");
	if (!tier_name_valid(tier))
		return ctl_usage(USAGE, "--tier takes the name of a tier");
	int e = ctl_tier(tier);
	if (e != EXIT_DONE)
		return e;
	e = vouchers_make(file, (unsigned)n, tier, ns, tell, NULL, &errors);
	errors_print(&errors, stderr);
	errors_deinit(&errors);
	if (e == 0)
		record((unsigned)n, tier, lasts);
	return e == 0 ? EXIT_DONE : EXIT_CANNOT;
}
