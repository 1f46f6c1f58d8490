#include "../../http_requests.h"
#include "name/http.h"
#include "bytes.h"
#include "unit.h"
#include <nghttp2/nghttp2.h>

BYTES_OF_FILE(curl_h2c, "tests/unit/name/data/curl-h2c.http");

static struct hello hello;

static enum parse request(const void *bytes, size_t len)
{
	uint8_t *copy = exact(bytes, len);
	enum parse answer = http_request(cursor_of(copy, len), &hello);
	free(copy);
	return answer;
}

struct example {
	const char *bytes;
	const char *host; /* NULL: not a request of this kind; see want */
	enum parse want;
	enum hello_name name;
};

#define OK(bytes, host)                                                                            \
	{                                                                                          \
		bytes, host, PARSE_OK, HELLO_NAME_OK                                               \
	}
#define NO_NAME(bytes)                                                                             \
	{                                                                                          \
		bytes, "", PARSE_OK, HELLO_NAME_ABSENT                                             \
	}
#define BAD_NAME(bytes)                                                                            \
	{                                                                                          \
		bytes, "", PARSE_OK, HELLO_NAME_BAD                                                \
	}
#define MALFORMED(bytes)                                                                           \
	{                                                                                          \
		bytes, "", PARSE_BAD, 0                                                            \
	}
#define OTHER(bytes)                                                                               \
	{                                                                                          \
		bytes, "", PARSE_ABSENT, 0                                                         \
	}
#define UNFINISHED(bytes)                                                                          \
	{                                                                                          \
		bytes, "", PARSE_MORE, 0                                                           \
	}

