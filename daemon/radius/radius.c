#include "radius/radius.h"

#include <nettle/hmac.h>
#include <nettle/md5.h>
#include <nettle/memops.h>
#include <stdlib.h>

enum {
	USER_NAME = 1,
	NAS_IP_ADDRESS = 4,
	FRAMED_IP_ADDRESS = 8,
	FILTER_ID = 11,
	CLASS = 25,
	VENDOR_SPECIFIC = 26,
	CALLING_STATION_ID = 31,
	NAS_IDENTIFIER = 32,
	PROXY_STATE = 33,
	ACCT_STATUS_TYPE = 40,
	ACCT_DELAY_TIME = 41,
	ACCT_SESSION_ID = 44,
	ACCT_SESSION_TIME = 46,
	EVENT_TIMESTAMP = 55,
	MESSAGE_AUTHENTICATOR = 80,
	ACCT_INTERIM_INTERVAL = 85,
	NAS_IPV6_ADDRESS = 95,
	FRAMED_INTERFACE_ID = 96,
	FRAMED_IPV6_PREFIX = 97,
	DELEGATED_IPV6_PREFIX = 123,
	FRAMED_IPV6_ADDRESS = 168,
};

#define HEAD 20 /* code, identifier, length, authenticator */

/* ---- which attribute says the tier ---- */

static bool take_number(const char **text, unsigned long max, unsigned long *out)
{
	char *end;
	if (**text < '0' || **text > '9')
		return false;
	*out = strtoul(*text, &end, 10);
	*text = end;
	return *out > 0 && *out <= max;
}

bool radius_attribute_parse(const char *text, struct radius_attribute *out)
{
	unsigned long vendor, type;
	if (strcmp(text, "Class") == 0 || strcmp(text, "Filter-Id") == 0) {
		*out = (struct radius_attribute){.type = *text == 'C' ? CLASS : FILTER_ID};
		return true;
	}
	if (strncmp(text, "vendor:", 7) != 0)
		return false;
	text += 7;
	if (!take_number(&text, 0xffffff, &vendor) || *text++ != ':' ||
	    !take_number(&text, 255, &type) || *text)
		return false;
	*out = (struct radius_attribute){VENDOR_SPECIFIC, (uint32_t)vendor, (uint8_t)type};
	return true;
}

/* ---- parsing ---- */

struct parsing {
	struct radius_request *r;
	const struct radius_attribute *tier;
	uint8_t interface[8], prefix[16];
	bool has_interface, has_prefix;
	bool unproven; /* two Message-Authenticators, or one of a wrong length */
};

static struct radius_text view(const struct cursor *value)
{
	return (struct radius_text){value->pos, cursor_left(value)};
}

