#include "name/proxy.h"

#include <arpa/inet.h>

enum { LINE_LENGTH_MAX = 107 }; /* of version 1, with CRLF (2.1) */

/* Whether the bytes are the text's, or a beginning of it (PARSE_MORE). */
static enum parse begins_with(const struct cursor *bytes, const char *text, size_t len)
{
	size_t have = cursor_left(bytes) < len ? cursor_left(bytes) : len;
	if (have && memcmp(bytes->pos, text, have) != 0)
		return PARSE_ABSENT;
	return have < len ? PARSE_MORE : PARSE_OK;
}

/* An address as inet_pton takes it: no other form is allowed, nor a leading zero in IPv4. */
static bool read_address(struct cursor *line, int family)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr unused;
	return cursor_field(line, ' ', text, sizeof text) && inet_pton(family, text, &unused) == 1;
}

/* A port of 0 to 65535 without leading zeros, the whole field. */
static bool read_port(struct cursor *line)
{
	char text[6];
	unsigned port = 0;
	if (!cursor_field(line, ' ', text, sizeof text) || !*text || (*text == '0' && text[1]))
		return false;
	for (const char *c = text; *c; c++) {
		if (*c < '0' || *c > '9')
			return false;
		port = port * 10 + (unsigned)(*c - '0');
	}
	return port <= 65535;
}

/* What stands on a line of UNKNOWN is for nobody to read (2.1). Only what could be addresses and
 * ports is let stand there, so that none reads a request. */
static bool read_unknown(struct cursor line)
{
	while (cursor_left(&line)) {
		uint8_t c = cursor_u8(&line);
		if (!c || !strchr("0123456789abcdefABCDEF:. ", c))
			return false;
	}
	return true;
}

/* The line behind "PROXY ", without its end. */
static bool read_line(struct cursor line)
{
	char protocol[8];
	bool more = memchr(line.pos, ' ', cursor_left(&line));
	if (!cursor_field(&line, ' ', protocol, sizeof protocol))
		return false;
	if (strcmp(protocol, "UNKNOWN") == 0)
		return read_unknown(line);
	int family = strcmp(protocol, "TCP4") == 0   ? AF_INET
		     : strcmp(protocol, "TCP6") == 0 ? AF_INET6
						     : AF_UNSPEC;
	if (family == AF_UNSPEC || !more || (cursor_left(&line) && line.end[-1] == ' '))
		return false;
	return read_address(&line, family) && read_address(&line, family) && read_port(&line) &&
	       read_port(&line) && cursor_left(&line) == 0;
}

static enum parse version1(struct cursor *bytes)
{
	static const char prefix[] = "PROXY ";
	enum { PREFIX_LEN = sizeof prefix - 1 };
	enum parse answer = begins_with(bytes, prefix, PREFIX_LEN);
	if (answer != PARSE_OK)
		return answer;
	size_t have = cursor_left(bytes);
	const uint8_t *end =
		memchr(bytes->pos, '\n', have < LINE_LENGTH_MAX ? have : LINE_LENGTH_MAX);
	if (!end)
		return have < LINE_LENGTH_MAX ? PARSE_MORE : PARSE_BAD;
	struct cursor line = cursor_sub(bytes, (size_t)(end - bytes->pos));
	cursor_u8(bytes);
	cursor_skip(&line, PREFIX_LEN);
	if (!cursor_left(&line) || line.end[-1] != '\r')
		return PARSE_BAD;
	line.end--;
	return read_line(line) ? PARSE_OK : PARSE_BAD;
}

/* The bytes of an address block by family (2.2), SIZE_MAX where there is none such. */
static size_t block_len(uint8_t family)
{
	switch (family) {
	case 0x00: return 0;
	case 0x11:
	case 0x12: return 12;
	case 0x21:
	case 0x22: return 36;
	case 0x31:
	case 0x32: return 216;
	}
	return SIZE_MAX;
}

/* The binary header: signature, version and command, family, length; addresses, TLVs. LOCAL, and a
 * family that is not said, may have anything behind it, which is skipped. */
static enum parse version2(struct cursor *bytes)
{
	static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";
	enum { SIGNATURE_LEN = sizeof signature - 1, LOCAL = 0x20, PROXY = 0x21 };
	enum parse answer = begins_with(bytes, signature, SIGNATURE_LEN);
	if (answer != PARSE_OK)
		return answer;
	struct cursor c = *bytes;
	cursor_skip(&c, SIGNATURE_LEN);
	uint8_t command = cursor_u8(&c), family = cursor_u8(&c);
	uint16_t len = cursor_u16(&c);
	if (c.bad)
		return PARSE_MORE;
	bool proxied = command == PROXY && family != 0;
	if ((command != LOCAL && command != PROXY) || block_len(family) == SIZE_MAX)
		return PARSE_BAD;
	struct cursor block = cursor_sub(&c, len);
	if (c.bad)
		return PARSE_MORE;
	*bytes = c;
	if (!proxied)
		return PARSE_OK;
	cursor_skip(&block, block_len(family));
	while (cursor_left(&block)) {
		cursor_u8(&block);
		cursor_skip(&block, cursor_u16(&block));
	}
	return block.bad ? PARSE_BAD : PARSE_OK;
}

enum parse proxy_header(struct cursor *bytes)
{
	if (cursor_left(bytes) == 0)
		return PARSE_MORE;
	enum parse answer = version1(bytes);
	return answer == PARSE_ABSENT ? version2(bytes) : answer;
}
