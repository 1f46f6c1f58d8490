/* dns: queries and answers (RFC 1035, 6891, 9460), over UDP and, by dns_stream, over TCP. */
#pragma once
#include "base/cursor.h"
#include "base/decision.h"

struct dns_message {
	uint16_t id;
	bool response, truncated;
	uint8_t rcode;
	uint16_t type;                /* of the question */
	struct host question;         /* len 0 where it is no host name */
	struct cursor whole, answers; /* private to dns_next */
	uint16_t answers_left;
	struct host owner; /* the name that the chain has reached: private to dns_next */
};

struct dns_address {
	struct address address;
	uint32_t ttl; /* seconds; the least along the CNAME chain */
	bool hint;    /* from an HTTPS or SVCB record */
};

/* One message with one question. PARSE_BAD: malformed (loops, bad counts, several questions). */
enum parse dns_message(struct cursor bytes, struct dns_message *out);

/* The next address that the answer gives for the question, along CNAME and DNAME. PARSE_ABSENT at
 * the end; PARSE_BAD where the rest is malformed (addresses given before stay good). */
enum parse dns_next(struct dns_message *m, struct dns_address *out);
