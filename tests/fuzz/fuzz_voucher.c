/* The input is a vouchers file, line by line: what is taken for a voucher must be one, and written
 * again it is the same. */
#include "base/clock.h"
#include "identity/users.h"
#include "identity/vouchers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check(const struct voucher *v)
{
	char line[160], user[VOUCHER_USER];
	struct voucher again;
	require(strlen(v->hash) == 64 && strspn(v->hash, "0123456789abcdef") == 64);
	require(tier_name_valid(v->tier) && v->lasts > 0);
	voucher_user(v, user);
	require(user_name_valid(user));
	int n = snprintf(line, sizeof line, "%s:%s:%lld", v->hash, v->tier,
			 (long long)(v->lasts / NS_PER_S));
	require(voucher_parse(line, (size_t)n, &again) == PARSE_OK);
	require(memcmp(v, &again, sizeof again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *end = text + size;
	struct voucher v;
	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((stop ? stop : end) - text);
		if (voucher_parse(text, len, &v) == PARSE_OK)
			check(&v);
		text += len + 1;
	}
	return 0;
}
