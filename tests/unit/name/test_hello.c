#include "name/first.h"
#include "name/starttls.h"
#include "name/hello.h"
#include "bytes.h"
#include "unit.h"
#include <stdio.h>

BYTES_OF_FILE(curl, "tests/unit/name/data/curl.tls");
#define CURL_LEN ((size_t)(curl_end - curl))

static struct hello hello;
static struct bytes stream;

static enum parse tcp(const void *bytes, size_t len)
{
	uint8_t *copy = exact(bytes, len);
	enum parse answer = first_hello(cursor_of(copy, len), &hello);
	free(copy);
	return answer;
}

static enum parse starttls(uint16_t port, const void *bytes, size_t len)
{
	uint8_t *copy = exact(bytes, len);
	enum parse answer = first_starttls(port, cursor_of(copy, len), &hello);
	free(copy);
	return answer;
}

static void test_protocols(void **state)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n";
	assert_int_equal(tcp(curl, CURL_LEN), PARSE_OK);
	assert_int_equal(hello.protocol, PROTOCOL_TLS);
	assert_string_equal(hello.host.text, "www.feas.test");
	assert_int_equal(tcp(request, sizeof request - 1), PARSE_OK);
	assert_int_equal(hello.protocol, PROTOCOL_HTTP);
	assert_string_equal(hello.host.text, "example.org");
}

/* What the first byte can still become. */
static void test_first_byte(void **state)
{
	assert_int_equal(tcp("", 0), PARSE_MORE);
	for (int c = 0; c < 256; c++) {
		uint8_t byte = (uint8_t)c;
		bool method = c > 32 && c < 127 && !strchr("\"(),/:;<=>?@[\\]{}", c);
		bool may =
			(c >= 0x14 && c <= 0x16) || (c >= '\t' && c <= '\r') || c == ' ' || method;
		if (tcp(&byte, 1) != (may ? PARSE_MORE : PARSE_ABSENT))
			fail_msg("byte %d", c);
	}
}

static void test_others(void **state)
{
	assert_int_equal(tcp("\x05\x01\x00", 3), PARSE_ABSENT);             /* SOCKS 5 */
	assert_int_equal(tcp("\x04\x01\x01\xbb\1\2\3\4", 8), PARSE_ABSENT); /* SOCKS 4 */
	assert_int_equal(tcp("SSH-2.0-OpenSSH_9.2\r\n", 21), PARSE_ABSENT);
	assert_int_equal(tcp("\x16\x10\x01", 3), PARSE_ABSENT);
	assert_int_equal(tcp("\x16\xfe\xfd", 3), PARSE_ABSENT);
	assert_int_equal(tcp("\x17\x03\x03", 3), PARSE_ABSENT);
	/* what some servers overlook in records and before a hello */
	assert_int_equal(tcp("\x16\x02\x01", 3), PARSE_BAD);
	assert_int_equal(tcp("\x14", 1), PARSE_MORE);
	assert_int_equal(tcp("\x14\x03\x03\0\1\1", 6), PARSE_BAD);
	assert_int_equal(tcp("\x15\x03\x01\0\2\1\0", 7), PARSE_BAD);
	assert_int_equal(starttls(25, "STARTTLS\r\n\x14\x03\x03\0\1\1", 16), PARSE_BAD);
	assert_int_equal(starttls(25, "\x14\x03\x03\0\1\1", 6), PARSE_BAD);
}

/* A load balancer's client says first for whom it speaks. */
static void test_proxy_line(void **state)
{
	static const char line[] = "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n";
	stream.len = 0;
	put_text(&stream, line);
	put(&stream, curl, CURL_LEN);
	for (size_t i = 0; i < stream.len; i++)
		assert_int_equal(tcp(stream.at, i), PARSE_MORE);
	assert_int_equal(tcp(stream.at, stream.len), PARSE_OK);
	assert_string_equal(hello.host.text, "www.feas.test");
	assert_int_equal(hello.end, stream.len);
	assert_int_equal(tcp("POST / HTTP/1.1\r\nHost: example.org\r\n\r\n", 38), PARSE_OK);
	assert_string_equal(hello.host.text, "example.org");
}

#define REQUEST "GET / HTTP/1.1\r\nHost: a.org\r\n\r\n"

