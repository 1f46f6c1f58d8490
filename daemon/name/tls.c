#include "name/tls.h"

enum { RECORD_CHANGE_CIPHER = 20, RECORD_ALERT = 21, RECORD_HANDSHAKE = 22, RECORD_DATA = 23 };
enum { RECORD_HEADER = 5, RECORD_MAX = 1 << 14, MESSAGE_HEADER = 4, CLIENT_HELLO = 1 };
enum {
	EXT_SERVER_NAME = 0,
	EXT_ALPN = 16,
	EXT_EARLY_DATA = 42,
	EXT_SUPPORTED_VERSIONS = 43,
	EXT_ECH = 0xfe0d,
	EXT_ESNI = 0xffce,
};

/* Inlined always: half of a hello's time else goes into passing a part on and back. */
#define HOT static inline __attribute__((always_inline))

/* A cursor over bytes of which the last may not have come yet: a length is checked against what the
 * message claims to have, a read against what is there. So malformed is told from not yet whole. */
struct part {
	struct cursor at;
	size_t left; /* with the bytes that are still to come */
	bool bad;    /* a length passes its parent; else at.bad says that bytes are still to come */
};

/* Once bytes are missing no length is known any more, so nothing is judged. */
HOT bool part_fits(struct part *p, size_t n)
{
	if (p->at.bad)
		return false;
	if (n <= p->left) {
		p->left -= n;
		return true;
	}
	p->bad = true;
	p->left = 0;
	cursor_skip(&p->at, cursor_left(&p->at));
	return false;
}

HOT uint8_t part_u8(struct part *p)
{
	return part_fits(p, 1) ? cursor_u8(&p->at) : 0;
}

HOT uint16_t part_u16(struct part *p)
{
	return part_fits(p, 2) ? cursor_u16(&p->at) : 0;
}

HOT void part_skip(struct part *p, size_t n)
{
	if (part_fits(p, n))
		cursor_skip(&p->at, n);
}

HOT struct part part_sub(struct part *p, size_t n)
{
	if (!part_fits(p, n))
		return (struct part){{p->at.end, p->at.end, p->at.bad}, 0, p->bad};
	size_t have = cursor_left(&p->at);
	struct part child = {cursor_sub(&p->at, n < have ? n : have), n, false};
	if (n > have)
		p->at.bad = true;
	return child;
}

/* Another item can be read: there is more, and it has come. */
HOT bool part_more(const struct part *p)
{
	return p->left > 0 && !p->bad && !p->at.bad;
}

HOT enum parse part_answer(const struct part *p)
{
	return p->bad ? PARSE_BAD : p->at.bad ? PARSE_MORE : PARSE_OK;
}

HOT enum parse part_worse(enum parse a, enum parse b)
{
	return a == PARSE_BAD || b == PARSE_BAD ? PARSE_BAD : a == PARSE_OK ? b : a;
}

/* What the extensions tell beyond struct hello. */
struct extras {
	bool named, tls13;
};

/* The vector that fills an extension, with a length of 1 or 2 bytes. */
static struct part part_vector(struct part *ext, size_t length_bytes)
{
	size_t n = length_bytes == 1 ? part_u8(ext) : part_u16(ext);
	if (!ext->at.bad && n != ext->left)
		ext->bad = true;
	return part_sub(ext, n);
}

/* RFC 6066 section 3: one host_name, once. */
static enum parse read_server_name(struct part ext, struct extras *x, struct hello *out)
{
	if (ext.left == 0 && !x->named)
		return PARSE_OK;
	struct part list = part_vector(&ext, 2);
	while (part_more(&list)) {
		uint8_t type = part_u8(&list);
		struct part name = part_sub(&list, part_u16(&list));
		if (type == 0 && list.at.bad && cursor_left(&name.at) && !x->named)
			out->name = HELLO_NAME_PART;
		if (type != 0 || list.bad || list.at.bad)
			continue;
		hello_name(name.at.pos, name.left, out);
		if (x->named) {
			hello_no_name(out, HELLO_NAME_BAD);
		}
		x->named = true;
	}
	return part_worse(part_answer(&ext), part_answer(&list));
}

