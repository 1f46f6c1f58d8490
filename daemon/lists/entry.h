/* entry: one line of a .sites list (tiergate.sites(5)): host names, or a network. */
#pragma once
#include "base/buf.h"
#include "base/decision.h"
#include <stddef.h>

enum site_kind { SITE_TREE, SITE_EXACT, SITE_NOT_TREE, SITE_NETWORK };

struct site_entry {
	int line;
	enum site_kind kind : 8;
	bool shared; /* "~": needed by the site and not of it: only what opens takes it */
	union {
		struct network network; /* SITE_NETWORK */
		struct host host;       /* else; of one in a list only the text is there */
	};
};

/* Bytes of an entry that are there. */
size_t entry_size(const struct site_entry *e);
/* The whole of one in a list. */
static inline struct site_entry entry_copy(const struct site_entry *e)
{
	struct site_entry copy;
	memcpy(&copy, e, entry_size(e));
	return copy;
}

/* name, =name, !name, *.name, .name, address or network, ~ before what is shared; names are made
 * canonical, those that are not ASCII by IDNA 2008. False where the text is not exactly one. */
bool entry_parse(const char *text, struct site_entry *out);
void entry_format(const struct site_entry *e, struct buf *b);
