/* Each case in a process of its own: what was taken does not come back. */
#include "base/sandbox.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <netdb.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZER 1 /* the filter is a loose one */
#else
#define SANITIZER 0
#endif

static char folder[64], elsewhere[64];

static void put(const char *where, const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", where, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int set_up(void **state)
{
	strcpy(folder, "/tmp/test-sandbox-XXXXXX");
	strcpy(elsewhere, "/tmp/test-outside-XXXXXX");
	assert_non_null(mkdtemp(folder));
	assert_non_null(mkdtemp(elsewhere));
	put(folder, "in", "in");
	put(elsewhere, "out", "out");
	put(elsewhere, "target", "target");
	return 0;
}

static int tear_down(void **state)
{
	char command[256];
	snprintf(command, sizeof command, "rm -rf %s %s", folder, elsewhere);
	return system(command);
}

/* What waitpid says of a child that does this: 0, or the number of the line that was wrong. */
static int in_child(void (*what)(enum sandbox_program), enum sandbox_program program)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		what(program);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* Lines below 256 apart are told apart; the text names the line. */
#define MUST(what)                                                                                 \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #what,              \
				strerror(errno));                                                  \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

static void shut(enum sandbox_program program)
{
	struct errors errors = {0};
	sandbox_allow_system();
	sandbox_allow(folder, SANDBOX_WRITE);
	MUST(sandbox_on(program, &errors));
}

static const char *in(const char *where, const char *name)
{
	static char path[2][128];
	static int turn;
	turn = !turn;
	snprintf(path[turn], sizeof path[turn], "%s/%s", where, name);
	return path[turn];
}

/* ---- files ---- */

static void open_outside(enum sandbox_program program)
{
	unlink(in(folder, "link"));
	MUST(symlink(in(elsewhere, "target"), in(folder, "link")) == 0);
	shut(program);
	MUST(open(in(elsewhere, "out"), O_RDONLY) < 0 && errno == EACCES);
	MUST(open(in(elsewhere, "new"), O_WRONLY | O_CREAT, 0600) < 0 && errno == EACCES);
	MUST(open(in(folder, "link"), O_RDONLY) < 0 && errno == EACCES);
	MUST(open(elsewhere, O_RDONLY | O_DIRECTORY) < 0 && errno == EACCES);
	MUST(open("/etc/shadow", O_RDONLY) < 0 && errno == EACCES);
	MUST(open("/usr/written", O_WRONLY | O_CREAT, 0600) < 0 && errno == EACCES);
	MUST(open("/proc/self/mem", O_RDWR) < 0 && errno == EACCES);
	MUST(unlink(in(elsewhere, "out")) < 0 && errno == EACCES);
	MUST(rename(in(folder, "in"), in(elsewhere, "in")) < 0);
	MUST(link(in(elsewhere, "out"), in(folder, "out")) < 0);
	MUST(mkdir(in(elsewhere, "d"), 0700) < 0 && errno == EACCES);
}

static void open_inside(enum sandbox_program program)
{
	char text[8] = "";
	shut(program);
	int fd = open(in(folder, "new"), O_RDWR | O_CREAT | O_EXCL, 0600);
	MUST(fd >= 0 && write(fd, "new", 3) == 3 && fsync(fd) == 0);
	MUST(fchmod(fd, 0640) == 0 && ftruncate(fd, 2) == 0);
	MUST(rename(in(folder, "new"), in(folder, "in")) == 0);
	fd = open(in(folder, "in"), O_RDONLY);
	MUST(fd >= 0 && read(fd, text, sizeof text) == 2 && strcmp(text, "ne") == 0);
	MUST(mkdir(in(folder, "d"), 0700) == 0 && rmdir(in(folder, "d")) == 0);
	MUST(unlink(in(folder, "in")) == 0);
	MUST(open("/etc/passwd", O_RDONLY) >= 0);
	MUST(open("/proc/self/status", O_RDONLY) >= 0);
	MUST(open("/dev/null", O_WRONLY) >= 0);
}

