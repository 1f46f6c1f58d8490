/* Interfaces as the kernel lists them, and what is said of the names in `inside`. */
#include "no_memory.h"
#include "netlink_kernel.h"
#include "unit.h"
#include "wiring/links.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

struct made {
	const char *name, *other, *under; /* altname; what it is a port of */
	unsigned index, master;
	bool loopback;
};

static const struct made *made;
static size_t made_count;
static uint16_t made_type = RTM_NEWLINK;
static int made_error;

static void put_link(int fd, const struct made *i, uint32_t sequence)
{
	char bytes[1024] = {0};
	struct nlmsghdr *m = mnl_nlmsg_put_header(bytes);
	m->nlmsg_type = made_type;
	m->nlmsg_seq = sequence;
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(m, sizeof *info);
	info->ifi_index = (int)i->index;
	info->ifi_flags = IFF_UP | (i->loopback ? IFF_LOOPBACK : 0);
	mnl_attr_put_strz(m, IFLA_IFNAME, i->name);
	if (i->master)
		mnl_attr_put_u32(m, IFLA_MASTER, i->master);
	if (i->under) {
		struct nlattr *nest = mnl_attr_nest_start(m, IFLA_LINKINFO);
		mnl_attr_put_strz(m, IFLA_INFO_SLAVE_KIND, i->under);
		mnl_attr_nest_end(m, nest);
	}
	if (i->other) {
		struct nlattr *nest = mnl_attr_nest_start(m, IFLA_PROP_LIST);
		mnl_attr_put_strz(m, IFLA_ALT_IFNAME + 1, "no name");
		mnl_attr_put_strz(m, IFLA_ALT_IFNAME, i->other);
		mnl_attr_nest_end(m, nest);
	}
	kernel_put(fd, bytes, m->nlmsg_len);
}

static bool answer(int fd, const struct nlmsghdr *m)
{
	assert_int_equal(m->nlmsg_type, RTM_GETLINK);
	assert_int_equal(m->nlmsg_flags, NLM_F_REQUEST | NLM_F_DUMP);
	for (size_t i = 0; i < made_count; i++)
		put_link(fd, &made[i], m->nlmsg_seq);
	if (made_error)
		kernel_put_error(fd, m->nlmsg_seq, made_error);
	else
		kernel_put_done(fd, m->nlmsg_seq);
	return true;
}

static const struct made here[] = {
	{"lo", NULL, NULL, 1, 0, true},       {"lan0", "enp3s0-of-the-office", NULL, 2, 0, false},
	{"br0", NULL, NULL, 3, 0, false},     {"eth1", NULL, "bridge", 4, 3, false},
	{"vrf0", NULL, NULL, 5, 0, false},    {"eth2", NULL, "vrf", 6, 5, false},
	{"eth3", NULL, "bond", 7, 99, false},
};

/* What is said of a name; NULL: nothing. */
static void says(const char *name, const char *want)
{
	char *item[] = {(char *)name};
	const struct strings inside = {item, 1};
	struct errors faults = {0};
	assert_true(links_check(&inside, &faults));
	assert_int_equal(faults.count, want != NULL);
	if (want && !strstr(faults.lines[0], want))
		fail_msg("said %s, not %s", faults.lines[0], want);
	errors_deinit(&faults);
	assert_false(kernel_is_open(kernel.last));
}

static int begin(void **state)
{
	kernel_reset();
	kernel.on = answer;
	made = here;
	made_count = sizeof here / sizeof *here;
	made_type = RTM_NEWLINK;
	made_error = 0;
	return 0;
}

static int end(void **state)
{
	kernel_reset();
	return 0;
}

static void packets_arrive_by_an_interfaces_own_name(void **state)
{
	says("lan0", NULL);
	says("br0", NULL);
	says("tgprobe", NULL); /* it is there while a probe runs */
	says("tgprobe2", "no interface is called \"tgprobe2\"");
	says("eth2", NULL); /* of a VRF: its own name is met first */
	says("enp3s0-of-the-office",
	     "inside: \"enp3s0-of-the-office\" is another name of \"lan0\", and rules match that "
	     "one alone; write \"lan0\"");
	says("eth1", "inside: \"eth1\" is a port of the bridge \"br0\", by which its packets "
		     "arrive; write \"br0\"");
	says("eth3", "\"eth3\" is a port of the bond \"another interface\"");
	says("lo", "inside: \"lo\" is the gateway's loopback");
}

