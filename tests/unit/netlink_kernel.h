/* netlink_kernel: the kernel's end of netlink sockets, in the test: libmnl's functions that open
 * and send, and the calls that receive, are here. What is sent is kept as words; what comes is what
 * the test has put. Sockets are real descriptors, so that it shows which are closed. */
#pragma once
#include "base/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#pragma GCC diagnostic ignored "-Wunused-function" /* no test uses all of it */

#define KERNEL_MAX 80000

struct mnl_socket {
	int fd;
};

struct kernel_datagram {
	struct kernel_datagram *next;
	int fd;
	uint32_t from; /* its sender's port; 0: the kernel */
	size_t len;
	uint8_t bytes[];
};

static struct {
	char log[16384]; /* each thing that happened, a line */
	int error;       /* of the next ACK, positive; once */
	int cannot_send; /* errno of the next message; once */
	int cannot_open, cannot_bind;
	int empty;       /* errno of a read that finds nothing; 0: EAGAIN */
	int deaf[4][2];  /* level, option: setsockopt fails */
	unsigned socket; /* how many were opened */
	int last;        /* the last one that was opened */
	/* What to do with a message beyond its ACK; true: no ACK. */
	bool (*on)(int fd, const struct nlmsghdr *m);
	struct kernel_datagram *first, *tail;
	uint32_t from; /* of what is put from here on */
	void (*sent)(int fd, const void *bytes, size_t len,
		     const struct sockaddr *to); /* by send(2) */
} kernel;

static void kernel_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void kernel_log(const char *format, ...)
{
	size_t len = strlen(kernel.log);
	va_list more;
	va_start(more, format);
	vsnprintf(kernel.log + len, sizeof kernel.log - len, format, more);
	va_end(more);
}

static void kernel_put(int fd, const void *bytes, size_t len)
{
	struct kernel_datagram *d = NULL, **at;
	while (!d) /* the kernel has memory */
		d = malloc(sizeof *d + len);
	*d = (struct kernel_datagram){.fd = fd, .from = kernel.from, .len = len};
	memcpy(d->bytes, bytes, len);
	at = kernel.first ? &kernel.tail->next : &kernel.first;
	*at = kernel.tail = d;
}

static void kernel_put_error(int fd, uint32_t sequence, int error)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
	} m = {{sizeof m, NLMSG_ERROR, 0, sequence, 0}, {.error = -error}};
	kernel_put(fd, &m, sizeof m);
}

static void kernel_put_done(int fd, uint32_t sequence)
{
	struct {
		struct nlmsghdr head;
		int error;
	} m = {{sizeof m, NLMSG_DONE, NLM_F_MULTI, sequence, 0}, 0};
	kernel_put(fd, &m, sizeof m);
}

static struct kernel_datagram *kernel_next(int fd)
{
	struct kernel_datagram **at = &kernel.first, *d, *before = NULL;
	for (; *at && (*at)->fd != fd; at = &(*at)->next)
		before = *at;
	if ((d = *at)) {
		*at = d->next;
		if (kernel.tail == d)
			kernel.tail = before;
	}
	return d;
}

static void kernel_reset(void)
{
	while (kernel.first) {
		struct kernel_datagram *d = kernel.first;
		kernel.first = d->next;
		free(d);
	}
	memset(&kernel, 0, sizeof kernel);
}

/* " type=hex", or " type{...}" of what holds attributes. */
static void kernel_describe_attributes(struct cursor c)
{
	struct nlattr h;
	for (struct cursor at = c; cursor_copy(&at, &h, sizeof h); at = c) {
		struct netlink_attribute a;
		if (!netlink_attribute(&c, &a))
			return;
		kernel_log(" %u%s", a.type, h.nla_type & NLA_F_NESTED ? "{" : "=");
		if (h.nla_type & NLA_F_NESTED)
			kernel_describe_attributes(a.value);
		for (const uint8_t *p = a.value.pos; p < a.value.end; p++)
			if (!(h.nla_type & NLA_F_NESTED))
				kernel_log("%02x", *p);
		kernel_log("%s", h.nla_type & NLA_F_NESTED ? " }" : "");
	}
}

/* "type flags family resource attributes" */
static void kernel_describe(const struct nlmsghdr *m)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(m);
	kernel_log("%04x %x %u %u", m->nlmsg_type, m->nlmsg_flags, g->nfgen_family,
		   ntohs(g->res_id));
	kernel_describe_attributes(cursor_of(mnl_nlmsg_get_payload_offset(m, sizeof *g),
					     m->nlmsg_len - MNL_NLMSG_HDRLEN - sizeof *g));
	kernel_log("\n");
}

