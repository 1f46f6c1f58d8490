/* record: a decision as one line of JSON, Elastic Common Schema names (design, section 6). */
#pragma once
#include "base/buf.h"
#include "base/decision.h"

#define RECORD_MAX 2048 /* no record is longer, newline included */

/* Appends the record and a newline. pseudonym: 32-byte key, or NULL to write user names as they are
 * (RFC 2104 HMAC-SHA-256, first 16 hex digits). */
void record_write(struct buf *out, const struct decision *d, const uint8_t *pseudonym);

/* The same as text for people (tiergatectl watch); colour adds terminal escapes. */
void record_write_text(struct buf *out, const struct decision *d, bool colour);
