/* state: what the gateway remembers, in a store and out of it. Each save replaces what was kept
 * before and returns 0 or -errno; each load returns how many entries were taken. Main thread. */
#pragma once
#include "identity/session.h"
#include "dns/seen.h"
#include "packet/flow.h"
#include "policy/hits.h"
#include "policy/lockdown.h"
#include "policy/usage.h"
#include "source/meter.h"
#include "state/store.h"

int state_save_sessions(struct store *to, struct sessions *s);
/* Sessions that have ended meanwhile stay out; idle times go on from when traffic was last seen. */
unsigned state_load_sessions(struct store *from, struct sessions *s, int64_t now);

/* Addresses that a session has lost since sessions were kept: a small file, for what has to be on
 * disk at once. load, after state_load_sessions, takes them from the sessions that were there by
 * now, as it was saved, but for the one that came in their place; how many. */
struct state_end {
	struct address at;
	int64_t since; /* of the session that is there now; 0: there is none */
};
int state_save_ended(struct store *to, const struct state_end *list, size_t count, int64_t now);
unsigned state_load_ended(struct store *from, struct sessions *s, int64_t now);

int state_save_names(struct store *to, struct seen *s);
unsigned state_load_names(struct store *from, struct seen *s, int64_t now);

/* Lockdowns; their times are the wall clock's. *lost: some were kept and can't be read, so that
 * what was shut is open; who shut it has to hear of that. */
int state_save_lockdowns(struct store *to, const struct lockdowns *l);
unsigned state_load_lockdowns(struct store *from, struct lockdowns *l, bool *lost);

/* Until when nothing was left that the kernel carried against what was shut (wall clock), and under
 * which policy. load: false where none is kept that can be read. */
struct state_swept {
	int64_t wall;
	char policy[32];
};
int state_save_swept(struct store *to, const struct state_swept *s);
bool state_load_swept(struct store *from, struct state_swept *s);

/* What lines and entries were hit. last: the process ends, and counts no more; of one that ended
 * without it, load says from when to when it may have counted what is lost (lost_from, lost_to). */
int state_save_hits(struct store *to, const struct hits *h, bool last);
unsigned state_load_hits(struct store *from, struct hits *h, int64_t wall);

/* What of quotas is used, and how much of the flows that count was counted; m may be NULL. */
int state_save_quotas(struct store *to, const struct usage *u, struct meter *m);
/* The accounts that were taken; *lost: there were more, which can't be read. now: of clock_now. */
unsigned state_load_quotas(struct store *from, struct usage *u, struct meter *m, int64_t now,
			   bool *lost);
/* Until when (of the wall clock) it is to be said that what was used was lost; 0: nothing was. By
 * itself, as the file of quotas is soon written anew. */
int state_save_quotas_lost(struct store *to, int64_t until);
int64_t state_load_quotas_lost(struct store *from);

/* What is remembered of a flow: enough to know it when it is met mid-stream, to decide it again and
 * to write its end. */
struct flow_memory {
	struct flow_key key;
	bool allowed; /* or denied */
	/* rule and site count only under the same policy; ACTION_WAIT: nothing is decided yet, and
	 * of the flow its SYN alone is known */
	struct outcome outcome;
	enum evidence evidence;
	enum protocol protocol;
	bool syn_seen, live, heard, mismatch, has_mac;
	uint8_t mac[6];
	uint32_t isn;
	uint64_t next;
	int64_t first, last;
	struct host host;
	char user[USER_MAX], tier[TIER_MAX];
};

/* Decided flows of worker `index`, as it remembers them; policy is the digest under which they were
 * decided. */
int state_save_flows(struct store *to, unsigned index, const struct flow_memory *list, size_t count,
		     const char *policy);
/* same: they were decided under `policy`. The flow and its text are the callee's for the call. */
unsigned state_load_flows(struct store *from, unsigned index, const char *policy,
			  void (*each)(void *ctx, const struct flow_memory *m, bool same),
			  void *ctx);
