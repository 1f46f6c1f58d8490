/* Where a question of one address is asked about a user: at each of the user's sessions. */
#include "ctl/ctl.h"

#include <stdio.h>
#include <string.h>

void ctl_not_signed_in(const char *who, const json_t *result, const char *otherwise)
{
	const char *meant = ctl_text(result, "meant");
	fputs("tiergatectl: ", stderr);
	ctl_put(stderr, who);
	fputs(meant[0] ? " is not signed in (did you mean " : " is not signed in", stderr);
	ctl_put(stderr, meant);
	fprintf(stderr, "%s%s\n", meant[0] ? "?)" : "", otherwise);
}

/* The first address of each session of a user; *end is the end of the answer. */
static int sessions_of(const char *user, json_t *addresses, json_t **end)
{
	json_t *answer;
	int status = EXIT_CANNOT;
	struct call *c = ctl_connect();
	if (!c || !ctl_send(c, "sessions", json_pack("{ss}", "user", user))) {
		call_close(c);
		return EXIT_CANNOT;
	}
	while ((answer = ctl_receive(c)) && json_is_true(json_object_get(answer, "more"))) {
		json_t *all = json_object_get(json_object_get(answer, "result"), "addresses");
		json_array_append(addresses, json_array_get(all, 0));
		json_decref(answer);
	}
	if (answer)
		status = json_is_true(json_object_get(answer, "ok")) ? EXIT_DONE
								     : ctl_refused(answer);
	*end = json_incref(json_object_get(answer, "result"));
	json_decref(answer);
	call_close(c);
	return status;
}

int ctl_where(const char *address, const char *user, int (*ask)(const char *address))
{
	size_t i;
	json_t *one;
	if (address)
		return ask(address);
	json_t *addresses = json_array(), *end = NULL;
	int status = sessions_of(user, addresses, &end);
	if (status == EXIT_DONE && json_array_size(addresses) == 0) {
		ctl_not_signed_in(user, end, "; ask by --address");
		status = EXIT_NO;
	}
	json_decref(end);
	json_array_foreach(addresses, i, one)
	{
		int done = ask(json_string_value(one));
		status = done > status ? done : status;
	}
	json_decref(addresses);
	return status;
}
