/* netlink: what the kernel tells, received and taken apart with every length checked (RFC 3549).
 * libmnl takes lengths as signed and reads to the next multiple of four; here a message or an
 * attribute that is longer than what holds it ends the walk. Numbers are in host byte order. */
#pragma once
#include "base/cursor.h"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/types.h>

struct mnl_socket;

/* A socket of a bus (NETLINK_*), on which the kernel tells these groups, as bits (0: it only
 * answers). The caller closes it (mnl_socket_close). NULL with errno. */
struct mnl_socket *netlink_open(int bus, unsigned groups);

/* One datagram of the kernel's. 0: it was another's (nl_pid) and counts as nothing. -1 with errno:
 * as recvmsg(2), and EMSGSIZE where it did not fit. */
ssize_t netlink_receive(int fd, void *bytes, size_t size, int flags);

/* recvmmsg(2) of at most n datagrams. from: room for their senders. What is another's or did not
 * fit has the length 0. */
int netlink_receive_many(int fd, struct mmsghdr *m, struct sockaddr_nl *from, unsigned n,
			 int flags);

struct netlink_message {
	uint16_t type, flags;
	uint32_t sequence;
	struct cursor body; /* after the header */
};

/* The next message of a datagram; false at its end, or where the rest is none. */
bool netlink_next(struct cursor *datagram, struct netlink_message *out);

struct netlink_attribute {
	uint16_t type; /* without its flags */
	struct cursor value;
};

/* The next attribute of a message (behind its fixed part) or of another attribute. */
bool netlink_attribute(struct cursor *c, struct netlink_attribute *out);

/* The value of the first attribute of a type; bad where there is none. */
struct cursor netlink_child(struct cursor parent, uint16_t type);

/* A value of exactly that size, in host or in network byte order; false and 0 where it has another.
 */
bool netlink_u32(struct cursor value, uint32_t *out);
bool netlink_be32(struct cursor value, uint32_t *out);

/* The error of an NLMSG_ERROR: 0 (an acknowledgement) or -errno. */
int netlink_error(const struct netlink_message *m);

/* Waits for the acknowledgement of a message; 0 or -errno. What else comes before it is left out.
 */
int netlink_acknowledged(int fd, uint32_t sequence);

/* Waits for all of a dump; 0 or -errno (-EINTR: the table changed meanwhile). */
int netlink_dump(int fd, uint32_t sequence, void (*on)(void *ctx, const struct netlink_message *m),
		 void *ctx);
