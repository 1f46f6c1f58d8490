/* intern: host names kept once, counted, in 64-byte pieces of a fixed pool.
 *
 * One writer; any number of readers under a seqlock of the writer's (base/seqlock.h): they compare
 * and copy, and what they read counts only where the lock did not change. */
#pragma once
#include "base/decision.h"
#include "base/hash.h"
#include <stddef.h>
#include <stdint.h>

struct intern;

#define INTERN_NONE     0
#define INTERN_MIN      8 /* pieces: room for the longest name, whatever else */
#define INTERN_NAME_MAX 5 /* pieces of the longest name */

/* A name ready to be looked for. */
struct intern_key {
	uint64_t hash;
	uint32_t len, words;
	uint64_t text[32];
};

/* pieces: 64 bytes each, one for names up to 48 bytes. seed keys the hash, so that no sender of
 * names can make them collide. NULL where memory ran out. */
struct intern *intern_new(uint32_t pieces, const uint64_t seed[static 2]);
void intern_free(struct intern *in);
void intern_key(const struct intern *in, const struct host *host, struct intern_key *out);

/* Writer: one more use of the name, which is added where it is not there. INTERN_NONE: no room. */
uint32_t intern_get(struct intern *in, const struct intern_key *key);
void intern_hold(struct intern *in, uint32_t name); /* one more use of a name that is there */
void intern_put(struct intern *in, uint32_t name);

/* Readers. */
bool intern_is(const struct intern *in, uint32_t name, const struct intern_key *key);
void intern_copy(const struct intern *in, uint32_t name, struct host *out);
