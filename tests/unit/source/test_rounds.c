/* Rounds over the kernel's table that count traffic, against a kernel of the test's own: when one
 * begins, what of a flow counts, and when it is over. */
#include "netlink_kernel.h"
#include "base/clock.h"
#include "source/mark.h"
#include "source/tally.h"
#include "unit.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#define MASK 0x0ff00000u

static struct tally *t;
static uint64_t counted;
static unsigned flows, rounds;
static int64_t round_at;

static void on_flow(void *ctx, const struct address *client, uint64_t bytes)
{
	assert_ptr_equal(ctx, &flows);
	flows++;
	counted += bytes;
}

static void on_round(void *ctx, int64_t now)
{
	rounds++;
	round_at = now;
}

static int begin(void **state)
{
	const struct tally_options o = {
		.mark_mask = MASK, .flow = on_flow, .round = on_round, .ctx = &flows};
	struct errors errors = {0};
	kernel_reset();
	counted = flows = rounds = 0;
	t = tally_open(&o, &errors);
	return t ? 0 : -1;
}

static int end(void **state)
{
	tally_close(t);
	kernel_reset();
	return 0;
}

static void put_flow(uint16_t type, bool key, uint32_t mark, uint32_t status, uint64_t bytes)
{
	char text[512] = {0};
	struct nlmsghdr *m = mnl_nlmsg_put_header(text);
	m->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(m, sizeof *g);
	g->nfgen_family = AF_INET;
	if (key) {
		struct nlattr *tuple = mnl_attr_nest_start(m, CTA_TUPLE_ORIG);
		struct nlattr *ip = mnl_attr_nest_start(m, CTA_TUPLE_IP);
		mnl_attr_put_u32(m, CTA_IP_V4_SRC, htonl(0x0a000001));
		mnl_attr_put_u32(m, CTA_IP_V4_DST, htonl(0xc0000201));
		mnl_attr_nest_end(m, ip);
		struct nlattr *proto = mnl_attr_nest_start(m, CTA_TUPLE_PROTO);
		mnl_attr_put_u8(m, CTA_PROTO_NUM, 6);
		mnl_attr_nest_end(m, proto);
		mnl_attr_nest_end(m, tuple);
	}
	mnl_attr_put_u32(m, CTA_MARK, htonl(mark));
	mnl_attr_put_u32(m, CTA_STATUS, htonl(status));
	struct nlattr *counters = mnl_attr_nest_start(m, CTA_COUNTERS_ORIG);
	mnl_attr_put_u64(m, CTA_COUNTERS_BYTES, htobe64(bytes));
	mnl_attr_nest_end(m, counters);
	kernel_put(tally_fd(t), text, m->nlmsg_len);
}

static void what_was_confirmed_counts(void **state)
{
	static const struct {
		enum mark_kind kind;
		bool assured, counts;
	} of[] = {{MARK_NONE, true, false},     {MARK_PENDING, true, true},
		  {MARK_PENDING, false, false}, {MARK_ANSWERED, true, true},
		  {MARK_HEARD, true, true},     {MARK_HEARD, false, false},
		  {MARK_ALLOWED, true, true},   {MARK_ALLOWED, false, true},
		  {MARK_DENIED, true, false},   {MARK_REDIRECT, true, false}};
	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		flows = 0;
		put_flow(IPCTNL_MSG_CT_NEW, true, mark_value(MASK, of[i].kind, 3) | 5,
			 of[i].assured ? IPS_ASSURED : IPS_CONFIRMED, 7);
		tally_read(t, 1);
		if (flows != of[i].counts)
			fail_msg("kind %d, assured %d", of[i].kind, of[i].assured);
	}
	flows = 0;
	put_flow(IPCTNL_MSG_CT_NEW, false, mark_value(MASK, MARK_ALLOWED, 3), IPS_ASSURED, 7);
	put_flow(IPCTNL_MSG_CT_DELETE, true, mark_value(MASK, MARK_ALLOWED, 3), IPS_ASSURED, 7);
	tally_read(t, 1);
	assert_int_equal(flows, 0);
}

