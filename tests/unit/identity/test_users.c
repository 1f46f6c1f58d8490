#include "identity/users.h"
#include "unit.h"

#include <crypt.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64], file[96];
static struct errors errors;

static int make_dir(void **state)
{
	snprintf(dir, sizeof dir, "/tmp/tiergate-users-XXXXXX");
	snprintf(file, sizeof file, "%s/users", mkdtemp(dir));
	errors = (struct errors){0};
	return 0;
}

static int remove_dir(void **state)
{
	errors_deinit(&errors);
	unlink(file);
	return rmdir(dir); /* fails where a temporary file was left */
}

static void put(const char *text, mode_t mode)
{
	FILE *f = fopen(file, "w");
	fputs(text, f);
	fclose(f);
	chmod(file, mode);
}

static const char *content(void)
{
	static char text[8192];
	FILE *f = fopen(file, "r");
	size_t n = fread(text, 1, sizeof text - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static enum users_check check(const char *user, const char *password, const char *want_tier)
{
	char tier[TIER_MAX] = "";
	enum users_check c = users_check(file, user, password, tier, &errors);
	assert_string_equal(tier, want_tier);
	return c;
}

static void writes_then_checks(void **state)
{
	assert_int_equal(users_write(file, "anna", "press", "secret", &errors), 0);
	assert_int_equal(users_write(file, "bob", "staff", "other", &errors), 0);
	assert_int_equal(check("anna", "secret", "press"), USERS_OK);
	assert_int_equal(check("bob", "other", "staff"), USERS_OK);
	assert_int_equal(check("anna", "other", ""), USERS_WRONG);
	assert_int_equal(check("anna", "", ""), USERS_WRONG);
	assert_int_equal(check("nobody", "secret", ""), USERS_WRONG);
	assert_int_equal(check("", "secret", ""), USERS_WRONG);
	assert_int_equal(errors.count, 0);
	assert_non_null(strstr(content(), "anna:press:$y$"));
	struct stat st;
	stat(file, &st);
	assert_int_equal(st.st_mode & 07777, 0640);
}

/* What crypt is asked, on its way. */
static char asked[128];
static unsigned times;

char *crypt_r(const char *password, const char *setting, struct crypt_data *data)
{
	static char *(*real)(const char *, const char *, struct crypt_data *);
	if (!real)
		real = (char *(*)(const char *, const char *, struct crypt_data *))dlsym(RTLD_NEXT,
											 "crypt_r");
	snprintf(asked, sizeof asked, "%s", setting);
	times++;
	return real(password, setting, data);
}

/* Who is not there takes as long as who is: one hash of the same kind. */
static void an_unknown_user_costs_a_hash_of_the_same_kind(void **state)
{
	assert_int_equal(users_write(file, "anna", "staff", "her own", &errors), 0);
	times = 0;
	assert_int_equal(check("anna", "another", ""), USERS_WRONG);
	char kind[4] = "";
	memcpy(kind, asked, 3);
	assert_string_equal(kind, "$y$");
	assert_int_equal(check("nobody", "another", ""), USERS_WRONG);
	assert_int_equal(times, 2);
	assert_memory_equal(asked, kind, 3);
}

static void changes_only_what_is_given(void **state)
{
	assert_int_equal(users_write(file, "anna", "press", "one", &errors), 0);
	assert_int_equal(users_write(file, "anna", NULL, "two", &errors), 0);
	assert_int_equal(check("anna", "two", "press"), USERS_OK);
	assert_int_equal(check("anna", "one", ""), USERS_WRONG);
	assert_int_equal(users_write(file, "anna", "staff", NULL, &errors), 0);
	assert_int_equal(check("anna", "two", "staff"), USERS_OK);
	assert_int_equal(users_write(file, "bob", NULL, "two", &errors), -ENOENT);
	assert_int_equal(users_write(file, "bob", "staff", NULL, &errors), -ENOENT);
	assert_int_equal(errors.count, 2);
	assert_null(strstr(content(), "bob"));
}

static void keeps_the_rest_of_the_file(void **state)
{
	put("# people\n\nold:guest:$6$aaa$bbb\nanna:press:!\nbroken line\n", 0600);
	chmod(file, 0600);
	assert_int_equal(users_write(file, "anna", NULL, "secret", &errors), 0);
	assert_int_equal(
		strncmp(content(), "# people\n\nold:guest:$6$aaa$bbb\nanna:press:!$y$", 46), 0);
	assert_non_null(strstr(content(), "\nbroken line\n"));
	struct stat st;
	stat(file, &st);
	assert_int_equal(st.st_mode & 07777, 0600); /* as it was */
}

static void keeps_owner_and_group(void **state)
{
	struct stat st;
	if (geteuid() != 0)
		skip();
	put("", 0640);
	assert_int_equal(chown(file, 12345, 54321), 0);
	assert_int_equal(users_write(file, "anna", "press", "secret", &errors), 0);
	stat(file, &st);
	assert_int_equal(st.st_uid, 12345);
	assert_int_equal(st.st_gid, 54321);
}

static void locks_and_removes(void **state)
{
	assert_int_equal(users_write(file, "anna", "press", "secret", &errors), 0);
	assert_int_equal(users_lock(file, "anna", true, &errors), 0);
	assert_int_equal(check("anna", "secret", ""), USERS_LOCKED);
	assert_int_equal(check("anna", "wrong", ""), USERS_WRONG); /* not told that it is locked */
	assert_int_equal(users_lock(file, "anna", false, &errors), 0);
	assert_int_equal(check("anna", "secret", "press"), USERS_OK);
	assert_int_equal(users_lock(file, "bob", true, &errors), -ENOENT);
	assert_int_equal(users_remove(file, "anna", &errors), 0);
	assert_int_equal(check("anna", "secret", ""), USERS_WRONG);
	assert_int_equal(users_remove(file, "anna", &errors), -ENOENT);
	put("carl:press:!\n", 0640);
	assert_int_equal(check("carl", "", ""), USERS_WRONG);
	assert_int_equal(users_lock(file, "carl", false, &errors), -EINVAL);
	assert_string_equal(content(), "carl:press:!\n");
}

static void refuses_bad_names_and_passwords(void **state)
{
	char longest[USER_MAX + 1], password[PASSWORD_MAX + 2];
	memset(longest, 'a', sizeof longest);
	longest[USER_MAX] = '\0';
	memset(password, 'p', sizeof password);
	password[PASSWORD_MAX + 1] = '\0';
	const char *bad[] = {"", "-x", "a:b", " a", "#a", "a\nb", "\xc3", longest};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(users_write(file, bad[i], "press", "x", &errors), -EINVAL);
		errors_deinit(&errors);
	}
	assert_int_equal(users_write(file, "anna", "bad tier", "x", &errors), -EINVAL);
	assert_int_equal(users_write(file, "anna", "press", "", &errors), -EINVAL);
	assert_int_equal(users_write(file, "anna", "press", password, &errors), -EINVAL);
	errors_deinit(&errors);
	assert_int_equal(access(file, F_OK), -1);
	longest[USER_MAX - 1] = password[PASSWORD_MAX] = '\0';
	assert_int_equal(users_write(file, longest, "press", password, &errors), 0);
	assert_int_equal(check(longest, password, "press"), USERS_OK);
	password[PASSWORD_MAX] = 'p';
	assert_int_equal(check(longest, password, ""), USERS_WRONG);
}

static void says_what_is_wrong_with_the_file(void **state)
{
	assert_int_equal(check("anna", "x", ""), USERS_ERROR); /* no file */
	assert_int_equal(errors.count, 1);
	assert_non_null(strstr(errors.lines[0], "users: the users file")); /* of no line */
	put("anna:press:$y$\n", 0644);
	assert_int_equal(check("anna", "x", ""), USERS_ERROR);
	assert_int_equal(errors.count, 2);
	assert_non_null(strstr(errors.lines[1], "0640"));
	put("\n#c\nanna:press\nbob:press:$y$\n", 0640);
	assert_int_equal(check("anna", "x", ""), USERS_WRONG);
	assert_int_equal(errors.count, 3);
	assert_non_null(strstr(errors.lines[2], "users:3: "));
	assert_int_equal(check("bob", "x", ""), USERS_ERROR); /* crypt takes no such hash */
}

/* Of two lines with a name the first counts, and a change leaves that one alone of the two. */
static void the_first_line_of_a_name_counts(void **state)
{
	char tier[TIER_MAX] = "";
	put("anna:press:!\nanna:staff:!\nbob:staff:!\n", 0640);
	assert_true(users_tier(file, "anna", tier));
	assert_string_equal(tier, "press");
	assert_int_equal(users_write(file, "anna", "guest", NULL, &errors), 0);
	assert_string_equal(content(), "anna:guest:!\nbob:staff:!\n");
	assert_false(users_tier(file, "carl", tier));
	assert_true(users_tier(file, "bob", tier));
	assert_string_equal(tier, "staff");
	assert_int_equal(chmod(file, 0644), 0); /* a file that is not taken has nobody */
	assert_false(users_tier(file, "bob", tier));
	FILE *f = fopen(file, "w");
	fwrite("bob:staff:!\n\0\n", 1, 14, f);
	fclose(f);
	assert_int_equal(chmod(file, 0640), 0);
	assert_int_equal(check("bob", "x", ""), USERS_ERROR);
	assert_int_equal(errors.count, 1);
	assert_non_null(strstr(errors.lines[0], "NUL"));
}

static void takes_other_modern_hashes(void **state)
{
	char line[HASH_MAX + 32];
	const char *made = crypt("secret", "$6$rounds=1000$saltsalt$");
	assert_non_null(made);
	snprintf(line, sizeof line, "anna:press:%s", made); /* and no newline at the end */
	put(line, 0640);
	assert_int_equal(check("anna", "secret", "press"), USERS_OK);
}

static enum parse parse(const char *line)
{
	struct users_line l;
	return users_parse(line, strlen(line), &l);
}

/* Each byte, first and behind another; and how long it may be. */
static void a_tiers_name_is_letters_digits_and_two_signs(void **state)
{
	static const char good[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	char longest[TIER_MAX + 1];
	for (int c = 1; c < 256; c++) {
		const char first[] = {(char)c, 'x', '\0'}, behind[] = {'x', (char)c, '\0'};
		assert_int_equal(tier_name_valid(behind), strchr(good, c) != NULL);
		assert_int_equal(tier_name_valid(first), strchr(good, c) && c != '-');
	}
	assert_false(tier_name_valid(""));
	for (size_t len = 1; len <= TIER_MAX; len++) {
		memset(longest, 'x', len);
		longest[len] = '\0';
		assert_int_equal(tier_name_valid(longest), len < TIER_MAX);
	}
}

static void parses_lines(void **state)
{
	char big[1024];
	assert_int_equal(parse(""), PARSE_ABSENT);
	assert_int_equal(parse("# anna:press:$y$x"), PARSE_ABSENT);
	assert_int_equal(parse("anna:press:$y$x"), PARSE_OK);
	assert_int_equal(parse("anna:press:!$y$x"), PARSE_OK);
	assert_int_equal(parse("anna:press:!"), PARSE_OK);
	const char *bad[] = {"anna",           ":press:$y$x",          "anna::$y$x",
			     "anna:press:",    "anna:press:xx",        "anna:press:!!",
			     "anna:pr s:$y",   "anna:press:$y$x:more", "anna:press:$y$x:",
			     " anna:press:$y", "anna:press:*",         "anna:press"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(parse(bad[i]), PARSE_BAD);
	assert_int_equal(users_parse("anna:pr\0ss:$y", 13, &(struct users_line){0}), PARSE_BAD);
	memset(big, 'a', sizeof big);
	memcpy(big, "anna:press:$", 12);
	big[11 + HASH_MAX] = '\0';
	assert_int_equal(parse(big), PARSE_BAD);
	big[11 + HASH_MAX - 1] = '\0';
	assert_int_equal(parse(big), PARSE_OK);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)
int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(writes_then_checks),
		IN_DIR(an_unknown_user_costs_a_hash_of_the_same_kind),
		IN_DIR(changes_only_what_is_given),
		IN_DIR(keeps_the_rest_of_the_file),
		IN_DIR(keeps_owner_and_group),
		IN_DIR(locks_and_removes),
		IN_DIR(refuses_bad_names_and_passwords),
		IN_DIR(says_what_is_wrong_with_the_file),
		IN_DIR(the_first_line_of_a_name_counts),
		IN_DIR(takes_other_modern_hashes),
		cmocka_unit_test(a_tiers_name_is_letters_digits_and_two_signs),
		cmocka_unit_test(parses_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
