/* http2: the :authority of an h2c connection's first request (RFC 9113), with prior knowledge or
 * after an upgrade. */
#pragma once
#include "name/hello.h"

/* The client's preface, its frames up to the first HEADERS, and that; *stream moves past it. A
 * client may wait for the server's SETTINGS first (out->server_next). PARSE_ABSENT: no preface.
 * Where Host is there too it must name the same (RFC 9113 8.3.1). CONNECT's name is bad, as in
 * http.h. */
enum parse http2_request(struct cursor *stream, struct hello *out);

/* The header of a frame after those; its payload has *len bytes. PARSE_BAD: it begins another
 * request. What its fields are hangs on all blocks before it (RFC 7541 2.3.2), which are not kept:
 * where every request matters, a connection has one. */
enum parse http2_frame(struct cursor *stream, uint64_t *len);
