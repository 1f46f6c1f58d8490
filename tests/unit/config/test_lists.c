#include "unit.h"
#include "config/files.h"
#include "config/value.h"

#define MAIN "sites = ( { name = \"s\"; lists = [ \"l.sites\" ]; } );"

/* The list's entries as inline hosts would name them, one a line with its line number. */
static void check_list(const void *bytes, size_t len, const char *want)
{
	char text[4096] = "";
	struct buf b = BUF_OF(text);
	files_write("main.conf", MAIN);
	files_write_n("l.sites", bytes, len);
	struct config *c = files_load("main.conf");
	assert_non_null(c);
	const struct site_list *list = &c->sites[0].list[0];
	for (size_t i = 0; i < list->count; i++) {
		buf_printf(&b, "%d:", list->item[i]->line);
		entry_format(list->item[i], &b);
		buf_char(&b, ' ');
	}
	assert_string_equal(text, want);
	config_free(c);
}
#define CHECK(bytes, want) check_list(bytes, sizeof bytes - 1, want)

static void own_form(void **state)
{
	CHECK("# of our own\n"
	      "example.org\n"
	      "\n"
	      "  =a.example   # alone\n"
	      "!ads.example.org\t#after a tab\n"
	      "203.0.113.0/24\n"
	      "2001:db8::1\n"
	      "last.example",
	      "2:example.org 4:=a.example 5:!ads.example.org 6:203.0.113.0/24 7:2001:db8::1/128 "
	      "8:last.example ");
}

static void empty(void **state)
{
	CHECK("", "");
	CHECK("\n\n# nothing\n", "");
}

static void hosts_file(void **state)
{
	CHECK("127.0.0.1 localhost\n"
	      "127.0.0.1\tlocalhost.localdomain\n"
	      "255.255.255.255 broadcasthost\n"
	      "::1 ip6-localhost ip6-loopback\n"
	      "fe80::1%lo0 localhost\n"
	      "0.0.0.0 0.0.0.0\n"
	      "0.0.0.0 ads.example   # why\n"
	      "127.0.0.1\tone.example two.example\n"
	      ":: three.example\n",
	      "7:=ads.example 8:=one.example 8:=two.example 9:=three.example ");
}

static void plain_domains(void **state)
{
	CHECK("\xef\xbb\xbf"
	      "one.example\r\n"
	      ".two.example\r\n"
	      "*.three.example\r\n"
	      "\r\n"
	      "пример.бг\r\n",
	      "1:one.example 2:two.example 3:three.example 5:xn--e1afmkfd.xn--90ae ");
}

/* Text is never thrown away without a word, however the machine it comes from ends its lines. */
static void ends_of_lines(void **state)
{
	CHECK("one.example\rtwo.example\r", "1:one.example 2:two.example ");
	CHECK("# a list\rone.example\r=two.example", "2:one.example 3:=two.example ");
	CHECK("one.example\r\ntwo.example\rthree.example\n\rfour.example\r\n",
	      "1:one.example 2:two.example 3:three.example 5:four.example ");
}

static void comments(void **state)
{
	CHECK("#one.example\n  # two\nthree.example # four#five\n", "3:three.example ");
	files_write("main.conf", MAIN);
	files_write("l.sites", "one.example#two\n=three#.example\n");
	char *errors = files_errors("main.conf", CONFIG_FOR_CHECK);
	assert_non_null(strstr(errors, "l.sites:1: \"one.example#two\" is neither"));
	assert_non_null(strstr(errors, "l.sites:2: \"=three#.example\" is neither"));
	free(errors);
}

static void other_encodings(void **state)
{
	files_write("main.conf", MAIN);
	files_write_n("l.sites", "\xff\xfeo\0n\0e\0.\0e\0", 12);
	char *errors = files_errors("main.conf", CONFIG_FOR_CHECK);
	assert_string_equal(errors, "main.conf:1: l.sites can't be read: it is UTF-16, not UTF-8; "
				    "name a file that can\n");
	free(errors);
}

static void mapped_networks(void **state)
{
	files_write("main.conf", MAIN);
	files_write("l.sites", "::ffff:192.0.2.1\n::ffff:0:0/96\n::/0\n");
	char *errors = files_errors("main.conf", CONFIG_FOR_CHECK);
	assert_non_null(strstr(errors, "l.sites:1: \"::ffff:192.0.2.1\" is IPv4 in the form of"));
	assert_non_null(strstr(errors, "l.sites:2: \"::ffff:0:0/96\" is IPv4 in the form of"));
	assert_null(strstr(errors, "l.sites:3:"));
	free(errors);
}

