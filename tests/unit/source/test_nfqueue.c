/* The queue against a kernel of the test's own: what it is asked for, how its packets are read,
 * what verdicts are made of, and what is said where it refuses. */
#include "netlink_kernel.h"
#include "base/clock.h"
#include "source/mark.h"
#include "source/nfqueue.h"
#include "unit.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netfilter/nfnetlink_queue.h>

#define MASK  0x0ff00000u
#define QUEUE 77
#define SENT  (MARK_SENT | MARK_HEARD)

static bool net_admin;

bool privilege_net_admin(void)
{
	return net_admin;
}

/* ---- /proc ---- */

static const char *proc_queues, *proc_comm;
static unsigned proc_port;

FILE *fopen(const char *path, const char *mode)
{
	char comm[64];
	snprintf(comm, sizeof comm, "/proc/%u/comm", proc_port);
	const char *text = strcmp(path, "/proc/net/netfilter/nfnetlink_queue") == 0 ? proc_queues
			   : strcmp(path, comm) == 0                                ? proc_comm
										    : NULL;
	return text ? fmemopen((void *)text, strlen(text), "r") : NULL;
}

/* ---- packets ---- */

struct message {
	char bytes[70000];
	struct nlmsghdr *head;
};

static void message_begin(struct message *m, uint16_t type, uint32_t sequence)
{
	memset(m->bytes, 0, sizeof m->bytes);
	m->head = mnl_nlmsg_put_header(m->bytes);
	m->head->nlmsg_type = type;
	m->head->nlmsg_seq = sequence;
	mnl_nlmsg_put_extra_header(m->head, sizeof(struct nfgenmsg));
}

static void put_id(struct message *m, uint32_t id)
{
	const struct nfqnl_msg_packet_hdr head = {htonl(id), htons(0x800), NF_INET_PRE_ROUTING};
	mnl_attr_put(m->head, NFQA_PACKET_HDR, sizeof head, &head);
}

static void packet_begin(struct message *m, uint32_t id)
{
	message_begin(m, NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET, 0);
	put_id(m, id);
}

static void put(struct source *s, const struct message *m)
{
	kernel_put(nfqueue_fd(s), m->bytes, m->head->nlmsg_len);
}

static void put_packet(struct source *s, uint32_t id)
{
	struct message m;
	packet_begin(&m, id);
	mnl_attr_put(m.head, NFQA_PAYLOAD, 4, "abcd");
	put(s, &m);
}

/* ---- opening ---- */

static struct nfqueue_options options(void)
{
	return (struct nfqueue_options){.queue = QUEUE,
					.length = 4096,
					.mark_mask = MASK,
					.epoch = 3,
					.kept = -1,
					.raw4 = -1,
					.raw6 = -1};
}

static struct source *open_with(const struct nfqueue_options *o)
{
	struct errors errors = {0};
	struct source *s = nfqueue_open(o, &errors);
	errors_print(&errors, stderr);
	assert_non_null(s);
	return s;
}

static struct source *open_queue(void)
{
	const struct nfqueue_options o = options();
	struct source *s = open_with(&o);
	kernel.log[0] = '\0';
	return s;
}

static int begin(void **state)
{
	kernel_reset();
	net_admin = true;
	proc_queues = proc_comm = NULL;
	return 0;
}

/* Type, flags, family, queue, attributes of each message; a socket's options as numbers. */
static void the_queue_is_asked_for_whole_packets_and_its_length(void **state)
{
	struct nfqueue_options o = options();
	struct source *s = open_with(&o);
	assert_string_equal(kernel.log, "set 1 33 33554432 0\n" /* SO_RCVBUFFORCE */
					"set 270 5 1 0\n"       /* NETLINK_NO_ENOBUFS */
					"set 270 10 1 0\n"      /* NETLINK_CAP_ACK */
					"0302 5 0 77 1=01000000\n"
					"0302 5 0 77 5=00000004 4=00000004\n" /* GSO */
					"0302 5 0 77 3=00001000\n"
					"0302 5 0 77 2=0000fffb02\n"
					"set 1 20 0 100000\n"); /* SO_RCVTIMEO */
	s->ops->free(s);
	kernel.log[0] = '\0';
	o.fail_open = true;
	s = open_with(&o);
	assert_non_null(strstr(kernel.log, "0302 5 0 77 5=00000001 4=00000001\n"));
	int fd = nfqueue_fd(s);
	assert_true(kernel_is_open(fd));
	s->ops->free(s);
	assert_false(kernel_is_open(fd));
}