/* RFC 7301: only the first protocol is kept. */
static enum parse read_alpn(struct part ext, struct hello *out)
{
	struct part list = part_vector(&ext, 2);
	struct part first = part_sub(&list, part_u8(&list));
	enum parse answer = part_worse(part_answer(&ext), part_answer(&list));
	if (answer != PARSE_OK)
		return answer;
	size_t len = first.left < sizeof out->alpn ? first.left : sizeof out->alpn - 1;
	memcpy(out->alpn, first.at.pos, len);
	out->alpn[len] = 0;
	out->alpn_len = (uint8_t)len;
	return PARSE_OK;
}

/* DTLS counts down: 0xfeff, 0xfefd, 0xfefc. */
static bool version_later(uint16_t a, uint16_t b)
{
	return a >> 8 == b >> 8 && (a >> 8 == 0xfe ? a < b : a > b);
}

static enum parse read_versions(struct part ext, struct extras *x, struct hello *out)
{
	struct part list = part_vector(&ext, 1);
	while (part_more(&list)) {
		uint16_t version = part_u16(&list);
		if (version == 0x0304 || version == 0xfefc)
			x->tls13 = true;
		if (version_later(version, out->version))
			out->version = version;
	}
	return part_worse(part_answer(&ext), part_answer(&list));
}

/* RFC 9849 section 5: type, HPKE suite, config_id. The inner form (type 1) goes to a server behind
 * the one that decrypts, and its name is true. */
static enum parse read_ech(struct part ext, struct hello *out)
{
	if (part_u8(&ext) == 0) {
		part_skip(&ext, 4);
		out->ech = true;
		out->ech_config = part_u8(&ext);
	}
	return part_answer(&ext);
}

static enum parse read_extension(uint16_t type, struct part ext, struct extras *x,
				 struct hello *out)
{
	switch (type) {
	case EXT_SERVER_NAME: return read_server_name(ext, x, out);
	case EXT_ALPN: return read_alpn(ext, out);
	case EXT_SUPPORTED_VERSIONS: return read_versions(ext, x, out);
	case EXT_EARLY_DATA: out->early_data = true; return PARSE_OK;
	case EXT_ESNI: out->ech = true; return PARSE_OK;
	case EXT_ECH: return read_ech(ext, out);
	}
	return PARSE_OK;
}

static bool is_read(uint32_t type)
{
	switch (type) {
	case EXT_SERVER_NAME:
	case EXT_ALPN:
	case EXT_SUPPORTED_VERSIONS:
	case EXT_EARLY_DATA:
	case EXT_ESNI:
	case EXT_ECH: return true;
	}
	return false;
}

/* Three in four extensions tell nothing: those that are wholly there are passed over, up to the
 * next that has to be looked at. */
HOT void skip_unread(struct part *list)
{
	for (;;) {
		struct cursor next = list->at;
		uint32_t header = cursor_u32(&next);
		size_t len = header & 0xffff;
		if (!cursor_skip(&next, len) || next.bad || is_read(header >> 16))
			return;
		list->left -= 4 + len; /* at least what is there */
		list->at = next;
	}
}

static enum parse read_extensions(struct part list, struct extras *x, struct hello *out)
{
	enum parse answer = PARSE_OK;
	for (skip_unread(&list); part_more(&list) && answer != PARSE_BAD; skip_unread(&list)) {
		uint16_t type = part_u16(&list);
		uint16_t len = part_u16(&list);
		if (!list.at.bad && !list.bad)
			answer = part_worse(answer,
					    read_extension(type, part_sub(&list, len), x, out));
	}
	return part_worse(answer, part_answer(&list));
}

