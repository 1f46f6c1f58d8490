/* cookie: who a browser is. A token of 128 random bits is known to the browser alone; here only its
 * hash is kept. Any thread. */
#pragma once
#include "base/cursor.h"
#include "base/decision.h"

#define COOKIE_NAME "__Host-tiergate" /* RFC 6265bis: Secure, Path=/, no Domain */
#define TOKEN_BYTES 16
#define TOKEN_TEXT  (2 * TOKEN_BYTES + 1)
#define COOKIES_MAX 65536 /* signed in at once; the one that ends first goes */
#define CSRF_TEXT   TOKEN_TEXT

struct token {
	uint8_t bytes[TOKEN_BYTES];
};

/* 128 bits of getrandom(2). */
struct token token_new(void);
void token_format(const struct token *t, char out[static TOKEN_TEXT]);

/* The token in a Cookie header (RFC 6265 section 4.2). PARSE_BAD: it is there and is none, or is
 * there twice. */
enum parse cookie_parse(const void *header, size_t len, struct token *out);

/* Who signed in with a cookie. */
struct cookie {
	char user[USER_MAX];
	char tier[TIER_MAX];
	char source[16];
	int64_t until;
	struct address at[2]; /* where: IPv4, IPv6; all zero: none */
};

struct cookies;
struct store;

struct cookies *cookies_new(void);
void cookies_free(struct cookies *c);

void cookies_put(struct cookies *c, const struct token *t, const struct cookie *what, int64_t now);
bool cookies_find(struct cookies *c, const struct token *t, int64_t now, struct cookie *out);
void cookies_drop(struct cookies *c, const struct token *t);

/* What stands in a form of the browser that has the token: HMAC under a key of this process. */
void cookies_csrf(const struct cookies *c, const struct token *t, char out[static CSRF_TEXT]);
bool cookies_csrf_good(const struct cookies *c, const struct token *t, const char *text);

/* Keeps the hashes in a store, where anything has changed since; 0 or -errno. */
int cookies_save(struct cookies *c, struct store *s);
void cookies_load(struct cookies *c, struct store *s, int64_t now);