static void test_files(void **state)
{
	if (!sandbox_landlock())
		skip();
	assert_int_equal(in_child(open_outside, SANDBOX_DAEMON), 0);
	assert_int_equal(in_child(open_outside, SANDBOX_PORTAL), 0);
	assert_int_equal(in_child(open_outside, SANDBOX_PORTAL_PAM), 0);
	assert_int_equal(in_child(open_inside, SANDBOX_DAEMON), 0);
}

/* ---- links and replaced files: a certificate is renewed by another file and another link ---- */

static void renew(enum sandbox_program program)
{
	struct errors errors = {0};
	MUST(symlink(in(elsewhere, "target"), in(folder, "link")) == 0);
	sandbox_allow_system();
	sandbox_allow_around(in(folder, "link"), SANDBOX_READ);
	MUST(sandbox_on(program, &errors));
	MUST(open(in(folder, "link"), O_RDONLY) >= 0);
	MUST(open(in(folder, "in"), O_RDONLY) >= 0);
	MUST(open(in(elsewhere, "out"), O_RDONLY) >= 0);
	MUST(open(in(elsewhere, "out"), O_WRONLY) < 0 && errno == EACCES);
}

static void name_what_is_shut(enum sandbox_program program)
{
	MUST(!sandbox_shuts(in(elsewhere, "out"), SANDBOX_READ));
	shut(program);
	MUST(sandbox_shuts(in(elsewhere, "out"), SANDBOX_READ));
	MUST(!sandbox_shuts(in(folder, "in"), SANDBOX_READ));
	MUST(!sandbox_shuts(in(folder, "not-there"), SANDBOX_READ));
	MUST(sandbox_shuts(in(elsewhere, "not-there"), SANDBOX_READ));
	MUST(!sandbox_shuts(in(folder, "in"), SANDBOX_WRITE));
	MUST(sandbox_shuts("/usr/share/not-there", SANDBOX_WRITE));
	MUST(!sandbox_shuts("/usr/share/not-there", SANDBOX_READ));
	MUST(strstr(sandbox_error(in(elsewhere, "out"), EACCES), "systemctl restart"));
	MUST(strcmp(sandbox_error(in(elsewhere, "out"), ENOENT), strerror(ENOENT)) == 0);
	MUST(strcmp(sandbox_error(in(folder, "in"), EACCES), strerror(EACCES)) == 0);
}

/* /tmp/a is no folder above /tmp/ab. */
static void tell_names_apart(enum sandbox_program program)
{
	char longer[80];
	snprintf(longer, sizeof longer, "%s-more", folder);
	MUST(mkdir(longer, 0700) == 0);
	shut(program);
	bool good = sandbox_shuts(longer, SANDBOX_READ) && open(longer, O_RDONLY | O_DIRECTORY) < 0;
	MUST(good);
}

static void test_names(void **state)
{
	char longer[80];
	if (!sandbox_landlock())
		skip();
	assert_int_equal(in_child(renew, SANDBOX_PORTAL), 0);
	assert_int_equal(in_child(name_what_is_shut, SANDBOX_DAEMON), 0);
	assert_int_equal(in_child(tell_names_apart, SANDBOX_DAEMON), 0);
	snprintf(longer, sizeof longer, "%s-more", folder);
	rmdir(longer);
}

/* ---- calls ---- */

static void call_exec(enum sandbox_program program)
{
	shut(program);
	execl("/bin/true", "true", NULL);
}
static void call_exec_fd(enum sandbox_program program)
{
	int fd = open("/bin/true", O_RDONLY);
	shut(program);
	syscall(SYS_execveat, fd, "", (char *[]){"true", NULL}, (char *[]){NULL}, 0x1000);
}
static void call_ptrace(enum sandbox_program program)
{
	shut(program);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}
