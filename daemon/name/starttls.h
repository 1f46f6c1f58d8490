/* starttls: what a client says in clear before it asks for TLS on the same connection. */
#pragma once
#include "base/cursor.h"

/* The TCP ports whose clients may ask for TLS in clear first: FTP 21; LMTP 24; SMTP 25, 587, 2525;
 * POP3 110; NNTP 119; IMAP 143; LDAP 389; MySQL 3306; ManageSieve 4190; XMPP 5222, 5269; PostgreSQL
 * 5432; IRC 6667. The server has to answer them before the hello comes, so its first payload
 * answers no hello. The kernel's rules know them, too (iptables: at most 15 in one rule). */
extern const uint16_t starttls_ports[];
extern const size_t starttls_port_count;
bool starttls_at(uint16_t port);

/* Bytes of it: more is no prelude any more, however they come. */
#define STARTTLS_PRELUDE_MAX 4096

/* Moves *bytes past the whole requests that have come, up to the one that asks for TLS. Only what
 * the protocol needs on the way there counts (capabilities, greetings, names of programs), in which
 * nothing of the server's can be had; each request whole. PARSE_OK: TLS comes next. PARSE_MORE, and
 * no byte is left: the server has to answer first. PARSE_ABSENT: the client goes on without TLS. */
enum parse starttls_prelude(uint16_t port, struct cursor *bytes);
