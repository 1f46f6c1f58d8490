/* histogram: how long something took, in buckets of a fixed few bounds: for Prometheus, and for
 * people. One writer; others read what it stored, each number whole. */
#pragma once
#include <stdint.h>

enum { HISTOGRAM_BUCKETS = 19 }; /* the last one has no bound */

struct histogram {
	uint64_t bucket[HISTOGRAM_BUCKETS]; /* each its own: not those below it, too */
	uint64_t sum;                       /* ns */
};

struct histogram_bound {
	int64_t ns;       /* what took so long is still in the bucket */
	const char *text; /* in seconds, as Prometheus writes it */
};
extern const struct histogram_bound histogram_bounds[HISTOGRAM_BUCKETS - 1];

/* So many things took so many ns each. */
void histogram_add(struct histogram *h, int64_t ns, uint64_t count);
void histogram_join(struct histogram *to, const struct histogram *more);
uint64_t histogram_count(const struct histogram *h);

/* The bound, ns, that `part` (0..1) of all kept; INT64_MAX where that is above all bounds, 0 where
 * there is nothing. */
int64_t histogram_within(const struct histogram *h, double part);
