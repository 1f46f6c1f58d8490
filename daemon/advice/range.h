/* range: addresses from one to another, where networks begin and end. */
#pragma once
#include "base/address.h"

/* The first address behind a network; false where it is the last of all. */
bool range_behind(const struct network *n, struct address *out);

/* From first to what is before `behind` (NULL: to the last of all): "10.0.0.0/8" where that is one
 * network, "10.0.0.7" where it is one address, else "10.0.0.7-10.0.0.9". */
void range_format(const struct address *first, const struct address *behind, struct buf *b);
