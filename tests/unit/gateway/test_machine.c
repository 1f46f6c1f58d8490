/* Some days of tests/machine: the whole daemon on a simulated clock and network. */
#include "unit.h"

#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define FIBERS_UNKNOWN true /* it takes our fibers for one thread that comes back from nowhere */
#else
#define FIBERS_UNKNOWN false
#endif

/* Its last line and its status: build/unit/gateway/test_machine -> build/time-machine. */
static void days(const char *how)
{
	char self[PATH_MAX], command[PATH_MAX + 128], line[1024];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (FIBERS_UNKNOWN)
		skip();
	assert_true(n > 0);
	self[n] = '\0';
	snprintf(command, sizeof command, "%s/time-machine %s", dirname(dirname(dirname(self))),
		 how);
	FILE *from = popen(command, "r");
	assert_non_null(from);
	while (fgets(line, sizeof line, from))
		fputs(line, stderr);
	assert_int_equal(pclose(from), 0);
}

static void nothing_is_broken_in_some_days(void **state)
{
	days("--seed 3 --days 2 --no-shrink");
}

static void the_same_seed_is_the_same_week(void **state)
{
	days("--seed 1 --days 1 --twice --no-shrink");
}

/* A flood of flows, of which the workers' tables keep the last, and then a lockdown: it ends those
 * that no worker remembers, too. */
static void a_lockdown_ends_what_no_worker_remembers(void **state)
{
	days("--seed 48 --days 1 --only 1,2,4,35,36,52,83 --no-shrink");
}

/* A kill between a flow's cut and its record, after another policy's start. */
static void a_cut_has_its_record_over_a_kill(void **state)
{
	days("--seed 9158 --only 485,518,801,879,884,885 --no-shrink");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_broken_in_some_days),
		cmocka_unit_test(the_same_seed_is_the_same_week),
		cmocka_unit_test(a_lockdown_ends_what_no_worker_remembers),
		cmocka_unit_test(a_cut_has_its_record_over_a_kill),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
