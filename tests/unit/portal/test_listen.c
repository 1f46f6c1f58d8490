/* Sockets that the service manager opened, and our own. Each test is in a process of its own, whose
 * descriptors 3 and on are its own to set. */
#include "unit.h"
#include "portal/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MUST(what)                                                                                 \
	do {                                                                                       \
		if (!(what))                                                                       \
			_exit(__LINE__ % 250 + 1);                                                 \
	} while (0)

static void in_a_process(void (*body)(void))
{
	pid_t child = fork();
	if (child == 0) {
		closefrom(3);
		body();
		_exit(0);
	}
	int status = 0;
	waitpid(child, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		fail_msg("not so, at line %d of 250",
			 WIFEXITED(status) ? WEXITSTATUS(status) - 1 : -1);
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in6 a = {0};
	socklen_t len = sizeof a;
	MUST(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	return ntohs(a.sin6_port); /* where both families have it */
}

static int bound(int family, int type, bool listens)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_in four = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(family, type, 0);
	if (family == AF_INET6 && (fd < 0 || bind(fd, (struct sockaddr *)&six, sizeof six) < 0)) {
		close(fd); /* no IPv6 here */
		return bound(AF_INET, type, listens);
	}
	MUST(family == AF_INET6 || bind(fd, (struct sockaddr *)&four, sizeof four) == 0);
	MUST(!listens || listen(fd, 1) == 0);
	return fd;
}

static void given(int count)
{
	char text[16];
	snprintf(text, sizeof text, "%d", (int)getpid());
	setenv("LISTEN_PID", text, 1);
	snprintf(text, sizeof text, "%d", count);
	setenv("LISTEN_FDS", text, 1);
}

static struct endpoint at(const char *address, uint16_t port)
{
	struct endpoint e = {.port = port};
	MUST(address_parse(address, &e.address));
	return e;
}

/* The one of the port, which listens; not a datagram's, and none beyond the last that was given. */
static void takes_the_given(void)
{
	struct errors errors = {0};
	MUST(bound(AF_INET, SOCK_DGRAM, false) == 3);
	MUST(bound(AF_INET, SOCK_STREAM, false) == 4);
	MUST(bound(AF_INET, SOCK_STREAM, true) == 5);
	MUST(bound(AF_INET6, SOCK_STREAM, true) == 6);
	MUST(bound(AF_INET, SOCK_STREAM, true) == 7);
	given(4);
	for (int fd = 5; fd <= 6; fd++) {
		struct endpoint e = at("127.0.0.1", port_of(fd));
		MUST(listen_at(&e, &errors) == fd);
	}
	for (int fd = 3; fd <= 7; fd += fd == 4 ? 3 : 1) {
		struct endpoint e = at("192.0.2.1", port_of(fd)); /* which cannot be bound */
		MUST(listen_at(&e, &errors) == -EADDRNOTAVAIL);
	}
	MUST(errors.count == 3);
}

static void opens_its_own(void)
{
	struct errors errors = {0};
	struct endpoint four = at("127.0.0.1", 0), six = at("::1", 0), any = at("::", 0);
	int on = 0, fd = listen_at(&four, &errors);
	socklen_t len = sizeof on;
	MUST(fd == 3);
	MUST(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on);
	MUST(getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, &len) == 0 && on);
	MUST(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &on, &len) == 0 && on == AF_INET);
	MUST(fcntl(fd, F_GETFL) & O_NONBLOCK);
	MUST(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	fd = listen_at(&six, &errors);
	MUST(fd == 4 || fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL);
	fd = listen_at(&any, &errors);
	MUST(fd >= 0);
	/* takes IPv4 as well */
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(port_of(fd)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int client = socket(AF_INET, SOCK_STREAM, 0);
	MUST(connect(client, (struct sockaddr *)&to, sizeof to) == 0);
}

static void says_why_not(void)
{
	struct errors errors = {0};
	int fd = bound(AF_INET, SOCK_STREAM, true);
	struct endpoint taken = at("127.0.0.1", port_of(fd));
	MUST(listen_at(&taken, &errors) == -EADDRINUSE);
	MUST(errors.count == 1 && strstr(errors.lines[0], "cannot listen at 127.0.0.1 port "));
	MUST(fcntl(4, F_GETFD) < 0); /* nothing is left open */
}

/* A kernel without IPv6: the second family that is asked for is IPv4's, where any will do. */
static bool no_six;

int socket(int family, int type, int protocol)
{
	if (no_six && family == AF_INET6) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	return (int)syscall(SYS_socket, family, type, protocol);
}

static void any_address_needs_no_ipv6(void)
{
	struct errors errors = {0};
	struct endpoint any = at("::", 0), one = at("::1", 0);
	no_six = true;
	MUST(listen_at(&any, &errors) == 3);
	MUST(errors.count == 0);
	MUST(listen_at(&one, &errors) == -EAFNOSUPPORT);
	MUST(errors.count == 1);
}

static void sockets_of_the_service_manager_are_taken_by_their_port(void **state)
{
	in_a_process(takes_the_given);
}

static void without_them_sockets_are_opened(void **state)
{
	in_a_process(opens_its_own);
}

static void what_cannot_be_opened_is_said(void **state)
{
	in_a_process(says_why_not);
}

static void a_kernel_without_ipv6_is_served(void **state)
{
	in_a_process(any_address_needs_no_ipv6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sockets_of_the_service_manager_are_taken_by_their_port),
		cmocka_unit_test(without_them_sockets_are_opened),
		cmocka_unit_test(what_cannot_be_opened_is_said),
		cmocka_unit_test(a_kernel_without_ipv6_is_served),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
