/* tiergate-portal reload: what the running portal says of it is what is said, and no answer that
 * was there before. The portal is a child of the test's, with one answer to give. */
#include "unit.h"

#include "portal/asked.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/tiergate-asked-XXXXXX", answer[64];

static int set_up(void **state)
{
	if (!mkdtemp(folder))
		return -1;
	snprintf(answer, sizeof answer, "%s/reload", folder);
	return 0;
}

static int tear_down(void **state)
{
	unlink(answer);
	return rmdir(folder); /* nothing else was left there */
}

enum answers { DONE, REFUSED, DIES };

/* Waits for SIGHUP, and answers. */
static pid_t portal(enum answers how)
{
	sigset_t hup;
	sigemptyset(&hup);
	sigaddset(&hup, SIGHUP);
	sigprocmask(SIG_BLOCK, &hup, NULL); /* so that it is not lost before the child waits */
	pid_t child = fork();
	if (child == 0) {
		struct errors errors = {0};
		int which;
		sigwait(&hup, &which);
		if (how == DIES)
			_exit(1);
		if (how == REFUSED) {
			errors_add(&errors, "portal.conf", 3, "is wrong");
			errors_add(&errors, "portal.conf", 9, "is wrong, too");
		}
		asked_answer(folder, how == DONE, &errors);
		pause();
	}
	assert_true(child > 0);
	return child;
}

static void end(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void asks(enum answers how, size_t lines, const char *first)
{
	struct errors errors = {0};
	pid_t child = portal(how);
	assert_int_equal(asked_reload(folder, child, &errors), how == DONE);
	assert_int_equal(errors.count, lines);
	if (lines)
		assert_non_null(strstr(errors.lines[0], first));
	if (how == REFUSED)
		assert_non_null(strstr(errors.lines[2], "goes on as it was"));
	errors_deinit(&errors);
	end(child);
}

static void what_it_answers_is_said(void **state)
{
	struct stat st;
	asks(DONE, 0, "");
	assert_int_equal(stat(answer, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600); /* it may quote the configuration */
	asks(REFUSED, 3, "portal.conf:3: is wrong");
	asks(DONE, 0, "");
}

/* The answer to the reload before is none to this one. */
static void an_old_answer_is_none(void **state)
{
	struct errors errors = {0};
	asks(DONE, 0, "");
	signal(SIGCHLD, SIG_IGN); /* gone at once, as a service of its own is */
	pid_t child = portal(DIES);
	assert_false(asked_reload(folder, child, &errors));
	assert_int_equal(errors.count, 1);
	assert_non_null(strstr(errors.lines[0], "has not said what became of its reload"));
	signal(SIGCHLD, SIG_DFL);
	errors_deinit(&errors);
}

static void who_is_not_there_is_not_asked(void **state)
{
	struct errors errors = {0};
	pid_t child = portal(DIES);
	end(child);
	assert_false(asked_reload(folder, child, &errors));
	assert_int_equal(errors.count, 1);
	assert_non_null(strstr(errors.lines[0], "can't be told: No such process"));
	errors_deinit(&errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_answers_is_said),
		cmocka_unit_test(an_old_answer_is_none),
		cmocka_unit_test(who_is_not_there_is_not_asked),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
