#include "base/sandbox_calls.h"

#include <errno.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZER 1 /* its runtime stops and reads the program that it is in */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZER 1
#endif
#endif
#ifndef SANITIZER
#define SANITIZER 0
#endif

/* All that the programs and their libraries (glibc, libsystemd, liburcu, libmnl, GnuTLS,
 * libmicrohttpd, PAM) may call on any path, also where the disk is full or memory runs out. Old and
 * new names of one call stand side by side: which one is used is the C library's choice, and the
 * architecture's. */
static const char *const allowed[] = {
	/* memory */
	"brk",
	"mmap",
	"mmap2",
	"munmap",
	"mremap",
	"mprotect",
	"madvise",
	"mincore",
	"mlock",
	"mlock2",
	"munlock",
	"msync",
	"membarrier",
	"memfd_create",
	/* threads; clone, prctl: see below */
	"futex",
	"futex_time64",
	"futex_waitv",
	"set_robust_list",
	"get_robust_list",
	"set_tid_address",
	"rseq",
	"sched_yield",
	"sched_getaffinity",
	"sched_getparam",
	"sched_getscheduler",
	"sched_getattr",
	"getcpu",
	"exit",
	"exit_group",
	"getpriority",
	"setpriority",
	"restart_syscall",
	"arch_prctl",
	/* who and what we are */
	"getpid",
	"getppid",
	"gettid",
	"getpgid",
	"getpgrp",
	"getsid",
	"getuid",
	"getuid32",
	"geteuid",
	"geteuid32",
	"getgid",
	"getgid32",
	"getegid",
	"getegid32",
	"getresuid",
	"getresuid32",
	"getresgid",
	"getresgid32",
	"getgroups",
	"getgroups32",
	"capget",
	"uname",
	"sysinfo",
	"getrlimit",
	"ugetrlimit",
	"prlimit64",
	"getrusage",
	"times",
	"getrandom",
	/* time */
	"clock_gettime",
	"clock_gettime64",
	"clock_getres",
	"clock_getres_time64",
	"clock_nanosleep",
	"clock_nanosleep_time64",
	"nanosleep",
	"gettimeofday",
	"time",
	"timerfd_create",
	"timerfd_settime",
	"timerfd_settime64",
	"timerfd_gettime",
	"timerfd_gettime64",
	"alarm",
	"setitimer",
	"getitimer",
	"adjtimex",
	"clock_adjtime",
	/* signals */
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"rt_sigpending",
	"rt_sigsuspend",
	"rt_sigtimedwait",
	"rt_sigtimedwait_time64",
	"sigreturn",
	"sigaltstack",
	"tgkill",
	"pause",
	"signalfd",
	"signalfd4",
	"wait4",
	"waitid",
	/* waiting */
	"poll",
	"ppoll",
	"ppoll_time64",
	"select",
	"_newselect",
	"pselect6",
	"pselect6_time64",
	"epoll_create",
	"epoll_create1",
	"epoll_ctl",
	"epoll_wait",
	"epoll_pwait",
	"epoll_pwait2",
	"eventfd",
	"eventfd2",
	"pipe",
	"pipe2",
	"inotify_init",
	"inotify_init1",
	"inotify_add_watch",
	"inotify_rm_watch",
	/* files, which Landlock bounds */
	"open",
	"openat",
	"openat2",
	"creat",
	"close",
	"close_range",
	"read",
	"readv",
	"pread64",
	"preadv",
	"preadv2",
	"write",
	"writev",
	"pwrite64",
	"pwritev",
	"pwritev2",
	"sendfile",
	"sendfile64",
	"splice",
	"copy_file_range",
	"lseek",
	"_llseek",
	"fcntl",
	"fcntl64",
	"dup",
	"dup2",
	"dup3",
	"flock",
	"fsync",
	"fdatasync",
	"sync_file_range",
	"ftruncate",
	"ftruncate64",
	"truncate",
	"truncate64",
	"fallocate",
	"fadvise64",
	"fadvise64_64",
	"readahead",
	"stat",
	"stat64",
	"lstat",
	"lstat64",
	"fstat",
	"fstat64",
	"fstatat64",
	"newfstatat",
	"statx",
	"statfs",
	"statfs64",
	"fstatfs",
	"fstatfs64",
	"access",
	"faccessat",
	"faccessat2",
	"readlink",
	"readlinkat",
	"getdents",
	"getdents64",
	"getcwd",
	"mkdir",
	"mkdirat",
	"rmdir",
	"unlink",
	"unlinkat",
	"rename",
	"renameat",
	"renameat2",
	"link",
	"linkat",
	"chmod",
	"fchmod",
	"fchmodat",
	"chown",
	"chown32",
	"lchown",
	"fchown",
	"fchown32",
	"fchownat",
	"utimensat",
	"utimensat_time64",
	"futimesat",
	"utime",
	"utimes",
	"umask",
	"getxattr",
	"lgetxattr",
	"fgetxattr",
	/* sockets; socket, socketpair, ioctl: see below */
	"bind",
	"connect",
	"listen",
	"accept",
	"accept4",
	"getsockname",
	"getpeername",
	"getsockopt",
	"setsockopt",
	"send",
	"sendto",
	"sendmsg",
	"sendmmsg",
	"recv",
	"recvfrom",
	"recvmsg",
	"recvmmsg",
	"recvmmsg_time64",
	"shutdown",
};

