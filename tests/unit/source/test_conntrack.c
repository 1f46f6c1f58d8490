/* Entries of conntrack against a kernel of the test's own: what is asked and changed, word by word,
 * and what is made of what it tells. */
#include "netlink_kernel.h"
#include "base/clock.h"
#include "source/conntrack.h"
#include "source/mark.h"
#include "unit.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#define MASK 0x0ff00000u

static struct flow_key key4, key6;
static struct conntrack *c;

/* ---- what the kernel tells ---- */

struct told {
	const struct flow_key *key; /* NULL: without a tuple */
	uint32_t mark, status;
	uint8_t state;       /* TCP_CONNTRACK_*; 0: none */
	uint16_t reply_port; /* 0: none */
	uint64_t bytes, packets;
};

struct message {
	char bytes[4096];
	struct nlmsghdr *head;
};

static void put_tuple(struct nlmsghdr *m, uint16_t type, const struct flow_key *key, uint16_t to)
{
	struct nlattr *t = mnl_attr_nest_start(m, type), *n = mnl_attr_nest_start(m, CTA_TUPLE_IP);
	bool four = address_is4(&key->client);
	mnl_attr_put(m, four ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, four ? 4 : 16,
		     key->client.bytes + (four ? 12 : 0));
	mnl_attr_put(m, four ? CTA_IP_V4_DST : CTA_IP_V6_DST, four ? 4 : 16,
		     key->server.bytes + (four ? 12 : 0));
	mnl_attr_nest_end(m, n);
	n = mnl_attr_nest_start(m, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(m, CTA_PROTO_NUM, key->transport);
	mnl_attr_put_u16(m, CTA_PROTO_SRC_PORT, htons(key->client_port));
	mnl_attr_put_u16(m, CTA_PROTO_DST_PORT, htons(to));
	mnl_attr_nest_end(m, n);
	mnl_attr_nest_end(m, t);
}

static void put_counters(struct nlmsghdr *m, uint16_t type, uint64_t bytes, uint64_t packets)
{
	struct nlattr *t = mnl_attr_nest_start(m, type);
	mnl_attr_put_u64(m, CTA_COUNTERS_BYTES, htobe64(bytes));
	mnl_attr_put_u64(m, CTA_COUNTERS_PACKETS, htobe64(packets));
	mnl_attr_nest_end(m, t);
}

static void make(struct message *out, uint16_t type, uint32_t sequence, const struct told *e)
{
	memset(out->bytes, 0, sizeof out->bytes);
	struct nlmsghdr *m = out->head = mnl_nlmsg_put_header(out->bytes);
	m->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	m->nlmsg_seq = sequence;
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(m, sizeof *g);
	g->nfgen_family = e->key && !address_is4(&e->key->client) ? AF_INET6 : AF_INET;
	if (e->key)
		put_tuple(m, CTA_TUPLE_ORIG, e->key, e->key->server_port);
	if (e->key && e->reply_port)
		put_tuple(m, CTA_TUPLE_REPLY, e->key, e->reply_port);
	mnl_attr_put_u32(m, CTA_MARK, htonl(e->mark));
	mnl_attr_put_u32(m, CTA_STATUS, htonl(e->status));
	put_counters(m, CTA_COUNTERS_ORIG, e->bytes, e->packets);
	put_counters(m, CTA_COUNTERS_REPLY, 1000, 10);
	if (e->state) {
		struct nlattr *p = mnl_attr_nest_start(m, CTA_PROTOINFO),
			      *t = mnl_attr_nest_start(m, CTA_PROTOINFO_TCP);
		mnl_attr_put_u8(m, CTA_PROTOINFO_TCP_STATE, e->state);
		mnl_attr_nest_end(m, t);
		mnl_attr_nest_end(m, p);
	}
}

/* What a GET is answered with. */
static const struct told *answers;
static size_t answer_count;
static uint32_t answer_sequence; /* added to the question's */

static bool answer(int fd, const struct nlmsghdr *m)
{
	struct message out;
	if (m->nlmsg_type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET))
		return false;
	for (size_t i = 0; i < answer_count; i++) {
		make(&out, IPCTNL_MSG_CT_NEW, m->nlmsg_seq + answer_sequence, &answers[i]);
		kernel_put(fd, out.bytes, out.head->nlmsg_len);
	}
	if (m->nlmsg_flags & NLM_F_DUMP)
		kernel_put_done(fd, m->nlmsg_seq);
	else
		kernel_put_error(fd, m->nlmsg_seq, 0);
	return true;
}

