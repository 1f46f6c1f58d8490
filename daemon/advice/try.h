/* try: what another policy would have done with the flows of records: who would gain, who lose
 * what. Each record is decided by both policies, at its own time. Constant memory. */
#pragma once
#include "advice/people.h"
#include "policy/snapshot.h"

/* "May": the flow was decided before it could name a host, and its name is what the answer hangs
 * on. "Quota": it is allowed as it was, but under other quotas. */
#define TRY_LIST(X)                                                                                \
	X(SAME, "same")                                                                            \
	X(GAINS, "gains")                                                                          \
	X(MAY_GAIN, "may-gain")                                                                    \
	X(LOSES, "loses")                                                                          \
	X(MAY_LOSE, "may-lose")                                                                    \
	X(QUOTA, "quota")

enum try_change {
#define X(id, text) TRY_##id,
	TRY_LIST(X)
#undef X
		TRY_CHANGES
};

/* Changes of one kind, tier, user and site, and of quotas from one to the same other. */
struct try_group {
	enum try_change change;
	char tier[TIER_MAX], user[USER_MAX]; /* "": none */
	char to[HOST_MAX + 1];               /* the site; of a line for all, the host or address */
	bool is_site;
	uint64_t flows;
	/* one of them */
	int64_t time;
	struct address client, server;
	struct host host;
	uint16_t port;
	uint8_t transport;
	enum reason was, is;
	char was_rule[RULE_MAX], is_rule[RULE_MAX]; /* "": none */
	const char *was_quota, *is_quota;           /* as limits_of, the trial's; of any change */
};

#define TRY_GROUPS 16384

struct try_counts {
	uint64_t records, flows; /* decisions, and their repeats */
	uint64_t changed;        /* flows, of all groups */
	uint64_t ungrouped;      /* of these beyond TRY_GROUPS */
	uint64_t outside;        /* flows that no line decided: malformed, a table full ... */
	uint64_t otherwise;      /* flows that the old policy decides otherwise than was recorded */
	uint64_t other_policy;   /* records of another policy than the old one */
	uint64_t unknown_tier;   /* records of a tier that the new policy lacks */
	uint64_t lost;           /* records that the log says were lost */
};

struct trial;

/* Both policies are the caller's. */
struct trial *try_new(const struct snapshot *old, const struct snapshot *new);
void try_free(struct trial *t);

void try_record(struct trial *t, const struct decision *d);
/* What each of the policies itself made of a flow, as a replay tells. */
void try_pair(struct trial *t, const struct decision *was, const struct decision *is);

/* The groups: gains first, of each kind the one with most flows first. */
const struct try_group *try_groups(struct trial *t, size_t *count);
const struct try_counts *try_counted(const struct trial *t);
const char *try_change_text(enum try_change c);

/* The records of each user who was signed in; the trial's. */
const struct people *try_people(const struct trial *t);
