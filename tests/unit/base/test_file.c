#include "unit.h"

#include "base/file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/test_file.XXXXXX", path[64];

static int make_folder(void **state)
{
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof path, "%s/state", folder);
	return 0;
}

static int remove_folder(void **state)
{
	unlink(path);
	return rmdir(folder); /* fails where anything was left behind */
}

static const char *content(void)
{
	static char text[64];
	char *bytes;
	size_t len;
	if (file_read(path, 63, &bytes, &len) < 0)
		return "(none)";
	memcpy(text, bytes, len + 1);
	free(bytes);
	return text;
}

/* Who may write into the folder can't make us wait, or read for ever. */
static void only_regular_files_are_read(void **state)
{
	char *bytes;
	size_t len;
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(file_read(path, 63, &bytes, &len), -EOPNOTSUPP);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(file_read("/dev/zero", 63, &bytes, &len), -EOPNOTSUPP);
	assert_int_equal(file_read(folder, 63, &bytes, &len), -EISDIR);
	assert_int_equal(symlink("/dev/zero", path), 0);
	assert_int_equal(file_read(path, 63, &bytes, &len), -EOPNOTSUPP);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("state", path), 0); /* to itself */
	assert_int_equal(file_read(path, 63, &bytes, &len), -ELOOP);
	assert_int_equal(unlink(path), 0);
}

static void check_text(const char *bytes, size_t size, const char *want)
{
	struct file_new f;
	char *text;
	size_t len;
	assert_int_equal(file_new_open(&f, path, 0640, (gid_t)-1), 0);
	assert_int_equal(fwrite(bytes, 1, size, f.to), size);
	assert_int_equal(file_new_commit(&f), 0);
	assert_int_equal(file_read_text(path, 63, &text, &len), want ? 0 : -EILSEQ);
	if (!want)
		return;
	assert_string_equal(text, want);
	assert_int_equal(len, strlen(want));
	free(text);
}
#define CHECK_TEXT(bytes, want) check_text(bytes, sizeof bytes - 1, want)

static void test_text(void **state)
{
	CHECK_TEXT("", "");
	CHECK_TEXT("\xef\xbb\xbf"
		   "a\r\nb\rc\n\rd\r",
		   "a\nb\nc\n\nd\n");
	CHECK_TEXT("\xef\xbb", "\xef\xbb");
	CHECK_TEXT("a\xef\xbb\xbf", "a\xef\xbb\xbf");
	CHECK_TEXT("\xff\xfe", NULL);
	CHECK_TEXT("\xfe\xff\0a", NULL);
	assert_string_equal(file_error(EILSEQ), "it is UTF-16, not UTF-8");
	assert_string_equal(file_error(EOPNOTSUPP), "it is no ordinary file");
	assert_string_equal(file_error(EFBIG), "it is larger than such a file can be");
	assert_string_equal(file_error(ENOENT), strerror(ENOENT));
}

static void write_file(const char *text, bool commit)
{
	struct file_new f;
	assert_int_equal(file_new_open(&f, path, 0640, (gid_t)-1), 0);
	fputs(text, f.to);
	if (commit)
		assert_int_equal(file_new_commit(&f), 0);
	else
		file_new_abandon(&f);
}

static void test_whole_or_not(void **state)
{
	struct stat st;
	assert_string_equal(content(), "(none)");
	write_file("one", true);
	assert_string_equal(content(), "one");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	write_file("two", false);
	assert_string_equal(content(), "one");
	assert_int_equal(chmod(path, 0600), 0);
	write_file("three", true);
	assert_string_equal(content(), "three");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600); /* as it was */
}

static void test_bounds(void **state)
{
	char *bytes;
	size_t len;
	write_file("12345", true);
	assert_int_equal(file_read(path, 5, &bytes, &len), 0);
	assert_int_equal(len, 5);
	assert_string_equal(bytes, "12345");
	free(bytes);
	assert_int_equal(file_read(path, 4, &bytes, &len), -EFBIG);
	write_file("", true);
	assert_int_equal(file_read(path, 4, &bytes, &len), 0);
	assert_int_equal(len, 0);
	free(bytes);
}

static void test_refused(void **state)
{
	struct file_new f;
	char *bytes;
	size_t len;
	char *longer = calloc(1, PATH_MAX + 1);
	memset(longer, 'x', PATH_MAX);
	assert_int_equal(file_new_open(&f, "/nonexistent/file", 0600, (gid_t)-1), -ENOENT);
	assert_int_equal(file_new_open(&f, longer, 0600, (gid_t)-1), -ENAMETOOLONG);
	assert_int_equal(file_read("/nonexistent/file", 10, &bytes, &len), -ENOENT);
	assert_int_equal(file_read(folder, 10, &bytes, &len), -EISDIR);
	free(longer);
}

/* Replaces the file at a path that leads there, and says what the call did. */
static int write_by(const char *link, const char *bytes)
{
	struct file_new f;
	int e = file_new_open(&f, link, 0640, (gid_t)-1);
	if (e < 0)
		return e;
	fputs(bytes, f.to);
	return file_new_commit(&f);
}

/* A link stays, and what it leads to is written, with its mode; but not one that another put there.
 */
static void a_link_is_written_through(void **state)
{
	char link[96], target[96];
	struct stat st;
	snprintf(link, sizeof link, "%s/link", folder);
	snprintf(target, sizeof target, "%s/target", folder);
	assert_int_equal(write_by(target, "old"), 0);
	assert_int_equal(chmod(target, 0604), 0);
	assert_int_equal(symlink("target", link), 0);
	assert_int_equal(write_by(link, "new"), 0);
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat(target, &st), 0);
	assert_int_equal(st.st_size, 3);
	assert_int_equal(st.st_mode & 07777, 0604);
	if (geteuid() == 0) {
		assert_int_equal(lchown(link, 65534, 65534), 0);
		assert_int_equal(write_by(link, "evil"), -ELOOP);
		assert_int_equal(stat(target, &st), 0);
		assert_int_equal(st.st_size, 3);
	}
	unlink(target);
	assert_int_equal(write_by(link, "x"), geteuid() == 0 ? -ELOOP : -ENOENT);
	unlink(link);
}

/* A disk that is full: what was there stays, whole, and nothing is left beside it. */
static void what_was_not_written_whole_replaces_nothing(void **state)
{
	struct rlimit was, little = {16, 16};
	struct file_new f;
	write_file("what was there", true);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	little.rlim_max = was.rlim_max;
	void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(file_new_open(&f, path, 0640, (gid_t)-1), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	fputs("more than sixteen bytes of it", f.to);
	int e = file_new_commit(&f);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	signal(SIGXFSZ, before);
	assert_int_equal(e, -EFBIG);
	assert_string_equal(content(), "what was there");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_link_is_written_through),
		cmocka_unit_test(only_regular_files_are_read),
		cmocka_unit_test(test_whole_or_not),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(what_was_not_written_whole_replaces_nothing),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
