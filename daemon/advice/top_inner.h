/* top_inner: what top.c counts and a screen shows. */
#pragma once
#include "advice/top.h"
#include "base/histogram.h"

struct top_table {
	struct top_row row[TOP_ROWS];
	size_t used;
};

/* Of all queues, since the daemon started. */
struct top_counts {
	uint64_t packets, allowed, denied, queries;
	struct histogram verdicts; /* its sum is not known */
};

struct top_tables {
	struct top_table by[TOP_TABLES];
	int64_t faded; /* weights are those of this time */
};

struct top {
	int64_t began;
	struct top_tables all, some; /* some: through the filter */
	struct decision recent[TOP_RECENT];
	uint64_t records, unseen, lost; /* unseen: the last ones, that came in a pause */
	bool paused, rated;
	char filter[TOP_FILTER];
	/* of the status */
	json_t *status; /* NULL: none yet */
	char gone[256]; /* "": the daemon is there */
	struct top_counts counts;
	int64_t counted; /* when; 0: never */
	char started[40];
	double rate[4];            /* a second: packets, allowed, denied, queries */
	struct histogram verdicts; /* of what came between two looks */
};

#define TOP_HALF_LIFE 30.0 /* seconds in which a weight halves */
