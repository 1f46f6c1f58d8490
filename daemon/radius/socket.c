#include "radius/socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int listen4(const uint8_t bytes[4], uint16_t port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
	int on = 1, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	memcpy(&at.sin_addr, bytes, sizeof at.sin_addr);
	if (fd >= 0 && setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) == 0 &&
	    bind(fd, (struct sockaddr *)&at, sizeof at) == 0)
		return fd;
	int e = -errno;
	if (fd >= 0)
		close(fd);
	return e;
}

static int listen6(const struct address *a, uint16_t port)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int off = 0, on = 1, fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	memcpy(&at.sin6_addr, a, sizeof at.sin6_addr);
	if (fd >= 0 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on) == 0 &&
	    bind(fd, (struct sockaddr *)&at, sizeof at) == 0)
		return fd;
	int e = -errno;
	if (fd >= 0)
		close(fd);
	return e;
}

int radius_listen(const struct address *a, uint16_t port)
{
	static const struct address any;
	if (address_is4(a))
		return listen4(a->bytes + 12, port);
	int fd = listen6(a, port);
	bool none = fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL;
	return none && address_equal(a, &any) ? listen4(any.bytes, port) : fd;
}

static void read_peer(struct datagram *d)
{
	bool four = d->peer.any.sa_family == AF_INET;
	d->from = address_from_socket(&d->peer.any);
	d->port = four ? d->peer.four.sin_port : d->peer.six.sin6_port;
}

bool radius_receive(int fd, struct datagram *d)
{
	union {
		struct cmsghdr head;
		uint8_t bytes[256];
	} control;
	struct iovec part = {d->bytes, sizeof d->bytes};
	struct msghdr m = {.msg_name = &d->peer,
			   .msg_namelen = sizeof d->peer,
			   .msg_iov = &part,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof control};
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
	if (n < 0)
		return false;
	d->len = (size_t)n;
	d->has_to = false;
	read_peer(d);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		bool six = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO;
		bool four = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO;
		if (six)
			memcpy(&d->to6, CMSG_DATA(c), sizeof d->to6);
		if (four)
			memcpy(&d->to4, CMSG_DATA(c), sizeof d->to4);
		d->has_to |= (six && d->peer.any.sa_family == AF_INET6) ||
			     (four && d->peer.any.sa_family == AF_INET);
	}
	return true;
}

bool radius_send(int fd, const struct datagram *d, const void *bytes, size_t len)
{
	bool four = d->peer.any.sa_family == AF_INET;
	struct in_pktinfo from4 = {.ipi_spec_dst = d->to4.ipi_addr};
	struct in6_pktinfo from6 = {.ipi6_addr = d->to6.ipi6_addr};
	size_t size = four ? sizeof from4 : sizeof from6;
	union {
		struct cmsghdr head;
		uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control = {.head = {.cmsg_len = CMSG_LEN(size),
			      .cmsg_level = four ? IPPROTO_IP : IPPROTO_IPV6,
			      .cmsg_type = four ? IP_PKTINFO : IPV6_PKTINFO}};
	struct iovec part = {(void *)bytes, len};
	struct msghdr m = {.msg_name = (void *)&d->peer,
			   .msg_namelen = four ? sizeof d->peer.four : sizeof d->peer.six,
			   .msg_iov = &part,
			   .msg_iovlen = 1};
	memcpy(CMSG_DATA(&control.head), four ? (void *)&from4 : (void *)&from6, size);
	if (d->has_to) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(size);
	}
	return sendmsg(fd, &m, MSG_DONTWAIT) >= 0;
}