static const struct example examples[] = {
	OK("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", "example.org"),
	OK("GET / HTTP/1.1\r\nA: b\r\nhOST:Example.ORG.:8080\r\nC: d\r\n\r\n", "example.org"),
	OK("GET / HTTP/1.1\r\nHost: \t example.org \t\r\n\r\n", "example.org"),
	OK("GET / HTTP/1.1\r\nHost: example.org:\r\n\r\n", "example.org"),
	OK("GET / HTTP/1.0\r\nHost: example.org\r\n\r\n", "example.org"),
	OK("GET / HTTP/1.1\nHost: example.org\n\n", "example.org"),
	OK("\r\n\r\nGET / HTTP/1.1\r\nHost: example.org\r\n\r\n", "example.org"),
	OK("M-SEARCH * HTTP/1.1\r\nHost: example.org\r\n\r\n", "example.org"),
	OK("OPTIONS * HTTP/1.1\r\nHost: example.org\r\n\r\n", "example.org"),
	OK("GET / HTTP/1.1\r\nA: b\r\n  folded\r\nHost: example.org\r\n\r\n", "example.org"),
	OK("GET / HTTP/1.1\r\nXHost: other.net\r\nHost: example.org\r\n\r\n", "example.org"),
	OK("GET / HTTP/1.1\r\nEmpty:\r\nHost: example.org\r\n\r\nGET", "example.org"),
	/* leading empty lines, a method of any length */
	OK("\n\r\n\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: example.org\r\n\r\n", "example.org"),
	OK("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKL / HTTP/1.1\r\nHost: example.org\r\n\r\n",
	   "example.org"),
	/* an absolute target and Host have to agree */
	OK("GET http://target.org/a HTTP/1.1\r\nHost: target.org:80\r\n\r\n", "target.org"),
	OK("GET HTTPS://Target.org:8443?q HTTP/1.1\r\nHost: target.org\r\n\r\n", "target.org"),
	BAD_NAME("GET http://target.org/a HTTP/1.1\r\nHost: other.net\r\n\r\n"),
	BAD_NAME("GET http://target.org/a HTTP/1.1\r\nHost:\r\n\r\n"),
	OK("GET http://target.org HTTP/1.0\r\n\r\n", "target.org"),
	OK("GET /http://target.org/ HTTP/1.1\r\nHost: other.net\r\n\r\n", "other.net"),
	NO_NAME("GET http://192.0.2.1/ HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n"),
	BAD_NAME("GET http://192.0.2.1/ HTTP/1.1\r\nHost: other.net\r\n\r\n"),
	BAD_NAME("GET http://allowed.org@evil.net/ HTTP/1.1\r\nHost: evil.net\r\n\r\n"),
	NO_NAME("GET http:/// HTTP/1.0\r\n\r\n"),
	BAD_NAME("GET http:/// HTTP/1.1\r\nHost: other.net\r\n\r\n"),
	/* no name */
	NO_NAME("GET / HTTP/1.0\r\n\r\n"),
	NO_NAME("GET / HTTP/1.1\r\n\r\n"),
	NO_NAME("GET / HTTP/1.1\r\nHost:\r\n\r\n"),
	NO_NAME("GET / HTTP/1.1\r\nHost: 192.0.2.1:80\r\n\r\n"),
	NO_NAME("GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n"),
	NO_NAME("GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n"),
	/* a bad name */
	BAD_NAME("GET / HTTP/1.1\r\nHost: a.org\r\nHost: b.org\r\n\r\n"),
	BAD_NAME("GET / HTTP/1.1\r\nHost: a.org\r\nHost: a.org\r\n\r\n"),
	BAD_NAME("GET / HTTP/1.1\r\nHost: a.org\r\n b.org\r\n\r\n"),
	BAD_NAME("GET / HTTP/1.1\r\nHost:\r\n\tb.org\r\n\r\n"),
	BAD_NAME("GET / HTTP/1.1\r\nHost: a.org b.org\r\n\r\n"),
	BAD_NAME("GET / HTTP/1.1\r\nHost: a.org,b.org\r\n\r\n"),
	BAD_NAME("GET / HTTP/1.1\r\nHost: user@a.org\r\n\r\n"),
	BAD_NAME("GET / HTTP/1.1\r\nHost: a.org:8o\r\n\r\n"),
	BAD_NAME("GET / HTTP/1.1\r\nHost: a.org:80:80\r\n\r\n"),
	BAD_NAME("GET / HTTP/1.1\r\nHost: :80\r\n\r\n"),
	BAD_NAME("GET / HTTP/1.1\r\nHost: 2001:db8::1\r\n\r\n"),
	BAD_NAME("GET / HTTP/1.1\r\nHost: a.org/b\r\n\r\n"),
	BAD_NAME("GET / HTTP/1.1\r\nHost: http://a.org\r\n\r\n"),
	BAD_NAME("GET / HTTP/1.1\r\nHost: a%2eorg\r\n\r\n"),
	/* malformed */
	MALFORMED("GET / HTTP/1.1\r\nHost : a.org\r\n\r\n"),
	MALFORMED("GET / HTTP/1.1\r\nHost\t: a.org\r\n\r\n"),
	MALFORMED("GET / HTTP/1.1\r\n Host: a.org\r\n\r\n"),
	MALFORMED("GET / HTTP/1.1\r\nHost\r\n\r\n"),
	MALFORMED("GET / HTTP/1.1\r\n: a.org\r\n\r\n"),
	MALFORMED("GET / HTTP/1.1\r\nA: b\rHost: a.org\r\n\r\n"),
	MALFORMED("GET  / HTTP/1.1\r\nHost: a.org\r\n\r\n"),
	MALFORMED("GET /  HTTP/1.1\r\nHost: a.org\r\n\r\n"),
	MALFORMED("GET /\t HTTP/1.1\r\nHost: a.org\r\n\r\n"),
	MALFORMED("GET / a HTTP/1.1\r\nHost: a.org\r\n\r\n"),
	MALFORMED("GET / HTTP/1.1 \r\nHost: a.org\r\n\r\n"),
	MALFORMED("GET / HTTP/1.x\r\nHost: a.org\r\n\r\n"),
	MALFORMED("GET / HTTP/2.0\r\nHost: a.org\r\n\r\n"),
	MALFORMED("GET / HTTP/1.10\r\nHost: a.org\r\n\r\n"),
	/* what some server yet takes for a request */
	MALFORMED("\rGET / HTTP/1.1\r\nHost: a.org\r\n\r\n"),
	MALFORMED(" GET / HTTP/1.1\r\nHost: a.org\r\n\r\n"),
	MALFORMED("GET\t/ HTTP/1.1\r\nHost: a.org\r\n\r\n"),
	MALFORMED("GET\t/ HTTP/1.1\r\n"),
	MALFORMED("GET / http/1.1\r\nHost: a.org\r\n\r\n"),
	MALFORMED("GET / HTTP/1.1\rHost: a.org\r\n\r\n"),
	MALFORMED("GET http://a.org/\r\n"),
	MALFORMED("GET HTTP/1.1\r\nHost: a.org\r\n\r\n"),
	MALFORMED("GET\vhttp://a.org/\r\n"),
	/* not HTTP, or a proxy's */
	BAD_NAME("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n"),
	OTHER("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
	OTHER("EHLO example.org\r\n"),
	OTHER("GET /\r\n"),
	OTHER("GET\r\n"),
	MALFORMED("GET /\tHTTP/1.1\r\nHost: a.org\r\n\r\n"),
	OTHER("\x05\x01\x00"),
	OTHER("\x04\x01\x01\xbb"),
	OTHER("\r\n\r\n\5"),
	OTHER("abc\2"),
	OTHER("abc \1\r\n"),
	UNFINISHED("abcdefghijklmnopqrstuvwxyzabcdefghijkl"),
	UNFINISHED("\r\n\r\n\r\n\r\n\r\n\r\n"),
	UNFINISHED(""),
	UNFINISHED("\r"),
	UNFINISHED("G"),
	UNFINISHED("GET / HTTP/1.1"),
	UNFINISHED("GET / HTTP/1.1\r\nHost: a.org\r\n\r"),
};

static void test_examples(void **state)
{
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
		const struct example *e = &examples[i];
		enum parse got = request(e->bytes, strlen(e->bytes));
		if (got != e->want)
			fail_msg("%zu: %d, not %d: %s", i, got, e->want, e->bytes);
		if (got != PARSE_OK)
			continue;
		if (hello.name != e->name)
			fail_msg("%zu: name %d, not %d: %s", i, hello.name, e->name, e->bytes);
		if (hello.name == HELLO_NAME_OK)
			assert_string_equal(hello.host.text, e->host);
		assert_int_equal(hello.protocol, PROTOCOL_HTTP);
		assert_true(hello.another_may_come);
	}
}

