/* nat64: IPv6 addresses that stand for IPv4 ones (RFC 6052): under the well-known prefix, and under
 * those that the resolvers tell by the addresses of ipv4only.arpa (RFC 7050). One writer, readers
 * without a lock. All zero at first. */
#pragma once
#include "base/decision.h"
#include <stdatomic.h>

#define NAT64_PREFIXES 4 /* learned; a further one is not */

struct nat64 {
	_Atomic uint32_t count;
	struct network prefix[NAT64_PREFIXES];
};

/* Writer: host was told to have this address. */
void nat64_told(struct nat64 *n, const struct host *host, const struct address *address);

/* The IPv4 address that it stands for, or itself. */
struct address nat64_plain(const struct nat64 *n, const struct address *address);
