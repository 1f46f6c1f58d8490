#include "ctl/ctl.h"
#include "ctl/strangers.h"
#include "ctl/try.h"

#include "advice/explain.h"
#include "base/clock.h"
#include "config/value.h"
#include "decision/records.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USAGE                                                                                      \
	"try NEW.conf [--against RECORDS...|CAPTURE] [--since T] [--allow-change FILE]\n"          \
	"                       [--config OLD.conf] [--json]"
#define FILES 1024 /* of records */
#define WEEK  (7 * 86400 * NS_PER_S)

struct request {
	const char *old, *new, *since, *allow;
	const char *against[FILES];
	size_t against_count;
};

/* ---- one group ---- */

static void port_text(const struct try_group *g, struct buf *b)
{
	const struct config_port port = {g->transport, g->port, g->port};
	if (g->transport == IPPROTO_TCP || g->transport == IPPROTO_UDP)
		port_format(&port, b);
	else
		buf_printf(b, "protocol %u", g->transport);
}

static void set_side(json_t *to, const char *key, enum reason reason, const char *rule,
		     const char *quota)
{
	json_t *j = json_pack("{ss}", "reason", reason_text(reason));
	ctl_set(j, "rule", rule[0] ? rule : NULL);
	ctl_set(j, "quota", quota && quota[0] ? quota : NULL);
	json_object_set_new(to, key, j);
}

static json_t *group_words(const struct try_group *g, bool named)
{
	char text[ADDRESS_TEXT], time[40] = "", port[24] = "";
	struct buf t = BUF_OF(time), p = BUF_OF(port);
	json_t *j = try_group_key(g), *e = json_object();
	clock_format(&t, g->time);
	port_text(g, &p);
	json_object_set_new(j, "flows", json_integer((json_int_t)g->flows));
	json_object_set_new(j, "named", json_boolean(named));
	ctl_set(e, "time", time);
	ctl_set(e, "source", address_format(&g->client, text));
	ctl_set(e, "destination", address_format(&g->server, text));
	ctl_set(e, "domain", g->host.len ? g->host.text : NULL);
	ctl_set(e, "port", port);
	json_object_set_new(j, "example", e);
	bool changes = g->change == TRY_QUOTA; /* they are in the key */
	set_side(j, "was", g->was, g->was_rule, changes ? NULL : g->was_quota);
	set_side(j, "is", g->is, g->is_rule, changes ? NULL : g->is_quota);
	return j;
}

static void put(const char *before, const char *text)
{
	fputs(text[0] ? before : "", stdout);
	ctl_put(stdout, text);
}

static void put_quota(const char *before, const char *quota)
{
	put(before, quota[0] ? quota : "none");
}

static void show(const json_t *j)
{
	char time[32];
	const json_t *e = json_object_get(j, "example");
	const json_t *was = json_object_get(j, "was"), *is = json_object_get(j, "is");
	const char *change = ctl_text(j, "change");
	const char *site = ctl_text(j, "site");
	const char *tier = ctl_text(j, "tier"), *user = ctl_text(j, "user");
	bool quota = strcmp(change, try_change_text(TRY_QUOTA)) == 0;
	const char *sign = quota ? "~" : strstr(change, "gain") ? "+" : "-";
	printf("%s%s ", sign, change[0] == 'm' ? "?" : "");
	put("", tier[0] ? tier : "who is nobody");
	put(", ", user);
	put(": ", site[0] ? site : ctl_text(j, "host"));
	json_int_t flows = json_integer_value(json_object_get(j, "flows"));
	printf(", %" JSON_INTEGER_FORMAT " flow%s%s\n    as ", flows, flows == 1 ? "" : "s",
	       json_is_true(json_object_get(j, "named")) ? " (named)" : "");
	put("", ctl_text(e, "source"));
	put(" to ", ctl_text(e, "domain"));
	put(ctl_text(e, "domain")[0] ? " at " : " to ", ctl_text(e, "destination"));
	put(" ", ctl_text(e, "port"));
	put(", ", ctl_time(ctl_text(e, "time"), time));
	put("; it was ", ctl_text(was, "reason"));
	put(", ", ctl_text(was, "rule"));
	put("; it is ", ctl_text(is, "reason"));
	put(", ", ctl_text(is, "rule"));
	if (quota) {
		put_quota("\n    the quota was ", ctl_text(j, "quota_was"));
		put_quota("\n    the quota is ", ctl_text(j, "quota_is"));
	} else {
		put("\n    the quota was ", ctl_text(was, "quota"));
		put("\n    the quota is ", ctl_text(is, "quota"));
	}
	putchar('\n');
}

/* ---- what was read ---- */

struct note {
	const char *key;
	uint64_t count;
	const char *words; /* of it; NULL: not for people */
};

static void put_notes(const struct note *notes, size_t count, const struct records_count *r)
{
	json_t *j = json_object();
	for (size_t i = 0; i < count; i++) {
		json_object_set_new(j, notes[i].key, json_integer((json_int_t)notes[i].count));
		if (!ctl.json && notes[i].words && notes[i].count)
			printf("  %" PRIu64 " %s\n", notes[i].count, notes[i].words);
	}
	if (!ctl.json)
		ctl_records_places(r, "  ");
	ctl_set(j, "first", r->first[0] ? r->first : NULL);
	ctl_set(j, "cut_after", r->cut_after[0] ? r->cut_after : NULL);
	if (ctl.json)
		ctl_put_json(j);
	json_decref(j);
}