static void each_answer_is_that_of_its_own_message(void **state)
{
	const struct nfqueue_options o = options();
	struct errors errors = {0};
	kernel_put_error(kernel.last, 0, EPERM); /* of nobody's message; it is for another socket */
	struct source *s = nfqueue_open(&o, &errors);
	assert_non_null(s);
	s->ops->free(s);
}

/* A kernel that has no GSO hands up segments; one that cannot fail open must not be asked to. */
static bool refuses_flags(int fd, const struct nlmsghdr *m)
{
	bool flags = strstr(kernel.log, "5=00000004 4=00000004\n");
	if (flags && !strstr(kernel.log, "refused")) {
		kernel_log("refused\n");
		kernel_put_error(fd, m->nlmsg_seq, EOPNOTSUPP);
		return true;
	}
	return false;
}

static void a_kernel_without_gso_is_served(void **state)
{
	const struct nfqueue_options o = options();
	kernel.on = refuses_flags;
	struct source *s = open_with(&o);
	assert_non_null(strstr(kernel.log, "refused\n0302 5 0 77 3=00001000\n"));
	s->ops->free(s);
}

static void where_the_large_buffer_is_refused_a_smaller_one_is_asked_for(void **state)
{
	const struct nfqueue_options o = options();
	kernel.deaf[0][0] = SOL_SOCKET;
	kernel.deaf[0][1] = SO_RCVBUFFORCE;
	struct source *s = open_with(&o);
	assert_non_null(strstr(kernel.log, "set 1 8 33554432 0\n"));
	s->ops->free(s);
}

/* ---- what is said ---- */

/* A descriptor whose number nothing else takes soon. */
static int kept_socket(void)
{
	int fd = eventfd(0, 0), kept = fcntl(fd, F_DUPFD, 500);
	close(fd);
	return kept;
}

static void says(const char *sentence, int error, bool may)
{
	const struct nfqueue_options o = options();
	struct errors errors = {0};
	net_admin = may;
	kernel.error = error;
	assert_null(nfqueue_open(&o, &errors));
	assert_int_equal(errors.count, 1);
	assert_non_null(strstr(errors.lines[0], sentence));
	errors_deinit(&errors);
	assert_false(kernel_is_open(kernel.last));
}

static void a_refusal_says_what_to_do(void **state)
{
	says("no right to read queue 77: the capability CAP_NET_ADMIN is missing", EPERM, false);
	says("queue 77 is in use by another program", EPERM, true);
	says("queue 77 is in use by another program", EBUSY, true);
	says("queue 77 is in use by another program", EBUSY, false);
	static const int none[] = {EINVAL, EPROTONOSUPPORT, EOPNOTSUPP};
	for (size_t i = 0; i < 3; i++)
		says("queue 77: this kernel has no packet queues (nfnetlink_queue): binding it: ",
		     none[i], true);
	says("queue 77: binding it: Cannot allocate memory", ENOMEM, true);
	proc_queues = "   76  1111     3 2 65531     5     6        9  1\n"
		      "   77  4242     3 2 65531     5     6        9  1\n";
	proc_port = 4242;
	says("queue 77 is in use by another program (netlink port 4242)", EBUSY, true);
	proc_comm = "suricata\n";
	says("queue 77 is in use by suricata (netlink port 4242)", EBUSY, true);
	proc_queues = "   78  4242     3 2 65531     5     6        9  1\n";
	says("queue 77 is in use by another program", EBUSY, true);
}

/* At which step, by how many messages went well. */
static unsigned good;
static bool fails_later(int fd, const struct nlmsghdr *m)
{
	if (good--)
		return false;
	kernel_put_error(fd, m->nlmsg_seq, ENOMEM);
	return true;
}

static void a_refusal_says_at_which_step(void **state)
{
	static const char *const steps[] = {"binding it", NULL, "setting its flags",
					    "setting its length", "asking for whole packets"};
	struct nfqueue_options o = options();
	o.fail_open = true;
	for (unsigned i = 0; i < 5; i++) {
		struct errors errors = {0};
		char want[64];
		if (!steps[i])
			continue; /* what may fail */
		good = i;
		kernel.on = fails_later;
		assert_null(nfqueue_open(&o, &errors));
		snprintf(want, sizeof want, "queue 77: %s: Cannot allocate", steps[i]);
		assert_int_equal(errors.count, 1);
		assert_non_null(strstr(errors.lines[0], want));
		errors_deinit(&errors);
	}
}

