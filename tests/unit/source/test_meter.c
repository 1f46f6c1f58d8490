#include "source/meter.h"
#include "base/clock.h"
#include "unit.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>

#define T0 (1000 * NS_PER_S)

static struct {
	uint64_t bytes[8];
	int left[8];
} seen;

static void moved(void *ctx, uint32_t tag, uint64_t bytes)
{
	seen.bytes[tag] += bytes;
}

static void left(void *ctx, uint32_t tag)
{
	seen.left[tag]++;
}

static struct meter *meter_of(uint32_t flows)
{
	struct errors errors = {0};
	const struct meter_options o = {flows, moved, left, NULL};
	struct meter *m = meter_open(&o, &errors);
	assert_non_null(m);
	memset(&seen, 0, sizeof seen);
	return m;
}

static struct flow_key key_of(const char *client, uint16_t port)
{
	struct flow_key k = {.client_port = port, .server_port = 443, .transport = 6};
	assert_true(address_parse(client, &k.client));
	assert_true(
		address_parse(address_is4(&k.client) ? "198.51.100.1" : "2001:db8::1", &k.server));
	return k;
}

static struct flow_key back(struct flow_key k)
{
	return (struct flow_key){k.server, k.client, k.server_port, k.client_port, k.transport};
}

static void put_address(struct nlmsghdr *m, uint16_t v4, const struct address *a)
{
	bool four = address_is4(a);
	mnl_attr_put(m, four ? v4 : (uint16_t)(v4 + 2), four ? 4 : 16, a->bytes + (four ? 12 : 0));
}

static void put_counters(struct nlmsghdr *m, uint16_t type, uint64_t bytes)
{
	struct nlattr *nest = mnl_attr_nest_start(m, type);
	mnl_attr_put_u64(m, CTA_COUNTERS_BYTES, htobe64(bytes));
	mnl_attr_nest_end(m, nest);
}

