/* ruleset: the rules of ours that nf_tables has now, iptables-nft's among them, read by netlink: no
 * program runs, CAP_NET_ADMIN is enough, and what others have in the same tables does not matter.
 */
#pragma once
#include "wiring/rules.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* An empty chain that says of an nf_tables table of iptables' name that we made it: it goes when
 * nothing else is left in it. */
#define RULES_MADE RULES_PREFIX "MADE"

/* A chain of ours, or one built in that a rule of ours stands in. */
struct ruleset_chain {
	uint8_t family; /* NFPROTO_INET, _IPV4, _IPV6 */
	char table[32], name[32];
	bool ours;
	unsigned first, rules; /* of ruleset.rule, ours alone */
};

struct ruleset_rule {
	uint64_t handle, packets; /* 0 packets where it has no counter */
};

struct ruleset {
	uint32_t generation; /* of nf_tables: another number, another ruleset */
	bool nft, iptables;  /* whose rules are there */
	bool named;
	struct rules_name name;
	bool dormant, misplaced; /* a table is switched off; others' rules stand where ours must */
	/* tables of iptables that exist, IPv4's and IPv6's; those with rules of ours that are off
	 */
	uint8_t tables[2], asleep[2];
	uint64_t print; /* of all that is ours, but counters and handles */
	struct ruleset_chain *chain;
	size_t chains, chain_room;
	struct ruleset_rule *rule;
	size_t rules, rule_room;
};

/* 0, or -errno: what was read is not whole. Deinit either way. */
int ruleset_read(struct ruleset *r) __attribute__((warn_unused_result));
void ruleset_deinit(struct ruleset *r);

/* The number of the ruleset alone; 0 or -errno. */
int ruleset_generation(uint32_t *generation) __attribute__((warn_unused_result));

const struct ruleset_chain *ruleset_chain(const struct ruleset *r, uint8_t family,
					  const char *table, const char *name);

/* Whether a table of iptables' names is there, whoever made it. */
bool ruleset_has_table(const struct ruleset *r, uint8_t family, const char *table);

/* What rules count, as the text of the rules tells them. */
enum ruleset_count {
	RULESET_UNDECIDED, /* met without a verdict after the queues */
	RULESET_REVERSE,   /* from inside, by a route that does not lead back */
	RULESET_INVALID,   /* from inside, of no connection */
	RULESET_UNOPENED,  /* from outside, TCP without a SYN */
	RULESET_UNTRACKED, /* from inside, not tracked */
	RULESET_UNSEEN,    /* from inside, kept from our rules (iptables') */
	RULESET_COUNTS
};

/* Compares with a text of rules.h (nft's, or one family's of iptables): a sentence for each chain
 * that has another number of rules goes into `faults` (NULL: none), and what its rules counted is
 * added to `counts`. */
void ruleset_compare(const struct ruleset *r, uint8_t family, const char *text,
		     struct errors *faults, uint64_t counts[static RULESET_COUNTS]);

/* `nft -f` commands that switch on again the tables that we made. */
void ruleset_wake(const struct ruleset *r, FILE *to);

/* `nft -f` commands that take away what was read, and nothing else: but for chains that `text`
 * (iptables' of the family; NULL: none) has just filled anew. */
void ruleset_removal(const struct ruleset *r, uint8_t family, const char *text, FILE *to);
