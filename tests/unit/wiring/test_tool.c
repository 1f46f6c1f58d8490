#include "wiring/tool.h"
#include "unit.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* The helper is a thing of the process, so the cases have one each. */
static int in_child(bool (*good)(void))
{
	int status;
	pid_t child = fork();
	if (child == 0)
		_exit(good() ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool begin(void)
{
	struct errors errors = {0};
	bool made = tool_helper(&errors);
	tool_helper_only();
	return made;
}

static bool runs_known_ones(void)
{
	const char *const argv[] = {"nft", "--version", NULL};
	struct tool t = {0};
	bool good = begin() && tool_run(&t, argv, NULL, false) && t.status == 0 &&
		    strstr(t.out, "nftables");
	tool_deinit(&t);
	return good;
}

static bool passes_input(void)
{
	const char *const argv[] = {"nft", "-c", "-f", "-", NULL};
	struct tool t = {0};
	char *text = malloc(200000);
	memset(text, '#', 200000);
	strcpy(text + 199980, "\nnonsense\n");
	bool good = begin() && tool_run(&t, argv, text, false) && t.status == 1 && t.err &&
		    strstr(t.err, "nonsense");
	tool_deinit(&t);
	free(text);
	return good;
}

/* What runs is a program of a list, by its bare name. */
static bool runs_no_other(void)
{
	static const char *const others[][3] = {
		{"sh", "-c", "exit 0"},
		{"/bin/true"},
		{"/usr/sbin/nft", "--version"},
		{"true"},
		{""},
		{"./nft"},
	};
	if (!begin())
		return false;
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		const char *const argv[] = {others[i][0], others[i][1], others[i][2], NULL};
		struct tool t;
		bool ran = tool_run(&t, argv, NULL, false) && t.status != 127;
		tool_deinit(&t);
		if (ran)
			return false;
	}
	return runs_known_ones();
}

static bool makes_no_namespace(void)
{
	const char *const argv[] = {"nft", "--version", NULL};
	struct tool t = {0};
	bool good = begin() && tool_run(&t, argv, NULL, true) && t.status == 126;
	tool_deinit(&t);
	return good;
}

/* Too many words are no request; too long ones are not sent. */
static bool bounds_requests(void)
{
	static char longest[5000];
	memset(longest, 'x', sizeof longest - 1);
	const char *const argv[] = {"nft", longest, NULL};
	const char *many[18] = {"nft"};
	struct tool t = {0}, u = {0};
	for (int i = 1; i < 17; i++)
		many[i] = "--version";
	bool good = begin() && tool_run(&t, argv, NULL, false) && t.status == 125 &&
		    tool_run(&u, many, NULL, false) && u.status == 127;
	tool_deinit(&t);
	tool_deinit(&u);
	return good && runs_known_ones();
}

/* As the rules' service, which may make no network namespace as it is: by a user namespace, in
 * which a program can load rules all the same. */
static bool loads_as_nobody(void)
{
	const char *const argv[] = {"nft", "-c", "-f", "-", NULL};
	static const char rules[] =
		"table inet t { chain c { type filter hook forward priority filter; }; }\n";
	struct tool t = {0};
	if (setgid(65534) < 0 || setuid(65534) < 0 || unshare(CLONE_NEWNET) == 0)
		return false;
	prctl(PR_SET_DUMPABLE, 1); /* as what was started so: its files in /proc are its own */
	bool good = tool_run(&t, argv, rules, true) && t.status == 0;
	if (!good)
		print_error("%d: %s\n", t.status, t.err);
	tool_deinit(&t);
	return good;
}

static bool may_have_namespaces(void)
{
	return setgid(65534) == 0 && setuid(65534) == 0 &&
	       unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
}

static void test_scratch(void **state)
{
	if (in_child(may_have_namespaces) != 0)
		skip();
	assert_int_equal(in_child(loads_as_nobody), 0);
}

static void test_helper(void **state)
{
	assert_int_equal(in_child(runs_known_ones), 0);
	assert_int_equal(in_child(passes_input), 0);
	assert_int_equal(in_child(runs_no_other), 0);
	assert_int_equal(in_child(makes_no_namespace), 0);
	assert_int_equal(in_child(bounds_requests), 0);
}

/* The helper holds no descriptor of its maker but the three that everybody has: a pipe ends. */
static bool keeps_nothing(void)
{
	int p[2];
	char c;
	if (pipe(p) < 0 || !begin())
		return false;
	close(p[1]);
	return read(p[0], &c, 1) == 0;
}

static void test_keeps_nothing(void **state)
{
	assert_int_equal(in_child(keeps_nothing), 0);
}

static void test_here(void **state)
{
	const char *const argv[] = {"sh", "-c", "cat; echo no >&2; exit 3", NULL};
	struct tool t;
	assert_true(tool_run(&t, argv, "text", false));
	assert_int_equal(t.status, 3);
	assert_string_equal(t.out, "text");
	assert_string_equal(t.err, "no\n");
	tool_deinit(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_here),
		cmocka_unit_test(test_scratch),
		cmocka_unit_test(test_helper),
		cmocka_unit_test(test_keeps_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
