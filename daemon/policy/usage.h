/* usage: what of quotas is used: an account for each quota and each whose use is counted. Of
 * bounded size; main thread. All times are the wall clock's. */
#pragma once
#include "base/metric.h"
#include "policy/quota.h"

struct usage;

/* capacity accounts; NULL where memory ran out. */
struct usage *usage_new(uint32_t capacity);
void usage_free(struct usage *u);

/* The quotas are those of this snapshot from now on; accounts of others are kept as they are until
 * their period is over. It must outlive the next call. */
void usage_policy(struct usage *u, const struct snapshot *s, int64_t now);

/* An account, made where it is new, held until it is released: by an open flow. Of a full table one
 * goes that nothing holds, of a few the one of which least is used. USAGE_NONE: all are held. */
#define USAGE_NONE UINT32_MAX
uint32_t usage_hold(struct usage *u, const struct quota_account *a, int64_t now);
void usage_release(struct usage *u, uint32_t account);

/* Bytes moved. In a minute with more than that an account was active. */
#define USAGE_STIR 4096
void usage_add(struct usage *u, uint32_t account, uint64_t bytes, int64_t now);

/* Begins anew what is due, and forgets what is over; once a second or so. What was used stays used
 * where a clock is set back, and where it is then set right. */
void usage_tick(struct usage *u, int64_t now);

/* Whether who has used up what may be another than when usage_spent was last asked. */
bool usage_changed(const struct usage *u);
/* All that is used up now, to put over a snapshot; NULL: nothing is, or memory ran out (*failed).
 */
struct spent *usage_spent(struct usage *u, int64_t now, bool *failed);

bool usage_is_spent(const struct usage *u, uint32_t account);

/* What is used of an account in the period that is now; 0 where there is none. */
uint64_t usage_of(struct usage *u, const struct quota *q, const struct quota_who *who, int64_t now);

/* For the state file. */
struct usage_memory {
	struct quota_account account;
	int64_t start, end;
	uint64_t used;
	int64_t minute; /* since 1970, the last one in which something moved */
	uint64_t moved; /* bytes in it */
	/* the latest period that the clock was set back from, and what was used in it; 0: none */
	int64_t before;
	uint64_t used_before;
};
/* The first at or after *slot (0 at first), which moves past it; false at the end. */
bool usage_each(const struct usage *u, uint32_t *slot, uint32_t *account, struct usage_memory *out);
/* Not held. USAGE_NONE: no room. */
uint32_t usage_restore(struct usage *u, const struct usage_memory *m);
/* One more for an account that is there. */
void usage_hold_again(struct usage *u, uint32_t account);
/* Moves with every change that is worth keeping. */
uint64_t usage_generation(const struct usage *u);

struct usage_counters {
	uint64_t accounts, spent, refused;
};
extern const struct metrics usage_metrics;
void usage_count(const struct usage *u, struct usage_counters *out);
