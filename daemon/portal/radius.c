#include "portal/radius.h"

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
};

static struct radius_text view(const struct cursor *value)
{
	return (struct radius_text){value->pos, cursor_left(value)};
}

static void add_address(struct radius_request *r, struct address a)
{
	for (unsigned i = 0; i < r->addresses; i++)
		if (address_equal(&r->address[i], &a))
			return;
	if (r->addresses < RADIUS_ADDRESSES)
		r->address[r->addresses++] = a;
}

static void add_value(struct parsing *p, struct radius_text value)
{
	if (value.len && p->r->values < RADIUS_VALUES)
		p->r->value[p->r->values++] = value;
}

/* 255.255.255.255 and .254 mean that others choose the address (RFC 2865 section 5.8). */
static void take_framed4(struct parsing *p, struct cursor *value)
{
	uint8_t bytes[4];
	static const uint8_t none[4], user[4] = {255, 255, 255, 255}, nas[4] = {255, 255, 255, 254};
	if (cursor_copy(value, bytes, 4) && memcmp(bytes, none, 4) && memcmp(bytes, user, 4) &&
	    memcmp(bytes, nas, 4))
		add_address(p->r, address_from4(bytes));
}

/* A number is of four bytes, no more and no less. */
static uint32_t number(struct cursor *value)
{
	uint32_t n = cursor_u32(value);
	value->bad |= cursor_left(value) > 0;
	return n;
}

static bool take_address6(struct cursor *value, struct address *out)
{
	uint8_t bytes[16];
	static const uint8_t none[16];
	if (!cursor_copy(value, bytes, 16) || memcmp(bytes, none, 16) == 0)
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
	if (bits > 128 || len > 16 || len * 8 < bits) {
		cursor_skip(value, len + 1);
		return;
	}
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

static void take_nas(struct parsing *p, struct cursor *value, bool six)
{
	uint8_t bytes[4];
	if (six)
		p->r->has_nas = take_address6(value, &p->r->nas) || p->r->has_nas;
	else if (cursor_copy(value, bytes, 4)) {
		p->r->nas = address_from4(bytes);
		p->r->has_nas = true;
	}
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
	case FRAMED_INTERFACE_ID: p->has_interface = cursor_copy(value, p->interface, 8); break;
	case DELEGATED_IPV6_PREFIX: r->prefix_alone = true; break;
	case VENDOR_SPECIFIC: take_vendor(p, value); break;
	case ACCT_STATUS_TYPE: r->status = number(value); break;
	case ACCT_DELAY_TIME: r->delay = number(value); break;
	case ACCT_INTERIM_INTERVAL: r->interim = number(value); break;
	case ACCT_SESSION_TIME:
		r->session_time = number(value);
		r->has_session_time = true;
		break;
	case EVENT_TIMESTAMP:
		r->time = number(value);
		r->has_time = true;
		break;
	case MESSAGE_AUTHENTICATOR:
		if (r->message_authenticator || cursor_left(value) != 16)
			value->bad = true;
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
	uint8_t code = cursor_u8(&packet);
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
		take_attribute(&p, type, &value);
		if (value.bad)
			return PARSE_BAD;
	}
	if (attributes.bad)
		return PARSE_BAD;
	join_prefix(&p);
	return code == RADIUS_ACCOUNTING_REQUEST ? PARSE_OK : PARSE_ABSENT;
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

/* HMAC-MD5 over a packet with zeros for its authenticator and at `hole`, where the
 * Message-Authenticator stands. */
static void seal(const uint8_t *bytes, size_t len, size_t hole, const char *secret, uint8_t out[16])
{
	struct hmac_md5_ctx ctx;
	hmac_md5_set_key(&ctx, strlen(secret), (const uint8_t *)secret);
	hmac_md5_update(&ctx, 4, bytes);
	hmac_md5_update(&ctx, 16, zeros);
	hmac_md5_update(&ctx, hole - HEAD, bytes + HEAD);
	hmac_md5_update(&ctx, 16, zeros);
	hmac_md5_update(&ctx, len - hole - 16, bytes + hole + 16);
	hmac_md5_digest(&ctx, 16, out);
}

bool radius_genuine(const struct radius_request *r, const char *secret)
{
	uint8_t wanted[16];
	sign(r->bytes, r->len, zeros, secret, wanted);
	if (!memeql_sec(wanted, r->authenticator, 16))
		return false;
	if (!r->message_authenticator)
		return true;
	seal(r->bytes, r->len, (size_t)(r->message_authenticator - r->bytes), secret, wanted);
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
