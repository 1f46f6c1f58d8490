/* tiergatectl history and rollback as people run them, where no daemon is: in words and as JSON. */
#include "unit.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64], program[PATH_MAX], output[8192];

#define TIERS "tiers = ( { name = \"guest\"; } );\n"

static void put(const char *name, const char *head, const char *text)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "%s%s", head, text);
	assert_int_equal(fclose(f), 0);
}

static int start(void **state)
{
	const char *build = getenv("TIERGATE_BUILD");
	char path[128], text[256];
	snprintf(dir, sizeof dir, "/tmp/tiergate-history-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/tiergatectl", build ? build : "build");
	assert_non_null(realpath(path, program));
	snprintf(text, sizeof text, TIERS "state_dir = \"%s\";\n", dir);
	put("conf", "# as it is now\n", text);
	snprintf(path, sizeof path, "%s/history", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	put("history/000002.conf",
	    "# history 2\n# loaded 2026-11-24T10:00:00.000000Z\n# policy 0123456789abcdef\n# by "
	    "the start\n",
	    TIERS);
	put("history/000010.conf",
	    "# history 10\n# loaded 2026-11-25T11:30:00.000000Z\n# policy fedcba9876543210\n# by "
	    "ro\033ot\n",
	    "tiers = ( { name = \"gone\"; } );\nallow = ( { tiers = [ \"guest\" ]; } );\n");
	put("history/000011.conf", "# history 11\n# loaded", "");
	put("history/notes.conf", "", "");
	return 0;
}

static int stop(void **state)
{
	char command[128];
	snprintf(command, sizeof command, "rm -r %s", dir);
	return system(command);
}

static void want(const char *arguments, int status, const char *said)
{
	char command[PATH_MAX + 512];
	snprintf(command, sizeof command,
		 "cd %s && TZ=UTC %s --socket ./none --config conf %s 2>&1", dir, program,
		 arguments);
	FILE *f = popen(command, "r");
	output[fread(output, 1, sizeof output - 1, f)] = '\0';
	int got = WEXITSTATUS(pclose(f));
	if (got != status || strcmp(output, said) != 0)
		fail_msg("%s: status %d, not %d, or is not \"%s\":\n%s", command, got, status, said,
			 output);
}

/* One that a crash cut is left out, and what is no number of one. */
static void lists_what_was_in_force(void **state)
{
	want("history", 0,
	     "     N  LOADED            POLICY            BY\n"
	     "     2  2026-11-24 10:00  0123456789abcdef  the start\n"
	     "    10  2026-11-25 11:30  fedcba9876543210  ro?ot\n");
	want("history --json", 0,
	     "{\"number\":2,\"loaded\":\"2026-11-24T10:00:00.000000Z\",\"policy\":"
	     "\"0123456789abcdef\",\"by\":\"the start\"}\n"
	     "{\"number\":10,\"loaded\":\"2026-11-25T11:30:00.000000Z\",\"policy\":"
	     "\"fedcba9876543210\",\"by\":\"ro\\u001Bot\"}\n");
}

static void shows_one(void **state)
{
	char none[256];
	want("history show 2", 0,
	     "# history 2\n# loaded 2026-11-24T10:00:00.000000Z\n# policy 0123456789abcdef\n# by "
	     "the start\n" TIERS);
	for (int i = 0; i < 5; i++) {
		static const char *const words[] = {"3", "11", "-1", "2x", "''"};
		char line[32];
		snprintf(line, sizeof line, "history show %s", words[i]);
		snprintf(none, sizeof none,
			 "tiergatectl: there is no policy %s in %s/history; tiergatectl history "
			 "says "
			 "which there are\n",
			 i == 4 ? "" : words[i], dir);
		want(line, 1, none);
	}
}

/* Without a daemon the file is written; a bad one is refused, and the file stays. */
static void rolls_back(void **state)
{
	char said[256], now[64] = "";
	char path[128];
	snprintf(said, sizeof said,
		 "tiergatectl: there is no policy 3 in %s/history; tiergatectl history says which "
		 "there are\n",
		 dir);
	want("rollback 3", 1, said);
	want("rollback 10", 1,
	     "000010.conf:6: a line without sites; write sites = a list of sites, such as [ \"a\", "
	     "\"b\" ], or [ \"*\" ] for all\n"
	     "000010.conf:6: there is no tier \"guest\"; tiers known: gone\n");
	snprintf(path, sizeof path, "%s/conf", dir);
	FILE *f = fopen(path, "r");
	assert_non_null(fgets(now, sizeof now, f));
	fclose(f);
	assert_string_equal(now, "# as it is now\n");
	snprintf(said, sizeof said,
		 "tiergatectl: the daemon does not answer at ./none: No such file or directory; "
		 "systemctl status tiergated\n"
		 "tiergatectl: conf is written; it counts from the daemon's start\n");
	want("rollback 2", 3, said);
	f = fopen(path, "r");
	assert_non_null(fgets(now, sizeof now, f));
	fclose(f);
	assert_string_equal(now, "# history 2\n");
	snprintf(path, sizeof path, "%s/conf.before-rollback", dir);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(now, sizeof now, f));
	fclose(f);
	assert_string_equal(now, "# as it is now\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_what_was_in_force),
		cmocka_unit_test(shows_one),
		cmocka_unit_test(rolls_back),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
