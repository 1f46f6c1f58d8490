/* How flows leave a flowtable, and sockets of netlink, against a kernel of the test's own. */
#include "netlink_kernel.h"
#include "source/skip.h"
#include "unit.h"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

static struct mnl_socket *s;

/* ---- the kernel ---- */

static struct {
	unsigned count;
	uint16_t type[4], flags[4];
	struct fib_rule_hdr rule[4];
	uint32_t priority[4], attributes[4];
} asked;
static int refuses;

static void note(const struct nlmsghdr *m)
{
	struct cursor c = cursor_of((const uint8_t *)m + NLMSG_HDRLEN, m->nlmsg_len - NLMSG_HDRLEN);
	struct netlink_attribute a;
	assert_true(asked.count < 4);
	asked.type[asked.count] = m->nlmsg_type;
	asked.flags[asked.count] = m->nlmsg_flags;
	assert_true(cursor_copy(&c, &asked.rule[asked.count], sizeof *asked.rule));
	while (netlink_attribute(&c, &a)) {
		asked.attributes[asked.count]++;
		if (a.type == FRA_PRIORITY)
			netlink_u32(a.value, &asked.priority[asked.count]);
	}
	asked.count++;
}

/* All messages of the datagram: the one that wants it is acknowledged. */
static bool takes(int fd, const struct nlmsghdr *m)
{
	bool last = false;
	while (!last) {
		note(m);
		last = m->nlmsg_flags & NLM_F_ACK;
		if (last)
			kernel_put_error(fd, m->nlmsg_seq, refuses);
		m = (const void *)((const char *)m + NLMSG_ALIGN(m->nlmsg_len));
	}
	return true;
}

static int set_up(void **state)
{
	kernel_reset();
	memset(&asked, 0, sizeof asked);
	refuses = 0;
	s = netlink_open(NETLINK_ROUTE, 0);
	kernel.on = takes;
	return s ? 0 : -1;
}

static int tear_down(void **state)
{
	mnl_socket_close(s);
	kernel_reset();
	return 0;
}

/* ---- */

/* One rule that does nothing comes and goes in one datagram; both name it by all that it is. */
static void a_rule_comes_and_goes(void **state)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	for (size_t i = 0; i < 2; i++) {
		asked.count = 0;
		memset(&asked, 0, sizeof asked);
		assert_int_equal(skip_end(s, families[i]), 0);
		assert_int_equal(asked.count, 2);
		assert_int_equal(asked.type[0], RTM_NEWRULE);
		assert_int_equal(asked.type[1], RTM_DELRULE);
		assert_int_equal(asked.flags[0], NLM_F_REQUEST | NLM_F_CREATE);
		assert_int_equal(asked.flags[1], NLM_F_REQUEST | NLM_F_ACK);
		for (unsigned m = 0; m < 2; m++) {
			assert_int_equal(asked.rule[m].family, families[i]);
			assert_int_equal(asked.rule[m].action, FR_ACT_NOP);
			assert_int_equal(asked.attributes[m], 1);
			assert_int_equal(asked.priority[m], 32999); /* behind all that are used */
		}
		assert_memory_equal(&asked.rule[0], &asked.rule[1], sizeof *asked.rule);
	}
}

static void what_the_kernel_refuses_is_told(void **state)
{
	refuses = EPERM;
	assert_int_equal(skip_end(s, AF_INET), -EPERM);
	refuses = 0;
	kernel.cannot_send = ENOBUFS;
	assert_int_equal(skip_end(s, AF_INET6), -ENOBUFS);
	kernel.on = NULL; /* no answer comes */
	kernel.empty = EBADF;
	assert_int_equal(skip_end(s, AF_INET), -EBADF);
}

/* ---- sockets ---- */

static void a_socket_hears_what_it_asks_for(void **state)
{
	assert_non_null(strstr(kernel.log, "open 0 80000\n")); /* closed where a program is run */
	assert_null(strstr(kernel.log, "bind"));
	struct mnl_socket *other = netlink_open(NETLINK_NETFILTER, 5);
	assert_non_null(strstr(kernel.log, "bind 5\n"));
	mnl_socket_close(other);
}

static void one_that_cannot_be_opened_leaves_nothing(void **state)
{
	kernel.cannot_open = EMFILE;
	assert_null(netlink_open(NETLINK_ROUTE, 0));
	assert_int_equal(errno, EMFILE);
	kernel.cannot_open = 0;
	kernel.cannot_bind = EPERM;
	assert_null(netlink_open(NETLINK_ROUTE, 0));
	assert_int_equal(errno, EPERM);
	assert_false(kernel_is_open(kernel.last));
}

#define WITH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(a_rule_comes_and_goes),
		WITH(what_the_kernel_refuses_is_told),
		WITH(a_socket_hears_what_it_asks_for),
		WITH(one_that_cannot_be_opened_leaves_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
