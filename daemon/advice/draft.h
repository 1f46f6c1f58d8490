/* draft: a copy of a configuration with an edit's steps, for the files of advice/edit alone. */
#pragma once
#include "advice/edit.h"

/* What steps a flow's edits are made of. */
struct edit_flow {
	const struct facts *f;
	struct site_entry entry;       /* the destination alone */
	enum config_evidence evidence; /* that its name fulfils */
	struct config_port port;
	bool has_port;
};

void edit_flow(const struct facts *f, struct edit_flow *out);

/* Only what may hold the flow's destination is left of each list (and one entry of each kind, so
 * that a site stays what it is): so small that it can be compiled a thousand times. Frees with
 * draft_small_free. */
struct config *draft_small(const struct config *c, const struct facts *f);
void draft_small_free(struct config *c);

/* Compiles a copy with the steps; NULL where it would not load. */
struct snapshot *draft_compile(const struct config *c, const struct edit_flow *flow,
			       const struct edit *e, size_t count);

const struct config_line *draft_line(const struct config *c, size_t line);
/* The host of an entry has this name, or is above it. */
bool entry_covers(const struct site_entry *e, const struct facts *f);
