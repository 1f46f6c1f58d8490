/* The key of the pseudonyms: who could guess it could tell who is behind one. */
#include "unit.h"

#include "gateway/gateway.c"

#include <stdio.h>
#include <stdlib.h>

static char file[] = "/tmp/tiergate-pseudonym-XXXXXX";

static int make_file(void **state)
{
	int fd = mkstemp(file);
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	return unlink(file);
}

/* Loads a key of so many bytes. */
static bool load_key(struct gateway *g, const char *text, size_t len, struct errors *errors)
{
	static struct config c;
	FILE *out = fopen(file, "w");
	assert_int_equal(fwrite(text, 1, len, out), len);
	assert_int_equal(fclose(out), 0);
	c.pseudonym_key_file = file;
	*g = (struct gateway){.config = &c};
	return load_pseudonym(g, errors);
}

static void a_key_has_16_bytes_at_least(void **state)
{
	static const char text[] = "0123456789abcdef";
	static struct gateway g;
	struct errors errors = {0};
	assert_false(load_key(&g, text, 0, &errors));
	assert_false(load_key(&g, text, 15, &errors));
	assert_false(g.has_pseudonym);
	assert_int_equal(errors.count, 2);
	assert_non_null(strstr(errors.lines[1], "shorter than 16 bytes"));
	assert_true(load_key(&g, text, 16, &errors));
	assert_true(g.has_pseudonym);
	assert_int_equal(errors.count, 2);
	errors_deinit(&errors);
}

static void all_of_the_key_counts(void **state)
{
	/* printf 0123456789abcdef | sha256sum */
	static const uint8_t want[] = {0x9f, 0x9f, 0x51, 0x11};
	static struct gateway one, other;
	struct errors errors = {0};
	assert_true(load_key(&one, "0123456789abcdef", 16, &errors));
	assert_memory_equal(one.pseudonym, want, sizeof want);
	assert_true(load_key(&other, "0123456789abcdeg", 16, &errors));
	assert_memory_not_equal(one.pseudonym, other.pseudonym, sizeof one.pseudonym);
	errors_deinit(&errors);
}

static void a_key_that_cannot_be_read_ends_the_start(void **state)
{
	struct config c = {.pseudonym_key_file = "/tmp"};
	struct gateway g = {.config = &c};
	struct errors errors = {0};
	assert_false(load_pseudonym(&g, &errors));
	assert_non_null(strstr(errors.lines[0], "can't be read"));
	c.pseudonym_key_file = "/tmp/there/is/none";
	assert_false(load_pseudonym(&g, &errors));
	assert_int_equal(errors.count, 2);
	assert_false(g.has_pseudonym);
	errors_deinit(&errors);
}

static void without_a_key_names_are_said(void **state)
{
	struct config c = {0};
	struct gateway g = {.config = &c};
	struct errors errors = {0};
	assert_true(load_pseudonym(&g, &errors));
	assert_false(g.has_pseudonym);
	assert_int_equal(errors.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_has_16_bytes_at_least),
		cmocka_unit_test(all_of_the_key_counts),
		cmocka_unit_test(a_key_that_cannot_be_read_ends_the_start),
		cmocka_unit_test(without_a_key_names_are_said),
	};
	return cmocka_run_group_tests(tests, make_file, remove_file);
}