/* A good request's prefixes are all unfinished. */
static void test_prefixes(void **state)
{
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
		const struct example *e = &examples[i];
		size_t len = strlen(e->bytes);
		const char *end = strstr(e->bytes, "\r\n\r\nGET");
		if (end && end != e->bytes)
			len = (size_t)(end - e->bytes) + 4;
		for (size_t n = 0; e->want == PARSE_OK && n < len; n++)
			if (request(e->bytes, n) != PARSE_MORE)
				fail_msg("%zu bytes of: %s", n, e->bytes);
	}
}

static void test_connect_is_http(void **state)
{
	static const char text[] = "CONNECT example.org:443 HTTP/1.1\r\n\r\n";
	assert_int_equal(request(text, sizeof text - 1), PARSE_OK);
	assert_int_equal(hello.name, HELLO_NAME_BAD);
	assert_int_equal(hello.protocol, PROTOCOL_HTTP);
}

static void test_nul(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: a.org\0.evil.net\r\n\r\n";
	assert_int_equal(request(text, sizeof text - 1), PARSE_BAD);
}

static void test_too_long(void **state)
{
	static struct bytes b;
	put_text(&b, "GET / HTTP/1.1\r\n");
	while (b.len <= HTTP_HEAD_MAX)
		put_text(&b, "A: bcdefghijklmnopqrstuvwxyz\r\n");
	assert_int_equal(request(b.at, 10000), PARSE_MORE);
	assert_int_equal(request(b.at, b.len), PARSE_BAD);
	b.len = 0;
	put_text(&b, "GET /");
	while (b.len <= HTTP_HEAD_MAX + 4)
		put_text(&b, "a");
	assert_int_equal(request(b.at, 10000), PARSE_MORE);
	assert_int_equal(request(b.at, b.len), PARSE_BAD);
	b.len = 0;
	while (b.len <= HTTP_HEAD_MAX)
		put_text(&b, "\r\n");
	assert_int_equal(request(b.at, HTTP_HEAD_MAX), PARSE_MORE);
	assert_int_equal(request(b.at, b.len), PARSE_BAD);
}

/* --- later requests --- */

/* Reads all requests of a connection that comes in pieces of `piece` bytes; the hosts go to `to`,
 * a comma after each. Answers what ended it. */