static void answer_with(const struct told *e, size_t count)
{
	answers = e;
	answer_count = count;
	kernel.on = answer;
}

/* ---- set up ---- */

static struct {
	unsigned count;
	struct flow_key key;
	uint64_t bytes, packets;
	int64_t after, last;
	bool denied;
} ended;

static void on_end(void *ctx, const struct flow_key *key, uint64_t bytes, uint64_t packets,
		   int64_t after, int64_t last, bool denied)
{
	assert_ptr_equal(ctx, &ended);
	ended.count++;
	ended.key = *key;
	ended.bytes = bytes;
	ended.packets = packets;
	ended.after = after;
	ended.last = last;
	ended.denied = denied;
}

static struct {
	unsigned count;
	uint64_t bytes;
} moved;

static void on_moved(void *ctx, const struct address *client, uint64_t bytes)
{
	assert_ptr_equal(ctx, &ended);
	moved.count++;
	moved.bytes += bytes;
}

static bool flow_key_equal(const struct flow_key *a, const struct flow_key *b)
{
	return address_equal(&a->client, &b->client) && address_equal(&a->server, &b->server) &&
	       a->client_port == b->client_port && a->server_port == b->server_port &&
	       a->transport == b->transport;
}

static struct flow_key key_of(const char *client, const char *server, uint8_t transport)
{
	struct flow_key k = {.client_port = 40000, .server_port = 443, .transport = transport};
	assert_true(address_parse(client, &k.client) && address_parse(server, &k.server));
	return k;
}

static struct conntrack_options options(void)
{
	return (struct conntrack_options){.mark_mask = MASK,
					  .epoch = 3,
					  .kept = -1,
					  .raw4 = 1004,
					  .raw6 = 1006,
					  .ended = on_end,
					  .moved = on_moved,
					  .ctx = &ended};
}

static int begin(void **state)
{
	const struct conntrack_options o = options();
	struct errors errors = {0};
	kernel_reset();
	memset(&ended, 0, sizeof ended);
	answer_sequence = 0;
	key4 = key_of("10.0.0.1", "192.0.2.1", IPPROTO_TCP);
	key6 = key_of("2001:db8::1", "2001:db8::2", IPPROTO_TCP);
	c = conntrack_open(&o, &errors);
	return c ? 0 : -1;
}

static int end(void **state)
{
	conntrack_close(c);
	kernel_reset();
	return 0;
}

/* ---- lifecycle ---- */

static void ends_are_asked_for_on_a_socket_of_their_own(void **state)
{
	const struct conntrack_options o = options();
	struct errors errors = {0};
	assert_string_equal(kernel.log, "bind 4\nset 1 33 8388608 0\n");
	assert_int_equal(kernel.socket, 2);
	int fd = conntrack_fd(c), commands = kernel.last;
	assert_int_not_equal(fd, commands);
	conntrack_close(c);
	assert_false(kernel_is_open(fd) || kernel_is_open(commands));
	kernel.deaf[0][0] = SOL_SOCKET;
	kernel.deaf[0][1] = SO_RCVBUFFORCE;
	kernel.log[0] = '\0';
	c = conntrack_open(&o, &errors);
	assert_string_equal(kernel.log, "bind 4\nset 1 33 8388608 0\nset 1 8 8388608 0\n");
}

static void the_socket_of_the_daemon_before_is_taken_over(void **state)
{
	struct conntrack_options o = options();
	struct errors errors = {0};
	int kept = eventfd(0, 0);
	conntrack_close(c);
	o.kept = kept;
	kernel.log[0] = '\0';
	c = conntrack_open(&o, &errors);
	assert_int_equal(conntrack_fd(c), kept);
	assert_string_equal(kernel.log, "set 1 33 8388608 0\n"); /* bound already */
}

