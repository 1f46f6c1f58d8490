/* accounting: sessions that RADIUS clients report: which are open, and what a report changes.
 * Repeated, reordered, replayed and lost reports do no harm: reports of a session have one order,
 * one that has ended is remembered for a while, also by the next process, and one that nobody
 * reports any more ends by itself. Knows no packets; what is to be done in the daemon goes through
 * the ops. */
#pragma once
#include "base/decision.h"
#include "base/metric.h"
#include "identity/session.h"
#include "radius/radius.h"

#define ACCOUNTING_KEY 16

struct store;

/* When something happened. Two have one order: by what the client's clock said where it was said of
 * both, else by when we heard of it. */
struct accounting_moment {
	int64_t said;  /* ns since the epoch; 0: the client did not say */
	int64_t heard; /* ns of clock_now, less Acct-Delay-Time */
};

struct accounting_report {
	enum radius_status status;
	uint8_t nas[ACCOUNTING_KEY];     /* digest of all that tells who reports */
	uint8_t behind[ACCOUNTING_KEY];  /* the same without where the packet came from */
	uint8_t session[ACCOUNTING_KEY]; /* digest of the session's identifier */
	char user[USER_MAX];             /* "": none that is a user name */
	char tier[TIER_MAX];             /* "": none */
	bool user_told, tier_told;       /* the report says it; else what is known stays */
	bool has_mac;
	uint8_t mac[6];
	struct address address[RADIUS_ADDRESSES];
	unsigned addresses;
	struct accounting_moment time;
	bool delayed;    /* by Acct-Delay-Time */
	int64_t arrived; /* ns since the epoch, to be compared with what the client said */
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
	/* mac may be NULL. Who is there as the same user keeps the session's other addresses. */
	enum accounting_result (*open)(void *ctx, const struct address *a, const char *user,
				       const char *tier, const uint8_t mac[6]);
	enum accounting_result (*add)(void *ctx, const struct address *with,
				      const struct address *a);
	enum accounting_result (*drop)(void *ctx, const struct address *a); /* alone */
	enum accounting_result (*close)(void *ctx, const struct address *a);
};

struct accounting;

/* window: ns that a client's own time may be away from now. NULL where there is no memory. `now` is
 * clock_now's everywhere. */
struct accounting *accounting_new(uint32_t capacity, int64_t window,
				  const struct accounting_ops *ops, void *ctx);
void accounting_free(struct accounting *a);

enum accounting_result accounting_take(struct accounting *a, const struct accounting_report *r,
				       int64_t now);

/* A session that the daemon has (user, tier, addresses, lasts of r count). One that was opened
 * before this process began and is not known is taken over: the next report of its user and address
 * makes it that report's; without one it ends after `lasts`. */
void accounting_adopt(struct accounting *a, const struct accounting_report *r, int64_t now);
/* All that the daemon has was told: what else was open has been ended by somebody meanwhile. */
void accounting_adopted(struct accounting *a);

/* Ends what has not been reported in time. Call it about once a second. */
void accounting_sweep(struct accounting *a, int64_t now);

struct accounting_counters {
	uint32_t open, ended; /* sessions now: open, and remembered as ended */
	uint64_t timed_out;
};
extern const struct metrics accounting_metrics;
void accounting_count(const struct accounting *a, struct accounting_counters *out);

/* ---- what outlives the process (accounting_state.c) ---- */

/* Reads what is kept in the store and in the journal, a file of endings since (path; it is made).
 * From here on each ending is in the journal before its report is answered, so that not even a
 * killed process forgets it; without a journal (it cannot be opened, and that is logged) what ended
 * since the last save is forgotten with the process. */
void accounting_load(struct accounting *a, struct store *from, const char *journal, int64_t now);
/* Keeps all, where anything has changed, and empties the journal; 0 or -errno. */
int accounting_save(struct accounting *a, struct store *to, int64_t now);
/* Whether the journal is long enough for a save to be due now. */
bool accounting_save_due(const struct accounting *a);
