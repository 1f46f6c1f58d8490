#include "name/hello.h"
#include "bytes.h"
#include "unit.h"

BYTES_OF_FILE(curl, "tests/unit/name/data/curl.tls");
#define CURL_LEN ((size_t)(curl_end - curl))

static struct hello hello;
static struct bytes stream;

static enum parse tcp(const void *bytes, size_t len)
{
	uint8_t *copy = exact(bytes, len);
	enum parse answer = hello_tcp(cursor_of(copy, len), &hello);
	free(copy);
	return answer;
}

static enum parse starttls(uint16_t port, const void *bytes, size_t len)
{
	uint8_t *copy = exact(bytes, len);
	enum parse answer = hello_starttls(port, cursor_of(copy, len), &hello);
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
		bool may = c == 0x16 || c == '\r' || c == '\n' || method;
		if (tcp(&byte, 1) != (may ? PARSE_MORE : PARSE_ABSENT))
			fail_msg("byte %d", c);
	}
}

static void test_others(void **state)
{
	assert_int_equal(tcp("\x05\x01\x00", 3), PARSE_ABSENT);             /* SOCKS 5 */
	assert_int_equal(tcp("\x04\x01\x01\xbb\1\2\3\4", 8), PARSE_ABSENT); /* SOCKS 4 */
	assert_int_equal(tcp("CONNECT a.org:443 HTTP/1.1\r\n\r\n", 30), PARSE_ABSENT);
	assert_int_equal(tcp("SSH-2.0-OpenSSH_9.2\r\n", 21), PARSE_ABSENT);
	assert_int_equal(tcp("\x16\x02\x01", 3), PARSE_ABSENT);
	assert_int_equal(tcp("\x17\x03\x03", 3), PARSE_ABSENT);
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
	stream.len = 0;
	put_text(&stream, "PROXY ");
	while (stream.len < 107)
		put_text(&stream, "x");
	assert_int_equal(tcp(stream.at, 106), PARSE_MORE);
	assert_int_equal(tcp("POST / HTTP/1.1\r\nHost: example.org\r\n\r\n", 38), PARSE_OK);
	assert_string_equal(hello.host.text, "example.org");
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
#define LDAP_BIND   "\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"

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
};

static const struct plaintext other[] = {
	PLAIN(25, "EHLO a.org\r\nMAIL FROM:<a@b.org>\r\n"),
	PLAIN(25, "EHLO a.org\r\nSTARTTLS\r\nMAIL FROM:<a@b.org>\r\n"),
	PLAIN(25, "EHLO a.org\r\nAUTH PLAIN x\r\n"),
	PLAIN(25, "\r\n"),
	PLAIN(143, "a001 LOGIN a b\r\n"),
	PLAIN(143, "STARTTLS\r\n"),
	PLAIN(110, "USER a\r\n"),
	PLAIN(389, LDAP_BIND),
	PLAIN(389, LDAP_SEARCH LDAP_BIND),
	PLAIN(389, "GET / HTTP/1.1\r\n"),
	PLAIN(389, "\x30\x80\x02\x01\x01"),
	PLAIN(389, "\x30\x84\x01\0\0\0"),
	PLAIN(5432, "\0\0\0\x40\0\3\0\0user"),
	PLAIN(5432, "\0\0\0\x8\x4\xd2\x16\x2e"),
	PLAIN(5432, "x"),
	PLAIN(443, "EHLO a.org\r\nSTARTTLS\r\n"),
};

static void test_starttls(void **state)
{
	for (size_t n = 0; n < sizeof good / sizeof *good; n++) {
		stream.len = 0;
		put(&stream, good[n].text, good[n].len);
		put(&stream, curl, CURL_LEN);
		for (size_t i = 0; i < stream.len; i++)
			if (starttls(good[n].port, stream.at, i) != PARSE_MORE ||
			    hello.server_next != (i <= good[n].len))
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
	stream.len = 0;
	while (stream.len <= 4096)
		put_text(&stream, "EHLO ");
	assert_int_equal(starttls(25, stream.at, stream.len), PARSE_ABSENT);
}

static void test_ports(void **state)
{
	unsigned count = 0;
	for (unsigned port = 0; port < 65536; port++)
		count += hello_has_starttls((uint16_t)port);
	assert_int_equal(count, 6);
	for (size_t n = 0; n < sizeof good / sizeof *good; n++)
		assert_true(hello_has_starttls(good[n].port));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_protocols), cmocka_unit_test(test_first_byte),
		cmocka_unit_test(test_others),    cmocka_unit_test(test_proxy_line),
		cmocka_unit_test(test_starttls),  cmocka_unit_test(test_no_starttls),
		cmocka_unit_test(test_ports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
