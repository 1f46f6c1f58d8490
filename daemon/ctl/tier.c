#include "ctl/ctl.h"

#include "config/suggest.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool has(const struct config *c, const char *tier)
{
	for (size_t i = 0; i < c->tier_count; i++)
		if (strcmp(c->tiers[i].name, tier) == 0)
			return true;
	return false;
}

static int refuse(const struct config *c, const char *where, const char *tier)
{
	enum { NAMES = 1024 };
	const char *names[NAMES];
	char near[512] = "";
	struct buf b = BUF_OF(near);
	size_t count = 0;
	for (; count < c->tier_count && count < NAMES; count++)
		names[count] = c->tiers[count].name;
	suggest(tier, names, count, "tiers", &b);
	fprintf(stderr,
		"tiergatectl: the policy of %s has no tier %s (%s); write it into the policy first "
		"where it is new\n",
		where, tier, near);
	return EXIT_NO;
}

/* The daemon's policy, where no configuration can be read. */
static int ask_daemon(const char *tier)
{
	struct call *c = call_open(ctl.socket ? ctl.socket : CTL_SOCKET, 2);
	json_t *answer = NULL;
	if (c && call_send(c, "why", json_pack("{ss ss}", "tier", tier, "to", "tier.invalid")))
		answer = call_receive(c);
	bool unknown = answer && json_is_false(json_object_get(answer, "ok")) &&
		       strcmp(ctl_text(answer, "code"), "bad-request") == 0;
	if (unknown) {
		fputs("tiergatectl: of the daemon's policy: ", stderr);
		ctl_put(stderr, ctl_text(answer, "error"));
		fputs("; write it into the policy first\n", stderr);
	}
	json_decref(answer);
	call_close(c);
	return unknown ? EXIT_NO : EXIT_DONE;
}

int ctl_tier(const char *tier)
{
	struct errors errors = {0};
	const char *path = ctl.config ? ctl.config : CTL_CONFIG;
	if (!ctl.config && access(path, R_OK) != 0)
		return ask_daemon(tier);
	struct config *c = config_load(path, CONFIG_FOR_CHECK, &errors);
	int status = EXIT_DONE;
	if (!c && ctl.config) {
		errors_print(&errors, stderr);
		status = EXIT_CANNOT;
	} else if (!c) {
		status = ask_daemon(tier);
	} else if (!has(c, tier)) {
		status = refuse(c, path, tier);
	}
	errors_deinit(&errors);
	config_free(c);
	return status;
}

bool ctl_policy(const char *path, struct policy *out)
{
	struct errors errors = {0};
	bool good = policy_load(path, CONFIG_FOR_CHECK, out, &errors);
	errors_print(&errors, stderr);
	errors_deinit(&errors);
	return good;
}
