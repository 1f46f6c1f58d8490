/* entry: one line of a .sites list (tiergate.sites(5)): host names, or a network. */
#pragma once
#include "base/buf.h"
#include "base/decision.h"

enum site_kind { SITE_TREE, SITE_EXACT, SITE_NOT_TREE, SITE_NETWORK };

struct site_entry {
	enum site_kind kind;
	bool shared; /* "~": needed by the site and not of it: only what opens takes it */
	struct host host;
	struct network network;
	int line;
};

/* name, =name, !name, *.name, .name, address or network, ~ before what is shared; names are made
 * canonical, those that are not ASCII by IDNA 2008. False where the text is not exactly one. */
bool entry_parse(const char *text, struct site_entry *out);
void entry_format(const struct site_entry *e, struct buf *b);
