#include "lists/list.h"
#include "base/buf.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

static char said[8192];
static struct buf words;
static struct list_shape shape;

static void hear(void *ctx, int line, const char *what)
{
	buf_printf(&words, "%d: %s\n", line, what);
}

/* What stands in a text: its entries, one a line. */
static bool parse(const char *text, size_t len, char out[static 4096])
{
	static const struct list_reader reader = {.complain = hear};
	struct site_list list = {0};
	struct buf b = {.data = out, .cap = 4096};
	char *copy = strndup(text, len + 1);
	words = (struct buf){.data = said, .cap = sizeof said};
	said[0] = out[0] = 0;
	bool good = list_parse(copy, len, &list, &reader, &shape);
	for (size_t i = 0; i < list.count; i++) {
		buf_printf(&b, "%d ", list.item[i]->line);
		entry_format(list.item[i], &b);
		buf_char(&b, '\n');
	}
	free(copy);
	list_clear(&list);
	return good;
}

static void lines_and_comments(void **state)
{
	char out[4096];
	const char *text = "# all\nexample.org\n\n  =one.example  # this\n!ads.example.org\nx#y\n";
	assert_false(parse(text, strlen(text), out));
	assert_string_equal(out, "2 example.org\n4 =one.example\n5 !ads.example.org\n");
	assert_true(strncmp(said, "6: \"x#y\" is neither", 19) == 0);
	assert_int_equal(shape.comments, 2);
	assert_int_equal(shape.wrong, 1);
}

static void a_hosts_file(void **state)
{
	char out[4096];
	const char *text =
		"127.0.0.1 localhost\n0.0.0.0 ads.example track.example\n::1 ip6-localhost\n";
	assert_true(parse(text, strlen(text), out));
	assert_string_equal(out, "2 =ads.example\n2 =track.example\n");
}

/* Twenty are said, and how many more there are; every good one counts. */
static void many_wrong_lines(void **state)
{
	char out[4096], text[1024] = "";
	for (int more = 0; more < 2; more++) {
		struct buf b = BUF_OF(text);
		for (int i = 0; i < 20 + more; i++)
			buf_text(&b, "a b\n");
		buf_text(&b, "good.example\n");
		assert_false(parse(text, strlen(text), out));
		assert_string_equal(out, more ? "22 good.example\n" : "21 good.example\n");
		assert_int_equal(strstr(said, "20: ") != NULL, true);
		assert_int_equal(strstr(said, "0: 1 more lines are wrong") != NULL, more);
		text[0] = 0;
	}
}

static void what_is_no_list(void **state)
{
	char out[4096];
	assert_false(parse("one.example\n\0two.example", 24, out));
	assert_string_equal(said, "0: holds a zero byte; write a text file\n");
	assert_false(parse(" \n<!DOCTYPE html>\n<p>x</p>", 26, out));
	assert_string_equal(said, "0: is a page, not a list: it begins with \"<!DOCTYPE html>\"; "
				  "write one example.org a line\n");
	assert_string_equal(out, "");
	assert_true(parse("", 0, out));
	assert_int_equal(shape.words, 0);
}

/* Single words are the names of top-level domains, and an error page's. */
static void words_are_counted(void **state)
{
	char out[4096];
	const char *text = "com\nbg\nForbidden\n=word\na.example\nNot\n";
	assert_true(parse(text, strlen(text), out));
	assert_int_equal(shape.words, 2);
	assert_int_equal(shape.first_word, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_and_comments), cmocka_unit_test(a_hosts_file),
		cmocka_unit_test(many_wrong_lines),   cmocka_unit_test(what_is_no_list),
		cmocka_unit_test(words_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
