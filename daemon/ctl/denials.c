#include "ctl/ctl.h"

#include <stdio.h>
#include <string.h>

#define USAGE "denials --address A | --user U [--json]"

static void show(const json_t *d)
{
	char space[32];
	const char *host = ctl_text(d, "destination.domain");
	const char *would = ctl_text(d, "tiergate.would");
	printf("%s  ", ctl_time(ctl_text(d, "@timestamp"), space));
	ctl_put(stdout, ctl_text(d, "user.name")[0] ? ctl_text(d, "user.name") : "-");
	fputs("  ", stdout);
	ctl_put(stdout, host[0] ? host : ctl_text(d, "destination.ip"));
	printf(" %s/%" JSON_INTEGER_FORMAT "  ", ctl_text(d, "network.transport"),
	       json_integer_value(json_object_get(d, "destination.port")));
	ctl_put(stdout, would[0] ? would : ctl_text(d, "event.reason"));
	fputs("  ", stdout);
	ctl_put(stdout, ctl_text(d, "rule.name"));
	putchar('\n');
}

/* Those of all addresses of the session there, newest first, as the daemon remembers them. */
static int ask(const char *address)
{
	int status;
	size_t i;
	json_t *d;
	json_t *answer =
		ctl_ask("denials", json_pack("{ss sb}", "address", address, "session", 1), &status);
	json_array_foreach(json_object_get(answer, "denials"), i, d)
	{
		if (ctl.json)
			ctl_put_json(d);
		else
			show(d);
	}
	if (answer && i == 0 && !ctl.json)
		puts("nothing was denied there of late");
	json_decref(answer);
	return status;
}

int ctl_denials(int argc, char **argv)
{
	const char *address = NULL, *user = NULL;
	const struct ctl_option options[] = {
		{"address", &address, NULL}, {"user", &user, NULL}, {0}};
	if (!ctl_options(argc, argv, options, NULL) || ctl.help || !address == !user)
		return ctl_usage(USAGE, NULL);
	return ctl_where(address, user, ask);
}
