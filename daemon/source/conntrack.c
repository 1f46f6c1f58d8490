#include "source/conntrack.h"

#include "base/clock.h"
#include "base/netlink.h"
#include "source/conntrack_message.h"
#include "source/mark.h"
#include "source/skip.h"
#include "source/reply.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	EVENT_BUFFER = 8 << 20, /* ends of flows come in waves */
	EVENTS = 32,            /* a system call */
	EVENT_MAX = 4096,       /* an end has less than 600 bytes */
	READS_A_CALL = CONNTRACK_READ / EVENTS,
	MESSAGE_MAX = 16384,
};

struct conntrack {
	struct conntrack_options o;
	struct mnl_socket *events, *commands, *routes; /* routes: where o.skips */
	uint32_t sequence;
	struct conntrack_counters counters;
	int64_t empty_at; /* no end was waiting then */
	struct mmsghdr event[EVENTS];
	struct sockaddr_nl from[EVENTS];
	struct iovec part[EVENTS];
	char bytes[EVENTS][EVENT_MAX];
};

/* --- keys ---------------------------------------------------------------------------------- */

static bool has_ports(uint8_t transport)
{
	return transport == IPPROTO_TCP || transport == IPPROTO_UDP || transport == IPPROTO_SCTP ||
	       transport == IPPROTO_DCCP || transport == IPPROTO_UDPLITE;
}

/* The kernel wants an echo's id, type and code, which no key has: it is told some that find no
 * entry. */
static void put_echo(struct nlmsghdr *m, bool six)
{
	mnl_attr_put_u16(m, six ? CTA_PROTO_ICMPV6_ID : CTA_PROTO_ICMP_ID, 0);
	mnl_attr_put_u8(m, six ? CTA_PROTO_ICMPV6_TYPE : CTA_PROTO_ICMP_TYPE, 0);
	mnl_attr_put_u8(m, six ? CTA_PROTO_ICMPV6_CODE : CTA_PROTO_ICMP_CODE, 0);
}

/* Names the entry that has the key as its tuple of one direction: the original one
 * (CTA_TUPLE_ORIG), or the other where the server sent first. */
