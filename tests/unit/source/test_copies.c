/* Copies of DNS packets against a kernel of the test's own: what is asked for, how they are read,
 * and what is said where the group cannot be had. */
#include "netlink_kernel.h"
#include "source/copies.h"
#include "unit.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_log.h>

static bool net_admin;

bool privilege_net_admin(void)
{
	return net_admin;
}

/* ---- copies ---- */

struct message {
	char bytes[1024];
	struct nlmsghdr *head;
};

static void message_begin(struct message *m, uint16_t type)
{
	memset(m->bytes, 0, sizeof m->bytes);
	m->head = mnl_nlmsg_put_header(m->bytes);
	m->head->nlmsg_type = type;
	mnl_nlmsg_put_extra_header(m->head, sizeof(struct nfgenmsg));
}

static void copy_begin(struct message *m, uint8_t hook, uint32_t number)
{
	const struct nfulnl_msg_packet_hdr head = {htons(0x800), hook, 0};
	message_begin(m, NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET);
	mnl_attr_put(m->head, NFULA_PACKET_HDR, sizeof head, &head);
	mnl_attr_put_u32(m->head, NFULA_SEQ, htonl(number));
}

static void put(struct copies *c, const struct message *m)
{
	kernel_put(copies_fd(c), m->bytes, m->head->nlmsg_len);
}

static void put_copy(struct copies *c, uint32_t number)
{
	struct message m;
	copy_begin(&m, NF_INET_PRE_ROUTING, number);
	mnl_attr_put(m.head, NFULA_PAYLOAD, 4, "abcd");
	put(c, &m);
}

static unsigned taken;
static struct arrival last;

static void take(void *ctx, const struct arrival *a)
{
	assert_ptr_equal(ctx, &last);
	taken++;
	last = *a;
}

static struct copies_options options(void)
{
	return (struct copies_options){.group = 78, .kept = -1, .take = take, .ctx = &last};
}

static struct copies *open_copies(void)
{
	const struct copies_options o = options();
	struct errors errors = {0};
	struct copies *c = copies_open(&o, &errors);
	errors_print(&errors, stderr);
	assert_non_null(c);
	return c;
}

static int begin(void **state)
{
	kernel_reset();
	net_admin = true;
	taken = 0;
	return 0;
}

static int end(void **state)
{
	kernel_reset();
	return 0;
}

/* ---- opening ---- */

/* Each copy at once, whole and numbered, into a buffer of 128 MB as the kernel counts. */
static void the_group_is_asked_for_each_copy_whole(void **state)
{
	struct copies_options o = options();
	struct errors errors = {0};
	struct copies *c = open_copies();
	assert_string_equal(kernel.log, "set 1 33 67108864 0\nset 270 5 1 0\nset 270 10 1 0\n"
					"0401 5 0 78 1=01 2=0000fffb0200 5=00000001 6=0001\n");
	copies_close(c);
	assert_false(kernel_is_open(kernel.last));
	o.room = 1 << 20;
	kernel.log[0] = '\0';
	kernel.deaf[0][0] = SOL_SOCKET;
	kernel.deaf[0][1] = SO_RCVBUFFORCE;
	c = copies_open(&o, &errors);
	assert_non_null(strstr(kernel.log, "set 1 33 524288 0\nset 1 8 524288 0\n"));
	copies_close(c);
	copies_close(NULL);
}

static void says(const char *sentence, int error, bool may)
{
	const struct copies_options o = options();
	struct errors errors = {0};
	net_admin = may;
	kernel.error = error;
	assert_null(copies_open(&o, &errors));
	assert_int_equal(errors.count, 1);
	if (!strstr(errors.lines[0], sentence))
		fail_msg("said %s, not %s", errors.lines[0], sentence);
	errors_deinit(&errors);
	assert_false(kernel_is_open(kernel.last));
}

