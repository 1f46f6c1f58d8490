/* edit: the smallest edit of a policy that flips what it says of a flow: which keys of which lines,
 * which entries of lists, or which lines to add. An edit is checked by applying it to a copy and
 * asking again. Main thread. */
#pragma once
#include "policy/decide.h"
#include "policy/load.h"
#include <jansson.h>

/* Each is one step: one key of one line, one entry of a list, one line. In the order in which they
 * are preferred. */
enum edit_kind {
	EDIT_EXPIRES_DROP,
	EDIT_WHEN_DROP,
	EDIT_PORT_ADD,
	EDIT_EVIDENCE_SET,
	EDIT_MISMATCH_SET,
	EDIT_EXCEPT_REMOVE, /* arg: which */
	EDIT_ENTRY_REMOVE,  /* a "!name"; at: the site; list and arg: which */
	EDIT_TIER_REMOVE,
	EDIT_TIER_ADD,
	EDIT_LINE_NEW, /* at: 1 a deny line, else 0; arg: the site, or EDIT_SITE */
	EDIT_SITE_ADD, /* arg: the site, or EDIT_SITE */
	EDIT_ENTRY_ADD,
	EDIT_LINE_DROP,
	EDIT_ENTRY_EXCEPT, /* adds a "!name" */
	EDIT_SITE_NEW,     /* a site of the destination alone: EDIT_SITE from then on */
};

#define EDIT_SITE SIZE_MAX
#define EDIT_MAX  6

struct edit {
	enum edit_kind kind;
	size_t at; /* the line: those of allow, then those of deny; or the site */
	size_t list, arg;
};

struct edits {
	struct edit item[EDIT_MAX];
	size_t count;
	bool smallest; /* none of fewer steps flips it; else too many to be tried */
};

/* False where none is found: no line decides of somebody without a tier. */
bool edit_find(const struct policy *p, const struct facts *f, int64_t now, struct edits *out);

/* Every step there is for a flow; the caller's. */
struct edit *edit_all(const struct policy *p, const struct facts *f, size_t *count);

/* Whether the policy with these steps, in the order of edit_all, loads, and decides the flow
 * otherwise. */
bool edit_flips(const struct policy *p, const struct facts *f, int64_t now, const struct edit *e,
		size_t count);

/* An object a step: where ("policy.conf:12", or "allow", "deny", "sites" for what is added there),
 * and what, in words. The caller's. */
json_t *edit_words(const struct policy *p, const struct facts *f, const struct edits *e);
