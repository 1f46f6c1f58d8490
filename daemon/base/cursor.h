/* cursor: the only way to read untrusted bytes.
 *
 * A read past the end returns zero, sets `bad` and moves to the end, so that a loop over a cursor
 * always stops; one test of `bad` after a group of reads is enough. A child made by cursor_sub can
 * never pass its parent. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const uint8_t *pos, *end;
	bool bad;
};

/* What a parser answers. Absent, not yet whole and malformed are three different things. */
enum parse {
	PARSE_OK,     /* found, the result is filled */
	PARSE_MORE,   /* good so far, the bytes end too early */
	PARSE_ABSENT, /* well-formed or not this protocol: what was asked for is not there */
	PARSE_BAD,    /* this protocol, and malformed */
};

static inline struct cursor cursor_of(const void *bytes, size_t len)
{
	const uint8_t *start = bytes;
	return (struct cursor){start, start + len, false};
}

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->pos);
}

/* Returns the next n bytes and moves past them; NULL (and bad) where there are fewer. */
static inline const uint8_t *cursor_bytes(struct cursor *c, size_t n)
{
	if (n > cursor_left(c)) {
		c->bad = true;
		c->pos = c->end;
		return NULL;
	}
	const uint8_t *start = c->pos;
	c->pos += n;
	return start;
}

static inline bool cursor_skip(struct cursor *c, size_t n)
{
	return cursor_bytes(c, n) != NULL;
}

/* A child over the next n bytes; the parent moves past them. Bad parents have bad, empty children.
 */
static inline struct cursor cursor_sub(struct cursor *c, size_t n)
{
	const uint8_t *start = cursor_bytes(c, n);
	if (!start)
		return (struct cursor){c->end, c->end, true};
	return (struct cursor){start, start + n, false};
}

static inline uint8_t cursor_u8(struct cursor *c)
{
	const uint8_t *p = cursor_bytes(c, 1);
	return p ? p[0] : 0;
}

static inline uint16_t cursor_u16(struct cursor *c)
{
	const uint8_t *p = cursor_bytes(c, 2);
	return p ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

static inline uint32_t cursor_u24(struct cursor *c)
{
	const uint8_t *p = cursor_bytes(c, 3);
	return p ? (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2] : 0;
}

static inline uint32_t cursor_u32(struct cursor *c)
{
	const uint8_t *p = cursor_bytes(c, 4);
	return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}

static inline uint64_t cursor_u64(struct cursor *c)
{
	struct cursor eight = cursor_sub(c, 8);
	uint64_t high = cursor_u32(&eight);
	return high << 32 | cursor_u32(&eight);
}

/* The next byte without moving; zero at the end (which is not bad). */
static inline uint8_t cursor_peek(const struct cursor *c)
{
	return c->pos < c->end ? *c->pos : 0;
}

/* Copies n bytes to `to`; all zero where there are fewer. */
static inline bool cursor_copy(struct cursor *c, void *to, size_t n)
{
	const uint8_t *from = cursor_bytes(c, n);
	if (!from) {
		memset(to, 0, n);
		return false;
	}
	memcpy(to, from, n);
	return true;
}

/* The text up to the next separator, which is skipped, or the end, as a string in `to`. False where
 * it has not its size or holds a NUL; the cursor is then where it was. */
static inline bool cursor_field(struct cursor *c, char separator, char *to, size_t size)
{
	size_t len = 0;
	while (len < cursor_left(c) && c->pos[len] != (uint8_t)separator)
		len++;
	if (len >= size || memchr(c->pos, '\0', len))
		return false;
	cursor_copy(c, to, len);
	to[len] = '\0';
	cursor_skip(c, cursor_left(c) > 0);
	return true;
}