static void put_tuple(struct nlmsghdr *m, uint16_t direction, const struct flow_key *key)
{
	bool four = address_is4(&key->client);
	size_t skip = four ? 12 : 0;
	struct nlattr *tuple = mnl_attr_nest_start(m, direction);
	struct nlattr *part = mnl_attr_nest_start(m, CTA_TUPLE_IP);
	mnl_attr_put(m, four ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, 16 - skip, key->client.bytes + skip);
	mnl_attr_put(m, four ? CTA_IP_V4_DST : CTA_IP_V6_DST, 16 - skip, key->server.bytes + skip);
	mnl_attr_nest_end(m, part);
	part = mnl_attr_nest_start(m, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(m, CTA_PROTO_NUM, key->transport);
	if (has_ports(key->transport)) {
		mnl_attr_put_u16(m, CTA_PROTO_SRC_PORT, htons(key->client_port));
		mnl_attr_put_u16(m, CTA_PROTO_DST_PORT, htons(key->server_port));
	}
	if (key->transport == IPPROTO_ICMP || key->transport == IPPROTO_ICMPV6)
		put_echo(m, key->transport == IPPROTO_ICMPV6);
	mnl_attr_nest_end(m, part);
	mnl_attr_nest_end(m, tuple);
}

/* --- ends ---------------------------------------------------------------------------------- */

static void tell_end(struct conntrack *c, struct cursor body)
{
	struct conntrack_message m;
	conntrack_message_read(body, &m);
	if (!m.has_key || !mark_kind_of(c->o.mark_mask, m.mark))
		return;
	c->counters.ended++;
	if (c->o.moved && conntrack_message_counts(&m, c->o.mark_mask))
		c->o.moved(c->o.ctx, &m.key.client, m.bytes);
	if (c->o.ended)
		c->o.ended(c->o.ctx, &m.key, m.bytes, m.packets, c->empty_at, clock_now(),
			   mark_kind_of(c->o.mark_mask, m.mark) == MARK_DENIED);
}

void conntrack_take(struct conntrack *c, const void *bytes, size_t len)
{
	struct cursor datagram = cursor_of(bytes, len);
	struct netlink_message m;
	while (netlink_next(&datagram, &m))
		if (m.type == (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE))
			tell_end(c, m.body);
}

int conntrack_fd(const struct conntrack *c)
{
	return mnl_socket_get_fd(c->events);
}

unsigned conntrack_read(struct conntrack *c)
{
	unsigned all = 0;
	for (int i = 0; i < READS_A_CALL; i++) {
		int64_t now = clock_now();
		int n = netlink_receive_many(conntrack_fd(c), c->event, c->from, EVENTS,
					     MSG_DONTWAIT);
		if (n < 0 && errno == ENOBUFS)
			c->counters.overruns++;
		for (int j = 0; j < n; j++)
			conntrack_take(c, c->bytes[j], c->event[j].msg_len);
		all += n > 0 ? (unsigned)n : 0;
		if (n < EVENTS && !(n < 0 && errno == ENOBUFS)) {
			c->empty_at = now;
			break;
		}
	}
	return all;
}

/* --- commands ------------------------------------------------------------------------------ */

static struct nlmsghdr *command(char *bytes, uint16_t type, uint16_t flags, uint8_t family,
				uint32_t sequence)
{
	struct nlmsghdr *m = mnl_nlmsg_put_header(bytes);
	m->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	m->nlmsg_flags = NLM_F_REQUEST | flags;
	m->nlmsg_seq = sequence;
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(m, sizeof *g);
	g->nfgen_family = family;
	g->version = NFNETLINK_V0;
	return m;
}

/* Sends a command and waits for the kernel's answer; 0 or -errno. */
static int carry_out(struct mnl_socket *s, const struct nlmsghdr *m)
{
	if (mnl_socket_sendto(s, m, m->nlmsg_len) < 0)
		return -errno;
	return netlink_acknowledged(mnl_socket_get_fd(s), m->nlmsg_seq);
}

/* The probes are outside both windows: a strict conntrack would neither know nor translate them. */
static void put_liberal(struct nlmsghdr *m)
{
	const struct nf_ct_tcp_flags both = {IP_CT_TCP_FLAG_BE_LIBERAL, IP_CT_TCP_FLAG_BE_LIBERAL};
	struct nlattr *info = mnl_attr_nest_start(m, CTA_PROTOINFO);
	struct nlattr *tcp = mnl_attr_nest_start(m, CTA_PROTOINFO_TCP);
	mnl_attr_put(m, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, sizeof both, &both);
	mnl_attr_put(m, CTA_PROTOINFO_TCP_FLAGS_REPLY, sizeof both, &both);
	mnl_attr_nest_end(m, tcp);
	mnl_attr_nest_end(m, info);
}

struct change {
	uint16_t type;  /* IPCTNL_MSG_CT_* */
	uint32_t *mark; /* or NULL */
	bool liberal;
};

static int change_by(struct conntrack *c, const struct flow_key *key, const struct change *what,
		     uint16_t direction)
{
	char bytes[MESSAGE_MAX];
	uint8_t family = address_is4(&key->client) ? AF_INET : AF_INET6;
	struct nlmsghdr *m = command(bytes, what->type, NLM_F_ACK, family, ++c->sequence);
	put_tuple(m, direction, key);
	if (what->liberal)
		put_liberal(m);
	if (what->mark) {
		mnl_attr_put_u32(m, CTA_MARK, htonl(*what->mark));
		mnl_attr_put_u32(m, CTA_MARK_MASK, htonl(c->o.mark_mask));
	}
	return carry_out(c->commands, m);
}

static int change(struct conntrack *c, const struct flow_key *key, const struct change *what)
{
	int error = change_by(c, key, what, CTA_TUPLE_ORIG);
	return error == -ENOENT ? change_by(c, key, what, CTA_TUPLE_REPLY) : error;
}

int conntrack_remark(struct conntrack *c, const struct flow_key *key, uint32_t old, enum verdict v)
{
	enum mark_kind kind = mark_of_verdict(v);
	bool end = kind == MARK_DENIED && key->transport == IPPROTO_TCP;
	uint32_t mark = kind == MARK_NONE || kind == MARK_PENDING
				? 0
				: mark_value(c->o.mark_mask, kind, c->o.epoch);
	const struct change what = {IPCTNL_MSG_CT_NEW, &mark, end};
	int error = change(c, key, &what);
	if (!error && c->routes && kind != MARK_ALLOWED && key->transport == IPPROTO_TCP)
		skip_end(c->routes, address_is4(&key->client) ? AF_INET : AF_INET6);
	c->counters.remarks++;
	if (error == -ENOENT)
		c->counters.gone++;
	else if (!error && end)
		reply_probe(c->o.raw4, c->o.raw6, key, old);
	return error;
}

/* Asks for a flow's entry by its original direction: 0 or -errno. */
static int ask(struct mnl_socket *s, uint32_t sequence, const struct flow_key *key,
	       void (*on)(void *ctx, const struct netlink_message *m), void *ctx)
{
	char bytes[MESSAGE_MAX];
	uint8_t family = address_is4(&key->client) ? AF_INET : AF_INET6;
	struct nlmsghdr *m = command(bytes, IPCTNL_MSG_CT_GET, NLM_F_ACK, family, sequence);
	put_tuple(m, CTA_TUPLE_ORIG, key);
	if (mnl_socket_sendto(s, m, m->nlmsg_len) < 0)
		return -errno;
	return netlink_dump(mnl_socket_get_fd(s), sequence, on, ctx);
}

static void take_entry(void *ctx, const struct netlink_message *message)
{
	struct conntrack_message m;
	conntrack_message_read(message->body, &m);
	if (m.has_key)
		*(struct conntrack_message *)ctx = m;
}

static bool is_over(struct conntrack *c, const struct flow_key *key, enum mark_kind *kind)
{
	struct conntrack_message m = {0};
	if (key->transport != IPPROTO_TCP ||
	    ask(c->commands, ++c->sequence, key, take_entry, &m) < 0)
		return false;
	*kind = mark_kind_of(c->o.mark_mask, m.mark);
	return m.tcp_state == TCP_CONNTRACK_TIME_WAIT || m.tcp_state == TCP_CONNTRACK_CLOSE;
}

bool conntrack_closed(struct conntrack *c, const struct flow_key *key)
{
	enum mark_kind kind;
	return is_over(c, key, &kind) && kind != MARK_DENIED;
}

struct conntrack_asker {
	struct mnl_socket *socket;
	uint32_t sequence;
};

struct conntrack_asker *conntrack_asker_open(void)
{
	struct conntrack_asker *a = calloc(1, sizeof *a);
	if (a)
		a->socket = netlink_open(NETLINK_NETFILTER, 0);
	if (a && a->socket)
		return a;
	free(a);
	return NULL;
}

void conntrack_asker_close(struct conntrack_asker *a)
{
	mnl_socket_close(a->socket);
	free(a);
}

static void take_port(void *ctx, const struct netlink_message *message)
{
	struct conntrack_message m;
	conntrack_message_read(message->body, &m);
	bool source_alone = m.status & IPS_SRC_NAT && !(m.status & IPS_DST_NAT);
	if (m.has_key && source_alone && m.status & IPS_CONFIRMED)
		*(uint16_t *)ctx = m.reply_port;
}

bool conntrack_leaves_elsewhere(struct conntrack_asker *a, const struct flow_key *key)
{
	uint16_t port = 0;
	return ask(a->socket, ++a->sequence, key, take_port, &port) == 0 && port &&
	       port != key->client_port;
}

int conntrack_delete(struct conntrack *c, const struct flow_key *key)
{
	return change(c, key, &(struct change){.type = IPCTNL_MSG_CT_DELETE});
}

void conntrack_forget_closed(struct conntrack *c, const struct flow_key *key)
{
	enum mark_kind kind;
	if (is_over(c, key, &kind))
		conntrack_delete(c, key);
}

/* --- the sweep of an epoch ----------------------------------------------------------------- */

struct sweep {
	struct mnl_socket *socket;
	uint32_t mask, sequence;
	unsigned epoch;
	int cleared;
};

/* Each entry is changed by the very tuple that the kernel told, so ICMP's too. */
static void clear_mark(void *data, const struct netlink_message *message)
{
	struct sweep *s = data;
	char bytes[MESSAGE_MAX];
	struct conntrack_message entry;
	conntrack_message_read(message->body, &entry);
	size_t len = cursor_left(&entry.tuple);
	bool meant =
		s->epoch == CONNTRACK_EVERY_EPOCH || mark_epoch_of(s->mask, entry.mark) == s->epoch;
	if (entry.tuple.bad || !(entry.mark & s->mask) || !meant || len > MESSAGE_MAX / 2)
		return;
	struct nlmsghdr *m =
		command(bytes, IPCTNL_MSG_CT_NEW, NLM_F_ACK, entry.family, ++s->sequence);
	mnl_attr_put(m, CTA_TUPLE_ORIG | NLA_F_NESTED, len, entry.tuple.pos);
	mnl_attr_put_u32(m, CTA_MARK, 0);
	mnl_attr_put_u32(m, CTA_MARK_MASK, htonl(s->mask));
	s->cleared += carry_out(s->socket, m) == 0;
}

static int sweep_table(struct mnl_socket *list, struct sweep *s)
{
	char bytes[MESSAGE_MAX];
	struct nlmsghdr *m = command(bytes, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC, 1);
	if (mnl_socket_sendto(list, m, m->nlmsg_len) < 0)
		return -errno;
	int error = netlink_dump(mnl_socket_get_fd(list), 1, clear_mark, s);
	return error ? error : s->cleared;
}

int conntrack_sweep(uint32_t mark_mask, unsigned epoch)
{
	struct sweep s = {
		.mask = mark_mask, .epoch = epoch, .socket = netlink_open(NETLINK_NETFILTER, 0)};
	struct mnl_socket *list = s.socket ? netlink_open(NETLINK_NETFILTER, 0) : NULL;
	int cleared = list ? sweep_table(list, &s) : -errno;
	if (list)
		mnl_socket_close(list);
	if (s.socket)
		mnl_socket_close(s.socket);
	return cleared;
}

/* --- the flows that pass in the kernel ----------------------------------------------------- */

struct listing {
	void (*flow)(void *ctx, const struct flow_key *key);
	void *ctx;
	uint32_t mask, mark;
	int count;
};

static void on_listed(void *data, const struct netlink_message *message)
{
	struct listing *l = data;
	struct conntrack_message m;
	conntrack_message_read(message->body, &m);
	if (!m.has_key || (m.mark & l->mask) != l->mark)
		return;
	l->flow(l->ctx, &m.key);
	l->count++;
}

static int list_kind(struct mnl_socket *s, struct listing *l)
{
	char bytes[MESSAGE_MAX];
	struct nlmsghdr *m = command(bytes, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC, 1);
	mnl_attr_put_u32(m, CTA_MARK, htonl(l->mark));
	mnl_attr_put_u32(m, CTA_MARK_MASK, htonl(l->mask));
	if (mnl_socket_sendto(s, m, m->nlmsg_len) < 0)
		return -errno;
	return netlink_dump(mnl_socket_get_fd(s), 1, on_listed, l);
}

int conntrack_list(struct conntrack *c, void (*flow)(void *ctx, const struct flow_key *key),
		   void *ctx)
{
	static const enum mark_kind kinds[] = {MARK_ALLOWED, MARK_HEARD};
	struct listing l = {.flow = flow, .ctx = ctx, .mask = c->o.mark_mask};
	struct mnl_socket *s = netlink_open(NETLINK_NETFILTER, 0);
	int error = s ? 0 : -errno;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !error; i++) {
		l.mark = mark_value(c->o.mark_mask, kinds[i], c->o.epoch);
		error = list_kind(s, &l);
	}
	if (s)
		mnl_socket_close(s);
	return error ? error : l.count;
}