static void a_refusal_is_said(void **state)
{
	const struct conntrack_options o = options();
	struct errors errors = {0};
	kernel.cannot_bind = EPERM;
	assert_null(conntrack_open(&o, &errors));
	assert_false(kernel_is_open(kernel.last));
	assert_null(conntrack_asker_open());
	assert_false(kernel_is_open(kernel.last));
	kernel.cannot_bind = 0;
	kernel.cannot_open = EMFILE;
	assert_null(conntrack_open(&o, &errors));
	assert_null(conntrack_asker_open());
	assert_int_equal(errors.count, 2);
	assert_non_null(strstr(errors.lines[0], "capability CAP_NET_ADMIN is missing"));
	assert_non_null(strstr(errors.lines[1], "conntrack: Too many open files"));
	errors_deinit(&errors);
}

/* ---- ends ---- */

static void put_end(uint16_t type, const struct told *e)
{
	struct message m;
	make(&m, type, 0, e);
	kernel_put(conntrack_fd(c), m.bytes, m.head->nlmsg_len);
}

/* What was denied, or nobody answered, may be anybody's in the client's name: it keeps no session.
 */
static void bytes_that_may_be_anybodys_are_no_clients(void **state)
{
	static const struct {
		enum mark_kind kind;
		bool counts;
	} of[] = {{MARK_PENDING, false}, {MARK_ANSWERED, false}, {MARK_HEARD, false},
		  {MARK_ALLOWED, true},  {MARK_DENIED, false},   {MARK_REDIRECT, false}};
	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		struct told e = {.key = &key4, .mark = mark_value(MASK, of[i].kind, 3), .bytes = 5};
		memset(&moved, 0, sizeof moved);
		put_end(IPCTNL_MSG_CT_DELETE, &e);
		conntrack_read(c);
		assert_int_equal(ended.count, i + 1);
		assert_int_equal(moved.count, of[i].counts);
		assert_int_equal(moved.bytes, of[i].counts ? 1005 : 0);
		assert_int_equal(ended.denied, of[i].kind == MARK_DENIED);
	}
}

static void an_end_of_ours_is_told_with_what_it_carried(void **state)
{
	struct told e = {
		.key = &key4, .mark = mark_value(MASK, MARK_ALLOWED, 3), .bytes = 5, .packets = 7};
	struct conntrack_counters n;
	int64_t before = clock_now();
	put_end(IPCTNL_MSG_CT_DELETE, &e);
	assert_int_equal(conntrack_read(c), 1);
	assert_int_equal(ended.count, 1);
	assert_true(flow_key_equal(&ended.key, &key4));
	assert_int_equal(ended.bytes, 1005);
	assert_int_equal(ended.packets, 17);
	assert_true(ended.after <= before);
	assert_true(ended.last >= before);
	int64_t first = ended.after;
	e.key = &key6;
	before = clock_now();
	put_end(IPCTNL_MSG_CT_DELETE, &e);
	conntrack_read(c);
	assert_true(flow_key_equal(&ended.key, &key6));
	assert_true(ended.after > first && ended.after <= before); /* none was waiting then */
	conntrack_count(c, &n);
	assert_int_equal(n.ended, 2);
}

static void an_end_of_anothers_is_none(void **state)
{
	const struct told none = {.key = NULL, .mark = mark_value(MASK, MARK_ALLOWED, 3)},
			  other = {.key = &key4, .mark = ~MASK},
			  mine = {.key = &key4, .mark = mark_value(MASK, MARK_PENDING, 2)};
	put_end(IPCTNL_MSG_CT_DELETE, &none);
	put_end(IPCTNL_MSG_CT_DELETE, &other);
	put_end(IPCTNL_MSG_CT_NEW, &mine);
	assert_int_equal(conntrack_read(c), 3);
	assert_int_equal(ended.count, 0);
	put_end(IPCTNL_MSG_CT_DELETE, &mine);
	conntrack_read(c);
	assert_int_equal(ended.count, 1);
}

