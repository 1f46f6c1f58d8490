#include "name/hello.h"
#include "name/http.h"
#include "name/name.h"
#include "name/tls.h"

#define LINE_MAX_ 4096 /* of a plaintext command before STARTTLS */

void hello_no_name(struct hello *h, enum hello_name why)
{
	h->name = why;
	h->host.len = 0;
	h->host.text[0] = 0;
}

void hello_reset(struct hello *h)
{
	h->protocol = PROTOCOL_NONE;
	hello_no_name(h, HELLO_NAME_ABSENT);
	h->ech = false;
	h->ech_config = 0;
	h->version = 0;
	h->alpn_len = 0;
	h->alpn[0] = 0;
	h->server_next = false;
	h->another_may_come = false;
	h->early_data = false;
	h->end = 0;
}

void hello_name(const void *text, size_t len, struct hello *h)
{
	switch (host_canonical(text, len, &h->host)) {
	case PARSE_OK: h->name = HELLO_NAME_OK; break;
	case PARSE_ABSENT: h->name = HELLO_NAME_ABSENT; break;
	default: h->name = HELLO_NAME_BAD;
	}
}

/* The text form of a proxy's prefix line, which some clients of a load balancer send before all
 * else (the PROXY protocol, version 1, 2.1). */
static enum parse skip_proxy_line(struct cursor *bytes)
{
	static const char prefix[] = "PROXY ";
	enum { PREFIX_LEN = sizeof prefix - 1, PROXY_LINE_MAX = 107 };
	size_t have = cursor_left(bytes);
	size_t compare = have < PREFIX_LEN ? have : PREFIX_LEN;
	if (compare == 0 || memcmp(bytes->pos, prefix, compare) != 0)
		return PARSE_ABSENT;
	const uint8_t *end =
		memchr(bytes->pos, '\n', have < PROXY_LINE_MAX ? have : PROXY_LINE_MAX);
	if (!end)
		return have < PROXY_LINE_MAX ? PARSE_MORE : PARSE_ABSENT;
	cursor_skip(bytes, (size_t)(end - bytes->pos) + 1);
	return PARSE_OK;
}

enum parse hello_tcp(struct cursor bytes, struct hello *out)
{
	enum parse answer = tls_records(bytes, out);
	if (answer != PARSE_ABSENT)
		return answer;
	if (cursor_peek(&bytes) != 'P')
		return http_request(bytes, out);
	size_t have = cursor_left(&bytes);
	answer = skip_proxy_line(&bytes);
	if (answer == PARSE_MORE)
		return answer;
	answer = tls_records(bytes, out);
	out->end += have - cursor_left(&bytes);
	return answer == PARSE_ABSENT ? http_request(bytes, out) : answer;
}

/* The next line without its end; PARSE_MORE: it has none yet. */
static enum parse next_line(struct cursor *bytes, struct cursor *line)
{
	size_t have = cursor_left(bytes);
	const uint8_t *end = have ? memchr(bytes->pos, '\n', have) : NULL;
	if (!end)
		return have > LINE_MAX_ ? PARSE_ABSENT : PARSE_MORE;
	size_t len = (size_t)(end - bytes->pos);
	*line = cursor_sub(bytes, len);
	cursor_u8(bytes);
	if (len && line->end[-1] == '\r')
		line->end--;
	return PARSE_OK;
}

/* The next word of a line, in upper case. */
static void next_word(struct cursor *line, char word[static 16])
{
	size_t len = 0;
	while (cursor_peek(line) == ' ')
		cursor_u8(line);
	while (cursor_left(line) && cursor_peek(line) != ' ') {
		uint8_t c = cursor_u8(line);
		if (len < 15)
			word[len++] = (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
	}
	word[len] = 0;
}

static bool is_one_of(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(word, *list) == 0)
			return true;
	return false;
}

/* SMTP (RFC 3207), IMAP (RFC 3501 6.2.1, commands behind a tag), POP3 (RFC 2595): lines until the
 * one that asks for TLS. harmless: what a client says before it without going on in clear. */
static enum parse after_lines(struct cursor *bytes, bool tagged, const char *ask,
			      const char *const *harmless)
{
	for (;;) {
		struct cursor line;
		char word[16];
		enum parse answer = next_line(bytes, &line);
		if (answer != PARSE_OK)
			return answer;
		next_word(&line, word);
		if (tagged)
			next_word(&line, word);
		if (strcmp(word, ask) != 0 && !is_one_of(word, harmless))
			return PARSE_ABSENT;
		/* a server that refuses has its client go on in clear */
		if (strcmp(word, ask) == 0 &&
		    (cursor_left(bytes) == 0 || cursor_peek(bytes) == 0x16))
			return PARSE_OK;
	}
}

