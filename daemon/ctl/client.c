#include "ctl/ctl.h"

#include "control/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct ctl_client {
	int fd;
	FILE *from;
	char *line;
	size_t cap;
};

/* As given, else as the given configuration says, else the default. */
static bool socket_path(char out[static sizeof(struct sockaddr_un)])
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
	bool fits = strlen(path) < sizeof((struct sockaddr_un){0}.sun_path);
	if (fits)
		strcpy(out, path);
	else
		fprintf(stderr, "tiergatectl: %s: the path is too long for a socket\n", path);
	config_free(c);
	return fits;
}

struct ctl_client *ctl_connect(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char path[sizeof at];
	if (!socket_path(path))
		return NULL;
	strcpy(at.sun_path, path);
	struct ctl_client *c = calloc(1, sizeof *c);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c && fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0 &&
	    (c->from = fdopen(fd, "r"))) {
		c->fd = fd;
		return c;
	}
	fprintf(stderr, "tiergatectl: the daemon does not answer at %s: %s\n", path,
		strerror(errno));
	if (fd >= 0)
		close(fd);
	free(c);
	return NULL;
}

void ctl_close(struct ctl_client *c)
{
	if (!c)
		return;
	fclose(c->from);
	free(c->line);
	free(c);
}

bool ctl_send(struct ctl_client *c, const char *command, json_t *members)
{
	json_t *request = members ? members : json_object();
	json_object_set_new(request, "id", json_integer(1));
	json_object_set_new(request, "v", json_integer(CONTROL_VERSION));
	json_object_set_new(request, "command", json_string(command));
	char *text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	bool sent = text && dprintf(c->fd, "%s\n", text) > 0;
	free(text);
	if (!sent)
		fprintf(stderr, "tiergatectl: the daemon cannot be asked: %s\n", strerror(errno));
	return sent;
}

json_t *ctl_receive(struct ctl_client *c)
{
	ssize_t len = getline(&c->line, &c->cap, c->from);
	json_t *answer = len > 0 ? json_loadb(c->line, (size_t)len, 0, NULL) : NULL;
	if (len <= 0)
		fputs("tiergatectl: the daemon has gone\n", stderr);
	else if (!answer)
		fputs("tiergatectl: the daemon's answer cannot be read\n", stderr);
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
	return strcmp(code, "failed") == 0 || strcmp(code, "not-found") == 0 ? EXIT_NO
									     : EXIT_CANNOT;
}

json_t *ctl_ask(const char *command, json_t *members, int *status)
{
	struct ctl_client *c = ctl_connect();
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
	ctl_close(c);
	return result;
}
