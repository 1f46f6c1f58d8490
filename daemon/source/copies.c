#include "source/copies.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/netlink.h"
#include "base/privilege.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BURST = 32,
	COPY_RANGE = 65531, /* the most that the kernel copies: 64 KiB less an attribute's head */
	ROOM = COPY_RANGE + 4101, /* an odd number of cache lines, so that bursts don't alias */
	RECEIVE_BUFFER = 128 << 20,
	COPY_SIZE = 768, /* what the kernel accounts for the smallest copy, or less */
	ROUNDS = RECEIVE_BUFFER / COPY_SIZE / BURST, /* bursts of all that can be there at once */
};

struct copies {
	struct copies_options o;
	struct mnl_socket *socket;
	int fd;
	pthread_mutex_t taking;
	_Atomic bool taken_now; /* somebody reads: what he has received may not be taken yet */
	bool numbered;          /* `next` is known */
	uint32_t next;          /* number of the copy that comes next */
	struct mmsghdr message[BURST];
	struct sockaddr_nl from[BURST];
	struct iovec part[BURST];
	uint8_t room[BURST][ROOM];
	_Atomic uint64_t taken, lost;
};

static void add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/* --- reading ------------------------------------------------------------------------------- */

static void count_number(struct copies *c, uint32_t number, int64_t now)
{
	uint32_t missing = c->numbered ? number - c->next : 0;
	c->numbered = true;
	c->next = number + 1;
	if (!missing)
		return;
	add(&c->lost, missing);
	LOG_LIMITED(log_warn, now, "group %u: %" PRIu32 " copies of DNS packets were lost",
		    c->o.group, missing);
}

static void read_hardware(struct cursor value, struct arrival *a)
{
	struct nfulnl_msg_packet_hw hardware;
	a->has_mac = cursor_copy(&value, &hardware, sizeof hardware) &&
		     ntohs(hardware.hw_addrlen) == sizeof a->mac;
	if (a->has_mac)
		memcpy(a->mac, hardware.hw_addr, sizeof a->mac);
}

static void read_attribute(struct copies *c, const struct netlink_attribute *attr,
			   struct arrival *a)
{
	struct cursor value = attr->value;
	struct nfulnl_msg_packet_hdr head;
	uint32_t number;
	switch (attr->type) {
	case NFULA_PAYLOAD:
		a->bytes = value.pos;
		a->len = (uint32_t)cursor_left(&value);
		break;
	case NFULA_HWADDR: read_hardware(value, a); break;
	case NFULA_PACKET_HDR: /* queries are copied where they come in, answers later */
		a->answer =
			cursor_copy(&value, &head, sizeof head) && head.hook != NF_INET_PRE_ROUTING;
		break;
	case NFULA_SEQ:
		if (netlink_be32(value, &number))
			count_number(c, number, a->now);
		break;
	}
}

static void take_message(struct copies *c, struct cursor body, int64_t now)
{
	struct arrival a = {.kind = ARRIVAL_DNS, .now = now};
	struct netlink_attribute attr;
	if (!cursor_skip(&body, sizeof(struct nfgenmsg)))
		return;
	while (netlink_attribute(&body, &attr))
		read_attribute(c, &attr, &a);
	if (!a.bytes)
		return;
	add(&c->taken, 1);
	c->o.take(c->o.ctx, &a);
}

void copies_take(struct copies *c, const void *bytes, size_t len, int64_t now)
{
	struct cursor datagram = cursor_of(bytes, len);
	struct netlink_message m;
	while (netlink_next(&datagram, &m))
		if (m.type == (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET))
			take_message(c, m.body, now);
}

/* False where nothing is left. */
static bool take_some(struct copies *c, int64_t now)
{
	int n = netlink_receive_many(c->fd, c->message, c->from, BURST, MSG_DONTWAIT);
	for (int i = 0; i < n; i++)
		copies_take(c, c->part[i].iov_base, c->message[i].msg_len, now);
	return n == BURST || (n < 0 && (errno == EINTR || errno == ENOBUFS));
}

/* A copy that is no longer in the socket was received by one who had said so before. */
static bool nothing_there(const struct copies *c)
{
	return recv(c->fd, NULL, 0, MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC) < 0 && errno == EAGAIN &&
	       !atomic_load_explicit(&c->taken_now, memory_order_acquire);
}

/* No more is read than can have been there: who sends queries without end holds nobody up. */
void copies_read(struct copies *c, int64_t now)
{
	if (nothing_there(c))
		return;
	pthread_mutex_lock(&c->taking);
	atomic_store_explicit(&c->taken_now, true, memory_order_relaxed);
	for (unsigned i = 0; i < ROUNDS && take_some(c, now); i++)
		;
	atomic_store_explicit(&c->taken_now, false, memory_order_release);
	pthread_mutex_unlock(&c->taking);
}

/* --- opening ------------------------------------------------------------------------------- */

