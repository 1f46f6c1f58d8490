/* The raw sockets that resets leave by, with a kernel and a service manager of the test's own: each
 * bears our own mark, or our rules would judge what we send. */
#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the kernel and the service manager ---- */

static struct {
	int given, makes; /* a descriptor of the manager's, of the kernel's; -errno: none */
	int mark_fails, header_fails; /* errno; 0: they don't */
	unsigned made, marks, headers, forgotten, kept, closed;
	uint32_t mark;
} of[2]; /* IPv4, IPv6 */
static int waits;

static int raw_family(int fd)
{
	for (int six = 0; six < 2; six++)
		if (fd == of[six].given || fd == of[six].makes)
			return six;
	fail_msg("descriptor %d is no socket", fd);
	return -1;
}

static int raw_socket(int family, int type, int protocol)
{
	int six = family == AF_INET6;
	assert_int_equal(type, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_int_equal(protocol, IPPROTO_RAW);
	of[six].made++;
	errno = of[six].makes < 0 ? -of[six].makes : 0;
	return of[six].makes < 0 ? -1 : of[six].makes;
}

static int raw_option(int fd, int level, int name, const void *value, socklen_t len)
{
	int six = raw_family(fd);
	assert_int_equal(len, 4);
	if (level == IPPROTO_IP) {
		assert_int_equal(name, IP_HDRINCL);
		of[six].headers += *(const int *)value == 1;
		errno = of[six].header_fails;
	} else {
		assert_int_equal(level, SOL_SOCKET);
		assert_int_equal(name, SO_MARK);
		memcpy(&of[six].mark, value, 4);
		of[six].marks++;
		errno = of[six].mark_fails;
	}
	return errno ? -1 : 0;
}

static int raw_close(int fd)
{
	of[raw_family(fd)].closed++;
	errno = 0;
	return 0;
}

static int named(const char *name)
{
	assert_true(strcmp(name, "raw4") == 0 || strcmp(name, "raw6") == 0);
	return name[3] == '6';
}

int handover_take(const char *name)
{
	return of[named(name)].given;
}

void handover_forget(const char *name)
{
	of[named(name)].forgotten++;
}

void handover_keep(const char *name, int fd)
{
	assert_int_equal(raw_family(fd), named(name));
	assert_int_equal(of[named(name)].closed, 0);
	of[named(name)].kept++;
}

int handover_wait(void)
{
	return waits;
}

#define socket     raw_socket
#define setsockopt raw_option
#define close      raw_close
#include "source/reply.c"

static struct errors errors;

static int begin(void **state)
{
	memset(of, 0, sizeof of);
	of[0].makes = 14;
	of[1].makes = 16;
	of[0].given = of[1].given = -1;
	waits = 0;
	return 0;
}

static int end(void **state)
{
	errors_deinit(&errors);
	memset(&errors, 0, sizeof errors);
	return 0;
}

/* ---- the tests ---- */

static void each_socket_bears_our_mark(void **state)
{
	int raw4, raw6;
	assert_true(reply_open(0xab, &raw4, &raw6, &errors));
	assert_int_equal(raw4, 14);
	assert_int_equal(raw6, 16);
	for (int six = 0; six < 2; six++) {
		assert_int_equal(of[six].made, 1);
		assert_int_equal(of[six].marks, 1);
		assert_int_equal(of[six].mark, 0xab);
		assert_int_equal(of[six].headers, !six); /* IPv6's takes ours anyhow */
		assert_int_equal(of[six].closed, 0);
		assert_int_equal(of[six].forgotten, 0);
	}
}

/* Without a right to make any: the manager's are taken, once, and bear the mark as well. */
static void what_the_service_manager_hands_over_is_taken(void **state)
{
	int raw4, raw6;
	of[0].makes = of[1].makes = -EPERM;
	of[0].given = 0; /* a descriptor like any other */
	of[1].given = 26;
	assert_true(reply_open(7, &raw4, &raw6, &errors));
	assert_int_equal(raw4, 0);
	assert_int_equal(raw6, 26);
	for (int six = 0; six < 2; six++) {
		assert_int_equal(of[six].made, 0);
		assert_int_equal(of[six].mark, 7);
		assert_int_equal(of[six].headers, !six);
		assert_int_equal(of[six].forgotten, 1);
	}
}

/* One that can't bear it would have its resets judged, and is none. */
static void a_socket_without_the_mark_is_none(void **state)
{
	int raw4, raw6;
	of[0].mark_fails = EPERM;
	assert_false(reply_open(7, &raw4, &raw6, &errors));
	assert_int_equal(errors.count, 1);
	assert_int_equal(of[0].closed, 1);
	assert_int_equal(of[1].closed, 1);
	assert_int_equal(raw4, -1);
	assert_int_equal(raw6, -1);
	begin(NULL);
	of[0].header_fails = EINVAL;
	assert_false(reply_open(7, &raw4, &raw6, &errors));
	assert_int_equal(of[0].marks, 0);
	assert_int_equal(of[0].closed, 1);
	begin(NULL);
	of[1].mark_fails = EPERM;
	assert_false(reply_open(7, &raw4, &raw6, &errors));
	assert_int_equal(of[0].closed, 1);
	assert_int_equal(of[1].closed, 1);
}

/* But for IPv6 on a kernel that has none. */
static void without_sockets_nothing_opens(void **state)
{
	int raw4, raw6;
	of[0].makes = -EPERM;
	assert_false(reply_open(7, &raw4, &raw6, &errors));
	assert_int_equal(raw4, -1);
	assert_int_equal(raw6, -1);
	assert_int_equal(of[0].closed, 0);
	assert_int_equal(of[1].closed, 1);
	begin(NULL);
	of[1].makes = -EPERM;
	assert_false(reply_open(7, &raw4, &raw6, &errors));
	assert_int_equal(raw4, -1);
	assert_int_equal(of[0].closed, 1);
	assert_int_equal(errors.count, 2);
	begin(NULL);
	of[1].makes = -EAFNOSUPPORT;
	assert_true(reply_open(7, &raw4, &raw6, &errors));
	assert_int_equal(raw4, 14);
	assert_int_equal(raw6, -1);
	assert_int_equal(of[0].closed, 0);
	assert_int_equal(errors.count, 2);
}

/* By `tiergated sockets`, which has the right: both are kept by the manager, and none by it. */
static void both_are_handed_over(void **state)
{
	assert_true(reply_hand_over(&errors));
	for (int six = 0; six < 2; six++) {
		assert_int_equal(of[six].kept, 1);
		assert_int_equal(of[six].closed, 1);
	}
	begin(NULL);
	of[1].makes = -EAFNOSUPPORT;
	assert_true(reply_hand_over(&errors));
	assert_int_equal(of[0].kept, 1);
	assert_int_equal(of[1].kept + of[1].closed, 0);
	assert_int_equal(errors.count, 0);
	for (int six = 0; six < 2; six++) {
		begin(NULL);
		of[six].makes = -EPERM;
		assert_false(reply_hand_over(&errors));
		assert_int_equal(of[!six].kept, 1);
		assert_int_equal(of[six].kept, 0);
	}
	begin(NULL);
	waits = -ETIMEDOUT;
	assert_false(reply_hand_over(&errors));
	assert_int_equal(errors.count, 3);
}

#define WITH(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(each_socket_bears_our_mark),
		WITH(what_the_service_manager_hands_over_is_taken),
		WITH(a_socket_without_the_mark_is_none),
		WITH(without_sockets_nothing_opens),
		WITH(both_are_handed_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
