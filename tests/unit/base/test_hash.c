#include "base/hash.h"
#include "unit.h"

#include <string.h>

/* Values of CPython's siphash13 (zero key), and of an implementation that agrees with it and with
 * the paper's vector of SipHash-2-4 (key 00 01 .. 0f). Bytes are 00 01 02 ... */
static void agrees_with_others(void **state)
{
	static const struct {
		size_t words;
		uint64_t zero, counted;
	} want[] = {{1, 0xead411e67ebe2eea, 0x369095118d299a8e},
		    {2, 0x8972188433a5c5b7, 0xcc4fdd1a7d908b66},
		    {5, 0x95bc321ab41d8206, 0xc1d2363299e41531}};
	const struct hash_key zero = {0}, counted = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};
	uint8_t bytes[40];
	uint64_t words[5];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)i;
	memcpy(words, bytes, sizeof words);
	for (size_t i = 0; i < 3; i++) {
		assert_true(hash_words13(&zero, words, want[i].words) == want[i].zero);
		assert_true(hash_words13(&counted, words, want[i].words) == want[i].counted);
	}
	assert_true(hash_words13(&counted, words, 0) == 0xabac0158050fc4dc);
}

/* A word, how many there are, the start and either half of the key: each changes the hash. */
static void all_of_it_counts(void **state)
{
	const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
	uint64_t words[5] = {1, 2, 3, 4, 5}, h = hash_words(key, words, 5, 0);
	for (size_t i = 0; i < 5 * 64; i++) {
		words[i / 64] ^= UINT64_C(1) << i % 64;
		assert_true(hash_words(key, words, 5, 0) != h);
		words[i / 64] ^= UINT64_C(1) << i % 64;
	}
	assert_true(hash_words(key, words, 4, 0) != h && hash_words(key, words, 5, 1) != h);
	assert_true(hash_words((uint64_t[]){key[0] ^ 1, key[1]}, words, 5, 0) != h);
	assert_true(hash_words((uint64_t[]){key[0], key[1] ^ 4}, words, 5, 0) != h);
	assert_true(hash_words(key, words, 5, 0) == h);
}

static void keys_differ(void **state)
{
	struct hash_key a = {0}, b = {0};
	assert_true(hash_key_random(&a) && hash_key_random(&b));
	assert_memory_not_equal(&a, &b, sizeof a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_others),
		cmocka_unit_test(all_of_it_counts),
		cmocka_unit_test(keys_differ),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
