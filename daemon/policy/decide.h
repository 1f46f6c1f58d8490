/* decide: facts -> outcome. Pure: no state but the snapshot, no clock but `now`. */
#pragma once
#include "base/decision.h"
#include "policy/snapshot.h"

/* Any allow line that matches allows, unless a lockdown or a deny line matches; nothing matching is
 * a deny. What is allowed although a deny line in observe mode matches is so, and `watched`. With
 * f->waiting the answer is ACTION_WAIT where a name that may still come could change it, else
 * already final. The mode of all and of tiers is not looked at: that is the worker's. Never
 * allocates. */
struct outcome decide(const struct snapshot *s, const struct facts *f, int64_t now);

/* The quotas that together limit what decide allows, each of a line that would be next were those
 * before it used up, into out, which has room for all of the snapshot's. 0: nothing limits it, or
 * it is not allowed. Not for the packet path. */
struct quota;
size_t decide_limits(const struct snapshot *s, const struct facts *f, int64_t now,
		     const struct quota **out);

/* The early answer, for a first packet that decide left waiting: names are all that this network
 * resolved to the server's address. Denies where every line that a name could match wants
 * agreement, and none of these names is allowed; the first name's reason is given. Waits else. */
struct outcome decide_early(const struct snapshot *s, const struct facts *f,
			    const struct host *names, size_t count, int64_t now);

/* Whether every line that could still allow a flow, by its address or by a name that may come,
 * wants that name to agree with the address. */
bool decide_wants_agreement(const struct snapshot *s, const struct facts *f, int64_t now);

/* Whether some deny line of the tier could match, at this port and time, or the allow line not, if
 * only the flow's name were known: what hides its name must not pass by its address then. */
bool decide_name_may_deny(const struct snapshot *s, const struct facts *f, int64_t now);