/* Many at once are read in bounded calls, and a socket that overran is read on at once. */
static void ends_in_a_wave_are_read_in_parts(void **state)
{
	const struct told e = {.key = &key4, .mark = mark_value(MASK, MARK_ALLOWED, 3)};
	struct conntrack_counters n;
	for (int i = 0; i < CONNTRACK_READ + 40; i++)
		put_end(IPCTNL_MSG_CT_DELETE, &e);
	int64_t after = ended.after;
	assert_int_equal(conntrack_read(c), CONNTRACK_READ);
	assert_true(ended.after > after || after == 0);
	after = ended.after;
	assert_int_equal(conntrack_read(c), 40);
	assert_int_equal(ended.after, after); /* all the while ends were waiting */
	assert_int_equal(ended.count, CONNTRACK_READ + 40);
	kernel.empty = ENOBUFS;
	assert_int_equal(conntrack_read(c), 0);
	conntrack_count(c, &n);
	assert_int_equal(n.overruns, 1);
	kernel.empty = EINTR;
	conntrack_read(c);
	conntrack_count(c, &n);
	assert_int_equal(n.overruns, 1);
}

static void without_a_listener_ends_are_counted(void **state)
{
	const struct told e = {.key = &key4, .mark = mark_value(MASK, MARK_ALLOWED, 3)};
	struct conntrack_options o = options();
	struct errors errors = {0};
	struct conntrack_counters n;
	conntrack_close(c);
	o.ended = NULL;
	c = conntrack_open(&o, &errors);
	put_end(IPCTNL_MSG_CT_DELETE, &e);
	conntrack_read(c);
	conntrack_count(c, &n);
	assert_int_equal(n.ended, 1);
}

/* ---- marks ---- */

static char probes[256];

/* From, to and sequence of each segment. */
static void on_sent(int fd, const void *bytes, size_t len, const struct sockaddr *to)
{
	const uint8_t *ip = bytes, *tcp = ip + (fd == 1004 ? 20 : 40);
	size_t at = strlen(probes);
	snprintf(probes + at, sizeof probes - at, "%d %u>%u %u %02x\n", fd,
		 (unsigned)(tcp[0] << 8 | tcp[1]), (unsigned)(tcp[2] << 8 | tcp[3]),
		 (unsigned)(tcp[6] << 8 | tcp[7]), tcp[13]);
}

#define ADDRESSES4       "{ 1{ 1=0a000001 2=c0000201 }"
#define ADDRESSES6       "{ 1{ 3=20010db8000000000000000000000001 4=20010db8000000000000000000000002 }"
#define PORTS(transport) " 2{ 1=" transport " 2=9c40 3=01bb } }"
#define TCP4             ADDRESSES4 PORTS("06")
#define LIBERAL          " 4{ 1{ 4=0808 5=0808 } }"
#define OURS             " 21=0ff00000\n" /* CTA_MARK_MASK */

static void says(const char *want)
{
	if (strcmp(kernel.log, want) != 0)
		fail_msg("is\n%sand was to be\n%s", kernel.log, want);
	kernel.log[0] = '\0';
}

static void remark(const struct flow_key *key, enum verdict v, int result)
{
	kernel.log[0] = probes[0] = '\0';
	assert_int_equal(conntrack_remark(c, key, 77, v), result);
}

static void a_mark_is_set_by_the_key_and_for_our_bits_alone(void **state)
{
	struct flow_key icmp = key_of("10.0.0.1", "192.0.2.1", IPPROTO_ICMP), udp = key4;
	kernel.sent = on_sent;
	remark(&key4, VERDICT_ALLOWED, 0);
	says("0100 5 2 0 1" TCP4 " 8=03400000" OURS);
	remark(&key4, VERDICT_PENDING, 0);
	says("0100 5 2 0 1" TCP4 " 8=00000000" OURS);
	remark(&key4, VERDICT_DROP, 0);
	says("0100 5 2 0 1" TCP4 " 8=00000000" OURS);
	remark(&key6, VERDICT_HEARD, 0);
	says("0100 5 10 0 1" ADDRESSES6 PORTS("06") " 8=03300000" OURS);
	udp.transport = IPPROTO_UDP;
	remark(&udp, VERDICT_DENIED, 0); /* which has no ends that could speak */
	says("0100 5 2 0 1" ADDRESSES4 PORTS("11") " 8=03500000" OURS);
	remark(&icmp, VERDICT_ALLOWED, 0);
	says("0100 5 2 0 1" ADDRESSES4 " 2{ 1=01 4=0000 5=00 6=00 } } 8=03400000" OURS);
	icmp = key_of("2001:db8::1", "2001:db8::2", IPPROTO_ICMPV6);
	remark(&icmp, VERDICT_ALLOWED, 0);
	says("0100 5 10 0 1" ADDRESSES6 " 2{ 1=3a 7=0000 8=00 9=00 } } 8=03400000" OURS);
	icmp.transport = IPPROTO_GRE;
	remark(&icmp, VERDICT_ALLOWED, 0);
	says("0100 5 10 0 1" ADDRESSES6 " 2{ 1=2f } } 8=03400000" OURS);
	static const uint8_t with_ports[] = {IPPROTO_SCTP, IPPROTO_DCCP, IPPROTO_UDPLITE};
	for (size_t i = 0; i < sizeof with_ports; i++) {
		udp.transport = with_ports[i];
		remark(&udp, VERDICT_ALLOWED, 0);
		assert_non_null(strstr(kernel.log, " 2=9c40 3=01bb }"));
	}
	assert_string_equal(probes, "");
}

