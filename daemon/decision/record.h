/* record: a decision as one line of JSON with the names of the Elastic Common Schema
 * (tiergate-records(5) documents each). */
#pragma once
#include "base/buf.h"
#include "base/decision.h"

#define RECORD_MAX 4096 /* no record is longer, newline included */

/* Appends the record and a newline. pseudonym: 32-byte key, or NULL to write user names as they are
 * (RFC 2104 HMAC-SHA-256, first 16 hex digits). */
void record_write(struct buf *out, const struct decision *d, const uint8_t *pseudonym);

/* The same as text for people, with a newline (tiergatectl watch); times are the machine's zone's,
 * so main thread only. colour adds terminal escapes; nothing from the network can. */
void record_write_text(struct buf *out, const struct decision *d, bool colour);
/* That without time and newline; any thread. */
void record_write_message(struct buf *out, const struct decision *d, bool colour);

/* The pseudonym of a user name under a 32-byte key. */
#define PSEUDONYM_KEY  32
#define PSEUDONYM_TEXT 17
void record_pseudonym(const uint8_t *key, const char *user, char out[static PSEUDONYM_TEXT]);

/* What event.action says: "allow", "deny", "end", "lost" or "act". */
const char *record_action(const struct decision *d);
