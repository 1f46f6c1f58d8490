/* http: the Host of an HTTP/1.0, /1.1 request (RFC 9112), and h2c's :authority (RFC 9113).
 *
 * An absolute-form target and Host must say the same: some servers take one, some the other (RFC
 * 9112 3.2.2). A repeated or folded Host, userinfo, or a port that is no number: the name is bad.
 * No Host, an empty one, an IP literal: absent. A space before a colon, a bare CR, a NUL, a line
 * that folds into the request line, a target with a host and no version: malformed. What two
 * servers may read in two ways is never a name (tests/live/test_differential.py). */
#pragma once
#include "name/hello.h"

/* Where a connection is between two packets; zero at its start. */
struct http_follow {
	enum {
		HTTP_FIRST,
		HTTP_HEAD,
		HTTP_CHUNK,
		HTTP_CHUNK_END,
		HTTP_TRAILER,
		HTTP_FRAMES
	} at : 8;
	bool begun : 1;   /* a request was read */
	bool upgrade : 1; /* one offered to go on with another protocol, or CONNECT */
};

#define HTTP_HEAD_MAX 65536 /* bytes of request line and fields; a longer head is malformed */

/* First bytes of a connection. PARSE_ABSENT: not HTTP. out->another_may_come is always set. The
 * name of CONNECT is bad: to a proxy it says where the tunnel ends, and some servers take it for
 * any request. So the address decides, unless a name may be denied there. */
enum parse http_request(struct cursor stream, struct hello *out);

/* The next part of a connection, for every-request: stream begins where *consumed of the call
 * before (0 at first, a proxy's header included) ended. *consumed may lie past the stream's end:
 * the last *body of them are body and need not be shown. PARSE_OK: a request (out->protocol says
 * so), *consumed up to the end of its body or to its first chunk; or a chunk with its size, or a
 * line of a trailer. PARSE_MORE: *consumed are done with, more are needed (out->server_next: what
 * has come of it may go on, no request begins there). PARSE_ABSENT: no HTTP any more, after CONNECT
 * or an Upgrade. PARSE_BAD: malformed, a body that could be read in two ways, or a second request
 * of an h2c connection (see http2.h). */
enum parse http_next(struct http_follow *f, struct cursor stream, uint64_t *consumed,
		     uint64_t *body, struct hello *out);