/* Both ends of what is denied now are made to speak, each in the other's name. */
static void both_ends_of_a_denied_connection_are_probed(void **state)
{
	struct conntrack_counters n;
	kernel.sent = on_sent;
	remark(&key4, VERDICT_DENIED, 0);
	says("0100 5 2 0 1" TCP4 LIBERAL " 8=03500000" OURS);
	assert_string_equal(probes, "1004 40000>443 77 10\n1004 443>40000 77 10\n");
	remark(&key6, VERDICT_DROP_DENIED, 0);
	assert_string_equal(probes, "1006 40000>443 77 10\n1006 443>40000 77 10\n");
	kernel.error = EINVAL;
	remark(&key4, VERDICT_DENIED, -EINVAL);
	assert_string_equal(probes, "");
	conntrack_count(c, &n);
	assert_int_equal(n.remarks, 3);
	assert_int_equal(n.gone, 0);
}

/* An entry that the server began has the key as its other direction. */
static bool knows_replies(int fd, const struct nlmsghdr *m)
{
	char *end = kernel.log + strlen(kernel.log) - 1, *line = end;
	while (line > kernel.log && line[-1] != '\n')
		line--;
	if (!strstr(line, " 0 1{"))
		return false;
	kernel_put_error(fd, m->nlmsg_seq, ENOENT);
	return true;
}

static void an_entry_is_found_by_its_other_direction_too(void **state)
{
	kernel.on = knows_replies;
	remark(&key4, VERDICT_ALLOWED, 0);
	says("0100 5 2 0 1" TCP4 " 8=03400000" OURS "0100 5 2 0 2" TCP4 " 8=03400000" OURS);
	remark(&key6, VERDICT_ALLOWED, 0);
	says("0100 5 10 0 1" ADDRESSES6 PORTS(
		"06") " 8=03400000" OURS "0100 5 10 0 2" ADDRESSES6 PORTS("06") " 8=03400000" OURS);
}

static bool knows_none(int fd, const struct nlmsghdr *m)
{
	kernel_put_error(fd, m->nlmsg_seq, ENOENT);
	return true;
}

static void a_flow_that_is_over_is_said_to_be_gone(void **state)
{
	struct conntrack_counters n;
	kernel.on = knows_none;
	kernel.sent = on_sent;
	remark(&key4, VERDICT_DENIED, -ENOENT);
	assert_string_equal(probes, "");
	assert_int_equal(conntrack_delete(c, &key4), -ENOENT);
	conntrack_count(c, &n);
	assert_int_equal(n.gone, 1);
	kernel.on = NULL;
	kernel.cannot_send = ENOBUFS;
	remark(&key4, VERDICT_ALLOWED, -ENOBUFS);
}

static void a_flow_is_forgotten_by_its_key(void **state)
{
	kernel.log[0] = '\0';
	assert_int_equal(conntrack_delete(c, &key4), 0);
	says("0102 5 2 0 1" TCP4 "\n");
}

/* ---- questions ---- */

