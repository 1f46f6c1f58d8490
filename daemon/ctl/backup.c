/* tiergatectl backup and restore: what makes this gateway this one, in a tar file: configuration
 * with its policy files and lists, users (hashes alone), the portal's settings and vouchers, state
 * and history. tar does the work; paths lie below the root, so that another root can be given. */
#include "ctl/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATHS 4096

struct paths {
	const char *item[PATHS + 16]; /* tar's words, then paths without their first slash */
	size_t count;
};

static void add(struct paths *p, const char *path)
{
	if (path && path[0] == '/' && access(path, F_OK) == 0 && p->count < PATHS)
		p->item[p->count++] = path + 1;
}

/* The exit status of a program; 127 where it can't be run. */
static int run(const char *const argv[])
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	while (child < 0 || waitpid(child, &status, 0) < 0)
		if (child < 0 || errno != EINTR)
			return 127;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 127;
}

static int said(int status, const char *what, const char *file)
{
	if (status == 0)
		return EXIT_DONE;
	if (status == 127)
		fputs("tiergatectl: tar and gzip have to be installed\n", stderr);
	else
		fprintf(stderr, "tiergatectl: %s: %s\n", file, what);
	return EXIT_CANNOT;
}

int ctl_backup(int argc, char **argv)
{
	static const struct ctl_option none[] = {{0}};
	static struct paths p = {.item = {"tar", "-C", "/", "--numeric-owner", "-czf", NULL, "--"},
				 .count = 7};
	const char *words[1], *config;
	size_t count;
	struct policy policy = {0};
	if (!ctl_words(argc, argv, none, words, 1, &count) || ctl.help || count != 1)
		return ctl_usage("backup FILE [--config FILE]", NULL);
	config = ctl.config ? ctl.config : CTL_CONFIG;
	if (!ctl_policy(config, &policy))
		return EXIT_CANNOT;
	p.item[5] = words[0];
	const struct config *c = policy.config;
	for (size_t i = 0; i < c->files.count; i++) {
		const char *file = c->files.item[i];
		char *path = NULL; /* lives as long as the program */
		if (asprintf(&path, "%s%s%s", *file == '/' ? "" : c->folder,
			     *file == '/' ? "" : "/", file) < 0)
			abort();
		add(&p, realpath(path, NULL));
	}
	add(&p, c->users_file);
	add(&p, c->pseudonym_key_file);
	add(&p, "/etc/tiergate/portal.conf");
	add(&p, "/etc/tiergate/portal");
	add(&p, "/var/lib/tiergate-portal");
	add(&p, c->state_dir);
	umask(077); /* hashes, sessions and who was where are nobody else's */
	int status = said(run(p.item), "can't be written; is there room, and the right?", words[0]);
	if (status == EXIT_DONE)
		printf("%s: %zu paths of %s\n", words[0], p.count - 7, config);
	policy_free(&policy);
	return status;
}

int ctl_restore(int argc, char **argv)
{
	const char *words[1], *root = "/";
	bool dry = false;
	const struct ctl_option options[] = {{"root", &root, NULL}, {"dry-run", NULL, &dry}, {0}};
	size_t count;
	if (!ctl_words(argc, argv, options, words, 1, &count) || ctl.help || count != 1)
		return ctl_usage("restore FILE [--root FOLDER] [--dry-run]", NULL);
	if (geteuid() != 0 && !dry) {
		fputs("tiergatectl: only root can give files back to their owners\n", stderr);
		return EXIT_CANNOT;
	}
	const char *const list[] = {"tar", "-tzvf", words[0], NULL};
	const char *const test[] = {"gzip", "-t", words[0], NULL};
	const char *const extract[] = {"tar",   "-C",     root, "--numeric-owner",
				       "-xpzf", words[0], NULL};
	if (access(words[0], R_OK) < 0) {
		fprintf(stderr,
			"tiergatectl: %s can't be read: %m; nothing was changed; name what backup "
			"wrote\n",
			words[0]);
		return EXIT_CANNOT;
	}
	if (dry)
		return said(run(list), "is no backup, or is damaged", words[0]);
	int status = said(run(test), "is no backup, or is damaged; nothing was changed", words[0]);
	if (status == EXIT_DONE)
		status = said(run(extract), "could not be restored whole", words[0]);
	if (status == EXIT_DONE)
		puts("restored; tiergated check, then systemctl restart tiergated");
	return status;
}
