/* radius_socket: the datagrams of RADIUS. An IPv4 address is received on an IPv4 socket, and [::]
 * too where the kernel has no IPv6; answers go from where the question was sent to. */
#pragma once
#include "base/address.h"
#include "radius/radius.h"

#include <netinet/in.h>

struct datagram {
	union {
		struct sockaddr any;
		struct sockaddr_in four;
		struct sockaddr_in6 six;
	} peer;
	struct address from;
	uint16_t port; /* in network order */
	struct in6_pktinfo to6;
	struct in_pktinfo to4; /* where it was sent to */
	bool has_to;
	uint8_t bytes[RADIUS_MAX + 1]; /* one more shows what is too long */
	size_t len;
};

/* A socket that does not block, or -errno. */
int radius_listen(const struct address *a, uint16_t port);
bool radius_receive(int fd, struct datagram *d);
/* To who sent d. */
bool radius_send(int fd, const struct datagram *d, const void *bytes, size_t len);
