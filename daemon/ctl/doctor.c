/* tiergatectl doctor: one verdict on the gateway, and a list of what was looked at, each with what
 * to do. Nothing is changed. */
#include "ctl/ctl.h"
#include "ctl/doctor.h"

#include "base/address.h"
#include "base/clock.h"
#include "policy/snapshot.h"
#include "wiring/wiring.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const states[] = {"ok", "look", "BAD"};

void doctor_find(struct doctor *d, enum finding s, const char *what, const char *format, ...)
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

bool doctor_find_all(struct doctor *d, enum finding s, const char *what, struct errors *lines)
{
	bool any = lines->count > 0;
	for (size_t i = 0; i < lines->count; i++)
		doctor_find(d, s, what, "%s", lines->lines[i]);
	errors_deinit(lines);
	*lines = (struct errors){0};
	return any;
}

/* ---- the configuration ---- */

static bool look_at_policy(struct doctor *d, const char *path, struct policy *p)
{
	struct errors errors = {0}, warnings = {0};
	bool good = policy_load_and_expect(path, CONFIG_FOR_CHECK, p, &errors);
	if (!doctor_find_all(d, BAD, "configuration", &errors) && good)
		doctor_find(d, GOOD, "configuration", "%s is good, policy %s", path,
			    snapshot_digest(p->snapshot));
	if (!good)
		return false;
	if (snapshot_mode(p->snapshot) == CONFIG_OBSERVE)
		doctor_find(d, LOOK, "mode",
			    "observe: nothing is denied; when the log's tiergate.would "
			    "looks right, set mode = \"enforce\" and reload");
	config_warn(p->config, clock_now(), &warnings);
	doctor_find_all(d, LOOK, "configuration", &warnings);
	return true;
}

static void look_at_interfaces(struct doctor *d, const struct config *c)
{
	struct errors errors = {0};
	if (!wiring_interfaces(c, &errors))
		doctor_find_all(d, BAD, "interfaces", &errors);
	else
		doctor_find(d, GOOD, "interfaces", "packets can arrive by every name of `inside`");
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
		doctor_find(d, LOOK, "IPv6",
			    "segments are of IPv4 alone: hosts of theirs are nobody by "
			    "IPv6; add their IPv6 networks");
	if (c->resolvers.count && has_version(&c->resolvers, true) &&
	    !has_version(&c->resolvers, false))
		doctor_find(d, LOOK, "IPv6",
			    "resolvers are of IPv4 alone: what a resolver tells over "
			    "IPv6 is not seen");
	if (c->internal.count && has_version(&c->internal, true) &&
	    !has_version(&c->internal, false))
		doctor_find(d, LOOK, "IPv6",
			    "internal names no IPv6 network: internal hosts are out of "
			    "reach by IPv6");
}

/* ---- the kernel ---- */

static void look_at_rules(struct doctor *d, const struct config *c)
{
	struct errors errors = {0}, warnings = {0};
	if (geteuid() != 0)
		doctor_find(d, LOOK, "rules", "only root can compare them: run as root");
	else if (!wiring_check(c, &errors))
		doctor_find(d, BAD, "rules",
			    "%s%s; `tiergatectl wiring check` says all, `tiergatectl wiring up` "
			    "mends it",
			    errors.count ? errors.lines[0] : "none are loaded",
			    errors.count > 1 ? " and more" : "");
	else
		doctor_find(d, GOOD, "rules", "in place, as the configuration wants them");
	wiring_warn(c, &warnings);
	wiring_warn_of_ways(c, &warnings);
	doctor_find_all(d, LOOK, "network", &warnings);
	errors_deinit(&errors);
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
			doctor_find(
				d, LOOK, "queues",
				"queue %d was full %lld times since the start: raise queue_length, "
				"or the number of queues",
				(int)number(q, NULL, "queue"), (long long)full);
		else
			doctor_find(d, GOOD, "queues", "queue %d took every packet",
				    (int)number(q, NULL, "queue"));
	}
}

static void look_at_fill(struct doctor *d, const json_t *status, const char *table)
{
	json_int_t n = number(status, NULL, table), room = number(status, "bounds", table);
	if (room && n > room / 10 * 9)
		doctor_find(d, LOOK, "tables", "%s: %lld of %lld; raise its bound and restart",
			    table, (long long)n, (long long)room);
	else if (room)
		doctor_find(d, GOOD, "tables", "%s: %lld of %lld", table, (long long)n,
			    (long long)room);
}

