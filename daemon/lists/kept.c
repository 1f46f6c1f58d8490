#include "lists/kept.h"

#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define KEPT_MAX (256U << 20)

/* STATE_DIR/lists/NAME with the slashes written as %2F; owned by the caller. */
static char *path_of(const char *state_dir, const char *name)
{
	char *path;
	char text[3 * RULE_MAX] = "";
	struct buf b = BUF_OF(text);
	for (; *name; name++)
		if (*name == '/' || *name == '%')
			buf_printf(&b, "%%%02X", *name);
		else
			buf_char(&b, *name);
	if (asprintf(&path, "%s/lists/%s", state_dir, text) < 0)
		abort();
	return path;
}

static void ignore(void *ctx, int line, const char *what)
{
}

bool kept_load(const char *state_dir, const char *name, struct site_list *list)
{
	static const struct list_reader reader = {.complain = ignore};
	struct list_shape shape;
	struct site_list copy = {0};
	char *text = NULL, *path = path_of(state_dir, name);
	size_t len;
	bool good = file_read_text(path, KEPT_MAX, &text, &len) == 0 &&
		    list_parse(text, len, &copy, &reader, &shape) && copy.count;
	free(text);
	free(path);
	if (!good) {
		list_clear(&copy);
		return false;
	}
	list->item = copy.item;
	list->count = copy.count;
	list->room = copy.room;
	return true;
}

static int write_entries(const char *path, const struct site_list *list)
{
	struct file_new f;
	int e = file_new_open_nofollow(&f, path, 0640, (gid_t)-1);
	if (e < 0)
		return e;
	for (size_t i = 0; i < list->count; i++) {
		char text[HOST_MAX + 4] = "";
		struct buf b = BUF_OF(text);
		entry_format(list->item[i], &b);
		fprintf(f.to, "%s\n", text);
	}
	const struct timespec when = {list->changed / NS_PER_S, list->changed % NS_PER_S};
	if (fflush(f.to) == 0)
		futimens(fileno(f.to), (const struct timespec[]){when, when});
	return file_new_commit(&f);
}

static bool is_kept(const char *path, const struct site_list *list)
{
	struct stat st;
	return stat(path, &st) == 0 &&
	       st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec == list->changed;
}

static int make_folder(const char *state_dir)
{
	char *folder;
	if (asprintf(&folder, "%s/lists", state_dir) < 0)
		abort();
	int e = mkdir(folder, 0750) < 0 && errno != EEXIST ? -errno : 0;
	free(folder);
	return e;
}

int kept_save(const char *state_dir, const struct site_list *list)
{
	if (!list->changed || list->kept)
		return 0;
	int e = make_folder(state_dir);
	if (e < 0)
		return e;
	char *path = path_of(state_dir, list->file);
	e = is_kept(path, list) ? 0 : write_entries(path, list);
	free(path);
	return e;
}