static void a_socket_that_cannot_be_had_is_said(void **state)
{
	const struct nfqueue_options o = options();
	struct errors errors = {0};
	kernel.cannot_open = EMFILE;
	assert_null(nfqueue_open(&o, &errors));
	kernel.cannot_open = 0;
	kernel.cannot_bind = ENOMEM;
	assert_null(nfqueue_open(&o, &errors));
	assert_false(kernel_is_open(kernel.last));
	kernel.cannot_bind = 0;
	kernel.cannot_send = ENOBUFS;
	assert_null(nfqueue_open(&o, &errors));
	kernel.deaf[0][0] = SOL_SOCKET;
	kernel.deaf[0][1] = SO_RCVTIMEO; /* who cannot wake up is of no use */
	assert_null(nfqueue_open(&o, &errors));
	assert_int_equal(errors.count, 3);
	assert_non_null(strstr(errors.lines[0], "queue 77: opening a netlink socket: Too many"));
	assert_non_null(strstr(errors.lines[1], "queue 77: opening a netlink socket: Cannot"));
	assert_non_null(strstr(errors.lines[2], "queue 77: binding it: No buffer"));
	errors_deinit(&errors);
}

/* ---- what comes ---- */

static void a_packet_is_read(void **state)
{
	struct source *s = open_queue();
	struct arrival a[4];
	struct message m;
	const struct nfqnl_msg_packet_hw hw = {.hw_addrlen = htons(6),
					       .hw_addr = {2, 3, 4, 5, 6, 7, 8, 9}},
					 odd = {.hw_addrlen = htons(8)};
	int64_t before = clock_now();
	packet_begin(&m, 0xdeadbeef);
	mnl_attr_put_u32(m.head, NFQA_MARK, htonl(0x10000005u | mark_value(MASK, SENT, 3)));
	mnl_attr_put(m.head, NFQA_HWADDR, sizeof hw, &hw);
	mnl_attr_put(m.head, NFQA_PAYLOAD, 5, "bytes");
	put(s, &m);
	packet_begin(&m, 8); /* another epoch's mark says nothing */
	mnl_attr_put_u32(m.head, NFQA_MARK, htonl(mark_value(MASK, SENT, 2)));
	mnl_attr_put(m.head, NFQA_HWADDR, sizeof odd, &odd);
	mnl_attr_put_u32(m.head, NFQA_CAP_LEN, htonl(9));
	mnl_attr_put(m.head, NFQA_PAYLOAD, 1, "x");
	put(s, &m);
	assert_int_equal(s->ops->receive(s, a, 4), 2);
	assert_int_equal(a[0].kind, ARRIVAL_CLIENT);
	assert_int_equal(a[0].id, 0xdeadbeef | (uint64_t)(0x10000005u | mark_value(MASK, SENT, 3))
						       << 32);
	assert_int_equal(a[0].entry, ENTRY_HEARD);
	assert_int_equal(a[0].len, 5);
	assert_memory_equal(a[0].bytes, "bytes", 5);
	assert_true(a[0].has_mac && !a[0].cut);
	assert_memory_equal(a[0].mac, hw.hw_addr, 6);
	assert_in_range(a[0].now, before, clock_now());
	assert_int_equal(a[1].entry, ENTRY_NONE);
	assert_true(a[1].cut && !a[1].has_mac);
	assert_int_equal(a[1].len, 1);
	s->ops->free(s);
}

