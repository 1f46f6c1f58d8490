#include "unit.h"
#include "portal/readable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/tiergate-readable-XXXXXX", path[3][64];

static void put(int i, const char *name, mode_t mode)
{
	snprintf(path[i], sizeof path[i], "%s/%s", folder, name);
	FILE *f = fopen(path[i], "w");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(chmod(path[i], mode), 0);
}

/* How many files are complained of; each with this word. */
static size_t said(const struct portal_config *c, const char *word)
{
	struct errors errors = {0};
	readable_check(c, "nobody", &errors);
	for (size_t i = 0; i < errors.count; i++)
		if (!strstr(errors.lines[i], word))
			fail_msg("said: %s; wanted: %s", errors.lines[i], word);
	size_t count = errors.count;
	errors_deinit(&errors);
	return count;
}

/* Root can read all: what counts is whether the portal's user can. */
static void files_are_tried_as_the_portal_s_user(void **state)
{
	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chmod(folder, 0755), 0);
	put(0, "crt", 0644);
	put(1, "key", 0640);
	put(2, "users", 0604);
	struct portal_config c = {.certificate = path[0],
				  .key = path[1],
				  .users_file = path[2],
				  .vouchers_file = path[2],
				  .credentials = CREDENTIALS_USERS};
	assert_int_equal(said(&c, "nobody cannot read it"), 1);
	assert_int_equal(chmod(path[2], 0640), 0);
	assert_int_equal(said(&c, "nobody cannot read it"), 2);
	c.credentials = CREDENTIALS_PAM; /* then nobody reads the users file */
	assert_int_equal(said(&c, "key: nobody cannot read it"), 1);
	assert_int_equal(chmod(path[1], 0644), 0);
	assert_int_equal(said(&c, ""), 0);
	c.credentials = CREDENTIALS_VOUCHERS; /* written in their folder */
	assert_int_equal(said(&c, "nobody cannot write it"), 1);
	assert_int_equal(chmod(folder, 0700), 0);
	assert_int_equal(said(&c, "nobody cannot"), 3);
	assert_int_equal(geteuid(), 0); /* we are who we were */
	for (int i = 0; i < 3; i++)
		unlink(path[i]);
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_tried_as_the_portal_s_user),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