static void a_refusal_says_what_to_do(void **state)
{
	const struct copies_options o = options();
	struct errors errors = {0};
	says("no right to read NFLOG group 78: the capability CAP_NET_ADMIN is missing", EPERM,
	     false);
	says("NFLOG group 78 is in use by another program: stop it, or set queue_first", EPERM,
	     true);
	says("NFLOG group 78 is in use by another program", EBUSY, false);
	says("NFLOG group 78 is in use by another program", EEXIST, true);
	static const int none[] = {EINVAL, EPROTONOSUPPORT, EOPNOTSUPP};
	for (size_t i = 0; i < 3; i++)
		says("NFLOG group 78: this kernel has no copies of packets (nfnetlink_log): ",
		     none[i], true);
	says("NFLOG group 78: Cannot allocate memory", ENOMEM, true);
	kernel.cannot_bind = ENOMEM;
	assert_null(copies_open(&o, &errors));
	assert_false(kernel_is_open(kernel.last));
	kernel.cannot_bind = 0;
	kernel.cannot_open = EMFILE;
	assert_null(copies_open(&o, &errors));
	kernel.cannot_open = 0;
	kernel.cannot_send = ENOBUFS;
	assert_null(copies_open(&o, &errors));
	assert_int_equal(errors.count, 3);
	assert_non_null(strstr(errors.lines[0], "NFLOG group 78: Cannot allocate memory"));
	assert_non_null(strstr(errors.lines[1], "NFLOG group 78: Too many open files"));
	assert_non_null(strstr(errors.lines[2], "NFLOG group 78: No buffer space"));
	errors_deinit(&errors);
}

static int kept_socket(void)
{
	int fd = eventfd(0, 0), kept = fcntl(fd, F_DUPFD, 500);
	close(fd);
	return kept;
}

/* The group that the daemon before left is taken over with what came meanwhile. */
static void the_socket_of_the_daemon_before_is_taken_over(void **state)
{
	static const int errors_of_a_bound_group[] = {EPERM, EBUSY, EEXIST};
	for (size_t i = 0; i < 3; i++) {
		struct copies_options o = options();
		struct errors errors = {0};
		o.kept = kept_socket();
		kernel.error = errors_of_a_bound_group[i];
		struct copies *c = copies_open(&o, &errors);
		assert_non_null(c);
		assert_int_equal(copies_fd(c), o.kept);
		assert_false(kernel_is_open(kernel.last));
		taken = 0;
		put_copy(c, 5);
		copies_read(c, 1);
		assert_int_equal(taken, 1);
		copies_close(c);
		assert_false(kernel_is_open(o.kept));
	}
}

static void a_kept_socket_that_is_not_needed_is_closed(void **state)
{
	struct copies_options o = options();
	struct errors errors = {0};
	o.kept = kept_socket();
	struct copies *c = copies_open(&o, &errors);
	assert_int_not_equal(copies_fd(c), o.kept);
	assert_false(kernel_is_open(o.kept));
	copies_close(c);
	o.kept = kept_socket();
	kernel.error = ENOMEM;
	assert_null(copies_open(&o, &errors));
	assert_false(kernel_is_open(o.kept));
	o.kept = kept_socket();
	net_admin = false;
	kernel.error = EPERM; /* no right to it, be it whose it may */
	assert_null(copies_open(&o, &errors));
	assert_false(kernel_is_open(o.kept));
	errors_deinit(&errors);
}

/* ---- reading ---- */

static void a_copy_is_read(void **state)
{
	struct copies *c = open_copies();
	struct message m;
	const struct nfulnl_msg_packet_hw hw = {.hw_addrlen = htons(6),
						.hw_addr = {2, 3, 4, 5, 6, 7, 8, 9}},
					  odd = {.hw_addrlen = htons(8)};
	copy_begin(&m, NF_INET_PRE_ROUTING, 1);
	mnl_attr_put(m.head, NFULA_HWADDR, sizeof hw, &hw);
	mnl_attr_put(m.head, NFULA_PAYLOAD, 5, "query");
	put(c, &m);
	copies_read(c, 77);
	assert_int_equal(taken, 1);
	assert_int_equal(last.kind, ARRIVAL_DNS);
	assert_int_equal(last.now, 77);
	assert_int_equal(last.len, 5);
	assert_true(last.has_mac && !last.answer);
	assert_memory_equal(last.mac, hw.hw_addr, 6);
	static const uint8_t later[] = {NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT,
					NF_INET_POST_ROUTING};
	for (size_t i = 0; i < sizeof later; i++) {
		copy_begin(&m, later[i], 2 + (uint32_t)i);
		mnl_attr_put(m.head, NFULA_HWADDR, sizeof odd, &odd);
		mnl_attr_put(m.head, NFULA_PAYLOAD, 6, "answer");
		put(c, &m);
		copies_read(c, 78);
		assert_true(last.answer && !last.has_mac);
	}
	copies_close(c);
}

