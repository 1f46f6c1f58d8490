#include "portal/text.h"
#include "unit.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* Letters of either case and no other, a whole part of a tag, and weights to a thousandth. */
static void tags_are_matched_by_whole_parts(void **state)
{
	static const struct texts t = {
		.language = {{.name = "aa"}, {.name = "abcdefgh"}, {.name = "az"}, {.name = "en"}},
		.count = 4,
		.fallback = 3};
	static const struct {
		const char *header, *language;
	} cases[] = {
		{"AZ", "az"},
		{"Az-Latn-AZ", "az"},
		{"azZ", "en"},
		{"azA", "en"},
		{"aza", "en"},
		{"azz", "en"},
		{"az1", "az"},
		{"ABCDEFGH", "abcdefgh"},
		{"abcdefgh-x", "abcdefgh"},
		{"abcdefghi", "en"},
		{"a\x1a", "en"}, /* would be az with a bit more */
		{"aa;q=0.5,az;q=0.501", "az"},
		{"aa;q=0.5,az;q=0.499", "aa"},
		{"aa;q=0.5,az;q=0.5", "aa"},
		{"aa;q=0.001", "aa"},
		{"aa;q=0.0001", "en"},
		{"aa;q=0,az;q=0.1", "az"},
		{"aa;q=0.9,az", "az"},
		{"aa;q=0.9;x=9,az;q=0.8", "aa"},
		{"aa ; q=0.1 , az ; q=0.2", "az"},
		{"\taa", "aa"},
		{"aa;q=1/9,az;q=0.999", "aa"},
		{"aa;q=.:,az;q=.1", "az"},
		{"aa;q=0.9,az;q=1", "az"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (strcmp(texts_choose(&t, cases[i].header)->name, cases[i].language) != 0)
			fail_msg("%s: %s", cases[i].header,
				 texts_choose(&t, cases[i].header)->name);
	assert_null(texts_named(&t, "a"));
	assert_null(texts_named(&t, ""));
	assert_ptr_equal(texts_named(&t, "en"), &t.language[3]);
}

static void put(const char *folder, const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "w");
	assert_true(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

/* LANGUAGE.text and nothing else; sorted by name, so that pages list them the same everywhere. */
static void a_folder_has_a_language_a_file(void **state)
{
	static const char *const names[] = {"de.text",     "abcdefgh.text",  "pt-br.text",
					    "en.text",     "abcdefghi.text", ".text",
					    "de.text.bak", "DE.text",        "readme"};
	char folder[] = "/tmp/tiergate-texts-XXXXXX", path[128];
	struct errors errors = {0};
	assert_non_null(mkdtemp(folder));
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		put(folder, names[i], "sign-in = Hello\n");
	struct texts *t = texts_load(folder, "pt-br", &errors);
	assert_non_null(t);
	assert_int_equal(t->count, 4);
	assert_string_equal(t->language[0].name, "abcdefgh");
	assert_string_equal(t->language[1].name, "de");
	assert_string_equal(t->language[2].name, "en"); /* in the place of the built-in one */
	assert_string_equal(t->language[3].name, "pt-br");
	assert_int_equal(t->fallback, 3);
	assert_string_equal(t->language[2].text[TEXT_SIGN_IN], "Hello");
	texts_free(t);
	put(folder, "de.text", "sign-in = \n");
	assert_null(texts_load(folder, "en", &errors));
	assert_int_equal(errors.count, 1);
	errors_deinit(&errors);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		unlink(path);
	}
	mkdir((snprintf(path, sizeof path, "%s/de.text", folder), path), 0700);
	assert_null(texts_load(folder, "en", &errors)); /* one that cannot be read */
	assert_int_equal(errors.count, 1);
	assert_non_null(strstr(errors.lines[0], "the texts cannot be read: "));
	rmdir(path);
	rmdir(folder);
	put("/tmp", folder + 5, "");
	errors_deinit(&errors);
	memset(&errors, 0, sizeof errors);
	assert_null(texts_load(folder, "en", &errors)); /* which is no folder */
	assert_int_equal(errors.count, 1);
	errors_deinit(&errors);
	unlink(folder);
}

/* More languages than there is room for are left out; one that is there can still be replaced. */
static void languages_have_a_bound(void **state)
{
	char folder[] = "/tmp/tiergate-texts-XXXXXX", name[16], path[128];
	struct errors errors = {0};
	assert_non_null(mkdtemp(folder));
	for (int i = 0; i < LANGUAGES_MAX + 5; i++) {
		snprintf(name, sizeof name, "%c%c.text", 'a' + i / 26, 'a' + i % 26);
		put(folder, name, "sign-in = Hello\n");
	}
	struct texts *t = texts_load(folder, "en", &errors);
	assert_non_null(t);
	assert_int_equal(t->count, LANGUAGES_MAX);
	texts_free(t);
	for (int i = 0; i < LANGUAGES_MAX + 5; i++) {
		snprintf(path, sizeof path, "%s/%c%c.text", folder, 'a' + i / 26, 'a' + i % 26);
		unlink(path);
	}
	rmdir(folder);
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
		cmocka_unit_test(tags_are_matched_by_whole_parts),
		cmocka_unit_test(a_folder_has_a_language_a_file),
		cmocka_unit_test(languages_have_a_bound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
