#include "wiring/tool.h"

#include "base/log.h"
#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const environment[] = {"PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
					  "LC_ALL=C", NULL};

enum { NO_HELPER = 125, NO_SCRATCH = 126, NO_TOOL = 127 };

/* Root of its own user namespace, by the one line of a map that everybody may write: a program that
 * is started as nobody there has no right left, and could load nothing. The line is of `user`. */
static bool be_root_there(const char *user)
{
	int fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
	ssize_t len = (ssize_t)strlen(user);
	bool done = fd >= 0 && write(fd, user, (size_t)len) == len;
	if (fd >= 0)
		close(fd);
	return done;
}

static bool leave(const char *user)
{
	return unshare(CLONE_NEWNET) == 0 ||
	       (unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 && be_root_there(user));
}

/* Between fork and exec: only what a child of a program with threads may call. user: NULL, or it
 * runs in a scratch namespace. */
static _Noreturn void become(const char *const argv[], const int fds[3], const char *user)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (user && !leave(user))
		_exit(NO_SCRATCH);
	for (int i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0)
			_exit(NO_TOOL);
	execvpe(argv[0], (char *const *)argv, (char *const *)environment);
	_exit(NO_TOOL);
}

static int memory_file(const char *text)
{
	int fd = memfd_create("tiergate-tool", MFD_CLOEXEC);
	size_t len = text ? strlen(text) : 0;
	for (size_t done = 0; fd >= 0 && done < len;) {
		ssize_t n = write(fd, text + done, len - done);
		if (n < 0) {
			close(fd);
			return -1;
		}
		done += (size_t)n;
	}
	if (fd >= 0)
		lseek(fd, 0, SEEK_SET);
	return fd;
}

static char *read_back(int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return NULL;
	char *text = calloc(1, (size_t)st.st_size + 1);
	ssize_t n = text ? pread(fd, text, (size_t)st.st_size, 0) : 0;
	if (text && n >= 0)
		text[n] = '\0';
	return text;
}

static int wait_for(pid_t child)
{
	int status;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return NO_TOOL;
	return WIFEXITED(status) ? WEXITSTATUS(status) : NO_TOOL;
}

static int run_here(const char *const argv[], const int fds[3], bool scratch)
{
	char user[32];
	snprintf(user, sizeof user, "0 %u 1", (unsigned)geteuid());
	pid_t child = fork();
	if (child == 0)
		become(argv, fds, scratch ? user : NULL);
	return child > 0 ? wait_for(child) : NO_TOOL;
}

/* ---- the helper: a request is the words of a command, a zero after each, and three descriptors;
 * the answer is a status ---- */

enum { WORDS = 16, TEXT = 4096 };

static int helper = -1; /* its socket; -1: none, programs are run here */
static bool helper_only;
static pthread_mutex_t helper_lock = PTHREAD_MUTEX_INITIALIZER;

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(3 * sizeof(int))];
};

/* What a daemon that somebody has taken over may have run, and nothing else. */
static bool may_run(const char *program)
{
	static const char *const known[] = {"nft", "iptables-save", "ip6tables-save",
					    "iptables-restore", "ip6tables-restore"};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(program, known[i]) == 0)
			return true;
	return false;
}

/* Words and descriptors of a request, whose length is given; false: it is none. */
static bool take_request(const struct msghdr *m, char *text, size_t len,
			 const char *argv[static WORDS], int fds[3])
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(m);
	size_t count = 0;
	if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(3 * sizeof(int)))
		return false;
	memcpy(fds, CMSG_DATA(c), 3 * sizeof(int));
	if (len == 0 || text[len - 1] != '\0')
		return false;
	for (size_t at = 0; at < len; at += strlen(text + at) + 1) {
		if (count == WORDS - 1)
			return false;
		argv[count++] = text + at;
	}
	argv[count] = NULL;
	return may_run(argv[0]);
}

static bool serve_one(int from)
{
	char text[TEXT];
	union control control;
	struct iovec v = {text, sizeof text};
	struct msghdr m = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof control};
	const char *argv[WORDS];
	int fds[3] = {-1, -1, -1}, status = NO_TOOL;
	ssize_t n = recvmsg(from, &m, MSG_CMSG_CLOEXEC);
	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0)
		return false; /* the daemon has ended */
	if (take_request(&m, text, (size_t)n, argv, fds))
		status = run_here(argv, fds, false);
	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return send(from, &status, sizeof status, MSG_NOSIGNAL) == sizeof status;
}

/* It keeps nothing of the daemon's: no queue's socket, and no word of its configuration. It ends
 * with the daemon alone, whoever sends signals to all of the service. */
static _Noreturn void serve(int from)
{
	struct errors errors = {0};
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_NAME, "tiergate-tool");
	if (dup2(from, 3) < 0)
		_exit(1);
	close_range(4, ~0U, 0);
	sandbox_allow("/", SANDBOX_EXECUTE);
	sandbox_allow("/dev/null", SANDBOX_WRITE);
	sandbox_allow("/run", SANDBOX_WRITE); /* xtables.lock */
	if (!sandbox_on(SANDBOX_TOOL, &errors)) {
		log_error("what runs nft: %s", errors.lines[0]);
		_exit(1);
	}
	while (serve_one(3))
		;
	_exit(0);
}

bool tool_helper(struct errors *errors)
{
	int pair[2];
	pid_t child = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
		child = fork();
		if (child == 0)
			serve(pair[1]);
		close(pair[1]);
		helper = pair[0];
	}
	if (child < 0)
		errors_add(errors, NULL, 0, "the process that runs nft can't be made: %s",
			   strerror(errno));
	return child > 0;
}

void tool_helper_only(void)
{
	helper_only = true;
}

static bool send_request(const char *const argv[], const int fds[3])
{
	char text[TEXT];
	size_t len = 0;
	for (; *argv; argv++) {
		size_t n = strlen(*argv) + 1;
		if (len + n > sizeof text)
			return false;
		memcpy(text + len, *argv, n);
		len += n;
	}
	union control control = {0};
	struct iovec v = {text, len};
	struct msghdr m = {.msg_iov = &v,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof control};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(3 * sizeof(int));
	memcpy(CMSG_DATA(c), fds, 3 * sizeof(int));
	return sendmsg(helper, &m, MSG_NOSIGNAL) == (ssize_t)len;
}

static int run_there(const char *const argv[], const int fds[3])
{
	int status = NO_HELPER;
	ssize_t n = -1;
	pthread_mutex_lock(&helper_lock);
	if (send_request(argv, fds))
		while ((n = recv(helper, &status, sizeof status, 0)) < 0 && errno == EINTR)
			;
	pthread_mutex_unlock(&helper_lock);
	return n == sizeof status ? status : NO_HELPER;
}

bool tool_run(struct tool *t, const char *const argv[], const char *input, bool scratch)
{
	static const char gone[] = "the process that runs it has ended; restart tiergated";
	int fds[3] = {memory_file(input), memory_file(NULL), memory_file(NULL)};
	*t = (struct tool){.status = NO_TOOL};
	if (fds[0] >= 0 && fds[1] >= 0 && fds[2] >= 0) {
		t->status = !helper_only ? run_here(argv, fds, scratch)
			    : scratch    ? NO_SCRATCH
					 : run_there(argv, fds);
		t->out = read_back(fds[1]);
		t->err = t->status == NO_HELPER ? strdup(gone) : read_back(fds[2]);
	}
	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return t->out && t->err;
}

void tool_deinit(struct tool *t)
{
	free(t->out);
	free(t->err);
	*t = (struct tool){0};
}
