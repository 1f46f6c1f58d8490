/* proxy: the header that a load balancer, or a client in its place, puts before all else (the PROXY
 * protocol, versions 1 and 2). Servers that await it skip it and read what follows; others read it
 * as a request, or as nothing. So it is passed over only where it is exactly what the
 * specification says: no server takes that for a request. */
#pragma once
#include "base/cursor.h"

/* Moves *bytes, a connection's first, past the header. PARSE_ABSENT: there is none. PARSE_BAD: it
 * begins like one and is none (a request with the method PROXY is, too, as another would read it).
 * Checksums of version 2 are not compared: with a wrong one a server ends the connection, or reads
 * on as we do. */
enum parse proxy_header(struct cursor *bytes);
