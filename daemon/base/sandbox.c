#include "base/sandbox.h"

#include "base/log.h"
#include "base/sandbox_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/landlock.h of a newer kernel than that of the oldest distribution that we are built on;
 * landlock(7) says which version of the interface has what. */
#define FS_EXECUTE     (UINT64_C(1) << 0)
#define FS_WRITE_FILE  (UINT64_C(1) << 1)
#define FS_READ_FILE   (UINT64_C(1) << 2)
#define FS_READ_DIR    (UINT64_C(1) << 3)
#define FS_REMOVE_DIR  (UINT64_C(1) << 4)
#define FS_REMOVE_FILE (UINT64_C(1) << 5)
#define FS_MAKE_DIR    (UINT64_C(1) << 7)
#define FS_MAKE_REG    (UINT64_C(1) << 8)
#define FS_MAKE_SOCK   (UINT64_C(1) << 9)
#define FS_VERSION_1   ((UINT64_C(1) << 13) - 1)
#define FS_REFER       (UINT64_C(1) << 13) /* 2 */
#define FS_TRUNCATE    (UINT64_C(1) << 14) /* 3 */
#define FS_IOCTL_DEV   (UINT64_C(1) << 15) /* 5 */
#define NET_TCP        UINT64_C(3)         /* 4: bind, connect */
#define SCOPE_SIGNAL   (UINT64_C(1) << 1)  /* 6 */
#define FS_OF_FILES    (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE)

struct ruleset_attr {
	uint64_t fs, net, scoped;
};

static const uint64_t rights[] = {
	[SANDBOX_READ] = FS_READ_FILE | FS_READ_DIR,
	[SANDBOX_WRITE] = FS_READ_FILE | FS_READ_DIR | FS_WRITE_FILE | FS_REMOVE_DIR |
			  FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG | FS_MAKE_SOCK | FS_TRUNCATE,
	[SANDBOX_MAKE] = FS_READ_FILE | FS_WRITE_FILE | FS_MAKE_REG | FS_TRUNCATE,
	[SANDBOX_EXECUTE] = FS_READ_FILE | FS_READ_DIR | FS_EXECUTE,
};

struct place {
	char *path; /* without links */
	enum sandbox_use use;
};

/* Of the process, as what it stands for is. */
static struct {
	struct place *place;
	size_t count;
	bool on;
	const char *lacks;
} sandbox = {.lacks = "it was not asked for"};

void sandbox_allow(const char *path, enum sandbox_use use)
{
	char *real = realpath(path, NULL);
	struct place *more =
		real ? reallocarray(sandbox.place, sandbox.count + 1, sizeof *more) : NULL;
	if (!more) {
		free(real);
		return;
	}
	sandbox.place = more;
	sandbox.place[sandbox.count++] = (struct place){real, use};
}

static void allow_folder_of(const char *file, enum sandbox_use use)
{
	char copy[PATH_MAX];
	if (strlen(file) >= sizeof copy)
		return;
	strcpy(copy, file);
	const char *folder = dirname(copy);
	char *real = realpath(folder, NULL);
	sandbox_allow(real && strcmp(real, "/") == 0 ? file : folder, use);
	free(real);
}

void sandbox_allow_around(const char *file, enum sandbox_use use)
{
	char *real = realpath(file, NULL);
	allow_folder_of(file, use);
	if (real)
		allow_folder_of(real, use);
	free(real);
}

void sandbox_allow_system(void)
{
	static const char *const read[] = {
		"/usr",
		"/lib",
		"/lib64",
		"/proc",
		"/sys/class/net",
		"/sys/devices",
		"/dev/urandom",
		"/dev/random",
		"/etc/localtime",
		"/etc/nsswitch.conf",
		"/etc/passwd",
		"/etc/group",
		"/etc/hosts",
		"/etc/services",
		"/etc/protocols",
		"/etc/host.conf",
		"/etc/ld.so.cache",
		/* users that are nowhere in a file: of services, of a directory */
		"/etc/userdb",
		"/run/userdb",
		"/run/systemd/userdb",
		"/run/nscd",
		"/var/lib/sss/mc",
	};
	for (size_t i = 0; i < sizeof read / sizeof *read; i++)
		sandbox_allow(read[i], SANDBOX_READ);
	sandbox_allow("/dev/null", SANDBOX_WRITE);
}

/* ---- Landlock ---- */

int sandbox_landlock(void)
{
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	return version < 0 ? 0 : (int)version;
}

static uint64_t fs_of(int version)
{
	return FS_VERSION_1 | (version >= 2 ? FS_REFER : 0) | (version >= 3 ? FS_TRUNCATE : 0) |
	       (version >= 5 ? FS_IOCTL_DEV : 0);
}

