#include "unit.h"
#include "base/clock.h"
#include "identity/vouchers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], file[96];
static char codes[100][VOUCHER_CODE];
static unsigned told;
static struct errors errors;

static void tell(void *ctx, const char *code)
{
	assert_true(told < 100);
	strcpy(codes[told++], code);
}

static int set_up(void **state)
{
	strcpy(folder, "/tmp/tiergate-vouchers-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(file, sizeof file, "%s/vouchers", folder);
	told = 0;
	memset(&errors, 0, sizeof errors);
	return 0;
}

static int tear_down(void **state)
{
	unlink(file);
	errors_deinit(&errors);
	return rmdir(folder);
}

static int make(unsigned count)
{
	return vouchers_make(file, count, "guest", 8 * 3600 * NS_PER_S, tell, NULL, &errors);
}

static enum voucher_check take(const char *code)
{
	struct voucher v;
	return voucher_take(file, code, &v, &errors);
}

static void a_code_is_good_once(void **state)
{
	struct voucher v;
	char user[VOUCHER_USER];
	assert_int_equal(make(100), 0);
	assert_int_equal(told, 100);
	assert_int_equal(voucher_take(file, codes[41], &v, &errors), VOUCHER_OK);
	assert_string_equal(v.tier, "guest");
	assert_int_equal(v.lasts, 8 * 3600 * NS_PER_S);
	voucher_user(&v, user);
	assert_memory_equal(user, "voucher-", 8);
	assert_memory_equal(user + 8, v.hash, 8);
	assert_int_equal(take(codes[41]), VOUCHER_WRONG);
	for (int i = 0; i < 100; i++)
		assert_int_equal(take(codes[i]), i == 41 ? VOUCHER_WRONG : VOUCHER_OK);
	for (int i = 0; i < 100; i++)
		for (int k = 0; k < i; k++)
			assert_string_not_equal(codes[i], codes[k]);
	assert_int_equal(errors.count, 0);
}

static void a_code_given_back_is_good_once_more(void **state)
{
	struct voucher v, again;
	assert_int_equal(make(3), 0);
	assert_int_equal(voucher_take(file, codes[1], &v, &errors), VOUCHER_OK);
	assert_int_equal(voucher_give_back(file, &v, &errors), 0);
	assert_int_equal(voucher_take(file, codes[1], &again, &errors), VOUCHER_OK);
	assert_memory_equal(&v, &again, sizeof v);
	assert_int_equal(take(codes[1]), VOUCHER_WRONG);
	assert_int_equal(take(codes[0]), VOUCHER_OK);
	assert_int_equal(take(codes[2]), VOUCHER_OK);
	assert_int_equal(voucher_give_back("/nonexistent/vouchers", &v, &errors), -ENOENT);
	assert_int_equal(errors.count, 1);
}

static void a_code_is_read_as_people_write_it(void **state)
{
	char text[64];
	assert_int_equal(make(1), 0);
	size_t n = 0;
	for (const char *c = codes[0]; *c; c++) {
		char lower = *c >= 'A' ? (char)(*c | 0x20) : *c;
		if (*c == '-')
			continue;
		text[n++] = *c == '0' ? 'o' : *c == '1' ? 'l' : lower;
		if (n % 3 == 0)
			text[n++] = ' ';
	}
	text[n] = '\0';
	assert_int_equal(take(text), VOUCHER_OK);
}

static void what_is_no_code_is_wrong(void **state)
{
	char text[64];
	assert_int_equal(take("0000-0000-0000-0000"), VOUCHER_WRONG); /* there is no file */
	assert_int_equal(make(1), 0);
	assert_int_equal(take(""), VOUCHER_WRONG);
	assert_int_equal(take("0000-0000-0000-0000"), VOUCHER_WRONG);
	snprintf(text, sizeof text, "%s0", codes[0]);
	assert_int_equal(take(text), VOUCHER_WRONG);
	snprintf(text, sizeof text, "%.18s", codes[0]);
	assert_int_equal(take(text), VOUCHER_WRONG);
	snprintf(text, sizeof text, "%.18sU", codes[0]);
	assert_int_equal(take(text), VOUCHER_WRONG);
	snprintf(text, sizeof text, "%.18s\xc3", codes[0]);
	assert_int_equal(take(text), VOUCHER_WRONG);
	assert_int_equal(take(codes[0]), VOUCHER_OK);
	assert_int_equal(make(0), -EINVAL);
	assert_int_equal(make(VOUCHERS_MAX + 1), -EINVAL);
	assert_int_equal(vouchers_make(file, 1, "a:b", NS_PER_S, tell, NULL, &errors), -EINVAL);
}

static void the_file_has_no_code_and_is_nobody_else_s(void **state)
{
	char text[4096] = "";
	struct stat st;
	assert_int_equal(make(3), 0);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	FILE *f = fopen(file, "r");
	assert_non_null(f);
	assert_true(fread(text, 1, sizeof text - 1, f) > 0);
	fclose(f);
	for (int i = 0; i < 3; i++)
		assert_null(strstr(text, codes[i]));
	assert_int_equal(strlen(text), 3 * (64 + strlen(":guest:28800\n")));
}

/* Root makes them, and the portal writes the file again: it is whose its folder is, unless it was
 * there. Nobody else can give a file away. */
static void a_new_file_belongs_to_whom_its_folder_does(void **state)
{
	struct stat st;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(folder, 4321, 1234), 0);
	assert_int_equal(make(1), 0);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_uid, 4321);
	assert_int_equal(st.st_gid, 1234);
	assert_int_equal(chown(file, 77, 78), 0);
	assert_int_equal(make(1), 0);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_uid, 77);
	assert_int_equal(st.st_gid, 78);
}

