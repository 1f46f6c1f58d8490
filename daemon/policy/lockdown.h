/* lockdown: what an operator shuts for a while, on top of any policy: a segment, a tier or a user
 * reaches only the sites that are named, and these only where a line of the policy allows them. It
 * never opens anything. An exam, an incident, somebody blocked. */
#pragma once
#include "base/address.h"
#include "base/buf.h"
#include "base/decision.h"
#include "base/error.h"
#include "policy/snapshot.h"

#define LOCKDOWNS_MAX  64
#define LOCKDOWN_SITES 16

enum lockdown_of { LOCKDOWN_SEGMENT, LOCKDOWN_TIER, LOCKDOWN_USER };

struct lockdown {
	uint32_t id; /* from 1, never given twice */
	enum lockdown_of of;
	struct network segment; /* LOCKDOWN_SEGMENT: its clients */
	char whom[USER_MAX];    /* else the tier or the user */
	int64_t since, until;   /* of the wall clock; until INT64_MAX: it has to be ended */
	char by[64];            /* who asked for it */
	unsigned site_count;    /* 0: nothing outside */
	char site[LOCKDOWN_SITES][SITE_MAX];
};

struct lockdowns {
	uint32_t last;       /* the highest id that was given */
	uint64_t generation; /* moves with every change */
	unsigned count;
	struct lockdown item[LOCKDOWNS_MAX];
};

/* Adds one and gives it an id; false where there is no room. What is over holds again where the
 * clock is set back before its end (an exam lasts until the clock on the wall says so): it stays
 * for LOCKDOWN_KEPT, unless its room is needed. */
#define LOCKDOWN_KEPT (INT64_C(86400) * 1000 * 1000 * 1000) /* ns */
bool lockdowns_add(struct lockdowns *l, struct lockdown *one, int64_t now);
bool lockdowns_end(struct lockdowns *l, uint32_t id); /* false: there is none */
bool lockdown_holds(const struct lockdown *l, int64_t now);
/* The one that blocks a user (nothing outside, not even a sign-in), or NULL. */
const struct lockdown *lockdowns_block(const struct lockdowns *l, const char *user, int64_t now);
/* "segment 10.0.12.0/24", "tier pupils", "user ada" */
void lockdown_whom(const struct lockdown *l, struct buf *out);

/* Lockdowns as a snapshot decides by them; NULL where there are none or memory ran out (*failed).
 * Each site that the policy does not have is an error in missing: it is shut, like all others. */
struct locks;
struct locks *locks_make(const struct snapshot *s, const struct lockdowns *l,
			 struct errors *missing, bool *failed);
/* Puts them in force at once, for every thread that decides by the snapshot. The locks that were
 * in force are the caller's, to free when nobody reads them any more; those in force are freed with
 * the snapshot. */
struct locks *snapshot_lock(struct snapshot *s, struct locks *locks);
void locks_free(struct locks *l);
/* 0: none are in force; else it moves with every change. */
uint64_t snapshot_lock_generation(const struct snapshot *s);

/* The lockdown that shuts a flow's client in at a time, the first where there are several; NULL:
 * none. The snapshot's. */
const struct lockdown *snapshot_lockdown(const struct snapshot *s, const struct facts *f,
					 int64_t now);
