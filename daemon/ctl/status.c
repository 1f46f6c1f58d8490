#include "ctl/ctl.h"

#include <stdio.h>
#include <string.h>

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

int ctl_status(int argc, char **argv)
{
	static const struct ctl_option none[] = {{0}};
	int status;
	if (!ctl_options(argc, argv, none, NULL) || ctl.help)
		return ctl_usage("status [--json]", NULL);
	json_t *result = ctl_ask("status", NULL, &status);
	if (result && ctl.json)
		ctl_put_json(result);
	else if (result)
		show(result, 0);
	const char *wiring = json_string_value(json_object_get(result, "wiring"));
	if (wiring && strcmp(wiring, "in place") != 0)
		status = 1; /* the network is not governed as it should be */
	json_decref(result);
	return status;
}
