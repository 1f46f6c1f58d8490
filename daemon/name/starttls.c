#include "name/starttls.h"

#include "name/tls.h"

#define WORD_MAX 16 /* with its NUL; no command is as long */

const uint16_t starttls_ports[] = {21,   24,   25,   110,  119,  143,  389, 587,
				   2525, 3306, 4190, 5222, 5269, 5432, 6667};
const size_t starttls_port_count = sizeof starttls_ports / sizeof starttls_ports[0];

bool starttls_at(uint16_t port)
{
	for (size_t i = 0; i < starttls_port_count; i++)
		if (starttls_ports[i] == port)
			return true;
	return false;
}

/* Commands in lines: the one that asks for TLS (with an argument where ask_with is set), and what
 * else may come before it, alone or with arguments. */
struct dialect {
	const char *ask;
	bool ask_with, tagged, literals;
	const char *alone[5], *with[6];
};

/* FTP (RFC 4217: AUTH TLS), POP3 (RFC 2595, RFC 1734's bare AUTH, RFC 6856), SMTP and LMTP (RFC
 * 3207; XCLIENT of Postfix), NNTP (RFC 4642), IMAP (RFC 9051, ID of RFC 2971), ManageSieve (RFC
 * 5804), IRC (IRCv3's tls). FTP's HOST names a host in clear, so it is none of these. */
static const struct dialect ftp = {"AUTH",          true, false, false, {"FEAT", "NOOP", "SYST"},
				   {"OPTS", "CLNT"}};
static const struct dialect pop3 = {"STLS",  false, false, false, {"CAPA", "AUTH", "NOOP", "UTF8"},
				    {"LANG"}};
static const struct dialect smtp = {"STARTTLS",
				    false,
				    false,
				    false,
				    {"NOOP", "RSET", "HELP"},
				    {"EHLO", "HELO", "LHLO", "XCLIENT", "NOOP"}};
static const struct dialect nntp = {"STARTTLS",
				    false,
				    false,
				    false,
				    {"CAPABILITIES", "DATE", "HELP"},
				    {"CAPABILITIES", "MODE"}};
static const struct dialect imap = {"STARTTLS", false, true, true, {"CAPABILITY", "NOOP"}, {"ID"}};
static const struct dialect sieve = {"STARTTLS", false, false, true, {"CAPABILITY", "NOOP"},
				     {"NOOP"}};
static const struct dialect irc = {"STARTTLS", false, false, false, {NULL}, {"CAP"}};

/* The next line without its end; PARSE_MORE: it has none yet. */
static enum parse next_line(struct cursor *bytes, struct cursor *line)
{
	size_t have = cursor_left(bytes);
	const uint8_t *end = have ? memchr(bytes->pos, '\n', have) : NULL;
	if (!end)
		return PARSE_MORE;
	size_t len = (size_t)(end - bytes->pos);
	*line = cursor_sub(bytes, len);
	cursor_u8(bytes);
	if (len && line->end[-1] == '\r')
		line->end--;
	return PARSE_OK;
}

