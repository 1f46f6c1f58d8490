/* hello: what the first bytes of a flow say of the host that it wants. One result for all
 * protocols. */
#pragma once
#include "base/cursor.h"
#include "base/decision.h"

enum hello_name {
	HELLO_NAME_ABSENT, /* a good hello without a name (or with an IP literal, or an empty one)
			    */
	HELLO_NAME_OK,
	HELLO_NAME_PART, /* on PARSE_MORE alone: some of its bytes are there */
	HELLO_NAME_BAD,  /* a name is there, and it is no host name: doubled, NUL, over-long, ... */
};

/* Filled where a parser answers PARSE_OK; else only protocol counts, server_next and
 * another_may_come. On PARSE_MORE name and host are what the bytes show already: HELLO_NAME_BAD
 * also for a part of a name. */
struct hello {
	enum protocol protocol;
	enum hello_name name;
	struct host host;
	bool ech;           /* an encrypted hello (ECH, ESNI) is offered: see below */
	uint8_t ech_config; /* the config_id that it names; 0 for ESNI */
	uint16_t version;   /* TLS: legacy version or the highest of supported_versions */
	uint8_t alpn_len;   /* first ALPN protocol, */
	char alpn[32];      /* cut at 31 bytes, NUL-terminated */
	bool server_next;   /* also on PARSE_MORE: the server has to answer before more can come */
	bool another_may_come; /* a later hello or request of this flow can name another host */
	bool early_data;       /* TLS 1.3: data may follow before the server has answered */
	size_t end; /* TLS over TCP, on PARSE_OK: bytes from the client's first to the hello's last
		     */
};

/* ech: browsers send a made-up ECH extension (GREASE, RFC 9849 section 6.2) on every connection, by
 * design not to be told from a real one. So host is the outer name *if* the client has the host's
 * ECH keys, which the HTTPS record's ech parameter tells and the hello does not. */

void hello_reset(struct hello *h);

/* No host: absent or bad. */
void hello_no_name(struct hello *h, enum hello_name why);

/* Sets name and host from the text of a name. */
void hello_name(const void *text, size_t len, struct hello *h);
