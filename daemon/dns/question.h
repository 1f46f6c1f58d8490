/* question: the DNS questions that wait for an answer, so that an answer to none counts for
 * nothing. Fixed size: a host has an eighth, of which its oldest goes; one call at a time. */
#pragma once
#include "base/address.h"
#include "dns/dns.h"
#include "packet/share.h"

/* Who asked whom, and over what. */
struct dns_peers {
	struct address client, resolver;
	uint16_t client_port;
	uint8_t transport; /* IPPROTO_* */
};

struct questions;

/* size is rounded up to a power of two; NULL where memory ran out. */
struct questions *questions_new(uint32_t size);
void questions_free(struct questions *q);

/* host: whose share it takes. */
void question_add(struct questions *q, const struct host_key *host, const struct dns_peers *peers,
		  const struct dns_message *m, int64_t now);

/* Whether m answers a question (same peers, id, type and name, of the last 30 s) that was not
 * answered before. */
bool question_take(struct questions *q, const struct dns_peers *peers, const struct dns_message *m,
		   int64_t now);
