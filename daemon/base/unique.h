/* unique: records that many have in common, each kept once and counted, found by a keyed hash:
 * fixed capacity, no allocation once made. One thread's. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define UNIQUE_MAX 256 /* bytes of a record */

struct unique;

/* capacity: as many different records as are held at once, so that there is always room. size:
 * bytes of the longest, at most UNIQUE_MAX. NULL where memory or the kernel's random numbers ran
 * out. */
struct unique *unique_new(uint32_t capacity, size_t size);
void unique_free(struct unique *u);

/* One more use of a record of len bytes, which stays where it is until its last use is given back;
 * NULL where there is no room. */
const void *unique_get(struct unique *u, const void *record, size_t len);
void unique_put(struct unique *u, const void *record); /* NULL: nothing */

uint32_t unique_count(const struct unique *u);
