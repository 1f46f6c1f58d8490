/* hello: what the first bytes of a flow say of the host that it wants. One result for all
 * protocols. */
#pragma once
#include "base/cursor.h"
#include "base/decision.h"

enum hello_name {
	HELLO_NAME_ABSENT, /* a good hello without a name (or with an IP literal, or an empty one)
			    */
	HELLO_NAME_OK,
	HELLO_NAME_BAD, /* a name is there, and it is no host name: doubled, NUL, over-long, ... */
};

struct hello {
	enum protocol protocol;
	enum hello_name name;
	struct host host;
	bool ech;              /* encrypted hello: host is only the outer name */
	uint16_t version;      /* TLS: legacy version or the highest of supported_versions */
	uint8_t alpn_len;      /* first ALPN protocol, */
	char alpn[32];         /* cut at 31 bytes, NUL-terminated */
	bool another_may_come; /* a later hello or request of this flow can name another host */
};

/* First bytes of a TCP connection, client's side. PARSE_ABSENT: another protocol, or one whose
 * client waits for the server; PARSE_MORE: could still become TLS or HTTP, or is not whole. */
enum parse hello_tcp(struct cursor bytes, struct hello *out);
