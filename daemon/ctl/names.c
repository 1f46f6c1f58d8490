#include "ctl/ctl.h"

#include <stdio.h>
#include <string.h>

#define USAGE "names tiers | sites | users [PREFIX]"

/* One a line: shells complete by it. */
int ctl_names(int argc, char **argv)
{
	static const struct ctl_option none[] = {{0}};
	const char *words[2] = {"", ""};
	size_t count = 0, i;
	int status;
	json_t *one;
	if (!ctl_words(argc, argv, none, words, 2, &count) || ctl.help || count == 0 ||
	    (strcmp(words[0], "tiers") != 0 && strcmp(words[0], "sites") != 0 &&
	     strcmp(words[0], "users") != 0))
		return ctl_usage(USAGE, NULL);
	json_t *result = ctl_ask("names", json_pack("{ss}", "prefix", words[1]), &status);
	json_array_foreach(json_object_get(result, words[0]), i, one)
	{
		ctl_put(stdout, json_string_value(one));
		putchar('\n');
	}
	json_decref(result);
	return status;
}