/* A header, and what it is found to be with a request behind it, however much has come. */
static void expect_header(enum parse want, const char *header, size_t len)
{
	stream.len = 0;
	put(&stream, header, len);
	put_text(&stream, REQUEST);
	for (size_t i = 0; i < stream.len; i++) {
		enum parse got = tcp(stream.at, i);
		if (got != PARSE_MORE && (want != PARSE_BAD || got != want))
			fail_msg("%zu bytes: %d: %s", i, got, header);
	}
	if (tcp(stream.at, stream.len) != want)
		fail_msg("not %d: %s", want, header);
	if (want == PARSE_OK)
		assert_string_equal(hello.host.text, "a.org");
}

#define ADDRESS6 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

static void test_proxy_lines(void **state)
{
	static const char *const lines[] = {
		"TCP4 255.255.255.255 0.0.0.0 65535 0",
		"TCP6 " ADDRESS6 " ::1 65535 65535",
		"TCP6 2001:db8::1 2001:DB8::2 1 2",
		"UNKNOWN",
		"UNKNOWN " ADDRESS6 " " ADDRESS6 " 65535 65535", /* 107 bytes with CRLF */
	};
	static const char *const bad[] = {
		"",
		"TCP4",
		"TCP4 ",
		"TCP4 1.2.3.4 1.2.3.4 1",
		"TCP4 1.2.3.4 1.2.3.4 1 2 3",
		"TCP4 1.2.3.4 1.2.3.4 1 2 ",
		"TCP4  1.2.3.4 1.2.3.4 1 2",
		" TCP4 1.2.3.4 1.2.3.4 1 2",
		"TCP4\t1.2.3.4 1.2.3.4 1 2",
		"TCP4 01.2.3.4 1.2.3.4 1 2",
		"TCP4 1.2.3 1.2.3.4 1 2",
		"TCP4 256.2.3.4 1.2.3.4 1 2",
		"TCP4 ::1 1.2.3.4 1 2",
		"TCP4 1.2.3.4 1.2.3.4 01 2",
		"TCP4 1.2.3.4 1.2.3.4 1 65536",
		"TCP4 1.2.3.4 1.2.3.4 1 100000",
		"TCP4 1.2.3.4 1.2.3.4 +1 2",
		"TCP4 1.2.3.4 1.2.3.4 -1 2",
		"TCP4 1.2.3.4 1.2.3.4 1 x",
		"tcp4 1.2.3.4 1.2.3.4 1 2",
		"TCP5 1.2.3.4 1.2.3.4 1 2",
		"TCP6 1.2.3.4 1.2.3.4 1 2",
		"TCP6 [::1] ::1 1 2",
		"TCP6 ::1%eth0 ::1 1 2",
		"TCP6 ::g ::1 1 2",
		"UNKNOWN " ADDRESS6 " " ADDRESS6 " 65535 65535 ", /* 108 */
		"UNKNOWN http://b.org/ HTTP/1.0",
		"UNKNOWN HTTP/1.0",
		"UNKNOWNS",
		"UDP4 1.2.3.4 1.2.3.4 1 2",
		"http://b.org/x HTTP/1.0",
		"/ HTTP/1.1",
	};
	char text[200];
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		int len = snprintf(text, sizeof text, "PROXY %s\r\n", lines[i]);
		expect_header(PARSE_OK, text, (size_t)len);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		int len = snprintf(text, sizeof text, "PROXY %s\r\n", bad[i]);
		expect_header(PARSE_BAD, text, (size_t)len);
	}
	expect_header(PARSE_BAD, "PROXY TCP4 1.2.3.4 1.2.3.4 1 22\n", 32);
	expect_header(PARSE_BAD, "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r\n", 33);
	expect_header(PARSE_BAD, "PROXY TCP4 1.2.3.4 1.2.3.4 1\0 2\r\n", 34);
	expect_header(PARSE_BAD, "PROXY UNKNOWN \0\r\n", 17);
}

/* A line without its end is waited for up to the longest that there may be, and no byte longer. */
static void test_proxy_line_without_end(void **state)
{
	char line[107];
	memset(line, 'x', sizeof line);
	memcpy(line, "PROXY UNKNOWN ", 14);
	assert_int_equal(tcp(line, sizeof line - 1), PARSE_MORE);
	assert_int_equal(tcp(line, sizeof line), PARSE_BAD);
}

#define V2(command, family, len) "\r\n\r\n\0\r\nQUIT\n" command family "\0" len
#define TWELVE                   "\1\2\3\4\1\2\3\4\0\1\0\2"
#define HEADER(want, text)       expect_header(want, text, sizeof text - 1)

