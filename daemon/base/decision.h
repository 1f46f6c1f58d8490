/* decision: the words that all layers share: facts of a flow, evidence for its name, outcome and
 * reason. Both lists are closed; the man page and the record schema are tested against them. */
#pragma once
#include "base/address.h"
#include <stdbool.h>
#include <stdint.h>

/* A canonical host name: lower case, no trailing dot, A-labels as they are, NUL-terminated. */
#define HOST_MAX 253
struct host {
	uint8_t len; /* 0: none */
	char text[HOST_MAX + 1];
};

#define USER_MAX 64
/* Who somebody is, as any source of identity may say it: 1 to 63 bytes of UTF-8, so that
 * DOMAIN\user, user@realm and host/machine.domain are names. No control character, nothing that
 * turns a line of text around or breaks it, no space at an end, and no '-' first (an option). */
bool user_name_valid(const char *name);
/* Whether two names may be one person's: directories and RADIUS servers mostly do not tell Anna
 * from anna, and hand on what was typed. Latin, Greek and Cyrillic letters; for what shuts alone,
 * as a users file tells them apart. No allocation. */
bool user_name_same(const char *a, const char *b);
/* Into USER_MAX bytes: one spelling of all names that are the same so; zeros behind it. */
void user_name_fold(const char *name, char *out);
#define TIER_MAX 32
#define SITE_MAX 48
#define RULE_MAX 128 /* "policy.conf:12" */

/* How the name of a flow is known, from weak to strong. */
#define EVIDENCE_LIST(X)                                                                           \
	X(NONE, "none", "nothing is known of the destination yet")                                 \
	X(ADDRESS, "address", "the address alone")                                                 \
	X(ECH_OUTER, "ech-outer", "the outer name of an encrypted hello")                          \
	X(DNS, "dns", "a DNS answer that this client got for the address")                         \
	X(HOST, "host", "the Host of an HTTP request")                                             \
	X(SNI, "sni", "the server name of a TLS or QUIC hello")                                    \
	X(HOST_DNS, "host+dns", "the Host, and DNS resolved it to this address")                   \
	X(SNI_DNS, "sni+dns", "the server name, and DNS resolved it to this address")

enum evidence {
#define X(id, text, what) EVIDENCE_##id,
	EVIDENCE_LIST(X)
#undef X
		EVIDENCE_COUNT
};

enum action {
	ACTION_DENY,
	ACTION_ALLOW,
	ACTION_WAIT, /* a name that may still come could change the answer */
};

/* Why. The first group goes with allow, the second with deny. */
#define REASON_LIST(X)                                                                             \
	X(ALLOW_LINE, "allow-line", "an allow line of the policy matches")                         \
	X(INTERNAL, "internal", "the destination is internal")                                     \
	X(OBSERVE, "observe", "observe mode denies nothing")                                       \
	X(NO_LINE, "no-line", "no allow line matches")                                             \
	X(DENY_LINE, "deny-line", "a deny line of the policy matches")                             \
	X(NO_TIER, "no-tier", "nobody is signed in at this address and no segment covers it")      \
	X(NO_NAME, "no-name", "the flow carries no name and the policy wants one")                 \
	X(WEAK_EVIDENCE, "weak-evidence", "the name is known, but not well enough for the line")   \
	X(NAME_ADDRESS_MISMATCH, "name-address-mismatch",                                          \
	  "this network did not resolve the name to that address")                                 \
	X(NAME_FORGOTTEN, "name-forgotten", "met mid-stream, and its name is not remembered")      \
	X(NAME_BAD, "name-bad", "the name is not a host name")                                     \
	X(HELLO_MALFORMED, "hello-malformed", "the hello or request is malformed")                 \
	X(HELLO_UNFINISHED, "hello-unfinished", "the hello did not become whole in its bounds")    \
	X(HELLO_CHANGED, "hello-changed", "a second hello names another host")                     \
	X(SYN_AGAIN, "syn-again", "a SYN with another number came before the connection was over") \
	X(OVERLAP_CONFLICT, "overlap-conflict",                                                    \
	  "two segments claim different bytes for one place")                                      \
	X(QUIC_UNREADABLE, "quic-unreadable", "a QUIC Initial of an unknown version or key")       \
	X(PACKET_MALFORMED, "packet-malformed", "the packet's headers are malformed")              \
	X(FRAGMENT, "fragment", "a fragment that could not be joined")                             \
	X(UNTRACKED, "untracked", "the kernel does not track this flow")                           \
	X(TABLE_FULL, "table-full", "a table of fixed size is full")                               \
	X(HELD_FULL, "held-full", "too many packets of this client wait for a name")               \
	X(NO_RECORD, "no-record", "strict audit: the decision could not be recorded")              \
	X(LOCKDOWN, "lockdown", "an operator's lockdown lets only some sites through")             \
	X(QUOTA_SPENT, "quota-spent", "the quota of the line that would match is used up")

