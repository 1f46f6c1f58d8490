#include "ctl/ctl.h"

#include "config/value.h"
#include "identity/users.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USAGE "login --address A --user U [--for 8h] [--users FILE]"

/* The password is checked here: the daemon never sees one. */
static int check(const char *file, const char *user, char tier[static TIER_MAX])
{
	struct errors errors = {0};
	char password[CTL_PASSWORD];
	if (!ctl_password("Password: ", password))
		return EXIT_CANNOT;
	enum users_check answer = users_check(file, user, password, tier, &errors);
	explicit_bzero(password, sizeof password);
	errors_print(&errors, stderr);
	errors_deinit(&errors);
	switch (answer) {
	case USERS_OK: return EXIT_DONE;
	case USERS_WRONG:
		fputs("tiergatectl: the user or the password is wrong\n", stderr);
		ctl_hint_user(file, user);
		return EXIT_NO;
	case USERS_LOCKED: fputs("tiergatectl: the user is locked\n", stderr); return EXIT_NO;
	case USERS_ERROR: break;
	}
	return EXIT_CANNOT;
}

static void say_opened(const json_t *result, const char *user, const char *tier,
		       const char *address)
{
	char time[32];
	const char *until = ctl_time(ctl_text(result, "until"), time);
	printf("%s (%s) is signed in at %s%s%s\n", user, tier, address, until[0] ? " until " : "",
	       until);
}

int ctl_login(int argc, char **argv)
{
	const char *address = NULL, *user = NULL, *for_time = NULL, *users = NULL;
	const struct ctl_option options[] = {{"address", &address, NULL},
					     {"user", &user, NULL},
					     {"for", &for_time, NULL},
					     {"users", &users, NULL},
					     {0}};
	char tier[TIER_MAX] = "";
	if (!ctl_options(argc, argv, options, NULL) || ctl.help || !address || !user)
		return ctl_usage(USAGE, NULL);
	struct address a;
	int64_t ns;
	if (!address_parse(address, &a)) /* said before a password is asked for */
		return ctl_usage(USAGE, "--address wants an address, such as 10.0.1.7");
	if (for_time && !duration_parse(for_time, &ns))
		return ctl_usage(USAGE, "--for wants a duration, such as 30m, 8h or 2d");
	char *file = ctl_users_file(users);
	int status = file ? check(file, user, tier) : EXIT_CANNOT;
	free(file);
	if (status != EXIT_DONE)
		return status;
	json_t *members = json_pack("{ss ss ss ss}", "address", address, "user", user, "tier", tier,
				    "source", "login");
	ctl_set(members, "for", for_time);
	json_t *result = ctl_ask("login", members, &status);
	if (result && ctl.json)
		ctl_put_json(result);
	else if (result)
		say_opened(result, user, tier, address);
	json_decref(result);
	return status;
}
