/* diff_when: the times of a row of a diff in words. Not for other folders. */
#pragma once
#include "advice/diff.h"

/* "until 2027-06-30", "mon-fri 08:00-18:00 (Europe/Sofia)"; nothing where it is always. */
void diff_when(const struct diff *d, size_t row, struct buf *b);
