/* The input is a list that was kept beside the state. What is taken from it is entries, none of
 * them beyond its text; kept once more and read again, it is the same list. */
#include "base/file.h"
#include "lists/kept.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "rules/a.sites"

static char folder[] = "/tmp/tiergate-fuzz-XXXXXX", path[96];

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void remove_folder(void)
{
	char lists[64];
	snprintf(lists, sizeof lists, "%s/lists", folder);
	unlink(path);
	rmdir(lists);
	rmdir(folder);
}

static void set_up(void)
{
	require(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/lists", folder);
	require(mkdir(path, 0700) == 0);
	snprintf(path, sizeof path, "%s/lists/rules%%2Fa.sites", folder);
	atexit(remove_folder);
}

static char *text_of(const struct site_list *list)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	require(f);
	for (size_t i = 0; i < list->count; i++) {
		char one[HOST_MAX + 4] = "";
		struct buf b = BUF_OF(one);
		entry_format(list->item[i], &b);
		require(!b.full && one[0]);
		fprintf(f, "%s\n", one);
	}
	require(fclose(f) == 0);
	return text;
}

static void once_more(const struct site_list *list)
{
	struct site_list again = {.file = NAME, .changed = 1, .item = list->item};
	struct site_list back = {.file = NAME};
	again.count = list->count;
	require(kept_save(folder, &again) == 0);
	require(kept_load(folder, NAME, &back) && back.count == list->count);
	char *one = text_of(list), *other = text_of(&back);
	require(strcmp(one, other) == 0);
	free(one);
	free(other);
	list_clear(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct site_list list = {.file = NAME};
	size_t lines = 1;
	if (!path[0])
		set_up();
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	FILE *f = fopen(path, "w");
	require(f && fwrite(data, 1, size, f) == size && fclose(f) == 0);
	if (!kept_load(folder, NAME, &list)) {
		require(!list.item && !list.count);
		return 0;
	}
	require(list.count && list.count <= 2 * lines);
	once_more(&list);
	list_clear(&list);
	return 0;
}
