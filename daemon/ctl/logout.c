#include "ctl/ctl.h"

#include <stdio.h>

int ctl_logout(int argc, char **argv)
{
	const char *address = NULL, *user = NULL, *segment = NULL, *tier = NULL;
	bool all = false;
	const struct ctl_option options[] = {{"address", &address, NULL}, {"user", &user, NULL},
					     {"segment", &segment, NULL}, {"tier", &tier, NULL},
					     {"all", NULL, &all},         {0}};
	int status;
	if (!ctl_options(argc, argv, options, NULL) || ctl.help ||
	    (address != NULL) + (user != NULL) + (segment || tier) + all != 1)
		return ctl_usage("logout --address A | --user U | [--segment N] [--tier T] | --all",
				 NULL);
	json_t *members = json_object();
	ctl_set(members, "address", address);
	ctl_set(members, "user", user);
	ctl_set(members, "segment", segment);
	ctl_set(members, "tier", tier);
	if (all)
		json_object_set_new(members, "all", json_true());
	json_t *result = ctl_ask("logout", members, &status);
	json_int_t ended = json_integer_value(json_object_get(result, "ended"));
	if (result && ctl.json)
		ctl_put_json(result);
	else if (result && ended)
		printf("%lld session%s ended\n", (long long)ended, ended == 1 ? "" : "s");
	if (ctl_text(result, "unkept")[0])
		fprintf(stderr,
			"tiergatectl: it could not be kept (%s): a crash may sign them in again; "
			"look at state_dir\n",
			ctl_text(result, "unkept"));
	if (result && !ended) {
		if (user || address)
			ctl_not_signed_in(user ? user : address, result, "");
		else
			fprintf(stderr, "tiergatectl: nobody is signed in there\n");
		status = EXIT_NO;
	}
	json_decref(result);
	return status;
}
