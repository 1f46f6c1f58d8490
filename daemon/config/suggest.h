/* suggest: what a mistyped word is likely to mean. */
#pragma once
#include "base/buf.h"
#include <stddef.h>

/* The candidate that a mistyped word is likely to mean, or NULL. */
const char *nearest(const char *word, const char *const *candidates, size_t count);
/* "did you mean ..?" or what there is, for a word that is none of the candidates. */
void suggest(const char *word, const char *const *candidates, size_t count, const char *what,
	     struct buf *b);