/* The answer of a web server that failed: said, as one thing. */
static void pages(void **state)
{
	files_write("main.conf", MAIN);
	files_write("l.sites", "\n<!DOCTYPE html>\n<html>\n<h1>Not Found</h1>\n</html>\n");
	char *errors = files_errors("main.conf", CONFIG_FOR_CHECK);
	assert_string_equal(errors,
			    "l.sites: is a page, not a list: it begins with \"<!DOCTYPE html>\"; "
			    "write one example.org a line\n");
	free(errors);
}

static void check_notes(const char *list, const char *want)
{
	files_write("main.conf", MAIN);
	files_write("l.sites", list);
	struct config *c = files_load("main.conf");
	assert_int_equal(c->notes.count, *want != '\0');
	if (*want)
		assert_non_null(strstr(c->notes.lines[0], want));
	config_free(c);
}

static void notes_of_content(void **state)
{
	check_notes("", "l.sites: holds no entry");
	check_notes("# none today\n", "l.sites: holds no entry");
	check_notes("one.example\nForbidden\n", "l.sites:2: \"forbidden\" is a top-level domain");
	check_notes("com\nbg\nxn--90ae\n=word\n!word\n0.0.0.0 word\n", "");
}

/* ---- the last good ones ---- */

#define KEEPING                                                                                    \
	"state_dir = \"%s\"; inside = [ \"lan0\" ]; "                                              \
	"sites = ( { name = \"s\"; lists = [ \"sub/l.sites\" ]; } );"

static void keeping(const char *list)
{
	char main[256], folder[64];
	strcpy(folder, files_folder);
	snprintf(main, sizeof main, KEEPING, folder);
	files_write("main.conf", main);
	mkdir(files_path("sub"), 0755);
	if (list)
		files_write("sub/l.sites", list);
	else
		unlink(files_path("sub/l.sites"));
}

static void keep(const struct config *c)
{
	struct errors errors = {0};
	assert_true(config_keep(c, &errors));
	assert_int_equal(errors.count, 0);
}

/* Puts a good list in force, then starts with another: its entries, whether that was pardoned. */
static void check_start(const char *before, const char *list, size_t faults, const char *want)
{
	char text[256] = "";
	struct buf b = BUF_OF(text);
	if (before) {
		keeping(before);
		struct config *good = files_load_for("main.conf", CONFIG_FOR_RUN);
		keep(good);
		config_free(good);
	}
	keeping(list);
	struct config *c = files_load_for("main.conf", CONFIG_FOR_START);
	assert_non_null(c);
	for (size_t i = 0; i < c->sites[0].list[0].count; i++) {
		entry_format(c->sites[0].list[0].item[i], &b);
		buf_char(&b, ' ');
	}
	assert_string_equal(text, want);
	assert_int_equal(c->faults, faults);
	assert_true(!faults || c->notes.count);
	if (faults)
		keep(c); /* what had a fault is not kept in the place of what had none */
	config_free(c);
}

#define GOOD "one.example\n=two.example\n203.0.113.0/24\n0.0.0.0 three.example\n"
#define KEPT "one.example =two.example 203.0.113.0/24 =three.example "

static void a_start_takes_the_last_good_list(void **state)
{
	check_start(GOOD, "four.example\n", 0, "four.example ");
	check_start(GOOD, "four.example\nhttps://five.example/\n", 1, KEPT);
	check_start(NULL, "<html>\n", 1, KEPT);
	check_start(NULL, "", 1, KEPT);
	check_start(NULL, "Forbidden\n", 1, KEPT);
	check_start(NULL, NULL, 1, KEPT);
	check_start(NULL, "# meant\n", 0, "");
	check_start("# meant\n", "", 0, "");
	check_start("# meant\n", "four.example\nhttps://five.example/\n", 1, "four.example ");
}

/* What a reload finds is refused as a whole: the policy in force has the last good lists. */
static void a_reload_refuses(void **state)
{
	keeping(GOOD);
	struct config *c = files_load_for("main.conf", CONFIG_FOR_RUN);
	keep(c);
	config_free(c);
	keeping("");
	char *errors = files_errors("main.conf", CONFIG_FOR_RUN);
	assert_non_null(strstr(errors, "sub/l.sites: holds 0 entries and had 4 when it was last"));
	free(errors);
	keeping("four.example\nfive/example\n");
	errors = files_errors("main.conf", CONFIG_FOR_RUN);
	assert_non_null(strstr(errors, "sub/l.sites:2: \"five/example\" is neither"));
	free(errors);
}

