/* http2: the :authority of an h2c connection's first request (RFC 9113), with prior knowledge or
 * after an upgrade. */
#pragma once
#include "name/hello.h"

/* The client's preface, its frames up to the first HEADERS, and that; *stream moves past it.
 * PARSE_ABSENT: no preface, or (out->protocol HTTP) CONNECT to a proxy. Where Host is there too it
 * must name the same (RFC 9113 8.3.1). */
enum parse http2_request(struct cursor *stream, struct hello *out);