/* What the kernel has of a flow. */
static void tell(struct meter *meter, const struct flow_key *k, uint64_t to, uint64_t from)
{
	char bytes[1024];
	struct nlmsghdr *m = mnl_nlmsg_put_header(bytes);
	m->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
	mnl_nlmsg_put_extra_header(m, sizeof(struct nfgenmsg));
	struct nlattr *tuple = mnl_attr_nest_start(m, CTA_TUPLE_ORIG);
	struct nlattr *ip = mnl_attr_nest_start(m, CTA_TUPLE_IP);
	put_address(m, CTA_IP_V4_SRC, &k->client);
	put_address(m, CTA_IP_V4_DST, &k->server);
	mnl_attr_nest_end(m, ip);
	struct nlattr *proto = mnl_attr_nest_start(m, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(m, CTA_PROTO_NUM, k->transport);
	mnl_attr_put_u16(m, CTA_PROTO_SRC_PORT, htons(k->client_port));
	mnl_attr_put_u16(m, CTA_PROTO_DST_PORT, htons(k->server_port));
	mnl_attr_nest_end(m, proto);
	mnl_attr_nest_end(m, tuple);
	put_counters(m, CTA_COUNTERS_ORIG, to);
	put_counters(m, CTA_COUNTERS_REPLY, from);
	meter_take(meter, bytes, m->nlmsg_len, T0);
}

/* That there is no such flow: the answer to the question of that number of the last poll. */
static void deny(struct meter *meter, uint32_t sequence, int64_t now)
{
	char bytes[256];
	struct nlmsghdr *m = mnl_nlmsg_put_header(bytes);
	m->nlmsg_type = NLMSG_ERROR;
	m->nlmsg_seq = sequence;
	struct nlmsgerr *e = mnl_nlmsg_put_extra_header(m, sizeof *e);
	e->error = -ENOENT;
	meter_take(meter, bytes, m->nlmsg_len, now);
}

static void what_moves_is_told_once(void **state)
{
	struct meter *m = meter_of(8);
	struct flow_key four = key_of("10.0.0.1", 4000), six = key_of("2001:db8:1::7", 4000);
	struct flow_key other = key_of("10.0.0.1", 4001), swapped = back(six);
	assert_true(meter_watch(m, &four, 1, true, T0));
	assert_true(meter_watch(m, &six, 2, true, T0));
	tell(m, &four, 40, 5000000000);
	assert_int_equal(seen.bytes[1], 5000000040);
	tell(m, &four, 40, 5000000000);
	tell(m, &four, 50, 5000000100);
	assert_int_equal(seen.bytes[1], 5000000150);
	tell(m, &swapped, 7, 8); /* the server sent first */
	assert_int_equal(seen.bytes[2], 15);
	tell(m, &other, 9, 9);
	assert_int_equal(seen.bytes[1] + seen.bytes[2], 5000000165);
	tell(m, &four, 1, 1); /* another connection on the same ports */
	assert_int_equal(seen.bytes[1], 5000000152);
	meter_close(m);
}

static void what_is_not_young_counts_from_now_on(void **state)
{
	struct meter *m = meter_of(8);
	struct flow_key k = key_of("10.0.0.1", 4000);
	assert_true(meter_watch(m, &k, 1, false, T0));
	tell(m, &k, 1000, 1000);
	assert_int_equal(seen.bytes[1], 0);
	tell(m, &k, 1000, 1500);
	assert_int_equal(seen.bytes[1], 500);
	assert_true(meter_watch(m, &k, 2, false, T0)); /* another's from now on */
	assert_int_equal(seen.left[1], 1);
	tell(m, &k, 1000, 1600);
	assert_int_equal(seen.bytes[1], 500);
	assert_int_equal(seen.bytes[2], 100);
	meter_forget(m, &k);
	meter_forget(m, &k);
	assert_int_equal(seen.left[2], 1);
	tell(m, &k, 9000, 9000);
	assert_int_equal(seen.bytes[2], 100);
	assert_int_equal(meter_flows(m), 0);
	meter_close(m);
}

static void the_end_tells_the_rest(void **state)
{
	struct meter *m = meter_of(8);
	struct flow_key k = key_of("10.0.0.1", 4000), swapped = back(k);
	assert_true(meter_watch(m, &k, 1, true, T0));
	tell(m, &k, 10, 10);
	meter_ended(m, &swapped, 120, T0);
	assert_int_equal(seen.bytes[1], 120);
	assert_int_equal(seen.left[1], 1);
	assert_int_equal(meter_flows(m), 0);
	meter_ended(m, &k, 120, T0);
	assert_int_equal(seen.bytes[1], 120);
	/* it may be one before on the same ports that ended: what is told next counts whole */
	assert_true(meter_watch(m, &k, 2, true, T0 + 1));
	meter_ended(m, &k, 50, T0);
	assert_int_equal(seen.left[2], 0);
	tell(m, &k, 60, 0);
	assert_int_equal(seen.bytes[2], 110);
	meter_close(m);
}

/* Asked from both sides, and only where it is not about to be born. */
static void what_is_gone_is_let_go(void **state)
{
	struct meter *m = meter_of(256);
	struct meter_counters c;
	for (uint16_t i = 0; i < 100; i++) {
		struct flow_key k = key_of("10.0.0.1", (uint16_t)(4000 + i));
		assert_true(meter_watch(m, &k, 1, true, T0));
	}
	meter_poll(m, T0); /* where there is no right to ask nothing comes of it */
	meter_count(m, &c);
	assert_int_equal(c.flows, 100);
	assert_int_equal(c.asked, 100);
	uint32_t last = 2 * 64; /* of the batch of 36 */
	deny(m, last + 2, T0);
	deny(m, last + 2, T0);
	assert_int_equal(meter_flows(m), 100);
	deny(m, last + 2, T0 + 6 * NS_PER_S);
	deny(m, last + 2, T0 + 6 * NS_PER_S);
	assert_int_equal(meter_flows(m), 99);
	assert_int_equal(seen.left[1], 1);
	deny(m, last + 2, T0 + 6 * NS_PER_S);
	deny(m, last + 36, T0 + 6 * NS_PER_S);
	deny(m, last + 36, T0 + 6 * NS_PER_S);
	deny(m, last - 1, T0 + 6 * NS_PER_S);
	deny(m, last - 1, T0 + 6 * NS_PER_S);
	assert_int_equal(meter_flows(m), 99);
	struct flow_key gone = key_of("10.0.0.1", 4066), there = key_of("10.0.0.1", 4065);
	meter_forget(m, &gone);
	assert_int_equal(meter_flows(m), 99);
	meter_forget(m, &there);
	assert_int_equal(meter_flows(m), 98);
	meter_close(m);
}

static void a_full_table_forgets_one(void **state)
{
	struct meter *m = meter_of(4);
	struct meter_counters c;
	for (uint16_t i = 0; i < 6; i++) {
		struct flow_key k = key_of("10.0.0.1", (uint16_t)(4000 + i));
		assert_true(meter_watch(m, &k, i, true, T0));
	}
	meter_count(m, &c);
	assert_int_equal(c.flows, 4);
	assert_int_equal(c.forgotten, 2);
	assert_int_equal(seen.left[0] + seen.left[1], 2);
	meter_close(m);
}

static void what_was_told_is_kept(void **state)
{
	struct meter *m = meter_of(8), *n;
	struct flow_key k = key_of("10.0.0.1", 4000), out;
	uint32_t slot = 0, tag;
	uint64_t bytes;
	assert_true(meter_watch(m, &k, 3, true, T0));
	tell(m, &k, 100, 0);
	assert_true(meter_each(m, &slot, &out, &tag, &bytes));
	assert_memory_equal(&out, &k, sizeof k);
	assert_int_equal(tag, 3);
	assert_int_equal(bytes, 100);
	assert_false(meter_each(m, &slot, &out, &tag, &bytes));
	meter_close(m);
	n = meter_of(8);
	assert_true(meter_restore(n, &k, 5, 100, T0));
	assert_false(meter_restore(n, &k, 5, 100, T0));
	assert_true(meter_watch(n, &k, 5, false, T0)); /* the worker tells of it again */
	assert_int_equal(seen.left[5], 1);
	tell(n, &k, 150, 0);
	assert_int_equal(seen.bytes[5], 50);
	meter_close(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_moves_is_told_once),
		cmocka_unit_test(what_is_not_young_counts_from_now_on),
		cmocka_unit_test(the_end_tells_the_rest),
		cmocka_unit_test(what_is_gone_is_let_go),
		cmocka_unit_test(a_full_table_forgets_one),
		cmocka_unit_test(what_was_told_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