enum reason {
#define X(id, text, what) REASON_##id,
	REASON_LIST(X)
#undef X
		REASON_COUNT
};

/* The protocol that the first bytes speak. */
#define PROTOCOL_LIST(X)                                                                           \
	X(NONE, NULL)                                                                              \
	X(TLS, "tls")                                                                              \
	X(DTLS, "dtls")                                                                            \
	X(QUIC, "quic")                                                                            \
	X(HTTP, "http")                                                                            \
	X(DNS, "dns")

enum protocol {
#define X(id, text) PROTOCOL_##id,
	PROTOCOL_LIST(X)
#undef X
		PROTOCOL_COUNT
};

const char *evidence_text(enum evidence e);
const char *evidence_help(enum evidence e);
const char *reason_text(enum reason r);
const char *reason_help(enum reason r);
const char *protocol_text(enum protocol p); /* NULL where there is none */

struct host_key; /* packet/share.h */

/* What is known of a flow when the policy is asked. */
struct facts {
	struct address client, server;
	uint16_t port;           /* the server's, host byte order; 0 for protocols without */
	uint8_t transport;       /* IPPROTO_* */
	const char *tier;        /* NULL or "": none */
	uint32_t tier_number;    /* snapshot_tier_number's for it; 0: it is looked for */
	const char *user;        /* the same */
	const struct host *host; /* NULL: no name */
	enum evidence evidence;  /* of host; EVIDENCE_ADDRESS where host is NULL */
	bool mismatch;           /* the flow names a host that was not resolved to this address */
	bool waiting;            /* a (stronger) name may still come */
	bool stays;              /* the server is on the client's own segment */
	const struct host_key *whose; /* the client's host; NULL: told by its address */
};

#define RULE_NONE     UINT32_MAX
#define RULE_LOCKDOWN (UINT32_MAX - 1) /* no line of the policy: an operator's lockdown */
#define SITE_NONE     UINT32_MAX

struct outcome {
	enum action action : 8; /* ACTION_DENY is zero: what nobody decides is denied */
	enum reason reason : 8;
	/* of what is allowed: a deny line in observe mode matches. Else all of it is zero. */
	bool watched;
	uint32_t rule; /* index of the line in the snapshot, RULE_LOCKDOWN or RULE_NONE */
	uint32_t site; /* index of the site in the snapshot, or SITE_NONE */
	uint32_t watched_rule, watched_site;
};

/* One line of the decision log, self-contained: it may outlive the snapshot that made it. */
enum decision_kind {
	DECISION_DECIDED,
	DECISION_ENDED,
	DECISION_REPEATED,
	DECISION_LOST,
	DECISION_ACT, /* no decision: what an operator did; it has time, act, by, detail, and where
			 they are meant client, user, tier */
};

struct decision {
	int64_t time;
	enum decision_kind kind;
	enum action action;
	enum reason reason;
	bool observed; /* observe mode: action is allow, `would` says what enforce had done */
	enum reason would;
	bool would_deny;
	enum evidence evidence;
	enum protocol protocol;
	struct address client, server;
	uint16_t client_port, server_port;
	uint8_t transport;
	bool has_mac;
	bool stuck; /* held bytes of it went before it had a name, as no more came */
	uint8_t mac[6];
	union {
		struct host host;
		char by[USER_MAX]; /* ACT: whose process asked */
	};
	union {
		char rule[RULE_MAX];
		char detail[RULE_MAX]; /* ACT: in words */
	};
	char user[USER_MAX];
	char tier[TIER_MAX];
	union {
		char site[SITE_MAX];
		char act[SITE_MAX]; /* ACT: "login" */
	};
	char policy[17];         /* digest of the loaded policy, hex */
	uint64_t count;          /* REPEATED: repeats since the last record; LOST: records lost */
	uint64_t bytes, packets; /* ENDED, both directions, where known */
	int64_t duration;        /* ENDED, nanoseconds */
};
