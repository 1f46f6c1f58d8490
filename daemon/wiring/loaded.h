/* loaded: the rules of ours that the kernel has now, as the tools list them. */
#pragma once
#include "base/error.h"
#include "wiring/ruleset.h"
#include <stdbool.h>
#include <stdint.h>

struct loaded {
	bool nft, iptables; /* whose rules are there */
	bool named;         /* the name chain was found, and `name` is filled */
	struct rules_name name;
	char *table;   /* nft's listing of our table; "" where there is none */
	char *save[2]; /* iptables-save and ip6tables-save, whole; "" where there is none */
	/* Rules of ours are there that the listing lacks: iptables gives up a table in which nft
	 * has put what it does not know. */
	bool unlisted[2];
	struct ruleset set;
};

/* False where no tool could list anything: the reason is in errors. */
bool loaded_read(struct loaded *l, struct errors *errors) __attribute__((warn_unused_result));
void loaded_deinit(struct loaded *l);

/* A restore file for a family (4, 6) that takes away all that is ours and brings `text` (a restore
 * file of its own; "": nothing) in the same transaction a table. "" where there is nothing to do.
 * The caller frees it; NULL where memory ran out. */
char *loaded_replace(const struct loaded *l, int family, const char *text);

/* After a removal: tables of a family that we made and that hold nothing now are taken away, since
 * even empty ones have their hooks (and conntrack) run for every packet. */
void loaded_tidy(const struct loaded *l, int family);

/* Adds an error for each line of ours that is missing from, or is too many in, what is loaded.
 * expected: the listing of the same tool. */
void loaded_compare(const struct loaded *l, int family, const char *expected,
		    struct errors *errors);

/* Adds an error for each built-in chain where our rules are not at their place. */
void loaded_check_order(const struct loaded *l, struct errors *errors);
