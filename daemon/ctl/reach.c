#include "ctl/ctl.h"

#include <stdio.h>
#include <string.h>

#define USAGE "reach --address A | --user U [--json]"

static void show_quota(const json_t *q)
{
	char space[32];
	printf("\n           %s of %s left for ", ctl_text(q, "left_text"),
	       ctl_text(q, "amount_text"));
	ctl_put(stdout, ctl_text(q, "of"));
	printf(" until %s", ctl_time(ctl_text(q, "until"), space));
}

static void show_site(const json_t *m)
{
	char space[32];
	bool now = json_is_true(json_object_get(m, "now"));
	const char *edge = ctl_text(m, now ? "until" : "from");
	fputs(now ? "  now    " : "  later  ", stdout);
	ctl_put(stdout, ctl_text(m, "site"));
	if (edge[0])
		printf("  %s %s", now ? "until" : "from", ctl_time(edge, space));
	fputs("  ", stdout);
	ctl_put(stdout, ctl_text(m, "rule"));
	if (ctl_text(m, "owner")[0])
		fputs(", owner ", stdout);
	ctl_put(stdout, ctl_text(m, "owner"));
	size_t i;
	json_t *q;
	json_array_foreach(json_object_get(m, "quotas"), i, q) show_quota(q);
	putchar('\n');
}

static void show(const json_t *r)
{
	char space[32];
	size_t i;
	json_t *m;
	const char *user = ctl_text(r, "user"), *tier = ctl_text(r, "tier");
	ctl_put(stdout, user[0] ? user : "nobody signed in");
	fputs(tier[0] ? ", tier " : ", no tier: internal hosts only", stdout);
	ctl_put(stdout, tier);
	if (ctl_text(r, "until")[0])
		printf(", until %s", ctl_time(ctl_text(r, "until"), space));
	putchar('\n');
	json_array_foreach(json_object_get(r, "may"), i, m) show_site(m);
	if (tier[0] && i == 0)
		puts("  no site");
}

static int ask(const char *address)
{
	int status;
	json_t *answer = ctl_ask("reach", json_pack("{ss}", "address", address), &status);
	if (answer && ctl.json)
		ctl_put_json(answer);
	else if (answer)
		show(answer);
	json_decref(answer);
	return status;
}

int ctl_reach(int argc, char **argv)
{
	const char *address = NULL, *user = NULL;
	const struct ctl_option options[] = {
		{"address", &address, NULL}, {"user", &user, NULL}, {0}};
	if (!ctl_options(argc, argv, options, NULL) || ctl.help || !address == !user)
		return ctl_usage(USAGE, NULL);
	return ctl_where(address, user, ask);
}