static void test_proxy_binary(void **state)
{
	static const char block[512];
	static char header[600];
	HEADER(PARSE_OK, V2("\x21", "\x11", "\x0c") TWELVE);
	HEADER(PARSE_OK, V2("\x21", "\x12", "\x0c") TWELVE);
	HEADER(PARSE_OK, V2("\x20", "\0", "\0"));
	HEADER(PARSE_OK, V2("\x20", "\x11", "\3") "abc");
	HEADER(PARSE_OK, V2("\x21", "\0", "\5") "abcde");
	HEADER(PARSE_OK, V2("\x21", "\x11", "\x10") TWELVE "\4\0\1x");
	HEADER(PARSE_OK, V2("\x21", "\x11", "\x12") TWELVE "\4\0\0\5\0\0");
	HEADER(PARSE_BAD, V2("\x21", "\x11", "\x0e") TWELVE "\4\0");
	HEADER(PARSE_BAD, V2("\x21", "\x11", "\x10") TWELVE "\4\0\2x");
	HEADER(PARSE_BAD, V2("\x21", "\x11", "\x0b") TWELVE);
	HEADER(PARSE_BAD, V2("\x21", "\x10", "\x0c") TWELVE);
	HEADER(PARSE_BAD, V2("\x21", "\x41", "\x0c") TWELVE);
	HEADER(PARSE_BAD, V2("\x22", "\x11", "\x0c") TWELVE);
	HEADER(PARSE_BAD, V2("\x11", "\x11", "\x0c") TWELVE);
	for (size_t i = 0; i < 3; i++) {
		static const struct {
			uint8_t family, len;
		} kinds[] = {{0x21, 36}, {0x22, 36}, {0x31, 216}};
		memcpy(header, V2("\x21", "\0", "\0"), 16);
		header[13] = (char)kinds[i].family;
		header[15] = (char)kinds[i].len;
		memcpy(header + 16, block, kinds[i].len);
		expect_header(PARSE_OK, header, 16u + kinds[i].len);
		header[15]--;
		expect_header(PARSE_BAD, header, 16u + kinds[i].len);
	}
}

struct plaintext {
	uint16_t port;
	const char *text;
	size_t len;
};

#define PLAIN(port, text)                                                                          \
	{                                                                                          \
		port, text, sizeof(text) - 1                                                       \
	}
#define LDAP_STARTTLS                                                                              \
	"\x30\x1d\x02\x01\x01\x77\x18\x80\x16"                                                     \
	"1.3.6.1.4.1.1466.20037"
#define LDAP_SEARCH "\x30\x0c\x02\x01\x02\x63\x07\x04\x00\x0a\x01\x00\x0a\x00"
#define LDAP_BELOW  "\x30\x0c\x02\x01\x02\x63\x07\x04\x00\x0a\x01\x02\x0a\x00"
#define LDAP_NAMED  "\x30\x0d\x02\x01\x02\x63\x08\x04\x01x\x0a\x01\x00\x0a\x00"
#define LDAP_WHOAMI                                                                                \
	"\x30\x1e\x02\x01\x01\x77\x19\x80\x17"                                                     \
	"1.3.6.1.4.1.4203.1.11.3"
#define MYSQL(caps)                                                                                \
	"\x20\0\0\1\x05" caps "\xff\x81\0\0\0\1\x21"                                               \
	"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define XMPP      "<?xml version='1.0'?><stream:stream to='a.org' xmlns='jabber:client' version='1.0'>"
#define LDAP_BIND "\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"