static int add_place(int ruleset, const struct place *p, uint64_t known)
{
	struct stat st;
	struct landlock_path_beneath_attr rule = {.allowed_access = rights[p->use] & known};
	rule.parent_fd = open(p->path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return 0; /* it has gone: nothing is to be opened there */
	if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed_access &= FS_OF_FILES;
	int e = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0
			? -errno
			: 0;
	close(rule.parent_fd);
	return e;
}

/* 0 or -errno. */
static int landlock(int version, enum sandbox_program program)
{
	struct ruleset_attr attr = {.fs = fs_of(version)};
	size_t size = version >= 6 ? sizeof attr : version >= 4 ? 16 : 8;
	if (version >= 4 && program == SANDBOX_DAEMON)
		attr.net = NET_TCP;
	if (version >= 6)
		attr.scoped = SCOPE_SIGNAL;
	int e = 0, ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (ruleset < 0)
		return -errno;
	for (size_t i = 0; i < sandbox.count && !e; i++)
		e = add_place(ruleset, &sandbox.place[i], attr.fs);
	if (!e && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		e = -errno;
	close(ruleset);
	return e;
}

/* ---- both ---- */

static bool set_landlock(enum sandbox_program program, struct errors *errors)
{
	int version = sandbox_landlock();
	if (!version) {
		sandbox.lacks = "this kernel has no Landlock, its lsm= does not name it, or the "
				"unit's SystemCallFilter= keeps it away: which files may be opened "
				"is not bounded";
		log_warn("%s", sandbox.lacks);
		return true;
	}
	int e = landlock(version, program);
	sandbox.on = e == 0;
	if (e)
		errors_add(errors, NULL, 0,
			   "Landlock can't be set: %s; TIERGATE_SANDBOX=off in the environment "
			   "runs without",
			   strerror(-e));
	return e == 0;
}

static bool set_calls(enum sandbox_program program, bool log, struct errors *errors)
{
	int e = sandbox_calls(program, log);
	if (e == -EINVAL || e == -ENOSYS || e == -EOPNOTSUPP) {
		sandbox.lacks =
			"this kernel has no seccomp, or the unit's SystemCallFilter= keeps it "
			"away: which system calls are made is not bounded";
		log_warn("%s", sandbox.lacks);
		return true;
	}
	if (e)
		errors_add(errors, NULL, 0,
			   "the filter of system calls can't be set: %s; TIERGATE_SANDBOX=off in "
			   "the environment runs without",
			   strerror(-e));
	return e == 0;
}

bool sandbox_on(enum sandbox_program program, struct errors *errors)
{
	const char *knob = getenv("TIERGATE_SANDBOX");
	bool off = knob && strcmp(knob, "off") == 0, log = knob && strcmp(knob, "log") == 0;
	if (knob && *knob && !off && !log && strcmp(knob, "on") != 0) {
		errors_add(errors, NULL, 0,
			   "TIERGATE_SANDBOX is \"%s\"; on, log and off would be accepted", knob);
		return false;
	}
	sandbox.lacks =
		off   ? "TIERGATE_SANDBOX=off: neither files nor system calls are bounded"
		: log ? "TIERGATE_SANDBOX=log: what the filter of system calls would refuse "
			"is logged, and passes"
		      : "";
	if (off || log)
		log_warn("%s", sandbox.lacks);
	if (off)
		return true;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		errors_add(errors, NULL, 0, "NoNewPrivs can't be set: %s", strerror(errno));
		return false;
	}
	return (log || set_landlock(program, errors)) &&
	       (program == SANDBOX_TOOL || set_calls(program, log, errors));
}

/* ---- what lies outside ---- */

static bool is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);
	return strcmp(folder, "/") == 0 ||
	       (strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0'));
}

/* Of what is not there, its folder's. */
static char *real_place(const char *path)
{
	char *copy, *real = realpath(path, NULL);
	if (real || errno != ENOENT || !(copy = strdup(path)))
		return real;
	real = realpath(dirname(copy), NULL);
	free(copy);
	return real;
}

bool sandbox_shuts(const char *path, enum sandbox_use use)
{
	char *real = sandbox.on ? real_place(path) : NULL;
	bool shut = real;
	for (size_t i = 0; i < sandbox.count && shut; i++)
		shut = (use != SANDBOX_READ && sandbox.place[i].use != use) ||
		       !is_below(real, sandbox.place[i].path);
	free(real);
	return shut;
}

const char *sandbox_error(const char *path, int error)
{
	static _Thread_local char text[160];
	if (error != EACCES || !sandbox_shuts(path, SANDBOX_READ))
		return strerror(error);
	snprintf(text, sizeof text,
		 "it is in a folder that this program shut itself out of at its start, as nothing "
		 "named it then; systemctl restart lets it in");
	return text;
}

const char *sandbox_lacks(void)
{
	return sandbox.lacks;
}