static enum parse follow(const struct bytes *b, size_t piece, struct bytes *to)
{
	struct http_follow f = {0};
	size_t at = 0, have = 0;
	to->len = 0;
	for (;;) {
		uint64_t used;
		uint8_t *copy = exact(b->at + at, have - at);
		enum parse answer = next_request(&f, cursor_of(copy, have - at), &used, &hello);
		free(copy);
		at += used;
		if (answer == PARSE_OK) {
			put_text(to, hello.host.text);
			put_text(to, ",");
		} else if (answer != PARSE_MORE || have >= b->len) {
			to->at[to->len] = 0;
			return answer;
		} else {
			have = have + piece < b->len ? have + piece : b->len;
		}
		while (at > have && have < b->len) /* body that need not be shown */
			have = have + piece < b->len ? have + piece : b->len;
		if (at > have) {
			to->at[to->len] = 0;
			return PARSE_MORE;
		}
	}
}

static void expect_hosts(const char *text, const char *hosts, enum parse end)
{
	static struct bytes b, got;
	b.len = 0;
	put_text(&b, text);
	for (size_t piece = 1; piece <= b.len; piece++) {
		assert_int_equal(follow(&b, piece, &got), end);
		assert_string_equal((char *)got.at, hosts);
	}
}

#define A                  "GET / HTTP/1.1\r\nHost: a.org\r\n\r\n"
#define B                  "GET / HTTP/1.1\r\nHost: b.org\r\n\r\n"
#define POST(fields, body) "POST / HTTP/1.1\r\nHost: p.org\r\n" fields "\r\n" body

static void test_follow(void **state)
{
	expect_hosts(A B, "a.org,b.org,", PARSE_MORE);
	expect_hosts(A "\r\n" B, "a.org,b.org,", PARSE_MORE);
	expect_hosts(POST("Content-Length: 5\r\n", "GET /") B, "p.org,b.org,", PARSE_MORE);
	expect_hosts(POST("Content-Length: 0\r\n", "") B, "p.org,b.org,", PARSE_MORE);
	expect_hosts(POST("Content-Length: 5\r\nContent-Length: 5\r\n", "GET /") B, "p.org,b.org,",
		     PARSE_MORE);
	expect_hosts(POST("Transfer-Encoding: chunked\r\n", "5\r\nGET /\r\n0\r\n\r\n") B,
		     "p.org,b.org,", PARSE_MORE);
	expect_hosts(POST("Transfer-Encoding: Chunked\r\n",
			  "1;x=y\r\nG\r\nA \r\n0123456789\r\n0\r\nHost: t.org\r\n\r\n") B,
		     "p.org,b.org,", PARSE_MORE);
	expect_hosts(POST("Transfer-Encoding: chunked\r\n",
			  "0000000000000000000a;x\r\n0123456789\r\n00000000000000000000\r\n\r\n") B,
		     "p.org,b.org,", PARSE_MORE);
	expect_hosts(POST("Content-Length: 1000\r\n", "some of it"), "p.org,", PARSE_MORE);
	expect_hosts(A "\r\n\n\r\n\r\n\r\n\r\n" B "\r\n", "a.org,b.org,", PARSE_MORE);
	expect_hosts(POST("Content-Length: 5, 5\r\n", "GET /") B, "p.org,b.org,", PARSE_MORE);
	expect_hosts(POST("Transfer-Encoding: gzip, chunked\r\n", "1\r\nG\r\n0\r\n\r\n") B,
		     "p.org,b.org,", PARSE_MORE);
	expect_hosts(POST("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
			  "1\r\nG\r\n0\r\n\r\n") B,
		     "p.org,b.org,", PARSE_MORE);
	expect_hosts(POST("Expect: 100-continue\r\nContent-Length: 5\r\n", "GET /") B,
		     "p.org,b.org,", PARSE_MORE);
	expect_hosts("PROXY TCP4 192.0.2.1 192.0.2.2 1 80\r\n" A B, "a.org,b.org,", PARSE_MORE);
}

/* An empty line behind a body is done with as it comes: it is not held, and so is the body's end.
 */
static void test_empty_line(void **state)
{
	static const char post[] = POST("Content-Length: 5\r\n", "GET /\r\n");
	struct http_follow f = {0};
	uint64_t used, all;
	assert_int_equal(next_request(&f, cursor_of(post, sizeof post - 1), &used, &hello),
			 PARSE_OK);
	assert_int_equal(used, sizeof post - 3);
	struct cursor rest = cursor_of(post + used, 2);
	assert_int_equal(next_request(&f, rest, &all, &hello), PARSE_MORE);
	assert_int_equal(all, 2);
	assert_false(hello.server_next);
}

