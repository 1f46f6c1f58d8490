/* quota: how much of what a line allows there is, for whom, and until when. Who has used it up is
 * told over the snapshot, as lockdowns are: the line then allows that one nothing (reason
 * quota-spent) until its period is over. What is used is counted elsewhere (policy/usage.h). */
#pragma once
#include "base/buf.h"
#include "base/decision.h"
#include "base/zone.h"
#include "packet/share.h"
#include "policy/snapshot.h"

/* A line's, as it is compiled. */
struct quota {
	/* What it is told by, over reloads and restarts: the line's content without the amount. Of
	 * lines that are alike so far evidence, mismatch, amount, and then their order tell. */
	uint64_t id;
	uint64_t amount; /* bytes, or minutes */
	bool bytes, week, together;
	uint8_t day;
	uint16_t minute;
	const struct zone *zone;
	const char *zone_name; /* for people */
	uint32_t line;         /* its index in the snapshot */
	/* What it is, for whom and where: alike where quotas of two policies are, whatever stands
	 * around their lines and in whatever order they are written. */
	const char *words;
};

/* Whose use is counted: a user with all the addresses that are the user's, however the name was
 * written (a RADIUS server hands on what was typed), else a host; all zero: all together. Zeros
 * behind the text, so that alike is alike byte for byte. */
struct quota_who {
	char user[USER_MAX];
	struct host_key host;
};
void quota_whose(const struct quota *q, const struct facts *f, struct quota_who *out);
/* "user ada", "host 10.9.0.7", "host 02:00:5e:10:00:07", "all together" */
void quota_who_format(const struct quota_who *w, struct buf *b);

struct quota_account {
	uint64_t id;
	struct quota_who who;
};
bool quota_account_equal(const struct quota_account *a, const struct quota_account *b);

/* The period that a time of the wall clock is in: ns, the end not included. It begins at the same
 * time of the clock each day or week, however long that is where the clock was set for summer. */
void quota_period(const struct quota *q, int64_t now, int64_t *start, int64_t *end);

/* The snapshot's. NULL: the line has none, or there is no such line. */
const struct quota *snapshot_quota(const struct snapshot *s, uint32_t rule);
const struct quota *snapshot_quota_by_id(const struct snapshot *s, uint64_t id);
bool snapshot_has_quotas(const struct snapshot *s);
/* All of them, in the order of the lines. */
const struct quota *const *snapshot_quotas(const struct snapshot *s, size_t *count);

/* ---- who has used it up ---- */

struct spent;
/* Room for count accounts; NULL where memory ran out. */
struct spent *spent_new(size_t count, uint64_t generation);
/* until: of the wall clock, when the account begins anew. */
void spent_add(struct spent *p, const struct quota_account *a, int64_t until);
void spent_free(struct spent *p);
/* Puts it in force at once, for every thread that decides by the snapshot; p may be NULL. What was
 * in force is the caller's, to free when nobody reads it any more; what is in force is freed with
 * the snapshot. */
struct spent *snapshot_spend(struct snapshot *s, struct spent *p);
/* 0: nobody has used up anything; else what spent_new was told. */
uint64_t snapshot_spent_generation(const struct snapshot *s);
/* Until when a quota is used up by who a flow is of; 0: it is not. */
int64_t quota_spent_until(const struct snapshot *s, const struct quota *q, const struct facts *f,
			  int64_t now);
