/* Whichever allocation fails, nothing is cut: all of it is there, or that it is not is told. */
#include "no_memory.h"
#include "unit.h"

#include "base/memstream.h"

#include <string.h>

static void what_is_written_is_there_and_ended(void **state)
{
	long held = memory_held();
	for (size_t pieces = 0; pieces < 3000; pieces += 1 + pieces / 3) {
		char *text = (char *)"x";
		size_t len = 9;
		FILE *to = memstream_open(&text, &len);
		assert_non_null(to);
		for (size_t i = 0; i < pieces; i++)
			fprintf(to, "%06zu", i);
		assert_int_equal(fclose(to), 0);
		assert_int_equal(len, 6 * pieces);
		assert_int_equal(strlen(text), len);
		for (size_t i = 0; i < pieces; i++)
			assert_int_equal(strtoul((char[7]){text[6 * i], text[6 * i + 1],
							   text[6 * i + 2], text[6 * i + 3],
							   text[6 * i + 4], text[6 * i + 5]},
						 NULL, 10),
					 i);
		free(text);
	}
	assert_int_equal(memory_held(), held);
}

static void what_could_not_be_held_is_told(void **state)
{
	bool failed = NO_MEMORY;
	long held = memory_held();
	for (long n = 0; failed; n++) {
		char *text;
		size_t len;
		no_memory_at(n);
		FILE *to = memstream_open(&text, &len);
		for (unsigned i = 0; to && i < 100000; i++)
			fputc('a' + (char)(i % 26), to); /* and goes on behind what fails */
		bool whole = to && fclose(to) == 0;
		failed = no_memory_failed;
		no_memory_end();
		assert_int_equal(text != NULL, whole);
		assert_int_equal(len, whole ? 100000 : 0);
		for (unsigned i = 0; i < len; i++)
			assert_int_equal(text[i], 'a' + (char)(i % 26));
		assert_true(whole || failed);
		free(text);
	}
	assert_int_equal(memory_held(), held);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_there_and_ended),
		cmocka_unit_test(what_could_not_be_held_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
