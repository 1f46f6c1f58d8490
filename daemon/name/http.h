/* http: the Host of an HTTP/1.0, /1.1 request (RFC 9112), and h2c's :authority (RFC 9113). */
#pragma once
#include "name/hello.h"

/* First bytes of a connection. PARSE_ABSENT: not HTTP. out->another_may_come is set for HTTP/1.1.
 */
enum parse http_request(struct cursor stream, struct hello *out);