static void a_connection_that_is_over_is_known_by_its_state(void **state)
{
	struct told e = {.key = &key4};
	struct flow_key udp = key4;
	kernel.log[0] = '\0';
	answer_with(&e, 1);
	for (uint8_t i = TCP_CONNTRACK_NONE; i < TCP_CONNTRACK_MAX; i++) {
		e.state = i;
		assert_int_equal(conntrack_closed(c, &key4),
				 i == TCP_CONNTRACK_TIME_WAIT || i == TCP_CONNTRACK_CLOSE);
	}
	assert_non_null(strstr(kernel.log, "0101 5 2 0 1" TCP4 "\n"));
	e.state = TCP_CONNTRACK_CLOSE;
	for (unsigned kind = MARK_NONE; kind <= MARK_REDIRECT; kind++) { /* of whatever epoch */
		e.mark = mark_value(MASK, (enum mark_kind)kind, 5);
		assert_int_equal(conntrack_closed(c, &key4), kind != MARK_DENIED);
	}
	udp.transport = IPPROTO_UDP;
	assert_false(conntrack_closed(c, &udp));
	e.key = NULL;
	assert_false(conntrack_closed(c, &key4)); /* of nobody knows what */
	e.key = &key4;
	answer_sequence = 1; /* to another question */
	assert_false(conntrack_closed(c, &key4));
	answer_sequence = 0;
	kernel.error = EPERM;
	assert_false(conntrack_closed(c, &key4));
	kernel.cannot_send = EPERM;
	assert_false(conntrack_closed(c, &key4));
	kernel.log[0] = '\0';
	assert_true(conntrack_closed(c, &key6));
	says("0101 5 10 0 1" ADDRESSES6 PORTS("06") "\n");
}

static void only_what_is_over_is_forgotten(void **state)
{
	struct told e = {.key = &key4, .state = TCP_CONNTRACK_ESTABLISHED};
	answer_with(&e, 1);
	kernel.log[0] = '\0';
	conntrack_forget_closed(c, &key4);
	says("0101 5 2 0 1" TCP4 "\n");
	e.state = TCP_CONNTRACK_CLOSE;
	e.mark = mark_value(MASK, MARK_DENIED, 3); /* whoever ended it */
	conntrack_forget_closed(c, &key4);
	says("0101 5 2 0 1" TCP4 "\n0102 5 2 0 1" TCP4 "\n");
}

/* Confirmed, its source translated and nothing else, and to another port than the client's. */
static void a_flow_leaves_elsewhere_where_its_port_is_translated(void **state)
{
	struct told e = {.key = &key4, .status = IPS_CONFIRMED | IPS_SRC_NAT, .reply_port = 1024};
	struct conntrack_asker *a = conntrack_asker_open();
	assert_non_null(a);
	answer_with(&e, 1);
	assert_true(conntrack_leaves_elsewhere(a, &key4));
	e.reply_port = 40000;
	assert_false(conntrack_leaves_elsewhere(a, &key4));
	e.reply_port = 0;
	assert_false(conntrack_leaves_elsewhere(a, &key4));
	e.reply_port = 1024;
	static const uint32_t others[] = {IPS_SRC_NAT, IPS_CONFIRMED,
					  IPS_CONFIRMED | IPS_SRC_NAT | IPS_DST_NAT,
					  IPS_CONFIRMED | IPS_DST_NAT};
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		e.status = others[i];
		assert_false(conntrack_leaves_elsewhere(a, &key4));
	}
	e.status = IPS_CONFIRMED | IPS_SRC_NAT;
	e.key = NULL;
	assert_false(conntrack_leaves_elsewhere(a, &key4));
	e.key = &key4;
	kernel.error = ENOENT;
	assert_false(conntrack_leaves_elsewhere(a, &key4));
	answer_sequence = 1;
	assert_false(conntrack_leaves_elsewhere(a, &key4));
	conntrack_asker_close(a);
	assert_false(kernel_is_open(kernel.last));
}

/* ---- sweeps and lists ---- */

#define EPOCH_2 (mark_value(MASK, MARK_ALLOWED, 2) | 5)

