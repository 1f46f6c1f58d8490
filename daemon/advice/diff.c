#include "advice/diff.h"

#include "advice/limits.h"
#include "base/array.h"
#include "policy/siteset.h"

#include <stdlib.h>
#include <string.h>

struct rows {
	struct diff_row *item;
	size_t count;
};

/* Values of a dimension for which what lies within is the same. */
struct group {
	struct rows rows;
	uint16_t *value;
	size_t count;
};

/* What becomes of a flow: not allowed any more, allowed now, or of the pairs of limits before and
 * after the one at change - LIMITS. */
enum { LOSES, GAINS, LIMITS };
#define SAME UINT32_MAX

struct limit_pair {
	const char *words[2];
};

struct diff {
	struct atoms *atoms;
	struct limits *limits;
	struct limit_pair *pairs;
	size_t pair_count;
	struct siteset *sets;        /* of classes: equal sets are one number */
	uint16_t *alike[DIMENSIONS]; /* for the tier at hand (atoms_alike); NULL: none are */
	struct rows rows;
};

static void add_row(struct rows *r, const struct diff_row *row)
{
	r->item = array_grow(r->item, &r->count, sizeof *r->item);
	r->item[r->count - 1] = *row;
}

static uint32_t set_of(struct diff *d, const uint16_t *classes, size_t count)
{
	uint32_t set = siteset_number(d->sets, classes, count);
	if (set == SITESET_NONE)
		must(NULL);
	return set;
}

static uint32_t pair_of(struct diff *d, const char *was, const char *is)
{
	size_t i = 0;
	while (i < d->pair_count && (d->pairs[i].words[0] != was || d->pairs[i].words[1] != is))
		i++;
	if (i == d->pair_count) {
		d->pairs = array_grow(d->pairs, &d->pair_count, sizeof *d->pairs);
		d->pairs[i] = (struct limit_pair){{was, is}};
	}
	return LIMITS + (uint32_t)i;
}

const char *diff_limits(const struct diff *d, int policy, const uint16_t at[DIMENSIONS])
{
	struct facts f;
	struct host host;
	int64_t now;
	atoms_flow(d->atoms, at, &f, &host, &now);
	return limits_of(d->limits, d->atoms->policy[policy]->snapshot, &f, now);
}

static uint32_t change_of(struct diff *d, const uint16_t at[DIMENSIONS])
{
	const char *was = diff_limits(d, 0, at), *is = diff_limits(d, 1, at);
	if (!was || !is)
		return was ? LOSES : is ? GAINS : SAME;
	return strcmp(was, is) == 0 ? SAME : pair_of(d, was, is);
}

/* The evidence for which a flow is decided otherwise: a row for each change. */
static void cover_evidence(struct diff *d, uint16_t at[DIMENSIONS], struct rows *out)
{
	bool named = at[BY_NAME] != NAMELESS;
	uint16_t first = named ? KNOWN_OUTER : KNOWN_ADDRESS, end = named ? KNOWN_COUNT : 1;
	uint32_t change[KNOWN_COUNT];
	for (uint16_t e = first; e < end; e++) {
		at[BY_EVIDENCE] = e;
		change[e] = change_of(d, at);
	}
	for (uint16_t e = first; e < end; e++) {
		uint16_t classes[KNOWN_COUNT];
		size_t count = 0;
		struct diff_row row = {.change = change[e]};
		for (uint16_t k = e; k < end && row.change != SAME; k++)
			if (change[k] == row.change) {
				classes[count++] = k;
				change[k] = SAME;
			}
		if (!count)
			continue;
		row.set[BY_EVIDENCE] = set_of(d, classes, count);
		add_row(out, &row);
	}
}

/* The number of the group of these rows. */
static size_t group_of(struct group **groups, size_t *count, const struct rows *rows)
{
	size_t i = 0;
	for (; i < *count; i++)
		if ((*groups)[i].rows.count == rows->count &&
		    memcmp((*groups)[i].rows.item, rows->item, rows->count * sizeof *rows->item) ==
			    0)
			return i;
	*groups = array_grow(*groups, count, sizeof **groups);
	for (size_t k = 0; k < rows->count; k++)
		add_row(&(*groups)[i].rows, &rows->item[k]);
	return i;
}

static void cover(struct diff *d, const enum dimension *order, uint16_t at[DIMENSIONS],
		  struct rows *out);

/* Puts groups into rows, whose set of this dimension their values are. */
static void put_groups(struct diff *d, enum dimension dim, struct group *groups, size_t count,
		       struct rows *out)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t set = set_of(d, groups[i].value, groups[i].count);
		for (size_t k = 0; k < groups[i].rows.count; k++) {
			groups[i].rows.item[k].set[dim] = set;
			add_row(out, &groups[i].rows.item[k]);
		}
		free(groups[i].rows.item);
		free(groups[i].value);
	}
	free(groups);
}

