/* encode: numbers and text into a growing stream, as base/cursor.h reads them. Within state/. */
#pragma once
#include "base/address.h"
#include "base/cursor.h"
#include "base/decision.h"
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static inline void put_u8(FILE *f, unsigned v)
{
	putc_unlocked((int)(v & 0xff), f);
}

static inline void put_u16(FILE *f, unsigned v)
{
	put_u8(f, v >> 8);
	put_u8(f, v);
}

static inline void put_u32(FILE *f, uint32_t v)
{
	put_u16(f, v >> 16);
	put_u16(f, v);
}

static inline void put_u64(FILE *f, uint64_t v)
{
	put_u32(f, (uint32_t)(v >> 32));
	put_u32(f, (uint32_t)v);
}

static inline void put_address(FILE *f, const struct address *a)
{
	fwrite(a->bytes, sizeof a->bytes, 1, f);
}

/* Text of at most 255 bytes (the longest field has 64), with its length before it. */
static inline void put_text(FILE *f, const char *text)
{
	size_t len = strlen(text);
	put_u8(f, (unsigned)len);
	fwrite(text, 1, len, f);
}

static inline void take_address(struct cursor *c, struct address *out)
{
	cursor_copy(c, out->bytes, sizeof out->bytes);
}

/* Text longer than fits makes the cursor bad. */
static inline void take_text(struct cursor *c, char *out, size_t size)
{
	size_t len = cursor_u8(c);
	if (len >= size) {
		cursor_skip(c, cursor_left(c) + 1);
		len = 0;
	}
	cursor_copy(c, out, len);
	out[c->bad ? 0 : len] = '\0';
}

static inline void put_host(FILE *f, const struct host *h)
{
	put_u8(f, h->len);
	fwrite(h->text, 1, h->len, f);
}

static inline void take_host(struct cursor *c, struct host *out)
{
	take_text(c, out->text, sizeof out->text);
	out->len = (uint8_t)strlen(out->text);
}

/* A blob in the making; blob_save gives it to a store and frees it. */
struct store;
struct blob {
	FILE *to;
	char *bytes;
	size_t len;
};
bool blob_open(struct blob *b);
/* The other way: what blob_save kept (to free; NULL: nothing good), as a cursor past its mark of
 * the clock, a bad one where what was kept can't be used. *shift is to be added to its times. */
char *blob_load(struct store *s, const char *kind, uint32_t version, struct cursor *c,
		int64_t *shift);
int blob_save(struct blob *b, struct store *s, const char *kind, uint32_t version);
