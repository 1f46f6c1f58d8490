/* dns_build: makes DNS messages for the tests. */
#pragma once
#include "dns/dns.h"

#include <stdlib.h>

/* A message under construction. */
struct build {
	uint8_t bytes[65535];
	size_t len;
};

static inline void u8(struct build *b, unsigned v)
{
	b->bytes[b->len++] = (uint8_t)v;
}

static inline void u16(struct build *b, unsigned v)
{
	u8(b, v >> 8);
	u8(b, v & 0xff);
}

static inline void u32(struct build *b, uint32_t v)
{
	u16(b, v >> 16);
	u16(b, v & 0xffff);
}

static inline void raw(struct build *b, const void *bytes, size_t len)
{
	memcpy(b->bytes + b->len, bytes, len);
	b->len += len;
}

/* "a.b" and the root; "a.b@12": a.b and a pointer to 12. */
static inline void name(struct build *b, const char *text)
{
	while (*text && *text != '@') {
		size_t n = strcspn(text, ".@");
		u8(b, (unsigned)n);
		raw(b, text, n);
		text += n + (text[n] == '.');
	}
	if (*text == '@')
		u16(b, 0xc000u | (unsigned)atoi(text + 1));
	else
		u8(b, 0);
}

static inline void head(struct build *b, unsigned flags, unsigned answers, const char *question,
			unsigned type)
{
	b->len = 0;
	u16(b, 0x1234);
	u16(b, flags);
	u16(b, 1);
	u16(b, answers);
	u16(b, 0);
	u16(b, 0);
	name(b, question);
	u16(b, type);
	u16(b, 1);
}

static inline size_t record_begin(struct build *b, const char *owner, unsigned type, uint32_t ttl)
{
	name(b, owner);
	u16(b, type);
	u16(b, 1);
	u32(b, ttl);
	u16(b, 0);
	return b->len;
}

static inline void record_end(struct build *b, size_t start)
{
	size_t len = b->len - start;
	b->bytes[start - 2] = (uint8_t)(len >> 8);
	b->bytes[start - 1] = (uint8_t)len;
}

static inline void alias(struct build *b, const char *owner, unsigned type, uint32_t ttl,
			 const char *target)
{
	size_t start = record_begin(b, owner, type, ttl);
	name(b, target);
	record_end(b, start);
}

static inline void a(struct build *b, const char *owner, uint32_t ttl, unsigned last)
{
	size_t start = record_begin(b, owner, DNS_A, ttl);
	u32(b, 0xc0000200u | last);
	record_end(b, start);
}

static inline void aaaa(struct build *b, const char *owner, uint32_t ttl, unsigned last)
{
	size_t start = record_begin(b, owner, DNS_AAAA, ttl);
	u32(b, 0x20010db8);
	u32(b, 0);
	u32(b, 0);
	u32(b, last);
	record_end(b, start);
}
