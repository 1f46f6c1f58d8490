/* compiled: what a snapshot is inside. For the files of policy/ only.
 *
 * Names are resolved to indices, what a tier includes is spread out, and each tier has its own
 * lines with the evidence that they want of *this* tier, sorted by site: a decision touches only
 * lines that could match. */
#pragma once
#include "base/netset.h"
#include "policy/decide.h"
#include "policy/hostset.h"
#include "policy/quota.h"
#include "policy/schedule.h"
#include "policy/siteset.h"
#include "policy/snapshot.h"

#define TIERS_MAX 1024
#define TIER_NONE UINT32_MAX

/* A line of allow or deny. Its index in the snapshot is its rule number: allow lines come first. */
struct line {
	char name[RULE_MAX]; /* "policy.conf:12" */
	char owner[64];
	const char *note;    /* "" where there is none */
	bool deny, observed; /* observed: a deny line that denies nothing and is recorded */
	uint8_t *tiers;      /* a byte a tier: does the line hold for it, includes spread out */
	bool every_tier;
	bool any_site;            /* sites = "*" */
	bool has_hosts;           /* a name could match it */
	uint16_t *sites, *except; /* ascending */
	size_t site_count, except_count;
	bool except_hosts; /* a name could except a destination */
	struct config_port *ports;
	size_t port_count;
	const struct schedule *when; /* or NULL: always */
	const struct quota *quota;   /* or NULL: without end */
	enum config_evidence evidence;
	enum config_mismatch mismatch;
	int64_t expires; /* INT64_MAX: never */
};

/* A line as one tier has it: what a decision reads. */
struct rule {
	int64_t expires;
	const struct schedule *when;
	const struct quota *quota;
	const struct config_port *ports;
	uint32_t port_count;
	uint32_t line;
	enum evidence wants; /* the weakest evidence that will do */
	const uint16_t *except;
	uint32_t except_count;
	bool except_hosts;
	bool refuses_mismatch;
	bool has_hosts, any_site;
};

struct rules {
	bool deny, observed; /* of lines that are so */
	struct rule *item;   /* in the order of the lines, those with a quota last */
	size_t count;
	/* by_site[first[s] .. first[s + 1]] are the rules of site s, ascending; s = site_count is
	 * "*"
	 */
	uint32_t *first, *by_site;
	/* rules that a name could match, one of each kind of ports, schedule, end and
	 * agreement */
	uint32_t *gates;
	size_t gate_count;
};

struct tier {
	char name[TIER_MAX];
	enum config_evidence evidence;
	enum config_mismatch mismatch;
	int64_t idle, absolute;
	bool observed;  /* nothing is denied to it */
	uint8_t *holds; /* a byte a tier: it is this tier or one that it includes */
	struct rules allow, deny, watch; /* watch: deny lines in observe mode */
};

struct site {
	char name[SITE_MAX];
	bool has_hosts, has_own_hosts; /* own: not shared */
	bool has_networks;
	bool has_own, has_shared, has_exceptions;
};

/* A host whose user and tier the configuration says. */
struct fixed_host {
	uint8_t key[16]; /* its address, or its MAC address and zeros */
	uint32_t tier;
	char user[USER_MAX];
};

struct fixed_hosts {
	struct fixed_host *item; /* by key, ascending */
	size_t count;
};

struct expectation {
	char *file, *to, *at; /* at may be NULL */
	int line;
	uint32_t tier; /* or TIER_NONE: the tier of `from` */
	struct address from;
	struct config_port port;
	enum evidence evidence;
	enum action outcome;
};

struct named_zone {
	const char *name;
	struct zone *zone;
};

struct block;
struct locks;
struct spent;

struct snapshot {
	struct block *blocks; /* all memory that snapshot_take gave */
	struct settings settings;
	char digest[17];
	struct tier *tiers;
	size_t tier_count;
	uint32_t *tier_slots; /* tier + 1 by hash of its name; 0: free */
	uint32_t tier_mask;
	struct site *sites;
	size_t site_count;
	struct line *lines;
	size_t line_count, allow_count;
	struct schedule *schedules;
	size_t schedule_count;
	struct named_zone *zones;
	size_t zone_count;
	struct quota **quotas; /* of the lines that have one, in their order */
	size_t quota_count;
	struct siteset *sets;
	struct hostset *hosts;
	struct netset *networks; /* network -> set of sites that hold its addresses */
	struct netset *internal, *resolvers, *segments;
	struct fixed_hosts by_address, by_mac;
	struct expectation *expects;
	size_t expect_count;
	struct counted *counted;       /* or NULL; each worker writes a part of its own */
	_Atomic(struct locks *) locks; /* what operators shut meanwhile, or NULL */
	_Atomic(struct spent *) spent; /* who has used up a quota, or NULL */
};

/* Zeroed memory that lives as long as the snapshot; NULL where there is none. */
void *snapshot_take(struct snapshot *s, size_t count, size_t size);
char *snapshot_text(struct snapshot *s, const char *text); /* a copy; NULL stays NULL */

uint32_t snapshot_tier(const struct snapshot *s, const char *name); /* or TIER_NONE */
uint32_t tier_hash(const char *name);

/* Makes a tier's rules from the lines from .. to - 1; false where memory ran out. */
bool rules_make(struct snapshot *s, size_t tier, struct rules *r, size_t from, size_t to);

/* Fills s->digest. */
void digest_make(const struct config *c, char out[static 17]);

/* What a line's quota is told by: the line's content, without the amount and the place. */
uint64_t digest_quota(const struct config_line *l);

/* "90 min/day, pupils at video but not learning, tcp/443, when evenings"; the caller's, NULL where
 * memory ran out. */
char *quota_words(const struct config_line *l);

/* A line's ports in an order of their own; the caller's, NULL where memory ran out. */
struct config_port *line_ports_sorted(const struct config_line *l);

/* Adds an error for each line that can never match, with its place. */
void unreachable_check(const struct snapshot *s, const struct config *c, struct errors *errors);

/* The weakest evidence that will do for what a line or tier wants, and its word. */
enum evidence wants_of(enum config_evidence e);
const char *wants_text(enum config_evidence e);

/* What holds for a line and a person's tier: the line's word, else the tier's, else the default. */
enum config_evidence evidence_for(const struct line *l, const struct tier *t);
bool mismatch_refused(const struct snapshot *s, const struct line *l, const struct tier *t);

bool ports_have(const struct config_port *ports, size_t count, uint8_t transport, uint16_t port);

/* The sets of sites that hold a flow's host (none without a name) and its address. */
void sites_of(const struct snapshot *s, const struct facts *f, uint32_t *host, uint32_t *address);

/* decide, with lines that are over at `expiry` left out (INT64_MIN: none is). */
struct outcome decide_expiring(const struct snapshot *s, const struct facts *f, int64_t now,
			       int64_t expiry);

/* The rule of the next lockdown that concerns a flow, from *at (0 at first) on; NULL: no more. The
 * snapshot's. */
const struct rule *locks_next(const struct snapshot *s, const struct facts *f, int64_t now,
			      unsigned *at);
int64_t locks_next_edge(const struct snapshot *s, int64_t now); /* 0: none */
int64_t spent_next_edge(const struct snapshot *s, int64_t now); /* 0: none */

struct why;
void why_expiring(const struct snapshot *s, const struct facts *f, int64_t now, int64_t expiry,
		  struct why *out);
