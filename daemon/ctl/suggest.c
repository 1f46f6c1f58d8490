#include "ctl/ctl.h"
#include "ctl/strangers.h"

#include "advice/suggest.h"
#include "base/array.h"

#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USAGE                                                                                      \
	"suggest [--against RECORDS...] [--tier T] [--user U] [--since T] [--config FILE]\n"       \
	"                           [--json]"

struct lists {
	struct site_list *item;
	size_t count;
};

/* ---- the lists that lie beside the configuration ---- */

static void hear(void *ctx, int line, const char *what)
{
	*(bool *)ctx = false;
}

/* One with a fault is not proposed. */
static void add_list(struct lists *lists, const char *path)
{
	bool good = true;
	const struct list_reader reader = {hear, &good};
	struct list_shape shape;
	struct site_list list = {.file = realpath(path, NULL)};
	FILE *f = list.file ? fopen(list.file, "r") : NULL;
	char *text = NULL;
	size_t len = 0;
	if (f && getdelim(&text, &len, EOF, f) > 0)
		good = list_parse(text, strlen(text), &list, &reader, &shape) && good;
	if (f)
		fclose(f);
	free(text);
	if (!good || !list.count) {
		list_clear(&list);
		free(list.file);
		return;
	}
	lists->item = array_grow(lists->item, &lists->count, sizeof *lists->item);
	lists->item[lists->count - 1] = list;
}

static void find_lists(const struct config *c, struct lists *lists)
{
	char pattern[4096];
	glob_t found = {0};
	snprintf(pattern, sizeof pattern, "%s/rules/*.sites", c->folder);
	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			add_list(lists, found.gl_pathv[i]);
	globfree(&found);
}

static void free_lists(struct lists *lists)
{
	for (size_t i = 0; i < lists->count; i++) {
		free(lists->item[i].file);
		list_clear(&lists->item[i]);
	}
	free(lists->item);
}

/* ---- a policy file of the rows ---- */

static bool is(const json_t *row, const char *kind)
{
	return strcmp(ctl_text(row, "is"), kind) == 0;
}

static void put_list(const json_t *list, const char *quote)
{
	size_t i;
	json_t *item;
	json_array_foreach(list, i, item)
	{
		printf("%s%s", i ? ", " : "", quote);
		ctl_put(stdout, json_string_value(item));
		fputs(quote, stdout);
	}
}

/* Whether a row before has it already: other tiers may need the same site. */
static bool said_before(const json_t *rows, size_t at, const char *site, bool learned)
{
	for (size_t i = 0; i < at; i++) {
		const json_t *row = json_array_get(rows, i);
		if (strcmp(ctl_text(row, "site"), site) == 0 &&
		    (!learned || json_object_get(row, "learned")))
			return true;
	}
	return false;
}

/* What was learned for one tier may be more than for another: all of it is the site's. */
static void put_learned(const json_t *rows, size_t at, const char *site, const char *before)
{
	json_t *all = json_object(), *names = json_array();
	const char *name;
	json_t *none;
	for (size_t i = at; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		size_t k;
		json_t *item;
		if (strcmp(ctl_text(row, "site"), site) != 0)
			continue;
		json_array_foreach(json_object_get(row, "learned"), k, item)
			json_object_set_new(all, json_string_value(item), json_true());
	}
	json_object_foreach(all, name, none) json_array_append_new(names, json_string(name));
	printf("%s\t# learned: what always came with it\n\t{ name = \"%s-learned\"; hosts = [ ",
	       before, site);
	put_list(names, "\"");
	fputs(" ]; }", stdout);
	json_decref(all);
	json_decref(names);
}

static void put_sites(const json_t *rows)
{
	const char *before = "sites = (\n";
	size_t i;
	json_t *row;
	json_array_foreach(rows, i, row)
	{
		const char *site = ctl_text(row, "site");
		if (!is(row, "site") && !said_before(rows, i, site, false)) {
			printf("%s\t{ name = \"%s\"; %s = [ \"", before, site,
			       is(row, "list") ? "lists" : "hosts");
			ctl_put(stdout, ctl_text(row, "from"));
			fputs("\" ]; }", stdout);
			before = ",\n";
		}
		if (json_object_get(row, "learned") && !said_before(rows, i, site, true)) {
			put_learned(rows, i, site, before);
			before = ",\n";
		}
	}
	if (before[0] == ',')
		puts("\n);");
}

static void put_users(const json_t *row)
{
	const json_t *users = json_object_get(row, "users");
	if (!json_array_size(users))
		return;
	fputs(" by ", stdout);
	put_list(users, "");
	if (json_is_true(json_object_get(row, "more_users")))
		fputs(" and others", stdout);
}

static void put_comment(const json_t *row)
{
	char first[32], last[32];
	const char *key, *before = "; known by ";
	json_t *count;
	json_int_t flows = json_integer_value(json_object_get(row, "flows"));
	printf("\t# %" JSON_INTEGER_FORMAT " flow%s", flows, flows == 1 ? "" : "s");
	put_users(row);
	printf(", %s", ctl_time(ctl_text(row, "first"), first));
	printf(" to %s", ctl_time(ctl_text(row, "last"), last));
	json_object_foreach(json_object_get(row, "evidence"), key, count)
	{
		printf("%s%s (%" JSON_INTEGER_FORMAT ")", before, key, json_integer_value(count));
		before = ", ";
	}
	if (json_array_size(json_object_get(row, "hosts"))) {
		fputs("\n\t# ", stdout);
		put_list(json_object_get(row, "hosts"), "");
		fputs(json_is_true(json_object_get(row, "more_hosts")) ? " ..." : "", stdout);
	}
	if (ctl_text(row, "with")[0]) {
		fputs("\n\t# learned: always came with ", stdout);
		ctl_put(stdout, ctl_text(row, "with"));
	}
	putchar('\n');
}

