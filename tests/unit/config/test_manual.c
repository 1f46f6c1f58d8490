/* The option part of tiergate.conf(5) says what the schema table says.
 * `test_manual --print` prints that part, to be put between its two marks. */
#include "unit.h"
#include "config/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANUAL "packaging/man/tiergate.conf.5"
#define BEGIN  ".\\\" options: as schema.c has them; test_manual --print writes them\n"
#define END    ".\\\" end of options\n"

static void put_option(FILE *to, const struct option *o)
{
	char text[512] = "";
	struct buf b = BUF_OF(text);
	option_accepts(o, &b);
	fprintf(to, ".It Ic %s\n%s\n.br\nTakes %s.\n", o->name, o->help, text);
	if (o->required)
		fputs("Required.\n", to);
	else if (o->fallback)
		fprintf(to, "Default: %s.\n", o->fallback);
}

static void put_table(FILE *to, const struct table *t, const char *title)
{
	fprintf(to, ".Ss %s\n.Bl -tag -width Ds\n", title);
	for (size_t i = 0; i < t->count; i++)
		put_option(to, &t->options[i]);
	fputs(".El\n", to);
}

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

static char *read_manual(void)
{
	char *text = calloc(1, 1 << 20);
	FILE *f = fopen(MANUAL, "r");
	assert_non_null(text);
	assert_non_null(f);
	assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
	fclose(f);
	return text;
}

static void manual_says_what_the_schema_says(void **state)
{
	char *want, *text = read_manual();
	size_t len;
	FILE *f = open_memstream(&want, &len);
	put_options(f);
	fclose(f);
	char *begin = strstr(text, BEGIN), *end = strstr(text, END);
	assert_non_null(begin);
	assert_non_null(end);
	*end = '\0';
	assert_string_equal(begin + strlen(BEGIN), want);
	free(want);
	free(text);
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