/* By names first or by addresses first: the way that takes fewer rows. */
static void cover_tier(struct diff *d, uint16_t at[DIMENSIONS], struct rows *out)
{
	static const enum dimension ways[2][DIMENSIONS - 1] = {
		{BY_NAME, BY_ADDRESS, BY_PORT, BY_TIME, BY_EVIDENCE},
		{BY_ADDRESS, BY_NAME, BY_PORT, BY_TIME, BY_EVIDENCE}};
	struct rows rows[2] = {{0}};
	for (int dim = BY_NAME; dim < BY_EVIDENCE; dim++)
		atoms_alike(d->atoms, dim, at[BY_TIER], d->alike[dim]);
	cover(d, ways[0], at, &rows[0]);
	if (rows[0].count > 1)
		cover(d, ways[1], at, &rows[1]);
	const struct rows *best = &rows[rows[1].count && rows[1].count < rows[0].count];
	for (size_t i = 0; i < best->count; i++)
		add_row(out, &best->item[i]);
	free(rows[0].item);
	free(rows[1].item);
}

static void add_value(struct group *g, size_t value)
{
	g->value = array_grow(g->value, &g->count, sizeof *g->value);
	g->value[g->count - 1] = (uint16_t)value;
}

/* Rows of what the values of a dimension and of those behind it differ in, the others being chosen:
 * values with the same rows within are one row's set. */
static void cover(struct diff *d, const enum dimension *order, uint16_t at[DIMENSIONS],
		  struct rows *out)
{
	enum dimension dim = order[0];
	const uint16_t *alike = d->alike[dim];
	struct group *groups = NULL;
	struct rows within = {0};
	size_t count = 0;
	if (dim == BY_EVIDENCE) {
		cover_evidence(d, at, out);
		return;
	}
	size_t *in =
		must(calloc(d->atoms->count[dim], sizeof *in)); /* group + 1; 0: no difference */
	for (size_t v = 0; v < d->atoms->count[dim]; v++) {
		if (alike && alike[v] != v) {
			in[v] = in[alike[v]];
		} else {
			at[dim] = (uint16_t)v;
			within.count = 0;
			dim == BY_TIER ? cover_tier(d, at, &within)
				       : cover(d, order + 1, at, &within);
			if (within.count)
				in[v] = group_of(&groups, &count, &within) + 1;
		}
		if (in[v])
			add_value(&groups[in[v] - 1], v);
	}
	put_groups(d, dim, groups, count, out);
	free(within.item);
	free(in);
}

struct diff *diff_new(const struct policy *old, const struct policy *new, int64_t now)
{
	uint16_t at[DIMENSIONS] = {0};
	struct diff *d = must(calloc(1, sizeof *d));
	d->atoms = atoms_new(old, new, now);
	d->sets = must(siteset_new());
	d->limits = limits_new();
	if (!d->atoms) {
		diff_free(d);
		return NULL;
	}
	for (int dim = BY_NAME; dim < BY_EVIDENCE; dim++)
		d->alike[dim] = must(calloc(d->atoms->count[dim], sizeof *d->alike[dim]));
	cover(d, &(enum dimension){BY_TIER}, at, &d->rows);
	return d;
}

void diff_free(struct diff *d)
{
	if (!d)
		return;
	for (int dim = 0; dim < DIMENSIONS; dim++)
		free(d->alike[dim]);
	atoms_free(d->atoms);
	siteset_free(d->sets);
	limits_free(d->limits);
	free(d->pairs);
	free(d->rows.item);
	free(d);
}

size_t diff_rows(const struct diff *d)
{
	return d->rows.count;
}

const struct atoms *diff_atoms(const struct diff *d)
{
	return d->atoms;
}

bool diff_row_gains(const struct diff *d, size_t row)
{
	return d->rows.item[row].change == GAINS;
}

bool diff_row_limits(const struct diff *d, size_t row)
{
	return d->rows.item[row].change >= LIMITS;
}

bool diff_row_has(const struct diff *d, size_t row, enum dimension dimension, uint16_t class)
{
	size_t count;
	const uint16_t *classes = siteset_sites(d->sets, d->rows.item[row].set[dimension], &count);
	for (size_t i = 0; i < count && classes[i] <= class; i++)
		if (classes[i] == class)
			return true;
	return false;
}

size_t diff_row_of(const struct diff *d, const uint16_t at[DIMENSIONS])
{
	for (size_t i = 0; i < d->rows.count; i++) {
		int dim = 0;
		while (dim < DIMENSIONS && diff_row_has(d, i, dim, at[dim]))
			dim++;
		if (dim == DIMENSIONS)
			return i;
	}
	return SIZE_MAX;
}
