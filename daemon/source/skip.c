#include "source/skip.h"

#include "base/log.h"
#include "base/netlink.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <string.h>

enum { PRIORITY = 32999, MESSAGES_MAX = 256 }; /* behind the rules that every host has */

/* A rule that does nothing to any packet. */
static struct nlmsghdr *put_rule(void *at, uint16_t type, uint16_t flags, uint8_t family)
{
	struct nlmsghdr *m = mnl_nlmsg_put_header(at);
	m->nlmsg_type = type;
	m->nlmsg_flags = NLM_F_REQUEST | flags;
	m->nlmsg_seq = 1;
	struct fib_rule_hdr *h = mnl_nlmsg_put_extra_header(m, sizeof *h);
	h->family = family;
	h->action = FR_ACT_NOP;
	mnl_attr_put_u32(m, FRA_PRIORITY, PRIORITY);
	return m;
}

/* Both in one datagram, which the kernel carries out before it returns: the rule never stays. */
int skip_end(struct mnl_socket *s, uint8_t family)
{
	_Alignas(struct nlmsghdr) char bytes[MESSAGES_MAX];
	struct nlmsghdr *m = put_rule(bytes, RTM_NEWRULE, NLM_F_CREATE, family);
	size_t len = MNL_ALIGN(m->nlmsg_len);
	len += put_rule(bytes + len, RTM_DELRULE, NLM_F_ACK, family)->nlmsg_len;
	int error = mnl_socket_sendto(s, bytes, len) < 0
			    ? -errno
			    : netlink_acknowledged(mnl_socket_get_fd(s), 1);
	if (error)
		log_error("flows that are allowed no longer may go on past the rules (flowtable): "
			  "%s; `tiergatectl wiring down` and `wiring up` end them",
			  strerror(-error));
	return error;
}
