/* The machine's part of doctor. */
#include "ctl/doctor.h"

#include "wiring/wiring.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the kernel ---- */

/* The number in a file of the kernel's; -1 where there is none. */
static long number_in(const char *path)
{
	long n = -1;
	FILE *f = fopen(path, "re");
	if (f && fscanf(f, "%ld", &n) != 1)
		n = -1;
	if (f)
		fclose(f);
	return n;
}

static void look_at_forwarding(struct doctor *d)
{
	static const struct {
		const char *path, *name, *version;
	} of[] = {
		{"/proc/sys/net/ipv4/ip_forward", "net.ipv4.ip_forward", "IPv4"},
		{"/proc/sys/net/ipv6/conf/all/forwarding", "net.ipv6.conf.all.forwarding", "IPv6"}};
	for (size_t i = 0; i < 2; i++) {
		long on = number_in(of[i].path);
		if (on > 0)
			doctor_find(d, GOOD, "forwarding", "%s is on", of[i].version);
		else if (on == 0)
			doctor_find(d, i ? LOOK : BAD, "forwarding",
				    "%s is off: this host is no gateway; sysctl -w %s=1, and in "
				    "/etc/sysctl.d",
				    of[i].version, of[i].name);
	}
}

static void look_at_conntrack(struct doctor *d)
{
	long max = number_in("/proc/sys/net/netfilter/nf_conntrack_max");
	long count = number_in("/proc/sys/net/netfilter/nf_conntrack_count");
	if (max > 0 && count > max / 10 * 8)
		doctor_find(d, BAD, "conntrack",
			    "%ld of %ld entries: new flows are dropped when it is full; raise "
			    "net.netfilter.nf_conntrack_max",
			    count, max);
	else if (max > 0)
		doctor_find(d, GOOD, "conntrack", "%ld of %ld entries", count, max);
	if (number_in("/proc/sys/net/netfilter/nf_conntrack_acct") == 0)
		doctor_find(d, LOOK, "conntrack",
			    "bytes are not counted (nf_conntrack_acct): sessions "
			    "and ends of flows tell 0; tiergatectl wiring up sets "
			    "it");
}

static void look_at_kernel(struct doctor *d, const struct config *c)
{
	struct errors errors = {0};
	enum wiring_backend b;
	if (geteuid() != 0) /* tries it in a namespace of its own */
		return;
	b = wiring_probe(c, &errors);
	if (b == WIRING_NONE)
		doctor_find_all(d, BAD, "kernel", &errors);
	else
		doctor_find(d, GOOD, "kernel", "takes all rules, by %s", wiring_backend_name(b));
	errors_deinit(&errors);
}

static void look_at_nat(struct doctor *d, const struct config *c)
{
	struct errors warnings = {0};
	wiring_warn_of_nat(c, &warnings);
	doctor_find_all(d, LOOK, "NAT", &warnings);
}

/* ---- where the daemon writes ---- */

/* Who runs the daemon, else who would; NULL where only one's own rights can be tried. */
static const struct passwd *daemon_user(const struct config *c)
{
	struct stat st;
	if (geteuid() != 0)
		return NULL;
	return stat(c->control_socket, &st) == 0 ? getpwuid(st.st_uid) : getpwnam("tiergate");
}

/* 0, or the errno. In a process of its own: there is no way back. */
static int try_to_write(const struct passwd *user, const char *path, int mode)
{
	pid_t child = fork();
	if (child == 0) {
		if (user && (initgroups(user->pw_name, user->pw_gid) != 0 ||
			     setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0))
			_exit(0); /* it could not be tried */
		_exit(access(path, mode) == 0 ? 0 : errno);
	}
	int status = 0;
	if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status))
		return 0;
	return WEXITSTATUS(status);
}

/* A file that is not there yet is made in its folder. */
static void look_at_disk(struct doctor *d, const struct config *c, const char *what,
			 const char *path)
{
	struct statvfs v;
	struct stat st;
	const struct passwd *user = daemon_user(c);
	char where[PATH_MAX];
	snprintf(where, sizeof where, "%s", path);
	char *slash = strrchr(where, '/');
	if (stat(where, &st) != 0 && slash && slash > where)
		*slash = '\0';
	if (stat(where, &st) != 0 || statvfs(where, &v) != 0) {
		doctor_find(d, BAD, what, "%s: is not there; make it", where);
		return;
	}
	double left = v.f_blocks ? (double)v.f_bavail / (double)v.f_blocks : 1;
	int e = v.f_flag & ST_RDONLY
			? EROFS
			: try_to_write(user, where, S_ISDIR(st.st_mode) ? W_OK | X_OK : W_OK);
	if (e)
		doctor_find(d, BAD, what, "%s can't be written to by %s: %s; chown or chmod it",
			    where, user ? user->pw_name : "this user", strerror(e));
	else
		doctor_find(d, left < 0.05 ? LOOK : GOOD, what, "%s: %.0f %% of its disk are free",
			    where, left * 100);
}

static void look_at_clock(struct doctor *d)
{
	struct timex t = {0};
	if (adjtimex(&t) == TIME_ERROR)
		doctor_find(d, LOOK, "clock",
			    "it is not synchronised: schedules, expiries and records "
			    "go by it; timedatectl set-ntp true");
	else
		doctor_find(d, GOOD, "clock", "synchronised");
}

void doctor_machine(struct doctor *d, const struct config *c)
{
	look_at_forwarding(d);
	look_at_conntrack(d);
	if (c) {
		look_at_kernel(d, c);
		look_at_nat(d, c);
	}
	if (c && c->log == CONFIG_LOG_FILE)
		look_at_disk(d, c, "log", c->log_file);
	if (c)
		look_at_disk(d, c, "state", c->state_dir);
	look_at_clock(d);
}
