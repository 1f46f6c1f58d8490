#include "portal/readable.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILES 6

struct file {
	const char *path;
	int mode; /* of access(2) */
	char folder[PATH_MAX];
};

/* What the portal opens as it runs. */
static size_t list(const struct portal_config *c, struct file out[static FILES])
{
	size_t n = 0;
	out[n++] = (struct file){.path = c->certificate, .mode = R_OK};
	out[n++] = (struct file){.path = c->key, .mode = R_OK};
	if (c->metrics.port)
		out[n++] = (struct file){.path = c->metrics_token, .mode = R_OK};
	if (c->credentials & CREDENTIALS_USERS)
		out[n++] = (struct file){.path = c->users_file, .mode = R_OK};
	if (c->credentials & CREDENTIALS_VOUCHERS) { /* replaced as a whole, in its folder */
		struct file *f = &out[n++];
		f->mode = R_OK | W_OK | X_OK;
		snprintf(f->folder, sizeof f->folder, "%s", c->vouchers_file);
		f->path = dirname(f->folder);
	}
	return n;
}

/* As the user; 0, or the errno. In a process of its own: there is no way back. */
static int try_as(const struct passwd *user, const struct file *f)
{
	pid_t child = fork();
	if (child == 0) {
		bool other = !user || (initgroups(user->pw_name, user->pw_gid) == 0 &&
				       setgid(user->pw_gid) == 0 && setuid(user->pw_uid) == 0);
		_exit(other ? (access(f->path, f->mode) == 0 ? 0 : errno) : EPERM);
	}
	int status = 0;
	if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status))
		return 0; /* it could not be tried */
	return WEXITSTATUS(status);
}

void readable_check(const struct portal_config *c, const char *user, struct errors *errors)
{
	struct file file[FILES];
	const struct passwd *as = geteuid() == 0 ? getpwnam(user) : NULL;
	size_t count = list(c, file);
	for (size_t i = 0; i < count; i++) {
		int e = try_as(as, &file[i]);
		if (e)
			errors_add(errors, file[i].path, 0, "%s cannot %s it: %s; %s",
				   as ? user : "this user", file[i].mode & W_OK ? "write" : "read",
				   strerror(e),
				   e == ENOENT ? "make it"
					       : "give it the group tiergate-portal and mode 0640, "
						 "and its folder a way in");
	}
}
