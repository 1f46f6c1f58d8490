#include "base/netlink.h"
#include "source/conntrack_message.h"
#include "unit.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* An entry as the kernel tells it. */
static size_t entry(char *bytes)
{
	struct nlmsghdr *m = mnl_nlmsg_put_header(bytes);
	m->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
	mnl_nlmsg_put_extra_header(m, sizeof(struct nfgenmsg));
	struct nlattr *tuple = mnl_attr_nest_start(m, CTA_TUPLE_ORIG);
	struct nlattr *ip = mnl_attr_nest_start(m, CTA_TUPLE_IP);
	mnl_attr_put(m, CTA_IP_V4_SRC, 4, (uint8_t[]){10, 0, 0, 1});
	mnl_attr_put(m, CTA_IP_V4_DST, 4, (uint8_t[]){10, 0, 0, 2});
	mnl_attr_nest_end(m, ip);
	struct nlattr *proto = mnl_attr_nest_start(m, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(m, CTA_PROTO_NUM, IPPROTO_TCP);
	mnl_attr_put_u16(m, CTA_PROTO_SRC_PORT, htons(4000));
	mnl_attr_put_u16(m, CTA_PROTO_DST_PORT, htons(443));
	mnl_attr_nest_end(m, proto);
	mnl_attr_nest_end(m, tuple);
	mnl_attr_put_u32(m, CTA_MARK, htonl(7));
	return m->nlmsg_len;
}

/* Reads all of a datagram that stands in memory of just its size: the sanitizers see a byte more.
 */
static unsigned read_all(const char *bytes, size_t len, struct conntrack_message *last)
{
	unsigned messages = 0;
	char *copy = malloc(len ? len : 1);
	memcpy(copy, bytes, len);
	struct cursor datagram = cursor_of(copy, len);
	struct netlink_message m;
	*last = (struct conntrack_message){0};
	while (netlink_next(&datagram, &m)) {
		conntrack_message_read(m.body, last);
		messages++;
	}
	last->tuple = (struct cursor){0};
	free(copy);
	return messages;
}

static void an_entry_is_read(void **state)
{
	_Alignas(struct nlmsghdr) char bytes[512];
	struct conntrack_message m;
	size_t len = entry(bytes);
	assert_int_equal(read_all(bytes, len, &m), 1);
	assert_true(m.has_key);
	assert_int_equal(m.key.client_port, 4000);
	assert_int_equal(m.key.server_port, 443);
	assert_int_equal(m.key.transport, IPPROTO_TCP);
	assert_int_equal(m.mark, 7);
	memcpy(bytes + len, bytes, len);
	assert_int_equal(read_all(bytes, 2 * len, &m), 2);
}

static void what_is_cut_counts_as_nothing(void **state)
{
	_Alignas(struct nlmsghdr) char bytes[512];
	struct conntrack_message m;
	size_t len = entry(bytes);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(read_all(bytes, cut, &m), 0);
}

/* Every length of a message, set to every odd value: nothing beyond the datagram is read. */
static void lengths_are_not_believed(void **state)
{
	static const uint32_t odd[] = {0,          1,          15,         17,        21,
				       0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff};
	_Alignas(struct nlmsghdr) char bytes[512];
	struct conntrack_message m;
	size_t len = entry(bytes);
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		entry(bytes);
		((struct nlmsghdr *)bytes)->nlmsg_len = odd[i];
		read_all(bytes, len, &m);
		assert_false(m.has_key);
	}
	for (size_t at = 20; at + 2 <= len; at += 4)
		for (unsigned value = 0; value < 0x10000; value += 3) {
			entry(bytes);
			memcpy(bytes + at, &(uint16_t){(uint16_t)value}, 2);
			read_all(bytes, len, &m);
		}
}

static void a_value_has_its_size(void **state)
{
	uint32_t out = 5;
	assert_false(netlink_be32(cursor_of("abc", 3), &out));
	assert_int_equal(out, 0);
	assert_false(netlink_u32(cursor_of("abcde", 5), &out));
	assert_true(netlink_be32(cursor_of("\0\0\1\2", 4), &out));
	assert_int_equal(out, 0x102);
}

/* Whoever may send to our socket is not the kernel. */
static void anothers_datagram_is_none(void **state)
{
	char bytes[64];
	int f[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, f), 0);
	assert_int_equal(send(f[0], "hello", 5, 0), 5);
	assert_int_equal(netlink_receive(f[1], bytes, sizeof bytes, MSG_DONTWAIT), 0);
	assert_int_equal(netlink_receive(f[1], bytes, sizeof bytes, MSG_DONTWAIT), -1);
	close(f[0]);
	close(f[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_is_read),
		cmocka_unit_test(what_is_cut_counts_as_nothing),
		cmocka_unit_test(lengths_are_not_believed),
		cmocka_unit_test(a_value_has_its_size),
		cmocka_unit_test(anothers_datagram_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
