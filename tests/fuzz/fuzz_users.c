/* The input is a users file, line by line: what is taken for a user must be one. */
#include "identity/users.h"

#include <stdlib.h>
#include <string.h>

static void require(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *end = text + size;
	struct users_line u;
	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((stop ? stop : end) - text);
		if (users_parse(text, len, &u) == PARSE_OK) {
			require(user_name_valid(u.name) && !strchr(u.name, ':') &&
				tier_name_valid(u.tier));
			require(strlen(u.hash) < HASH_MAX && !strchr(u.hash, ':'));
			require(u.locked || u.hash[0] == '$');
			require(len ==
				strlen(u.name) + strlen(u.tier) + strlen(u.hash) + 2 + u.locked);
		}
		text += len + 1;
	}
	return 0;
}
