/* host: canonical host names (RFC 1123 section 2.1, RFC 5890): lower case, no trailing dot. */
#pragma once
#include "base/cursor.h"
#include "base/decision.h"
#include <stddef.h>

/* PARSE_OK: out is filled. PARSE_ABSENT: empty, or an IP literal, whose text form is left in out.
 * PARSE_BAD: not a host name (NUL, over 253 bytes, empty or over-long label, a last label that is a
 * number, a byte that is no letter, digit, '-' or '_'). There out->len is 0. */
enum parse host_canonical(const void *bytes, size_t len, struct host *out);

/* Numbers, decimal or 0x..., in the last label (lower case) make a name an IPv4 literal to most
 * resolvers and URL parsers, however it is written. */
bool host_label_is_number(const char *label, size_t len);

static inline bool host_equal(const struct host *a, const struct host *b)
{
	return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

/* The same of a name that a person wrote: one that is not ASCII by IDNA 2008 (RFC 5891); false for
 * what is none, and for what ends in a number (10.0.0 is a mistyped network). */
bool host_parse(const char *text, struct host *out);