/* struct ClientHello of RFC 8446 section 4.1.2, line by line. */
static enum parse read_hello(struct part hello, bool datagram, struct hello *out)
{
	struct extras x = {0};
	out->version = part_u16(&hello);
	if (!hello.at.bad && out->version >> 8 != (datagram ? 0xfe : 0x03))
		return PARSE_BAD;
	part_skip(&hello, 32);
	uint8_t session = part_u8(&hello);
	part_skip(&hello, session);
	if (datagram)
		part_skip(&hello, part_u8(&hello));
	uint16_t suites = part_u16(&hello);
	bool suites_read = !hello.at.bad;
	part_skip(&hello, suites);
	uint8_t methods = part_u8(&hello);
	bool methods_read = !hello.at.bad;
	part_skip(&hello, methods);
	if (session > 32 || suites % 2 || (suites_read && !suites) || (methods_read && !methods))
		return PARSE_BAD;
	if (hello.bad || hello.at.bad || hello.left == 0)
		return part_answer(&hello);
	uint16_t len = part_u16(&hello);
	if (!hello.at.bad && len != hello.left)
		return PARSE_BAD;
	struct part list = part_sub(&hello, len);
	enum parse answer = read_extensions(list, &x, out);
	/* A server may ask again for any group that has no share, or for a cookie. */
	out->another_may_come = x.tls13;
	return part_worse(answer, part_answer(&hello));
}

/* type and length, then the body, of which all or less has come. */
static enum parse read_message(struct cursor message, size_t *len, struct hello *out)
{
	if (cursor_left(&message) && cursor_peek(&message) != CLIENT_HELLO)
		return PARSE_BAD;
	cursor_u8(&message);
	uint32_t claims = cursor_u24(&message);
	if (message.bad)
		return PARSE_MORE;
	if (claims + MESSAGE_HEADER > TLS_HELLO_MAX)
		return PARSE_BAD;
	*len = claims + MESSAGE_HEADER;
	size_t have = cursor_left(&message);
	struct part body = {cursor_sub(&message, claims < have ? claims : have), claims, false};
	enum parse answer = read_hello(body, false, out);
	return part_worse(answer, have < claims ? PARSE_MORE : PARSE_OK);
}

enum parse tls_client_hello(struct cursor message, size_t *len, struct hello *out)
{
	size_t unused;
	hello_reset(out);
	out->protocol = PROTOCOL_TLS;
	enum parse answer = read_message(message, len ? len : &unused, out);
	out->another_may_come = false; /* QUIC's comes in an Initial, which is told by itself */
	return answer;
}

enum parse tls_datagram_hello(struct cursor body, struct hello *out)
{
	struct part whole = {body, cursor_left(&body), false};
	hello_reset(out);
	out->protocol = PROTOCOL_DTLS;
	return read_hello(whole, true, out);
}

struct record {
	uint8_t type; /* 0: not even that has come */
	uint16_t len;
};

/* One record's header; *stream moves past it when it is whole. PARSE_ABSENT: not TLS. */
static enum parse read_record(struct cursor *stream, struct record *r)
{
	struct cursor c = *stream;
	size_t have = cursor_left(&c);
	r->type = cursor_u8(&c);
	uint8_t major = cursor_u8(&c);
	cursor_u8(&c);
	r->len = cursor_u16(&c);
	if ((have >= 1 && (r->type < RECORD_CHANGE_CIPHER || r->type > RECORD_DATA)) ||
	    (have >= 2 && major != 3))
		return PARSE_ABSENT;
	if (c.bad)
		return PARSE_MORE;
	*stream = c;
	return r->len > RECORD_MAX + 256 || (r->type == RECORD_HANDSHAKE && r->len == 0) ? PARSE_BAD
											 : PARSE_OK;
}

/* Joins the message's records, from *stream on, and reads what has come. A hello ends with its
 * record (RFC 8446 section 5.1). */
static __attribute__((noinline)) enum parse read_joined(struct cursor *stream, struct hello *out)
{
	uint8_t joined[TLS_HELLO_MAX + RECORD_MAX + 256];
	size_t len = 0, whole = 0;
	while (whole == 0 || len < whole) {
		struct record r;
		enum parse record = read_record(stream, &r);
		if (record == PARSE_MORE && (r.type == 0 || r.type == RECORD_HANDSHAKE))
			break;
		if (record != PARSE_OK || r.type != RECORD_HANDSHAKE)
			return PARSE_BAD;
		size_t have = cursor_left(stream);
		size_t claims = len + r.len;
		size_t take = r.len < have ? r.len : have;
		cursor_copy(stream, joined + len, take);
		len += take;
		struct cursor header = cursor_of(joined, len);
		cursor_u8(&header);
		uint32_t body = cursor_u24(&header);
		if (header.bad)
			continue;
		whole = body + MESSAGE_HEADER;
		if (whole > TLS_HELLO_MAX || claims > whole)
			return PARSE_BAD;
	}
	return read_message(cursor_of(joined, len), &whole, out);
}

