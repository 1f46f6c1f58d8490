/* radius: accounting packets as bytes (RFC 2866, 2869, 3162, 3579, 5997, 6911). Nothing here keeps
 * state, asks the time or sends anything. */
#pragma once
#include "base/address.h"
#include "base/cursor.h"

#define RADIUS_MAX       4096 /* bytes of a packet */
#define RADIUS_ADDRESSES 8    /* of a session, at most; further ones are counted only */
#define RADIUS_VALUES    4    /* of the attribute that says the tier */

enum radius_code {
	RADIUS_ACCOUNTING_REQUEST = 4,
	RADIUS_ACCOUNTING_RESPONSE = 5,
	RADIUS_STATUS_SERVER = 12,
};

enum radius_status {
	RADIUS_START = 1,
	RADIUS_STOP = 2,
	RADIUS_INTERIM = 3,
	RADIUS_ON = 7,
	RADIUS_OFF = 8,
};

struct radius_text { /* a view into the packet */
	const uint8_t *bytes;
	size_t len;
};

/* Which attribute says the tier: Class (25), Filter-Id (11) or another one of text; or, type 26,
 * one of a vendor's. */
struct radius_attribute {
	uint8_t type;
	uint32_t vendor;
	uint8_t vendor_type;
};
/* "Class", "Filter-Id" or "vendor:9:1"; false where the text is none. */
bool radius_attribute_parse(const char *text, struct radius_attribute *out);

struct radius_request {
	uint8_t code, id;
	const uint8_t *bytes; /* the packet without what stands behind its length */
	size_t len;
	const uint8_t *authenticator;         /* 16 bytes */
	const uint8_t *message_authenticator; /* 16 bytes, or NULL */
	uint32_t status;                      /* Acct-Status-Type; 0: none */
	struct radius_text user, session, nas_name;
	struct address nas4, nas6; /* zeros: not said, or one that tells nobody (0.0.0.0, 127/8) */
	uint8_t mac[6];            /* Calling-Station-Id, where it is a MAC address */
	bool has_mac;
	struct address address[RADIUS_ADDRESSES];
	unsigned addresses, left_out; /* of further ones */
	unsigned bad_attributes;      /* of a wrong form: they count as not there */
	bool prefix_alone; /* a prefix or delegated prefix that makes no address of a session */
	bool has_time, has_session_time;
	uint32_t time;           /* Event-Timestamp, seconds since the epoch */
	uint32_t session_time;   /* seconds */
	uint32_t delay, interim; /* seconds */
	struct radius_text value[RADIUS_VALUES];
	unsigned values;
};

/* Takes an Accounting-Request, or a Status-Server (RFC 5997), apart. PARSE_ABSENT: another code;
 * PARSE_BAD: malformed, as a packet: an attribute of a wrong form, but for those that prove who
 * sent it, is passed over and counted (RFC 6929 section 2.8). `tier` says whose values are wanted;
 * it may be NULL. */
enum parse radius_parse(const void *bytes, size_t len, const struct radius_attribute *tier,
			struct radius_request *out) __attribute__((warn_unused_result));

/* Whether it was made by who knows the secret: its Request Authenticator (RFC 2866 section 3) and,
 * where there is one, its Message-Authenticator (RFC 3579 section 3.2) must be right. A
 * Status-Server's Request Authenticator is random, and its Message-Authenticator must be there (RFC
 * 5997 section 3). In constant time. */
bool radius_genuine(const struct radius_request *r, const char *secret)
	__attribute__((warn_unused_result));

/* Writes the Accounting-Response, with Proxy-State as it came; its length, which is never more than
 * the request's. Always the same for the same request. It carries no Message-Authenticator: no RFC
 * says over what, FreeRADIUS expects its own way, and the Response Authenticator covers it all. */
size_t radius_answer(const struct radius_request *r, const char *secret,
		     uint8_t out[static RADIUS_MAX]);
