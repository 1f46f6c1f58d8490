/* load: what the parts of the loader share. Not for other folders: they call config_load. */
#pragma once
#include "base/array.h"
#include "config/schema.h"
#include "config/suggest.h"

#include <libconfig.h>
#include <sys/types.h>

/* A place where a name is used (or, in the definitions, where it is given). */
struct named {
	const char *name;
	struct place place;
};
struct names {
	struct named *item;
	size_t count;
};

struct loader {
	struct config *c;
	enum config_use use;
	struct complaint {
		struct place place;
		size_t file, order; /* which file it is, which complaint it was */
		char *text;
	} * complaints;
	size_t complaint_count;
	const char *file; /* the one being read, as records name it; owned by c->files */
	struct names given[REF_COUNT], used[REF_COUNT];
	struct seen_file {
		dev_t device;
		ino_t inode;
	} * seen; /* policy files so far */
	size_t seen_count;
	int *lines;      /* of each option of the main file; 0: not there */
	bool incomplete; /* a file could not be read, so names may be missing */
};

void strings_add(struct strings *s, const char *text);

void names_add(struct names *n, const char *name, const char *file, int line);

/* What is wrong at a place (line 0: with the file). complaints_pass hands all of them on, file by
 * file and line by line. */
void complain(struct loader *l, const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void complaints_pass(struct loader *l, struct errors *to);
/* Makes notes of the complaints from the first-th on: they no longer refuse the configuration. */
void complaints_pardon(struct loader *l, size_t first);

/* scan.c: finds what libconfig would take without a word: adjacent strings, @include (blanked out
 * of the text), numbers that don't fit, strings and comments without an end. Lines of the values,
 * in order, go to *lines (owned by the caller). False where libconfig should not see the text. */
bool scan_text(struct loader *l, char *text, size_t len, int **lines, size_t *count);

/* twice.c: complains of the first key that a group has twice, and where; false where none is. */
bool complain_twice(struct loader *l, const char *text);

/* read.c: one setting into the member of a row; a bad one is reported and the member left alone. */
void option_read(struct loader *l, const struct option *o, const config_setting_t *s, void *row);
void option_read_default(struct loader *l, const struct option *o, void *row);

/* named.c: the name by which records know a file that the current file names, owned by the config;
 * NULL (and an error) where it is too long. Its bytes, NUL-terminated; NULL (and an error). */
const char *named_file(struct loader *l, const char *path, int line);
char *config_path(const struct loader *l, const char *name); /* owned by the caller */
char *config_text(struct loader *l, const char *name, int line, size_t *len);

/* The same of at most max bytes. */
char *config_text_of(struct loader *l, const char *name, int line, size_t max, size_t *len);

/* lists.c: a .sites file into a list. */
void list_read(struct loader *l, const char *path, int line, struct site_list *list);

/* dates.c: the events of a calendar into a schedule. */
void calendar_read(struct loader *l, const char *path, int line, struct config_schedule *s);

/* check.c: what can be said only when all files are read. */
void config_check(struct loader *l, enum config_use use);
