/* read: a record back from its line, as record.c writes it (tiergate-records(5)). */
#pragma once
#include "base/decision.h"
#include <stddef.h>

enum record_is {
	RECORD_GOOD,
	RECORD_STRANGE, /* an object, and no record of this version: of another, or of another
			   program */
	RECORD_DAMAGED, /* cut, or no object at all */
};

/* A line, with or without its newline. Who reads a log skips and counts what is not good; *out is
 * then undefined. What a record does not say is as a new decision has it. A user name that was
 * written as a pseudonym stays that. May allocate: not for the packet path. */
enum record_is record_read(const char *line, size_t len, struct decision *out)
	__attribute__((warn_unused_result));