static void an_epochs_marks_are_cleared_and_no_others(void **state)
{
	const struct told e[] = {
		{.key = &key4, .mark = EPOCH_2},
		{.key = &key4, .mark = mark_value(MASK, MARK_ALLOWED, 3)},
		{.key = NULL, .mark = EPOCH_2},
		{.key = &key6, .mark = EPOCH_2},
		{.key = &key4, .mark = 5},
	};
	answer_with(e, sizeof e / sizeof *e);
	kernel.log[0] = '\0';
	assert_int_equal(conntrack_sweep(MASK, 2), 2);
	says("0101 301 0 0\n0100 5 2 0 1" TCP4 " 8=00000000" OURS
	     "0100 5 10 0 1" ADDRESSES6 PORTS("06") " 8=00000000" OURS);
	assert_int_equal(conntrack_sweep(MASK, 0), 0); /* what has no mark of ours has no epoch */
	assert_int_equal(conntrack_sweep(MASK, CONNTRACK_EVERY_EPOCH), 3);
	assert_false(kernel_is_open(kernel.last) || kernel_is_open(kernel.last - 1));
}

static void a_sweep_that_cannot_be_made_says_so(void **state)
{
	kernel.cannot_send = EPERM;
	assert_int_equal(conntrack_sweep(MASK, 2), -EPERM);
	kernel.error = EBUSY;
	kernel.on = answer;
	answer_count = 0;
	assert_int_equal(conntrack_sweep(MASK, 2), -EBUSY);
	kernel.cannot_bind = ENOMEM;
	assert_int_equal(conntrack_sweep(MASK, 2), -ENOMEM);
	kernel.cannot_bind = 0;
	kernel.cannot_open = EMFILE;
	assert_int_equal(conntrack_sweep(MASK, 2), -EMFILE);
}

static void on_listed(void *ctx, const struct flow_key *key)
{
	assert_true(flow_key_equal(key, &key4));
	++*(int *)ctx;
}

static void flows_that_pass_in_the_kernel_are_listed(void **state)
{
	const struct told e[] = {
		{.key = &key4, .mark = mark_value(MASK, MARK_ALLOWED, 3) | 5},
		{.key = NULL, .mark = mark_value(MASK, MARK_ALLOWED, 3)},
		{.key = &key4, .mark = mark_value(MASK, MARK_ALLOWED, 2)},
		{.key = &key4, .mark = mark_value(MASK, MARK_HEARD, 3)},
		{.key = &key4, .mark = mark_value(MASK, MARK_PENDING, 3)},
	};
	int count = 0;
	answer_with(e, sizeof e / sizeof *e);
	kernel.log[0] = '\0';
	assert_int_equal(conntrack_list(c, on_listed, &count), 2);
	assert_int_equal(count, 2);
	says("0101 301 0 0 8=03400000" OURS "0101 301 0 0 8=03300000" OURS);
	assert_false(kernel_is_open(kernel.last));
	kernel.cannot_send = EPERM;
	assert_int_equal(conntrack_list(c, on_listed, &count), -EPERM);
	assert_false(kernel_is_open(kernel.last));
	kernel.cannot_open = EMFILE;
	assert_int_equal(conntrack_list(c, on_listed, &count), -EMFILE);
	assert_int_equal(count, 2);
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		WITH(ends_are_asked_for_on_a_socket_of_their_own),
		WITH(the_socket_of_the_daemon_before_is_taken_over),
		WITH(a_refusal_is_said),
		WITH(bytes_that_may_be_anybodys_are_no_clients),
		WITH(an_end_of_ours_is_told_with_what_it_carried),
		WITH(an_end_of_anothers_is_none),
		WITH(ends_in_a_wave_are_read_in_parts),
		WITH(without_a_listener_ends_are_counted),
		WITH(a_mark_is_set_by_the_key_and_for_our_bits_alone),
		WITH(both_ends_of_a_denied_connection_are_probed),
		WITH(an_entry_is_found_by_its_other_direction_too),
		WITH(a_flow_that_is_over_is_said_to_be_gone),
		WITH(a_flow_is_forgotten_by_its_key),
		WITH(a_connection_that_is_over_is_known_by_its_state),
		WITH(only_what_is_over_is_forgotten),
		WITH(a_flow_leaves_elsewhere_where_its_port_is_translated),
		WITH(an_epochs_marks_are_cleared_and_no_others),
		WITH(a_sweep_that_cannot_be_made_says_so),
		WITH(flows_that_pass_in_the_kernel_are_listed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
