#include "ctl/ctl.h"

#include "base/clock.h"
#include "advice/explain.h"
#include "identity/users.h"
#include "policy/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define USAGE                                                                                      \
	"why --user U | --tier T | --address A  --to NAME|ADDRESS|URL [--port tcp/443]\n"          \
	"                       [--at \"mon 10:00\"] [--evidence sni] [--config FILE] [--json]"

static void line(const char *before, const char *text, const char *after)
{
	if (!text[0])
		return;
	fputs(before, stdout);
	ctl_put(stdout, text);
	fputs(after, stdout);
}

/* This machine's zone, in which times are read and written. */
static const char *zone(char out[static 32])
{
	time_t now = time(NULL);
	struct tm tm;
	if (!localtime_r(&now, &tm) || strftime(out, 32, "%Z, this machine's zone", &tm) == 0)
		out[0] = '\0';
	return out;
}

/* Of a URL the host and, where no port was asked for, its scheme's or its own: tcp/80 for http. */
static void take_url(json_t *question, const char *to, const char *port)
{
	char host[512], transport[16];
	const char *rest = strstr(to, "://");
	if (!rest)
		return;
	unsigned number = rest - to == 4 && strncasecmp(to, "http", 4) == 0 ? 80 : 443;
	rest += 3;
	size_t len = strcspn(rest, "/?#");
	const char *at = memchr(rest, '@', len);
	if (at) {
		len -= (size_t)(at + 1 - rest);
		rest = at + 1;
	}
	const char *end = *rest == '[' ? memchr(rest, ']', len) : memchr(rest, ':', len);
	const char *colon = end && *end == ']' ? end + 1 : end;
	size_t host_len = end ? (size_t)(end - rest) : len;
	if (colon && colon < rest + len && *colon == ':')
		number = (unsigned)strtoul(colon + 1, NULL, 10);
	snprintf(host, sizeof host, "%.*s", (int)(host_len - (*rest == '[')),
		 rest + (*rest == '['));
	json_object_set_new(question, "to", json_string(host));
	snprintf(transport, sizeof transport, "tcp/%u", number);
	if (!port)
		json_object_set_new(question, "port", json_string(transport));
}

/* by_user, at: whether that was in the question. */
static void show(const json_t *r, bool by_user, bool at)
{
	char when[32], when_zone[32];
	const char *user = ctl_text(r, "user"), *tier = ctl_text(r, "tier");
	const json_t *obstacles = json_object_get(r, "obstacles");
	size_t i;
	json_t *o;
	line("", ctl_text(r, "action"), "  ");
	line("", ctl_text(r, "reason"), ": ");
	line("", ctl_text(r, "help"), "\n");
	line("  who:      ", user[0] ? user : tier, "");
	line(user[0] ? " (" : "", user[0] ? tier : "", ")");
	puts(user[0] || tier[0] ? "" : "  who:      nobody signed in, no segment");
	if (by_user && json_is_false(json_object_get(r, "signed_in")))
		puts("            not signed in; the tier is that of the users file");
	if (at)
		printf("  when:     %s (%s)\n", ctl_time(ctl_text(r, "at"), when), zone(when_zone));
	line("  rule:     ", ctl_text(r, "rule"), "\n");
	line("  owner:    ", ctl_text(r, "owner"), "\n");
	line("  note:     ", ctl_text(r, "note"), "\n");
	line("  site:     ", ctl_text(r, "site"), "\n");
	line("  needs:    ", ctl_text(r, "needs"), " evidence\n");
	line("  nearest:  ", ctl_text(r, "nearest"), "");
	line(", owner ", ctl_text(r, "nearest_owner"), "");
	fputs(ctl_text(r, "nearest")[0] ? "\n" : "", stdout);
	line("    note    ", ctl_text(r, "nearest_note"), "\n");
	json_array_foreach(obstacles, i, o) line("    but     ", json_string_value(o), "\n");
	if (strcmp(ctl_text(r, "mode"), "observe") == 0)
		puts("  (observe mode: nothing is denied)");
}

/* Compiles the configuration here and asks it: for a draft, or where no daemon runs. */
static json_t *ask_file(const char *file, const json_t *question, int *status)
{
	struct errors errors = {0};
	char wrong[256] = "";
	struct buf b = BUF_OF(wrong);
	json_t *answer = json_object();
	struct policy p = {0};
	bool good = policy_load(file, CONFIG_FOR_CHECK, &p, &errors);
	*status = EXIT_NO;
	const struct who_from from = {.snapshot = p.snapshot};
	if (good && explain(&from, question, clock_now(), clock_ahead(), answer, &b)) {
		*status = EXIT_DONE;
	} else if (good) {
		fprintf(stderr, "tiergatectl: %s\n", wrong);
		*status = EXIT_USAGE;
	}
	errors_print(&errors, stderr);
	errors_deinit(&errors);
	policy_free(&p);
	if (*status == EXIT_DONE)
		return answer;
	json_decref(answer);
	return NULL;
}

/* The tier of who is not signed in, where we may read the users file. */
static void know_tier(json_t *question, const char *user)
{
	char tier[TIER_MAX];
	char *file = user && access(ctl.config ? ctl.config : CTL_CONFIG, R_OK) == 0
			     ? ctl_users_file(NULL)
			     : NULL;
	if (file && users_tier(file, user, tier))
		ctl_set(question, "otherwise", tier);
	free(file);
}

int ctl_why(int argc, char **argv)
{
	enum { N = 7 };
	static const char *const name[N] = {"user", "tier", "address", "to",
					    "port", "at",   "evidence"};
	const char *value[N] = {NULL};
	struct ctl_option options[N + 1] = {{0}};
	json_t *question = json_object();
	int status;
	for (int i = 0; i < N; i++)
		options[i] = (struct ctl_option){name[i], &value[i], NULL};
	bool good = ctl_options(argc, argv, options, NULL);
	for (int i = 0; i < N; i++)
		ctl_set(question, name[i], value[i]);
	if (!good || ctl.help || !value[3] || !!value[0] + !!value[1] + !!value[2] != 1) {
		json_decref(question);
		return ctl_usage(USAGE, NULL);
	}
	take_url(question, value[3], value[4]);
	know_tier(question, value[0]);
	json_t *answer;
	if (ctl.config) {
		answer = ask_file(ctl.config, question, &status);
		json_decref(question);
	} else {
		answer = ctl_ask("why", question, &status);
	}
	if (answer && ctl.json)
		ctl_put_json(answer);
	else if (answer)
		show(answer, value[0], value[5]);
	if (answer && strcmp(ctl_text(answer, "action"), "allow") != 0)
		status = EXIT_NO;
	json_decref(answer);
	return status;
}
