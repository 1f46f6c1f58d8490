/* The input is what a daemon says to tiergatectl and the portal, whatever was asked: lines come
 * whole or not, are JSON or not, and then it goes. Each answer is read or refused; none hangs. */
#include "control/call.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_MAX = 65536 };

static int listener = -1;
static char path[64];

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void remove_socket(void)
{
	unlink(path);
}

static void set_up(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	snprintf(path, sizeof path, "/tmp/tiergate-fuzz-call-%d", (int)getpid());
	strcpy(at.sun_path, path);
	unlink(path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	require(listener >= 0 && bind(listener, (struct sockaddr *)&at, sizeof at) == 0 &&
		listen(listener, 4) == 0);
	atexit(remove_socket);
}

/* All of the lines, and then its end or what is no JSON. */
static void read_all(struct call *c, const uint8_t *data, size_t size)
{
	size_t lines = 1, read = 0;
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	for (;;) {
		json_t *answer = call_receive(c);
		int e = errno;
		require(answer || e == 0 || e == EBADMSG);
		if (!answer && e == 0)
			break;
		require(++read <= lines);
		if (answer) {
			char *text = json_dumps(answer, JSON_COMPACT | JSON_ENCODE_ANY);
			require(text);
			free(text);
		}
		json_decref(answer);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (listener < 0)
		set_up();
	if (size > ANSWER_MAX)
		return 0;
	struct call *c = call_open(path, 2);
	int fd = accept(listener, NULL, NULL);
	require(c && fd >= 0 && call_send(c, "status", NULL));
	require(send(fd, data, size, MSG_NOSIGNAL) == (ssize_t)size);
	shutdown(fd, SHUT_WR);
	read_all(c, data, size);
	call_close(c);
	close(fd);
	return 0;
}
