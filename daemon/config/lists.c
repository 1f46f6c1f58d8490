/* A list of a site: its file, and what a start makes of one that has a fault. */
#include "base/clock.h"
#include "config/load.h"
#include "lists/kept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool kept_of(const struct loader *l, const char *name, struct site_list *list)
{
	return l->c->state_dir && kept_load(l->c->state_dir, name, list);
}

/* What a failed download leaves is good in form: nothing, or a word of an error page. Said, and a
 * fault where the last good list held more; who means it writes a comment into the file. */
static void check_content(struct loader *l, struct site_list *list, const struct list_shape *shape)
{
	struct site_list kept = {0};
	if (list->count == 0)
		errors_add(&l->c->notes, list->file, 0,
			   "holds no entry: what it is named for matches nothing");
	else if (shape->words)
		errors_add(
			&l->c->notes, list->file, list->item[shape->first_word]->line,
			"\"%s\" is a top-level domain, and all below it; or the page of an error",
			list->item[shape->first_word]->host.text);
	if (list->count > shape->words || shape->comments || l->use < CONFIG_FOR_RUN ||
	    !kept_of(l, list->file, &kept))
		return;
	if (kept.count > list->count)
		complain(l, list->file, 0,
			 "holds %zu entries and had %zu when it was last in force; fetch it again, "
			 "or "
			 "write a comment into it where that is meant",
			 list->count, kept.count);
	list_clear(&kept);
}

struct hearer {
	struct loader *l;
	const char *file;
};

static void hear(void *ctx, int line, const char *what)
{
	const struct hearer *h = ctx;
	complain(h->l, h->file, line, "%s", what);
}

static void parse(struct loader *l, char *text, size_t len, struct site_list *list)
{
	struct hearer h = {l, list->file};
	struct list_shape shape;
	const struct list_reader reader = {.complain = hear, .ctx = &h};
	if (list_parse(text, len, list, &reader, &shape))
		check_content(l, list, &shape);
}

/* A start with a list that has a fault: the last good one, else what is good of it. */
static void pardon(struct loader *l, size_t before, struct site_list *list)
{
	struct site_list kept = {0};
	bool there = kept_of(l, list->file, &kept);
	complaints_pardon(l, before);
	l->c->faults++;
	if (!there) {
		errors_add(&l->c->notes, list->file, 0,
			   "has a fault and no good copy is kept: its other %zu entries count",
			   list->count);
		return;
	}
	errors_add(&l->c->notes, list->file, 0,
		   "has a fault: the last good one, of %zu entries, is in force instead",
		   kept.count);
	list_clear(list);
	list->item = kept.item;
	list->count = kept.count;
	list->room = kept.room;
	list->kept = true;
}

void list_read(struct loader *l, const char *path, int line, struct site_list *list)
{
	struct stat st;
	size_t len, before = l->complaint_count;
	const char *name = named_file(l, path, line);
	if (!name)
		return;
	list->file = must(strdup(name));
	char *where = config_path(l, name);
	if (stat(where, &st) == 0)
		list->changed = st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec;
	free(where);
	char *text = config_text(l, name, line, &len);
	if (text)
		parse(l, text, len, list);
	free(text);
	if (l->use == CONFIG_FOR_START && l->complaint_count > before)
		pardon(l, before, list);
}

bool config_keep(const struct config *c, struct errors *errors)
{
	for (size_t s = 0; s < c->site_count; s++)
		for (size_t i = 0; i < c->sites[s].count; i++) {
			int e = kept_save(c->state_dir, &c->sites[s].list[i]);
			if (e < 0)
				errors_add(errors, c->sites[s].list[i].file, 0,
					   "can't be kept for a next start: %s", strerror(-e));
			if (e < 0)
				return false;
		}
	return true;
}
