/* hash: keyed hashes of 64-bit words, for tables whose keys others choose: who does not know the
 * secret key can't choose what falls together. hash_words is for chains that nobody sees: a
 * multiplication a word. hash_words13 is SipHash (Aumasson and Bernstein, 2012), a sixth as fast,
 * for what stands in the place of bytes that are not there to be compared. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash_key {
	uint64_t k[2];
};

/* A secret of this process; false where the kernel gives none. */
bool hash_key_random(struct hash_key *out) __attribute__((warn_unused_result));

static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t)a * b;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* start: tells uses of one key apart. */
static inline uint64_t hash_words(const uint64_t key[static 2], const uint64_t *words, size_t n,
				  uint64_t start)
{
	uint64_t h = start ^ key[0];
	for (size_t i = 0; i < n; i++)
		h = hash_mix(words[i] ^ key[0], h ^ key[1]);
	return hash_mix(h, key[1] | 1);
}

static inline uint64_t hash_rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void hash_round(uint64_t v[static 4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = hash_rotate(v[1], 13) ^ v[0];
	v[3] = hash_rotate(v[3], 16) ^ v[2];
	v[0] = hash_rotate(v[0], 32) + v[3];
	v[2] += v[1];
	v[3] = hash_rotate(v[3], 21) ^ v[0];
	v[1] = hash_rotate(v[1], 17) ^ v[2];
	v[2] = hash_rotate(v[2], 32);
}

/* SipHash-1-3 of n words: of 8 n bytes, on a little-endian machine. */
static inline uint64_t hash_words13(const struct hash_key *key, const uint64_t *words, size_t n)
{
	uint64_t v[4] = {key->k[0] ^ 0x736f6d6570736575, key->k[1] ^ 0x646f72616e646f6d,
			 key->k[0] ^ 0x6c7967656e657261, key->k[1] ^ 0x7465646279746573};
	for (size_t i = 0; i <= n; i++) {
		uint64_t word = i < n ? words[i] : (uint64_t)n << 59; /* the length in bytes */
		v[3] ^= word;
		hash_round(v);
		v[0] ^= word;
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		hash_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