/* Half a line of a chunk may go on, half a request may not. */
static void test_half_a_line(void **state)
{
	static const char post[] =
		POST("Transfer-Encoding: chunked\r\n", "1\r\nG\r\n0\r\nX: y\r\n\r\nGET /");
	struct http_follow f = {0};
	uint64_t used, at = 0;
	assert_int_equal(next_request(&f, cursor_of(post, sizeof post - 1), &at, &hello), PARSE_OK);
	for (size_t len = at; len < sizeof post; len++) {
		struct http_follow copy = f;
		assert_int_equal(next_request(&copy, cursor_of(post + at, len - at), &used, &hello),
				 PARSE_MORE);
		assert_int_equal(hello.server_next, copy.at != HTTP_HEAD);
	}
}

static void test_follow_bad(void **state)
{
	expect_hosts(A POST("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", ""), "a.org,",
		     PARSE_BAD);
	expect_hosts(POST("Content-Length: 5\r\nContent-Length: 6\r\n", "GET /"), "", PARSE_BAD);
	expect_hosts(POST("Content-Length: +5\r\n", "GET /"), "", PARSE_BAD);
	expect_hosts(POST("Content-Length:\r\n", "GET /"), "", PARSE_BAD);
	expect_hosts(POST("Content-Length: 5\r\n 6\r\n", "GET /"), "", PARSE_BAD);
	expect_hosts(POST("Content-Length: 99999999999999999999\r\n", ""), "", PARSE_BAD);
	expect_hosts(POST("Transfer-Encoding: gzip\r\n", ""), "", PARSE_BAD);
	expect_hosts(POST("Transfer-Encoding: chunked, identity\r\n", ""), "", PARSE_BAD);
	expect_hosts(POST("Transfer-Encoding: identity, chunked\r\n", ""), "", PARSE_BAD);
	expect_hosts(POST("Transfer-Encoding: chunked, chunked\r\n", ""), "", PARSE_BAD);
	expect_hosts(POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", ""), "",
		     PARSE_BAD);
	expect_hosts(POST("Transfer-Encoding: chunked,\r\n", ""), "", PARSE_BAD);
	expect_hosts(POST("Transfer-Encoding: ,chunked\r\n", ""), "", PARSE_BAD);
	expect_hosts(POST("Transfer-Encoding: chunked;q=1\r\n", ""), "", PARSE_BAD);
	expect_hosts(POST("Transfer-Encoding: \vchunked\r\n", ""), "", PARSE_BAD);
	expect_hosts(POST("Transfer-Encoding:\r\n", ""), "", PARSE_BAD);
	expect_hosts(POST("Content-Length: 5, 6\r\n", "GET /"), "", PARSE_BAD);
	expect_hosts(POST("Content-Length: 5,\r\n", "GET /"), "", PARSE_BAD);
	/* a line of two to some, of one to others */
	expect_hosts(POST("Transfer-Encoding: chunked\r\n", "1;\nG\r\n"), "p.org,", PARSE_BAD);
	expect_hosts(POST("Transfer-Encoding: chunked\r\n", "1\r\nG\n0\r\n"), "p.org,", PARSE_BAD);
	expect_hosts("POST / HTTP/1.0\r\nHost: p.org\r\nTransfer-Encoding: chunked\r\n\r\n", "",
		     PARSE_BAD);
	expect_hosts(POST("Transfer-Encoding: chunked\r\n", "x\r\n"), "p.org,", PARSE_BAD);
	expect_hosts(POST("Transfer-Encoding: chunked\r\n", "\r\n"), "p.org,", PARSE_BAD);
	expect_hosts(POST("Transfer-Encoding: chunked\r\n", "1\r\nGET"), "p.org,", PARSE_BAD);
	expect_hosts(POST("Transfer-Encoding: chunked\r\n", "01111111111111111\r\n"), "p.org,",
		     PARSE_BAD);
	expect_hosts(POST("Transfer-Encoding: chunked\r\n", "1111111111111111\r\n"), "p.org,",
		     PARSE_BAD);
	/* what a server might yet read as a request of another host */
	expect_hosts(A "\x16\x03\x01", "a.org,", PARSE_BAD);
	expect_hosts(A "\r" B, "a.org,", PARSE_BAD);
	expect_hosts(A "PROXY TCP4 192.0.2.1 192.0.2.2 1 80\r\n" B, "a.org,", PARSE_BAD);
	expect_hosts(A "GET /\r\n" B, "a.org,", PARSE_BAD);
	expect_hosts(A "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "a.org,", PARSE_BAD);
}

#define TUNNEL      "CONNECT b.org:1 HTTP/1.1\r\nHost: b.org\r\n\r\n"
#define UPGRADE(to) "GET / HTTP/1.1\r\nHost: a.org\r\nUpgrade: " to "\r\n\r\n"

/* Another protocol follows only where it was asked for, and looks like none of HTTP. */
static void test_follow_upgrade(void **state)
{
	expect_hosts(UPGRADE("websocket") "\x81\x05hello", "a.org,", PARSE_ABSENT);
	expect_hosts(UPGRADE("websocket") B, "a.org,b.org,", PARSE_MORE);
	expect_hosts(UPGRADE("websocket") B "\x81\x05hello", "a.org,b.org,", PARSE_ABSENT);
	expect_hosts(UPGRADE("websocket") "A\x84wxyzhello", "a.org,", PARSE_ABSENT);
	expect_hosts(UPGRADE("websocket") "AB\x84wxyzhello", "a.org,", PARSE_ABSENT);
	expect_hosts(UPGRADE("websocket") "A\t/ HTTP/1.1\r\n", "a.org,", PARSE_BAD);
	expect_hosts(UPGRADE("websocket") "GET http://b.org/\r\n", "a.org,", PARSE_BAD);
	expect_hosts(A "A\x84wxyzhello", "a.org,", PARSE_BAD);
	/* what goes through a tunnel, and what comes where there was none */
	expect_hosts(A TUNNEL "\x16\x03\x01", "a.org,,", PARSE_ABSENT);
	expect_hosts(A TUNNEL "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "a.org,,", PARSE_ABSENT);
	expect_hosts(A TUNNEL B, "a.org,,b.org,", PARSE_MORE);
	expect_hosts("CONNECT b.org:1 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "", PARSE_BAD);
}

/* --- h2c --- */

static void put_frame(struct bytes *b, uint8_t type, uint8_t flags, uint32_t stream,
		      const void *payload, size_t len)
{
	put_number(b, len, 3);
	put_number(b, type, 1);
	put_number(b, flags, 1);
	put_number(b, stream, 4);
	put(b, payload, len);
}

static void put_preface(struct bytes *b)
{
	put_text(b, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	put_frame(b, 4, 0, 0, "\0\3\0\0\0\x64", 6);
	put_frame(b, 8, 0, 0, "\0\1\0\0", 4);
}

static size_t hpack(uint8_t *to, size_t room, const char *fields[][2], size_t count)
{
	nghttp2_hd_deflater *deflater;
	nghttp2_nv nv[16];
	assert_int_equal(nghttp2_hd_deflate_new(&deflater, 4096), 0);
	for (size_t i = 0; i < count; i++)
		nv[i] = (nghttp2_nv){(uint8_t *)fields[i][0], (uint8_t *)fields[i][1],
				     strlen(fields[i][0]), strlen(fields[i][1]), 0};
	ssize_t len = nghttp2_hd_deflate_hd(deflater, to, room, nv, count);
	nghttp2_hd_deflate_del(deflater);
	assert_true(len > 0);
	return (size_t)len;
}

#define H2(...) h2((const char *[][2]){__VA_ARGS__}, sizeof((const char *[][2]){__VA_ARGS__}) / 16)

static struct bytes h2_bytes;

static enum parse h2(const char *fields[][2], size_t count)
{
	uint8_t block[2048];
	size_t len = hpack(block, sizeof block, fields, count);
	h2_bytes.len = 0;
	put_preface(&h2_bytes);
	put_frame(&h2_bytes, 1, 4, 1, block, len);
	return request(h2_bytes.at, h2_bytes.len);
}

#define GET_FIELDS                                                                                 \
	{":method", "GET"}, {":scheme", "http"},                                                   \
	{                                                                                          \
		":path", "/"                                                                       \
	}

static void test_h2c(void **state)
{
	assert_int_equal(H2(GET_FIELDS, {":authority", "Example.org:8080"}), PARSE_OK);
	assert_int_equal(hello.name, HELLO_NAME_OK);
	assert_string_equal(hello.host.text, "example.org");
	for (size_t i = 0; i < h2_bytes.len; i++)
		assert_int_equal(request(h2_bytes.at, i), PARSE_MORE);
	assert_int_equal(H2(GET_FIELDS, {"host", "example.org"}), PARSE_OK);
	assert_string_equal(hello.host.text, "example.org");
	assert_int_equal(H2(GET_FIELDS, {":authority", "a.org"}, {"host", "A.org:80"}), PARSE_OK);
	assert_int_equal(hello.name, HELLO_NAME_OK);
	assert_int_equal(H2(GET_FIELDS, {":authority", "a.org"}, {"host", "b.org"}), PARSE_OK);
	assert_int_equal(hello.name, HELLO_NAME_BAD);
	assert_int_equal(H2(GET_FIELDS, {":authority", "a.org"}, {":authority", "a.org"}),
			 PARSE_OK);
	assert_int_equal(hello.name, HELLO_NAME_BAD);
	assert_int_equal(H2(GET_FIELDS), PARSE_OK);
	assert_int_equal(hello.name, HELLO_NAME_ABSENT);
	assert_int_equal(H2({":method", "CONNECT"}, {":authority", "a.org:1"}), PARSE_OK);
	assert_int_equal(hello.name, HELLO_NAME_BAD);
	assert_int_equal(H2({":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "http"},
			    {":path", "/"}, {":authority", "a.org"}),
			 PARSE_OK);
	assert_string_equal(hello.host.text, "a.org");
}

static void test_h2c_real(void **state)
{
	assert_int_equal(request(curl_h2c, (size_t)(curl_h2c_end - curl_h2c)), PARSE_OK);
	assert_string_equal(hello.host.text, "h2c.example");
}

/* Padding, priority and CONTINUATION, a block of which each byte has a frame of its own. */
static void test_h2c_frames(void **state)
{
	static struct bytes b;
	const char *fields[][2] = {GET_FIELDS, {":authority", "example.org"}};
	uint8_t block[2048], padded[2100] = {3, 0, 0, 0, 0, 16};
	size_t len = hpack(block, sizeof block, fields, 4);
	put_preface(&b);
	memcpy(padded + 6, block, len);
	put_frame(&b, 1, 4 | 8 | 0x20, 1, padded, len + 9);
	assert_int_equal(request(b.at, b.len), PARSE_OK);
	assert_string_equal(hello.host.text, "example.org");
	b.len = 0;
	put_preface(&b);
	put_frame(&b, 1, 0, 1, block, 1);
	for (size_t i = 1; i < len; i++)
		put_frame(&b, 9, i + 1 == len ? 4 : 0, 1, block + i, 1);
	for (size_t i = 0; i < b.len; i++)
		assert_int_equal(request(b.at, i), PARSE_MORE);
	assert_int_equal(request(b.at, b.len), PARSE_OK);
	assert_string_equal(hello.host.text, "example.org");
}

static void expect_h2(enum parse want, uint8_t type, uint8_t flags, uint32_t stream,
		      const char *payload, size_t len)
{
	static struct bytes b;
	b.len = 0;
	put_preface(&b);
	put_frame(&b, type, flags, stream, payload, len);
	put_frame(&b, 0, 0, 1, "", 0);
	assert_int_equal(request(b.at, b.len), want);
}

static void test_h2c_bad(void **state)
{
	static struct bytes b;
	static char large[16385];
	put_text(&b, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	put_frame(&b, 1, 4, 1, "\x82", 1);
	assert_int_equal(request(b.at, b.len), PARSE_BAD); /* no SETTINGS first */
	expect_h2(PARSE_BAD, 1, 4, 1, "\xff\xff\xff\xff\xff", 5);
	expect_h2(PARSE_BAD, 1, 4, 1,
		  "\x41\x0a"
		  "abc",
		  5);
	expect_h2(PARSE_BAD, 1, 4 | 8, 1, "\x05\x82", 2);
	expect_h2(PARSE_BAD, 1, 4, 2, "\x82", 1);
	expect_h2(PARSE_BAD, 1, 0, 1, "\x82", 1); /* goes on with another frame */
	expect_h2(PARSE_BAD, 0, 0, 1, "data", 4);
	expect_h2(PARSE_BAD, 4, 0, 0, large, sizeof large);
	b.len = 0;
	put_preface(&b);
	put_frame(&b, 4, 0, 0, large, sizeof large); /* by itself: nothing else is wrong */
	assert_int_equal(request(b.at, b.len), PARSE_BAD);
	b.len = 0;
	put_preface(&b);
	put_frame(&b, 4, 0, 0, large, sizeof large - 1);
	assert_int_equal(request(b.at, b.len), PARSE_MORE);
	expect_h2(PARSE_OK, 1, 4, 1, "\x82\x86\x84", 3);
	assert_int_equal(request("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 24), PARSE_BAD);
}

/* A header block's frames are joined in a room of their own: 32 KiB, and no byte more. */
static void test_h2c_block_bound(void **state)
{
	static struct bytes b;
	static char part[16384];
	b.len = 0;
	put_preface(&b);
	put_frame(&b, 1, 0, 1, part, sizeof part);
	put_frame(&b, 9, 0, 1, part, sizeof part);
	assert_int_equal(request(b.at, b.len), PARSE_MORE);
	size_t full = b.len;
	put_frame(&b, 9, 0, 1, part, 1);
	assert_int_equal(request(b.at, b.len), PARSE_BAD);
	b.len = full;
	put_frame(&b, 9, 0, 1, part, sizeof part);
	assert_int_equal(request(b.at, b.len), PARSE_BAD);
}

/* Frames of other kinds are not waited through for ever. */
static void test_h2c_head_bound(void **state)
{
	static struct bytes b;
	static char part[16384];
	b.len = 0;
	put_preface(&b);
	for (int i = 0; i < 5; i++)
		put_frame(&b, 0x20, 0, 1, part, sizeof part);
	assert_int_equal(request(b.at, HTTP_HEAD_MAX), PARSE_MORE);
	assert_int_equal(request(b.at, HTTP_HEAD_MAX + 1), PARSE_BAD);
}

/* Fields that take more memory than a request may: refused, not believed in part. */
static void test_h2c_memory(void **state)
{
	static struct bytes b, block;
	put(&block, "\x82\x41\x01x", 4);
	while (block.len < 16000)
		put(&block,
		    "\x40\x01"
		    "a"
		    "\x01"
		    "b",
		    5);
	put_preface(&b);
	put_frame(&b, 1, 4, 1, block.at, block.len);
	assert_int_equal(request(b.at, b.len), PARSE_BAD);
}

/* After HEADERS, given by its stream: what may follow, and another request. */
static void test_follow_h2c(void **state)
{
	static struct bytes b, got;
	const char *fields[][2] = {GET_FIELDS, {":authority", "a.org"}};
	uint8_t block[2048];
	size_t len = hpack(block, sizeof block, fields, 4);
	for (int second = 0; second < 2; second++) {
		b.len = 0;
		put_text(&b, UPGRADE("h2c"));
		put_preface(&b);
		put_frame(&b, 1, 4, 3, block, len);
		put_frame(&b, 4, 1, 0, "", 0);
		put_frame(&b, 0, 1, 3, "data", 4);
		if (second)
			put_frame(&b, 1, 4, 5, "\x82", 1);
		for (size_t piece = 1; piece < b.len; piece++) {
			assert_int_equal(follow(&b, piece, &got), second ? PARSE_BAD : PARSE_MORE);
			assert_string_equal((char *)got.at, "a.org,a.org,");
		}
	}
}

/* A client may wait for the server's SETTINGS before its first request. */
static void test_h2c_server_next(void **state)
{
	static struct bytes b;
	put_preface(&b);
	size_t settings_end = 24 + 9 + 6;
	for (size_t i = 1; i <= b.len; i++) {
		assert_int_equal(request(b.at, i), PARSE_MORE);
		assert_int_equal(hello.server_next, i == settings_end || i == b.len);
	}
	assert_int_equal(request("GET / HTTP/1.1\r\n", 16), PARSE_MORE);
	assert_false(hello.server_next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),        cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_connect_is_http), cmocka_unit_test(test_nul),
		cmocka_unit_test(test_too_long),        cmocka_unit_test(test_follow),
		cmocka_unit_test(test_empty_line),      cmocka_unit_test(test_half_a_line),
		cmocka_unit_test(test_follow_bad),      cmocka_unit_test(test_h2c),
		cmocka_unit_test(test_h2c_frames),      cmocka_unit_test(test_h2c_bad),
		cmocka_unit_test(test_h2c_block_bound), cmocka_unit_test(test_h2c_head_bound),
		cmocka_unit_test(test_h2c_memory),      cmocka_unit_test(test_h2c_real),
		cmocka_unit_test(test_follow_upgrade),  cmocka_unit_test(test_follow_h2c),
		cmocka_unit_test(test_h2c_server_next),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
