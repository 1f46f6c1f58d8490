/* A resolver's socket from within: frames to their bounds, what may follow what, who goes for a
 * newcomer, and what cannot be opened. */
#include "no_memory.h"
#include "unit.h"

#include "source/dnstap_socket.c"

#include <fcntl.h>
#include <stdio.h>

static struct dnstap_socket s;
static int pair[2];

static int begin(void **state)
{
	memset(&s, 0, sizeof s);
	for (int i = 0; i < CONNECTIONS; i++)
		s.connection[i].fd = -1;
	s.control = fstrm_control_init();
	s.seen = seen_new(64, 0, false);
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
}

static int end(void **state)
{
	close(pair[0]);
	close(pair[1]);
	fstrm_control_destroy(&s.control);
	seen_free(s.seen);
	return 0;
}

/* ---- frames ---- */

static void a_frame_has_its_bounds(void **state)
{
	static uint8_t bytes[FRAME_MAX + 8];
	struct cursor frame;
	bool control;
	static const struct {
		uint32_t len;
		size_t there;
		enum parse want;
	} of[] = {
		{0, 3, PARSE_MORE},
		{5, 4, PARSE_MORE},
		{5, 8, PARSE_MORE},
		{5, 9, PARSE_OK},
		{FRAME_MAX, FRAME_MAX + 4, PARSE_OK},
		{FRAME_MAX, FRAME_MAX + 3, PARSE_MORE},
		{FRAME_MAX + 1, 4, PARSE_BAD},
		{UINT32_MAX, 4, PARSE_BAD},
	};
	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		for (int is = 0; is < 2; is++) {
			size_t head = is ? 4 : 0;
			if (head + of[i].there > sizeof bytes || (is && of[i].there < 4))
				continue;
			memset(bytes, 0, 8);
			for (int b = 0; b < 4; b++)
				bytes[head + (size_t)b] = (uint8_t)(of[i].len >> (24 - 8 * b));
			struct cursor c = cursor_of(bytes, head + of[i].there);
			assert_int_equal(next_frame(&c, &control, &frame), of[i].want);
			if (of[i].want == PARSE_OK) {
				assert_int_equal(control, is);
				assert_int_equal(cursor_left(&frame), of[i].len);
				assert_int_equal(cursor_left(&c), 0);
			} else {
				assert_ptr_equal(c.pos, bytes); /* nothing is taken */
			}
		}
	}
}

/* ---- what may follow what ---- */

static enum parse takes(struct connection *c, fstrm_control_type type, const char *content)
{
	uint8_t bytes[512];
	size_t len = sizeof bytes;
	struct fstrm_control *made = fstrm_control_init();
	fstrm_control_set_type(made, type);
	if (content)
		fstrm_control_add_field_content_type(made, (const uint8_t *)content,
						     strlen(content));
	assert_int_equal(fstrm_control_encode(made, bytes, &len, 0), fstrm_res_success);
	fstrm_control_destroy(&made);
	return take_control(&s, c, cursor_of(bytes, len));
}

/* The type of the control frame that was answered; 0: none. */
static unsigned answer(void)
{
	uint8_t bytes[512];
	ssize_t n = recv(pair[1], bytes, sizeof bytes, MSG_DONTWAIT);
	return n < 12 ? 0 : bytes[11];
}

static void a_resolvers_life_has_its_order(void **state)
{
	struct connection c = {.fd = pair[0]};
	assert_int_equal(takes(&c, FSTRM_CONTROL_READY, DNSTAP_CONTENT_TYPE), PARSE_MORE);
	assert_int_equal(answer(), FSTRM_CONTROL_ACCEPT);
	assert_int_equal(takes(&c, FSTRM_CONTROL_START, DNSTAP_CONTENT_TYPE), PARSE_MORE);
	assert_true(c.started);
	assert_int_equal(answer(), 0);
	assert_int_equal(takes(&c, FSTRM_CONTROL_START, DNSTAP_CONTENT_TYPE), PARSE_BAD);
	assert_int_equal(takes(&c, FSTRM_CONTROL_READY, DNSTAP_CONTENT_TYPE), PARSE_BAD);
	assert_int_equal(takes(&c, FSTRM_CONTROL_ACCEPT, DNSTAP_CONTENT_TYPE), PARSE_BAD);
	assert_int_equal(takes(&c, FSTRM_CONTROL_STOP, NULL), PARSE_ABSENT);
	assert_int_equal(answer(), FSTRM_CONTROL_FINISH);
	c = (struct connection){.fd = pair[0]}; /* one that waits for no answer gets none */
	assert_int_equal(takes(&c, FSTRM_CONTROL_START, DNSTAP_CONTENT_TYPE), PARSE_MORE);
	assert_int_equal(takes(&c, FSTRM_CONTROL_STOP, NULL), PARSE_ABSENT);
	assert_int_equal(answer(), 0);
	c = (struct connection){.fd = pair[0]};
	assert_int_equal(takes(&c, FSTRM_CONTROL_READY, "other"), PARSE_BAD);
	assert_int_equal(takes(&c, FSTRM_CONTROL_START, "other"), PARSE_BAD);
	assert_false(c.started);
	c.fd = -1; /* who is not there any more */
	assert_int_equal(takes(&c, FSTRM_CONTROL_READY, DNSTAP_CONTENT_TYPE), PARSE_BAD);
	uint8_t junk[FSTRM_CONTROL_FRAME_LENGTH_MAX + 1] = {0};
	assert_int_equal(take_control(&s, &c, cursor_of(junk, sizeof junk)), PARSE_BAD);
}

