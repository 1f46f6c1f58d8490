#include "unit.h"

#include "base/handover.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* The service manager's end of NOTIFY_SOCKET, and what it was told last. */
static char folder[64], path[96], told[256];
static int manager = -1;

static int set_up(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	strcpy(folder, "/tmp/handover-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof path, "%s/notify", folder);
	strcpy(at.sun_path, path);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	return bind(manager, (struct sockaddr *)&at, sizeof at);
}

static int tear_down(void **state)
{
	close(manager);
	unlink(path);
	rmdir(folder);
	return 0;
}

/* What the manager is told; the descriptor that comes with it, or -1. */
static int hear(void)
{
	char room[CMSG_SPACE(sizeof(int))];
	struct iovec part = {told, sizeof told - 1};
	struct msghdr m = {.msg_iov = &part,
			   .msg_iovlen = 1,
			   .msg_control = room,
			   .msg_controllen = sizeof room};
	memset(told, 0, sizeof told);
	assert_true(recvmsg(manager, &m, 0) > 0);
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int fd = -1;
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof fd);
	return fd;
}

static void test_what_is_kept(void **state)
{
	int pair[2], fd;
	assert_int_equal(pipe(pair), 0);
	setenv("NOTIFY_SOCKET", path, 1);
	handover_keep("queue-7", pair[0]);
	unsetenv("NOTIFY_SOCKET");
	fd = hear();
	assert_string_equal(told, "FDSTORE=1\nFDNAME=queue-7");
	assert_int_equal(write(pair[1], "x", 1), 1);
	char byte = 0;
	assert_int_equal(read(fd, &byte, 1), 1);
	assert_int_equal(byte, 'x');
	assert_int_not_equal(fcntl(pair[0], F_GETFD), -1); /* the caller still has it */
	close(fd);
	close(pair[0]);
	close(pair[1]);
}

static void test_without_a_manager(void **state)
{
	handover_keep("queue-0", 0);
	assert_int_equal(handover_take("queue-0"), -1);
	handover_end();
}

/* As the daemon that is started with what the one before left: 3 and 4. */
static void heir(const char *pid)
{
	char own[16];
	snprintf(own, sizeof own, "%d", (int)getpid());
	setenv("LISTEN_PID", pid ? pid : own, 1);
	setenv("LISTEN_FDS", "2", 1);
	setenv("LISTEN_FDNAMES", "queue-0:copies-2", 1);
	setenv("NOTIFY_SOCKET", path, 1);
	if (pid)
		_exit(handover_take("queue-0") == -1 ? 0 : 1);
	if (handover_take("queue-1") != -1 || handover_take("queue-0") != 3)
		_exit(2);
	if (handover_take("queue-0") != -1 || getenv("LISTEN_FDS"))
		_exit(3);
	handover_end();
	if (!(fcntl(3, F_GETFD) & FD_CLOEXEC)) /* open, and no child's */
		_exit(4);
	_exit(fcntl(4, F_GETFD) == -1 ? 0 : 5);
}

static int heir_of(const char *pid)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		int null = open("/dev/null", O_RDONLY);
		int a = fcntl(null, F_DUPFD, 10);
		dup2(a, 3);
		dup2(a, 4);
		heir(pid);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_what_is_taken(void **state)
{
	assert_int_equal(heir_of(NULL), 0);
	hear();
	assert_string_equal(told, "FDSTOREREMOVE=1\nFDNAME=copies-2");
	assert_int_equal(recv(manager, told, sizeof told, 0), -1); /* nothing else is removed */
}

static void test_not_of_another_process(void **state)
{
	assert_int_equal(heir_of("1"), 0);
}

/* Without a service manager nothing is waited for; one that does not listen is an error. */
static void test_waiting(void **state)
{
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(handover_wait(), 0);
	setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
	assert_true(handover_wait() < 0);
	unsetenv("NOTIFY_SOCKET");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_kept),           cmocka_unit_test(test_what_is_taken),
		cmocka_unit_test(test_not_of_another_process), cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_without_a_manager), /* last: it asks in this process */
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
