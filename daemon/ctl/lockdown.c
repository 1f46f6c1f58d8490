#include "ctl/ctl.h"

#include "advice/explain.h"
#include "base/clock.h"
#include "config/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USAGE                                                                                      \
	"lockdown --segment N | --tier T | --user U [--only SITE,...] --for 2h | --until TIME\n"   \
	"       tiergatectl lockdown list\n"                                                       \
	"       tiergatectl lockdown end NUMBER"

static void put_only(const json_t *row)
{
	size_t i;
	json_t *site;
	json_array_foreach(json_object_get(row, "only"), i, site)
	{
		fputs(i ? ", " : "", stdout);
		ctl_put(stdout, json_string_value(site));
	}
	if (i == 0)
		fputs("nothing outside", stdout);
}

static void put_row(const json_t *row)
{
	char time[32];
	const char *until = ctl_time(ctl_text(row, "until"), time);
	printf("%lld  ", (long long)json_integer_value(json_object_get(row, "lockdown")));
	ctl_put(stdout, ctl_text(row, "whom"));
	printf(": only ");
	put_only(row);
	printf(", %s %s, by ", until[0] ? "until" : "until it is", until[0] ? until : "ended");
	ctl_put(stdout, ctl_text(row, "by"));
	putchar('\n');
}

/* What weakens the answer: a gateway that only looks on, a list that will not outlive it. */
static void warn(const json_t *result)
{
	const char *unkept = ctl_text(result, "unkept");
	if (ctl_text(result, "mode")[0])
		fputs("tiergatectl: mode is observe: nothing is denied, this neither\n", stderr);
	json_int_t elsewhere = json_integer_value(json_object_get(result, "elsewhere"));
	if (elsewhere)
		fprintf(stderr,
			"tiergatectl: %lld of the sessions there have addresses in other networks, "
			"such "
			"as %s, which stay as they are; lock these networks down, too\n",
			(long long)elsewhere, ctl_text(result, "elsewhere_one"));
	if (ctl_text(result, "meant")[0]) {
		fputs("tiergatectl: nobody of that name is signed in; did you mean ", stderr);
		ctl_put(stderr, ctl_text(result, "meant"));
		fputs("? Then unblock, and block that one\n", stderr);
	}
	if (unkept[0])
		fprintf(stderr,
			"tiergatectl: it could not be kept (%s): a restart will forget it; look at "
			"state_dir\n",
			unkept);
}

static int shut(json_t *members, const char *user)
{
	int status;
	json_t *result = ctl_ask("lockdown", members, &status);
	if (result && ctl.json)
		ctl_put_json(result);
	else if (result)
		put_row(result);
	warn(result);
	if (result && user && !ctl_text(result, "meant")[0])
		ctl_hint_user(NULL, user);
	json_decref(result);
	return status;
}

static int list(void)
{
	int status;
	size_t i;
	json_t *row, *result = ctl_ask("lockdowns", NULL, &status);
	json_array_foreach(json_object_get(result, "lockdowns"), i, row)
	{
		if (ctl.json)
			ctl_put_json(row);
		else
			put_row(row);
	}
	if (i)
		warn(result);
	json_decref(result);
	return status;
}

static int end(json_t *members, const char *none)
{
	int status;
	json_t *result = ctl_ask("lockdown-end", members, &status);
	json_int_t ended = json_integer_value(json_object_get(result, "ended"));
	if (result && ctl.json)
		ctl_put_json(result);
	else if (ended)
		printf("%lld lockdown%s ended\n", (long long)ended, ended == 1 ? "" : "s");
	if (result && !ended) {
		fprintf(stderr, "tiergatectl: %s\n", none);
		status = EXIT_NO;
	}
	warn(result);
	json_decref(result);
	return status;
}

static int end_number(const char *text)
{
	char *rest;
	long long number = strtoll(text, &rest, 10);
	if (rest == text || *rest || number < 1)
		return ctl_usage(USAGE, "a lockdown is a number; tiergatectl lockdown list");
	return end(json_pack("{sI}", "lockdown", (json_int_t)number),
		   "there is no such lockdown; tiergatectl lockdown list");
}

static json_t *split(const char *only)
{
	json_t *list = json_array();
	char *copy = strdup(only), *save = NULL;
	for (char *w = copy ? strtok_r(copy, ", ", &save) : NULL; w;
	     w = strtok_r(NULL, ", ", &save))
		json_array_append_new(list, json_string(w));
	free(copy);
	return list;
}

/* False where a time is none, or is over. */
static bool set_end(json_t *members, const char *for_time, const char *until)
{
	int64_t ns, now = clock_wall();
	if (for_time && (!duration_parse(for_time, &ns) || ns <= 0))
		return false;
	ctl_set(members, "for", for_time);
	if (!until)
		return true;
	if (!when_parse(until, now, &ns) || ns <= now)
		return false;
	json_object_set_new(members, "until", json_integer(ns / NS_PER_S));
	return true;
}

int ctl_lockdown(int argc, char **argv)
{
	const char *segment = NULL, *tier = NULL, *user = NULL, *only = NULL;
	const char *for_time = NULL, *until = NULL, *words[2];
	size_t count = 0;
	const struct ctl_option options[] = {{"segment", &segment, NULL},
					     {"tier", &tier, NULL},
					     {"user", &user, NULL},
					     {"only", &only, NULL},
					     {"for", &for_time, NULL},
					     {"until", &until, NULL},
					     {0}};
	if (!ctl_words(argc, argv, options, words, 2, &count) || ctl.help)
		return ctl_usage(USAGE, NULL);
	bool whom = segment || tier || user;
	if (count == 1 && strcmp(words[0], "list") == 0 && !whom)
		return list();
	if (count == 2 && strcmp(words[0], "end") == 0 && !whom)
		return end_number(words[1]);
	if (count || !!segment + !!tier + !!user != 1 || !for_time == !until)
		return ctl_usage(USAGE, NULL);
	json_t *members = json_object();
	ctl_set(members, "segment", segment);
	ctl_set(members, "tier", tier);
	ctl_set(members, "user", user);
	if (only)
		json_object_set_new(members, "only", split(only));
	if (set_end(members, for_time, until))
		return shut(members, user);
	json_decref(members);
	return ctl_usage(USAGE,
			 "--for wants a duration, such as 2h; --until a time to come, such as "
			 "\"fri 12:00\" or \"2026-12-01 12:00\"");
}

int ctl_block(int argc, char **argv)
{
	const char *for_time = NULL, *user = NULL;
	size_t count = 0;
	const struct ctl_option options[] = {{"for", &for_time, NULL}, {0}};
	if (!ctl_words(argc, argv, options, &user, 1, &count) || ctl.help || count != 1)
		return ctl_usage("block USER [--for 2h]", NULL);
	json_t *members = json_pack("{ss}", "user", user);
	if (set_end(members, for_time, NULL))
		return shut(members, user);
	json_decref(members);
	return ctl_usage("block USER [--for 2h]", "--for wants a duration, such as 2h");
}

int ctl_unblock(int argc, char **argv)
{
	static const struct ctl_option none[] = {{0}};
	const char *user = NULL;
	size_t count = 0;
	if (!ctl_words(argc, argv, none, &user, 1, &count) || ctl.help || count != 1)
		return ctl_usage("unblock USER", NULL);
	return end(json_pack("{ss}", "user", user), "that user is not blocked");
}
