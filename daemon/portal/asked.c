#include "portal/asked.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANSWER_MAX (64 * 1024)
#define WAIT_MS    60000
#define STEP_US    50000

static void name(const char *state_dir, char out[static PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/reload", state_dir);
}

void asked_answer(const char *state_dir, bool done, const struct errors *errors)
{
	char path[PATH_MAX];
	struct file_new f;
	name(state_dir, path);
	int e = file_new_open_nofollow(&f, path, 0600, (gid_t)-1);
	if (e == 0) {
		fputs(done ? "done\n" : "refused\n", f.to);
		for (size_t i = 0; i < errors->count; i++)
			fprintf(f.to, "%s\n", errors->lines[i]);
		e = file_new_commit(&f);
	}
	if (e < 0)
		log_warn("%s: what became of the reload can't be said: %s", path, strerror(-e));
}

/* An answer is a file of its own. */
static ino_t which(const char *path, struct timespec *when)
{
	struct stat st = {0};
	if (stat(path, &st) < 0)
		return 0;
	*when = st.st_mtim;
	return st.st_ino;
}

static bool answered(const char *path, ino_t before, struct timespec then)
{
	struct timespec now = {0};
	ino_t file = which(path, &now);
	return file && (file != before || now.tv_sec != then.tv_sec || now.tv_nsec != then.tv_nsec);
}

/* Takes the answer's lines; whether it was done. */
static bool take(const char *path, struct errors *errors)
{
	char *text = NULL, *rest = NULL;
	size_t len = 0;
	int e = file_read(path, ANSWER_MAX, &text, &len);
	if (e < 0)
		errors_add(errors, path, 0, "its answer can't be read: %s", strerror(-e));
	char *line = e < 0 ? NULL : strtok_r(text, "\n", &rest);
	bool done = line && strcmp(line, "done") == 0;
	while (line && (line = strtok_r(NULL, "\n", &rest)))
		errors_add(errors, NULL, 0, "%s", line);
	if (!done)
		errors_add(errors, NULL, 0,
			   "the running portal refused the reload, and goes on as it was");
	free(text);
	return done;
}

bool asked_reload(const char *state_dir, long pid, struct errors *errors)
{
	char path[PATH_MAX];
	struct timespec then = {0};
	name(state_dir, path);
	ino_t before = which(path, &then);
	if (kill((pid_t)pid, SIGHUP) < 0) {
		errors_add(errors, NULL, 0, "process %ld can't be told: %s", pid, strerror(errno));
		return false;
	}
	for (int ms = 0; ms < WAIT_MS; ms += STEP_US / 1000) {
		if (answered(path, before, then))
			return take(path, errors);
		if (kill((pid_t)pid, 0) < 0)
			break;
		usleep(STEP_US);
	}
	errors_add(errors, path, 0,
		   "process %ld has not said what became of its reload; journalctl -u "
		   "tiergate-portal. Was state_dir changed? systemctl restart tiergate-portal",
		   pid);
	return false;
}
