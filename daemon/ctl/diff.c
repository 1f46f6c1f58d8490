#include "ctl/ctl.h"

#include "advice/diff.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>

#define USAGE "diff OLD.conf NEW.conf [--json]"
#define SHOWN 12 /* of a list's items; --json has all */

/* "a, b and 3 more" */
static void put_list(const json_t *list)
{
	size_t i, count = json_array_size(list);
	json_t *item;
	json_array_foreach(list, i, item)
	{
		if (i == SHOWN && count > SHOWN + 1) {
			printf(" and %zu more", count - i);
			return;
		}
		const char *text = json_string_value(item);
		fputs(i ? ", " : "", stdout);
		if (text[0] == '!')
			fputs("not ", stdout);
		ctl_put(stdout, strcmp(text, "*") == 0 ? "any name" : text + (text[0] == '!'));
	}
}

static void put_member(const char *before, const json_t *row, const char *key)
{
	const json_t *member = json_object_get(row, key);
	if (!member)
		return;
	fputs(before, stdout);
	if (json_is_array(member))
		put_list(member);
	else
		ctl_put(stdout, json_string_value(member));
}

static bool has(const json_t *row, const char *key)
{
	return json_object_get(row, key);
}

/* Of who may reach something. */
static void put_quotas(const char *before, const json_t *side)
{
	if (has(side, "quotas"))
		put_member(before, side, "quotas");
	else if (has(side, "rules"))
		printf("%snone", before);
}

static void show_row(const json_t *row)
{
	bool gains = strcmp(ctl_text(row, "change"), "gains") == 0;
	bool quota = strcmp(ctl_text(row, "change"), "quota") == 0;
	fputs(quota ? "~ " : gains ? "+ " : "- ", stdout);
	put_member("", row, "tiers");
	fputs(has(row, "tiers") && has(row, "nobody") ? ", " : "", stdout);
	fputs(has(row, "nobody") ? "who is nobody" : "", stdout);
	printf(" may %s reach", quota ? "under another quota" : gains ? "now" : "no longer");
	put_member(" ", row, "names");
	if (has(row, "unnamed"))
		fputs(" what is not named", stdout);
	put_member("\n    at addresses ", row, "addresses");
	put_member("\n    at all addresses but ", row, "addresses_but");
	put_member("\n    by ", row, "ports");
	if (!has(row, "ports"))
		fputs("\n    by any port", stdout);
	put_member("; known by ", row, "evidence");
	put_member("\n    ", row, "when");
	const json_t *was = json_object_get(row, "was"), *is = json_object_get(row, "is");
	if (quota || has(was, "quotas") || has(is, "quotas")) {
		put_quotas("\n    the quota was ", was);
		put_quotas("\n    the quota is ", is);
	}
	put_member("\n    it was ", was, "reasons");
	put_member(", ", was, "rules");
	put_member("; it is ", is, "reasons");
	put_member(", ", is, "rules");
	put_member("; site ", row, "sites");
	putchar('\n');
}

static void show_other(const json_t *row)
{
	put_member("~ ", row, "what");
	put_member(": was ", row, "was");
	put_member(" and is ", row, "is");
	putchar('\n');
}

/* Takes a row over. */
static void put_row(json_t *row, void (*show)(const json_t *row))
{
	if (ctl.json)
		ctl_put_json(row);
	else
		show(row);
	json_decref(row);
}

static int compare(const struct policy *old, const struct policy *new)
{
	struct diff *d = diff_new(old, new, clock_wall());
	json_t *others = diff_others(old, new), *row;
	size_t i, count = json_array_size(others);
	if (!d) {
		fputs("tiergatectl: the policies tell more apart than can be compared\n", stderr);
		json_decref(others);
		return EXIT_CANNOT;
	}
	json_array_foreach(others, i, row) put_row(json_incref(row), show_other);
	for (i = 0; i < diff_rows(d); i++)
		put_row(diff_row_words(d, i), show_row);
	count += i;
	json_decref(others);
	diff_free(d);
	return count ? EXIT_NO : EXIT_DONE;
}

int ctl_diff(int argc, char **argv)
{
	static const struct ctl_option none[] = {{0}};
	struct policy policy[2] = {{0}};
	const char *file[2];
	size_t count;
	int status = EXIT_CANNOT;
	if (!ctl_words(argc, argv, none, file, 2, &count) || ctl.help || count != 2)
		return ctl_usage(USAGE, NULL);
	if (ctl_policy(file[0], &policy[0]) && ctl_policy(file[1], &policy[1]))
		status = compare(&policy[0], &policy[1]);
	policy_free(&policy[0]);
	policy_free(&policy[1]);
	return status;
}