static void put_summary(const struct trial *t, const struct records_count *r,
			const struct config *old, uint64_t named)
{
	static const struct records_count none;
	const struct try_counts *c = try_counted(t);
	uint64_t users, of_users;
	strangers_users(try_people(t), old, &users, &of_users);
	r = r ? r : &none;
	const struct note notes[] = {
		{"records", c->records, NULL},
		{"flows", c->flows, NULL},
		{"changed", c->changed, NULL},
		{"named", named, NULL},
		{"ungrouped", c->ungrouped, "changes are not shown: too many groups"},
		{"outside", c->outside, "flows no line decided: malformed, a table full ..."},
		{"otherwise", c->otherwise, "flows were decided otherwise when they were recorded"},
		{"other_policy", c->other_policy, "records are of another policy than the old one"},
		{"unknown_tier", c->unknown_tier, "records are of a tier that the new one lacks"},
		{"unknown_users", users, "users are in no users file now"},
		{"of_unknown_users", of_users, "records are theirs"},
		{"lost", c->lost, "records were lost when the log was written"},
		{"strange", r->strange, "lines are of another version or program"},
		{"damaged", r->damaged, "lines can't be read"},
		{"torn", r->torn, "last lines have no end"},
		{"gone", r->gone, "files went while the others were read: rotated? ask again"},
		{"cut", r->cut, "files are cut short or damaged: what was before that is read"},
	};
	if (!ctl.json)
		printf("%" PRIu64 " flows of %" PRIu64 " records: %" PRIu64 " change, %" PRIu64
		       " of these are named\n",
		       c->flows, c->records, c->changed, named);
	put_notes(notes, sizeof notes / sizeof *notes, r);
}

/* What changes; EXIT_NO where something does that is not named. */
static int report(struct trial *t, const struct records_count *r, const struct config *old,
		  json_t *allowed)
{
	size_t count;
	uint64_t named = 0;
	const struct try_group *g = try_groups(t, &count);
	for (size_t i = 0; i < count; i++) {
		bool is_named = try_allowed_has(allowed, &g[i]);
		json_t *j = group_words(&g[i], is_named);
		named += is_named ? g[i].flows : 0;
		if (ctl.json)
			ctl_put_json(j);
		else
			show(j);
		json_decref(j);
	}
	put_summary(t, r, old, named);
	return try_counted(t)->changed > named ? EXIT_NO : EXIT_DONE;
}

/* ---- the trial ---- */

static int try_records(const struct request *r, struct trial *t, const struct config *old,
		       json_t *allowed, int64_t since)
{
	struct decision d;
	struct records *records = ctl_records(r->against, r->against_count, old);
	if (!records)
		return EXIT_CANNOT;
	while (records_next(records, &d))
		if (d.time >= since)
			try_record(t, &d);
	int status = report(t, records_counted(records), old, allowed);
	records_free(records);
	return status;
}

static int run(const struct request *r, json_t *allowed, int64_t since)
{
	struct policy policy[2] = {{0}};
	struct trial *t = NULL;
	int status = EXIT_CANNOT;
	if (ctl_policy(r->old, &policy[0]) && ctl_policy(r->new, &policy[1])) {
		t = try_new(policy[0].snapshot, policy[1].snapshot);
		if (r->against_count != 1 || !try_is_capture(r->against[0]))
			status = try_records(r, t, policy[0].config, allowed, since);
		else if (try_capture(t, r->against[0], r->old, r->new))
			status = report(t, NULL, policy[0].config, allowed);
		fflush(stdout);
		if (status != EXIT_CANNOT)
			try_allowed_warn(r->allow, allowed, policy, try_people(t));
	}
	try_free(t);
	policy_free(&policy[0]);
	policy_free(&policy[1]);
	return status;
}

/* NEW.conf is the first word; more words go on from what --against names first. */
static bool parse(int argc, char **argv, struct request *r)
{
	const char *words[FILES], *against = NULL;
	const struct ctl_option options[] = {{"against", &against, NULL},
					     {"since", &r->since, NULL},
					     {"allow-change", &r->allow, NULL},
					     {0}};
	size_t count;
	if (!ctl_words(argc, argv, options, words, FILES, &count) || ctl.help || count == 0 ||
	    (count > 1 && !against))
		return false;
	r->old = ctl.config ? ctl.config : CTL_CONFIG;
	r->new = words[0];
	if (against)
		r->against[r->against_count++] = against;
	for (size_t i = 1; i < count; i++)
		r->against[r->against_count++] = words[i];
	return true;
}

int ctl_try(int argc, char **argv)
{
	struct request r = {0};
	int64_t since = INT64_MIN, now = clock_wall();
	if (!parse(argc, argv, &r))
		return ctl_usage(USAGE, NULL);
	/* of a day of the week the last one is meant */
	if (r.since && !when_parse(r.since, now - WEEK, &since))
		return ctl_usage(USAGE, "--since wants a time: \"mon 10:00\" (the last one), "
					"\"2026-11-24 10:00\" or RFC 3339");
	json_t *allowed = r.allow ? try_allowed_read(r.allow) : json_array();
	int status = allowed ? run(&r, allowed, since) : EXIT_CANNOT;
	json_decref(allowed);
	return status;
}