static void a_name_that_is_not_there_has_its_nearest(void **state)
{
	says("lan1", "no interface is called \"lan1\" now, so nothing that arrives is governed by "
		     "it until one is; did you mean \"lan0\"?");
	says("LAN0", "did you mean \"lan0\"?");
	says("lan0@br0", "did you mean \"lan0\"?");
	says("eth2@x", "did you mean \"eth2\"?");
	says("la@x", "\"la@x\"");
	says("nothing-like-it", "interfaces");
	made_count = 0;
	says("lan0", "no interface is called \"lan0\" now");
}

static void each_name_is_looked_at(void **state)
{
	char *item[] = {(char *)"lan0", (char *)"lo", (char *)"x0"};
	const struct strings inside = {item, 3};
	struct errors faults = {0};
	assert_true(links_check(&inside, &faults));
	assert_int_equal(faults.count, 2);
	errors_deinit(&faults);
}

static void fails(const char *want)
{
	char *item[] = {(char *)"lan0"};
	const struct strings inside = {item, 1};
	struct errors faults = {0};
	assert_false(links_check(&inside, &faults));
	assert_int_equal(faults.count, 1);
	assert_non_null(strstr(faults.lines[0], want));
	errors_deinit(&faults);
}

static void what_cannot_be_listed_is_said(void **state)
{
	made_error = EPERM;
	fails("the interfaces can't be listed: Operation not permitted");
	made_error = 0;
	kernel.cannot_send = ENOBUFS;
	fails("the interfaces can't be listed: No buffer space");
	kernel.cannot_bind = ENOMEM;
	fails("the interfaces can't be listed: Cannot allocate memory");
	assert_false(kernel_is_open(kernel.last));
	kernel.cannot_bind = 0;
	kernel.cannot_open = EMFILE;
	fails("the interfaces can't be listed: Too many open files");
	kernel.cannot_open = 0;
	made_type = RTM_DELLINK; /* of no interface that is there */
	says("lan0", "no interface is called");
}

/* As many as there is room for, and not a part of them. */
static void there_may_be_many_and_not_too_many(void **state)
{
	static struct made many[65537];
	static char names[65537][8];
	for (unsigned i = 0; i < 65537; i++) {
		snprintf(names[i], sizeof names[i], "e%u", i);
		many[i] = (struct made){.name = names[i], .index = i + 1};
	}
	made = many;
	made_count = 65536;
	says("e65535", NULL);
	made_count = 65537;
	fails("there are too many");
}

static void without_memory_the_list_is_not_believed(void **state)
{
	char *item[] = {(char *)"lan0"};
	const struct strings inside = {item, 1};
	bool failed = NO_MEMORY;
	for (long n = 0; failed; n++) {
		struct errors faults = {0};
		no_memory_at(n);
		bool good = links_check(&inside, &faults);
		failed = no_memory_failed;
		no_memory_end();
		assert_true(good != (faults.count > 0) || failed);
		errors_deinit(&faults);
	}
}

/* The nearest name may be left out; that there is none is said. */
static void without_memory_an_absent_name_is_absent_all_the_same(void **state)
{
	char *item[] = {(char *)"lan7"};
	const struct strings inside = {item, 1};
	bool failed = NO_MEMORY;
	unsigned without_nearest = 0;
	for (long n = 0; failed; n++) {
		struct errors faults = {0};
		no_memory_at(n);
		bool good = links_check(&inside, &faults);
		failed = no_memory_failed;
		no_memory_end();
		assert_true(faults.count || failed);
		if (good && faults.count)
			assert_non_null(strstr(faults.lines[0], "called \"lan7\" now"));
		without_nearest += good && faults.count && !strstr(faults.lines[0], "lan0");
		errors_deinit(&faults);
	}
	assert_true(without_nearest || !NO_MEMORY);
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		WITH(packets_arrive_by_an_interfaces_own_name),
		WITH(a_name_that_is_not_there_has_its_nearest),
		WITH(each_name_is_looked_at),
		WITH(what_cannot_be_listed_is_said),
		WITH(there_may_be_many_and_not_too_many),
		WITH(without_memory_the_list_is_not_believed),
		WITH(without_memory_an_absent_name_is_absent_all_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
