#include "unit.h"
#include "radius/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int family_of(int fd, uint16_t *port)
{
	union {
		struct sockaddr any;
		struct sockaddr_in four;
		struct sockaddr_in6 six;
	} at;
	socklen_t len = sizeof at;
	assert_int_equal(getsockname(fd, &at.any, &len), 0);
	*port = at.any.sa_family == AF_INET ? at.four.sin_port : at.six.sin6_port;
	return at.any.sa_family;
}

/* Asks 127.0.0.9, which must answer itself, and nobody else for it. */
static void ask_and_answer(int fd, uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = port}, from;
	struct datagram d;
	char text[ADDRESS_TEXT], heard[8];
	socklen_t len = sizeof from;
	int asker = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(inet_pton(AF_INET, "127.0.0.9", &to.sin_addr), 1);
	assert_int_equal(sendto(asker, "hello", 5, 0, (struct sockaddr *)&to, sizeof to), 5);
	assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 5000), 1);
	assert_true(radius_receive(fd, &d));
	assert_int_equal(d.len, 5);
	assert_string_equal(address_format(&d.from, text), "127.0.0.1");
	assert_true(radius_send(fd, &d, "back", 4));
	assert_int_equal(poll(&(struct pollfd){.fd = asker, .events = POLLIN}, 1, 5000), 1);
	assert_int_equal(recvfrom(asker, heard, sizeof heard, 0, (struct sockaddr *)&from, &len),
			 4);
	assert_memory_equal(&from.sin_addr, &to.sin_addr, sizeof from.sin_addr);
	assert_false(radius_receive(fd, &d)); /* and it does not block */
	close(asker);
}

/* So it needs no IPv6 in the kernel. */
static void an_ipv4_address_has_an_ipv4_socket(void **state)
{
	uint16_t port;
	for (int i = 0; i < 2; i++) {
		struct address a;
		assert_true(address_parse(i ? "0.0.0.0" : "127.0.0.9", &a));
		int fd = radius_listen(&a, 0);
		assert_true(fd >= 0);
		assert_int_equal(family_of(fd, &port), AF_INET);
		ask_and_answer(fd, port);
		close(fd);
	}
}

static void any_address_takes_both(void **state)
{
	uint16_t port;
	struct address a = {0};
	int fd = radius_listen(&a, 0);
	assert_true(fd >= 0); /* with or without IPv6 here */
	family_of(fd, &port);
	ask_and_answer(fd, port);
	close(fd);
	assert_true(address_parse("192.0.2.200", &a));
	assert_int_equal(radius_listen(&a, 0), -EADDRNOTAVAIL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ipv4_address_has_an_ipv4_socket),
		cmocka_unit_test(any_address_takes_both),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
