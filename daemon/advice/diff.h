/* diff: what two policies decide otherwise, exactly: rows that together are all flows which one
 * allows and the other denies, or which both allow under other quotas, and no other. No flow is in
 * two rows. */
#pragma once
#include "advice/atoms.h"

#include <jansson.h>

/* All flows whose classes are in each of the sets. */
struct diff_row {
	uint32_t change; /* what becomes of them: one number for all that is the same */
	uint32_t set[DIMENSIONS];
};

struct diff;

/* As atoms_new; NULL where there are too many classes. */
struct diff *diff_new(const struct policy *old, const struct policy *new, int64_t now);
void diff_free(struct diff *d);

size_t diff_rows(const struct diff *d);
/* The row that holds a flow of these classes, or SIZE_MAX. */
size_t diff_row_of(const struct diff *d, const uint16_t at[DIMENSIONS]);
const struct atoms *diff_atoms(const struct diff *d);
bool diff_row_has(const struct diff *d, size_t row, enum dimension dimension, uint16_t class);
/* Allowed now, else no longer, or still but limited otherwise. */
bool diff_row_gains(const struct diff *d, size_t row);
bool diff_row_limits(const struct diff *d, size_t row);
/* What limits a flow of classes by the old policy (0) or the new one, as limits_of. */
const char *diff_limits(const struct diff *d, int policy, const uint16_t at[DIMENSIONS]);

/* A row in words, each as a policy has them (tiergatectl(8) lists the members). The caller's. */
json_t *diff_row_words(const struct diff *d, size_t row);

/* What else differs of what a policy decides by: who is where without signing in, limits of tiers,
 * settings. An array, empty where nothing does; the caller's. */
json_t *diff_others(const struct policy *old, const struct policy *new);