/* What has no id can have no verdict; and what is no packet is none. */
static void what_is_no_packet_is_passed_over(void **state)
{
	struct source *s = open_queue();
	struct arrival a[16];
	struct message m;
	struct nfqueue_counters n;
	message_begin(&m, NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET, 0);
	mnl_attr_put(m.head, NFQA_PAYLOAD, 1, "x");
	put(s, &m);
	message_begin(&m, NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET, 0);
	mnl_attr_put(m.head, NFQA_PACKET_HDR, 2, "xx"); /* cut short */
	put(s, &m);
	message_begin(&m, NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_VERDICT, 0);
	put_id(&m, 1);
	put(s, &m);
	message_begin(&m, NFNL_SUBSYS_ULOG << 8 | NFQNL_MSG_PACKET, 0);
	put_id(&m, 1);
	put(s, &m);
	m.head = mnl_nlmsg_put_header(m.bytes); /* without its head */
	m.head->nlmsg_type = NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET;
	put(s, &m);
	kernel.from = 4242; /* another process's */
	put_packet(s, 1);
	kernel.from = 0;
	put_packet(s, 2);
	kernel_put_error(nfqueue_fd(s), 0, ENOENT);
	kernel_put_error(nfqueue_fd(s), 0xdead, ENOENT); /* of what may find nothing to do */
	assert_int_equal(s->ops->receive(s, a, 16), 1);
	assert_int_equal((uint32_t)a[0].id, 2);
	nfqueue_count(s, &n);
	assert_int_equal(n.verdict_errors, 1);
	assert_int_equal(n.packets, 1);
	assert_int_equal(n.bursts, 1);
	s->ops->free(s);
}

/* No more than there is room for, be they in datagrams of their own or in one. */
static void no_more_come_than_there_is_room_for(void **state)
{
	struct source *s = open_queue();
	struct arrival a[80];
	struct message one, many;
	for (uint32_t i = 1; i <= 6; i++)
		put_packet(s, i);
	assert_int_equal(s->ops->receive(s, a, 4), 4);
	assert_int_equal(s->ops->receive(s, a, 4), 2);
	assert_int_equal((uint32_t)a[1].id, 6);
	for (uint32_t i = 1; i <= 70; i++)
		put_packet(s, i);
	assert_int_equal(s->ops->receive(s, a, 80), 64);
	assert_int_equal(s->ops->receive(s, a, 80), 6);
	packet_begin(&one, 9);
	memset(many.bytes, 0, sizeof many.bytes);
	for (int i = 0; i < 6; i++)
		memcpy(many.bytes + (size_t)i * one.head->nlmsg_len, one.bytes,
		       one.head->nlmsg_len);
	kernel_put(nfqueue_fd(s), many.bytes, 6 * one.head->nlmsg_len);
	memset(a, 0, sizeof a);
	assert_int_equal(s->ops->receive(s, a, 4), 4);
	assert_int_equal(a[4].id, 0);
	s->ops->free(s);
}

static void the_largest_packet_is_whole(void **state)
{
	static char bytes[65531];
	struct source *s = open_queue();
	struct arrival a[1];
	struct message m;
	packet_begin(&m, 1);
	mnl_attr_put(m.head, NFQA_PAYLOAD, sizeof bytes, bytes);
	put(s, &m);
	assert_int_equal(s->ops->receive(s, a, 1), 1);
	assert_int_equal(a[0].len, sizeof bytes);
	s->ops->free(s);
}

static void a_read_that_fails_is_told_where_it_is_the_end(void **state)
{
	struct source *s = open_queue();
	struct nfqueue_counters n;
	struct arrival a[1];
	assert_int_equal(s->ops->receive(s, a, 1), 0);
	kernel.empty = EINTR;
	assert_int_equal(s->ops->receive(s, a, 1), 0);
	nfqueue_count(s, &n);
	assert_int_equal(n.overruns, 0);
	kernel.empty = ENOBUFS;
	assert_int_equal(s->ops->receive(s, a, 1), 0);
	nfqueue_count(s, &n);
	assert_int_equal(n.overruns, 1);
	kernel.empty = EBADF;
	assert_int_equal(s->ops->receive(s, a, 1), -EBADF);
	s->ops->free(s);
}

/* Who waits for a near time wakes up in time for it, and nobody is woken without need. */
static void the_tick_is_as_short_as_it_must_be(void **state)
{
	struct source *s = open_queue();
	struct arrival a[1];
	s->ops->receive(s, a, 1);
	assert_string_equal(kernel.log, "");
	s->soon = true;
	s->ops->receive(s, a, 1);
	s->ops->receive(s, a, 1);
	assert_string_equal(kernel.log, "set 1 20 0 10000\n");
	s->soon = false;
	s->ops->receive(s, a, 1);
	assert_string_equal(kernel.log, "set 1 20 0 10000\nset 1 20 0 100000\n");
	int64_t ahead = 1, before = clock_now();
	int64_t now = s->ops->now(s, &ahead);
	assert_in_range(now, before, clock_now());
	assert_in_range(ahead + 1000, 0, 2000);
	s->ops->free(s);
}