/* One at a time, with a rest between two that is long beside what one took. */
static void a_round_is_asked_for_and_ends(void **state)
{
	tally_begin(t, 1);
	assert_string_equal(kernel.log, "0101 301 0 0\n");
	tally_begin(t, 2); /* it runs */
	assert_string_equal(kernel.log, "0101 301 0 0\n");
	put_flow(IPCTNL_MSG_CT_NEW, true, mark_value(MASK, MARK_ALLOWED, 3), IPS_ASSURED, 7);
	tally_read(t, 3);
	assert_int_equal(rounds, 0); /* more is to come */
	put_flow(IPCTNL_MSG_CT_NEW, true, mark_value(MASK, MARK_ALLOWED, 3), IPS_ASSURED, 8);
	kernel_put_done(tally_fd(t), 0);
	tally_read(t, 4);
	assert_int_equal(rounds, 1);
	assert_int_equal(round_at, 4);
	assert_int_equal(counted, 15);
	tally_read(t, 5);
	assert_int_equal(rounds, 1);
	tally_begin(t, 5); /* it took longer than nothing */
	assert_string_equal(kernel.log, "0101 301 0 0\n");
	tally_begin(t, 3600 * NS_PER_S);
	assert_string_equal(kernel.log, "0101 301 0 0\n0101 301 0 0\n");
	kernel_put_done(tally_fd(t), 0);
	tally_read(t, 6);
	assert_int_equal(rounds, 2);
}

/* One that breaks off is over, so that the next can begin; and a message of nobody's asking ends
 * none. */
static void a_round_that_fails_is_over(void **state)
{
	kernel_put_done(tally_fd(t), 0);
	tally_read(t, 1);
	assert_int_equal(rounds, 0);
	tally_begin(t, 1);
	kernel_put_error(tally_fd(t), 0, EBUSY);
	tally_read(t, 2);
	assert_int_equal(rounds, 1);
	tally_begin(t, 3600 * NS_PER_S);
	kernel.empty = ENOBUFS;
	tally_read(t, 3);
	assert_int_equal(rounds, 2);
	kernel.cannot_send = ENOBUFS; /* not begun: it may begin at once */
	tally_begin(t, 7200 * NS_PER_S);
	kernel_put_done(tally_fd(t), 0);
	tally_read(t, 4);
	assert_int_equal(rounds, 2);
	kernel.log[0] = '\0';
	tally_begin(t, 7200 * NS_PER_S);
	assert_string_equal(kernel.log, "0101 301 0 0\n");
}

/* No more is read at once than the loop can spare. */
static void a_long_round_is_read_in_parts(void **state)
{
	tally_begin(t, 1);
	for (int i = 0; i < 11; i++)
		put_flow(IPCTNL_MSG_CT_NEW, true, mark_value(MASK, MARK_ALLOWED, 3), 0, 1);
	tally_read(t, 1);
	assert_int_equal(flows, 8);
	tally_read(t, 1);
	assert_int_equal(flows, 11);
}

static void what_cannot_be_opened_is_said(void **state)
{
	const struct tally_options o = {.mark_mask = MASK};
	struct errors errors = {0};
	kernel.cannot_bind = EPERM;
	assert_null(tally_open(&o, &errors));
	assert_false(kernel_is_open(kernel.last));
	kernel.cannot_bind = 0;
	kernel.cannot_open = EMFILE;
	assert_null(tally_open(&o, &errors));
	assert_int_equal(errors.count, 2);
	assert_non_null(strstr(errors.lines[0], "the flows' counters can't be read: Operation"));
	assert_non_null(strstr(errors.lines[1], "Too many open files"));
	errors_deinit(&errors);
	tally_close(NULL);
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		WITH(what_was_confirmed_counts),     WITH(a_round_is_asked_for_and_ends),
		WITH(a_round_that_fails_is_over),    WITH(a_long_round_is_read_in_parts),
		WITH(what_cannot_be_opened_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
