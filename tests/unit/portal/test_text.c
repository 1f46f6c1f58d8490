#include "portal/text.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

static size_t errors_of(const char *file)
{
	struct language l = {0};
	struct errors errors = {0};
	bool good = language_parse(&l, strdup(file), strlen(file), "x.text", &errors);
	size_t count = errors.count;
	assert_true(good == (count == 0));
	errors_deinit(&errors);
	free(l.bytes);
	return count;
}

static void lines_are_read(void **state)
{
	static const char file[] =
		"# Deutsch\n\nsign-in = Anmelden\r\n\tuser\t=  Name = x \nnow-until = bis {}";
	struct language l = {0};
	struct errors errors = {0};
	assert_true(language_parse(&l, strdup(file), sizeof file - 1, "de.text", &errors));
	assert_string_equal(l.text[TEXT_SIGN_IN], "Anmelden");
	assert_string_equal(l.text[TEXT_USER], "Name = x");
	assert_string_equal(l.text[TEXT_NOW_UNTIL], "bis {}");
	assert_string_equal(l.text[TEXT_PASSWORD], text_english(TEXT_PASSWORD));
	free(l.bytes);
}

static void every_wrong_line_is_told(void **state)
{
	assert_int_equal(errors_of("nonsense\nsign-in =\nnosuch = x\nuser = a\n"), 3);
	assert_int_equal(errors_of("now-until = bis\n"), 1);
	assert_int_equal(errors_of("user = {}\n"), 1);
	assert_int_equal(errors_of("user = a\x01\n"), 1);
	char line[TEXT_MAX + 16] = "user = ";
	memset(line + 7, 'x', TEXT_MAX);
	assert_int_equal(errors_of(line), 0);
	strcat(line, "x");
	assert_int_equal(errors_of(line), 1);
	struct language l = {0};
	struct errors errors = {0};
	assert_false(language_parse(&l, memcpy(malloc(9), "user = \0x", 9), 8, "x", &errors));
	errors_deinit(&errors);
	free(l.bytes);
}

static void texts_are_utf8(void **state)
{
	static const char *const good[] = {"ж", "€", "😀", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"};
	static const char *const bad[] = {
		"\x80",         "\xc0\xaf",     "\xc1\xbf",         "\xc3",
		"\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
		"\xc2\x85",     "\xff",         "\xe2\x82"};
	char line[64];
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		snprintf(line, sizeof line, "user = %s\n", good[i]);
		assert_int_equal(errors_of(line), 0);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(line, sizeof line, "user = %s\n", bad[i]);
		assert_int_equal(errors_of(line), 1);
	}
}

static void the_shipped_texts_are_whole(void **state)
{
	struct errors errors = {0};
	struct texts *t = texts_load("conf/portal", "bg", &errors);
	errors_print(&errors, stderr);
	assert_non_null(t);
	assert_int_equal(t->count, 2);
	const struct language *en = texts_named(t, "en"), *bg = texts_named(t, "bg");
	for (size_t i = 0; i < TEXT_COUNT; i++) {
		assert_string_equal(en->text[i], text_english(i));
		assert_ptr_not_equal(en->text[i], text_english(i)); /* it is in the file */
		assert_string_not_equal(bg->text[i], text_english(i));
	}
	texts_free(t);
}

static void a_browser_gets_what_it_asks_for(void **state)
{
	static const struct {
		const char *header, *language;
	} cases[] = {
		{NULL, "en"},
		{"", "en"},
		{"bg", "bg"},
		{"BG-bg", "bg"},
		{"bg-BG,bg;q=0.9,en;q=0.8", "bg"},
		{"en-GB,en;q=0.9,bg;q=0.8", "en"},
		{"fr,de;q=0.9,bg;q=0.1", "bg"},
		{"en;q=0.4, bg;q=0.5", "bg"},
		{"bg;q=0", "en"},
		{"bgx", "en"},
		{"b", "en"},
		{",,;q=1,;;", "en"},
		{"bg;q=9999999999999999999999", "bg"},
	};
	struct errors errors = {0};
	struct texts *t = texts_load("conf/portal", "en", &errors);
	assert_non_null(t);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(texts_choose(t, cases[i].header)->name, cases[i].language);
	texts_free(t);
}

static void english_needs_no_file(void **state)
{
	struct errors errors = {0};
	struct texts *t = texts_load("/nowhere", "en", &errors);
	assert_non_null(t);
	assert_int_equal(t->count, 1);
	texts_free(t);
	assert_null(texts_load("/nowhere", "bg", &errors));
	assert_int_equal(errors.count, 1);
	errors_deinit(&errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_read),
		cmocka_unit_test(every_wrong_line_is_told),
		cmocka_unit_test(texts_are_utf8),
		cmocka_unit_test(the_shipped_texts_are_whole),
		cmocka_unit_test(a_browser_gets_what_it_asks_for),
		cmocka_unit_test(english_needs_no_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
