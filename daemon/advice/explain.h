/* explain: the question "why?" as JSON, answered from a policy: by the daemon, or by tiergatectl
 * alone where there is none. */
#pragma once
#include "base/buf.h"
#include "policy/load.h"
#include "policy/who.h"
#include <jansson.h>

/* Reads user, tier or address (one of them), to, port ("tcp/443"), evidence (default the strongest)
 * and at (now) from `question`, sets the answer's members in `answer`. from->sessions may be
 * NULL: then users are unknown. now and ahead as base/clock.h has them. False with a sentence in
 * `error`. Main thread (why_explain). */
bool explain(const struct who_from *from, const json_t *question, int64_t now, int64_t ahead,
	     json_t *answer, struct buf *error);

/* The same of a policy at hand, asked by tier or address; the answer has the smallest edit that
 * would flip it: edit (edit_words), and smallest where it is known to be that. */
bool explain_edit(const struct policy *p, const json_t *question, int64_t now, int64_t ahead,
		  json_t *answer, struct buf *error);

/* "2026-11-24T10:00:00Z", "2026-11-24 10:00" (the machine's zone) or "mon 10:00" (the next one). */
bool when_parse(const char *text, int64_t now, int64_t *out);
