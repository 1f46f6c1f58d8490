/* decide: facts -> outcome. Pure: no state but the snapshot, no clock but `now`. */
#pragma once
#include "base/decision.h"
#include "policy/snapshot.h"

/* Any allow line that matches allows, unless a deny line matches; nothing matching is a deny.
 * With f->waiting the answer is ACTION_WAIT where a name that may still come could change it, else
 * already final. Mode is not looked at: observe is the worker's. Never allocates. */
struct outcome decide(const struct snapshot *s, const struct facts *f, int64_t now);
