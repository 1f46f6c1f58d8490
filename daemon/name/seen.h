/* seen: which name a client was told for which address. Shared by all workers: one writer at a time
 * (a lock among writers only: DNS queue, dnstap), lock-free readers, fixed size, least recent goes.
 */
#pragma once
#include "base/decision.h"

struct seen;

/* entries: how many (client, address, name) are kept; grace: ns that an entry stays good after its
 * TTL. */
struct seen *seen_new(uint32_t entries, int64_t grace, bool any_client);
void seen_free(struct seen *s);

/* An answer that client got: host has address for ttl nanoseconds from now. With any_client the
 * client is not part of the key. */
void seen_add(struct seen *s, const struct address *client, const struct address *address,
	      const struct host *host, int64_t ttl, int64_t now);

/* Whether client was told that host has address, still good at now (TTL and grace). */
bool seen_agrees(struct seen *s, const struct address *client, const struct address *address,
		 const struct host *host, int64_t now);

/* The names that client was told for address, newest first; returns how many were written (<= max).
 */
size_t seen_names(struct seen *s, const struct address *client, const struct address *address,
		  int64_t now, struct host *out, size_t max);

/* A live flow keeps its entry good beyond TTL and grace. */
void seen_refresh(struct seen *s, const struct address *client, const struct address *address,
		  const struct host *host, int64_t now);

/* Every entry, for the state file: returns false at the end. Not for the packet path. */
struct seen_entry {
	struct address client, address;
	struct host host;
	int64_t good_until; /* TTL and grace included */
};
bool seen_each(struct seen *s, uint32_t *slot, struct seen_entry *out);
void seen_restore(struct seen *s, const struct seen_entry *e);

struct seen_counters {
	uint64_t entries, added, evicted;
};
void seen_count(const struct seen *s, struct seen_counters *out);