/* A module of PAM that runs a program, and what such a program begins with. */
static const char *const for_programs[] = {
	"execve",      "execveat",  "clone",       "fork",        "vfork",      "kill",
	"chdir",       "fchdir",    "setpgid",     "setsid",      "setrlimit",  "symlink",
	"symlinkat",   "setuid",    "setuid32",    "setgid",      "setgid32",   "setresuid",
	"setresuid32", "setresgid", "setresgid32", "setreuid",    "setreuid32", "setregid",
	"setregid32",  "setgroups", "setgroups32", "setfsuid",    "setfsuid32", "setfsgid",
	"setfsgid32",  "keyctl",    "add_key",     "request_key",
};

/* Whoever calls one of these has taken the program over: it ends at once, and the kernel's log says
 * why. */
static const char *const fatal[] = {
	"execve",
	"execveat",
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"bpf",
	"perf_event_open",
	"userfaultfd",
	"io_uring_setup",
	"init_module",
	"finit_module",
	"delete_module",
	"kexec_load",
	"kexec_file_load",
	"mount",
	"umount2",
	"move_mount",
	"open_tree",
	"fsopen",
	"fsmount",
	"fsconfig",
	"fspick",
	"mount_setattr",
	"pivot_root",
	"chroot",
	"setns",
	"unshare",
	"open_by_handle_at",
	"keyctl",
	"add_key",
	"request_key",
	"reboot",
	"swapon",
	"swapoff",
	"modify_ldt",
	"iopl",
	"ioperm",
	"pidfd_getfd",
};

/* 0 or -errno; a call that this architecture has not is no error. */
static int add(scmp_filter_ctx f, uint32_t action, const char *name)
{
	int call = seccomp_syscall_resolve_name(name);
	int e = call < 0 ? 0 : seccomp_rule_add(f, action, call, 0);
	return e == -EEXIST || e == -EDOM || e == -EACCES ? 0 : e; /* EACCES: the default action */
}

static int add_all(scmp_filter_ctx f, uint32_t action, const char *const *names, size_t count)
{
	int e = 0;
	for (size_t i = 0; i < count && !e; i++)
		e = add(f, action, names[i]);
	return e;
}

#define COUNT(a)                 (sizeof(a) / sizeof *(a))
#define ADD_ALL(f, action, list) add_all(f, action, list, COUNT(list))

static int add_if(scmp_filter_ctx f, int call, struct scmp_arg_cmp is)
{
	return seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 1, is);
}

/* Whole, as clang warns of what SCMP_A0 and SCMP_A1 leave out. */
static struct scmp_arg_cmp equal(unsigned arg, scmp_datum_t value)
{
	return (struct scmp_arg_cmp){arg, SCMP_CMP_EQ, value, 0};
}

/* Of AF_INET none that is raw: the daemon has opened those that it needs. */
static int add_sockets(scmp_filter_ctx f, enum sandbox_program program)
{
	static const int inet[] = {AF_INET, AF_INET6};
	int kinds = SOCK_CLOEXEC | SOCK_NONBLOCK;
	int e = add_if(f, SCMP_SYS(socket), equal(0, AF_UNIX));
	if (!e)
		e = add_if(f, SCMP_SYS(socket), equal(0, AF_NETLINK));
	if (!e)
		e = add_if(f, SCMP_SYS(socketpair), equal(0, AF_UNIX));
	for (size_t i = 0; i < COUNT(inet) && !e && program != SANDBOX_DAEMON; i++) {
		struct scmp_arg_cmp of = equal(0, (scmp_datum_t)inet[i]);
		scmp_datum_t mask = ~(scmp_datum_t)kinds & 0xffffffff;
		e = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, of,
				     SCMP_A1(SCMP_CMP_MASKED_EQ, mask, SOCK_STREAM));
		if (!e)
			e = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, of,
					     SCMP_A1(SCMP_CMP_MASKED_EQ, mask, SOCK_DGRAM));
	}
	return e;
}

