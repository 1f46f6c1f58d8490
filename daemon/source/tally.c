#include "source/tally.h"

#include "base/clock.h"
#include "source/mark.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>
#include <string.h>

enum { READS_A_CALL = 8, MESSAGE_MAX = 32768, PAUSE = 50 /* times what a round took */ };

struct tally {
	struct tally_options o;
	struct mnl_socket *socket;
	bool running;
	int64_t spent, next; /* spent: time in tally_read for this round */
};

static const struct nlattr *child(const struct nlattr *parent, uint16_t type)
{
	const struct nlattr *a;
	if (!parent)
		return NULL;
	mnl_attr_for_each_nested(a, parent)
	{
		if (mnl_attr_get_type(a) == type)
			return a;
	}
	return NULL;
}

static uint64_t bytes_of(const struct nlattr *counters)
{
	const struct nlattr *a = child(counters, CTA_COUNTERS_BYTES);
	uint64_t value = 0;
	if (a && mnl_attr_get_payload_len(a) == sizeof value)
		memcpy(&value, mnl_attr_get_payload(a), sizeof value);
	return be64toh(value);
}

static bool client_of(const struct nlattr *tuple, struct address *out)
{
	const struct nlattr *ip = child(tuple, CTA_TUPLE_IP);
	const struct nlattr *v4 = child(ip, CTA_IP_V4_SRC), *v6 = child(ip, CTA_IP_V6_SRC);
	if (v4 && mnl_attr_get_payload_len(v4) == 4)
		*out = address_from4(mnl_attr_get_payload(v4));
	else if (v6 && mnl_attr_get_payload_len(v6) == 16)
		*out = address_from6(mnl_attr_get_payload(v6));
	else
		return false;
	return true;
}

static void take_flow(struct tally *t, const struct nlmsghdr *m)
{
	const struct nlattr *a, *tuple = NULL, *there = NULL, *back = NULL;
	uint32_t mark = 0, state = 0;
	struct address client;
	mnl_attr_for_each(a, m, sizeof(struct nfgenmsg))
	{
		switch (mnl_attr_get_type(a)) {
		case CTA_TUPLE_ORIG: tuple = a; break;
		case CTA_COUNTERS_ORIG: there = a; break;
		case CTA_COUNTERS_REPLY: back = a; break;
		case CTA_STATUS:
			if (mnl_attr_get_payload_len(a) == sizeof state)
				state = ntohl(mnl_attr_get_u32(a));
			break;
		case CTA_MARK:
			if (mnl_attr_get_payload_len(a) == sizeof mark)
				mark = ntohl(mnl_attr_get_u32(a));
			break;
		}
	}
	enum mark_kind kind = mark_kind_of(t->o.mark_mask, mark);
	/* What nobody has confirmed may be anybody's packets in the client's name. */
	bool counts = kind == MARK_ALLOWED ||
		      (kind >= MARK_PENDING && kind <= MARK_ALLOWED && state & IPS_ASSURED);
	if (counts && client_of(tuple, &client))
		t->o.flow(t->o.ctx, &client, bytes_of(there) + bytes_of(back));
}

bool tally_take(struct tally *t, const void *bytes, size_t len)
{
	const struct nlmsghdr *m = bytes;
	int left = len > INT32_MAX ? 0 : (int)len;
	/* libmnl takes lengths as signed, and reads attributes up to the length rounded up */
	for (; mnl_nlmsg_ok(m, left) && m->nlmsg_len <= (unsigned)left &&
	       MNL_ALIGN(m->nlmsg_len) <= (unsigned)left;
	     m = mnl_nlmsg_next(m, &left)) {
		if (m->nlmsg_type == NLMSG_DONE || m->nlmsg_type == NLMSG_ERROR)
			return true;
		if (m->nlmsg_type == (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW))
			take_flow(t, m);
	}
	return false;
}

static void over(struct tally *t, int64_t now)
{
	t->running = false;
	t->next = now + PAUSE * t->spent;
	t->o.round(t->o.ctx, now);
}

void tally_begin(struct tally *t, int64_t now)
{
	char bytes[128];
	if (t->running || now < t->next)
		return;
	struct nlmsghdr *m = mnl_nlmsg_put_header(bytes);
	m->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	m->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(m, sizeof *g);
	g->nfgen_family = AF_UNSPEC;
	g->version = NFNETLINK_V0;
	t->running = mnl_socket_sendto(t->socket, m, m->nlmsg_len) >= 0;
	t->spent = 0;
}

void tally_read(struct tally *t, int64_t now)
{
	_Alignas(struct nlmsghdr) char bytes[MESSAGE_MAX];
	int64_t began = clock_now();
	bool done = false;
	for (int i = 0; i < READS_A_CALL && !done; i++) {
		ssize_t n = recv(tally_fd(t), bytes, sizeof bytes, MSG_DONTWAIT);
		if (n > 0)
			done = tally_take(t, bytes, (size_t)n);
		else if (n == 0 || errno != EAGAIN)
			done = true;
		else
			break;
	}
	int64_t took = clock_now() - began;
	t->spent += took > 0 ? took : 0;
	if (done && t->running)
		over(t, now);
}

struct tally *tally_open(const struct tally_options *o, struct errors *errors)
{
	struct tally *t = calloc(1, sizeof *t);
	if (t) {
		t->o = *o;
		t->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	}
	if (!t || !t->socket || mnl_socket_bind(t->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		errors_add(errors, NULL, 0, "the flows' counters can't be read: %s",
			   strerror(errno));
		tally_close(t);
		return NULL;
	}
	return t;
}

void tally_close(struct tally *t)
{
	if (!t)
		return;
	if (t->socket)
		mnl_socket_close(t->socket);
	free(t);
}

int tally_fd(const struct tally *t)
{
	return mnl_socket_get_fd(t->socket);
}