/* --- lifecycle ----------------------------------------------------------------------------- */

struct conntrack *conntrack_open(const struct conntrack_options *o, struct errors *errors)
{
	struct conntrack *c = calloc(1, sizeof *c);
	if (!c) {
		errors_add(errors, NULL, 0, "conntrack: out of memory");
		return NULL;
	}
	c->o = *o;
	for (int i = 0; i < EVENTS; i++) {
		c->part[i] = (struct iovec){c->bytes[i], EVENT_MAX};
		c->event[i].msg_hdr = (struct msghdr){.msg_iov = &c->part[i], .msg_iovlen = 1};
	}
	c->events = o->kept < 0 ? NULL : mnl_socket_fdopen(o->kept);
	if (!c->events)
		c->events = netlink_open(NETLINK_NETFILTER, NF_NETLINK_CONNTRACK_DESTROY);
	c->commands = c->events ? netlink_open(NETLINK_NETFILTER, 0) : NULL;
	c->routes = c->commands && o->skips ? netlink_open(NETLINK_ROUTE, 0) : NULL;
	if (!c->commands || (o->skips && !c->routes)) {
		errors_add(errors, NULL, 0, "conntrack: %s",
			   errno == EPERM ? "no right to follow flows: the capability "
					    "CAP_NET_ADMIN is missing"
					  : strerror(errno));
		conntrack_close(c);
		return NULL;
	}
	int size = EVENT_BUFFER;
	if (setsockopt(conntrack_fd(c), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
		setsockopt(conntrack_fd(c), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	c->empty_at = clock_now();
	return c;
}

void conntrack_close(struct conntrack *c)
{
	if (!c)
		return;
	if (c->events)
		mnl_socket_close(c->events);
	if (c->commands)
		mnl_socket_close(c->commands);
	if (c->routes)
		mnl_socket_close(c->routes);
	free(c);
}

void conntrack_count(const struct conntrack *c, struct conntrack_counters *out)
{
	*out = c->counters;
}

static const struct metric rows[] = {
	METRIC(conntrack_counters, ended, COUNTER, "flows", "ends of flows that the kernel told"),
	METRIC(conntrack_counters, overruns, COUNTER, "times",
	       "times that the kernel could not tell all ends"),
	METRIC(conntrack_counters, remarks, COUNTER, "flows", "flows whose mark was changed"),
	METRIC(conntrack_counters, gone, COUNTER, "flows",
	       "flows that were over before their mark was changed"),
};
METRICS(conntrack_metrics, "conntrack", conntrack_counters, rows);
