#include "ctl/ctl.h"

#include "identity/users.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define USAGE                                                                                      \
	"passwd --user U [--tier T] [--keep] [--users FILE]\n"                                     \
	"       tiergatectl passwd --user U --lock | --unlock | --remove [--users FILE]"

/* Twice at a terminal: nobody sees what they type. */
static bool new_password(char out[static CTL_PASSWORD])
{
	char again[CTL_PASSWORD];
	if (!ctl_password("New password: ", out))
		return false;
	if (!isatty(STDIN_FILENO))
		return true;
	bool same = ctl_password("Again: ", again) && strcmp(out, again) == 0;
	explicit_bzero(again, sizeof again);
	if (!same)
		fputs("tiergatectl: the two differ\n", stderr);
	return same;
}

static int write_user(const char *file, const char *user, const char *tier, bool keep,
		      struct errors *errors)
{
	char password[CTL_PASSWORD];
	if (keep)
		return users_write(file, user, tier, NULL, errors);
	if (!new_password(password))
		return -ECANCELED;
	int e = users_write(file, user, tier, password, errors);
	explicit_bzero(password, sizeof password);
	return e;
}

static int status_of(int e)
{
	if (e == 0)
		return EXIT_DONE;
	return e == -ENOENT || e == -EINVAL || e == -ECANCELED ? EXIT_NO : EXIT_CANNOT;
}

int ctl_passwd(int argc, char **argv)
{
	const char *user = NULL, *tier = NULL, *users = NULL;
	bool keep = false, lock = false, unlock = false, remove = false;
	const struct ctl_option options[] = {{"user", &user, NULL},     {"tier", &tier, NULL},
					     {"users", &users, NULL},   {"keep", NULL, &keep},
					     {"lock", NULL, &lock},     {"unlock", NULL, &unlock},
					     {"remove", NULL, &remove}, {0}};
	struct errors errors = {0};
	int e;
	if (!ctl_options(argc, argv, options, NULL) || ctl.help || !user)
		return ctl_usage(USAGE, NULL);
	if (keep + lock + unlock + remove > 1 || (tier && (lock || unlock || remove)) ||
	    (keep && !tier))
		return ctl_usage(USAGE, "these options do not go together");
	if (tier && (e = ctl_tier(tier)) != EXIT_DONE)
		return e;
	char *file = ctl_users_file(users);
	if (!file)
		return EXIT_CANNOT;
	if (lock || unlock)
		e = users_lock(file, user, lock, &errors);
	else if (remove)
		e = users_remove(file, user, &errors);
	else
		e = write_user(file, user, tier, keep, &errors);
	if (e == -ENOENT && !tier && !lock && !unlock && !remove)
		fputs("tiergatectl: a new user needs --tier\n", stderr);
	errors_print(&errors, stderr);
	errors_deinit(&errors);
	if (e == -ENOENT)
		ctl_hint_user(file, user);
	free(file);
	return status_of(e);
}
