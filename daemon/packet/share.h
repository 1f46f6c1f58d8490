/* share: how much of something bounded each client has, so that no client can take all of it. An
 * IPv6 host has as many addresses as it likes, all of one /64; and yet a /64 is a whole network of
 * hosts. So each address has the bound of a client, and a /64 together at most half of all. Fixed
 * size, no allocation once made. */
#pragma once
#include "base/address.h"
#include <stdbool.h>
#include <stdint.h>

struct shares;

/* total things, per_client of one address; NULL where memory ran out. */
struct shares *shares_new(uint32_t total, uint32_t per_client);
void shares_free(struct shares *s);

/* One more for a client; false at a bound: its own, its network's or the total. */
bool share_take(struct shares *s, const struct address *client) __attribute__((warn_unused_result));
void share_give(struct shares *s, const struct address *client);