/* Bad lines are said and kept, comments kept; the good ones go on working. */
static void bad_lines_do_no_harm(void **state)
{
	FILE *f = fopen(file, "w");
	fputs("# a comment\nnonsense\n", f);
	fclose(f);
	assert_int_equal(make(2), 0);
	assert_int_equal(take(codes[1]), VOUCHER_OK);
	assert_int_equal(errors.count, 1);
	assert_int_equal(take(codes[0]), VOUCHER_OK);
	char text[256] = "";
	f = fopen(file, "r");
	assert_true(fread(text, 1, sizeof text - 1, f) > 0);
	fclose(f);
	assert_string_equal(text, "# a comment\nnonsense\n");
}

static void a_code_of_any_length_is_read(void **state)
{
	static char long_code[20000];
	memset(long_code, 'A', sizeof long_code - 1);
	assert_int_equal(make(1), 0);
	assert_int_equal(take(long_code), VOUCHER_WRONG);
}

/* Each of the 32 letters comes up: 80 random bits, and not 64. */
static void a_code_has_all_its_bits(void **state)
{
	bool seen[128] = {false};
	unsigned letters = 0;
	assert_int_equal(make(100), 0);
	for (unsigned i = 0; i < told; i++)
		for (const char *c = codes[i]; *c; c++)
			seen[*c & 127] |= *c != '-';
	for (unsigned i = 0; i < 128; i++)
		letters += seen[i];
	assert_int_equal(letters, 32);
}

static void a_voucher_lasts_a_second_at_least(void **state)
{
	assert_int_equal(vouchers_make(file, 1, "guest", 0, tell, NULL, &errors), -EINVAL);
	assert_int_equal(vouchers_make(file, 1, "guest", NS_PER_S - 1, tell, NULL, &errors),
			 -EINVAL);
	assert_int_equal(told, 0);
	assert_int_equal(vouchers_make(file, 1, "guest", NS_PER_S, tell, NULL, &errors), 0);
}

/* A voucher that somebody has put into the file twice is good twice; the file stays nobody else's.
 */
