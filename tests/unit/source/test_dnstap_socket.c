#include "unit.h"
#include "base/clock.h"
#include "dns/dnstap.h"
#include "dns/dnstap.pb-c.h"
#include "source/dnstap_socket.h"

#include <fstrm.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const uint8_t answer[] = {0x12, 0x34, 0x81, 0x80, 0, 1,  0, 1, 0,   0,    0,  0, 1,
				 'a',  2,    'e',  'x',  0, 0,  1, 0, 1,   0xc0, 12, 0, 1,
				 0,    1,    0,    0,    0, 60, 0, 4, 192, 0,    2,  1};
static const struct address client = {{[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 2}};
static const struct address site = {{[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 1}};
static const struct host host = {.len = 4, .text = "a.ex"};

static size_t payload(uint8_t *out, Dnstap__Message__Type type, size_t address_len, size_t len)
{
	uint8_t address[16] = {10, 0, 0, 2};
	Dnstap__Message m = DNSTAP__MESSAGE__INIT;
	m.type = type;
	m.has_query_address = address_len > 0;
	m.query_address = (ProtobufCBinaryData){address_len, address};
	m.has_response_message = len > 0;
	m.response_message = (ProtobufCBinaryData){len, (uint8_t *)answer};
	Dnstap__Dnstap d = DNSTAP__DNSTAP__INIT;
	d.type = DNSTAP__DNSTAP__TYPE__MESSAGE;
	d.message = &m;
	return dnstap__dnstap__pack(&d, out);
}

static void test_payloads(void **state)
{
	struct seen *s = seen_new(64, 0, false);
	uint8_t bytes[256];
	static const struct {
		Dnstap__Message__Type type;
		size_t address_len, len;
		enum parse want;
	} cases[] = {
		{DNSTAP__MESSAGE__TYPE__CLIENT_QUERY, 4, sizeof answer, PARSE_ABSENT},
		{DNSTAP__MESSAGE__TYPE__RESOLVER_RESPONSE, 4, sizeof answer, PARSE_ABSENT},
		{DNSTAP__MESSAGE__TYPE__CLIENT_RESPONSE, 0, sizeof answer, PARSE_ABSENT},
		{DNSTAP__MESSAGE__TYPE__CLIENT_RESPONSE, 4, 0, PARSE_ABSENT},
		{DNSTAP__MESSAGE__TYPE__CLIENT_RESPONSE, 5, sizeof answer, PARSE_BAD},
		{DNSTAP__MESSAGE__TYPE__CLIENT_RESPONSE, 4, 11, PARSE_BAD},
		{DNSTAP__MESSAGE__TYPE__CLIENT_RESPONSE, 4, sizeof answer - 1, PARSE_BAD},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t len = payload(bytes, cases[i].type, cases[i].address_len, cases[i].len);
		assert_int_equal(dnstap_note(s, cursor_of(bytes, len), 0), cases[i].want);
		assert_false(seen_agrees(s, &client, &site, &host, 0));
	}
	size_t len = payload(bytes, DNSTAP__MESSAGE__TYPE__CLIENT_RESPONSE, 4, sizeof answer);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_not_equal(dnstap_note(s, cursor_of(bytes, cut), 0), PARSE_OK);
	assert_int_equal(dnstap_note(s, cursor_of(bytes, len), 0), PARSE_OK);
	assert_true(seen_agrees(s, &client, &site, &host, 0));
	seen_free(s);
}

/* The socket */

static char path[64];

struct bed {
	struct seen *seen;
	struct dnstap_socket *socket;
};

static int set_up(void **state)
{
	static struct bed b;
	struct errors e = {0};
	snprintf(path, sizeof path, "/tmp/dnstap-test-%d", getpid());
	b.seen = seen_new(64, 0, false);
	b.socket = dnstap_socket_open(path, b.seen, &e);
	errors_print(&e, stderr);
	*state = &b;
	return b.socket ? 0 : -1;
}

static int tear_down(void **state)
{
	struct bed *b = *state;
	dnstap_socket_close(b->socket);
	seen_free(b->seen);
	assert_int_not_equal(access(path, F_OK), 0);
	return 0;
}

static struct dnstap_counters counters(struct bed *b)
{
	struct dnstap_counters c;
	dnstap_count(b->socket, &c);
	return c;
}

/* Waits for the thread, for ten seconds at most. */
#define UNTIL(condition)                                                                           \
	do {                                                                                       \
		for (int i_ = 0; i_ < 1000 && !(condition); i_++)                                  \
			usleep(10000);                                                             \
		assert_true(condition);                                                            \
	} while (0)

static int connected(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	strcpy(at.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
	return fd;
}

static bool hung_up(int fd)
{
	char byte;
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	return poll(&wait, 1, 10000) == 1 && read(fd, &byte, 1) <= 0;
}

static struct fstrm_writer *writer(void)
{
	struct fstrm_unix_writer_options *at = fstrm_unix_writer_options_init();
	struct fstrm_writer_options *o = fstrm_writer_options_init();
	fstrm_unix_writer_options_set_socket_path(at, path);
	fstrm_writer_options_add_content_type(o, DNSTAP_CONTENT_TYPE, strlen(DNSTAP_CONTENT_TYPE));
	struct fstrm_writer *w = fstrm_unix_writer_init(at, o);
	fstrm_unix_writer_options_destroy(&at);
	fstrm_writer_options_destroy(&o);
	return w;
}

/* A resolver's whole life on the socket; its end waits for our FINISH. */
static void resolver_writes(struct bed *b, unsigned count)
{
	uint64_t before = counters(b).answers;
	uint8_t bytes[256];
	size_t len = payload(bytes, DNSTAP__MESSAGE__TYPE__CLIENT_RESPONSE, 4, sizeof answer);
	struct fstrm_writer *w = writer();
	assert_int_equal(fstrm_writer_open(w), fstrm_res_success);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(fstrm_writer_write(w, bytes, len), fstrm_res_success);
	assert_int_equal(fstrm_writer_close(w), fstrm_res_success);
	fstrm_writer_destroy(&w);
	assert_int_equal(counters(b).answers, before + count);
}

static void test_a_resolver_writes(void **state)
{
	struct bed *b = *state;
	struct stat at;
	assert_int_equal(stat(path, &at), 0);
	assert_int_equal(at.st_mode & 0777, 0660);
	for (int round = 0; round < 3; round++)
		resolver_writes(b, 1000);
	assert_int_equal(counters(b).connections, 3);
	assert_int_equal(counters(b).broken, 0);
	assert_true(seen_agrees(b->seen, &client, &site, &host, clock_now()));
}

static size_t control(uint8_t *out, fstrm_control_type type, const char *content)
{
	struct fstrm_control *c = fstrm_control_init();
	size_t len = 512;
	assert_int_equal(fstrm_control_set_type(c, type), fstrm_res_success);
	if (content)
		fstrm_control_add_field_content_type(c, (const uint8_t *)content, strlen(content));
	assert_int_equal(fstrm_control_encode(c, out, &len, FSTRM_CONTROL_FLAG_WITH_HEADER),
			 fstrm_res_success);
	fstrm_control_destroy(&c);
	return len;
}

static void test_one_way_byte_by_byte(void **state)
{
	struct bed *b = *state;
	uint8_t bytes[1024];
	size_t len = control(bytes, FSTRM_CONTROL_START, DNSTAP_CONTENT_TYPE);
	size_t frame =
		payload(bytes + len + 4, DNSTAP__MESSAGE__TYPE__CLIENT_RESPONSE, 4, sizeof answer);
	memcpy(bytes + len, (uint8_t[]){0, 0, 0, (uint8_t)frame}, 4);
	len += 4 + frame;
	memcpy(bytes + len, (uint8_t[]){0, 0, 0, 2, 0xff, 0xff}, 6); /* no Dnstap: goes on */
	len += 6;
	len += control(bytes + len, FSTRM_CONTROL_STOP, NULL);
	int fd = connected();
	for (size_t i = 0; i < len; i++)
		assert_int_equal(write(fd, bytes + i, 1), 1);
	assert_true(hung_up(fd));
	close(fd);
	assert_int_equal(counters(b).answers, 1);
	assert_int_equal(counters(b).malformed, 1);
	assert_int_equal(counters(b).frames, 2);
	assert_int_equal(counters(b).broken, 0);
}

static void test_broken_ones_are_ended(void **state)
{
	struct bed *b = *state;
	uint8_t start[512], other[512], doubled[1024];
	size_t start_len = control(start, FSTRM_CONTROL_START, DNSTAP_CONTENT_TYPE);
	size_t other_len = control(other, FSTRM_CONTROL_READY, "protobuf:other");
	memcpy(doubled, start, start_len);
	memcpy(doubled + start_len, start, start_len);
	const struct {
		const void *bytes;
		size_t len;
	} cases[] = {
		{"\0\0\0\1x", 5},                   /* data before START */
		{other, other_len},                 /* another content */
		{doubled, 2 * start_len},           /* START again */
		{"\xff\xff\xff\xff", 4},            /* a frame past the bound */
		{"\0\0\0\0\0\0\2\1", 8},            /* a control frame that never comes whole */
		{"\0\0\0\0\0\0\0\4\0\0\0\x63", 12}, /* an unknown control frame */
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int fd = connected();
		assert_int_equal(write(fd, cases[i].bytes, cases[i].len), cases[i].len);
		if (i != 4)
			assert_true(hung_up(fd));
		close(fd);
	}
	assert_int_equal(counters(b).broken, 6);
	resolver_writes(b, 1);
}

static void test_silent_ones_keep_nobody_out(void **state)
{
	struct bed *b = *state;
	int fd[20];
	for (int i = 0; i < 20; i++)
		fd[i] = connected();
	UNTIL(counters(b).connections == 20);
	for (int i = 0; i < 12; i++)
		assert_true(hung_up(fd[i]));
	resolver_writes(b, 1);
	for (int i = 0; i < 20; i++)
		close(fd[i]);
}

static void test_bad_paths(void **state)
{
	struct errors e = {0};
	char too_long[200];
	memset(too_long, 'x', sizeof too_long - 1);
	too_long[sizeof too_long - 1] = '\0';
	assert_null(dnstap_socket_open(too_long, NULL, &e));
	assert_null(dnstap_socket_open("/nonexistent/socket", NULL, &e));
	assert_int_equal(e.count, 2);
	errors_deinit(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_payloads),
		cmocka_unit_test_setup_teardown(test_a_resolver_writes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_way_byte_by_byte, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_broken_ones_are_ended, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_silent_ones_keep_nobody_out, set_up,
						tear_down),
		cmocka_unit_test(test_bad_paths),
	};
	return cmocka_run_group_tests_name("dnstap_socket", tests, NULL, NULL);
}
