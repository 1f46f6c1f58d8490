/* list: the text of a .sites list -> its entries; also of a hosts file, or of one name a line. */
#pragma once
#include "lists/entry.h"

struct site_list {
	char *file; /* as the records name it */
	struct site_entry **item;
	size_t count;
	struct list_room *room; /* where its entries stand: a list has a million of them */
	int64_t changed; /* ns since the epoch: the file's last change; 0: written in place */
	bool kept;       /* it is the last good one, for the file has a fault */
};

/* Who hears what is wrong, in words; line 0: with the whole of it. */
struct list_reader {
	void (*complain)(void *ctx, int line, const char *what);
	void *ctx;
};

/* What a text is like beside its entries. */
struct list_shape {
	unsigned comments, wrong; /* lines with one; lines that are no entry */
	/* Entries that are single words, as an error page's are and top-level domains; and the
	 * first of them, an index. */
	size_t words, first_word;
};

/* Adds the entries of a text, which it changes. False where anything is wrong: all of it is said,
 * of many lines the first twenty, and the good ones are entries. */
bool list_parse(char *text, size_t len, struct site_list *list, const struct list_reader *reader,
		struct list_shape *shape);

void list_add(struct site_list *list, const struct site_entry *e); /* a copy of it */
/* Frees its entries; the file's name is its owner's. */
void list_clear(struct site_list *list);