static void call_peek(enum sandbox_program program)
{
	shut(program);
	syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
}
static void call_unshare(enum sandbox_program program)
{
	shut(program);
	syscall(SYS_unshare, 0);
}
static void call_bpf(enum sandbox_program program)
{
	shut(program);
	syscall(SYS_bpf, 0, NULL, 0);
}
static void call_io_uring(enum sandbox_program program)
{
	shut(program);
	syscall(SYS_io_uring_setup, 1, NULL);
}
static void call_mount(enum sandbox_program program)
{
	shut(program);
	syscall(SYS_mount, NULL, NULL, NULL, 0, NULL);
}

static void test_fatal(void **state)
{
	static void (*const calls[])(enum sandbox_program) = {
		call_ptrace, call_peek,     call_unshare, call_bpf,
		call_mount,  call_io_uring, call_exec,    call_exec_fd,
	};
	if (SANITIZER)
		skip();
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		assert_int_equal(in_child(calls[i], SANDBOX_DAEMON), -SIGSYS);
		assert_int_equal(in_child(calls[i], SANDBOX_PORTAL), -SIGSYS);
		if (calls[i] != call_exec && calls[i] != call_exec_fd)
			assert_int_equal(in_child(calls[i], SANDBOX_PORTAL_PAM), -SIGSYS);
	}
}

static void refused(enum sandbox_program program)
{
	bool inet = program != SANDBOX_DAEMON;
	shut(program);
	MUST(socket(AF_INET, SOCK_RAW, IPPROTO_RAW) < 0 && errno == EPERM);
	MUST(socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW) < 0 && errno == EPERM);
	MUST(socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EPERM);
	MUST(socket(AF_VSOCK, SOCK_STREAM, 0) < 0 && errno == EPERM);
	MUST((socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0) == inet);
	MUST((socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0) >= 0) == inet);
	MUST(ioctl(0, TIOCSTI, "x") < 0 && errno == EPERM);
	MUST(prctl(PR_SET_DUMPABLE, 1) < 0 && errno == EPERM);
	MUST(kill(getpid(), 0) < 0 && errno == EPERM);
	MUST(syscall(SYS_setuid, getuid()) < 0 && errno == EPERM);
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	MUST(syscall(SYS_capset, &head, NULL) < 0 && errno == EPERM);
	MUST(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) < 0 && errno == EPERM);
	MUST(syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS);
	MUST(syscall(500) < 0 && errno == ENOSYS);
}

static void test_refused(void **state)
{
	if (SANITIZER)
		skip();
	assert_int_equal(in_child(refused, SANDBOX_DAEMON), 0);
	assert_int_equal(in_child(refused, SANDBOX_PORTAL), 0);
}

