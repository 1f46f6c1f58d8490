/* memstream: a stream into memory as open_memstream's, which tells where memory ran out. glibc's
 * own does not: what is cut there passes for the whole. */
#pragma once
#include <stdio.h>

/* NULL where memory ran out. fclose ends it: 0, and *text (the caller's, free) has *len bytes and a
 * zero behind them; or not 0, and *text is NULL. Both have to live until then. */
FILE *memstream_open(char **text, size_t *len);
