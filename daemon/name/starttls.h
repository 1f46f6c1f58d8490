/* starttls: what a client says in clear before it asks for TLS on the same connection. */
#pragma once
#include "base/cursor.h"

/* Bytes of it: more is no prelude any more, however they come. */
#define STARTTLS_PRELUDE_MAX 4096

/* Moves *bytes past the whole requests that have come, up to the one that asks for TLS. Only what
 * the protocol needs on the way there counts (capabilities, greetings, names of programs), in which
 * nothing of the server's can be had; each request whole. PARSE_OK: TLS comes next. PARSE_MORE, and
 * no byte is left: the server has to answer first. PARSE_ABSENT: the client goes on without TLS. */
enum parse starttls_prelude(uint16_t port, struct cursor *bytes);
