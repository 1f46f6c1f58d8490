/* What --last-good finds in a history, and what a start keeps there. */
#include "unit.h"

#include "../config/files.h"
#include "gateway/inner.h"

#define POLICY                                                                                     \
	"log = \"none\";\nmode = \"observe\";\ninside = [ \"lan0\" ];\n"                           \
	"tiers = ( { name = \"guest\"; } );\n"                                                     \
	"sites = ( { name = \"news\"; hosts = [ \"news.example\" ]; } );\n"                        \
	"allow = ( { tiers = [ \"guest\" ]; sites = [ \"news\" ]; } );\n"

static int setup(void **state)
{
	return files_setup(state);
}

/* The same with another mode, kept as a start keeps it. */
static void start_with(const char *text)
{
	char path[256], line[300];
	struct policy p;
	struct errors errors = {0};
	snprintf(line, sizeof line, "state_dir = \"%s\";\n", files_folder);
	snprintf(path, sizeof path, "%s", files_path("main.conf"));
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "%s%s", line, text);
	fclose(f);
	bool good = policy_load(path, CONFIG_FOR_START, &p, &errors);
	errors_print(&errors, stderr);
	assert_true(good);
	history_begin(p.config, snapshot_digest(p.snapshot));
	policy_free(&p);
	errors_deinit(&errors);
}

/* Which is the last good one, and its number of lines that allow. */
static void last_good(unsigned long number, size_t allows)
{
	struct policy p = {0};
	assert_int_equal(history_last_good(files_folder, &p), number);
	assert_int_equal(p.snapshot != NULL, number != 0);
	assert_int_equal(p.config != NULL, number != 0);
	if (number)
		assert_int_equal(p.config->allow_count, allows);
	policy_free(&p);
}

static void without_a_history_there_is_none(void **state)
{
	last_good(0, 0);
	assert_int_equal(mkdir(files_path("history"), 0700), 0);
	last_good(0, 0);
	files_write("history/notes.txt", POLICY);
	files_write("history/x.conf", POLICY);
	last_good(0, 0);
}

static void a_start_keeps_its_policy_once(void **state)
{
	start_with(POLICY);
	start_with(POLICY);
	assert_int_equal(access(files_path("history/000001.conf"), F_OK), 0);
	assert_int_not_equal(access(files_path("history/000002.conf"), F_OK), 0);
	last_good(1, 1);
	start_with("log = \"none\";\nmode = \"observe\";\ninside = [ \"lan0\" ];\n");
	last_good(2, 0);
}

/* What is not good by its form, by what its lines mean, or not to be read. */
static void bad_ones_and_gaps_are_passed_over(void **state)
{
	files_write("history/000004.conf", POLICY "modus = 1;\n");
	files_write("history/000006.conf", "mode = \"");
	files_write("history/000009.conf", "");
	assert_int_equal(mkdir(files_path("history/000011.conf"), 0700), 0);
	last_good(2, 0);
	remove(files_path("history/000002.conf"));
	last_good(1, 1);
	files_write("history/000001.conf", "nonsense");
	last_good(0, 0);
}

/* Where nothing can be kept the daemon goes on without. */
static void a_history_that_cannot_be_written_stops_nobody(void **state)
{
	char was[256], aside[256];
	snprintf(was, sizeof was, "%s", files_path("history"));
	snprintf(aside, sizeof aside, "%s", files_path("aside"));
	assert_int_equal(rename(was, aside), 0);
	files_write("history", "no folder");
	start_with(POLICY);
	last_good(0, 0);
	assert_int_equal(remove(was), 0);
	assert_int_equal(rename(aside, was), 0);
}

/* What was decided, and by whom, is nobody else's to read. */
static void a_kept_policy_is_its_owner_s(void **state)
{
	struct stat st;
	remove(files_path("history/000001.conf"));
	start_with(POLICY);
	assert_int_equal(stat(files_path("history"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	char path[300];
	unsigned found = 0;
	for (int n = 1; n < 20; n++) {
		snprintf(path, sizeof path, "%s/history/%06d.conf", files_folder, n);
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 300 && ++found)
			assert_int_equal(st.st_mode & 0777, 0600);
	}
	assert_true(found > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_history_there_is_none),
		cmocka_unit_test(a_start_keeps_its_policy_once),
		cmocka_unit_test(bad_ones_and_gaps_are_passed_over),
		cmocka_unit_test(a_history_that_cannot_be_written_stops_nobody),
		cmocka_unit_test(a_kept_policy_is_its_owner_s),
	};
	return cmocka_run_group_tests(tests, setup, files_teardown);
}
