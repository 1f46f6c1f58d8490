#include "wiring/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const environment[] = {"PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
					  "LC_ALL=C", NULL};

enum { NO_SCRATCH = 126, NO_TOOL = 127 };

/* Between fork and exec: only what a child of a program with threads may call. */
static _Noreturn void become(const char *const argv[], const int fds[3], bool scratch)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (scratch && unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
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

bool tool_run(struct tool *t, const char *const argv[], const char *input, bool scratch)
{
	int fds[3] = {memory_file(input), memory_file(NULL), memory_file(NULL)};
	pid_t child = -1;
	*t = (struct tool){.status = NO_TOOL};
	if (fds[0] >= 0 && fds[1] >= 0 && fds[2] >= 0)
		child = fork();
	if (child == 0)
		become(argv, fds, scratch);
	if (child > 0) {
		t->status = wait_for(child);
		t->out = read_back(fds[1]);
		t->err = read_back(fds[2]);
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
