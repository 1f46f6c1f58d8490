/* kept: the lists that were last in force, in state_dir/lists, for a start with one that has a
 * fault. A copy has its list's time of change: who writes it tells by that whether it is still the
 * same. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "config/load.h"
#include "config/value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define KEPT_MAX (256U << 20)

/* STATE_DIR/lists/NAME with the slashes written as %2F; owned by the caller. */
static char *kept_path(const struct config *c, const char *name)
{
	char *path;
	char text[3 * RULE_MAX] = "";
	struct buf b = BUF_OF(text);
	for (; *name; name++)
		if (*name == '/' || *name == '%')
			buf_printf(&b, "%%%02X", *name);
		else
			buf_char(&b, *name);
	if (asprintf(&path, "%s/lists/%s", c->state_dir, text) < 0)
		abort();
	return path;
}

/* Read by a loader of its own: what is wrong with a copy is no complaint of the configuration. */
bool list_kept(struct loader *l, const char *name, struct config_list *list)
{
	struct config notes = {0};
	struct loader own = {.c = &notes, .file = name};
	struct config_list copy = {.file = (char *)name};
	char *text = NULL, *path = l->c->state_dir ? kept_path(l->c, name) : NULL;
	size_t len;
	bool there = path && file_read_text(path, KEPT_MAX, &text, &len) == 0;
	if (there)
		list_parse(&own, text, len, &copy);
	bool good = there && own.complaint_count == 0 && copy.count;
	complaints_pardon(&own, 0);
	free(own.complaints);
	errors_deinit(&notes.notes);
	free(text);
	free(path);
	if (!good) {
		free(copy.item);
		return false;
	}
	list->item = copy.item;
	list->count = copy.count;
	return true;
}

static int write_entries(const char *path, const struct config_list *list)
{
	struct file_new f;
	int e = file_new_open_nofollow(&f, path, 0640, (gid_t)-1);
	if (e < 0)
		return e;
	for (size_t i = 0; i < list->count; i++) {
		char text[HOST_MAX + 4] = "";
		struct buf b = BUF_OF(text);
		entry_format(&list->item[i], &b);
		fprintf(f.to, "%s\n", text);
	}
	const struct timespec when = {list->changed / NS_PER_S, list->changed % NS_PER_S};
	if (fflush(f.to) == 0)
		futimens(fileno(f.to), (const struct timespec[]){when, when});
	return file_new_commit(&f);
}

static bool is_kept(const char *path, const struct config_list *list)
{
	struct stat st;
	return stat(path, &st) == 0 &&
	       st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec == list->changed;
}

/* A list that two sites name is written once. */
static int keep(const struct config *c, const struct config_list *list)
{
	if (!list->changed || list->kept)
		return 0;
	char *path = kept_path(c, list->file);
	int e = is_kept(path, list) ? 0 : write_entries(path, list);
	free(path);
	return e;
}

static bool has_lists(const struct config *c)
{
	for (size_t s = 0; s < c->site_count; s++)
		for (size_t i = 0; i < c->sites[s].count; i++)
			if (c->sites[s].list[i].changed)
				return true;
	return false;
}

bool config_keep(const struct config *c, struct errors *errors)
{
	char *folder;
	size_t before = errors->count;
	if (!has_lists(c))
		return true;
	if (asprintf(&folder, "%s/lists", c->state_dir) < 0)
		abort();
	if (mkdir(folder, 0750) < 0 && errno != EEXIST)
		errors_add(errors, folder, 0, "lists can't be kept for a next start: %s",
			   strerror(errno));
	for (size_t s = 0; s < c->site_count && errors->count == before; s++)
		for (size_t i = 0; i < c->sites[s].count; i++) {
			int e = keep(c, &c->sites[s].list[i]);
			if (e < 0)
				errors_add(errors, c->sites[s].list[i].file, 0,
					   "can't be kept for a next start: %s", strerror(-e));
		}
	free(folder);
	return errors->count == before;
}