/* The next word of a line, in upper case and cut to its size. */
static void next_word(struct cursor *line, char word[static WORD_MAX])
{
	size_t len = 0;
	while (cursor_peek(line) == ' ')
		cursor_u8(line);
	while (cursor_left(line) && cursor_peek(line) != ' ') {
		uint8_t c = cursor_u8(line);
		if (len < WORD_MAX - 1)
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

/* Bytes of the literal that a line announces at its end, {n} or {n+} (RFC 9051 4.3, RFC 7888); 0
 * where there is none. */
static size_t literal_len(const struct cursor *line)
{
	const uint8_t *open = memrchr(line->pos, '{', cursor_left(line));
	size_t len = 0, digits = 0;
	if (!open || line->end[-1] != '}')
		return 0;
	struct cursor c = {open + 1, line->end - 1, false};
	for (; cursor_peek(&c) >= '0' && cursor_peek(&c) <= '9' && digits < 6; digits++)
		len = len * 10 + (size_t)(cursor_u8(&c) - '0');
	if (cursor_peek(&c) == '+')
		cursor_u8(&c);
	return digits && cursor_left(&c) == 0 ? len : 0;
}

/* The lines that go on with a command behind its literals. *bytes moves past what has come whole:
 * before a literal the server may have to be heard. */
static enum parse skip_literals(struct cursor *bytes, struct cursor line)
{
	size_t len;
	while ((len = literal_len(&line)) > 0) {
		struct cursor c = *bytes;
		if (!cursor_skip(&c, len))
			return PARSE_MORE;
		if (next_line(&c, &line) != PARSE_OK)
			return PARSE_MORE;
		*bytes = c;
	}
	return PARSE_OK;
}

/* A request of HTTP is a line, too, and EHLO a method to some. */
static bool may_be_http(const struct cursor *line)
{
	return memmem(line->pos, cursor_left(line), "HTTP/", 5);
}

/* Lines until the one that asks for TLS, after which nothing comes in clear: a server that refuses
 * has its client go on. */
static enum parse after_lines(struct cursor *bytes, const struct dialect *d)
{
	for (;;) {
		struct cursor line;
		char word[WORD_MAX];
		if (next_line(bytes, &line) != PARSE_OK)
			return PARSE_MORE;
		struct cursor whole = line;
		next_word(&line, word);
		if (d->tagged)
			next_word(&line, word);
		while (cursor_peek(&line) == ' ')
			cursor_u8(&line);
		bool alone = cursor_left(&line) == 0;
		bool asks = strcmp(word, d->ask) == 0 && alone != d->ask_with;
		if (may_be_http(&whole) || (!asks && !is_one_of(word, alone ? d->alone : d->with)))
			return PARSE_ABSENT;
		if (d->literals && skip_literals(bytes, whole) != PARSE_OK)
			return PARSE_MORE;
		if (asks && (cursor_left(bytes) == 0 || tls_may_begin(cursor_peek(bytes))))
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

static bool is_starttls_request(struct cursor body)
{
	static const char oid[] = "1.3.6.1.4.1.1466.20037";
	if (cursor_u8(&body) != 0x80)
		return false;
	struct cursor name = cursor_sub(&body, ber_length(&body));
	return cursor_left(&name) == sizeof oid - 1 && memcmp(name.pos, oid, sizeof oid - 1) == 0;
}

/* A search of the root entry alone (RFC 4512 5.1), where a server says what it can: an empty base,
 * scope baseObject. */
static bool is_root_search(struct cursor body)
{
	return cursor_u8(&body) == 4 && cursor_u8(&body) == 0 && cursor_u8(&body) == 0x0a &&
	       cursor_u8(&body) == 1 && cursor_u8(&body) == 0 && !body.bad;
}

/* LDAP (RFC 4511 4.14): messages until the extended request of StartTLS; a client may read the root
 * entry or bind before it. */
static enum parse after_ldap(struct cursor *bytes)
{
	enum { SEQUENCE = 0x30, INTEGER = 2 };
	enum { BIND = 0x60, SEARCH = 0x63, ABANDON = 0x50, EXTENDED = 0x77 };
	for (;;) {
		struct cursor c = *bytes;
		if (cursor_left(&c) && cursor_u8(&c) != SEQUENCE)
			return PARSE_ABSENT;
		size_t len = ber_length(&c);
		if (len == SIZE_MAX)
			return PARSE_ABSENT;
		if (c.bad || len > cursor_left(&c))
			return len > STARTTLS_PRELUDE_MAX ? PARSE_ABSENT : PARSE_MORE;
		struct cursor message = cursor_sub(&c, len);
		if (cursor_u8(&message) != INTEGER)
			return PARSE_ABSENT;
		cursor_skip(&message, ber_length(&message));
		uint8_t operation = cursor_u8(&message);
		struct cursor body = cursor_sub(&message, ber_length(&message));
		*bytes = c;
		if (operation == EXTENDED && is_starttls_request(body))
			return PARSE_OK;
		if (operation != BIND && operation != ABANDON &&
		    (operation != SEARCH || !is_root_search(body)))
			return PARSE_ABSENT;
	}
}

/* PostgreSQL's SSLRequest, which a GSSENCRequest may precede, or follow where it is refused. */
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
		if (code == SSL && (cursor_left(&c) == 0 || tls_may_begin(cursor_peek(&c))))
			return PARSE_OK;
	}
}

static uint32_t little_endian(struct cursor *c, int size)
{
	uint32_t value = 0;
	for (int i = 0; i < size; i++)
		value |= (uint32_t)cursor_u8(c) << (8 * i);
	return value;
}

/* MySQL's SSLRequest, by which a client answers the greeting: a handshake response that ends before
 * the user's name, with CLIENT_SSL (0x800). */
static enum parse after_mysql(struct cursor *bytes)
{
	enum { BODY_LEN = 32, SEQUENCE = 1, CLIENT_SSL = 0x800 };
	struct cursor c = *bytes;
	uint32_t len = little_endian(&c, 3);
	uint8_t sequence = cursor_u8(&c);
	uint32_t capabilities = little_endian(&c, 4);
	if (c.bad)
		return PARSE_MORE;
	if (len != BODY_LEN || sequence != SEQUENCE || !(capabilities & CLIENT_SSL))
		return PARSE_ABSENT;
	if (!cursor_skip(&c, BODY_LEN - 4))
		return PARSE_MORE;
	*bytes = c;
	return PARSE_OK;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The name of the tag that begins at *bytes, which moves past it. */
static enum parse next_tag(struct cursor *bytes, char name[static WORD_MAX])
{
	size_t len = 0;
	struct cursor c = *bytes;
	if (cursor_left(&c) && cursor_u8(&c) != '<')
		return PARSE_ABSENT;
	const uint8_t *end = cursor_left(&c) ? memchr(c.pos, '>', cursor_left(&c)) : NULL;
	if (!end)
		return PARSE_MORE;
	struct cursor tag = cursor_sub(&c, (size_t)(end - c.pos));
	cursor_u8(&c);
	while (cursor_left(&tag) && len < WORD_MAX - 1 && !is_space(cursor_peek(&tag)))
		name[len++] = (char)cursor_u8(&tag);
	if (len && name[len - 1] == '/' && cursor_left(&tag) == 0)
		len--;
	name[len] = 0;
	*bytes = c;
	return PARSE_OK;
}

/* XMPP (RFC 6120 5.4): a stream's header, then <starttls/>. */
static enum parse after_xmpp(struct cursor *bytes)
{
	static const char *const tags[] = {"?xml", "stream:stream", "starttls", "/starttls", NULL};
	bool asked = false;
	for (;;) {
		char name[WORD_MAX];
		while (is_space(cursor_peek(bytes)))
			cursor_u8(bytes);
		if (asked && tls_may_begin(cursor_peek(bytes)))
			return PARSE_OK;
		enum parse answer = next_tag(bytes, name);
		if (answer != PARSE_OK)
			return answer;
		if (!is_one_of(name, tags))
			return PARSE_ABSENT;
		asked |= strcmp(name, "starttls") == 0;
	}
}

static enum parse skip_prelude(uint16_t port, struct cursor *bytes)
{
	switch (port) {
	case 21: return after_lines(bytes, &ftp);
	case 24:
	case 25:
	case 587:
	case 2525: return after_lines(bytes, &smtp);
	case 110: return after_lines(bytes, &pop3);
	case 119: return after_lines(bytes, &nntp);
	case 143: return after_lines(bytes, &imap);
	case 389: return after_ldap(bytes);
	case 3306: return after_mysql(bytes);
	case 4190: return after_lines(bytes, &sieve);
	case 5222:
	case 5269: return after_xmpp(bytes);
	case 5432: return after_postgresql(bytes);
	case 6667: return after_lines(bytes, &irc);
	}
	return PARSE_ABSENT;
}

enum parse starttls_prelude(uint16_t port, struct cursor *bytes)
{
	size_t have = cursor_left(bytes);
	size_t len = have < STARTTLS_PRELUDE_MAX ? have : STARTTLS_PRELUDE_MAX;
	struct cursor prelude = {bytes->pos, bytes->pos + len, false};
	enum parse answer = skip_prelude(port, &prelude);
	cursor_skip(bytes, len - cursor_left(&prelude));
	return answer == PARSE_MORE && have > len ? PARSE_ABSENT : answer;
}