/* A BER length (X.690 8.1.3), definite. */
static size_t ber_length(struct cursor *c)
{
	uint8_t first = cursor_u8(c);
	switch (first) {
	case 0x81: return cursor_u8(c);
	case 0x82: return cursor_u16(c);
	case 0x83: return cursor_u24(c);
	case 0x84: return cursor_u32(c);
	}
	return first & 0x80 ? SIZE_MAX : first;
}

/* LDAP (RFC 4511 4.14): messages until the extended request of StartTLS; a client may search the
 * root entry or bind before it. */
static enum parse after_ldap(struct cursor *bytes)
{
	static const char oid[] = "1.3.6.1.4.1.1466.20037";
	enum { SEQUENCE = 0x30, INTEGER = 2, SEARCH = 0x63, ABANDON = 0x50, EXTENDED = 0x77 };
	for (;;) {
		if (cursor_left(bytes) && cursor_peek(bytes) != SEQUENCE)
			return PARSE_ABSENT;
		cursor_u8(bytes);
		size_t len = ber_length(bytes);
		if (len > TLS_HELLO_MAX)
			return PARSE_ABSENT;
		if (bytes->bad || len > cursor_left(bytes))
			return PARSE_MORE;
		struct cursor message = cursor_sub(bytes, len);
		if (cursor_u8(&message) != INTEGER)
			return PARSE_ABSENT;
		cursor_skip(&message, ber_length(&message));
		uint8_t operation = cursor_u8(&message);
		struct cursor body = cursor_sub(&message, ber_length(&message));
		if (operation == EXTENDED && cursor_u8(&body) == 0x80) {
			struct cursor name = cursor_sub(&body, ber_length(&body));
			size_t left = cursor_left(&name);
			if (left == sizeof oid - 1 && memcmp(name.pos, oid, left) == 0)
				return PARSE_OK;
		}
		if (operation != SEARCH && operation != ABANDON && operation != EXTENDED)
			return PARSE_ABSENT;
	}
}

/* PostgreSQL's SSLRequest, which a GSSENCRequest may precede. */
static enum parse after_postgresql(struct cursor *bytes)
{
	enum { REQUEST_LEN = 8, SSL = 80877103, GSS = 80877104 };
	for (;;) {
		struct cursor c = *bytes;
		uint32_t len = cursor_u32(&c);
		uint32_t code = cursor_u32(&c);
		if (c.bad)
			return cursor_peek(bytes) ? PARSE_ABSENT : PARSE_MORE;
		if (len != REQUEST_LEN || (code != SSL && code != GSS))
			return PARSE_ABSENT;
		*bytes = c;
		if (code == SSL)
			return PARSE_OK;
	}
}

/* SMTP, submission, IMAP, POP3, LDAP, PostgreSQL */
const uint16_t hello_starttls_ports[] = {25, 587, 143, 110, 389, 5432};
const size_t hello_starttls_port_count =
	sizeof hello_starttls_ports / sizeof hello_starttls_ports[0];

bool hello_has_starttls(uint16_t port)
{
	for (size_t i = 0; i < hello_starttls_port_count; i++)
		if (hello_starttls_ports[i] == port)
			return true;
	return false;
}

static enum parse skip_plaintext(uint16_t port, struct cursor *bytes)
{
	static const char *const smtp[] = {"EHLO", "HELO", "NOOP", "RSET", "STARTTLS", NULL};
	static const char *const imap[] = {"CAPABILITY", "NOOP", "ID", "STARTTLS", NULL};
	static const char *const pop3[] = {"CAPA", "NOOP", "STLS", NULL};
	switch (port) {
	case 25:
	case 587: return after_lines(bytes, false, "STARTTLS", smtp);
	case 143: return after_lines(bytes, true, "STARTTLS", imap);
	case 110: return after_lines(bytes, false, "STLS", pop3);
	case 389: return after_ldap(bytes);
	case 5432: return after_postgresql(bytes);
	}
	return PARSE_ABSENT;
}

enum parse hello_starttls(uint16_t port, struct cursor bytes, struct hello *out)
{
	enum parse answer = PARSE_OK;
	size_t have = cursor_left(&bytes);
	hello_reset(out);
	/* TLS at once, as on the port's twin */
	if (cursor_peek(&bytes) != 0x16)
		answer = skip_plaintext(port, &bytes);
	if (answer == PARSE_OK) {
		answer = tls_records(bytes, out);
		out->end += have - cursor_left(&bytes);
	}
	out->server_next = answer == PARSE_MORE && out->protocol == PROTOCOL_NONE;
	return answer;
}
