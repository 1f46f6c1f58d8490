/* hits: what has been counted of a policy's lines and entries over processes and policies, as
 * policy/counted.h has it of one of each. The main thread's. */
#pragma once
#include "policy/counted.h"

struct hits {
	struct hit *item; /* without what `counted` has counted meanwhile */
	size_t count;
	int64_t since; /* ns of the wall clock: when the first of all was counted */
	/* where a process ended without a last word: its last save, and when the next one began */
	int64_t lost_from, lost_to;
	const struct counted *counted; /* that item[i] is of; NULL: loaded, and no policy's yet */
};

void hits_free(struct hits *h);

/* What its policy counted is added for good: its snapshot goes. */
void hits_fold(struct hits *h);

/* Goes on with another policy, or with the first: what it says like the one before keeps its count,
 * what is new begins now, what is gone is forgotten. Must be folded before. False where memory ran
 * out; nothing is changed then but that no policy is counted. */
bool hits_follow(struct hits *h, const struct counted *c, int64_t wall);

/* One of them, as of now. */
struct hit hits_at(const struct hits *h, size_t i);

/* Sorts by key, of those that are no policy's yet, so that hits_find finds. */
void hits_sort(struct hits *h);
const struct hit *hits_find(const struct hits *h, uint64_t key); /* or NULL */
