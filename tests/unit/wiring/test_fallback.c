#include "unit.h"
#include "wiring/fallback.h"
#include "wiring/wiring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/tiergate-fallback-XXXXXX", file[64];

static int start(void **state)
{
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof file, "%s/settings.conf", dir);
	return 0;
}

static int stop(void **state)
{
	unlink(file);
	return rmdir(dir);
}

static struct config *load(const char *path)
{
	struct errors errors = {0};
	struct config *c = config_load(path, CONFIG_FOR_CHECK, &errors);
	errors_print(&errors, stderr);
	errors_deinit(&errors);
	assert_non_null(c);
	return c;
}

/* The caller's. */
static char *rules_of(const struct config *c, enum wiring_backend b)
{
	struct errors errors = {0};
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);
	assert_true(wiring_text(c, b, 3, to, &errors));
	fclose(to);
	return text;
}

static void the_rules_are_the_same(void **state)
{
	static const char *const all[] = {"tests/conf/07-every-setting.in",
					  "tests/conf/02-design-example.in",
					  "tests/conf/13-segments-overlap.in"};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct errors errors = {0};
		struct config *c = load(all[i]);
		assert_int_equal(fallback_save(file, c), 0);
		struct config *kept = fallback_load(file, &errors);
		assert_non_null(kept);
		assert_int_equal(errors.count, 0);
		assert_int_equal(kept->site_count + kept->allow_count + kept->deny_count, 0);
		for (enum wiring_backend b = WIRING_NFT; b <= WIRING_IPTABLES; b++) {
			char *want = rules_of(c, b), *got = rules_of(kept, b);
			assert_string_equal(got, want);
			free(want);
			free(got);
		}
		config_free(kept);
		config_free(c);
	}
}

static void without_a_folder_or_a_file_there_is_none(void **state)
{
	struct errors errors = {0};
	char other[96];
	struct config *c = load("tests/conf/02-design-example.in");
	snprintf(other, sizeof other, "%s/none/settings.conf", dir);
	assert_int_equal(fallback_save(other, c), -ENOENT);
	assert_null(fallback_load(other, &errors));
	assert_int_equal(errors.count, 0);
	FILE *f = fopen(file, "w");
	fputs("modus = 1;\n", f);
	fclose(f);
	assert_null(fallback_load(file, &errors));
	assert_int_equal(errors.count, 1);
	errors_deinit(&errors);
	config_free(c);
}

/* Root writes it, too, and its reader is the rules' service. */
static void it_belongs_to_whom_its_folder_belongs_to(void **state)
{
	struct stat st;
	if (geteuid() != 0)
		skip();
	struct config *c = load("tests/conf/02-design-example.in");
	unlink(file);
	for (uid_t who = 65534; who > 65532; who--) { /* new, and with one there */
		assert_int_equal(chown(dir, who, who - 1), 0);
		assert_int_equal(fallback_save(file, c), 0);
		assert_int_equal(stat(file, &st), 0);
		assert_int_equal(st.st_uid, who);
		assert_int_equal(st.st_gid, who - 1);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rules_are_the_same),
		cmocka_unit_test(without_a_folder_or_a_file_there_is_none),
		cmocka_unit_test(it_belongs_to_whom_its_folder_belongs_to),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
