/* try: the parts of tiergatectl try. */
#pragma once
#include "advice/try.h"

#include <jansson.h>

/* The changes that somebody has looked at and means: objects, a line each, as try --json prints
 * them, of which change, tier, user, site and host count; one that is left out stands for any. The
 * caller's; NULL after saying what is wrong. */
json_t *try_allowed_read(const char *path);
bool try_allowed_has(const json_t *allowed, const struct try_group *g);

/* A group's key as an object, the caller's. */
json_t *try_group_key(const struct try_group *g);

/* Whether a file is a capture. */
bool try_is_capture(const char *path);
/* Plays it by both configurations and pairs what these make of each flow; false where it can't be
 * read, which is said. */
bool try_capture(struct trial *t, const char *capture, const char *old, const char *new);