/* What is asked of sockets, interfaces and terminals; not TIOCSTI, which types for its user. */
static int add_ioctls(scmp_filter_ctx f)
{
	static const unsigned long asked[] = {
		FIONREAD,    FIONBIO,        FIOCLEX,       FIONCLEX,       TCGETS,
		TIOCGWINSZ,  SIOCGIFNAME,    SIOCGIFINDEX,  SIOCGIFCONF,    SIOCGIFFLAGS,
		SIOCGIFADDR, SIOCGIFMTU,     SIOCGIFHWADDR, SIOCGIFNETMASK, SIOCOUTQ,
		SIOCETHTOOL, SIOCGIFBRDADDR,
	};
	int e = 0;
	for (size_t i = 0; i < COUNT(asked) && !e; i++) /* the kernel looks at 32 bits */
		e = add_if(f, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, asked[i]));
	return e;
}

/* Threads and no children; what names, times and asks, and what only takes rights away. */
static int add_threads(scmp_filter_ctx f)
{
	static const int asked[] = {PR_SET_NAME,         PR_GET_NAME,     PR_SET_TIMERSLACK,
				    PR_GET_TIMERSLACK,   PR_CAPBSET_READ, PR_GET_DUMPABLE,
				    PR_SET_VMA,          PR_GET_SECCOMP,  PR_GET_NO_NEW_PRIVS,
				    PR_SET_NO_NEW_PRIVS, PR_GET_KEEPCAPS, PR_GET_SECUREBITS,
				    PR_SET_PDEATHSIG};
	int e = add_if(f, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	for (size_t i = 0; i < COUNT(asked) && !e; i++)
		e = add_if(f, SCMP_SYS(prctl), equal(0, (scmp_datum_t)asked[i]));
	return e;
}

enum { FIRST_COMMON = 424, LAST_COMMON = 560 }; /* the numbers that all architectures share */

/* A C library that is younger than this list asks for calls that are not in it, and does without
 * them only where it hears that there are none. clone3 keeps its flags where no filter sees them.
 */
static int add_unknown(scmp_filter_ctx f)
{
	int e = 0;
	for (int call = FIRST_COMMON; call <= LAST_COMMON && !e; call++) {
		bool known = false;
		for (size_t i = 0; i < COUNT(allowed) && !known; i++)
			known = seccomp_syscall_resolve_name(allowed[i]) == call;
		for (size_t i = 0; i < COUNT(fatal) && !known; i++)
			known = seccomp_syscall_resolve_name(fatal[i]) == call;
		e = known ? 0 : seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), call, 0);
	}
	return e;
}

static int fill(scmp_filter_ctx f, enum sandbox_program program)
{
	bool runs = program == SANDBOX_PORTAL_PAM;
	int e = ADD_ALL(f, SCMP_ACT_ALLOW, allowed);
	if (!e)
		e = add_sockets(f, program);
	if (!e)
		e = add_ioctls(f);
	if (!e)
		e = add_threads(f);
	if (!e && runs)
		e = ADD_ALL(f, SCMP_ACT_ALLOW, for_programs);
	return e ? e : add_unknown(f);
}

/* With a sanitizer: all, but that nobody runs a program. */
static int fill_loosely(scmp_filter_ctx f, enum sandbox_program program)
{
	return program == SANDBOX_PORTAL_PAM
		       ? 0
		       : seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(execve), 0);
}

static int end_with(scmp_filter_ctx f, enum sandbox_program program, uint32_t action)
{
	int e = 0;
	for (size_t i = 0; i < COUNT(fatal) && !e; i++) {
		bool allowed_here = false;
		for (size_t k = 0; k < COUNT(for_programs); k++)
			allowed_here |= program == SANDBOX_PORTAL_PAM &&
					seccomp_syscall_resolve_name(for_programs[k]) ==
						seccomp_syscall_resolve_name(fatal[i]);
		e = allowed_here ? 0 : add(f, action, fatal[i]);
	}
	return e;
}

int sandbox_calls(enum sandbox_program program, bool log)
{
	uint32_t refused = log ? SCMP_ACT_LOG : SCMP_ACT_ERRNO(EPERM);
	scmp_filter_ctx f = seccomp_init(SANITIZER ? SCMP_ACT_ALLOW : refused);
	if (!f)
		return -ENOMEM;
	/* Packets are received through the filter: it searches a tree, and costs no mitigation of
	 * speculation that only interpreters of foreign code need. Old kernels have no such flag.
	 */
	seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	seccomp_attr_set(f, SCMP_FLTATR_CTL_SSB, 1);
	int e = SANITIZER ? fill_loosely(f, program) : fill(f, program);
	if (!e && !SANITIZER && !log)
		e = end_with(f, program, SCMP_ACT_KILL_PROCESS);
	if (!e)
		e = seccomp_load(f);
	seccomp_release(f);
	return e;
}
