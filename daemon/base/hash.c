#include "base/hash.h"

#include <sys/random.h>

bool hash_key_random(struct hash_key *out)
{
	return getrandom(out->k, sizeof out->k, 0) == sizeof out->k;
}
