/* tiergatectl coverage, expect --suggest as people run them: what is printed loads as it is. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64], build[512], output[32768];

#define POLICY                                                                                     \
	"tiers = ( { name = \"guest\"; }, { name = \"press\"; includes = [ \"guest\" ]; } );\n"    \
	"sites = ( { name = \"news\"; hosts = [ \"news.example\" ]; } );\n"                        \
	"allow = ( { tiers = [ \"press\" ]; sites = [ \"news\" ]; owner = \"desk\"; } );\n"        \
	"deny = ( { tiers = [ \"guest\" ]; sites = [ \"news\" ]; } );\n"

static void put(const char *name, const char *text)
{
	char path[96];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static int start(void **state)
{
	const char *b = getenv("TIERGATE_BUILD");
	snprintf(dir, sizeof dir, "/tmp/tiergate-advice-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(build, sizeof build, "%s", b ? b : "build");
	if (build[0] != '/') {
		char *here = getcwd(NULL, 0);
		snprintf(build, sizeof build, "%s/%s", here, b ? b : "build");
		free(here);
	}
	put("bare.conf", POLICY);
	put("t.conf", POLICY "policy = [ \"more.conf\" ];\n");
	put("bad.conf", "allow = 1;\n");
	return 0;
}

static int stop(void **state)
{
	char command[128];
	snprintf(command, sizeof command, "rm -r %s", dir);
	return system(command);
}

/* Runs a command in the folder. */
static void want(const char *command, int status, const char *said)
{
	char line[1200];
	snprintf(line, sizeof line, "cd %s; PATH=%s:$PATH; { %s; } 2>&1", dir, build, command);
	FILE *f = popen(line, "r");
	output[fread(output, 1, sizeof output - 1, f)] = '\0';
	int got = WEXITSTATUS(pclose(f));
	if (got != status || !strstr(output, said))
		fail_msg("%s: status %d, not %d, or lacks \"%s\":\n%s", line, got, status, said,
			 output);
}

static void coverage_and_expect(void **state)
{
	want("tiergatectl coverage --config bare.conf", 1,
	     "bare.conf:3: allow press: news, owner desk\nbare.conf:4: deny guest: news\n"
	     "2 of 2 lines decide no expect\n");
	want("tiergatectl coverage --json --config bare.conf", 1,
	     "{\"rule\":\"bare.conf:4\",\"kind\":\"deny\",\"tiers\":[\"guest\"],\"sites\":["
	     "\"news\"]}\n{\"lines\":2,\"untouched\":2}\n");
	want("tiergatectl expect --suggest --config bare.conf", 0,
	     "expect = (\n\t# bare.conf:3, desk\n"
	     "\t{ tier = \"press\"; to = \"news.example\"; outcome = \"allow\"; },\n");
	/* what it writes is a file that loads and holds, and then nothing is left */
	want("tiergatectl expect --suggest --config bare.conf >more.conf; "
	     "tiergated check --config t.conf && tiergatectl coverage --config t.conf",
	     0, "0 of 2 lines decide no expect\n");
	want("tiergatectl expect --suggest --config t.conf", 0, "");
	assert_string_equal(output, "");
	want("tiergatectl expect --suggest --json --config bare.conf", 0, "\"outcome\":\"allow\"}");
	want("tiergatectl expect --config bare.conf", 2, "--suggest");
	want("tiergatectl coverage --config bad.conf", 3, "bad.conf:1:");
	want("tiergatectl coverage too much", 2, "too is no option");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(coverage_and_expect),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
