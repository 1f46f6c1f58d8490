/* seen: which name a client was told for which address. Shared by all workers: one writer at a time
 * (a lock among writers only: DNS copies, dnstap), lock-free readers, fixed size.
 *
 * An address of NAT64 means the IPv4 address that it stands for (dns/nat64.h).
 *
 * An answer is kept twice: as told to its client, whose flows without a name it names, and as told
 * to the network, whose names it confirms. For a client is an address here, and a host has several:
 * it asks over IPv4 and connects over IPv6. Where its MAC address is known (seen_hosts) an answer
 * is kept once more, as told to all its addresses.
 *
 * A full table drops what is no longer good, else the least recently used entry of a host that has
 * most of them: what was told to a host is its own share, so that none can make the gateway forget
 * the names of one that has less, however many addresses it has. Nothing else is bounded: a name
 * may have any number of addresses, an address any number of names. An entry takes about 300 bytes
 * of address space, of which a busy table touches 130 to 200 (names, hosts and pairs of client and
 * address are kept once). Times are kept to the millisecond, rounded up.
 */
#pragma once
#include "base/decision.h"
#include "base/metric.h"
#include "packet/share.h"
#include <stddef.h>

struct seen;

/* entries: how many are kept, at least 8; grace: ns that an entry stays good after its TTL;
 * any_client: clients are not told apart at all, and an answer is kept once. NULL where memory ran
 * out. */
struct seen *seen_new(uint32_t entries, int64_t grace, bool any_client);
void seen_free(struct seen *s);

/* Which host a client's address is: for the shares, and for what it was told at another address; at
 * first each IPv4 address and IPv6 /64. Called by any thread. Before the first is added. */
void seen_hosts(struct seen *s, struct host_key (*whose)(void *ctx, const struct address *client),
		void *ctx);
struct host_key seen_whose(const struct seen *s, const struct address *client);

/* What an answer tells of a host. */
struct seen_told {
	struct address address;
	int64_t ttl; /* ns from now */
};

/* An answer that client got: host has these addresses; or one. */
void seen_add_all(struct seen *s, const struct address *client, const struct host *host,
		  const struct seen_told *told, size_t count, int64_t now);
void seen_add(struct seen *s, const struct address *client, const struct address *address,
	      const struct host *host, int64_t ttl, int64_t now);

/* Whether any client was told that host has address, still good at now (TTL and grace): the
 * resolvers' word is the same whoever asked. client's own answers are looked at first. */
bool seen_agrees(struct seen *s, const struct address *client, const struct address *address,
		 const struct host *host, int64_t now);

/* The names that client was told for address, newest first, then those that its host was told (some
 * are the same); returns how many were written (<= max).
 * Looks at no more than the newest 1024, good or not. */
size_t seen_names(struct seen *s, const struct address *client, const struct address *address,
		  int64_t now, struct host *out, size_t max);

/* A live flow keeps its entry good beyond TTL and grace. Lock-free. */
void seen_refresh(struct seen *s, const struct address *client, const struct address *address,
		  const struct host *host, int64_t now);

/* client was told an ECHConfig: outer hellos for it will name public_name and config_id. Kept as
 * entries of addresses in 100::/64, where no host is (RFC 6666). */
void seen_add_ech(struct seen *s, const struct address *client, const struct host *public_name,
		  uint8_t config_id, int64_t ttl, int64_t now);

/* Whether a hello of client that names host may be the outer hello of an encrypted one: then this
 * client was told an ECHConfig with that public name, and with the config_id that the hello's ech
 * extension has. Otherwise the extension is GREASE (RFC 9849 section 6.2). What others were told
 * does not count: anybody's records may claim any public name, and every browser's GREASE would be
 * taken for encrypted then. */
bool seen_public_name(struct seen *s, const struct address *client, const struct host *host,
		      uint8_t config_id, int64_t now);

/* client was told that an HTTPS or SVCB record of origin leads to target: what target resolves to
 * is connected to under origin (RFC 9460). Kept as entries of addresses in 100:0:0:1::/64 (RFC
 * 9780), and not in the state file. seen_origins: the newest of them. */
void seen_add_target(struct seen *s, const struct address *client, const struct host *target,
		     const struct host *origin, int64_t ttl, int64_t now);
size_t seen_origins(struct seen *s, const struct address *client, const struct host *target,
		    int64_t now, struct host *out, size_t max);

/* For seen_service.c: a keyed hash of a host, and whether an address stands for a target. */
uint64_t seen_hash(const struct seen *s, const struct host *host);
/* Whether an address is one of our own, which stands for a name that services point to. */
static inline bool seen_is_target(const struct address *a)
{
	static const uint8_t prefix[8] = {[0] = 0x01, [7] = 1};
	return memcmp(a->bytes, prefix, sizeof prefix) == 0;
}

/* Every entry, for the state file: returns false at the end. *slot starts at 0. Restored in
 * ascending order of `order`, a table answers as before. Not for the packet path. */
struct seen_entry {
	struct address client, address;
	struct host host;
	int64_t good_until; /* TTL and grace included */
	uint64_t order;     /* of the last seen_add */
};
bool seen_each(struct seen *s, uint32_t *slot, struct seen_entry *out);
void seen_restore(struct seen *s, const struct seen_entry *e);

/* The address that a server's address means: of NAT64 the IPv4 address. Lock-free. */
struct address seen_meant(const struct seen *s, const struct address *address);

struct seen_counters {
	uint64_t entries, added, evicted;
};
extern const struct metrics seen_metrics;
void seen_count(const struct seen *s, struct seen_counters *out);
