/* span: times from one to another, the end not in it; sorted and apart from each other they are
 * looked up by halves. What they count (seconds since 1970, days) is whose they are to say. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
	int64_t from, to;
};

/* Sorts them and joins those that touch or overlap; returns how many are left. */
size_t spans_join(struct span *s, size_t count);

/* For spans that were joined: whether one holds a time, and the first begin or end after it
 * (INT64_MAX: none). */
bool spans_have(const struct span *s, size_t count, int64_t at);
int64_t spans_next(const struct span *s, size_t count, int64_t at);
