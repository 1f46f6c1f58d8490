/* flow: a table of flows by key: fixed size, no allocation once made. What its owner keeps of a
 * flow begins with a struct flow_entry. Of a full table the least recently used goes: of the
 * newcomer's host where that has an eighth of the table, else of another host that has more, else
 * of all: no host can make others' flows forgotten. */
#pragma once
#include "base/address.h"
#include "packet/share.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Always from the client's side: client is who sent the first packet. */
struct flow_key {
	struct address client, server;
	uint16_t client_port, server_port;
	uint8_t transport;
};

struct flow_entry {
	struct flow_key key;
	bool used;
	uint32_t next; /* the table's own */
};

struct flow_owner {
	size_t size; /* bytes that are kept of a flow, struct flow_entry first */
	/* Whether a flow must not go for another one; NULL: none must stay. */
	bool (*stays)(const void *flow);
	/* A flow goes for another one, and is still whole; or NULL. */
	void (*evicted)(void *ctx, void *flow);
	void *ctx;
};

struct flow_table;

/* capacity flows, all memory taken now; NULL where it ran out. */
struct flow_table *flow_table_new(uint32_t capacity, const struct flow_owner *owner);
void flow_table_free(struct flow_table *t);

/* The flow of a key, most recently used from now on; NULL where there is none. */
void *flow_find(struct flow_table *t, const struct flow_key *key);

/* Whether it is there; its use is not noted. */
bool flow_known(const struct flow_table *t, const struct flow_key *key);

/* What a look-up will touch comes into the cache meanwhile: for packets that are looked up one
 * after another, each step for all of them before the next one. flow_fetch: false where no flow is
 * there. Hints, no more: the table may change in between. */
uint64_t flow_hash(const struct flow_table *t, const struct flow_key *key);
void flow_fetch_chain(const struct flow_table *t, uint64_t hash);
bool flow_fetch(const struct flow_table *t, uint64_t hash);
void flow_fetch_neighbours(const struct flow_table *t, uint64_t hash);

/* A new flow of a host, for a key that is not in the table: zero behind its entry. NULL only where
 * the table is full and every flow stays. */
void *flow_add(struct flow_table *t, const struct flow_key *key, const struct host_key *host);

void flow_remove(struct flow_table *t, void *flow);

/* Walks the table in slot order, for deciding again in portions: the first used flow at or after
 * *slot, which moves past it; NULL at the end. Removing the returned flow is allowed. */
void *flow_each(struct flow_table *t, uint32_t *slot);

/* The least recently used flow, NULL where the table is empty (for idle sweeps). */
void *flow_oldest(struct flow_table *t);

/* The slot of a flow, below the capacity and its own until it is removed. */
uint32_t flow_slot(const struct flow_table *t, const void *flow);

uint32_t flow_count(const struct flow_table *t);
uint32_t flow_capacity(const struct flow_table *t);
