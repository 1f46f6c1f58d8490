/* wiring: the kernel's rules, made from the configuration: which packets come to the queues, what
 * passes without the daemon, what marks do.
 *
 * Two backends with the same rules: nft (a table of its own) and iptables + ip6tables (chains
 * of our own, reached from the built-in ones). One empty chain's name keeps what must outlive the
 * daemon: the epoch of the marks, digests of the rules and of the policy, and what
 * nf_conntrack_acct was before. */
#pragma once
#include "base/error.h"
#include "config/config.h"
#include "wiring/ruleset.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum wiring_backend { WIRING_NONE, WIRING_NFT, WIRING_IPTABLES };

const char *wiring_backend_name(enum wiring_backend b); /* "nft", "iptables" */

/* Writes the ruleset as `nft -f` or `iptables-restore --noflush` and `ip6tables-restore --noflush`
 * take it. False where the configuration can't be written as rules: the reasons are in errors.
 * Needs no right and no daemon. */
bool wiring_text(const struct config *c, enum wiring_backend b, unsigned epoch, FILE *to,
		 struct errors *errors) __attribute__((warn_unused_result));

/* The backend that this kernel takes the rules by, nft where it can; changes nothing. */
enum wiring_backend wiring_probe(const struct config *c, struct errors *errors);

/* Loads the rules, replacing any that are there (of either backend; WIRING_NONE: probe). policy is
 * the policy's digest. The epoch moves where the rules or the policy are others than those loaded
 * and no daemon reads the queue (a running daemon decides its flows again by itself).
 * nf_conntrack_acct becomes 1. Loading the same twice changes nothing. */
bool wiring_up(const struct config *c, enum wiring_backend b, const char *policy,
	       struct errors *errors) __attribute__((warn_unused_result));

/* Removes the rules of both backends and the marks of all flows; nf_conntrack_acct gets back what
 * it had. True also where nothing was there. */
bool wiring_down(const struct config *c, struct errors *errors) __attribute__((warn_unused_result));

/* True where the rules of this configuration are loaded, whole and at their places; else what
 * differs is in errors; so is a setting of conntrack that they rely on. Needs CAP_NET_ADMIN only; a
 * line by line comparison is made where a scratch network namespace can be. */
bool wiring_check(const struct config *c, struct errors *errors)
	__attribute__((warn_unused_result));

/* The same, cheap: by the digest that the loaded rules carry, and no more. */
bool wiring_loaded(const struct config *c, struct errors *errors)
	__attribute__((warn_unused_result));

/* True where packets can arrive by every name of `inside`; else a sentence for each in errors. */
bool wiring_interfaces(const struct config *c, struct errors *errors);

/* What is no error but may surprise: a resolver on an inside interface's own network, whose answers
 * need not cross the gateway; fwmark_reflect, which would keep resets from going out; br_netfilter,
 * which hands us what an inside bridge carries from port to port. */
void wiring_warn(const struct config *c, struct errors *warnings);

/* The first of these alone; nothing of interfaces that are not there, nor where dnstap is heard. */
void wiring_warn_of_resolvers(const struct config *c, struct errors *warnings);

/* And where a default route leaves by an interface of `inside`: nearly always inside and outside
 * were taken for each other, and all that leaves passes. */
void wiring_warn_of_ways(const struct config *c, struct errors *warnings);

/* Where segments have private IPv4 addresses, the default route leaves by a public one of ours, and
 * no rule masquerades: nobody can answer them. Asks nft, as root; says nothing where
 * iptables-legacy is in use, whose rules nft does not see. */
void wiring_warn_of_nat(const struct config *c, struct errors *warnings);

/* Loads the rules as they were, under the name that they had: for who watches them. */
bool wiring_restore(const struct config *c, enum wiring_backend b, const struct rules_name *name,
		    struct errors *errors) __attribute__((warn_unused_result));

/* What is wrong with the rules that were read, in one sentence, or how they are good. Fast: no
 * program runs. `counts` get what they counted. */
enum wiring_state {
	WIRING_GOOD,
	WIRING_OTHER,   /* whole, but of another configuration, or of two backends */
	WIRING_DAMAGED, /* not as anything of ours has left them */
	WIRING_GONE,
};
enum wiring_state wiring_judge(const struct config *c, const struct ruleset *r,
			       uint64_t counts[static RULESET_COUNTS], char out[static 256]);

/* Whether conntrack is set as the rules and quotas need it; else what is wrong, in one sentence.
 * Another program may set it at any time, and the kernel tells nobody. */
bool wiring_settings(char out[static 256]);

/* One at a time works on the rules: a descriptor to close, -EWOULDBLOCK where another does and
 * `wait` is false; -errno. Without the runtime folder there is no daemon to wait for either. */
int wiring_lock(const struct config *c, bool wait);

/* Says that a daemon runs, until the descriptor is closed; its own descriptor, or -errno
 * (-EWOULDBLOCK: another one runs). While one runs the epoch of marks does not move: it decides its
 * flows again by itself. */
int wiring_running(const struct config *c);

/* Whether the rules were taken away by wiring_down. */
bool wiring_is_down(const struct config *c);

/* The epoch of the loaded rules; false where none are loaded or they can't be read. */
bool wiring_epoch(const struct config *c, unsigned *epoch) __attribute__((warn_unused_result));
