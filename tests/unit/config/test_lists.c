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
	const struct config_list *list = &c->sites[0].list[0];
	for (size_t i = 0; i < list->count; i++) {
		buf_printf(&b, "%d:", list->item[i].line);
		entry_format(&list->item[i], &b);
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
	      "!ads.example.org#no space\n"
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

static void errors_of_a_list_are_bounded(void **state)
{
	size_t lines = 0;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	for (int i = 0; i < 1000; i++)
		fputs("not/this\n", f);
	fclose(f);
	files_write("main.conf", MAIN);
	files_write("l.sites", text);
	free(text);
	char *errors = files_errors("main.conf", CONFIG_FOR_CHECK);
	for (const char *p = errors; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, 21);
	assert_non_null(strstr(errors, "980 more lines"));
	free(errors);
}

static void zero_byte(void **state)
{
	files_write("main.conf", MAIN);
	files_write_n("l.sites", "a.example\0b.example\n", 20);
	char *errors = files_errors("main.conf", CONFIG_FOR_CHECK);
	assert_string_equal(errors, "l.sites: holds a zero byte; write a text file\n");
	free(errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_form),    cmocka_unit_test(empty),
		cmocka_unit_test(hosts_file),  cmocka_unit_test(plain_domains),
		cmocka_unit_test(wrong_lines), cmocka_unit_test(errors_of_a_list_are_bounded),
		cmocka_unit_test(zero_byte),
	};
	return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
