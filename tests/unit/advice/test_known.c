/* Which list or site a host is of: by the longest entry, its own; not what keeps others out. */
#include "advice/known.h"
#include "unit.h"

#include "policy/build.h"

static const char *whose(const struct known *k, const char *name)
{
	struct host host = build_host(name);
	const struct config_site *site = NULL;
	const struct site_list *list = NULL;
	if (!known_host(k, &host, &site, &list))
		return "";
	return list ? list->file : site->name;
}

static void by_the_longest(void **state)
{
	struct config c = {0};
	build_tier(&c, "t", "", 0, 0);
	build_site(&c, "s0", "x !b.x a.b.x =c.b.x ~w");
	build_site(&c, "denied", "y");
	build_site(&c, "excepted", "z");
	build_site(&c, "both", "y z same.org");
	build_site(&c, "named", "list.org");
	build_line(&c, ALLOW, "t", "s0", "")->except = build_words("excepted");
	build_line(&c, DENY, "t", "denied", "");
	free(c.sites[4].list[0].file);
	c.sites[4].list[0].file = strdup("rules/l.sites");
	struct site_entry list = build_entry("list.org"), same = build_entry("same.org"),
			  *entries[] = {&list, &same};
	struct site_list lists[] = {{.file = "/etc/l.sites", .item = &entries[0], .count = 1},
				    {.file = "/etc/m.sites", .item = &entries[1], .count = 1}};
	struct known *k = known_new(&c, lists, 2);
	static const struct {
		const char *host, *of;
	} cases[] = {{"x", "s0"},
		     {"q.x", "s0"},
		     {"b.x", ""},
		     {"q.b.x", ""},
		     {"a.b.x", "s0"},
		     {"q.a.b.x", "s0"},
		     {"c.b.x", "s0"},
		     {"q.c.b.x", ""},
		     {"ax", ""},
		     {"w", ""},
		     {"y", "both"},
		     {"q.z", "both"},
		     {"same.org", "/etc/m.sites"}, /* a list before a site of more */
		     {"list.org", "named"}};       /* a site of the list alone is it */
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(whose(k, cases[i].host), cases[i].of);
	known_free(k);
	build_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_the_longest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
