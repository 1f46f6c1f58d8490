/* http_next up to the next request: chunks and trailers between are passed over. */
#pragma once
#include "name/http.h"

static inline enum parse next_request(struct http_follow *f, struct cursor stream, uint64_t *used,
				      struct hello *out)
{
	*used = 0;
	for (;;) {
		uint64_t part, body;
		enum parse answer = http_next(f, stream, &part, &body, out);
		*used += part;
		if (answer != PARSE_OK || out->protocol != PROTOCOL_NONE)
			return answer;
		if (!cursor_skip(&stream, part))
			return PARSE_MORE;
	}
}
