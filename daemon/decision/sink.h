/* sink: the one writer of the decision log. Takes decisions from a ring for each worker, writes
 * them to a file, the journal or standard output, and passes them to watchers. It never makes a
 * worker wait: what is lost is counted, and the count becomes a record. */
#pragma once
#include "base/decision.h"
#include "base/error.h"
#include "base/metric.h"
#include "base/ring.h"

enum sink_to { SINK_FILE, SINK_JOURNAL, SINK_STDOUT, SINK_NONE };

struct sink_options {
	enum sink_to to;
	const char *file;         /* SINK_FILE; reopened by sink_reopen (logrotate) */
	int64_t fold;             /* equal denials within it are one and a count; 0: none are */
	const uint8_t *pseudonym; /* 32 bytes or NULL; kept by the caller */
	unsigned rings;           /* one a producer */
	size_t slots;             /* a ring */
	/* Called on the writer's thread with each decision (user names hidden already), also while
	 * the log cannot be written; may be NULL. */
	void (*written)(void *ctx, const struct decision *d);
	void *ctx;
};

struct sink;

struct sink *sink_new(const struct sink_options *o, struct errors *errors);
struct ring *sink_ring(struct sink *s, unsigned i); /* producer i's ring of struct decision */
int sink_start(struct sink *s);                     /* the writer thread; 0 or -errno */
void sink_reopen(struct sink *s);                   /* any thread */
void sink_stop(struct sink *s);                     /* writes what is there, then ends */
void sink_free(struct sink *s);

struct sink_counters {
	uint64_t written, lost_ring, lost_write;
	bool failing; /* the log can't be written (disk full, no reader): strict audit denies */
};
extern const struct metrics sink_metrics;
void sink_count(const struct sink *s, struct sink_counters *out);
