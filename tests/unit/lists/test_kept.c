#include "lists/kept.h"
#include "base/clock.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/tiergate-kept-XXXXXX";

static int set_up(void **state)
{
	strcpy(folder + sizeof folder - 7, "XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
	char text[100];
	snprintf(text, sizeof text, "rm -rf %s", folder);
	return system(text);
}

static struct site_list list_of(const char *name, int64_t changed)
{
	struct site_list list = {.file = (char *)name, .changed = changed};
	struct site_entry e;
	assert_true(entry_parse("=one.example", &e));
	list_add(&list, &e);
	assert_true(entry_parse("~203.0.113.0/24", &e));
	list_add(&list, &e);
	return list;
}

static void comes_back(void **state)
{
	struct site_list list = list_of("rules/a%b.sites", 1800000000 * NS_PER_S), back = {0};
	struct stat st;
	char path[100];
	assert_false(kept_load(folder, list.file, &back));
	assert_int_equal(kept_save(folder, &list), 0);
	snprintf(path, sizeof path, "%s/lists/rules%%2Fa%%25b.sites", folder);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mtime, 1800000000);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_true(kept_load(folder, list.file, &back));
	assert_int_equal(back.count, 2);
	assert_int_equal(back.item[0]->kind, SITE_EXACT);
	assert_string_equal(back.item[0]->host.text, "one.example");
	assert_int_equal(back.item[1]->kind, SITE_NETWORK);
	assert_true(back.item[1]->shared);
	list_clear(&back);
	list_clear(&list);
}

/* Of the same time of change it is not written again; another time, and it is. */
static void is_written_where_it_changed(void **state)
{
	struct site_list list = list_of("a.sites", 1800000000 * NS_PER_S), back = {0};
	assert_int_equal(kept_save(folder, &list), 0);
	list.count = 1;
	assert_int_equal(kept_save(folder, &list), 0);
	assert_true(kept_load(folder, list.file, &back));
	assert_int_equal(back.count, 2);
	list_clear(&back);
	list.changed++;
	assert_int_equal(kept_save(folder, &list), 0);
	assert_true(kept_load(folder, list.file, &back));
	assert_int_equal(back.count, 1);
	list_clear(&back);
	list_clear(&list);
}

static void nothing_is_kept_of_what_is_no_file(void **state)
{
	struct site_list list = list_of("a.sites", 0), back = {0};
	char path[100];
	assert_int_equal(kept_save(folder, &list), 0); /* written in place */
	list.changed = 1;
	list.kept = true;
	assert_int_equal(kept_save(folder, &list), 0); /* a kept one itself */
	assert_false(kept_load(folder, list.file, &back));
	list.kept = false;
	assert_int_equal(kept_save("/nonexistent", &list), -ENOENT);
	snprintf(path, sizeof path, "%s/lists", folder);
	rmdir(path);
	fclose(fopen(path, "w")); /* a file where the folder should be */
	assert_int_equal(kept_save(folder, &list), -ENOTDIR);
	list_clear(&list);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(comes_back),
		WITH(is_written_where_it_changed),
		WITH(nothing_is_kept_of_what_is_no_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
