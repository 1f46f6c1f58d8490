/* dns: one message with one question (RFC 1035, EDNS of RFC 6891, HTTPS and SVCB of RFC 9460) and
 * the addresses that it gives for the name that was asked, along CNAME and DNAME (RFC 6672).
 *
 * Nothing is copied but names; a message's results are valid as long as its bytes. */
#pragma once
#include "base/cursor.h"
#include "base/decision.h"

#define DNS_A     1
#define DNS_CNAME 5
#define DNS_AAAA  28
#define DNS_DNAME 39
#define DNS_SVCB  64
#define DNS_HTTPS 65
#define DNS_ANY   255

#define DNS_TARGETS 8 /* names that an HTTPS or SVCB answer leads to; more are not followed */

/* A name in wire form, lower case, uncompressed, with the root's zero. */
struct dns_name {
	uint16_t at;  /* where the message has it; 0: nowhere as it is */
	uint32_t ttl; /* the least on the way to it */
	uint8_t len;
	uint8_t wire[255];
};

struct dns_message {
	uint16_t id;
	bool response, truncated;
	uint8_t rcode;
	uint16_t type;        /* of the question */
	struct host question; /* without _port._scheme of HTTPS and SVCB; len 0: no host name */
	bool damaged;         /* the answer section is malformed from some record on */

	/* the walk's own */
	struct cursor whole, records, next; /* the message, its records, and those that are left */
	uint16_t answers;                   /* good records */
	uint32_t beyond, left; /* records of the other sections that count; those not yet walked */
	struct dns_name asked; /* the question's name, then the name that the chain has reached */
	unsigned targets;      /* of HTTPS and SVCB */
	struct dns_name target[DNS_TARGETS];
	struct cursor hint4, hint6, configs; /* what is left of the last HTTPS or SVCB record */
	uint32_t record_ttl;
};

/* PARSE_OK: a query or answer of opcode QUERY and class IN with one question. PARSE_ABSENT: other
 * opcode or class, or no question. PARSE_BAD: malformed before the answers, or several questions
 * (RFC 9619). Answers are walked once here: chains are followed whatever their order. */
enum parse dns_message(struct cursor bytes, struct dns_message *out);

struct dns_address {
	struct address address;
	uint32_t ttl; /* seconds; the least along the chain */
	bool hint;    /* from an HTTPS or SVCB record */
};

/* The next address that the answer gives for the question: records of the asked type (all, where
 * ANY was asked); of an answer to HTTPS or SVCB ipv4hint and ipv6hint, and the addresses of the
 * names that its records lead to, in any section (RFC 9460 section 4.2). PARSE_ABSENT at the end,
 * and for queries, errors and questions that are no host name; PARSE_BAD at the end of a damaged
 * answer (addresses given before stay good). */
enum parse dns_next(struct dns_message *m, struct dns_address *out);

/* The host (len 0: no host name) that a client may ask for next, to connect there under the asked
 * name: the target of an HTTPS or SVCB record, or its alias. i: below m->targets. */
void dns_target(const struct dns_message *m, unsigned i, struct host *out, uint32_t *ttl);

/* One ECHConfig (RFC 9849 section 4) that the answer gives for the question. */
struct dns_ech {
	struct host public_name; /* what the outer hello will name */
	uint8_t config_id;       /* what its encrypted_client_hello extension will name */
	uint32_t ttl;
};

/* The next ECHConfig. It walks the same records as dns_next: use one to its end, dns_rewind, then
 * the other. PARSE_ABSENT at the end. */
enum parse dns_next_ech(struct dns_message *m, struct dns_ech *out);

void dns_rewind(struct dns_message *m);
