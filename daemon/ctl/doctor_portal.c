/* The portal's part of doctor: tiergate-portal itself says what is wrong, as its user would find
 * it. */
#include "ctl/doctor.h"

#include "ctl/ctl.h"
#include "wiring/tool.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM     "tiergate-portal"
#define CERTIFICATE "/etc/tiergate/portal.crt" /* as it is shipped */

/* Beside this program, or where it is installed. */
static bool find_program(char out[static PATH_MAX])
{
	static const char *const places[] = {"/" PROGRAM, "/../sbin/" PROGRAM};
	char own[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
	own[n > 0 ? n : 0] = '\0';
	char *slash = strrchr(own, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; slash && i < sizeof places / sizeof *places; i++)
		if (snprintf(out, PATH_MAX, "%s%s", own, places[i]) < PATH_MAX &&
		    access(out, X_OK) == 0)
			return true;
	return false;
}

/* A warning is no more than that, unless browsers turn away already. */
static void take_lines(struct doctor *d, char *text)
{
	static const char warning[] = "warning: ";
	for (char *rest, *line = strtok_r(text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		bool mild = strncmp(line, warning, sizeof warning - 1) == 0;
		if (mild)
			line += sizeof warning - 1;
		mild = mild && !strstr(line, "browsers refuse it");
		doctor_find(d, mild ? LOOK : BAD, "portal", "%s", line);
	}
}

static void ask(struct doctor *d, const char *program, const char *path)
{
	const char *const argv[] = {program, "--check", "--config", path, NULL};
	struct tool t;
	bool ran = tool_run(&t, argv, NULL, false);
	if (ran && *t.err)
		take_lines(d, t.err);
	else if (ran && t.status == 0)
		doctor_find(d, GOOD, "portal", "%s is good, and its certificate", path);
	else
		doctor_find(d, BAD, "portal", "%s: `" PROGRAM " --check` ends with %d and no word",
			    path, t.status);
	tool_deinit(&t);
}

void doctor_portal(struct doctor *d, const char *config)
{
	char path[PATH_MAX], program[PATH_MAX];
	const char *slash = strrchr(config, '/');
	int n = snprintf(path, sizeof path, "%.*sportal.conf",
			 slash ? (int)(slash - config) + 1 : 0, config);
	if (n >= PATH_MAX || access(path, F_OK) != 0)
		return; /* nobody signs in by it */
	if (ctl_as_shipped(path, "portal.conf") && access(CERTIFICATE, F_OK) != 0)
		doctor_find(d, LOOK, "portal",
			    "%s is as it was installed, and there is no certificate: nobody can "
			    "sign in "
			    "by it; tiergate-portal(8) says what it needs",
			    path);
	else if (geteuid() != 0)
		doctor_find(d, LOOK, "portal",
			    "only root can see its certificate as its user does: run as root");
	else if (!find_program(program))
		doctor_find(d, LOOK, "portal",
			    "%s is there and " PROGRAM " is not: install it, or take the file away",
			    path);
	else
		ask(d, program, path);
}
