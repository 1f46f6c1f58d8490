#include "source/tally.h"
#include "source/mark.h"
#include "unit.h"

#include <arpa/inet.h>
#include <endian.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>

#define MASK 0x7f000000

static struct seen {
	unsigned flows, rounds;
	uint64_t bytes;
	struct address client;
} seen;

static void flow(void *ctx, const struct address *client, uint64_t bytes)
{
	seen.flows++;
	seen.bytes += bytes;
	seen.client = *client;
}

static void round_over(void *ctx, int64_t now)
{
	seen.rounds++;
}

static struct tally *open_tally(void)
{
	struct errors errors = {0};
	const struct tally_options o = {MASK, flow, round_over, NULL};
	struct tally *t = tally_open(&o, &errors);
	assert_non_null(t);
	memset(&seen, 0, sizeof seen);
	return t;
}

static void put_counters(struct nlmsghdr *m, uint16_t type, uint64_t bytes)
{
	struct nlattr *nest = mnl_attr_nest_start(m, type);
	mnl_attr_put_u64(m, CTA_COUNTERS_PACKETS, htobe64(1));
	mnl_attr_put_u64(m, CTA_COUNTERS_BYTES, htobe64(bytes));
	mnl_attr_nest_end(m, nest);
}

/* A flow of a dump; the client is 10.0.0.1 or 2001:db8::1. */
static size_t message_in(char *bytes, bool six, enum mark_kind kind, uint32_t status)
{
	struct address a;
	assert_true(address_parse(six ? "2001:db8::1" : "10.0.0.1", &a));
	struct nlmsghdr *m = mnl_nlmsg_put_header(bytes);
	m->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
	mnl_nlmsg_put_extra_header(m, sizeof(struct nfgenmsg));
	struct nlattr *tuple = mnl_attr_nest_start(m, CTA_TUPLE_ORIG);
	struct nlattr *ip = mnl_attr_nest_start(m, CTA_TUPLE_IP);
	for (uint16_t to = 0; to < 2; to++) {
		if (six)
			mnl_attr_put(m, CTA_IP_V6_SRC + to, 16, a.bytes);
		else
			mnl_attr_put(m, CTA_IP_V4_SRC + to, 4, a.bytes + 12);
	}
	mnl_attr_nest_end(m, ip);
	struct nlattr *proto = mnl_attr_nest_start(m, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(m, CTA_PROTO_NUM, 6);
	mnl_attr_nest_end(m, proto);
	mnl_attr_nest_end(m, tuple);
	put_counters(m, CTA_COUNTERS_ORIG, 40);
	put_counters(m, CTA_COUNTERS_REPLY, UINT64_C(5000000000));
	mnl_attr_put_u32(m, CTA_STATUS, htonl(status));
	mnl_attr_put_u32(m, CTA_MARK, htonl(mark_value(MASK, kind, 3)));
	return m->nlmsg_len;
}

static size_t message(char *bytes, bool six, enum mark_kind kind)
{
	return message_in(bytes, six, kind, IPS_CONFIRMED | IPS_ASSURED);
}

/* A spoofed SYN, answered or not, is no traffic of the client's. */
static void what_nobody_confirmed_is_no_traffic(void **state)
{
	_Alignas(struct nlmsghdr) char bytes[512];
	struct tally *t = open_tally();
	tally_take(t, bytes, message_in(bytes, false, MARK_PENDING, IPS_CONFIRMED));
	tally_take(t, bytes,
		   message_in(bytes, false, MARK_PENDING, IPS_CONFIRMED | IPS_SEEN_REPLY));
	assert_int_equal(seen.flows, 0);
	tally_take(t, bytes, message_in(bytes, false, MARK_ALLOWED, IPS_CONFIRMED));
	assert_int_equal(seen.flows, 1);
	tally_close(t);
}

static void tells_allowed_flows(void **state)
{
	_Alignas(struct nlmsghdr) char bytes[512];
	struct address six;
	struct tally *t = open_tally();
	assert_false(tally_take(t, bytes, message(bytes, false, MARK_ALLOWED)));
	assert_int_equal(seen.flows, 1);
	assert_int_equal(seen.bytes, 5000000040);
	assert_false(tally_take(t, bytes, message(bytes, true, MARK_PENDING)));
	assert_true(address_parse("2001:db8::1", &six));
	assert_true(address_equal(&six, &seen.client));
	tally_take(t, bytes, message(bytes, false, MARK_DENIED));
	tally_take(t, bytes, message(bytes, false, MARK_NONE));
	assert_int_equal(seen.flows, 2);
	struct nlmsghdr *done = mnl_nlmsg_put_header(bytes);
	done->nlmsg_type = NLMSG_DONE;
	assert_true(tally_take(t, bytes, done->nlmsg_len));
	tally_close(t);
}

static void cut_messages_are_left(void **state)
{
	_Alignas(struct nlmsghdr) char bytes[512];
	struct tally *t = open_tally();
	size_t len = message(bytes, true, MARK_ALLOWED);
	for (size_t cut = 0; cut < len; cut++) {
		struct nlmsghdr *copy = malloc(cut + 1);
		memcpy(copy, bytes, cut);
		assert_false(tally_take(t, copy, cut));
		if (cut >= sizeof *copy) {
			copy->nlmsg_len =
				(uint32_t)cut; /* without its mark it is no flow of ours */
			assert_false(tally_take(t, copy, cut));
		}
		free(copy);
	}
	assert_int_equal(seen.flows, 0);
	for (size_t at = sizeof(struct nlmsghdr) + sizeof(struct nfgenmsg); at < len; at++)
		for (int v = 0; v < 256; v += 5) {
			char *copy = malloc(len);
			memcpy(copy, bytes, len);
			copy[at] = (char)v;
			tally_take(t, copy, len);
			free(copy);
		}
	tally_close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_allowed_flows),
		cmocka_unit_test(what_nobody_confirmed_is_no_traffic),
		cmocka_unit_test(cut_messages_are_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
