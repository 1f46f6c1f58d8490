/* tiergatectl probe: each minute, as each tier, one connection that is allowed and one that is
 * denied, from a client of our own to a server of our own through the gateway. */
#include "ctl/probe.h"

#include "ctl/ctl.h"

#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#define SECONDS 60

struct finding {
	const char *allowed, *denied; /* "ok", "wrong", "none" */
	char why[256];
};

static bool sign_in(const struct probe_family *f, const char *tier)
{
	int status;
	json_t *r = ctl_ask("login",
			    json_pack("{s:s, s:s, s:s, s:s, s:s}", "address", f->client, "user",
				      PROBE_USER, "tier", tier, "source", "probe", "for", "5m"),
			    &status);
	json_decref(r);
	return r;
}

static void sign_out(const struct probe_rig *rig)
{
	int status;
	for (int i = 0; i < 2; i++)
		if (rig->family[i].on)
			json_decref(ctl_ask("logout",
					    json_pack("{s:s, s:s}", "address",
						      rig->family[i].client, "source", "probe"),
					    &status));
}

static void say(struct finding *out, const struct probe_family *f, const char *why)
{
	size_t len = strlen(out->why);
	snprintf(out->why + len, sizeof out->why - len, "%s%s over %s", len ? "; " : "", why,
		 f->name);
}

static void try_one(const struct probe_family *f, const char *name, enum crossed want,
		    const char **result, struct finding *out)
{
	const char *why = "";
	if (!*name)
		return;
	if (strcmp(*result, "none") == 0)
		*result = "ok";
	if (probe_cross(f, name, &why) == want)
		return;
	*result = "wrong";
	say(out, f, why);
}

/* False where the daemon does not answer. */
static bool try_tier(const struct probe_rig *rig, const char *tier, const struct probe_names *n,
		     struct finding *out)
{
	*out = (struct finding){"none", "none", ""};
	for (int i = 0; i < 2; i++) {
		const struct probe_family *f = &rig->family[i];
		if (!f->on)
			continue;
		if (!sign_in(f, tier))
			return false;
		try_one(f, n->allowed, CROSSED_YES, &out->allowed, out);
		if (!n->observed)
			try_one(f, n->denied, CROSSED_NO, &out->denied, out);
	}
	if (n->observed)
		snprintf(out->why + strlen(out->why), sizeof out->why - strlen(out->why),
			 "%sobserved: nothing is denied", *out->why ? "; " : "");
	else if (!*n->allowed && !*out->why)
		snprintf(out->why, sizeof out->why,
			 "no name that a hello alone opens was found for it");
	return true;
}

static void tell(const char *tier, const struct probe_names *n, const struct finding *f)
{
	int status;
	json_t *probe = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "tier", tier, "allowed",
				  f->allowed, "allowed_name", n->allowed, "denied", f->denied,
				  "denied_name", n->denied, "why", f->why);
	json_decref(ctl_ask("tell", json_pack("{s:o}", "probe", probe), &status));
}

static void show(const char *tier, const struct probe_names *n, const struct finding *f)
{
	printf("%-20s allowed %-5s %-30s denied %-5s %s\n", tier, f->allowed, n->allowed, f->denied,
	       n->denied);
	if (*f->why)
		printf("%-20s %s\n", "", f->why);
	fflush(stdout);
}

/* EXIT_NO where something is wrong. talk: say all; else what is wrong alone. */
static int round_of(const struct probe_rig *rig, const struct config *c, bool talk)
{
	int status = EXIT_DONE;
	for (size_t i = 0; i < c->tier_count; i++) {
		const char *tier = c->tiers[i].name;
		struct probe_names n;
		struct finding f;
		if (!probe_names(c, tier, &n) || !try_tier(rig, tier, &n, &f)) {
			status = EXIT_CANNOT;
			break;
		}
		tell(tier, &n, &f);
		bool bad = strcmp(f.allowed, "wrong") == 0 || strcmp(f.denied, "wrong") == 0;
		if (talk || bad)
			show(tier, &n, &f);
		if (bad)
			status = EXIT_NO;
	}
	sign_out(rig);
	return status;
}

/* The configuration is read anew each time: it may have other tiers. A bad one changes nothing. */
static void look_again(struct config **c, const char *path)
{
	struct errors errors = {0};
	struct config *now = config_load(path, CONFIG_FOR_CHECK, &errors);
	if (now) {
		config_free(*c);
		*c = now;
	}
	errors_deinit(&errors);
}

static int probe(struct config **c, const char *path, bool once, struct errors *errors)
{
	struct probe_rig rig;
	if (!probe_rig_take(&rig) && !probe_rig_make(&rig, *c, errors))
		return EXIT_CANNOT;
	sd_notify(0, "READY=1");
	int status = round_of(&rig, *c, once);
	while (!once) {
		sleep(SECONDS);
		look_again(c, path);
		status = round_of(&rig, *c, false);
	}
	return status;
}

int ctl_probe(int argc, char **argv)
{
	bool once = false, rig = false;
	const struct ctl_option options[] = {{"once", NULL, &once}, {"rig", NULL, &rig}, {0}};
	struct errors errors = {0};
	if (!ctl_options(argc, argv, options, NULL) || ctl.help)
		return ctl_usage("probe [--once] [--config FILE]", NULL);
	const char *path = ctl.config ? ctl.config : CTL_CONFIG;
	struct config *c = config_load(path, CONFIG_FOR_CHECK, &errors);
	int status = EXIT_CANNOT;
	if (c && rig)
		status = probe_rig_hand_over(c, &errors) ? EXIT_DONE : EXIT_CANNOT;
	else if (c)
		status = probe(&c, path, once, &errors);
	errors_print(&errors, stderr);
	errors_deinit(&errors);
	config_free(c);
	return status;
}
