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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_history_there_is_none),
		cmocka_unit_test(a_start_keeps_its_policy_once),
		cmocka_unit_test(bad_ones_and_gaps_are_passed_over),
	};
	return cmocka_run_group_tests(tests, setup, files_teardown);
}
