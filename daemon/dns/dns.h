/* dns: one message with one question (RFC 1035, EDNS of RFC 6891, HTTPS and SVCB of RFC 9460, SRV
 * of RFC 2782, NAPTR of RFC 3403) and the addresses that it gives for the name that was asked,
 * along CNAME and DNAME (RFC 6672).
 *
 * Nothing is copied but names; a message's results are valid as long as its bytes. */
#pragma once
#include "dns/dns_name.h"
#include "base/decision.h"

#define DNS_A     1
#define DNS_CNAME 5
#define DNS_AAAA  28
#define DNS_SRV   33
#define DNS_NAPTR 35
#define DNS_DNAME 39
#define DNS_SVCB  64
#define DNS_HTTPS 65
#define DNS_ANY   255

#define DNS_TARGETS 8 /* names that a service's records lead to; more are not followed */

struct dns_message {
	uint16_t id;
	bool response, truncated;
	uint8_t rcode;
	uint16_t type;        /* of the question */
	struct host question; /* without the _service._proto of a service; len 0: no host name */
	bool damaged;         /* the answer section is malformed from some record on */

	/* the walk's own */
	struct cursor whole, records, next; /* the message, its records, and those that are left */
	uint16_t answers;                   /* good records */
	uint32_t beyond, left; /* records of the other sections that count; those not yet walked */
	struct dns_name asked; /* the question's name, then the name that the chain has reached */
	bool aliased;          /* the chain has left the question's name */
	unsigned targets;      /* of services: HTTPS, SVCB, SRV, NAPTR */
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
 * ANY was asked); of a service's answer ipv4hint and ipv6hint, and the addresses of the names that
 * its records lead to, in any section (RFC 9460 section 4.2, RFC 2782). PARSE_ABSENT at the end,
 * and for queries, errors and questions that are no host name; PARSE_BAD at the end of a damaged
 * answer (addresses given before stay good). */
enum parse dns_next(struct dns_message *m, struct dns_address *out);

/* The host (len 0: no host name) that a client may ask for next, to connect there under the asked
 * name: the target of a service's record, or its alias. i: below m->targets. */
void dns_target(const struct dns_message *m, unsigned i, struct host *out, uint32_t *ttl);

/* The end of the answer's CNAME or DNAME chain, where a client goes on by itself if the answer
 * gives nothing for it (RFC 1034 section 5.3.3, step 4c); false: there is no chain, or a damaged
 * one, as is known when dns_next has come to the end. */
bool dns_alias(const struct dns_message *m, struct host *out, uint32_t *ttl);

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
