/* netset: networks to values; a longest-prefix-match trie, built once and then read by any thread.
 */
#pragma once
#include "base/address.h"
#include <stddef.h>
#include <stdint.h>

struct netset;

#define NETSET_NONE UINT32_MAX

struct netset *netset_new(void);
void netset_free(struct netset *s);

/* Adds a network with a value; false where memory ran out. Several values for one network are kept.
 */
bool netset_add(struct netset *s, const struct network *n, uint32_t value)
	__attribute__((warn_unused_result));

/* The value of the longest network that holds a (of several, the first added), or NETSET_NONE. No
 * network of IPv6, not even ::/0, holds an IPv4 address. */
uint32_t netset_find(const struct netset *s, const struct address *a);

/* Values of all networks that hold a, shortest prefix first; at most max are written, the number
 * that there are is returned. */
size_t netset_all(const struct netset *s, const struct address *a, uint32_t *values, size_t max);
