#include "source/conntrack_message.h"

#include "source/mark.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

static bool read_address(struct cursor ip, uint16_t v4, uint16_t v6, struct address *out)
{
	struct cursor four = netlink_child(ip, v4), six = netlink_child(ip, v6);
	if (!four.bad && cursor_left(&four) == 4)
		*out = address_from4(four.pos);
	else if (!six.bad && cursor_left(&six) == 16)
		*out = address_from6(six.pos);
	else
		return false;
	return true;
}

static uint16_t read_port(struct cursor proto, uint16_t type)
{
	struct cursor value = netlink_child(proto, type);
	return cursor_u16(&value);
}

static bool read_key(struct cursor tuple, struct flow_key *key)
{
	struct cursor ip = netlink_child(tuple, CTA_TUPLE_IP);
	struct cursor proto = netlink_child(tuple, CTA_TUPLE_PROTO);
	struct cursor number = netlink_child(proto, CTA_PROTO_NUM);
	key->transport = cursor_u8(&number);
	key->client_port = read_port(proto, CTA_PROTO_SRC_PORT);
	key->server_port = read_port(proto, CTA_PROTO_DST_PORT);
	return !number.bad && read_address(ip, CTA_IP_V4_SRC, CTA_IP_V6_SRC, &key->client) &&
	       read_address(ip, CTA_IP_V4_DST, CTA_IP_V6_DST, &key->server) &&
	       address_is4(&key->client) == address_is4(&key->server);
}

static void count(struct cursor counters, struct conntrack_message *out)
{
	struct cursor bytes = netlink_child(counters, CTA_COUNTERS_BYTES);
	struct cursor packets = netlink_child(counters, CTA_COUNTERS_PACKETS);
	out->bytes += cursor_u64(&bytes);
	out->packets += cursor_u64(&packets);
}

static void read_attribute(const struct netlink_attribute *a, struct conntrack_message *out)
{
	struct cursor value = a->value;
	switch (a->type) {
	case CTA_TUPLE_ORIG:
		out->tuple = value;
		out->has_key = read_key(value, &out->key);
		break;
	case CTA_TUPLE_REPLY:
		out->reply_port =
			read_port(netlink_child(value, CTA_TUPLE_PROTO), CTA_PROTO_DST_PORT);
		break;
	case CTA_COUNTERS_ORIG:
	case CTA_COUNTERS_REPLY: count(value, out); break;
	case CTA_MARK: netlink_be32(value, &out->mark); break;
	case CTA_STATUS: netlink_be32(value, &out->status); break;
	case CTA_PROTOINFO:
		value = netlink_child(netlink_child(value, CTA_PROTOINFO_TCP),
				      CTA_PROTOINFO_TCP_STATE);
		out->tcp_state = cursor_u8(&value);
		break;
	}
}

void conntrack_message_read(struct cursor body, struct conntrack_message *out)
{
	struct netlink_attribute a;
	struct nfgenmsg head;
	*out = (struct conntrack_message){.tuple.bad = true};
	if (!cursor_copy(&body, &head, sizeof head))
		return;
	out->family = head.nfgen_family;
	while (netlink_attribute(&body, &a))
		read_attribute(&a, out);
}

bool conntrack_message_counts(const struct conntrack_message *m, uint32_t mark_mask)
{
	enum mark_kind kind = mark_kind_of(mark_mask, m->mark);
	return m->has_key &&
	       (kind == MARK_ALLOWED ||
		(kind >= MARK_PENDING && kind <= MARK_ALLOWED && m->status & IPS_ASSURED));
}