/* What is no copy is passed over; one without a head is no answer. */
static void what_is_no_copy_is_passed_over(void **state)
{
	struct copies *c = open_copies();
	struct copies_counters n;
	struct message m;
	copy_begin(&m, NF_INET_FORWARD, 1); /* without bytes */
	put(c, &m);
	message_begin(&m, NFNL_SUBSYS_QUEUE << 8 | NFULNL_MSG_PACKET);
	mnl_attr_put(m.head, NFULA_PAYLOAD, 1, "x");
	put(c, &m);
	message_begin(&m, NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG);
	mnl_attr_put(m.head, NFULA_PAYLOAD, 1, "x");
	put(c, &m);
	m.head = mnl_nlmsg_put_header(m.bytes);
	m.head->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET;
	put(c, &m);
	kernel.from = 4242; /* another process's */
	put_copy(c, 2);
	kernel.from = 0;
	copies_read(c, 1);
	assert_int_equal(taken, 0);
	message_begin(&m, NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET);
	mnl_attr_put(m.head, NFULA_PACKET_HDR, 2, "xx");
	mnl_attr_put(m.head, NFULA_HWADDR, 2, "xx");
	mnl_attr_put(m.head, NFULA_SEQ, 2, "xx");
	mnl_attr_put(m.head, NFULA_PAYLOAD, 1, "x");
	put(c, &m);
	copies_read(c, 1);
	assert_int_equal(taken, 1);
	assert_false(last.answer || last.has_mac);
	copies_count(c, &n);
	assert_int_equal(n.taken, 1);
	assert_int_equal(n.lost, 0);
	copies_close(c);
}

/* From the first that is read on; numbers go round. */
static void lost_copies_are_counted_by_their_numbers(void **state)
{
	static const struct {
		uint32_t number;
		uint64_t lost;
	} of[] = {
		{UINT32_MAX - 3, 0}, {UINT32_MAX - 2, 0}, {UINT32_MAX, 1}, {0, 1}, {1, 1}, {5, 4}};
	struct copies *c = open_copies();
	struct copies_counters n;
	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		put_copy(c, of[i].number);
		copies_read(c, 1);
		copies_count(c, &n);
		assert_int_equal(n.lost, of[i].lost);
		assert_int_equal(n.taken, i + 1);
	}
	copies_close(c);
}

/* All that is there is taken, over several reads; and no signal or loss ends a reading. */
static void all_that_is_there_is_taken(void **state)
{
	struct copies *c = open_copies();
	for (uint32_t i = 0; i < 32 * 3 + 5; i++)
		put_copy(c, i);
	copies_read(c, 1);
	assert_int_equal(taken, 32 * 3 + 5);
	copies_read(c, 1); /* nothing there */
	assert_int_equal(taken, 32 * 3 + 5);
	for (uint32_t i = 0; i < 32; i++)
		put_copy(c, 101 + i);
	kernel.empty = EINTR;
	copies_read(c, 1);
	assert_int_equal(taken, 32 * 4 + 5);
	assert_int_equal(kernel.empty, 0);
	copies_close(c);
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		WITH(the_group_is_asked_for_each_copy_whole),
		WITH(a_refusal_says_what_to_do),
		WITH(the_socket_of_the_daemon_before_is_taken_over),
		WITH(a_kept_socket_that_is_not_needed_is_closed),
		WITH(a_copy_is_read),
		WITH(what_is_no_copy_is_passed_over),
		WITH(lost_copies_are_counted_by_their_numbers),
		WITH(all_that_is_there_is_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
