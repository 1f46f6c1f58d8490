#include "ctl/ctl.h"

#include <stdio.h>

int ctl_reload(int argc, char **argv)
{
	static const struct ctl_option none[] = {{0}};
	int status;
	if (!ctl_options(argc, argv, none, NULL) || ctl.help)
		return ctl_usage("reload", NULL);
	if (ctl.config)
		return ctl_usage("reload", "the daemon loads the file that it was started with; "
					   "`tiergated check --config FILE` tries another one");
	json_t *result = ctl_ask("reload", NULL, &status);
	if (result && ctl.json)
		ctl_put_json(result);
	else if (result)
		puts("the configuration is loaded");
	json_decref(result);
	return status;
}