static void one_line_goes_with_one_use(void **state)
{
	char text[4096] = "";
	struct stat st;
	assert_int_equal(make(1), 0);
	FILE *f = fopen(file, "r");
	assert_true(fread(text, 1, sizeof text - 1, f) > 0);
	fclose(f);
	f = fopen(file, "a");
	fputs(text, f);
	fclose(f);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(take(codes[0]), VOUCHER_OK);
		assert_int_equal(stat(file, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	assert_int_equal(take(codes[0]), VOUCHER_WRONG);
}

/* What cannot be read is an error that is said, and not a wrong code. */
static void what_cannot_be_read_is_said(void **state)
{
	struct voucher v = {.tier = "guest", .lasts = NS_PER_S};
	assert_int_equal(mkdir(file, 0700), 0);
	assert_int_equal(take("0000-0000-0000-0000"), VOUCHER_ERROR);
	assert_int_equal(errors.count, 1);
	assert_true(make(1) < 0);
	assert_int_equal(told, 0);
	assert_int_equal(errors.count, 2);
	assert_true(voucher_give_back(file, &v, &errors) < 0);
	assert_int_equal(errors.count, 3);
	assert_int_equal(rmdir(file), 0);
}

static void lines_are_exact(void **state)
{
	struct voucher v;
	char line[128], hash[65];
	memset(hash, 'a', 64);
	hash[64] = '\0';
#define LINE(format, ...)                                                                          \
	voucher_parse(line, (size_t)snprintf(line, sizeof line, format, __VA_ARGS__), &v)
	assert_int_equal(LINE("%s:guest:60", hash), PARSE_OK);
	assert_int_equal(v.lasts, 60 * NS_PER_S);
	assert_int_equal(LINE("%s", ""), PARSE_ABSENT);
	assert_int_equal(LINE("#%s", hash), PARSE_ABSENT);
	assert_int_equal(LINE("%s:guest", hash), PARSE_BAD);
	assert_int_equal(LINE("%s:guest:", hash), PARSE_BAD);
	assert_int_equal(LINE("%s:guest:0", hash), PARSE_BAD);
	assert_int_equal(LINE("%s:guest:-1", hash), PARSE_BAD);
	assert_int_equal(LINE("%s:guest:60s", hash), PARSE_BAD);
	assert_int_equal(LINE("%s:guest:+60", hash), PARSE_BAD);
	assert_int_equal(LINE("%s:guest: 60", hash), PARSE_BAD);
	assert_int_equal(LINE("%s:gue st:60", hash), PARSE_BAD);
	assert_int_equal(LINE("%s::60", hash), PARSE_BAD);
	assert_int_equal(LINE("%s:guest:60:x", hash), PARSE_BAD);
	assert_int_equal(LINE("%s:guest:999999999999", hash), PARSE_BAD);
	assert_int_equal(LINE("%s:guest:99999999999", hash), PARSE_BAD);
	assert_int_equal(LINE("%s:guest:9223372036", hash), PARSE_OK);
	assert_int_equal(LINE("A%s:guest:60", hash + 1), PARSE_BAD);
	assert_int_equal(LINE("%s:guest:60", hash + 1), PARSE_BAD);
}

/* Of eight processes with the same code one is let in. */
static void at_once_one_is_right(void **state)
{
	int right = 0;
	assert_int_equal(make(1), 0);
	for (int i = 0; i < 8; i++)
		if (fork() == 0)
			_exit(take(codes[0]) == VOUCHER_OK ? 1 : 0);
	for (int i = 0; i < 8; i++) {
		int status;
		assert_true(wait(&status) > 0);
		assert_true(WIFEXITED(status));
		right += WEXITSTATUS(status);
	}
	assert_int_equal(right, 1);
}

int main(void)
{
	umask(0); /* the modes are our own */
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_code_is_good_once),
		TEST(a_code_is_read_as_people_write_it),
		TEST(what_is_no_code_is_wrong),
		TEST(the_file_has_no_code_and_is_nobody_else_s),
		TEST(a_new_file_belongs_to_whom_its_folder_does),
		TEST(bad_lines_do_no_harm),
		TEST(a_code_of_any_length_is_read),
		TEST(bad_lines_do_no_harm),
		TEST(a_code_has_all_its_bits),
		TEST(bad_lines_do_no_harm),
		TEST(a_voucher_lasts_a_second_at_least),
		TEST(bad_lines_do_no_harm),
		TEST(one_line_goes_with_one_use),
		TEST(bad_lines_do_no_harm),
		TEST(lines_are_exact),
		TEST(what_cannot_be_read_is_said),
		TEST(at_once_one_is_right),
		TEST(a_code_given_back_is_good_once_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