/* The hello that begins at *stream, which moves past its last record when it is whole. */
static enum parse read_handshake(struct cursor *stream, struct hello *out)
{
	struct cursor record = *stream;
	struct record r;
	enum parse answer = read_record(&record, &r);
	if (answer == PARSE_OK && r.type != RECORD_HANDSHAKE)
		answer = PARSE_BAD;
	if (answer != PARSE_OK)
		return answer;
	struct cursor header = record;
	cursor_u8(&header);
	size_t whole = cursor_u24(&header) + MESSAGE_HEADER;
	if (header.bad || whole != r.len)
		return read_joined(stream, out);
	size_t have = cursor_left(&record);
	struct cursor message = cursor_sub(&record, whole < have ? whole : have);
	*stream = record;
	return read_message(message, &whole, out);
}

/* Whether the bytes are records as most servers begin with: of a handshake, of version 3. Others
 * are malformed as far as some server reads on: GnuTLS behind change_cipher_spec, Go with any
 * version below 16. */
static enum parse begins_as_usual(struct cursor c)
{
	uint8_t type = cursor_u8(&c), major = cursor_u8(&c);
	if (!tls_may_begin(type) || major >= 16)
		return PARSE_ABSENT;
	if (c.bad)
		return PARSE_MORE;
	return type == RECORD_HANDSHAKE && major == 3 ? PARSE_OK : PARSE_BAD;
}

enum parse tls_records(struct cursor stream, struct hello *out)
{
	size_t have = cursor_left(&stream);
	hello_reset(out);
	if (have == 0)
		return PARSE_MORE;
	enum parse answer = begins_as_usual(stream);
	if (answer == PARSE_OK)
		answer = read_handshake(&stream, out);
	if (answer != PARSE_ABSENT)
		out->protocol = PROTOCOL_TLS;
	out->end = have - cursor_left(&stream);
	return answer;
}

/* Whether the handshake record of len bytes at `at` begins with a ClientHello. The encrypted
 * Finished of a TLS 1.2 session resumed has the same record type and begins as chance will have it;
 * no server takes a hello of 192 KiB, nor one whose message goes on with data in between (RFC 8446
 * section 5.1). More is not asked: what is strange in a hello, a server may well overlook. */
static enum parse begins_hello(struct cursor at, size_t len)
{
	enum { LENGTH_HIGH_MAX = 2 };
	size_t have = cursor_left(&at);
	struct cursor record = at, header = cursor_sub(&record, len < have ? len : have);
	if (have == 0)
		return PARSE_MORE;
	if (cursor_u8(&header) != CLIENT_HELLO)
		return PARSE_ABSENT;
	uint32_t high = cursor_u8(&header), body = high << 16 | cursor_u16(&header);
	if (high > LENGTH_HIGH_MAX)
		return PARSE_ABSENT;
	if (!header.bad && body + MESSAGE_HEADER <= len)
		return PARSE_OK;
	if (have <= len)
		return PARSE_MORE;
	return cursor_peek(&record) == RECORD_DATA ? PARSE_ABSENT : PARSE_OK;
}

enum parse tls_next_hello(struct cursor stream, uint32_t *early, uint64_t *used, struct hello *out)
{
	*used = 0;
	for (;;) {
		struct cursor at = stream;
		struct record r;
		hello_reset(out);
		out->protocol = PROTOCOL_TLS;
		enum parse answer = read_record(&at, &r);
		out->server_next = r.type != RECORD_HANDSHAKE;
		if (answer != PARSE_OK)
			return answer == PARSE_MORE ? PARSE_MORE : PARSE_BAD;
		if (r.type == RECORD_HANDSHAKE) {
			answer = begins_hello(at, r.len);
			return answer == PARSE_OK ? read_handshake(&stream, out) : answer;
		}
		if (r.type == RECORD_DATA) {
			if (r.len >= *early)
				return PARSE_ABSENT;
			*early -= r.len;
		}
		*used += RECORD_HEADER + r.len;
		if (!cursor_skip(&at, r.len))
			return PARSE_MORE;
		stream = at;
	}
}
