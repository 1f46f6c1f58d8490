#include "ctl/ctl.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static_assert(CTL_SOCKET_MAX == sizeof((struct sockaddr_un){0}.sun_path), "a socket's path");

bool ctl_socket(char out[static CTL_SOCKET_MAX])
{
	struct errors errors = {0};
	const char *path = ctl.socket ? ctl.socket : CTL_SOCKET;
	struct config *c = NULL;
	if (!ctl.socket && ctl.config) {
		c = config_load(ctl.config, CONFIG_FOR_CHECK, &errors);
		errors_print(&errors, stderr);
		errors_deinit(&errors);
		if (!c)
			return false;
		path = c->control_socket;
	}
	bool fits = strlen(path) < CTL_SOCKET_MAX;
	if (fits)
		strcpy(out, path);
	else
		fprintf(stderr, "tiergatectl: %s: the path is too long for a socket\n", path);
	config_free(c);
	return fits;
}

struct call *ctl_connect(void)
{
	char path[CTL_SOCKET_MAX];
	if (!ctl_socket(path))
		return NULL;
	struct call *c = call_open(path, 0);
	if (!c)
		fprintf(stderr, "tiergatectl: the daemon does not answer at %s: %s; %s\n", path,
			strerror(errno),
			errno == EACCES || errno == EPERM
				? "run it as root, or as a member of the group tiergate"
				: "systemctl status tiergated");
	return c;
}

bool ctl_send(struct call *c, const char *command, json_t *members)
{
	bool sent = call_send(c, command, members);
	if (!sent)
		fprintf(stderr, "tiergatectl: the daemon cannot be asked: %s\n", strerror(errno));
	return sent;
}

json_t *ctl_receive(struct call *c)
{
	json_t *answer = call_receive(c);
	if (!answer)
		fputs(errno == EBADMSG ? "tiergatectl: the daemon's answer cannot be read\n"
				       : "tiergatectl: the daemon has gone\n",
		      stderr);
	return answer;
}

int ctl_refused(const json_t *answer)
{
	const char *code = ctl_text(answer, "code");
	size_t i;
	json_t *line;
	json_array_foreach(json_object_get(answer, "errors"), i, line)
	{
		ctl_put(stderr, json_string_value(line));
		fputc('\n', stderr);
	}
	fputs("tiergatectl: ", stderr);
	ctl_put(stderr, ctl_text(answer, "error"));
	fputc('\n', stderr);
	if (strcmp(code, "bad-request") == 0)
		return EXIT_USAGE;
	bool no = strcmp(code, "failed") == 0 || strcmp(code, "not-found") == 0 ||
		  strcmp(code, "blocked") == 0;
	return no ? EXIT_NO : EXIT_CANNOT;
}

json_t *ctl_ask(const char *command, json_t *members, int *status)
{
	struct call *c = ctl_connect();
	json_t *answer = NULL, *result = NULL;
	*status = EXIT_CANNOT;
	if (c && ctl_send(c, command, members))
		answer = ctl_receive(c);
	else if (!c)
		json_decref(members);
	if (answer && json_is_true(json_object_get(answer, "ok"))) {
		result = json_incref(json_object_get(answer, "result"));
		*status = EXIT_DONE;
	} else if (answer) {
		*status = ctl_refused(answer);
	}
	json_decref(answer);
	call_close(c);
	return result;
}
