/* address: one type for IPv4 and IPv6. IPv4 is kept as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2);
 * packet.c refuses packets that carry such addresses on the wire, so the two never meet. */
#pragma once
#include "base/buf.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct address {
	uint8_t bytes[16];
};

struct network {
	struct address base; /* host bits are zero */
	uint8_t bits;        /* of 128: an IPv4 /8 has 104 */
};

struct endpoint { /* port 0: none */
	struct address address;
	uint16_t port;
};

#define ADDRESS_TEXT 46 /* room for any address and its NUL */

static const uint8_t address_mapped[12] = {[10] = 0xff, [11] = 0xff};

static inline struct address address_from4(const uint8_t bytes[4])
{
	struct address a;
	memcpy(a.bytes, address_mapped, 12);
	memcpy(a.bytes + 12, bytes, 4);
	return a;
}

struct address address_from6(const uint8_t bytes[16]);
/* All zero where it is neither IPv4's nor IPv6's. */
struct sockaddr;
struct address address_from_socket(const struct sockaddr *a);

static inline bool address_is4(const struct address *a)
{
	return memcmp(a->bytes, address_mapped, sizeof address_mapped) == 0;
}

static inline bool address_equal(const struct address *a, const struct address *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

/* Text to address or network; false where the text is not exactly one. A network without /bits is
 * one address; host bits that are set make it false (the caller says so to the operator). */
bool address_parse(const char *text, struct address *out);
bool network_parse(const char *text, struct network *out);
bool endpoint_parse(const char *text, struct endpoint *out); /* "10.0.0.1:80", "[fd00::1]:80" */
/* No network of IPv6, not even ::/0, holds an IPv4 address. */
bool network_has(const struct network *n, const struct address *a);

/* Is the text (an address, a network, [address]:port) one of IPv4 in the form ::ffff:a.b.c.d?
 * Nothing takes that from a person: which of the two kinds of traffic it means is a guess. */
bool address_is_mapped(const char *text);

/* Writes the text form (RFC 5952) and returns `out`. */
const char *address_format(const struct address *a, char out[static ADDRESS_TEXT]);
void network_format(const struct network *n, struct buf *b);
void endpoint_format(const struct endpoint *e, struct buf *b);
