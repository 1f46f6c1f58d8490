/* policy: the school's policy as the test knows it: made from a number, written as a configuration,
 * and asked: what tiergate.conf(5) and tiergatectl(8) say, in a few lines that share nothing with
 * the daemon (its zones are computed here, too). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { TIERS = 4, SITES = 5, NAMES_EACH = 3, NAMES_ALL = SITES * NAMES_EACH, SCHEDULES = 4 };
enum { LINES = 12, RANGES = 3, LOCKS = 48 };
#define LISTED_SITE 1 /* its names are in a file */

enum school_zone { ZONE_UTC, ZONE_SOFIA, ZONE_NEW_YORK, ZONES };

struct school_schedule {
	unsigned days; /* bit 0: Monday */
	unsigned count;
	struct {
		int from, to; /* minutes; from > to: past midnight */
	} range[RANGES];
	enum school_zone zone;
	int64_t except; /* a day since 1970, or -1 */
};

struct school_line {
	bool deny;
	unsigned tiers, sites; /* bits */
	int when;              /* a schedule, or -1 */
};

struct school_policy {
	unsigned version, list;               /* of the policy, and of the list of LISTED_SITE */
	unsigned listed;                      /* bits of its names */
	int64_t idle[TIERS], absolute[TIERS]; /* seconds; 0: none */
	struct school_schedule schedule[SCHEDULES];
	struct school_line line[LINES];
	unsigned lines;
};

/* since: a day within the simulated week, since 1970. */
void policy_make(struct school_policy *p, uint64_t seed, unsigned version, unsigned list,
		 int64_t since);
/* The configuration, in the present folder. */
void policy_write(const struct school_policy *p, const char *path);
void policy_write_list(const struct school_policy *p, const char *path);

const char *tier_name(unsigned tier);
const char *site_name(unsigned site);
void host_name(unsigned name, char out[static 40]);

bool schedule_holds(const struct school_schedule *s, int64_t wall);
int64_t school_zone_offset(enum school_zone z, int64_t second); /* seconds east of UTC */

/* Who asks. tier -1: nobody. */
struct asker {
	int tier, user;
	unsigned room;
};

struct lock {
	unsigned id; /* 0: unused */
	enum { LOCK_ROOM, LOCK_TIER, LOCK_USER } of;
	unsigned whom;
	unsigned only; /* bits of sites */
	int64_t until; /* ns of the wall clock; INT64_MAX: none */
};

bool lock_holds(const struct lock *l, int64_t wall);
bool policy_allows(const struct school_policy *p, const struct lock locks[static LOCKS],
		   const struct asker *who, unsigned name, int64_t wall);
