/* tiergatectl doctor: one verdict on the gateway, and a list of what was looked at, each with what
 * to do. Nothing is changed. */
#include "ctl/ctl.h"

#include "base/address.h"
#include "base/clock.h"
#include "policy/snapshot.h"
#include "wiring/wiring.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

enum state { GOOD, LOOK, BAD };
static const char *const states[] = {"ok", "look", "BAD"};

struct doctor {
	json_t *findings;
	unsigned bad, looks;
};

static void find(struct doctor *d, enum state s, const char *what, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static void find(struct doctor *d, enum state s, const char *what, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	d->bad += s == BAD;
	d->looks += s == LOOK;
	json_array_append_new(d->findings, json_pack("{s:s, s:s, s:s}", "state", states[s], "what",
						     what, "text", text));
}

/* A finding for each line; true where there was one. */
static bool find_all(struct doctor *d, enum state s, const char *what, struct errors *lines)
{
	bool any = lines->count > 0;
	for (size_t i = 0; i < lines->count; i++)
		find(d, s, what, "%s", lines->lines[i]);
	errors_deinit(lines);
	*lines = (struct errors){0};
	return any;
}

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

/* ---- the configuration ---- */

static bool look_at_policy(struct doctor *d, const char *path, struct policy *p)
{
	struct errors errors = {0}, warnings = {0};
	bool good = policy_load_and_expect(path, CONFIG_FOR_CHECK, p, &errors);
	if (!find_all(d, BAD, "configuration", &errors) && good)
		find(d, GOOD, "configuration", "%s is good, policy %s", path,
		     snapshot_digest(p->snapshot));
	if (!good)
		return false;
	if (snapshot_mode(p->snapshot) == CONFIG_OBSERVE)
		find(d, LOOK, "mode",
		     "observe: nothing is denied; when the log's tiergate.would "
		     "looks right, set mode = \"enforce\" and reload");
	config_warn(p->config, clock_now(), &warnings);
	find_all(d, LOOK, "configuration", &warnings);
	return true;
}

static void look_at_interfaces(struct doctor *d, const struct config *c)
{
	struct errors errors = {0};
	if (!wiring_interfaces(c, &errors))
		find_all(d, BAD, "interfaces", &errors);
	else
		find(d, GOOD, "interfaces", "packets can arrive by every name of `inside`");
	errors_deinit(&errors);
}

static bool has_version(const struct networks *list, bool four)
{
	for (size_t i = 0; i < list->count; i++)
		if (address_is4(&list->item[i].base) == four)
			return true;
	return false;
}

/* Who reads a segment's IPv4 and not its IPv6 governs half of what its hosts send. */
static void look_at_versions(struct doctor *d, const struct config *c)
{
	bool segments[2] = {false, false};
	for (size_t i = 0; i < c->segment_count; i++)
		segments[address_is4(&c->segments[i].network.base)] = true;
	if (segments[1] && !segments[0])
		find(d, LOOK, "IPv6",
		     "segments are of IPv4 alone: hosts of theirs are nobody by "
		     "IPv6; add their IPv6 networks");
	if (c->resolvers.count && has_version(&c->resolvers, true) &&
	    !has_version(&c->resolvers, false))
		find(d, LOOK, "IPv6",
		     "resolvers are of IPv4 alone: what a resolver tells over "
		     "IPv6 is not seen");
	if (c->internal.count && has_version(&c->internal, true) &&
	    !has_version(&c->internal, false))
		find(d, LOOK, "IPv6",
		     "internal names no IPv6 network: internal hosts are out of "
		     "reach by IPv6");
}

/* ---- the kernel ---- */

static void look_at_rules(struct doctor *d, const struct config *c)
{
	struct errors errors = {0}, warnings = {0};
	if (geteuid() != 0)
		find(d, LOOK, "rules", "only root can compare them: run as root");
	else if (!wiring_check(c, &errors))
		find(d, BAD, "rules",
		     "%s%s; `tiergatectl wiring check` says all, `tiergatectl wiring up` mends it",
		     errors.count ? errors.lines[0] : "none are loaded",
		     errors.count > 1 ? " and more" : "");
	else
		find(d, GOOD, "rules", "in place, as the configuration wants them");
	wiring_warn(c, &warnings);
	wiring_warn_of_ways(c, &warnings);
	find_all(d, LOOK, "network", &warnings);
	errors_deinit(&errors);
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
			find(d, GOOD, "forwarding", "%s is on", of[i].version);
		else if (on == 0)
			find(d, i ? LOOK : BAD, "forwarding",
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
		find(d, BAD, "conntrack",
		     "%ld of %ld entries: new flows are dropped when it is full; raise "
		     "net.netfilter.nf_conntrack_max",
		     count, max);
	else if (max > 0)
		find(d, GOOD, "conntrack", "%ld of %ld entries", count, max);
	if (number_in("/proc/sys/net/netfilter/nf_conntrack_acct") == 0)
		find(d, LOOK, "conntrack",
		     "bytes are not counted (nf_conntrack_acct): sessions "
		     "and ends of flows tell 0; tiergatectl wiring up sets "
		     "it");
}

/* ---- the daemon ---- */

static json_int_t number(const json_t *j, const char *group, const char *key)
{
	return json_integer_value(json_object_get(group ? json_object_get(j, group) : j, key));
}

static void look_at_queues(struct doctor *d, const json_t *status)
{
	size_t i;
	json_t *q;
	json_array_foreach(json_object_get(status, "queues"), i, q)
	{
		json_int_t full = number(q, NULL, "full") + number(q, NULL, "overruns");
		if (full)
			find(d, LOOK, "queues",
			     "queue %d was full %lld times since the start: raise queue_length, "
			     "or the number of queues",
			     (int)number(q, NULL, "queue"), (long long)full);
		else
			find(d, GOOD, "queues", "queue %d took every packet",
			     (int)number(q, NULL, "queue"));
	}
}

static void look_at_fill(struct doctor *d, const json_t *status, const char *table)
{
	json_int_t n = number(status, NULL, table), room = number(status, "bounds", table);
	if (room && n > room / 10 * 9)
		find(d, LOOK, "tables", "%s: %lld of %lld; raise its bound and restart", table,
		     (long long)n, (long long)room);
	else if (room)
		find(d, GOOD, "tables", "%s: %lld of %lld", table, (long long)n, (long long)room);
}

static void look_at_sandbox(struct doctor *d, const json_t *status)
{
	const char *lacks = ctl_text(status, "sandbox_lacks");
	if (*lacks)
		find(d, LOOK, "sandbox", "of the daemon: %s; tiergated(8), SANDBOX", lacks);
	else
		find(d, GOOD, "sandbox",
		     "the daemon opens only folders that it was told of, and makes only system "
		     "calls that it needs");
}

static void look_at_daemon(struct doctor *d, const char *digest)
{
	int asked;
	json_t *status = ctl_ask("status", NULL, &asked);
	if (!status) {
		find(d, BAD, "daemon", "does not answer; systemctl status tiergated");
		return;
	}
	const char *policy = ctl_text(status, "policy"),
		   *refused = ctl_text(status, "reload_refused");
	find(d, GOOD, "daemon", "%s answers, policy %s", ctl_text(status, "version"), policy);
	const char *last_good = ctl_text(status, "last_good");
	if (*last_good)
		find(d, BAD, "last good",
		     "in force is %s; mend it, tiergated check, then systemctl reload tiergated",
		     last_good);
	look_at_sandbox(d, status);
	if (json_object_get(status, "lockdowns_lost"))
		find(d, BAD, "lockdowns",
		     "those that were kept can't be read, what was shut may be open; shut it anew: "
		     "tiergatectl lockdown, block");
	if (*refused)
		find(d, BAD, "reload", "the last one was refused: %s", refused);
	else if (!*last_good && digest && strcmp(policy, digest) != 0)
		find(d, LOOK, "reload",
		     "the configuration on disk is another one than the "
		     "policy in force; systemctl reload tiergated");
	if (number(status, NULL, "lists_with_faults"))
		find(d, LOOK, "lists",
		     "%d have faults, and their last good copies are in force; "
		     "tiergated check names file and line",
		     (int)number(status, NULL, "lists_with_faults"));
	json_int_t lost = number(status, "log", "lost_ring") + number(status, "log", "lost_write");
	if (lost)
		find(d, LOOK, "log",
		     "%lld records were lost since the start: is the disk full or "
		     "slow?",
		     (long long)lost);
	look_at_queues(d, status);
	look_at_fill(d, status, "sessions");
	look_at_fill(d, status, "names");
	json_decref(status);
}

/* ---- the machine ---- */

static void look_at_disk(struct doctor *d, const char *what, const char *path)
{
	struct statvfs v;
	char folder[4096];
	snprintf(folder, sizeof folder, "%s", path);
	char *slash = strrchr(folder, '/');
	if (statvfs(folder, &v) != 0 && slash && slash > folder) {
		*slash = '\0'; /* a file that is not there yet */
		if (statvfs(folder, &v) != 0) {
			find(d, BAD, what, "%s: is not there", folder);
			return;
		}
	}
	double left = v.f_blocks ? (double)v.f_bavail / (double)v.f_blocks : 1;
	if (v.f_flag & ST_RDONLY)
		find(d, BAD, what, "%s can't be written to", folder);
	else
		find(d, left < 0.05 ? LOOK : GOOD, what, "%s: %.0f %% of its disk are free", folder,
		     left * 100);
}

static void look_at_clock(struct doctor *d)
{
	struct timex t = {0};
	if (adjtimex(&t) == TIME_ERROR)
		find(d, LOOK, "clock",
		     "it is not synchronised: schedules, expiries and records "
		     "go by it; timedatectl set-ntp true");
	else
		find(d, GOOD, "clock", "synchronised");
}

/* ---- the verdict ---- */

static void print(const struct doctor *d)
{
	size_t i;
	json_t *f;
	json_array_foreach(d->findings, i, f)
	{
		printf("%-4s  %-13s  ", ctl_text(f, "state"), ctl_text(f, "what"));
		ctl_put(stdout, ctl_text(f, "text"));
		putchar('\n');
	}
	if (d->bad)
		printf("\n%u thing%s wrong\n", d->bad, d->bad == 1 ? " is" : "s are");
	else if (d->looks)
		printf("\nnothing is wrong, %u to look at\n", d->looks);
	else
		puts("\nall is well");
}

int ctl_doctor(int argc, char **argv)
{
	static const struct ctl_option none[] = {{0}};
	struct doctor d = {.findings = json_array()};
	struct policy p = {0};
	if (!ctl_options(argc, argv, none, NULL) || ctl.help)
		return ctl_usage("doctor [--config FILE] [--json]", NULL);
	bool good = look_at_policy(&d, ctl.config ? ctl.config : CTL_CONFIG, &p);
	if (good) {
		look_at_interfaces(&d, p.config);
		look_at_versions(&d, p.config);
		look_at_rules(&d, p.config);
	}
	look_at_forwarding(&d);
	look_at_conntrack(&d);
	look_at_daemon(&d, good ? snapshot_digest(p.snapshot) : NULL);
	if (good && p.config->log == CONFIG_LOG_FILE)
		look_at_disk(&d, "log", p.config->log_file);
	if (good)
		look_at_disk(&d, "state", p.config->state_dir);
	look_at_clock(&d);
	if (ctl.json) {
		json_t *all = json_pack("{s:b, s:O}", "ok", d.bad == 0, "findings", d.findings);
		ctl_put_json(all);
		json_decref(all);
	} else {
		print(&d);
	}
	policy_free(&p);
	json_decref(d.findings);
	return d.bad ? EXIT_NO : EXIT_DONE;
}
