/* Files of state: what was kept comes back; what was cut, changed, of another kind or version does
 * not, and each is said in its own words. */
#include "unit.h"

#include "state/store.c"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD = sizeof(struct header), SUM = SHA256_DIGEST_SIZE };

static const char body[] = "forty-two bytes of what is to be remembered";

/* A good file. */
static size_t put(uint8_t *file, size_t len)
{
	const struct header h = header_of("flows", 0x01020304);
	memcpy(file, &h, HEAD);
	memcpy(file + HEAD, body, len);
	checksum(&h, file + HEAD, len, file + HEAD + len);
	return HEAD + len + SUM;
}

static const char *wrong(const void *file, size_t len, const char *kind, uint32_t version)
{
	struct cursor c;
	return inspect(file, len, kind, version, &c);
}

/* Each from memory of its own size, so that a sanitizer sees what reads behind it. */
static const char *wrong_of_its_size(const uint8_t *file, size_t len)
{
	uint8_t *own = malloc(len ? len : 1);
	memcpy(own, file, len);
	const char *is = wrong(own, len, "flows", 0x01020304);
	free(own);
	return is;
}

static void what_was_kept_is_good(void **state)
{
	uint8_t file[HEAD + sizeof body + SUM];
	for (size_t len = 0; len <= sizeof body; len++) {
		struct cursor c;
		size_t whole = put(file, len);
		assert_null(inspect((char *)file, whole, "flows", 0x01020304, &c));
		assert_int_equal(cursor_left(&c), len);
		assert_memory_equal(c.pos, body, len);
	}
}

static void a_file_that_is_cut_is_never_good(void **state)
{
	uint8_t file[HEAD + sizeof body + SUM];
	size_t whole = put(file, sizeof body);
	for (size_t len = 0; len < HEAD + SUM; len++)
		assert_string_equal(wrong_of_its_size(file, len), "is cut short");
	for (size_t len = HEAD + SUM; len < whole; len++)
		assert_string_equal(wrong_of_its_size(file, len),
				    "is cut or damaged: its checksum is wrong");
}

/* Each bit: of magic and kind, of the version, which the checksum covers, too, of the rest. */
static void a_file_that_is_changed_is_never_good(void **state)
{
	uint8_t file[HEAD + sizeof body + SUM];
	size_t whole = put(file, sizeof body);
	for (size_t bit = 0; bit < 8 * whole; bit++) {
		file[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_string_equal(wrong_of_its_size(file, whole),
				    bit / 8 < offsetof(struct header, version)
					    ? "is no such state file"
					    : "is cut or damaged: its checksum is wrong");
		file[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void a_file_is_of_its_kind_and_version(void **state)
{
	uint8_t file[HEAD + sizeof body + SUM];
	size_t whole = put(file, sizeof body);
	assert_string_equal(wrong(file, whole, "flow", 0x01020304), "is no such state file");
	assert_string_equal(wrong(file, whole, "flowss", 0x01020304), "is no such state file");
	for (unsigned bit = 0; bit < 32; bit++)
		assert_string_equal(wrong(file, whole, "flows", 0x01020304 ^ 1u << bit),
				    "is of another version");
}

/* ---- in a folder ---- */

static char folder[64];
static struct store *store;

static int begin(void **state)
{
	strcpy(folder, "/tmp/tiergate-store-XXXXXX");
	return !mkdtemp(folder) || !(store = store_folder_new(folder));
}

static int end(void **state)
{
	char path[96];
	store->ops->free(store);
	snprintf(path, sizeof path, "%s/flows.state", folder);
	unlink(path);
	return rmdir(folder);
}

/* Nothing that was kept and nothing that can be used are told apart. */
static void a_folder_keeps_each_kind_by_itself(void **state)
{
	char path[96];
	struct stat st;
	size_t len = 9;
	assert_null(store->ops->load(store, "flows", 1, &len));
	assert_int_equal(len, 0);
	assert_int_equal(store->ops->save(store, "flows", 1, body, sizeof body), 0);
	snprintf(path, sizeof path, "%s/flows.state", folder);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, HEAD + sizeof body + SUM);
	char *back = store->ops->load(store, "flows", 1, &len);
	assert_non_null(back);
	assert_int_equal(len, sizeof body);
	assert_memory_equal(back, body, len);
	free(back);
	assert_null(store->ops->load(store, "flows", 2, &len));
	assert_int_equal(len, 1);
	assert_null(store->ops->load(store, "names", 1, &len));
	assert_int_equal(len, 0);
	assert_int_equal(store->ops->version(store, "flows"), 1);
	assert_int_equal(store->ops->version(store, "names"), 0);
	assert_int_equal(truncate(path, HEAD), 0);
	assert_null(store->ops->load(store, "flows", 1, &len));
	assert_int_equal(len, 1);
	assert_int_equal(truncate(path, HEAD - 1), 0);
	assert_int_equal(store->ops->version(store, "flows"), 0);
}

/* A name of 15 bytes has room for its end in the header. */
static void a_kind_has_a_bound(void **state)
{
	char path[PATH_MAX];
	assert_int_equal(path_of(store, "123456789012345", path), 0);
	assert_int_equal(path_of(store, "1234567890123456", path), -ENAMETOOLONG);
	assert_int_equal(store->ops->save(store, "1234567890123456", 1, body, 1), -ENAMETOOLONG);
	assert_int_equal(store->ops->save(store, "flows", 1, body, (size_t)STATE_MAX + 1), -EFBIG);
	struct store *deep;
	char name[PATH_MAX];
	for (size_t len = PATH_MAX - 16; len < PATH_MAX; len++) {
		memset(name, 'x', len);
		name[len] = '\0';
		assert_non_null(deep = store_folder_new(name));
		size_t all = len + strlen("/flows.state");
		assert_int_equal(path_of(deep, "flows", path), all < PATH_MAX ? 0 : -ENAMETOOLONG);
		deep->ops->free(deep);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_kept_is_good),
		cmocka_unit_test(a_file_that_is_cut_is_never_good),
		cmocka_unit_test(a_file_that_is_changed_is_never_good),
		cmocka_unit_test(a_file_is_of_its_kind_and_version),
		cmocka_unit_test_setup_teardown(a_folder_keeps_each_kind_by_itself, begin, end),
		cmocka_unit_test_setup_teardown(a_kind_has_a_bound, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