static void put_line(const json_t *row)
{
	const json_t *ports = json_object_get(row, "ports");
	put_comment(row);
	printf("\t{ tiers = [ \"%s\" ]; sites = [ \"%s\"", ctl_text(row, "tier"),
	       ctl_text(row, "site"));
	if (json_object_get(row, "learned"))
		printf(", \"%s-learned\"", ctl_text(row, "site"));
	fputs(" ];", stdout);
	if (ports) {
		fputs(" ports = [ ", stdout);
		put_list(ports, "\"");
		fputs(" ];", stdout);
	}
	fputs(is(row, "address") ? " evidence = \"any\"; }" : " }", stdout);
}

static void put_allow(const json_t *rows)
{
	size_t i;
	json_t *row;
	json_array_foreach(rows, i, row)
	{
		fputs(i ? ",\n" : "allow = (\n", stdout);
		put_line(row);
	}
	if (json_array_size(rows))
		puts("\n);");
}

/* ---- what was read ---- */

#define COUNT_LIST(X)                                                                              \
	X(grouped, "flows were denied, or would have been, that the lines here would allow")       \
	X(allowed_now, "more the policy of today allows")                                          \
	X(deny_line, "a deny line stands in the way of, see why")                                  \
	X(otherwise, "no line would help: their evidence, a malformed hello ...")                  \
	X(nobody, "were of nobody, or of a tier that is no more")                                  \
	X(beyond, "are left out: too many sites, tiers or ports")                                  \
	X(lost, "records were lost when the log was written")

static void put_counts(const struct suggest_counts *c, struct strangers *foreign,
		       const struct records_count *r)
{
#define X(member, words)                                                                           \
	if (c->member)                                                                             \
		printf("# %" PRIu64 " " words "\n", c->member);
	COUNT_LIST(X)
#undef X
	strangers_end(foreign, NULL);
	ctl_records_say(r);
	puts(c->grouped ? "# Look at each. Then name this as a file in `policy`, or paste the rows "
			  "into `sites` and `allow`."
			: "# Nothing to suggest.");
}

static void put_json(const json_t *rows, const struct suggest_counts *c, struct strangers *foreign,
		     const struct records_count *r)
{
	json_t *sum = json_pack("{sIsI}", "records", (json_int_t)c->records, "denied",
				(json_int_t)c->denied);
	size_t i;
	json_t *row;
	json_array_foreach(rows, i, row) ctl_put_json(row);
#define X(member, words) json_object_set_new(sum, #member, json_integer((json_int_t)c->member));
	COUNT_LIST(X)
#undef X
	strangers_end(foreign, sum);
	ctl_records_words(r, sum);
	ctl_put_json(sum);
	json_decref(sum);
}

static void report(struct suggest *s, struct strangers *foreign, const struct records_count *r)
{
	json_t *rows = suggest_rows(s);
	if (ctl.json) {
		put_json(rows, suggest_counted(s), foreign, r);
	} else {
		put_counts(suggest_counted(s), foreign, r);
		put_sites(rows);
		put_allow(rows);
	}
	json_decref(rows);
}

static int run(const struct ctl_against *a, const char *tier, const char *user,
	       const struct policy *p)
{
	struct decision d;
	struct lists lists = {0};
	bool seen = false;
	struct records *records = ctl_records(a->file, a->count, p->config);
	if (!records)
		return EXIT_CANNOT;
	find_lists(p->config, &lists);
	struct suggest *s = suggest_new(p, lists.item, lists.count);
	struct strangers foreign;
	strangers_begin(&foreign, p);
	while (records_next(records, &d)) {
		strangers_record(&foreign, &d);
		bool of_user = !user || strcmp(d.user, user) == 0;
		seen |= user && of_user;
		if (d.time >= a->since)
			suggest_record(s, &d, (!tier || strcmp(d.tier, tier) == 0) && of_user);
	}
	report(s, &foreign, records_counted(records));
	if (user && !seen) {
		fputs("tiergatectl: no record is of a user ", stderr);
		ctl_put(stderr, user);
		fputs("\n", stderr);
		ctl_hint_user(p->config->users_file, user);
	}
	suggest_free(s);
	free_lists(&lists);
	records_free(records);
	return EXIT_DONE;
}

int ctl_suggest(int argc, char **argv)
{
	const char *tier = NULL, *user = NULL;
	const struct ctl_option options[] = {{"tier", &tier, NULL}, {"user", &user, NULL}, {0}};
	struct ctl_against a = {0};
	struct policy p = {0};
	int status = EXIT_CANNOT;
	if (!ctl_against(argc, argv, options, &a))
		return ctl_usage(USAGE, NULL);
	if (ctl_policy(ctl.config ? ctl.config : CTL_CONFIG, &p)) {
		if (tier && !snapshot_has_tier(p.snapshot, tier))
			status = ctl_tier(tier);
		else
			status = run(&a, tier, user, &p);
	}
	policy_free(&p);
	return status;
}
