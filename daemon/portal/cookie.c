#include "portal/cookie.h"

#include "base/clock.h"
#include "base/memstream.h"
#include "state/store.h"

#include <errno.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define WAYS    16
#define BUCKETS (COOKIES_MAX / WAYS)
#define KIND    "cookies"
#define VERSION 2

/* As it is kept on disk, too: the file is read by the program that wrote it. */
struct slot {
	uint8_t hash[SHA256_DIGEST_SIZE];
	struct cookie cookie; /* until 0: free */
};

struct cookies {
	pthread_mutex_t lock;
	bool changed;
	uint8_t key[32];
	struct slot slots[COOKIES_MAX]; /* a hash has WAYS places, by its first bytes */
};

static void random_bytes(void *to, size_t len)
{
	if (getrandom(to, len, 0) != (ssize_t)len)
		abort(); /* at most 256 bytes are never cut */
}

/* ---- tokens ---- */

struct token token_new(void)
{
	struct token t;
	random_bytes(t.bytes, sizeof t.bytes);
	return t;
}

static void hex(const uint8_t bytes[TOKEN_BYTES], char out[static TOKEN_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < TOKEN_BYTES; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * TOKEN_BYTES] = '\0';
}

void token_format(const struct token *t, char out[static TOKEN_TEXT])
{
	hex(t->bytes, out);
}

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool token_parse(struct cursor c, struct token *out)
{
	if (cursor_left(&c) != 2 * TOKEN_BYTES)
		return false;
	for (size_t i = 0; i < TOKEN_BYTES; i++) {
		int high = digit(cursor_u8(&c)), low = digit(cursor_u8(&c));
		if (high < 0 || low < 0)
			return false;
		out->bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

enum parse cookie_parse(const void *header, size_t len, struct token *out)
{
	static const char name[] = COOKIE_NAME "=";
	struct cursor c = cursor_of(header, len);
	enum parse found = PARSE_ABSENT;
	while (cursor_left(&c)) {
		while (cursor_peek(&c) == ' ')
			cursor_skip(&c, 1);
		const uint8_t *end = memchr(c.pos, ';', cursor_left(&c));
		struct cursor pair = cursor_sub(&c, end ? (size_t)(end - c.pos) : cursor_left(&c));
		cursor_skip(&c, end ? 1 : 0);
		if (cursor_left(&pair) < sizeof name - 1 ||
		    memcmp(pair.pos, name, sizeof name - 1) != 0)
			continue;
		cursor_skip(&pair, sizeof name - 1);
		if (found != PARSE_ABSENT || !token_parse(pair, out))
			return PARSE_BAD;
		found = PARSE_OK;
	}
	return found;
}

/* ---- the table ---- */

static void hash_of(const struct token *t, uint8_t out[static SHA256_DIGEST_SIZE])
{
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	sha256_update(&ctx, sizeof t->bytes, t->bytes);
	sha256_digest(&ctx, SHA256_DIGEST_SIZE, out);
}

static struct slot *bucket_of(struct cookies *c, const uint8_t *hash)
{
	return &c->slots[(size_t)(hash[0] << 8 | hash[1]) % BUCKETS * WAYS];
}

static struct slot *find(struct cookies *c, const uint8_t *hash)
{
	struct slot *s = bucket_of(c, hash);
	for (size_t i = 0; i < WAYS; i++)
		if (s[i].cookie.until && memeql_sec(s[i].hash, hash, SHA256_DIGEST_SIZE))
			return &s[i];
	return NULL;
}

/* A free place, or that of the cookie that ends first. */
static struct slot *place_for(struct cookies *c, const uint8_t *hash)
{
	struct slot *s = find(c, hash), *first = bucket_of(c, hash);
	if (s)
		return s;
	s = first;
	for (size_t i = 1; i < WAYS; i++)
		if (first[i].cookie.until < s->cookie.until)
			s = &first[i];
	return s;
}

struct cookies *cookies_new(void)
{
	struct cookies *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	pthread_mutex_init(&c->lock, NULL);
	random_bytes(c->key, sizeof c->key);
	return c;
}

void cookies_free(struct cookies *c)
{
	if (!c)
		return;
	pthread_mutex_destroy(&c->lock);
	explicit_bzero(c->key, sizeof c->key);
	free(c);
}

void cookies_put(struct cookies *c, const struct token *t, const struct cookie *what, int64_t now)
{
	uint8_t hash[SHA256_DIGEST_SIZE];
	hash_of(t, hash);
	if (what->until <= now)
		return;
	pthread_mutex_lock(&c->lock);
	struct slot *s = place_for(c, hash);
	memcpy(s->hash, hash, sizeof hash);
	s->cookie = *what;
	c->changed = true;
	pthread_mutex_unlock(&c->lock);
}

bool cookies_find(struct cookies *c, const struct token *t, int64_t now, struct cookie *out)
{
	uint8_t hash[SHA256_DIGEST_SIZE];
	hash_of(t, hash);
	pthread_mutex_lock(&c->lock);
	struct slot *s = find(c, hash);
	bool good = s && s->cookie.until > now;
	if (good)
		*out = s->cookie;
	pthread_mutex_unlock(&c->lock);
	return good;
}

void cookies_drop(struct cookies *c, const struct token *t)
{
	uint8_t hash[SHA256_DIGEST_SIZE];
	hash_of(t, hash);
	pthread_mutex_lock(&c->lock);
	struct slot *s = find(c, hash);
	if (s) {
		memset(s, 0, sizeof *s);
		c->changed = true;
	}
	pthread_mutex_unlock(&c->lock);
}

/* ---- forms ---- */

void cookies_csrf(const struct cookies *c, const struct token *t, char out[static CSRF_TEXT])
{
	struct hmac_sha256_ctx ctx;
	uint8_t digest[TOKEN_BYTES];
	hmac_sha256_set_key(&ctx, sizeof c->key, c->key);
	hmac_sha256_update(&ctx, sizeof t->bytes, t->bytes);
	hmac_sha256_digest(&ctx, sizeof digest, digest);
	hex(digest, out);
}

bool cookies_csrf_good(const struct cookies *c, const struct token *t, const char *text)
{
	char want[CSRF_TEXT];
	cookies_csrf(c, t, want);
	return strlen(text) == sizeof want - 1 && memeql_sec(want, text, sizeof want - 1);
}

/* ---- what outlives the process ---- */

int cookies_save(struct cookies *c, struct store *s)
{
	char *bytes = NULL;
	size_t len = 0;
	struct clock_mark mark;
	pthread_mutex_lock(&c->lock);
	bool changed = c->changed;
	FILE *f = changed ? memstream_open(&bytes, &len) : NULL;
	clock_mark(&mark);
	if (f)
		fwrite(&mark, sizeof mark, 1, f);
	for (size_t i = 0; f && i < COOKIES_MAX; i++)
		if (c->slots[i].cookie.until)
			fwrite(&c->slots[i], sizeof c->slots[i], 1, f);
	if (f && fclose(f) == 0)
		c->changed = false;
	pthread_mutex_unlock(&c->lock);
	if (!changed)
		return 0;
	int e = bytes ? s->ops->save(s, KIND, VERSION, bytes, len) : -ENOMEM;
	free(bytes);
	return e;
}

void cookies_load(struct cookies *c, struct store *s, int64_t now)
{
	size_t len = 0;
	char *bytes = s->ops->load(s, KIND, VERSION, &len);
	struct cursor cursor = cursor_of(bytes, bytes ? len : 0);
	struct slot slot;
	struct clock_mark then, here;
	clock_mark(&here);
	cursor_copy(&cursor, &then, sizeof then);
	int64_t shift = cursor.bad ? 0 : clock_shift(&then, &here);
	while (cursor_left(&cursor) >= sizeof slot && cursor_copy(&cursor, &slot, sizeof slot)) {
		struct cookie *k = &slot.cookie;
		k->user[USER_MAX - 1] = k->tier[TIER_MAX - 1] = k->source[15] = '\0';
		k->until = clock_add(k->until, shift);
		if (k->until > now)
			*place_for(c, slot.hash) = slot;
	}
	free(bytes);
}