static void run_a_program(enum sandbox_program program)
{
	int status;
	struct errors errors = {0};
	sandbox_allow_system();
	sandbox_allow("/usr", SANDBOX_EXECUTE);
	MUST(sandbox_on(program, &errors));
	pid_t child = fork();
	if (child == 0)
		execl("/usr/bin/env", "env", "sh", "-c", "exit 3", NULL);
	MUST(child > 0 && waitpid(child, &status, 0) == child);
	MUST(WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

static void test_pam(void **state)
{
	assert_int_equal(in_child(run_a_program, SANDBOX_PORTAL_PAM), 0);
}

/* ---- what goes on ---- */

static void *late(void *arg)
{
	char *p = malloc(300 << 20); /* by mmap, and gives it back */
	*(bool *)arg = p && (p = realloc(p, 400 << 20));
	free(p);
	pthread_setname_np(pthread_self(), "late");
	return arg;
}

static void work(enum sandbox_program program)
{
	bool done = false;
	pthread_t t;
	struct timespec now = {0};
	struct addrinfo *found = NULL, want = {.ai_flags = AI_NUMERICHOST};
	char name[IF_NAMESIZE], *text = NULL;
	size_t len;
	int pair[2];
	shut(program);
	MUST(pthread_create(&t, NULL, late, &done) == 0 && pthread_join(t, NULL) == 0 && done);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	MUST(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0);
	MUST(getaddrinfo("192.0.2.1", "443", &want, &found) == 0);
	MUST(getpwnam("root") && if_indextoname(1, name));
	MUST(setenv("TZ", ":Europe/Berlin", 1) == 0);
	tzset();
	MUST(clock_gettime(CLOCK_REALTIME, &now) == 0 && localtime(&now.tv_sec)->tm_gmtoff > 0);
	FILE *f = open_memstream(&text, &len);
	MUST(f && fprintf(f, "%*d", 100000, 1) == 100000 && fclose(f) == 0);
	MUST(memfd_create("large", MFD_CLOEXEC | MFD_ALLOW_SEALING) >= 0);
	MUST(!isatty(pair[0]) && errno == ENOTTY);
	MUST(sysconf(_SC_NPROCESSORS_ONLN) > 0 && sysconf(_SC_PHYS_PAGES) > 0);
	f = tmpfile(); /* is /tmp, which is outside */
	MUST(!f || !sandbox_landlock());
}

static void *end(void *arg)
{
	pthread_exit(arg); /* loads a library */
}

static void end_thread(enum sandbox_program program)
{
	pthread_t t;
	void *got = NULL;
	int here = 0;
	shut(program);
	MUST(pthread_create(&t, NULL, end, &here) == 0 && pthread_join(t, &got) == 0);
	MUST(got == &here);
}

static void call_abort(enum sandbox_program program)
{
	shut(program);
	abort();
}

static void test_goes_on(void **state)
{
	for (int p = SANDBOX_DAEMON; p <= SANDBOX_PORTAL_PAM; p++) {
		assert_int_equal(in_child(work, p), 0);
		assert_int_equal(in_child(end_thread, p), 0);
	}
	assert_int_equal(in_child(call_abort, SANDBOX_DAEMON), -SIGABRT);
}

/* ---- the knob ---- */

static long field(const char *name)
{
	char line[256];
	long n = -1;
	FILE *f = fopen("/proc/self/status", "re");
	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, name, strlen(name)) == 0)
			n = atol(line + strlen(name));
	if (f)
		fclose(f);
	return n;
}

static void is_on(enum sandbox_program program)
{
	shut(program);
	MUST(field("Seccomp:") == 2 && field("NoNewPrivs:") == 1);
	MUST(!sandbox_landlock() || !*sandbox_lacks());
}

static void is_off(enum sandbox_program program)
{
	long before = field("Seccomp:");
	setenv("TIERGATE_SANDBOX", "off", 1);
	shut(program);
	MUST(open(in(elsewhere, "out"), O_RDONLY) >= 0 && field("Seccomp:") == before);
	MUST(strstr(sandbox_lacks(), "TIERGATE_SANDBOX=off"));
}

static void is_logged(enum sandbox_program program)
{
	setenv("TIERGATE_SANDBOX", "log", 1);
	shut(program);
	MUST(open(in(elsewhere, "out"), O_RDONLY) >= 0 && field("Seccomp:") == 2);
	MUST(kill(getpid(), 0) == 0);
}

static void is_wrong(enum sandbox_program program)
{
	struct errors errors = {0};
	setenv("TIERGATE_SANDBOX", "of", 1);
	MUST(!sandbox_on(program, &errors) && errors.count == 1);
	MUST(strstr(errors.lines[0], "on, log and off"));
}

static void test_knob(void **state)
{
	assert_int_equal(in_child(is_on, SANDBOX_DAEMON), 0);
	assert_int_equal(in_child(is_off, SANDBOX_DAEMON), 0);
	assert_int_equal(in_child(is_logged, SANDBOX_DAEMON), 0);
	assert_int_equal(in_child(is_wrong, SANDBOX_DAEMON), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_fatal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pam, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_goes_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_knob, set_up, tear_down),
	};
	unsetenv("TIERGATE_SANDBOX");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
