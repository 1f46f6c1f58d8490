/* The input is what a portal kept of its cookies, or of who guessed: checksum apart, it may be an
 * older program's. No token that nobody was given is somebody's, nobody waits longer than a guesser
 * waits at most; what was loaded is kept, and loads again, as it was. */
#include "base/clock.h"
#include "portal/cookie.h"
#include "portal/limit.h"
#include "state/store.h"

#include <stdlib.h>
#include <string.h>

struct memory {
	struct store store;
	char *bytes;
	size_t len;
};

static void require(bool holds)
{
	if (!holds)
		abort();
}

static char *load(struct store *s, const char *kind, uint32_t version, size_t *len)
{
	struct memory *m = (struct memory *)s;
	char *copy = malloc(m->len ? m->len : 1); /* of its size: a byte more is seen */
	require(copy);
	if (m->len)
		memcpy(copy, m->bytes, m->len);
	*len = m->len;
	return copy;
}

static int save(struct store *s, const char *kind, uint32_t version, const void *bytes, size_t len)
{
	struct memory *m = (struct memory *)s;
	free(m->bytes);
	m->bytes = malloc(len ? len : 1);
	require(m->bytes);
	memcpy(m->bytes, bytes, len);
	m->len = len;
	return 0;
}

static const struct store_ops ops = {.save = save, .load = load};

static void cookies(struct memory *m, int64_t now)
{
	struct cookies *c = cookies_new(), *again = cookies_new();
	struct token t = token_new(), own = token_new();
	struct cookie out, in = {.user = "ann", .tier = "staff", .until = now + NS_PER_S};
	require(c && again);
	cookies_load(c, &m->store, now);
	require(!cookies_find(c, &t, now, &out));
	cookies_put(c, &own, &in, now);
	require(cookies_find(c, &own, now, &out) && strcmp(out.user, "ann") == 0);
	require(cookies_save(c, &m->store) == 0);
	cookies_load(again, &m->store, now);
	size_t len = m->len;
	require(cookies_find(again, &own, now, &out) && !cookies_find(again, &t, now, &out));
	cookies_put(again, &own, &in, now);
	require(cookies_save(again, &m->store) == 0 && m->len == len);
	cookies_free(c);
	cookies_free(again);
}

static void guessers(struct memory *m, int64_t now)
{
	static const char *const from[] = {"10.0.0.1", "2001:db8::1"};
	struct limit *l = limit_new(), *again = limit_new();
	require(l && again);
	limit_load(l, &m->store);
	for (int i = 0; i < 40; i++) {
		struct address a;
		require(address_parse(from[i % 2], &a));
		int64_t wait = limit_begin(l, &a, i % 3 ? "ann" : "", now);
		require(wait >= 0 && wait <= LIMIT_LONGEST * NS_PER_S);
		now += NS_PER_S;
	}
	require(limit_save(l, &m->store) == 0);
	size_t len = m->len;
	limit_load(again, &m->store);
	struct address other;
	require(address_parse("10.0.0.1", &other));
	limit_void(again, &other, "", now);
	require(limit_save(again, &m->store) == 0 && m->len == len);
	limit_free(l);
	limit_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memory m = {{&ops}, NULL, 0};
	if (!size)
		return 0;
	save(&m.store, "", 0, data + 1, size - 1);
	if (data[0] & 1)
		guessers(&m, clock_now());
	else
		cookies(&m, clock_now());
	free(m.bytes);
	return 0;
}
