#include "lists/entry.h"
#include "unit.h"

#define EACH(name, list) for (size_t name = 0; name < sizeof list / sizeof *list; name++)

static void entries(void **state)
{
	static const struct {
		const char *text, *same;
		enum site_kind kind;
	} good[] = {{"Example.ORG", "example.org", SITE_TREE},
		    {"example.org.", "example.org", SITE_TREE},
		    {"*.example.org", "example.org", SITE_TREE},
		    {".example.org", "example.org", SITE_TREE},
		    {"=example.org", "=example.org", SITE_EXACT},
		    {"!ads.example.org", "!ads.example.org", SITE_NOT_TREE},
		    {"bg", "bg", SITE_TREE},
		    {"x_y.example", "x_y.example", SITE_TREE},
		    {"пример.бг", "xn--e1afmkfd.xn--90ae", SITE_TREE},
		    {"=Пример.бг", "=xn--e1afmkfd.xn--90ae", SITE_EXACT},
		    {"203.0.113.0/24", "203.0.113.0/24", SITE_NETWORK},
		    {"203.0.113.7", "203.0.113.7/32", SITE_NETWORK},
		    {"2001:DB8::/32", "2001:db8::/32", SITE_NETWORK}};
	static const char *const bad[] = {
		"",
		"=",
		"!",
		"*",
		"*.",
		"!=a.example",
		"=*.a.example",
		"!203.0.113.0/24",
		"=203.0.113.7",
		"203.0.113.1/24",
		"203.0.113/24",
		"203.0.113",
		"1.2.3.4.5",
		"a..example",
		"a b.example",
		"http://a.example",
		"a.example/x",
		"a.example:443",
		"||a.example^",
		"a*.example",
		"\xff.example",
		"..",
		"a.example..",
	};
	struct site_entry e;
	EACH(i, good)
	{
		char text[300] = "";
		struct buf b = BUF_OF(text);
		assert_true(entry_parse(good[i].text, &e));
		assert_int_equal(e.kind, good[i].kind);
		entry_format(&e, &b);
		assert_string_equal(text, good[i].same);
	}
	EACH(i, bad)
	if (entry_parse(bad[i], &e))
		fail_msg("\"%s\" was taken", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