static void say_why(const struct copies *c, int error, struct errors *errors)
{
	if (error == EPERM && !privilege_net_admin())
		errors_add(
			errors, NULL, 0,
			"no right to read NFLOG group %u: the capability CAP_NET_ADMIN is missing",
			c->o.group);
	else if (error == EPERM || error == EBUSY || error == EEXIST)
		errors_add(errors, NULL, 0,
			   "NFLOG group %u is in use by another program: stop it, or set "
			   "queue_first",
			   c->o.group);
	else if (error == EINVAL || error == EPROTONOSUPPORT || error == EOPNOTSUPP)
		errors_add(errors, NULL, 0,
			   "NFLOG group %u: this kernel has no copies of packets "
			   "(nfnetlink_log): %s",
			   c->o.group, strerror(error));
	else
		errors_add(errors, NULL, 0, "NFLOG group %u: %s", c->o.group, strerror(error));
}

/* Each copy is sent at once (threshold 1), whole, with its number. Those that come before the ACK
 * are lost: from the first that is read on the numbers count. */
static int configure(struct copies *c)
{
	char buffer[256];
	const struct nfulnl_msg_config_cmd bind = {.command = NFULNL_CFG_CMD_BIND};
	const struct nfulnl_msg_config_mode whole = {.copy_range = htonl(COPY_RANGE),
						     .copy_mode = NFULNL_COPY_PACKET};
	struct nlmsghdr *m = mnl_nlmsg_put_header(buffer);
	m->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	m->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	m->nlmsg_seq = 1;
	struct nfgenmsg *family = mnl_nlmsg_put_extra_header(m, sizeof *family);
	*family = (struct nfgenmsg){.nfgen_family = AF_UNSPEC, .res_id = htons(c->o.group)};
	mnl_attr_put(m, NFULA_CFG_CMD, sizeof bind, &bind);
	mnl_attr_put(m, NFULA_CFG_MODE, sizeof whole, &whole);
	mnl_attr_put_u32(m, NFULA_CFG_QTHRESH, htonl(1));
	mnl_attr_put_u16(m, NFULA_CFG_FLAGS, htons(NFULNL_CFG_F_SEQ));
	if (mnl_socket_sendto(c->socket, m, m->nlmsg_len) < 0)
		return -errno;
	return netlink_acknowledged(c->fd, m->nlmsg_seq);
}

/* A group that has a reader already is the kept socket's, where there is one. What came while
 * nobody read waits in it, and its settings are those of every daemon. */
static int bind_group(struct copies *c)
{
	int error = configure(c);
	struct mnl_socket *kept = NULL;
	if ((error == -EPERM || error == -EBUSY || error == -EEXIST) && c->o.kept >= 0 &&
	    privilege_net_admin())
		kept = mnl_socket_fdopen(c->o.kept);
	if (!kept)
		return error;
	mnl_socket_close(c->socket);
	c->socket = kept;
	c->fd = c->o.kept;
	c->o.kept = -1;
	return 0;
}

/* Told by ENOBUFS of what was lost, the socket would refuse all further copies until it is read
 * empty; the numbers tell it, too. */
static int open_socket(struct copies *c)
{
	int size = (int)((c->o.room ? c->o.room : RECEIVE_BUFFER) / 2), one = 1; /* it doubles it */
	c->socket = netlink_open(NETLINK_NETFILTER, 0);
	if (!c->socket)
		return -errno;
	c->fd = mnl_socket_get_fd(c->socket);
	if (setsockopt(c->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
		setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	if (setsockopt(c->fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &one, sizeof one) < 0)
		log_warn("group %u: lost copies can't be ridden out: %m", c->o.group);
	setsockopt(c->fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
	return bind_group(c);
}

struct copies *copies_open(const struct copies_options *o, struct errors *errors)
{
	struct copies *c = calloc(1, sizeof *c);
	if (!c) {
		errors_add(errors, NULL, 0, "NFLOG group %u: out of memory", o->group);
		return NULL;
	}
	c->o = *o;
	pthread_mutex_init(&c->taking, NULL);
	for (unsigned i = 0; i < BURST; i++) {
		c->part[i] = (struct iovec){c->room[i], ROOM};
		c->message[i].msg_hdr = (struct msghdr){.msg_iov = &c->part[i], .msg_iovlen = 1};
	}
	int error = open_socket(c);
	if (c->o.kept >= 0) /* it was another group's, or of no use */
		close(c->o.kept);
	if (!error)
		return c;
	say_why(c, -error, errors);
	copies_close(c);
	return NULL;
}

void copies_close(struct copies *c)
{
	if (!c)
		return;
	if (c->socket)
		mnl_socket_close(c->socket);
	pthread_mutex_destroy(&c->taking);
	free(c);
}

int copies_fd(const struct copies *c)
{
	return c->fd;
}

void copies_count(const struct copies *c, struct copies_counters *out)
{
	out->taken = atomic_load_explicit(&c->taken, memory_order_relaxed);
	out->lost = atomic_load_explicit(&c->lost, memory_order_relaxed);
}

static const struct metric rows[] = {
	METRIC_AS("copies", copies_counters, taken, COUNTER, "packets",
		  "copies of DNS packets that were read"),
	METRIC_AS("copies_lost", copies_counters, lost, COUNTER, "packets",
		  "copies that found the socket full"),
};
METRICS(copies_metrics, "dns", copies_counters, rows);