static const struct plaintext good[] = {
	PLAIN(25, "EHLO a.org\r\nSTARTTLS\r\n"),
	PLAIN(587, "ehlo a.org\r\nnoop\r\nstarttls\r\n"),
	PLAIN(25, "HELO a\nSTARTTLS\n"),
	PLAIN(25, ""),
	PLAIN(143, "a001 CAPABILITY\r\na002 STARTTLS\r\n"),
	PLAIN(143, "1 id (\"name\" \"x\")\r\n2 starttls\r\n"),
	PLAIN(110, "CAPA\r\nSTLS\r\n"),
	PLAIN(110, "STLS\r\n"),
	PLAIN(389, LDAP_STARTTLS),
	PLAIN(389, LDAP_SEARCH LDAP_STARTTLS),
	PLAIN(389, "\x30\x84\0\0\0\x1d\x02\x01\x01\x77\x18\x80\x16"
		   "1.3.6.1.4.1.1466.20037"),
	PLAIN(5432, "\0\0\0\x8\x4\xd2\x16\x2f"),
	PLAIN(5432, "\0\0\0\x8\x4\xd2\x16\x30\0\0\0\x8\x4\xd2\x16\x2f"),
	PLAIN(5432, "\0\0\0\x8\x4\xd2\x16\x2f\0\0\0\x8\x4\xd2\x16\x30\0\0\0\x8\x4\xd2\x16\x2f"),
	PLAIN(21, "AUTH SSL\r\nAUTH TLS\r\n"),
	PLAIN(21, "FEAT\r\nopts utf8 on\r\nauth tls-c\r\n"),
	PLAIN(24, "LHLO a.org\r\nSTARTTLS\r\n"),
	PLAIN(2525,
	      "EHLO a.org\r\nXCLIENT NAME=b.org ADDR=192.0.2.1\r\nEHLO a.org\r\nSTARTTLS \r\n"),
	PLAIN(110, "AUTH\r\nCAPA\r\nSTLS\r\n"),
	PLAIN(110, "UTF8\r\nLANG en-GB\r\nSTLS\r\n"),
	PLAIN(119, "CAPABILITIES\r\nMODE READER\r\nSTARTTLS\r\n"),
	PLAIN(143, "2 ID (\"name\" {6+}\r\nclient \"version\" {3+}\r\n1.0)\r\n3 STARTTLS\r\n"),
	PLAIN(143, "2 ID (\"a\" {6}\r\nab{9}x y z)\r\n3 STARTTLS\r\n"),
	PLAIN(143, "2 ID NIL\r\n3 STARTTLS\r\n"),
	PLAIN(389, LDAP_BIND LDAP_STARTTLS),
	PLAIN(389, LDAP_SEARCH LDAP_BIND LDAP_STARTTLS),
	PLAIN(3306, MYSQL("\xae")),
	PLAIN(4190, "CAPABILITY\r\nNOOP \"x\"\r\nSTARTTLS\r\n"),
	PLAIN(4190, "NOOP {2+}\r\nab\r\nSTARTTLS\r\n"),
	PLAIN(5222, XMPP "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
	PLAIN(5269, XMPP "\n<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'></starttls>\n"),
	PLAIN(5222, XMPP "<starttls/>"),
	PLAIN(6667, "CAP LS 302\r\nSTARTTLS\r\n"),
};

static const struct plaintext other[] = {
	PLAIN(25, "EHLO a.org\r\nMAIL FROM:<a@b.org>\r\n"),
	PLAIN(25, "EHLO a.org\r\nSTARTTLS\r\nMAIL FROM:<a@b.org>\r\n"),
	PLAIN(25, "EHLO a.org\r\nAUTH PLAIN x\r\n"),
	PLAIN(25, "\r\n"),
	PLAIN(143, "a001 LOGIN a b\r\n"),
	PLAIN(143, "STARTTLS\r\n"),
	PLAIN(110, "USER a\r\n"),
	PLAIN(389, LDAP_BELOW),
	PLAIN(389, LDAP_NAMED),
	PLAIN(389, LDAP_WHOAMI),
	PLAIN(389, LDAP_BIND LDAP_BELOW LDAP_STARTTLS),
	PLAIN(389, LDAP_STARTTLS LDAP_SEARCH),
	PLAIN(389, "GET / HTTP/1.1\r\n"),
	PLAIN(389, "\x30\x80\x02\x01\x01"),
	PLAIN(389, "\x30\x84\x01\0\0\0"),
	PLAIN(5432, "\0\0\0\x40\0\3\0\0user"),
	PLAIN(5432, "\0\0\0\x8\x4\xd2\x16\x2e"),
	PLAIN(5432, "x"),
	PLAIN(443, "EHLO a.org\r\nSTARTTLS\r\n"),
	PLAIN(21, "USER ann\r\n"),
	PLAIN(21, "AUTH\r\n"),
	PLAIN(21, "HOST b.org\r\nAUTH TLS\r\n"),
	PLAIN(25, "EHLO http://b.org/ HTTP/1.0\r\nSTARTTLS\r\n"),
	PLAIN(25, "EHLO\r\n"),
	PLAIN(25, "STARTTLS x\r\n"),
	PLAIN(110, "AUTH PLAIN\r\n"),
	PLAIN(110, "AUTH PLAIN x\r\nSTLS\r\n"),
	PLAIN(119, "GROUP a\r\n"),
	PLAIN(143, "2 ID {6}\r\nclient\r\n3 LOGIN {3}\r\nann\r\n"),
	PLAIN(143, "2 ID {x}\r\nabc\r\n"),
	PLAIN(3306, MYSQL("\xa6")),
	PLAIN(3306, "\x21\0\0\1\x05\xae\xff\x81"),
	PLAIN(3306, "\x20\0\0\2\x05\xae\xff\x81"),
	PLAIN(4190, "AUTHENTICATE \"PLAIN\" \"x\"\r\n"),
	PLAIN(5222, XMPP "<auth>"),
	PLAIN(5222, XMPP "<starttls/><auth>"),
	PLAIN(5222, XMPP "x"),
	PLAIN(6667, "NICK ann\r\n"),
};

/* The server is heard next where whole requests, or a literal's announcement, have come; half a
 * request is no prelude yet. */
static bool is_whole(const struct plaintext *p, size_t len)
{
	if (len == 0 || len == p->len)
		return true;
	if (len > p->len)
		return false;
	switch (p->port) {
	case 389: return p->text[len] == 0x30 && p->text[len + 2] == 2;
	case 5432: return len % 8 == 0;
	case 3306: return false;
	case 5222:
	case 5269: return p->text[len - 1] == '>' || p->text[len - 1] == '\n';
	}
	return p->text[len - 1] == '\n';
}

static void test_starttls(void **state)
{
	for (size_t n = 0; n < sizeof good / sizeof *good; n++) {
		stream.len = 0;
		put(&stream, good[n].text, good[n].len);
		put(&stream, curl, CURL_LEN);
		for (size_t i = 0; i < stream.len; i++)
			if (starttls(good[n].port, stream.at, i) != PARSE_MORE ||
			    hello.server_next != is_whole(&good[n], i))
				fail_msg("example %zu, %zu bytes", n, i);
		assert_int_equal(starttls(good[n].port, stream.at, stream.len), PARSE_OK);
		assert_string_equal(hello.host.text, "www.feas.test");
	}
}

static void test_no_starttls(void **state)
{
	for (size_t n = 0; n < sizeof other / sizeof *other; n++)
		if (starttls(other[n].port, other[n].text, other[n].len) != PARSE_ABSENT)
			fail_msg("example %zu", n);
}

/* A prelude has 4,096 bytes, and no cut makes it more. */
static void test_prelude_max(void **state)
{
	stream.len = 0;
	put_text(&stream, "EHLO ");
	while (stream.len < 4096 - 12)
		put_text(&stream, "x");
	put_text(&stream, "\r\nSTARTTLS\r\n");
	put(&stream, curl, CURL_LEN);
	assert_int_equal(starttls(25, stream.at, 4096), PARSE_MORE);
	assert_int_equal(starttls(25, stream.at, stream.len), PARSE_OK);
	stream.len = 0;
	put_text(&stream, "EHLO x");
	while (stream.len < 4096 - 11)
		put_text(&stream, "x");
	put_text(&stream, "\r\nSTARTTLS\r\n");
	put(&stream, curl, CURL_LEN);
	for (size_t len = 0; len <= stream.len; len++)
		if (starttls(25, stream.at, len) != (len > 4096 ? PARSE_ABSENT : PARSE_MORE))
			fail_msg("%zu bytes", len);
}

static void test_ports(void **state)
{
	unsigned count = 0;
	for (unsigned port = 0; port < 65536; port++)
		count += starttls_at((uint16_t)port);
	assert_int_equal(count, starttls_port_count);
	assert_in_range(count, 1, 15); /* iptables' multiport has no room for more */
	for (size_t i = 0; i < count; i++) {
		bool has_example = false;
		for (size_t n = 0; n < sizeof good / sizeof *good; n++)
			has_example |= good[n].port == starttls_ports[i];
		if (!has_example)
			fail_msg("no example of port %d", starttls_ports[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_protocols),    cmocka_unit_test(test_first_byte),
		cmocka_unit_test(test_others),       cmocka_unit_test(test_proxy_line),
		cmocka_unit_test(test_proxy_lines),  cmocka_unit_test(test_proxy_line_without_end),
		cmocka_unit_test(test_proxy_binary), cmocka_unit_test(test_prelude_max),
		cmocka_unit_test(test_starttls),     cmocka_unit_test(test_no_starttls),
		cmocka_unit_test(test_ports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
