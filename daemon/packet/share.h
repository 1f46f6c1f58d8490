/* share: how much of something bounded each host has, so that no host can take all of it.
 *
 * A host has as many addresses as it likes; what tells it is what it can't have many of, as far as
 * we can see. On a segment of ours that is the MAC address that the neighbour table has for an
 * address. Addresses of such a segment that nobody has confirmed yet share as one host. Behind a
 * router many hosts have one MAC address: there an IPv4 address is a host, and an IPv6 /64 (RFC
 * 7934: a host's own). Who that is for an address is identity/onlink.h's to say. */
#pragma once
#include "base/address.h"
#include <stdbool.h>
#include <stdint.h>

/* Whose a share is; one of the three is another's never. All zero is nobody's. */
struct host_key {
	uint64_t word[2];
};

struct host_key host_key_mac(const uint8_t mac[static 6]);
struct host_key host_key_unconfirmed(void);
/* Off our segments: the address, of IPv6 its /64. */
struct host_key host_key_address(const struct address *a);

/* Whether it is a MAC address's: then all addresses of the host have this key. */
bool host_key_is_mac(const struct host_key *k);

static inline bool host_key_equal(const struct host_key *a, const struct host_key *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1];
}

struct shares;

/* total things, per_host of one host; NULL where memory or the kernel's random numbers ran out.
 * Fixed size, no allocation once made. */
struct shares *shares_new(uint32_t total, uint32_t per_host);
void shares_free(struct shares *s);

/* One more for a host; false at a bound, its own or the total. What was taken is given back under
 * the same key. */
bool share_take(struct shares *s, const struct host_key *host) __attribute__((warn_unused_result));
void share_give(struct shares *s, const struct host_key *host);