/* What the rules, and the copies of the resolvers' answers, tell of the network around. */
static void look_at_traffic(struct doctor *d, const json_t *status)
{
	json_int_t lost = number(status, "rules", "lost"),
		   back = number(status, "rules", "put_back"),
		   way = number(status, "rules", "reverse_path"),
		   unseen = number(status, "rules", "unseen"),
		   copies = number(status, "dns", "copies");
	size_t i;
	json_t *q;
	json_int_t packets = 0;
	json_array_foreach(json_object_get(status, "queues"), i, q) packets +=
		number(q, NULL, "packets");
	if (lost)
		doctor_find(d, LOOK, "rules",
			    "another program took some away or put its own before them %lld times "
			    "since the start, they were put back %lld times; tiergate(7), beside "
			    "other firewalls",
			    (long long)lost, (long long)back);
	if (way)
		doctor_find(d, LOOK, "reverse path",
			    "%lld packets from inside were dropped, as no route leads back to "
			    "their source by the interface that they came by: has this machine a "
			    "route to each network behind it?",
			    (long long)way);
	if (unseen)
		doctor_find(d, LOOK, "rules",
			    "%lld packets from inside were dropped, as another program's rules "
			    "kept them from ours: nft list ruleset, iptables-save",
			    (long long)unseen);
	if (copies)
		doctor_find(d, GOOD, "resolvers", "%lld of their packets were read",
			    (long long)copies);
	else if (packets)
		doctor_find(d, LOOK, "resolvers",
			    "clients send, and no answer of a resolver was seen: do they ask "
			    "others than `resolvers` names, or by a way round this gateway?");
}

static void look_at_sandbox(struct doctor *d, const json_t *status)
{
	const char *lacks = ctl_text(status, "sandbox_lacks");
	if (*lacks)
		doctor_find(d, LOOK, "sandbox", "of the daemon: %s; tiergated(8), SANDBOX", lacks);
	else
		doctor_find(
			d, GOOD, "sandbox",
			"the daemon opens only folders that it was told of, and makes only system "
			"calls that it needs");
}

/* c: NULL where it is not good. */
static void look_at_daemon(struct doctor *d, const struct config *c, const char *digest)
{
	int asked;
	char time[32];
	json_t *status = ctl_ask("status", NULL, &asked);
	if (!status) {
		doctor_find(d, BAD, "daemon", "does not answer; systemctl status tiergated");
		return;
	}
	const char *policy = ctl_text(status, "policy"),
		   *refused = ctl_text(status, "reload_refused");
	doctor_find(d, GOOD, "daemon", "%s answers, policy %s", ctl_text(status, "version"),
		    policy);
	const char *last_good = ctl_text(status, "last_good");
	if (*last_good)
		doctor_find(
			d, BAD, "last good",
			"in force is %s; mend it, tiergated check, then systemctl reload tiergated",
			last_good);
	look_at_sandbox(d, status);
	if (json_object_get(status, "lockdowns_lost"))
		doctor_find(d, BAD, "lockdowns",
			    "those that were kept can't be read, what was shut may be open; shut "
			    "it anew: "
			    "tiergatectl lockdown, block");
	if (*ctl_text(status, "quotas_lost"))
		doctor_find(d, BAD, "quotas",
			    "what was used of them can't be read, and may be had again until %s",
			    ctl_time(ctl_text(status, "quotas_lost"), time));
	if (*refused)
		doctor_find(d, BAD, "reload", "the last one was refused: %s", refused);
	else if (!*last_good && digest && strcmp(policy, digest) != 0)
		doctor_find(d, LOOK, "reload",
			    "the configuration on disk is another one than the "
			    "policy in force; systemctl reload tiergated");
	if (number(status, NULL, "lists_with_faults"))
		doctor_find(d, LOOK, "lists",
			    "%d have faults, and their last good copies are in force; "
			    "tiergated check names file and line",
			    (int)number(status, NULL, "lists_with_faults"));
	json_int_t lost = number(status, "log", "lost_ring") + number(status, "log", "lost_write");
	if (lost)
		doctor_find(d, LOOK, "log",
			    "%lld records were lost since the start: is the disk full or "
			    "slow?",
			    (long long)lost);
	look_at_traffic(d, status);
	look_at_queues(d, status);
	look_at_fill(d, status, "sessions");
	look_at_fill(d, status, "names");
	doctor_told(d, status, c);
	json_decref(status);
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
	const char *config = ctl.config ? ctl.config : CTL_CONFIG;
	bool good = look_at_policy(&d, config, &p);
	if (good) {
		doctor_lists(&d, p.config);
		look_at_interfaces(&d, p.config);
		look_at_versions(&d, p.config);
		look_at_rules(&d, p.config);
	}
	look_at_daemon(&d, good ? p.config : NULL, good ? snapshot_digest(p.snapshot) : NULL);
	doctor_portal(&d, config);
	doctor_machine(&d, good ? p.config : NULL);
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
