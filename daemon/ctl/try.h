/* try: the parts of tiergatectl try. */
#pragma once
#include "advice/try.h"
#include "policy/load.h"

#include <jansson.h>

/* The changes that somebody has looked at and means: objects with its number for each "line", and
 * what it is "of", as try --json prints it, of which change, tier, user, site and host count; one
 * that is left out stands for any. The caller's; NULL after saying what is wrong. */
json_t *try_allowed_read(const char *path);
bool try_allowed_has(json_t *allowed, const struct try_group *g); /* and notes that it fits */
/* Says of each line that fitted no group which of its names neither policy, nor a users file, nor a
 * record has. */
void try_allowed_warn(const char *path, const json_t *allowed, const struct policy policy[2],
		      const struct people *p);

/* A group's key as an object, the caller's. */
json_t *try_group_key(const struct try_group *g);

/* Whether a file is a capture. */
bool try_is_capture(const char *path);
/* Plays it by both configurations and pairs what these make of each flow; false where it can't be
 * read, which is said. */
bool try_capture(struct trial *t, const char *capture, const char *old, const char *new);
