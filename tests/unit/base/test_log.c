#include "unit.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a call writes to standard error. */
static char written[8192];
#define WRITTEN(call)                                                                              \
	do {                                                                                       \
		int keep_ = dup(STDERR_FILENO);                                                    \
		FILE *f_ = tmpfile();                                                              \
		dup2(fileno(f_), STDERR_FILENO);                                                   \
		call;                                                                              \
		dup2(keep_, STDERR_FILENO);                                                        \
		close(keep_);                                                                      \
		rewind(f_);                                                                        \
		written[fread(written, 1, sizeof written - 1, f_)] = '\0';                         \
		fclose(f_);                                                                        \
	} while (0)

static void test_verbs(void **state)
{
	unsetenv("JOURNAL_STREAM");
	WRITTEN(log_error("no %s", "luck"));
	assert_string_equal(written, "tiergate: error: no luck\n");
	WRITTEN(log_warn("careful"));
	assert_string_equal(written, "tiergate: warning: careful\n");
	WRITTEN(log_info("%d", 7));
	assert_string_equal(written, "tiergate: 7\n");
}

static void test_debug_is_off_at_first(void **state)
{
	WRITTEN(log_debug("hidden"));
	assert_string_equal(written, "");
	log_set_debug(true);
	WRITTEN(log_debug("shown"));
	assert_string_equal(written, "tiergate: debug: shown\n");
	log_set_debug(false);
	WRITTEN(log_debug("hidden"));
	assert_string_equal(written, "");
}

static void test_long_lines_end(void **state)
{
	char big[5000];
	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	WRITTEN(log_info("%s", big));
	size_t len = strlen(written);
	assert_true(len > 1900 && len <= 2048);
	assert_int_equal(written[len - 1], '\n');
	assert_int_equal(written[len - 2], 'x');
}

static void test_limit(void **state)
{
	struct log_limit limit = {0};
	int64_t now = INT64_C(1782129600000000000);
	assert_true(log_allowed(&limit, now));
	assert_false(log_allowed(&limit, now));
	assert_false(log_allowed(&limit, now + NS_PER_S - 1));
	WRITTEN(assert_true(log_allowed(&limit, now + NS_PER_S)));
	assert_non_null(strstr(written, "2 messages"));
	WRITTEN(assert_true(log_allowed(&limit, now + 2 * NS_PER_S)));
	assert_string_equal(written, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verbs),
		cmocka_unit_test(test_debug_is_off_at_first),
		cmocka_unit_test(test_long_lines_end),
		cmocka_unit_test(test_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
