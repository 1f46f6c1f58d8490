#include "source/tally.h"

#include "base/clock.h"
#include "base/netlink.h"
#include "source/conntrack_message.h"
#include "source/mark.h"

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

static void take_flow(struct tally *t, struct cursor body)
{
	struct conntrack_message m;
	conntrack_message_read(body, &m);
	if (conntrack_message_counts(&m, t->o.mark_mask))
		t->o.flow(t->o.ctx, &m.key.client, m.bytes);
}

bool tally_take(struct tally *t, const void *bytes, size_t len)
{
	struct cursor datagram = cursor_of(bytes, len);
	struct netlink_message m;
	while (netlink_next(&datagram, &m)) {
		if (m.type == NLMSG_DONE || m.type == NLMSG_ERROR)
			return true;
		if (m.type == (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW))
			take_flow(t, m.body);
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
	char bytes[MESSAGE_MAX];
	int64_t began = clock_now();
	bool done = false;
	for (int i = 0; i < READS_A_CALL && !done; i++) {
		ssize_t n = netlink_receive(tally_fd(t), bytes, sizeof bytes, MSG_DONTWAIT);
		if (n >= 0)
			done = tally_take(t, bytes, (size_t)n);
		else if (errno != EAGAIN)
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
		t->socket = netlink_open(NETLINK_NETFILTER, 0);
	}
	if (!t || !t->socket) {
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
