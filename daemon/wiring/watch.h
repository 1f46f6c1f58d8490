/* watch: looks after the kernel's rules while the daemon runs, on a thread of its own. Whatever
 * takes away or changes a rule of ours is seen at once (nf_tables tells of each change, and is
 * looked at each second), said, counted, and put back where the configuration says so; with pauses
 * that grow where another program does it again. The same for the interfaces that `inside` names.
 * What the rules themselves drop is counted here, too. */
#pragma once
#include "base/metric.h"
#include "wiring/wiring.h"

struct watch;

/* Since the start. */
struct watch_counters {
	uint64_t lost, put_back;         /* times */
	uint64_t counts[RULESET_COUNTS]; /* packets */
};
extern const struct metrics watch_metrics;

struct watch_state {
	bool looked; /* at all, so far */
	bool rules_good, interfaces_good;
	char rules[256], interfaces[256]; /* a sentence where it is not good */
	struct watch_counters counters;
};

/* The configuration stays the caller's, and must outlive the watch or the next watch_config.
 * NULL with a sentence in errors. */
struct watch *watch_new(const struct config *c, struct errors *errors);
int watch_start(struct watch *w); /* 0 or -errno */
void watch_free(struct watch *w); /* waits for its thread; NULL is fine */

/* Another configuration is in force. */
void watch_config(struct watch *w, const struct config *c);

/* What is known; fresh: looks first, and waits for that for a third of a second at most. */
void watch_get(struct watch *w, bool fresh, struct watch_state *out);

/* The pause before what was put back `times` times in a row is put back again; ns. */
int64_t watch_pause(unsigned times);
