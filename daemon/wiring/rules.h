/* rules: the ruleset's text for each backend; wiring.c loads it. */
#pragma once
#include "base/error.h"
#include "config/config.h"
#include "source/mark.h"
#include <stdio.h>

#define RULES_TABLE  "tiergate"  /* nft's */
#define RULES_PREFIX "TIERGATE-" /* of every chain in iptables' tables, and of the name chain */

/* What the name chain says: TIERGATE-<epoch><acct>-<rules><policy>, in hexadecimal. */
struct rules_name {
	unsigned epoch;
	bool acct; /* nf_conntrack_acct before our rules */
	char rules[9], policy[9];
};
#define RULES_NAME_MAX 29 /* iptables takes 28 characters */

void rules_name_format(const struct rules_name *n, char out[static RULES_NAME_MAX]);
bool rules_name_parse(const char *text, struct rules_name *out);

struct rules {
	const struct config *config;
	uint32_t mask;              /* all bits of ours */
	uint32_t kind_mask;         /* those of the kind alone */
	uint32_t kind[MARK_KINDS];  /* a kind, whatever its epoch */
	uint32_t value[MARK_KINDS]; /* a kind of this epoch */
	unsigned dns_group;         /* of NFLOG: the number after the queues' */
	char name[RULES_NAME_MAX];  /* the name chain's */
	/* nft's flowtable has these: the configuration's, or some of them; NULL: in a namespace
	 * where they are not */
	const struct strings *devices;
};

/* False where the configuration can't be written as rules. */
bool rules_init(struct rules *r, const struct config *c, unsigned epoch, struct errors *errors);

/* First 8 hexadecimal digits of a SHA-256. */
void rules_digest(const void *bytes, size_t len, char out[static 9]);

void rules_nft(const struct rules *r, FILE *to);

/* One restore file a family (4 or 6). The tables come in an order that never opens a hole: what
 * rejects is there before what marks. */
void rules_iptables(const struct rules *r, int family, FILE *to);

/* Whether our jumps are to be the first rules of a built-in chain: everywhere but in mangle's
 * PREROUTING, where they are the last. */
bool rules_jump_first(const char *table, const char *chain);