/* ---- newcomers ---- */

/* Connects to a socket of the test's own; the fd that was taken. */
static char path[] = "/tmp/tiergate-dnstap-parts-XXXXXX";

static int newcomer(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	strcpy(at.sun_path, s.path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
	welcome(&s);
	return fd;
}

static void who_was_silent_longest_goes(void **state)
{
	int fd[CONNECTIONS + 2];
	snprintf(s.path, sizeof s.path, "%s/socket", mkdtemp(path));
	assert_true(bind_socket(&s));
	welcome(&s); /* nobody comes */
	assert_int_equal(s.connections, 0);
	for (int i = 0; i < CONNECTIONS; i++)
		fd[i] = newcomer();
	for (int i = 0; i < CONNECTIONS; i++) {
		assert_true(s.connection[i].fd >= 0);
		assert_int_equal(s.connection[i].used, i + 1);
	}
	s.connection[0].used = ++s.clock; /* it has said something */
	fd[CONNECTIONS] = newcomer();
	assert_int_equal(s.connection[1].used, CONNECTIONS + 2);
	assert_true(s.connection[1].fd >= 0);
	char byte;
	assert_int_equal(recv(fd[1], &byte, 1, 0), 0); /* hung up */
	assert_int_equal(recv(fd[2], &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(s.connections, CONNECTIONS + 1);
	/* a descriptor is one, be it 0 */
	int kept = dup(0);
	dup2(pair[0], 0);
	hang_up(&s.connection[3]);
	s.connection[3] = (struct connection){.fd = 0, .used = 1};
	close(newcomer());
	assert_int_equal(fcntl(0, F_GETFD), -1);
	dup2(kept, 0);
	close(kept);
	uint64_t welcomed = s.connections;
	if (NO_MEMORY) {
		no_memory_at(0);
		fd[CONNECTIONS + 1] = newcomer();
		no_memory_end();
		assert_int_equal(recv(fd[CONNECTIONS + 1], &byte, 1, 0), 0);
		assert_int_equal(s.connections, welcomed);
		close(fd[CONNECTIONS + 1]);
	}
	for (int i = 0; i <= CONNECTIONS; i++)
		close(fd[i]);
	for (int i = 0; i < CONNECTIONS; i++)
		if (s.connection[i].fd >= 0)
			hang_up(&s.connection[i]);
	/* what was there of an earlier process is replaced; anything else is not */
	close(s.listen);
	assert_true(bind_socket(&s));
	close(s.listen);
	unlink(s.path);
	close(open(s.path, O_CREAT | O_WRONLY, 0600));
	assert_false(bind_socket(&s));
	close(s.listen);
	unlink(s.path);
	rmdir(path);
}

/* What was received in parts is put together; an end or an error ends it. */
static void what_comes_in_parts_is_put_together(void **state)
{
	struct connection *c = &s.connection[0];
	*c = (struct connection){.fd = dup(pair[0]), .bytes = malloc(FRAME_MAX + 8)};
	listen_to(&s, c); /* nothing there */
	assert_true(c->fd >= 0);
	assert_int_equal(c->used, 0);
	assert_int_equal(write(pair[1], "\0\0\0", 3), 3);
	listen_to(&s, c);
	assert_int_equal(c->len, 3);
	assert_int_equal(c->used, 1);
	assert_int_equal(write(pair[1], "\x05zz", 3), 3);
	listen_to(&s, c);
	assert_int_equal(c->len, 6);
	assert_int_equal(write(pair[1], "zzz", 3), 3);
	listen_to(&s, c); /* data before a START */
	assert_int_equal(c->fd, -1);
	assert_int_equal(s.broken, 1);
	*c = (struct connection){
		.fd = dup(pair[0]), .started = true, .bytes = malloc(FRAME_MAX + 8)};
	assert_int_equal(write(pair[1], "\0\0\0\2zz\0\0\0\1y\0\0", 13), 13);
	listen_to(&s, c);
	assert_int_equal(s.frames, 2);
	assert_int_equal(s.malformed, 2);
	assert_int_equal(s.answers, 0);
	assert_int_equal(c->len, 2);
	shutdown(pair[1], SHUT_WR);
	listen_to(&s, c);
	assert_int_equal(c->fd, -1);
	assert_int_equal(s.broken, 1);
}

static void without_memory_it_does_not_listen(void **state)
{
	struct errors errors = {0};
	if (!NO_MEMORY)
		skip();
	no_memory_at(0);
	assert_null(dnstap_socket_open("/tmp/x", s.seen, &errors));
	no_memory_end();
	errors_deinit(&errors);
	dnstap_socket_close(NULL);
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		WITH(a_frame_has_its_bounds),
		WITH(a_resolvers_life_has_its_order),
		WITH(who_was_silent_longest_goes),
		WITH(what_comes_in_parts_is_put_together),
		WITH(without_memory_it_does_not_listen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
