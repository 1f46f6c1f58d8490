/* counted: how often, and when last, flows were decided by each line of a policy and by each entry
 * of its lists. An array a worker, without a lock: each worker writes its own, any thread reads.
 *
 * Lines and entries have a key made of what they say, not of where they stand: a policy that is
 * loaded again finds its counts by it. What a line decides is in it (tiers, sites, except, ports,
 * when, evidence, mismatch, quota, mode, in any order); whom it belongs to and until when it holds
 * is not. Of lines that say the same each has its own. */
#pragma once
#include "base/decision.h"
#include "config/config.h"

#define COUNTED_ENTRIES 65536 /* that a daemon counts of one policy; those past it are not */

struct counted;

struct hit {
	uint64_t key;
	uint64_t count;
	uint32_t since, last; /* seconds since 1970; last: 0 where there was none */
};

/* Of lines (allow first) and of at most entries_max entries, in the order of sites and lists. The
 * configuration may be freed afterwards. NULL where memory ran out. */
struct counted *counted_new(const struct config *c, unsigned workers, size_t entries_max);
void counted_free(struct counted *c);

/* A flow was decided: by a line and a site (RULE_NONE, SITE_NONE: by none); `watched`: a line in
 * observe mode and its site are hit as well. An entry is hit where
 * it is its site's longest for a flow that was decided by this site; a "!name", what is shared
 * ("~") and an entry of an excepted site, by any flow to it. host may be empty. The worker's own
 * thread; no allocation. */
void counted_hit(struct counted *c, unsigned worker, const struct outcome *o,
		 const struct host *host, const struct address *server, int64_t wall);

/* A flow that was decided lives on: its line is in use. */
void counted_use(struct counted *c, unsigned worker, const struct outcome *o, int64_t wall);

/* Lines, then entries: 0 .. lines + entries - 1. */
size_t counted_lines(const struct counted *c);
size_t counted_entries(const struct counted *c);
size_t counted_left_out(const struct counted *c); /* entries past entries_max */
uint64_t counted_key(const struct counted *c, size_t i);
/* What all workers have counted of one; since is 0. */
struct hit counted_sum(const struct counted *c, size_t i);