/* ---- verdicts ---- */

static char sent[64 * 1024];
static size_t sent_len;
static int sent_fd;

static void on_sent(int fd, const void *bytes, size_t len, const struct sockaddr *to)
{
	assert_true(sent_len + len <= sizeof sent);
	memcpy(sent + sent_len, bytes, len);
	sent_len += len;
	sent_fd = fd;
}

static void says_verdict(size_t at, bool accept, uint32_t id, uint32_t mark)
{
	const struct nlmsghdr *m = (const struct nlmsghdr *)(sent + at * 40);
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(m);
	const struct nfqnl_msg_verdict_hdr verdict = {htonl(accept ? NF_ACCEPT : NF_DROP),
						      htonl(id)};
	struct cursor c = cursor_of(g + 1, 20);
	struct netlink_attribute a;
	uint32_t be = htonl(mark);
	assert_true(sent_len >= (at + 1) * 40);
	assert_int_equal(m->nlmsg_len, 40);
	assert_int_equal(m->nlmsg_type, NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_VERDICT);
	assert_int_equal(m->nlmsg_flags, NLM_F_REQUEST);
	assert_int_equal(ntohs(g->res_id), QUEUE);
	assert_true(netlink_attribute(&c, &a));
	assert_int_equal(a.type, NFQA_VERDICT_HDR);
	assert_int_equal(cursor_left(&a.value), sizeof verdict);
	assert_memory_equal(a.value.pos, &verdict, sizeof verdict);
	assert_true(netlink_attribute(&c, &a));
	assert_int_equal(a.type, NFQA_MARK);
	assert_int_equal(cursor_left(&a.value), 4);
	assert_memory_equal(a.value.pos, &be, 4);
}

/* A verdict has the mark of its kind and epoch, and leaves other people's bits alone. */
static void verdicts_are_told_and_other_bits_left_alone(void **state)
{
	static const struct {
		enum verdict v;
		enum mark_kind kind;
		bool accept;
	} of[] = {{VERDICT_PASS, MARK_PASS, true},     {VERDICT_PENDING, MARK_PENDING, true},
		  {VERDICT_HEARD, MARK_HEARD, true},   {VERDICT_ALLOWED, MARK_ALLOWED, true},
		  {VERDICT_DENIED, MARK_DENIED, true}, {VERDICT_REDIRECT, MARK_REDIRECT, true},
		  {VERDICT_DROP, MARK_NONE, false},    {VERDICT_DROP_DENIED, MARK_DENIED, false}};
	struct source *s = open_queue();
	kernel.sent = on_sent;
	sent_len = 0;
	for (uint32_t i = 0; i < 8; i++)
		s->ops->verdict(s, (uint64_t)0xf00fffffu << 32 | (i + 1) | 0x80000000u, of[i].v);
	assert_int_equal(sent_len, 0);
	s->ops->flush(s);
	assert_int_equal(sent_len, 8 * 40);
	assert_int_equal(sent_fd, nfqueue_fd(s));
	for (uint32_t i = 0; i < 8; i++)
		says_verdict(i, of[i].accept, (i + 1) | 0x80000000u,
			     0xf00fffffu | (of[i].kind ? mark_value(MASK, of[i].kind, 3) : 0));
	s->ops->verdict(s, (uint64_t)mark_value(MASK, SENT, 3) << 32 | 7, VERDICT_DROP);
	s->ops->flush(s);
	says_verdict(8, false, 7, 0); /* our own bits of before are gone */
	s->ops->flush(s);
	assert_int_equal(sent_len, 9 * 40);
	s->ops->free(s);
}

/* Each packet has its one verdict, however many there are in a burst. */
static void verdicts_are_sent_when_there_are_many(void **state)
{
	struct source *s = open_queue();
	kernel.sent = on_sent;
	sent_len = 0;
	for (uint32_t i = 0; i < 255; i++)
		s->ops->verdict(s, i, VERDICT_PENDING);
	assert_int_equal(sent_len, 0);
	s->ops->verdict(s, 255, VERDICT_PENDING);
	assert_int_equal(sent_len, 256 * 40);
	s->ops->verdict(s, 256, VERDICT_DROP);
	s->ops->flush(s);
	assert_int_equal(sent_len, 257 * 40);
	says_verdict(255, true, 255, mark_value(MASK, MARK_PENDING, 3));
	says_verdict(256, false, 256, 0);
	s->ops->free(s);
}

