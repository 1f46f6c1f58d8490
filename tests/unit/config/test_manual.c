/* The option part of tiergate.conf(5) says what the schema table says.
 * `test_manual --print` prints that part, to be put between its two marks. */
#include "unit.h"
#include "manual.h"

#define MANUAL "packaging/man/tiergate.conf.5"

static void put_options(FILE *to)
{
	const struct table *before = NULL;
	put_table(to, &schema_main, "Options of the main file");
	for (size_t i = 0; i < schema_main.count; i++) {
		const struct option *o = &schema_main.options[i];
		char title[64];
		if (!o->table || o->table == before)
			continue;
		before = o->table;
		bool twice = strcmp(o->name, "allow") == 0; /* deny has the same table */
		snprintf(title, sizeof title, "Options in %s%s", o->name, twice ? " and deny" : "");
		put_table(to, o->table, title);
	}
}

static void manual_says_what_the_schema_says(void **state)
{
	manual_check(MANUAL, put_options);
}

static void check_table(const struct table *t, struct table const *main)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct option *o = &t->options[i];
		assert_ptr_equal(table_find(t, o->name), o); /* no name twice */
		assert_non_null(o->help);
		assert_int_equal(o->help[strlen(o->help) - 1], '.');
		assert_false(o->required && o->fallback);
		if (o->table && t == main)
			check_table(o->table, main);
	}
}

static void schema_is_whole(void **state)
{
	check_table(&schema_main, &schema_main);
	assert_null(table_find(&schema_main, "nothing"));
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--print") == 0) {
		put_options(stdout);
		return 0;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(manual_says_what_the_schema_says),
		cmocka_unit_test(schema_is_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
