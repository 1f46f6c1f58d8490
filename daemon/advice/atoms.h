/* atoms: what two policies tell apart, together: every flow is of one class in each dimension, and
 * flows of the same classes are decided alike by either policy. So a sample of each class stands
 * for all flows there can be. */
#pragma once
#include "policy/decide.h"
#include "policy/load.h"
#include "policy/schedule.h"

enum dimension { BY_TIER, BY_NAME, BY_ADDRESS, BY_PORT, BY_TIME, BY_EVIDENCE, DIMENSIONS };

/* Classes of evidence. A flow without a name has the first, one with a name one of the others. */
enum known {
	KNOWN_ADDRESS,
	KNOWN_OUTER,        /* an encrypted hello's outer name, resolved to this address */
	KNOWN_OUTER_ASTRAY, /* and not */
	KNOWN_DNS,
	KNOWN_NAME, /* the flow's own, not resolved to this address */
	KNOWN_NAME_ADDRESS,
	KNOWN_COUNT
};

#define NAMELESS 0 /* the class of BY_NAME of flows without a name */

/* A host of a list, or (below) all below it that no longer host of a list covers. A NULL host is
 * every name that no list holds. */
struct name_atom {
	const struct host *host;
	bool below;
	uint16_t class;
};

/* From here to the next one. */
struct address_atom {
	struct address first;
	uint16_t class;
};

struct port_atom {
	uint8_t transport; /* 0: what has no ports */
	uint16_t first;
	uint16_t class;
};

struct time_atom {
	int64_t first; /* ns since the epoch */
	uint16_t class;
};

struct atoms {
	const struct policy *policy[2]; /* old and new; the caller's, they outlive the atoms */
	const char **tiers;             /* the first is "": nobody */
	struct name_atom *names;        /* by host, below after itself; the first is the rest */
	struct address_atom *addresses;
	struct port_atom *ports;
	struct time_atom *times; /* from `now` on */
	bool settled;            /* nothing changes behind the last of them */
	size_t tier_count, name_count, address_count, port_count, time_count;
	size_t count[DIMENSIONS];   /* classes */
	size_t *sample[DIMENSIONS]; /* of each class its first atom */
	struct atoms_zone {
		struct zone *zone;
		const char *name;
	} * zones; /* of the schedules, each once; UTC where there are none */
	size_t zone_count;
	char label[16]; /* which no list's host begins with */
};

/* now: ns since the epoch; times are looked at from then to a year behind the last `expires` and
 * the last date of a schedule, of dates those of the next 30 years. NULL where there are more
 * classes than fit (65,535 in a dimension). */
struct atoms *atoms_new(const struct policy *old, const struct policy *new, int64_t now);
void atoms_free(struct atoms *a);

/* The sample flow of classes, and its time; host is room for its name. */
void atoms_flow(const struct atoms *a, const uint16_t at[DIMENSIONS], struct facts *f,
		struct host *host, int64_t *now);

/* Of each class of a dimension the first one that is decided as it is for a tier: for most tiers
 * most classes are one. first has room for count[d]. */
void atoms_alike(const struct atoms *a, enum dimension d, uint16_t tier, uint16_t *first);
