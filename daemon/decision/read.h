/* read: a record back from its line, as record.c writes it (tiergate-records(5)). */
#pragma once
#include "base/decision.h"

/* False where the line, with or without its newline, is no record of ours: cut, of another program,
 * or with a word that this version does not know. Who reads a log skips and counts it; *out is then
 * undefined. What a record does not say is as a new decision has it. A user name that was written
 * as a pseudonym stays that. Allocates: not for the packet path. */
bool record_read(const char *line, size_t len, struct decision *out)
	__attribute__((warn_unused_result));