/* A list that did not change is not written again: a reload of many is not a disk full of them. */
static void kept_once(void **state)
{
	struct stat first, second;
	keeping(GOOD);
	struct config *c = files_load_for("main.conf", CONFIG_FOR_RUN);
	keep(c);
	assert_int_equal(stat(files_path("lists/sub%2Fl.sites"), &first), 0);
	keep(c);
	assert_int_equal(stat(files_path("lists/sub%2Fl.sites"), &second), 0);
	assert_int_equal(first.st_ino, second.st_ino);
	config_free(c);
}

static void wrong_lines(void **state)
{
	files_write("main.conf", MAIN);
	files_write("l.sites", "good.example\n||ad.example^\ntwo words\n0.0.0.0 -bad-..example\n"
			       "203.0.113.1/24\n");
	char *errors = files_errors("main.conf", CONFIG_FOR_CHECK);
	assert_null(strstr(errors, "l.sites:1:"));
	assert_non_null(strstr(errors, "l.sites:2: \"||ad.example^\" is neither"));
	assert_non_null(strstr(errors, "l.sites:3: \"words\" follows another entry"));
	assert_non_null(strstr(errors, "l.sites:4: \"-bad-..example\" is no host name"));
	assert_non_null(strstr(errors, "l.sites:5: \"203.0.113.1/24\" is neither"));
	free(errors);
}

/* Twenty are said, and how many more there are. */
static void errors_of_a_list_are_bounded(void **state)
{
	static const int wrong[] = {19, 20, 21, 1000};
	for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
		int lines = 0;
		char *text = NULL, more[32];
		size_t len;
		FILE *f = open_memstream(&text, &len);
		for (int i = 0; i < wrong[k]; i++)
			fputs("not/this\n", f);
		fclose(f);
		files_write("main.conf", MAIN);
		files_write("l.sites", text);
		free(text);
		char *errors = files_errors("main.conf", CONFIG_FOR_CHECK);
		for (const char *p = errors; (p = strchr(p, '\n')); p++)
			lines++;
		assert_int_equal(lines, wrong[k] > 20 ? 21 : wrong[k]);
		snprintf(more, sizeof more, "%d more lines", wrong[k] - 20);
		assert_true(!strstr(errors, "more lines") == (wrong[k] <= 20));
		assert_true(wrong[k] <= 20 || strstr(errors, more));
		free(errors);
	}
}

static void zero_byte(void **state)
{
	files_write("main.conf", MAIN);
	files_write_n("l.sites", "a.example\0b.example\n", 20);
	char *errors = files_errors("main.conf", CONFIG_FOR_CHECK);
	assert_string_equal(errors, "l.sites: holds a zero byte; write a text file\n");
	free(errors);
}

static void old_lists(void **state)
{
	const int64_t hour = 3600 * INT64_C(1000000000);
	struct errors old = {0};
	files_write("l.sites", "example.org\n");
	files_write("main.conf",
		    "sites = ( { name = \"s\"; lists = [ \"l.sites\" ]; hosts = [ \"a.example\" ]; "
		    "max_age = \"2h\"; },\n{ name = \"t\"; lists = [ \"l.sites\" ]; } );");
	struct config *c = files_load("main.conf");
	assert_non_null(c);
	int64_t changed = c->sites[0].list[0].changed;
	config_old_lists(c, changed + 2 * hour, &old);
	config_old_lists(c, changed - hour, &old); /* a clock that was set back */
	assert_int_equal(old.count, 0);
	config_old_lists(c, changed + 2 * hour + 1, &old);
	assert_int_equal(old.count, 1);
	assert_string_equal(old.lines[0],
			    "l.sites: was changed 2 hours ago, longer than max_age of site \"s\": "
			    "does what fetches it still run?");
	errors_deinit(&old);
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_form),
		cmocka_unit_test(empty),
		cmocka_unit_test(old_lists),
		cmocka_unit_test(hosts_file),
		cmocka_unit_test(plain_domains),
		cmocka_unit_test(wrong_lines),
		cmocka_unit_test(errors_of_a_list_are_bounded),
		cmocka_unit_test(zero_byte),
		cmocka_unit_test(ends_of_lines),
		cmocka_unit_test(comments),
		cmocka_unit_test(other_encodings),
		cmocka_unit_test(mapped_networks),
		cmocka_unit_test(pages),
		cmocka_unit_test(notes_of_content),
		cmocka_unit_test(a_start_takes_the_last_good_list),
		cmocka_unit_test(a_reload_refuses),
		cmocka_unit_test(kept_once),
	};
	return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