/* What is never forwarded is nobody's address: link-local, loopback, multicast, unspecified. */
static bool is_forwarded(const struct address *a)
{
	static const uint8_t none[16];
	const uint8_t *b = a->bytes;
	if (address_is4(a))
		return b[12] != 0 && b[12] != 127 && b[12] < 224 && !(b[12] == 169 && b[13] == 254);
	return memcmp(b, none, 15) != 0 && b[0] != 0xff && !(b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
}

static void add_address(struct radius_request *r, struct address a)
{
	if (!is_forwarded(&a))
		return;
	for (unsigned i = 0; i < r->addresses; i++)
		if (address_equal(&r->address[i], &a))
			return;
	if (r->addresses < RADIUS_ADDRESSES)
		r->address[r->addresses++] = a;
	else
		r->left_out++;
}

static void add_value(struct parsing *p, struct radius_text value)
{
	if (value.len && p->r->values < RADIUS_VALUES)
		p->r->value[p->r->values++] = value;
}

/* 255.255.255.255 and .254 mean that others choose the address (RFC 2865 section 5.8); they are not
 * forwarded either. */
static void take_framed4(struct parsing *p, struct cursor *value)
{
	uint8_t bytes[4];
	cursor_copy(value, bytes, 4);
	value->bad |= cursor_left(value) > 0;
	if (!value->bad)
		add_address(p->r, address_from4(bytes));
}

/* A number is of four bytes, no more and no less; else *to stays as it was. */
static bool number(struct cursor *value, uint32_t *to)
{
	uint32_t n = cursor_u32(value);
	value->bad |= cursor_left(value) > 0;
	if (!value->bad)
		*to = n;
	return !value->bad;
}

static bool take_address6(struct cursor *value, struct address *out)
{
	uint8_t bytes[16];
	cursor_copy(value, bytes, 16);
	value->bad |= cursor_left(value) > 0;
	if (value->bad)
		return false;
	*out = address_from6(bytes);
	return !address_is4(out); /* ::ffff:0:0/96 is never on the wire */
}

/* A prefix is an address of the session where it is a whole one, or with an interface identifier
 * (RFC 3162 sections 2.2 and 2.3). */
static void take_prefix(struct parsing *p, struct cursor *value)
{
	uint8_t bits, bytes[16] = {0};
	cursor_u8(value); /* reserved */
	bits = cursor_u8(value);
	size_t len = cursor_left(value);
	value->bad |= bits > 128 || len > 16 || len * 8 < bits;
	if (value->bad)
		return;
	cursor_copy(value, bytes, len);
	if (bits == 128) {
		struct cursor whole = cursor_of(bytes, 16);
		struct address a;
		if (take_address6(&whole, &a))
			add_address(p->r, a);
	} else if (bits == 64 && !p->has_prefix) {
		memcpy(p->prefix, bytes, 8);
		p->has_prefix = true;
	} else {
		p->r->prefix_alone = true;
	}
}

/* One vendor; of its attributes, in the usual form of type and length, the wanted ones. What has
 * another form is the vendor's own affair. */
static void take_vendor(struct parsing *p, struct cursor *value)
{
	uint32_t vendor = cursor_u32(value);
	if (value->bad || !p->tier || p->tier->type != VENDOR_SPECIFIC || vendor != p->tier->vendor)
		return;
	struct cursor inner = cursor_sub(value, cursor_left(value));
	while (cursor_left(&inner) >= 2) {
		uint8_t type = cursor_u8(&inner), len = cursor_u8(&inner);
		struct cursor one = cursor_sub(&inner, len < 2 ? SIZE_MAX : len - 2u);
		if (!one.bad && type == p->tier->vendor_type)
			add_value(p, view(&one));
	}
}

/* An address that many have, such as 127.0.0.1, tells nobody. */
static void take_nas(struct parsing *p, struct cursor *value, bool six)
{
	uint8_t bytes[4] = {0};
	struct address a;
	if (six) {
		if (take_address6(value, &a) && is_forwarded(&a))
			p->r->nas6 = a;
		return;
	}
	cursor_copy(value, bytes, 4);
	value->bad |= cursor_left(value) > 0;
	a = address_from4(bytes);
	if (!value->bad && is_forwarded(&a))
		p->r->nas4 = a;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Calling-Station-Id where it is a MAC address in one of the usual forms (RFC 3580 section 3.21):
 * twelve digits in groups of two, or of four, with one kind of separator, or with none. A phone
 * number or a name is no matter. */
static void take_mac(struct parsing *p, struct cursor value)
{
	uint8_t mac[6] = {0}, separator = 0;
	unsigned digits = 0, separators = 0;
	while (cursor_left(&value)) {
		uint8_t c = cursor_u8(&value);
		int digit = hex_digit(c);
		if (digit >= 0 && digits < 12) {
			mac[digits / 2] = (uint8_t)(mac[digits / 2] << 4 | digit);
			digits++;
		} else if (digit < 0 && memchr("-:.", c, 3) && digits && digits % 2 == 0 &&
			   digits < 12 && (!separator || separator == c)) {
			separator = c;
			separators++;
		} else {
			return;
		}
	}
	static const uint8_t none[6];
	if (mac[0] & 1 || memcmp(mac, none, sizeof mac) == 0)
		return; /* a group's, or nobody's */
	if (digits != 12 || (separators != 0 && separators != 2 && separators != 5))
		return;
	memcpy(p->r->mac, mac, sizeof mac);
	p->r->has_mac = true;
}

static void take_attribute(struct parsing *p, uint8_t type, struct cursor *value)
{
	struct radius_request *r = p->r;
	struct address a;
	if (p->tier && type == p->tier->type && type != VENDOR_SPECIFIC)
		add_value(p, view(value));
	switch (type) {
	case USER_NAME: r->user = view(value); break;
	case ACCT_SESSION_ID: r->session = view(value); break;
	case NAS_IDENTIFIER: r->nas_name = view(value); break;
	case NAS_IP_ADDRESS: take_nas(p, value, false); break;
	case NAS_IPV6_ADDRESS: take_nas(p, value, true); break;
	case FRAMED_IP_ADDRESS: take_framed4(p, value); break;
	case FRAMED_IPV6_ADDRESS:
		if (take_address6(value, &a))
			add_address(r, a);
		break;
	case FRAMED_IPV6_PREFIX: take_prefix(p, value); break;
	case FRAMED_INTERFACE_ID:
		p->has_interface = cursor_copy(value, p->interface, 8) && !cursor_left(value);
		value->bad |= !p->has_interface;
		break;
	case DELEGATED_IPV6_PREFIX: r->prefix_alone = true; break;
	case VENDOR_SPECIFIC: take_vendor(p, value); break;
	case CALLING_STATION_ID: take_mac(p, *value); break;
	case ACCT_STATUS_TYPE: number(value, &r->status); break;
	case ACCT_DELAY_TIME: number(value, &r->delay); break;
	case ACCT_INTERIM_INTERVAL: number(value, &r->interim); break;
	case ACCT_SESSION_TIME: r->has_session_time |= number(value, &r->session_time); break;
	case EVENT_TIMESTAMP: r->has_time |= number(value, &r->time); break;
	case MESSAGE_AUTHENTICATOR:
		p->unproven |= r->message_authenticator || cursor_left(value) != 16;
		r->message_authenticator = value->pos;
		break;
	default: break;
	}
}

/* A /64 with an interface identifier is an address. */
static void join_prefix(struct parsing *p)
{
	uint8_t bytes[16];
	if (p->has_prefix && p->has_interface) {
		memcpy(bytes, p->prefix, 8);
		memcpy(bytes + 8, p->interface, 8);
		struct cursor whole = cursor_of(bytes, 16);
		struct address a;
		if (take_address6(&whole, &a))
			add_address(p->r, a);
	} else if (p->has_prefix) {
		p->r->prefix_alone = true;
	}
}

enum parse radius_parse(const void *bytes, size_t len, const struct radius_attribute *tier,
			struct radius_request *out)
{
	struct cursor packet = cursor_of(bytes, len);
	struct parsing p = {.r = out, .tier = tier};
	memset(out, 0, sizeof *out);
	out->code = cursor_u8(&packet);
	out->id = cursor_u8(&packet);
	out->len = cursor_u16(&packet);
	out->bytes = bytes;
	out->authenticator = cursor_bytes(&packet, 16);
	if (packet.bad || out->len < HEAD || out->len > RADIUS_MAX)
		return PARSE_BAD;
	struct cursor attributes = cursor_sub(&packet, out->len - HEAD); /* the rest is padding */
	while (cursor_left(&attributes)) {
		uint8_t type = cursor_u8(&attributes), size = cursor_u8(&attributes);
		struct cursor value = cursor_sub(&attributes, size < 2 ? SIZE_MAX : size - 2u);
		if (value.bad)
			return PARSE_BAD;
		take_attribute(&p, type, &value);
		out->bad_attributes += value.bad;
	}
	if (attributes.bad || p.unproven)
		return PARSE_BAD;
	join_prefix(&p);
	bool wanted = out->code == RADIUS_ACCOUNTING_REQUEST || out->code == RADIUS_STATUS_SERVER;
	return wanted ? PARSE_OK : PARSE_ABSENT;
}

/* ---- authenticators ---- */

static const uint8_t zeros[16];

/* MD5 over a packet with another authenticator in its head, and the secret. */
static void sign(const uint8_t *bytes, size_t len, const uint8_t authenticator[16],
		 const char *secret, uint8_t out[16])
{
	struct md5_ctx ctx;
	md5_init(&ctx);
	md5_update(&ctx, 4, bytes);
	md5_update(&ctx, 16, authenticator);
	md5_update(&ctx, len - HEAD, bytes + HEAD);
	md5_update(&ctx, strlen(secret), (const uint8_t *)secret);
	md5_digest(&ctx, 16, out);
}

/* HMAC-MD5 over a packet with this authenticator, and zeros at `hole`, where the
 * Message-Authenticator stands. */
static void seal(const uint8_t *bytes, size_t len, const uint8_t authenticator[16], size_t hole,
		 const char *secret, uint8_t out[16])
{
	struct hmac_md5_ctx ctx;
	hmac_md5_set_key(&ctx, strlen(secret), (const uint8_t *)secret);
	hmac_md5_update(&ctx, 4, bytes);
	hmac_md5_update(&ctx, 16, authenticator);
	hmac_md5_update(&ctx, hole - HEAD, bytes + HEAD);
	hmac_md5_update(&ctx, 16, zeros);
	hmac_md5_update(&ctx, len - hole - 16, bytes + hole + 16);
	hmac_md5_digest(&ctx, 16, out);
}

bool radius_genuine(const struct radius_request *r, const char *secret)
{
	uint8_t wanted[16];
	bool asks = r->code == RADIUS_STATUS_SERVER;
	sign(r->bytes, r->len, zeros, secret, wanted);
	if (!asks && !memeql_sec(wanted, r->authenticator, 16))
		return false;
	if (!r->message_authenticator)
		return !asks;
	seal(r->bytes, r->len, asks ? r->authenticator : zeros,
	     (size_t)(r->message_authenticator - r->bytes), secret, wanted);
	return memeql_sec(wanted, r->message_authenticator, 16);
}

static size_t copy_proxy_states(const struct radius_request *r, uint8_t *out, size_t len)
{
	struct cursor attributes = cursor_of(r->bytes, r->len);
	cursor_skip(&attributes, HEAD);
	while (cursor_left(&attributes)) {
		const uint8_t *start = attributes.pos;
		uint8_t type = cursor_u8(&attributes), size = cursor_u8(&attributes);
		cursor_skip(&attributes, size < 2 ? SIZE_MAX : size - 2u);
		if (attributes.bad || type != PROXY_STATE)
			continue;
		memcpy(out + len, start, size);
		len += size;
	}
	return len;
}

size_t radius_answer(const struct radius_request *r, const char *secret,
		     uint8_t out[static RADIUS_MAX])
{
	size_t len = copy_proxy_states(r, out, HEAD);
	out[0] = RADIUS_ACCOUNTING_RESPONSE;
	out[1] = r->id;
	out[2] = (uint8_t)(len >> 8);
	out[3] = (uint8_t)len;
	sign(out, len, r->authenticator, secret, out + 4);
	return len;
}
