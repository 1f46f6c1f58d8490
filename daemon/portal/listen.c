#include "portal/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

static uint16_t port_of(int fd)
{
	struct sockaddr_storage a = {0};
	socklen_t len = sizeof a;
	if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		return 0;
	return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
					     : ((struct sockaddr_in *)&a)->sin_port);
}

/* The socket of a port that the service manager has opened, or -1. */
static int given(uint16_t port)
{
	int count = sd_listen_fds(0);
	for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + count; fd++)
		if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0 && port_of(fd) == port)
			return fd;
	return -1;
}

static int open_at(const struct address *a, uint16_t port)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
	bool is4 = address_is4(a);
	int on = 1, off = 0, fd = given(port);
	if (fd >= 0)
		return fd;
	memcpy(&six.sin6_addr, a->bytes, 16);
	memcpy(&four.sin_addr, a->bytes + 12, 4);
	fd = socket(is4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (!is4)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	int e = is4 ? bind(fd, (struct sockaddr *)&four, sizeof four)
		    : bind(fd, (struct sockaddr *)&six, sizeof six);
	if (e < 0 || listen(fd, 128) < 0) {
		e = -errno;
		close(fd);
		return e;
	}
	return fd;
}

int listen_at(const struct endpoint *at, struct errors *errors)
{
	static const struct address any;
	static const uint8_t none[4];
	char text[ADDRESS_TEXT];
	int fd = open_at(&at->address, at->port);
	if (fd == -EAFNOSUPPORT && address_equal(&at->address, &any)) { /* a kernel without IPv6 */
		struct address any4 = address_from4(none);
		fd = open_at(&any4, at->port);
	}
	if (fd < 0)
		errors_add(errors, NULL, 0, "cannot listen at %s port %u: %s",
			   address_format(&at->address, text), at->port, strerror(-fd));
	return fd;
}
