/* first: the first bytes of a TCP connection, client's side, in whatever protocol. */
#pragma once
#include "name/hello.h"

/* A proxy's header is passed over. PARSE_ABSENT: another protocol, one whose client waits for the
 * server, or a request to a proxy (SOCKS), whose address is all there is; PARSE_MORE: could still
 * become TLS or HTTP, or is not whole. */
enum parse first_hello(struct cursor bytes, struct hello *out);

/* The same for a port of starttls.h: passes over what its client says in clear. PARSE_ABSENT: the
 * client goes on without TLS, and may ask for it yet (out->another_may_come). */
enum parse first_starttls(uint16_t port, struct cursor bytes, struct hello *out);
