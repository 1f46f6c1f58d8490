/* json: writes one JSON object into a buf. (Reading JSON is jansson's work, on the control socket;
 * no name here is one of its own.)
 */
#pragma once
#include "base/buf.h"
#include <stdbool.h>
#include <stdint.h>

struct json {
	struct buf *buf;
	bool comma;
};

void json_open(struct json *j, struct buf *b); /* { */
void json_close(struct json *j);               /* } */

/* One member each; keys are our own literals and need no escape. Text that is not UTF-8 is written
 * with \u00XX for each byte that is not; a NULL value leaves the member out. */
void json_text(struct json *j, const char *key, const char *value);
void json_text_n(struct json *j, const char *key, const void *bytes, size_t len);
/* Text that needs no escape: our own words, addresses. */
void json_word(struct json *j, const char *key, const char *value);
void json_uint(struct json *j, const char *key, uint64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_time(struct json *j, const char *key, int64_t time);
