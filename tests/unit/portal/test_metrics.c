/* The token of the metrics' port: which file has one, and which header shows it. */
#include "base/error.h"
#include "portal/metrics.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN "0123456789abcdef"

static void only_the_token_is_let_in(void **state)
{
	assert_true(metrics_authorized("Bearer " TOKEN, TOKEN));
	assert_true(metrics_authorized("bearer " TOKEN, TOKEN));
	assert_true(metrics_authorized("Bearer  " TOKEN, TOKEN));
	static const char *const bad[] = {NULL,
					  "",
					  TOKEN,
					  "Bearer",
					  "Bearer ",
					  "Bearer 0123456789abcdeF",
					  "Bearer 0123456789abcde",
					  "Bearer " TOKEN "0",
					  "Bearer " TOKEN " ",
					  "Basic " TOKEN,
					  "Bearer: " TOKEN,
					  "BearerX" TOKEN};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (metrics_authorized(bad[i], TOKEN))
			fail_msg("\"%s\" is let in", bad[i]);
	assert_false(metrics_authorized("Bearer " TOKEN, NULL));
	assert_false(metrics_authorized("Bearer ", NULL));
}

/* The token of a file with this text, or what is wrong with it. */
static void file(const char *text, mode_t mode, const char *token, const char *wrong)
{
	char path[] = "/tmp/tiergate-token-XXXXXX";
	struct errors errors = {0};
	int fd = mkstemp(path);
	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	fchmod(fd, mode);
	close(fd);
	char *got = metrics_token(path, &errors);
	unlink(path);
	if (token)
		assert_string_equal(got, token);
	assert_int_equal(errors.count, wrong != NULL);
	if (wrong)
		assert_non_null(strstr(errors.lines[0], wrong));
	for (size_t i = 0; i < errors.count; i++)
		if (text[0])
			assert_null(strstr(errors.lines[i], text));
	free(got);
	errors_deinit(&errors);
}

static void a_token_is_one_long_word(void **state)
{
	char text[METRICS_TOKEN_MAX + 8];
	file(TOKEN, 0600, TOKEN, NULL);
	file(TOKEN "\n", 0640, TOKEN, NULL);
	file(TOKEN "\r\n", 0640, TOKEN, NULL);
	file("0123456789abcde", 0600, NULL, "one word of 16 to 512 characters; make one");
	file("", 0600, NULL, "one word of 16");
	file("0123456789 abcdef", 0600, NULL, "one word of 16");
	file(TOKEN "\n" TOKEN, 0600, NULL, "one word of 16");
	file(TOKEN "\xc3\xa4", 0600, NULL, "one word of 16");
	file(TOKEN, 0644, TOKEN, "open to others; give the file mode 0640");
	memset(text, 'x', sizeof text);
	text[METRICS_TOKEN_MAX] = '\0';
	file(text, 0600, text, NULL);
	struct errors errors = {0};
	assert_null(metrics_token("/nowhere/token", &errors));
	assert_non_null(strstr(errors.lines[0], "the token for metrics cannot be read"));
	errors_deinit(&errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_token_is_let_in),
		cmocka_unit_test(a_token_is_one_long_word),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
