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

/* The port that a URL's scheme means; 0: none is known. */
static unsigned port_of(const char *scheme, size_t len)
{
	static const struct {
		const char *scheme;
		unsigned port;
	} known[] = {{"http", 80}, {"ws", 80}, {"https", 443}, {"wss", 443}};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strlen(known[i].scheme) == len &&
		    strncasecmp(scheme, known[i].scheme, len) == 0)
			return known[i].port;
	return 0;
}

/* ":8443" to the end: its number, else 0. */
static unsigned port_behind(const char *colon, const char *end)
{
	unsigned long port = 0;
	for (const char *c = colon + 1; colon < end && *colon == ':' && c < end && port < 65536;
	     c++)
		port = *c >= '0' && *c <= '9' ? port * 10 + (unsigned long)(*c - '0') : 65536;
	return port < 65536 ? (unsigned)port : 0;
}

/* Of a URL, or a host with a port, what it means: its host and, where no port was asked for, the
 * port that it says or that its scheme has. Anything else stays as it is, for the daemon to say. */
static void take_url(json_t *question, const char *to, const char *port)
{
	char host[512], transport[16];
	const char *rest = strstr(to, "://");
	unsigned number = rest ? port_of(to, (size_t)(rest - to)) : 0;
	rest = rest ? rest + 3 : to;
	size_t len = strcspn(rest, "/?#");
	const char *at = rest != to ? memchr(rest, '@', len) : NULL;
	if (at) {
		len -= (size_t)(at + 1 - rest);
		rest = at + 1;
	}
	const char *end = rest + len, *close = *rest == '[' ? memchr(rest, ']', len) : NULL;
	const char *colon = close ? close + 1 : memchr(rest, ':', len);
	if (!close && colon && memchr(colon + 1, ':', (size_t)(end - colon - 1)))
		colon = NULL; /* an IPv6 address */
	unsigned said = colon ? port_behind(colon, end) : 0;
	if ((colon && colon < end && !said) || !(said | number))
		return;
	const char *host_end = close ? close : colon ? colon : end;
	rest += close != NULL;
	snprintf(host, sizeof host, "%.*s", (int)(host_end - rest), rest);
	json_object_set_new(question, "to", json_string(host));
	snprintf(transport, sizeof transport, "tcp/%u", said ? said : number);
	if (!port)
		json_object_set_new(question, "port", json_string(transport));
}

static void show_edit(const json_t *r)
{
	const json_t *edit = json_object_get(r, "edit");
	bool allowed = strcmp(ctl_text(r, "action"), "allow") == 0;
	size_t i;
	json_t *step;
	if (json_array_size(edit))
		printf("  edit:     %s that would %s it\n",
		       json_is_true(json_object_get(r, "smallest")) ? "the smallest" : "one",
		       allowed ? "deny" : "allow");
	json_array_foreach(edit, i, step)
	{
		line("            ", ctl_text(step, "where"), ": ");
		line("", ctl_text(step, "what"), "\n");
	}
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
	line("  observed: ", ctl_text(r, "observed"),
	     ", a deny line in observe mode, would deny it\n");
	line("  needs:    ", ctl_text(r, "needs"), " evidence\n");
	line("  nearest:  ", ctl_text(r, "nearest"), "");
	line(", owner ", ctl_text(r, "nearest_owner"), "");
	fputs(ctl_text(r, "nearest")[0] ? "\n" : "", stdout);
	line("    note    ", ctl_text(r, "nearest_note"), "\n");
	json_array_foreach(obstacles, i, o) line("    but     ", json_string_value(o), "\n");
	show_edit(r);
	if (strcmp(ctl_text(r, "mode"), "observe") == 0)
		puts("  (observe mode: nothing is denied)");
}

/* Compiles the configuration here and asks it: for a draft, or where no daemon runs. */
static json_t *ask_file(const char *file, const json_t *question, int *status)
{
	char wrong[256] = "";
	struct buf b = BUF_OF(wrong);
	json_t *answer = json_object();
	struct policy p = {0};
	bool good = ctl_policy(file, &p);
	*status = EXIT_CANNOT;
	if (good && explain_edit(&p, question, clock_now(), clock_ahead(), answer, &b)) {
		*status = EXIT_DONE;
	} else if (good) {
		fprintf(stderr, "tiergatectl: %s\n", wrong);
		*status = EXIT_USAGE;
		if (ctl_text(question, "user")[0])
			ctl_hint_user(NULL, ctl_text(question, "user"));
	}
	policy_free(&p);
	if (*status == EXIT_DONE)
		return answer;
	json_decref(answer);
	return NULL;
}

/* The daemon keeps no text of its policy: the edit is of the file, where that is what it loaded. */
static void find_edit(const json_t *question, json_t *answer)
{
	char wrong[256] = "";
	struct buf b = BUF_OF(wrong);
	struct errors errors = {0};
	struct policy p = {0};
	json_t *by_tier = json_object(), *again = json_object();
	json_object_update(by_tier, (json_t *)question);
	json_object_del(by_tier, "user");
	json_object_del(by_tier, "address");
	json_object_set(by_tier, "tier", json_object_get(answer, "tier"));
	json_object_set(by_tier, "at", json_object_get(answer, "at"));
	if (ctl_text(answer, "tier")[0] && access(CTL_CONFIG, R_OK) == 0 &&
	    policy_load(CTL_CONFIG, CONFIG_FOR_CHECK, &p, &errors) &&
	    strcmp(snapshot_digest(p.snapshot), ctl_text(answer, "policy")) == 0 &&
	    explain_edit(&p, by_tier, clock_now(), clock_ahead(), again, &b) &&
	    json_object_get(again, "edit")) {
		json_object_set(answer, "edit", json_object_get(again, "edit"));
		json_object_set(answer, "smallest", json_object_get(again, "smallest"));
	}
	errors_deinit(&errors);
	policy_free(&p);
	json_decref(by_tier);
	json_decref(again);
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
	} else {
		answer = ctl_ask("why", json_incref(question), &status);
		if (answer)
			find_edit(question, answer);
	}
	json_decref(question);
	if (answer && ctl.json)
		ctl_put_json(answer);
	else if (answer)
		show(answer, value[0], value[5]);
	if (answer && strcmp(ctl_text(answer, "action"), "allow") != 0)
		status = EXIT_NO;
	json_decref(answer);
	return status;
}