static void verdicts_that_cannot_be_sent_are_counted(void **state)
{
	struct source *s = open_queue();
	struct nfqueue_counters n;
	kernel.sent = on_sent;
	sent_len = 0;
	s->ops->verdict(s, 1, VERDICT_PENDING);
	s->ops->verdict(s, 2, VERDICT_PENDING);
	kernel.cannot_send = ENOBUFS;
	s->ops->flush(s);
	nfqueue_count(s, &n);
	assert_int_equal(n.verdict_errors, 2);
	s->ops->verdict(s, 3, VERDICT_PENDING);
	s->ops->flush(s);
	assert_int_equal(sent_len, 40);
	nfqueue_count(s, &n);
	assert_int_equal(n.verdict_errors, 2);
	s->ops->free(s);
}

/* ---- the daemon before ---- */

static bool bind_refused(int fd, const struct nlmsghdr *m)
{
	if (strstr(kernel.log, "refused"))
		return false;
	kernel_log("refused\n");
	kernel_put_error(fd, m->nlmsg_seq, EBUSY);
	return true;
}

static struct source *take_over(int kept)
{
	struct nfqueue_options o = options();
	o.kept = kept;
	kernel.on = bind_refused;
	struct source *s = open_with(&o);
	kernel.on = NULL;
	return s;
}

/* What it read and did not judge would wait for ever: all before the first that comes to us. */
static void the_socket_of_the_daemon_before_is_taken_over_and_its_packets_end(void **state)
{
	int kept = kept_socket();
	struct source *s = take_over(kept);
	struct arrival a[4];
	assert_int_equal(nfqueue_fd(s), kept);
	/* without ACKs, which would come among the packets */
	assert_non_null(strstr(kernel.log, "refused\n0302 1 0 77 5=00000004 4=00000004\n"
					   "0302 1 0 77 3=00001000\n"
					   "0302 1 0 77 2=0000fffb02\nset 1 20 0 100000\n"));
	kernel.log[0] = '\0';
	assert_int_equal(s->ops->receive(s, a, 4), 0);
	assert_string_equal(kernel.log, "");
	put_packet(s, 0x201);
	put_packet(s, 0x202);
	assert_int_equal(s->ops->receive(s, a, 4), 2);
	assert_string_equal(kernel.log, "0303 1 0 77 2=0000000000000200\n"); /* VERDICT_BATCH */
	put_packet(s, 0x203);
	assert_int_equal(s->ops->receive(s, a, 4), 1);
	assert_string_equal(kernel.log, "0303 1 0 77 2=0000000000000200\n");
	s->ops->free(s);
	assert_false(kernel_is_open(kept));
}

static void a_message_that_finds_nothing_to_do_is_no_error(void **state)
{
	struct source *s = take_over(kept_socket());
	struct arrival a[4];
	struct nfqueue_counters n;
	put_packet(s, 1);
	assert_int_equal(s->ops->receive(s, a, 4), 1);
	kernel_put_error(nfqueue_fd(s), 0xdead, ENOENT);
	assert_int_equal(s->ops->receive(s, a, 4), 0);
	nfqueue_count(s, &n);
	assert_int_equal(n.verdict_errors, 0);
	s->ops->free(s);
}

/* Of a queue that nobody reads, or one that is another program's, it is of no use. */
static void a_kept_socket_that_is_not_needed_is_closed(void **state)
{
	struct nfqueue_options o = options();
	struct errors errors = {0};
	o.kept = kept_socket();
	struct source *s = open_with(&o);
	assert_int_not_equal(nfqueue_fd(s), o.kept);
	assert_false(kernel_is_open(o.kept));
	s->ops->free(s);
	o.kept = kept_socket();
	net_admin = false;
	kernel.error = EPERM;
	assert_null(nfqueue_open(&o, &errors));
	assert_false(kernel_is_open(o.kept));
	errors_deinit(&errors);
	o.kept = kept_socket();
	net_admin = true;
	kernel.error = ENOMEM;
	assert_null(nfqueue_open(&o, &errors));
	assert_false(kernel_is_open(o.kept));
	errors_deinit(&errors);
	kernel.error = EPERM; /* as kernels say it, too */
	o.kept = kept_socket();
	s = open_with(&o);
	assert_int_equal(nfqueue_fd(s), o.kept);
	s->ops->free(s);
}

