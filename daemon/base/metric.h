/* metric: what a module counts, as a table of rows: whoever shows it walks them. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum metric_kind {
	METRIC_COUNTER, /* since the start; it never falls */
	METRIC_GAUGE,   /* now */
};

struct metric {
	const char *name; /* unique in its table */
	const char *help; /* one line, for tiergatectl(8) and whoever asks what it means */
	enum metric_kind kind;
	const char *unit;    /* "packets", "flows" */
	size_t offset, size; /* of the member of the module's counters: 1, 4 or 8 bytes */
};

/* A module's: its counters are one struct, of `size` bytes. */
struct metrics {
	const char *name; /* of what is counted, as in status */
	const struct metric *rows;
	size_t count, size;
};

/* A row of struct type's member, and one that is called otherwise. */
#define METRIC_AS(text, type, member, kind, unit, help)                                            \
	{                                                                                          \
		text, help, METRIC_##kind, unit, offsetof(struct type, member),                    \
			sizeof(((struct type *)0)->member)                                         \
	}
#define METRIC(type, member, kind, unit, help) METRIC_AS(#member, type, member, kind, unit, help)
#define METRICS(variable, text, type, table)                                                       \
	const struct metrics variable = {text, table, sizeof table / sizeof *table,                \
					 sizeof(struct type)}

static inline uint64_t metric_value(const struct metric *m, const void *counters)
{
	const char *at = (const char *)counters + m->offset;
	return m->size == 1   ? *(const uint8_t *)at
	       : m->size == 4 ? *(const uint32_t *)at
			      : *(const uint64_t *)at;
}
