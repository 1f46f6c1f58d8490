/* accounting: sessions that RADIUS clients report: which are open, and what a report changes.
 * Repeated, reordered, replayed and lost reports do no harm: reports of a session are taken in the
 * order of their own times, one that has ended is remembered for a while, and one that nobody
 * reports any more ends by itself. Knows no packets; what is to be done in the daemon goes through
 * the ops. */
#pragma once
#include "base/decision.h"
#include "identity/session.h"
#include "portal/radius.h"

#define ACCOUNTING_KEY 16

struct accounting_report {
	enum radius_status status;
	uint8_t nas[ACCOUNTING_KEY], session[ACCOUNTING_KEY]; /* digests: who reports, of what */
	char user[USER_MAX];                                  /* "": none that is a user name */
	char tier[TIER_MAX];                                  /* "": none */
	struct address address[RADIUS_ADDRESSES];
	unsigned addresses;
	int64_t heard; /* ns since the epoch, by our wall clock */
	int64_t time;  /* the same: when it happened, as far as is known */
	bool has_time; /* the client itself said it */
	bool has_session_time;
	uint32_t session_time;
	int64_t lasts; /* ns after which the session ends unless reported again */
};

/* What came of a report, and whether the client is told that it was taken. */
#define ACCOUNTING_LIST(X)                                                                         \
	X(DONE, "done", true)             /* it changed something, or all is as it says */         \
	X(OLD, "old", true)               /* something later is known already */                   \
	X(STALE, "stale", true)           /* its time is too far from now: perhaps a replay */     \
	X(NO_USER, "no-user", true)       /* no user name, or none that could be one */            \
	X(NO_TIER, "no-tier", true)       /* nothing says the tier, or the policy has none such */ \
	X(NO_ADDRESS, "no-address", true) /* no address yet: a later report may bring one */       \
	X(ENDED, "ended", true)           /* somebody else ended it, or took its address */        \
	X(FULL, "full", false)            /* a table is full: the client should try again */       \
	X(AWAY, "away", false)            /* the daemon does not answer: likewise */

enum accounting_result {
#define X(id, text, answered) ACCOUNTING_##id,
	ACCOUNTING_LIST(X)
#undef X
		ACCOUNTING_COUNT
};
const char *accounting_text(enum accounting_result r);
bool accounting_answered(enum accounting_result r);

/* Asked of the daemon. DONE; ENDED: there is no such session; NO_TIER, FULL, AWAY as above. */
struct accounting_ops {
	enum accounting_result (*open)(void *ctx, const struct address *a, const char *user,
				       const char *tier);
	enum accounting_result (*add)(void *ctx, const struct address *with,
				      const struct address *a);
	enum accounting_result (*close)(void *ctx, const struct address *a);
};

struct accounting;

/* window: ns that a report's own time may be away from now. NULL where there is no memory. */
struct accounting *accounting_new(uint32_t capacity, int64_t window,
				  const struct accounting_ops *ops, void *ctx);
void accounting_free(struct accounting *a);

enum accounting_result accounting_take(struct accounting *a, const struct accounting_report *r,
				       int64_t now);

/* Takes over a session that the daemon has and that was opened before this process began: the next
 * report of its user and address makes it that report's; without one it ends after `lasts`. */
void accounting_adopt(struct accounting *a, const struct accounting_report *r, int64_t now);

/* Ends what has not been reported in time. Call it about once a second. */
void accounting_sweep(struct accounting *a, int64_t now);

struct accounting_counters {
	uint32_t open, ended; /* sessions now: open, and remembered as ended */
	uint64_t timed_out;
};
void accounting_count(const struct accounting *a, struct accounting_counters *out);