/* ---- libmnl ---- */

struct mnl_socket *mnl_socket_open2(int bus, int flags)
{
	if (kernel.cannot_open) {
		errno = kernel.cannot_open;
		return NULL;
	}
	struct mnl_socket *s = malloc(sizeof *s);
	if (!s)
		return NULL;
	s->fd = kernel.last = eventfd(0, EFD_CLOEXEC);
	kernel.socket++;
	if (bus != NETLINK_NETFILTER || !(flags & SOCK_CLOEXEC))
		kernel_log("open %d %x\n", bus, flags);
	return s;
}

struct mnl_socket *mnl_socket_fdopen(int fd)
{
	struct mnl_socket *s = malloc(sizeof *s);
	if (s)
		s->fd = fd;
	return s;
}

int mnl_socket_bind(struct mnl_socket *s, unsigned groups, pid_t pid)
{
	if (groups)
		kernel_log("bind %x\n", groups);
	errno = kernel.cannot_bind;
	return kernel.cannot_bind ? -1 : 0;
}

int mnl_socket_get_fd(const struct mnl_socket *s)
{
	return s->fd;
}

int mnl_socket_close(struct mnl_socket *s)
{
	int error = close(s->fd);
	free(s);
	return error;
}

ssize_t mnl_socket_sendto(const struct mnl_socket *s, const void *bytes, size_t len)
{
	const struct nlmsghdr *m = bytes;
	int error = kernel.cannot_send;
	kernel.cannot_send = 0;
	if (error) {
		errno = error;
		return -1;
	}
	kernel_describe(m);
	error = kernel.error;
	kernel.error = 0;
	if (!error && kernel.on && kernel.on(s->fd, m))
		return (ssize_t)len;
	if (m->nlmsg_flags & NLM_F_ACK || error)
		kernel_put_error(s->fd, m->nlmsg_seq, error);
	return (ssize_t)len;
}

/* ---- the system's calls ---- */

static int kernel_empty(void)
{
	errno = kernel.empty ? kernel.empty : EAGAIN;
	kernel.empty = 0;
	return -1;
}

ssize_t recvmsg(int fd, struct msghdr *h, int flags)
{
	struct kernel_datagram *d = kernel_next(fd);
	if (!d)
		return kernel_empty();
	struct sockaddr_nl from = {.nl_family = AF_NETLINK, .nl_pid = d->from};
	size_t room = h->msg_iov[0].iov_len, len = d->len < room ? d->len : room;
	memcpy(h->msg_name, &from, sizeof from);
	h->msg_namelen = sizeof from;
	memcpy(h->msg_iov[0].iov_base, d->bytes, len);
	h->msg_flags = d->len > room ? MSG_TRUNC : 0;
	free(d);
	return (ssize_t)len;
}

int recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *timeout)
{
	int got = 0;
	while ((unsigned)got < n && (got == 0 || kernel.first)) {
		ssize_t len = recvmsg(fd, &m[got].msg_hdr, flags);
		if (len < 0)
			return got ? got : -1;
		m[got++].msg_len = (unsigned)len;
	}
	return got;
}

ssize_t recv(int fd, void *to, size_t len, int flags)
{
	for (const struct kernel_datagram *d = kernel.first; d; d = d->next)
		if (d->fd == fd)
			return (ssize_t)d->len;
	errno = EAGAIN;
	return -1;
}

static ssize_t kernel_sent(int fd, const void *bytes, size_t len, const struct sockaddr *to)
{
	int error = kernel.cannot_send;
	kernel.cannot_send = 0;
	if (error) {
		errno = error;
		return -1;
	}
	if (kernel.sent)
		kernel.sent(fd, bytes, len, to);
	return (ssize_t)len;
}

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
	return kernel_sent(fd, bytes, len, NULL);
}

ssize_t sendto(int fd, const void *bytes, size_t len, int flags, const struct sockaddr *to,
	       socklen_t to_len)
{
	return kernel_sent(fd, bytes, len, to);
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	int64_t words[2] = {0};
	memcpy(words, value, len < sizeof words ? len : sizeof words);
	kernel_log("set %d %d %ld %ld\n", level, option, len == 4 ? *(const int *)value : words[0],
		   words[1]);
	for (size_t i = 0; i < 4; i++)
		if (kernel.deaf[i][1] == option && kernel.deaf[i][0] == level) {
			errno = EPERM;
			return -1;
		}
	return 0;
}

static bool kernel_is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

int mnl_socket_setsockopt(const struct mnl_socket *s, int option, void *value, socklen_t len)
{
	return setsockopt(s->fd, SOL_NETLINK, option, value, len);
}
