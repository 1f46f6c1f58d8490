#include "base/netlink.h"

#include <errno.h>
#include <libmnl/libmnl.h>

enum { DUMP_MAX = 65536, ANSWER_MAX = 1024 };

struct mnl_socket *netlink_open(int bus, unsigned groups)
{
	struct mnl_socket *s = mnl_socket_open2(bus, SOCK_CLOEXEC);
	if (s && mnl_socket_bind(s, groups, MNL_SOCKET_AUTOPID) < 0) {
		int error = errno;
		mnl_socket_close(s);
		errno = error;
		return NULL;
	}
	return s;
}

static bool is_kernel(const struct msghdr *h, const struct sockaddr_nl *from)
{
	return h->msg_namelen == sizeof *from && from->nl_family == AF_NETLINK && from->nl_pid == 0;
}

static ssize_t receive(int fd, void *bytes, size_t size, int flags, bool *whole)
{
	struct sockaddr_nl from = {0};
	struct iovec part = {bytes, size};
	struct msghdr h = {
		.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part, .msg_iovlen = 1};
	ssize_t n = recvmsg(fd, &h, flags);
	*whole = n >= 0 && !(h.msg_flags & MSG_TRUNC);
	return n > 0 && !is_kernel(&h, &from) ? 0 : n;
}

ssize_t netlink_receive(int fd, void *bytes, size_t size, int flags)
{
	bool whole;
	ssize_t n = receive(fd, bytes, size, flags, &whole);
	if (n <= 0 || whole)
		return n;
	errno = EMSGSIZE;
	return -1;
}

int netlink_receive_many(int fd, struct mmsghdr *m, struct sockaddr_nl *from, unsigned n, int flags)
{
	for (unsigned i = 0; i < n; i++) {
		m[i].msg_hdr.msg_name = &from[i];
		m[i].msg_hdr.msg_namelen = sizeof from[i];
	}
	int got = recvmmsg(fd, m, n, flags, NULL);
	for (int i = 0; i < got; i++)
		if (!is_kernel(&m[i].msg_hdr, &from[i]) || m[i].msg_hdr.msg_flags & MSG_TRUNC)
			m[i].msg_len = 0;
	return got;
}

/* Both begin at a multiple of four. */
static void skip_padding(struct cursor *c, size_t len)
{
	size_t padding = -len & 3;
	cursor_skip(c, padding < cursor_left(c) ? padding : cursor_left(c));
}

bool netlink_next(struct cursor *datagram, struct netlink_message *out)
{
	struct cursor c = *datagram;
	struct nlmsghdr h;
	if (!cursor_copy(&c, &h, sizeof h) || h.nlmsg_len < sizeof h)
		return false;
	*out = (struct netlink_message){h.nlmsg_type, h.nlmsg_flags, h.nlmsg_seq,
					cursor_sub(&c, h.nlmsg_len - sizeof h)};
	skip_padding(&c, h.nlmsg_len);
	*datagram = c;
	return !c.bad;
}

bool netlink_attribute(struct cursor *c, struct netlink_attribute *out)
{
	struct nlattr h;
	if (!cursor_copy(c, &h, sizeof h) || h.nla_len < sizeof h)
		return false;
	out->type = h.nla_type & NLA_TYPE_MASK;
	out->value = cursor_sub(c, h.nla_len - sizeof h);
	skip_padding(c, h.nla_len);
	return !out->value.bad;
}

struct cursor netlink_child(struct cursor parent, uint16_t type)
{
	struct netlink_attribute a;
	while (netlink_attribute(&parent, &a))
		if (a.type == type)
			return a.value;
	return (struct cursor){parent.end, parent.end, true};
}

bool netlink_u32(struct cursor value, uint32_t *out)
{
	bool fits = !value.bad && cursor_left(&value) == sizeof *out;
	*out = 0;
	return fits && cursor_copy(&value, out, sizeof *out);
}

bool netlink_be32(struct cursor value, uint32_t *out)
{
	bool fits = !value.bad && cursor_left(&value) == sizeof *out;
	*out = fits ? cursor_u32(&value) : 0;
	return fits;
}

int netlink_error(const struct netlink_message *m)
{
	struct cursor c = m->body;
	int32_t error;
	return cursor_copy(&c, &error, sizeof error) && error <= 0 ? error : -EBADMSG;
}

int netlink_acknowledged(int fd, uint32_t sequence)
{
	char bytes[ANSWER_MAX]; /* it may quote the message; that is not needed whole */
	for (;;) {
		bool whole;
		struct netlink_message m;
		ssize_t n = receive(fd, bytes, sizeof bytes, 0, &whole);
		if (n < 0 && errno != EINTR && errno != ENOBUFS)
			return -errno;
		struct cursor c = cursor_of(bytes, n > 0 ? (size_t)n : 0);
		if (!whole && n > 0) { /* the head, and the error behind it */
			struct nlmsghdr h;
			cursor_copy(&c, &h, sizeof h);
			m = (struct netlink_message){h.nlmsg_type, h.nlmsg_flags, h.nlmsg_seq, c};
		} else if (!netlink_next(&c, &m)) {
			continue;
		}
		if (m.type == NLMSG_ERROR && m.sequence == sequence)
			return netlink_error(&m);
	}
}

int netlink_dump(int fd, uint32_t sequence, void (*on)(void *ctx, const struct netlink_message *m),
		 void *ctx)
{
	_Alignas(struct nlmsghdr) char bytes[DUMP_MAX];
	bool changed = false;
	for (;;) {
		struct netlink_message m;
		ssize_t n = netlink_receive(fd, bytes, sizeof bytes, 0);
		if (n < 0)
			return -errno;
		struct cursor c = cursor_of(bytes, (size_t)n);
		while (netlink_next(&c, &m)) {
			if (m.sequence != sequence)
				continue;
			changed |= m.flags & NLM_F_DUMP_INTR;
			if (m.type == NLMSG_ERROR)
				return netlink_error(&m);
			if (m.type == NLMSG_DONE)
				return changed ? -EINTR : 0;
			on(ctx, &m);
		}
	}
}
