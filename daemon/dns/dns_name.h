/* dns_name: a name in a DNS message (RFC 1035 section 4.1.4). whole: the message, which its
 * pointers count from. */
#pragma once
#include "base/cursor.h"
#include "base/decision.h"

/* A name in wire form, lower case, uncompressed, with the root's zero. */
struct dns_name {
	uint16_t at;  /* where the message has it; 0: nowhere as it is */
	uint32_t ttl; /* the least on the way to it */
	uint8_t len;
	uint8_t wire[255];
};

/* Reads the name at c and moves past it; false where it is malformed. */
bool dns_name_read(const struct cursor *whole, struct cursor *c, struct dns_name *out);

/* Moves past a name without looking where its pointer leads. */
bool dns_name_skip(struct cursor *c);

/* Whether this name stands there: PARSE_OK, PARSE_ABSENT, or PARSE_BAD where what stands there is
 * malformed. */
enum parse dns_name_is(const struct cursor *whole, struct cursor at, const struct dns_name *name);

/* The host name from byte `from` on. len 0: the name is the root, has other bytes than host names
 * have, or ends in a number as an address does. */
void dns_name_host(const struct dns_name *n, size_t from, struct host *out);

/* Where the host's name begins: of _8443._https.www.example.com behind the two labels (RFC 9460
 * section 2.3, RFC 2782), else 0. */
size_t dns_name_service(const struct dns_name *n);
