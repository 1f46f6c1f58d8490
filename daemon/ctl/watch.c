#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define USAGE                                                                                      \
	"watch [--user U] [--tier T] [--address A] [--name HOST] [--action allow|deny|end] "       \
	"[--json]"

/* Prints what comes until either end has gone. */
static int follow(struct call *c)
{
	json_t *answer;
	int status = EXIT_CANNOT;
	while (!ferror(stdout) && (answer = ctl_receive(c))) {
		json_t *lost = json_object_get(answer, "lost");
		json_t *record = json_object_get(answer, "record");
		const char *text = json_string_value(json_object_get(answer, "text"));
		if (json_is_false(json_object_get(answer, "ok"))) {
			status = ctl_refused(answer);
			json_decref(answer);
			return status;
		}
		if (lost)
			fprintf(stderr, "(%lld lines were lost: too slow)\n",
				(long long)json_integer_value(lost));
		if (record)
			ctl_put_json(record);
		if (text) /* the daemon has taken out what a terminal must not see */
			puts(text);
		fflush(stdout);
		json_decref(answer);
	}
	return ferror(stdout) ? EXIT_DONE : status;
}

int ctl_watch(int argc, char **argv)
{
	const char *filter[5] = {NULL};
	static const char *const name[5] = {"user", "tier", "address", "name", "action"};
	const struct ctl_option options[] = {
		{name[0], &filter[0], NULL}, {name[1], &filter[1], NULL},
		{name[2], &filter[2], NULL}, {name[3], &filter[3], NULL},
		{name[4], &filter[4], NULL}, {0}};
	if (!ctl_options(argc, argv, options, NULL) || ctl.help)
		return ctl_usage(USAGE, NULL);
	bool colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	json_t *members = json_pack("{sb sb}", "text", !ctl.json, "colour", colour);
	for (int i = 0; i < 5; i++)
		ctl_set(members, name[i], filter[i]);
	struct call *c = ctl_connect();
	int status = EXIT_CANNOT;
	if (!c)
		json_decref(members);
	else if (ctl_send(c, "watch", members))
		status = follow(c);
	call_close(c);
	return status;
}