/* ---- the rest ---- */

static bool remarks(void *ctx, const struct flow_key *key, uint32_t isn, enum verdict v)
{
	kernel_log("remark %d %u %u %d\n", *(int *)ctx, key->client_port, isn, v);
	return *(int *)ctx == 1;
}

static void remarks_go_where_they_are_to_go(void **state)
{
	struct nfqueue_options o = options();
	int ctx = 1;
	const struct flow_key key = {.client_port = 5};
	struct source *s = open_queue();
	assert_true(s->ops->remark(s, &key, 9, VERDICT_DENIED)); /* to nobody */
	s->ops->free(s);
	o.remark = remarks;
	o.ctx = &ctx;
	s = open_with(&o);
	kernel.log[0] = '\0';
	assert_true(s->ops->remark(s, &key, 9, VERDICT_DENIED));
	ctx = 0; /* no room */
	assert_false(s->ops->remark(s, &key, 10, VERDICT_PENDING));
	assert_string_equal(kernel.log, "remark 1 5 9 4\nremark 0 5 10 1\n");
	s->ops->free(s);
}

static void what_a_full_queue_does_can_be_changed(void **state)
{
	struct source *s = open_queue();
	nfqueue_fail_open(s, true);
	nfqueue_fail_open(s, false);
	assert_string_equal(kernel.log, "0302 1 0 77 5=00000001 4=00000001\n"
					"0302 1 0 77 5=00000000 4=00000001\n");
	s->ops->free(s);
}

static void the_kernels_own_counters_are_told(void **state)
{
	struct source *s = open_queue();
	struct nfqueue_counters n;
	uint32_t port = 0;
	proc_queues = "   76  1111     1 2 65531     1     1        9  1\n"
		      "   77  4242     3 2 65531     5     6        9  1\n";
	nfqueue_count(s, &n);
	assert_int_equal(n.waiting, 3);
	assert_int_equal(n.full, 5);
	assert_int_equal(n.overruns, 6);
	assert_true(nfqueue_bound(QUEUE, &port));
	assert_int_equal(port, 4242);
	assert_false(nfqueue_bound(QUEUE + 1, &port));
	proc_queues = "   77  4242     3 2 65531     5\n"; /* not whole */
	assert_false(nfqueue_bound(QUEUE, &port));
	s->ops->free(s);
}

/* ---- datagrams that race ---- */

static const uint8_t datagram[40] = {0x45, 0, 0, 40,  0, 0, 0, 0,    64,   17, 0,    0, 10,
				     0,    0, 1, 192, 0, 2, 1, 0x9c, 0x40, 1,  0xbb, 0, 20};

/* The entry that the second one finds: another port by NAT. */
static bool translated(int fd, const struct nlmsghdr *request)
{
	struct message m;
	if (request->nlmsg_type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET))
		return false;
	message_begin(&m, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW, request->nlmsg_seq);
	for (int i = 0; i < 2; i++) {
		struct nlattr *t =
			mnl_attr_nest_start(m.head, i ? CTA_TUPLE_REPLY : CTA_TUPLE_ORIG);
		struct nlattr *ip = mnl_attr_nest_start(m.head, CTA_TUPLE_IP);
		mnl_attr_put_u32(m.head, CTA_IP_V4_SRC, htonl(0x0a000001));
		mnl_attr_put_u32(m.head, CTA_IP_V4_DST, htonl(0xc0000201));
		mnl_attr_nest_end(m.head, ip);
		struct nlattr *proto = mnl_attr_nest_start(m.head, CTA_TUPLE_PROTO);
		mnl_attr_put_u8(m.head, CTA_PROTO_NUM, 17);
		mnl_attr_put_u16(m.head, CTA_PROTO_SRC_PORT, htons(40000));
		mnl_attr_put_u16(m.head, CTA_PROTO_DST_PORT, htons(1024));
		mnl_attr_nest_end(m.head, proto);
		mnl_attr_nest_end(m.head, t);
	}
	mnl_attr_put_u32(m.head, CTA_STATUS, htonl(IPS_CONFIRMED | IPS_SRC_NAT));
	kernel_put(fd, m.bytes, m.head->nlmsg_len);
	kernel_put_done(fd, request->nlmsg_seq);
	return true;
}

