/* Every command of tiergatectl that reads a named file: one that is not there, is a folder or a
 * FIFO is named as it was written, with what is wrong and what to do, and the status says "could
 * not be run", never the command's own "no". */
#include "unit.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64], program[PATH_MAX], output[8192];

static int start(void **state)
{
	const char *build = getenv("TIERGATE_BUILD");
	char path[128];
	FILE *f;
	snprintf(dir, sizeof dir, "/tmp/tiergate-absent-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/tiergatectl", build ? build : "build");
	assert_non_null(realpath(path, program));
	snprintf(path, sizeof path, "%s/good", dir);
	assert_non_null(f = fopen(path, "w"));
	fputs("tiers = ( { name = \"guest\"; } );\n", f);
	fclose(f);
	snprintf(path, sizeof path, "%s/folder", dir);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof path, "%s/fifo", dir);
	return mkfifo(path, 0600);
}

static int stop(void **state)
{
	char command[128];
	snprintf(command, sizeof command, "rm -r %s", dir);
	return system(command);
}

/* FILE in the arguments is the file. Run in the folder. */
static void want(const char *arguments, const char *file, int status, const char *said)
{
	char command[PATH_MAX + 1024], line[512] = "", wanted[256] = "";
	for (const char *at = arguments; *at; at++)
		if (strncmp(at, "FILE", 4) == 0) {
			strcat(line, file);
			at += 3;
		} else {
			strncat(line, at, 1);
		}
	snprintf(wanted, sizeof wanted, "%s%s", file, said);
	snprintf(command, sizeof command,
		 "cd %s && echo secret | timeout 20 %s --socket ./none %s 2>&1", dir, program,
		 line);
	FILE *f = popen(command, "r");
	output[fread(output, 1, sizeof output - 1, f)] = '\0';
	int got = WEXITSTATUS(pclose(f));
	if (got != status || !strstr(output, wanted))
		fail_msg("%s: status %d, not %d, or lacks \"%s\":\n%s", command, got, status,
			 wanted, output);
}

static void a_configuration(void **state)
{
	static const char *const commands[] = {
		"diff FILE good",
		"diff good FILE",
		"try FILE --config good --against good",
		"try good --config FILE --against good",
		"why --config FILE --tier guest --to www.example",
		"coverage --config FILE",
		"expect --suggest --config FILE",
		"suggest --config FILE",
		"unused --config FILE",
		"report --config FILE",
		"history --config FILE",
		"history show 1 --config FILE",
		"rollback 1 --config FILE",
		"vouchers --tier guest --for 8h --config FILE",
		"passwd --user ann --tier guest --config FILE",
		"login --user ann --address 10.0.0.1 --config FILE",
		"backup --config FILE out",
		"probe --config FILE",
		"wiring print --config FILE",
	};
	static const struct {
		const char *file, *said;
	} files[] = {
		{"/nowhere", ": can't be read: No such file or directory; name a file that can\n"},
		{"./absent", ": can't be read: No such file or directory; name a file that can\n"},
		{"absent", ": can't be read: No such file or directory; name a file that can\n"},
		{"folder/", ": can't be read: Is a directory; name a file in it\n"},
		{"good/x", ": can't be read: Not a directory; name a file that can\n"},
		{"fifo", ": can't be read: it is no ordinary file; name a file that can\n"},
	};
	for (size_t c = 0; c < sizeof commands / sizeof *commands; c++)
		for (size_t i = 0; i < sizeof files / sizeof *files; i++)
			want(commands[c], files[i].file, 3, files[i].said);
}

static void other_files(void **state)
{
	want("suggest --config good --against FILE", "/nowhere", 3,
	     ": records can't be read: No such file or directory; name others, or look at "
	     "log_file\n");
	want("report --config good --against FILE", "folder", 3,
	     ": records can't be read: Is a directory; name the files in it\n");
	want("unused --config good --against good FILE", "./absent", 3,
	     ": records can't be read: ");
	want("try good --config good --allow-change FILE", "absent", 3,
	     " can't be read: No such file or directory; --allow-change names what try --json "
	     "printed\n");
	want("try good --config good --allow-change FILE", "folder", 3,
	     " can't be read: Is a directory; ");
	want("restore FILE --dry-run", "absent", 3,
	     " can't be read: No such file or directory; nothing was changed; name what backup "
	     "wrote\n");
	want("restore FILE --dry-run", "folder", 3, ": is no backup");
	want("login --user ann --address 10.0.0.1 --users FILE", "absent", 3,
	     ": the users file cannot be read: No such file or directory; tiergatectl passwd "
	     "--user U "
	     "--tier T makes it\n");
	want("login --user ann --address 10.0.0.1 --users FILE", "folder", 3,
	     ": the users file cannot be read: Is a directory; users_file or --users names it\n");
}

/* What is bad is no reason to hide the history, but whose it is has to be said. */
static void a_history_of_a_bad_configuration(void **state)
{
	char path[96];
	FILE *f;
	snprintf(path, sizeof path, "%s/bad", dir);
	assert_non_null(f = fopen(path, "w"));
	fputs("tiers = ( { nome = \"guest\"; } );\n", f);
	fclose(f);
	want("history --config FILE", "bad", 3,
	     " is bad now (see tiergated check), so its state_dir is not known; this is of "
	     "/var/lib/tiergate/history\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_configuration),
		cmocka_unit_test(other_files),
		cmocka_unit_test(a_history_of_a_bad_configuration),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