static void put_datagram(struct source *s, uint32_t id)
{
	struct message m;
	packet_begin(&m, id);
	mnl_attr_put(m.head, NFQA_PAYLOAD, sizeof datagram, datagram);
	put(s, &m);
}

/* The second datagram of a new flow has no entry yet. Allowed, it is sent along the first one's,
 * which the verdict of the first has confirmed by then; denied, it is dropped as any other is. */
static void a_second_datagram_is_sent_along_the_entry_of_the_first(void **state)
{
	static const struct {
		enum verdict v;
		bool along, accept;
	} of[] = {{VERDICT_PASS, true, false},   {VERDICT_PENDING, true, false},
		  {VERDICT_HEARD, true, false},  {VERDICT_ALLOWED, true, false},
		  {VERDICT_DENIED, false, true}, {VERDICT_DROP, false, false}};
	for (size_t i = 0; i < 6; i++) {
		struct nfqueue_options o = options();
		struct nfqueue_counters n;
		struct arrival a[4];
		o.raw4 = 1000;
		kernel_reset();
		struct source *s = open_with(&o);
		kernel.on = translated;
		kernel.sent = on_sent;
		put_datagram(s, 1);
		put_datagram(s, 2);
		assert_int_equal(s->ops->receive(s, a, 4), 2);
		sent_len = 0;
		s->ops->verdict(s, 1, VERDICT_PENDING);
		s->ops->verdict(s, 2, of[i].v);
		nfqueue_count(s, &n);
		assert_int_equal(n.racers, of[i].along);
		assert_int_equal(sent_len, of[i].along ? 40 + sizeof datagram : 0);
		if (of[i].along) /* behind the first one's verdict, with a hop less */
			assert_int_equal(sent[40 + 8], 63);
		sent_len = 0;
		s->ops->flush(s);
		says_verdict(of[i].along ? 0 : 1, of[i].accept, 2,
			     mark_of_verdict(of[i].v)
				     ? mark_value(MASK, mark_of_verdict(of[i].v), 3)
				     : 0);
		s->ops->verdict(s, 2, VERDICT_PENDING); /* the copy is gone */
		nfqueue_count(s, &n);
		assert_int_equal(n.racers, of[i].along);
		s->ops->free(s);
	}
}

static void a_second_datagram_that_no_entry_waits_for_has_its_own(void **state)
{
	struct source *s = open_queue();
	struct arrival a[4];
	put_datagram(s, 1);
	put_datagram(s, 2);
	assert_int_equal(s->ops->receive(s, a, 4), 2);
	kernel.sent = on_sent;
	sent_len = 0;
	s->ops->verdict(s, 2, VERDICT_PENDING);
	s->ops->flush(s);
	says_verdict(0, true, 2, mark_value(MASK, MARK_PENDING, 3));
	s->ops->free(s);
}

static int end(void **state)
{
	kernel_reset();
	return 0;
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		WITH(the_queue_is_asked_for_whole_packets_and_its_length),
		WITH(each_answer_is_that_of_its_own_message),
		WITH(a_kernel_without_gso_is_served),
		WITH(where_the_large_buffer_is_refused_a_smaller_one_is_asked_for),
		WITH(a_refusal_says_what_to_do),
		WITH(a_refusal_says_at_which_step),
		WITH(a_socket_that_cannot_be_had_is_said),
		WITH(a_packet_is_read),
		WITH(what_is_no_packet_is_passed_over),
		WITH(no_more_come_than_there_is_room_for),
		WITH(the_largest_packet_is_whole),
		WITH(a_read_that_fails_is_told_where_it_is_the_end),
		WITH(the_tick_is_as_short_as_it_must_be),
		WITH(verdicts_are_told_and_other_bits_left_alone),
		WITH(verdicts_are_sent_when_there_are_many),
		WITH(verdicts_that_cannot_be_sent_are_counted),
		WITH(the_socket_of_the_daemon_before_is_taken_over_and_its_packets_end),
		WITH(a_message_that_finds_nothing_to_do_is_no_error),
		WITH(a_kept_socket_that_is_not_needed_is_closed),
		WITH(remarks_go_where_they_are_to_go),
		WITH(what_a_full_queue_does_can_be_changed),
		WITH(the_kernels_own_counters_are_told),
		WITH(a_second_datagram_is_sent_along_the_entry_of_the_first),
		WITH(a_second_datagram_that_no_entry_waits_for_has_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
