#include "identity/neighbour.h"
#include "base/clock.h"
#include "unit.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define T0   (INT64_C(1800000000) * NS_PER_S)
#define MACA "\x02\0\0\0\0\x0a"
#define MACB "\x02\0\0\0\0\x0b"

static struct fixture {
	struct sessions *sessions;
	struct neighbours *n;
	struct onlink *onlink;
	int link;
} f;

static struct address addr(const char *text)
{
	struct address a;
	assert_true(address_parse(text, &a));
	return a;
}

/* lo is the one interface that every namespace has: its number, as if it were the inside. */
static void set_up_for(enum config_host_change change, uint32_t capacity)
{
	char *lo = "lo";
	const struct strings inside = {&lo, 1};
	f.link = (int)if_nametoindex("lo");
	f.sessions = sessions_new(128);
	f.onlink = onlink_new(64);
	const struct neighbour_options o = {&inside, change, capacity, f.sessions, f.onlink};
	f.n = neighbours_new(&o);
	assert_non_null(f.n);
}

static int set_up(void **state)
{
	set_up_for(CONFIG_HOST_END, 64);
	return 0;
}

static int set_up_moving(void **state)
{
	set_up_for(CONFIG_HOST_MOVE, 64);
	return 0;
}

static int set_up_small(void **state)
{
	set_up_for(CONFIG_HOST_END, 4);
	return 0;
}

static int tear_down(void **state)
{
	neighbours_free(f.n);
	sessions_free(f.sessions);
	onlink_free(f.onlink);
	return 0;
}

/* A message as the kernel makes it. */
static size_t message(char *bytes, uint16_t type, int link, uint16_t nud, const char *address,
		      const char *mac)
{
	struct address a = addr(address);
	struct nlmsghdr *m = mnl_nlmsg_put_header(bytes);
	m->nlmsg_type = type;
	struct ndmsg *nd = mnl_nlmsg_put_extra_header(m, sizeof *nd);
	nd->ndm_family = address_is4(&a) ? AF_INET : AF_INET6;
	nd->ndm_ifindex = link;
	nd->ndm_state = nud;
	if (address_is4(&a))
		mnl_attr_put(m, NDA_DST, 4, a.bytes + 12);
	else
		mnl_attr_put(m, NDA_DST, 16, a.bytes);
	if (mac)
		mnl_attr_put(m, NDA_LLADDR, 6, mac);
	return m->nlmsg_len;
}

static void tell(uint16_t type, uint16_t nud, const char *address, const char *mac, int64_t now)
{
	_Alignas(struct nlmsghdr) char bytes[256];
	neighbours_take(f.n, bytes, message(bytes, type, f.link, nud, address, mac), now);
}

static void is_here(const char *address, const char *mac)
{
	tell(RTM_NEWNEIGH, NUD_REACHABLE, address, mac, T0);
}

static void is_gone(const char *address, const char *mac)
{
	tell(RTM_DELNEIGH, NUD_STALE, address, mac, T0);
}

static void sign_in(const char *user, const char *address)
{
	struct session s = {.tier = "press", .since = T0};
	struct address a = addr(address);
	snprintf(s.user, sizeof s.user, "%s", user);
	assert_int_equal(session_open(f.sessions, &a, &s, T0), 0);
	neighbours_join(f.n, &a, T0);
}

static const char *who(const char *address)
{
	static struct session s;
	struct address a = addr(address);
	return session_at(f.sessions, &a, T0, &s) ? s.user : "";
}

/* Whose an address is that the kernel has not told of, by the sender's MAC address. */
static const char *new_at(const char *address, const char *mac)
{
	static struct session s;
	struct address a = addr(address);
	return session_of_host(f.sessions, &a, (const uint8_t *)mac, T0, &s) ? s.user : "";
}

static uint64_t known(void)
{
	struct neighbour_counters c;
	neighbours_count(f.n, &c);
	return c.known;
}

static void a_session_has_the_addresses_of_its_host(void **state)
{
	is_here("10.0.0.1", MACA);
	is_here("2001:db8::a1", MACA);
	is_here("2001:db8::b1", MACB);
	is_here("fe80::1", MACA); /* is never forwarded */
	sign_in("anna", "10.0.0.1");
	assert_string_equal(who("2001:db8::a1"), "anna");
	assert_string_equal(who("2001:db8::b1"), "");
	assert_string_equal(who("fe80::1"), "");
	is_here("2001:db8::a2", MACA); /* one that comes later */
	assert_string_equal(who("2001:db8::a2"), "anna");
	is_gone("2001:db8::a2", MACA); /* stays, for it may come back */
	assert_string_equal(who("2001:db8::a2"), "anna");
	sign_in("bob", "2001:db8::b1");
	is_here("10.0.0.2", MACB); /* IPv4 after IPv6 */
	assert_string_equal(who("10.0.0.2"), "bob");
	assert_string_equal(who("10.0.0.1"), "anna");
	assert_int_equal(sessions_count(f.sessions), 2);
}

static void the_kernel_may_tell_before_and_after_the_login(void **state)
{
	sign_in("anna", "10.0.0.1"); /* not met yet */
	is_here("2001:db8::a1", MACA);
	assert_string_equal(who("2001:db8::a1"), "");
	is_here("10.0.0.1", MACA);
	assert_string_equal(who("2001:db8::a1"), "anna");
	struct session s;
	struct address a = addr("10.0.0.1");
	assert_true(session_at(f.sessions, &a, T0, &s));
	assert_true(s.has_mac);
	assert_memory_equal(s.mac, MACA, 6);
}

static void another_host_ends_the_session_at_the_address(void **state)
{
	is_here("10.0.0.1", MACA);
	is_here("2001:db8::a1", MACA);
	sign_in("anna", "10.0.0.1");
	is_here("10.0.0.1", MACB);
	assert_string_equal(who("10.0.0.1"), "");
	assert_string_equal(who("2001:db8::a1"), "anna"); /* that one is still hers */
	is_here("2001:db8::b1", MACB);
	assert_string_equal(who("2001:db8::b1"), "");
	is_here("10.0.0.1", MACA); /* she is back */
	assert_string_equal(who("10.0.0.1"), "anna");
	is_here("2001:db8::a1", MACB);
	is_here("10.0.0.1", MACB);
	assert_int_equal(sessions_count(f.sessions), 0);
}

/* The old host had been forgotten meanwhile: the session itself knows whose it is. */
static void another_host_after_a_while(void **state)
{
	is_here("10.0.0.1", MACA);
	sign_in("anna", "10.0.0.1");
	is_gone("10.0.0.1", MACA);
	assert_string_equal(who("10.0.0.1"), "anna");
	is_here("2001:db8::a1", MACA);
	assert_string_equal(who("2001:db8::a1"), "anna");
	is_here("10.0.0.1", MACB);
	assert_string_equal(who("10.0.0.1"), "");
}

static void who_signs_in_again_has_the_host_that_is_there(void **state)
{
	is_here("10.0.0.1", MACA);
	sign_in("anna", "10.0.0.1");
	struct address a = addr("10.0.0.1");
	struct session s;
	is_here("10.0.0.1", MACB);
	sign_in("anna", "10.0.0.1");
	assert_true(session_at(f.sessions, &a, T0, &s));
	assert_memory_equal(s.mac, MACB, 6);
	is_here("10.0.0.1", MACB);
	assert_string_equal(who("10.0.0.1"), "anna");
}

static void several_ipv4_addresses_are_several_people(void **state)
{
	is_here("10.0.0.1", MACA);
	is_here("2001:db8::a1", MACA);
	sign_in("anna", "10.0.0.1");
	assert_string_equal(who("2001:db8::a1"), "anna");
	is_here("10.0.0.2", MACA);
	assert_string_equal(who("10.0.0.2"), "");
	assert_string_equal(who("2001:db8::a1"), "");
	assert_string_equal(who("10.0.0.1"), "anna");
	is_here("2001:db8::a2", MACA);
	assert_string_equal(who("2001:db8::a2"), "");
	is_gone("10.0.0.2", MACA);
	is_here("2001:db8::a2", MACA);
	assert_string_equal(who("2001:db8::a2"), "anna");
}

static void a_new_address_is_known_by_its_host(void **state)
{
	is_here("10.0.0.1", MACA);
	sign_in("anna", "10.0.0.1");
	assert_string_equal(new_at("2001:db8::a9", MACA), ""); /* not met in this network */
	is_here("2001:db8::a1", MACA);
	is_here("2001:db8::b1", MACB);
	assert_string_equal(new_at("2001:db8::a9", MACA), "anna");
	assert_string_equal(new_at("2001:db8::a9", MACB), "");
	assert_string_equal(new_at("2001:db8:0:1::a9", MACA), ""); /* routed by the host, perhaps */
	assert_string_equal(new_at("10.0.0.9", MACA), "");
	is_here("10.0.0.2", MACA); /* several people */
	assert_string_equal(new_at("2001:db8::a9", MACA), "");
	is_gone("10.0.0.2", MACA);
	is_here("2001:db8::a2", MACA);
	assert_string_equal(new_at("2001:db8::a9", MACA), "anna");
	sign_in("bob", "2001:db8::a3");
	is_here("2001:db8::a3", MACA); /* two sessions: whose it is cannot be told */
	assert_string_equal(new_at("2001:db8::a9", MACA), "");
	struct address a = addr("2001:db8::a3");
	assert_int_equal(session_close_address(f.sessions, &a), 1);
	is_here("2001:db8::a2", MACA);
	assert_string_equal(new_at("2001:db8::a9", MACA), "anna");
	assert_int_equal(session_close_user(f.sessions, "anna"), 1);
	assert_string_equal(new_at("2001:db8::a9", MACA), "");
}

static void an_ipv4_address_that_was_left_counts_no_more(void **state)
{
	int64_t hour = 3600 * NS_PER_S;
	is_here("10.0.0.1", MACA);
	sign_in("anna", "10.0.0.1");
	tell(RTM_NEWNEIGH, NUD_STALE, "10.0.0.2", MACA, T0);
	tell(RTM_NEWNEIGH, NUD_REACHABLE, "2001:db8::a1", MACA, T0 + hour - 1);
	assert_string_equal(who("2001:db8::a1"), "");
	tell(RTM_NEWNEIGH, NUD_REACHABLE, "2001:db8::a1", MACA, T0 + hour);
	assert_string_equal(who("2001:db8::a1"), "anna");
	assert_string_equal(who("10.0.0.1"), "anna");
}

static void two_sessions_of_a_host_stay_apart(void **state)
{
	is_here("10.0.0.1", MACA);
	sign_in("anna", "10.0.0.1");
	sign_in("bob", "2001:db8::a1");
	is_here("2001:db8::a1", MACA);
	is_here("2001:db8::a2", MACA);
	assert_string_equal(who("10.0.0.1"), "anna");
	assert_string_equal(who("2001:db8::a1"), "bob");
	assert_string_equal(who("2001:db8::a2"), "");
}

static void the_least_used_address_makes_room(void **state)
{
	char text[ADDRESS_TEXT];
	is_here("10.0.0.1", MACA);
	sign_in("anna", "10.0.0.1");
	for (int i = 1; i < SESSION_ADDRESSES; i++) {
		snprintf(text, sizeof text, "2001:db8::%d", i);
		tell(RTM_NEWNEIGH, NUD_STALE, text, MACA, T0 + i);
	}
	is_gone("2001:db8::5", MACA);
	tell(RTM_NEWNEIGH, NUD_STALE, "2001:db8::8", MACA, T0 + 8);
	assert_string_equal(who("2001:db8::5"), "");
	assert_string_equal(who("2001:db8::8"), "anna");
	tell(RTM_NEWNEIGH, NUD_STALE, "2001:db8::9", MACA, T0 + 9);
	assert_string_equal(who("2001:db8::1"), "");
	assert_string_equal(who("2001:db8::9"), "anna");
	assert_string_equal(who("10.0.0.1"), "anna");
}

static void a_session_moves_with_its_host(void **state)
{
	is_here("10.0.0.1", MACA);
	is_here("2001:db8::a1", MACA);
	sign_in("anna", "10.0.0.1");
	is_here("10.0.0.2", MACA);
	assert_string_equal(who("10.0.0.2"), "anna");
	assert_string_equal(who("10.0.0.1"), "");
	assert_string_equal(who("2001:db8::a1"), "anna");
	is_here("10.0.0.2", MACB); /* a new MAC address: the address keeps it */
	assert_string_equal(who("10.0.0.2"), "anna");
	assert_string_equal(who("2001:db8::a1"), "");
	is_here("2001:db8::b1", MACB);
	assert_string_equal(who("2001:db8::b1"), "anna");
	assert_int_equal(sessions_count(f.sessions), 1);
}

/* Who was given a second address by the portal has not moved there from the first. */
static void an_address_of_the_session_itself_is_no_move(void **state)
{
	struct session s;
	struct address first = addr("10.0.0.1"), second = addr("10.0.0.2");
	is_here("10.0.0.1", MACA);
	sign_in("anna", "10.0.0.1");
	assert_true(session_at(f.sessions, &first, T0, &s));
	assert_int_equal(session_add_address(f.sessions, s.id, &second), 0);
	is_here("10.0.0.2", MACA);
	assert_string_equal(who("10.0.0.1"), "anna");
	assert_string_equal(who("10.0.0.2"), "anna");
}

static void other_links_and_states_are_not_taken(void **state)
{
	_Alignas(struct nlmsghdr) char bytes[256];
	neighbours_take(
		f.n, bytes,
		message(bytes, RTM_NEWNEIGH, f.link + 1000, NUD_REACHABLE, "10.0.0.1", MACA), T0);
	neighbours_take(f.n, bytes,
			message(bytes, RTM_NEWNEIGH, -1, NUD_REACHABLE, "10.0.0.1", MACA), T0);
	tell(RTM_NEWNEIGH, NUD_FAILED, "10.0.0.1", NULL, T0);
	tell(RTM_NEWNEIGH, NUD_INCOMPLETE, "10.0.0.1", MACA, T0);
	tell(RTM_NEWNEIGH, NUD_NOARP, "10.0.0.1", MACA, T0);
	tell(RTM_NEWNEIGH, NUD_REACHABLE, "10.0.0.1", NULL, T0);
	tell(RTM_NEWNEIGH, NUD_REACHABLE, "ff02::1", MACA, T0);
	tell(RTM_DELNEIGH, NUD_REACHABLE, "10.0.0.1", MACA, T0);
	tell(RTM_NEWLINK, NUD_REACHABLE, "10.0.0.1", MACA, T0);
	assert_int_equal(known(), 0);
	tell(RTM_NEWNEIGH, NUD_REACHABLE, "10.0.0.1", MACA, T0);
	assert_int_equal(known(), 1);
}

/* Every length and every length field: nothing is read beyond the end (ASan), nothing half taken.
 */
static void cut_messages_are_left(void **state)
{
	_Alignas(struct nlmsghdr) char bytes[256];
	size_t len = message(bytes, RTM_NEWNEIGH, f.link, NUD_REACHABLE, "2001:db8::1", MACA);
	for (size_t cut = 0; cut < len; cut++) {
		struct nlmsghdr *copy = malloc(cut + 1);
		memcpy(copy, bytes, cut);
		neighbours_take(f.n, copy, cut, T0);
		if (cut >= sizeof *copy) {
			copy->nlmsg_len = (uint32_t)cut; /* the header agrees */
			neighbours_take(f.n, copy, cut, T0);
		}
		free(copy);
	}
	assert_int_equal(known(), 0);
	((struct nlmsghdr *)bytes)->nlmsg_len = UINT32_MAX; /* no end, were it rounded up */
	neighbours_take(f.n, bytes, len, T0);
	((struct nlmsghdr *)bytes)->nlmsg_len = (uint32_t)len;
	for (size_t at = sizeof(struct nlmsghdr) + sizeof(struct ndmsg); at < len; at++)
		for (int v = 0; v < 256; v += 5) {
			char *copy = malloc(len);
			memcpy(copy, bytes, len);
			copy[at] = (char)v;
			neighbours_take(f.n, copy, len, T0);
			free(copy);
		}
	neighbours_take(f.n, bytes, len, T0);
	assert_true(known() > 0);
}

static void a_full_table_learns_no_more(void **state)
{
	struct neighbour_counters c;
	is_here("10.0.0.1", MACA);
	sign_in("anna", "10.0.0.1");
	is_gone("10.0.0.1", MACA);
	is_here("2001:db8::b1", MACB);
	is_here("2001:db8::b2", MACB);
	is_here("2001:db8::b3", MACB);
	is_here("2001:db8::b4", MACB);
	neighbours_count(f.n, &c);
	assert_int_equal(c.known, 4);
	assert_int_equal(c.refused, 1);
	is_gone("2001:db8::b1", MACB);
	tell(RTM_NEWNEIGH, NUD_STALE, "2001:db8::a1", MACA, T0 + 2 * NS_PER_S);
	assert_string_equal(who("2001:db8::a1"), "anna"); /* forgotten, but of a session: kept */
	assert_int_equal(known(), 4);
}

static void a_twin_of_its_own_options(void **state)
{
	char *lo = "lo", *lan = "lan0";
	assert_true(neighbours_same(f.n, &(struct strings){&lo, 1}, CONFIG_HOST_END));
	assert_false(neighbours_same(f.n, &(struct strings){&lan, 1}, CONFIG_HOST_END));
	assert_false(neighbours_same(f.n, &(struct strings){&lo, 1}, CONFIG_HOST_MOVE));
	assert_false(neighbours_same(f.n, &(struct strings){0}, CONFIG_HOST_END));
	assert_false(neighbours_same(NULL, &(struct strings){&lo, 1}, CONFIG_HOST_IGNORE));
}

/* Who signs in at an address has it from then on, and not from the host's session before. */
static void who_signs_in_keeps_the_address_when_the_host_parts(void **state)
{
	is_here("10.0.0.1", MACA);
	is_here("2001:db8::a1", MACA);
	sign_in("anna", "10.0.0.1");
	assert_string_equal(who("2001:db8::a1"), "anna");
	sign_in("bob", "2001:db8::a1");
	is_here("10.0.0.2", MACA); /* several hosts, after all */
	assert_string_equal(who("2001:db8::a1"), "bob");
}

/* An address that was the host's only by its session is no reason to part it. */
static void a_joined_address_that_moves_leaves_the_others(void **state)
{
	is_here("10.0.0.1", MACA);
	is_here("2001:db8::a1", MACA);
	is_here("2001:db8::a2", MACA);
	sign_in("anna", "10.0.0.1");
	assert_string_equal(who("2001:db8::a2"), "anna");
	is_here("2001:db8::a1", MACB);
	assert_string_equal(who("2001:db8::a2"), "anna");
	assert_string_equal(who("10.0.0.1"), "anna");
}

/* The access point said whose it is; the table still has who was there before. */
static void whom_a_session_is_for_may_be_told_by_others(void **state)
{
	struct session s = {.user = "anna", .tier = "press", .has_mac = true, .mac_told = true},
		       out;
	struct address a = addr("10.0.0.1");
	memcpy(s.mac, MACA, sizeof s.mac);
	is_here("10.0.0.1", MACB);
	assert_int_equal(session_open(f.sessions, &a, &s, T0), 0);
	neighbours_join(f.n, &a, T0);
	tell(RTM_NEWNEIGH, NUD_STALE, "10.0.0.1", MACB, T0);
	assert_true(session_at(f.sessions, &a, T0, &out));
	assert_memory_equal(out.mac, MACA, 6);
	is_here("2001:db8::b1", MACB);
	assert_string_equal(who("2001:db8::b1"), ""); /* not bob's, who was there */
	is_here("10.0.0.1", MACA);
	is_here("2001:db8::a1", MACA);
	assert_string_equal(who("2001:db8::a1"), "anna");
}

static int set_up_ignoring(void **state)
{
	set_up_for(CONFIG_HOST_IGNORE, 64);
	return 0;
}

static bool at(const char *address, const char *mac)
{
	struct address a = addr(address);
	uint8_t is[6];
	return onlink_at(f.onlink, &a, is) == ONLINK_HERE && memcmp(is, mac, 6) == 0;
}

static enum onlink_word word(const char *address)
{
	struct address a = addr(address);
	uint8_t mac[6];
	return onlink_at(f.onlink, &a, mac);
}

static void the_workers_are_told(void **state)
{
	is_here("10.0.0.1", MACA);
	is_here("2001:db8::a1", MACA);
	assert_true(at("10.0.0.1", MACA) && at("2001:db8::a1", MACA));
	is_here("10.0.0.1", MACB);
	assert_true(at("10.0.0.1", MACB));
	tell(RTM_NEWNEIGH, NUD_FAILED, "10.0.0.1", NULL, T0);
	is_gone("2001:db8::a1", MACA);
	assert_int_equal(word("10.0.0.1"), ONLINK_ELSEWHERE);
	assert_int_equal(word("2001:db8::a1"), ONLINK_ELSEWHERE);
}

static void told_and_sessions_left_alone(void **state)
{
	sign_in("anna", "10.0.0.1");
	is_here("10.0.0.1", MACA);
	is_here("2001:db8::a1", MACA);
	is_here("10.0.0.1", MACB);
	assert_true(at("10.0.0.1", MACB) && at("2001:db8::a1", MACA));
	assert_string_equal(who("10.0.0.1"), "anna");
	assert_string_equal(who("2001:db8::a1"), "");
}

/* A route as the kernel tells it; by, via: how a router is named, and its address, or NULL. */
static size_t route_message(char *bytes, uint16_t type, const char *network, int link,
			    uint32_t table, uint16_t by, const char *via)
{
	struct network n;
	assert_true(network_parse(network, &n));
	bool four = address_is4(&n.base);
	struct nlmsghdr *m = mnl_nlmsg_put_header(bytes);
	m->nlmsg_type = type;
	struct rtmsg *rt = mnl_nlmsg_put_extra_header(m, sizeof *rt);
	rt->rtm_family = four ? AF_INET : AF_INET6;
	rt->rtm_dst_len = (uint8_t)(four ? n.bits - 96 : n.bits);
	rt->rtm_type = RTN_UNICAST;
	mnl_attr_put_u32(m, RTA_TABLE, table);
	if (rt->rtm_dst_len)
		mnl_attr_put(m, RTA_DST, four ? 4 : 16, n.base.bytes + (four ? 12 : 0));
	mnl_attr_put_u32(m, RTA_OIF, (uint32_t)link);
	if (via) {
		struct address a = addr(via);
		mnl_attr_put(m, by, four ? 4 : 16, a.bytes + (four ? 12 : 0));
	}
	return m->nlmsg_len;
}

static void route(uint16_t type, const char *network, int link, uint32_t table, const char *via)
{
	_Alignas(struct nlmsghdr) char bytes[256];
	size_t len = route_message(bytes, type, network, link, table, RTA_GATEWAY, via);
	neighbours_take(f.n, bytes, len, T0);
}

static void a_segment_is_what_a_route_leads_to_without_a_router(void **state)
{
	route(RTM_NEWROUTE, "10.0.0.0/24", f.link, RT_TABLE_MAIN, NULL);
	route(RTM_NEWROUTE, "2001:db8::/64", f.link, RT_TABLE_MAIN, NULL);
	route(RTM_NEWROUTE, "10.1.0.0/24", f.link, RT_TABLE_MAIN, "10.0.0.9");
	route(RTM_NEWROUTE, "10.2.0.0/24", f.link, RT_TABLE_LOCAL, NULL);
	route(RTM_NEWROUTE, "10.3.0.0/24", f.link + 1000, RT_TABLE_MAIN, NULL);
	assert_int_equal(word("10.0.0.7"), ONLINK_UNCONFIRMED);
	assert_int_equal(word("2001:db8::7"), ONLINK_UNCONFIRMED);
	assert_int_equal(word("10.1.0.7"), ONLINK_ELSEWHERE);
	assert_int_equal(word("10.2.0.7"), ONLINK_ELSEWHERE);
	assert_int_equal(word("10.3.0.7"), ONLINK_ELSEWHERE);
	route(RTM_NEWROUTE, "0.0.0.0/0", f.link, RT_TABLE_MAIN, NULL);
	assert_int_equal(word("10.3.0.7"), ONLINK_UNCONFIRMED);
	assert_int_equal(word("2001:db9::7"), ONLINK_ELSEWHERE);
	route(RTM_DELROUTE, "0.0.0.0/0", f.link, RT_TABLE_MAIN, NULL);
	route(RTM_DELROUTE, "10.0.0.0/24", f.link, RT_TABLE_MAIN, NULL);
	assert_int_equal(word("10.0.0.7"), ONLINK_ELSEWHERE);
	assert_int_equal(word("2001:db8::7"), ONLINK_UNCONFIRMED);
}

/* ---- the kernel's part, played here: what it is asked, and what it answers ---- */

static struct kernel {
	struct {
		_Alignas(struct nlmsghdr) char bytes[128];
	} asked[8];
	size_t asks;
	struct {
		_Alignas(struct nlmsghdr) char bytes[512];
		size_t len;
		int error; /* in place of bytes */
	} answer[32];
	size_t answers, read;
	bool answers_dumps; /* with a route, with a neighbour */
} kernel;

static const struct nlmsghdr *asked(size_t i)
{
	assert_in_range(i, 0, kernel.asks - 1);
	return (const struct nlmsghdr *)kernel.asked[i].bytes;
}

static void answers(uint16_t type, uint16_t flags, const void *payload, size_t len)
{
	char *bytes = kernel.answer[kernel.answers].bytes;
	struct nlmsghdr *m = mnl_nlmsg_put_header(bytes);
	m->nlmsg_type = type;
	m->nlmsg_flags = flags;
	if (len)
		memcpy(mnl_nlmsg_put_extra_header(m, len), payload, len);
	kernel.answer[kernel.answers++].len = m->nlmsg_len;
}

static void answers_dump(uint16_t type)
{
	char *bytes = kernel.answer[kernel.answers].bytes;
	kernel.answer[kernel.answers++].len =
		type == RTM_GETROUTE
			? route_message(bytes, RTM_NEWROUTE, "10.0.0.0/24", f.link, RT_TABLE_MAIN,
					0, NULL)
			: message(bytes, RTM_NEWNEIGH, f.link, NUD_REACHABLE, "10.0.0.1", MACA);
	answers(NLMSG_DONE, NLM_F_MULTI, &(int){0}, sizeof(int));
}

ssize_t mnl_socket_sendto(const struct mnl_socket *socket, const void *bytes, size_t len)
{
	const struct nlmsghdr *m = bytes;
	assert_in_range(len, sizeof *m, sizeof kernel.asked[0].bytes);
	assert_in_range(kernel.asks, 0, 7);
	memcpy(kernel.asked[kernel.asks++].bytes, bytes, len);
	if (kernel.answers_dumps)
		answers_dump(m->nlmsg_type);
	return (ssize_t)len;
}

ssize_t recvmsg(int fd, struct msghdr *h, int flags)
{
	if (kernel.read == kernel.answers) {
		errno = EAGAIN;
		return -1;
	}
	size_t i = kernel.read++;
	errno = kernel.answer[i].error;
	if (errno)
		return -1;
	assert_true(kernel.answer[i].len <= h->msg_iov->iov_len);
	memcpy(h->msg_iov->iov_base, kernel.answer[i].bytes, kernel.answer[i].len);
	*(struct sockaddr_nl *)h->msg_name = (struct sockaddr_nl){.nl_family = AF_NETLINK};
	h->msg_namelen = sizeof(struct sockaddr_nl);
	h->msg_flags = 0;
	return (ssize_t)kernel.answer[i].len;
}

/* Where nothing will ever come, the wait of a second is over at once. */
int poll(struct pollfd *fds, nfds_t count, int milliseconds)
{
	assert_in_range(milliseconds, 0, 1000);
	if (kernel.read == kernel.answers)
		fail_msg("waits for what was not asked");
	return 1;
}

static int set_up_following(void **state)
{
	struct errors errors = {0};
	set_up(state);
	memset(&kernel, 0, sizeof kernel);
	kernel.answers_dumps = true;
	bool follows = neighbours_follow(f.n, &errors);
	kernel.answers_dumps = false;
	return !follows;
}

/* Without them the first packets would be of hosts that nobody knows. */
static void the_start_has_both_tables(void **state)
{
	assert_int_equal(kernel.asks, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(asked(i)->nlmsg_type, i == 0 ? RTM_GETROUTE : RTM_GETNEIGH);
		assert_int_equal(asked(i)->nlmsg_flags, NLM_F_REQUEST | NLM_F_DUMP);
		assert_int_equal(mnl_nlmsg_get_payload_len(asked(i)),
				 i == 0 ? sizeof(struct rtmsg) : sizeof(struct ndmsg));
	}
	assert_true(at("10.0.0.1", MACA));
	assert_int_equal(word("10.0.0.7"), ONLINK_UNCONFIRMED);
	assert_int_equal(known(), 1);
}

/* What the kernel could not tell is asked for again, routes first, one question at a time. */
static void what_was_lost_is_asked_for_again(void **state)
{
	struct neighbour_counters c;
	const int errors[] = {ENOBUFS, EIO};
	kernel.asks = 0;
	for (size_t i = 0; i < 2; i++)
		kernel.answer[kernel.answers++].error = errors[i];
	neighbours_read(f.n, T0); /* to the second error, which is the end of it */
	neighbours_count(f.n, &c);
	assert_int_equal(c.overruns, 1);
	assert_int_equal(kernel.asks, 1);
	assert_int_equal(asked(0)->nlmsg_type, RTM_GETROUTE);
	answers(NLMSG_DONE, 0, NULL, 0);
	neighbours_read(f.n, T0);
	assert_int_equal(kernel.asks, 2);
	assert_int_equal(asked(1)->nlmsg_type, RTM_GETNEIGH);
	answers(NLMSG_DONE, NLM_F_DUMP_INTR, NULL, 0); /* it changed under the answer */
	neighbours_read(f.n, T0);
	assert_int_equal(kernel.asks, 3);
	assert_int_equal(asked(2)->nlmsg_type, RTM_GETNEIGH);
	answers(NLMSG_DONE, 0, NULL, 0);
	answers(NLMSG_DONE, 0, NULL, 0);
	neighbours_read(f.n, T0);
	assert_int_equal(kernel.asks, 3); /* there is no more to ask */
	for (size_t i = 4; i < 6; i++) { /* the answer's end may be what was lost: not waited for */
		kernel.answer[kernel.answers++].error = ENOBUFS;
		neighbours_read(f.n, T0);
		assert_int_equal(kernel.asks, i);
		assert_int_equal(asked(i - 1)->nlmsg_type, RTM_GETROUTE);
	}
}

static void says_error(int error, uint16_t type, size_t len)
{
	struct nlmsgerr e = {.error = error, .msg.nlmsg_type = type};
	answers(NLMSG_ERROR, 0, &e, len);
	neighbours_read(f.n, T0);
}

/* Busy: after the answer that is on its way. Any other error: that table is not to be had, the next
 * one may be. An error of another question, as of one put to the segment, says nothing. */
static void a_refused_question_waits_for_the_answer_before(void **state)
{
	const size_t whole = sizeof(struct nlmsgerr);
	kernel.asks = 0;
	kernel.answer[kernel.answers++].error = ENOBUFS;
	neighbours_read(f.n, T0);
	assert_int_equal(kernel.asks, 1);
	says_error(-EBUSY, RTM_GETROUTE, whole);
	assert_int_equal(kernel.asks, 1);
	answers(NLMSG_DONE, 0, NULL, 0);
	neighbours_read(f.n, T0);
	assert_int_equal(kernel.asks, 2);
	assert_int_equal(asked(1)->nlmsg_type, RTM_GETROUTE); /* once more */
	says_error(-EPERM, RTM_NEWNEIGH, whole);
	says_error(-EPERM, RTM_GETROUTE, whole - 4);
	assert_int_equal(kernel.asks, 2);
	says_error(-EPERM, RTM_GETROUTE, whole);
	assert_int_equal(kernel.asks, 3);
	assert_int_equal(asked(2)->nlmsg_type, RTM_GETNEIGH);
	says_error(-EBUSY, RTM_GETNEIGH, whole);
	answers(NLMSG_DONE, 0, NULL, 0);
	neighbours_read(f.n, T0);
	assert_int_equal(kernel.asks, 4);
	assert_int_equal(asked(3)->nlmsg_type, RTM_GETNEIGH);
	says_error(-EPERM, RTM_GETNEIGH, whole);
	says_error(-EBUSY, RTM_GETNEIGH, whole); /* nothing is asked: nothing waits */
	answers(NLMSG_DONE, 0, NULL, 0);
	neighbours_read(f.n, T0);
	assert_int_equal(kernel.asks, 4);
}

static void is_solicited(const char *text)
{
	struct address a = addr(text);
	const size_t len = address_is4(&a) ? 4 : 16;
	kernel.asks = 0;
	neighbours_solicit(f.n, &a);
	assert_int_equal(kernel.asks, 1);
	assert_int_equal(asked(0)->nlmsg_type, RTM_NEWNEIGH);
	assert_int_equal(asked(0)->nlmsg_flags, NLM_F_REQUEST | NLM_F_CREATE);
	const struct ndmsg *nd = mnl_nlmsg_get_payload(asked(0));
	assert_int_equal(nd->ndm_family, len == 4 ? AF_INET : AF_INET6);
	assert_int_equal(nd->ndm_ifindex, f.link);
	assert_int_equal(nd->ndm_flags, NTF_USE);
	assert_int_equal(nd->ndm_state, 0);
	const struct nlattr *to = mnl_nlmsg_get_payload_offset(asked(0), sizeof *nd);
	assert_int_equal(mnl_nlmsg_get_payload_len(asked(0)), sizeof *nd + MNL_ATTR_HDRLEN + len);
	assert_int_equal(mnl_attr_get_type(to), NDA_DST);
	assert_int_equal(mnl_attr_get_payload_len(to), len);
	assert_memory_equal(mnl_attr_get_payload(to), a.bytes + 16 - len, len);
}

static void a_segment_is_asked_who_is_there(void **state)
{
	struct neighbour_counters c;
	struct address elsewhere = addr("10.9.0.1");
	route(RTM_NEWROUTE, "2001:db8::/64", f.link, RT_TABLE_MAIN, NULL);
	is_solicited("10.0.0.7");
	is_solicited("2001:db8::7");
	neighbours_solicit(f.n, &elsewhere); /* of no segment of ours */
	assert_int_equal(kernel.asks, 1);
	neighbours_count(f.n, &c);
	assert_int_equal(c.solicited, 2);
}

/* IPv4 by an IPv6 router (RFC 8950): not of our segment all the same. */
static void a_router_of_the_other_family_is_a_router(void **state)
{
	_Alignas(struct nlmsghdr) char bytes[256];
	size_t len = route_message(bytes, RTM_NEWROUTE, "10.1.0.0/24", f.link, RT_TABLE_MAIN,
				   RTA_VIA, "2001:db8::1");
	neighbours_take(f.n, bytes, len, T0);
	assert_int_equal(word("10.1.0.7"), ONLINK_ELSEWHERE);
	route(RTM_NEWROUTE, "10.1.0.0/24", f.link, RT_TABLE_MAIN, NULL);
	assert_int_equal(word("10.1.0.7"), ONLINK_UNCONFIRMED);
}

static void nothing_is_freed(void **state)
{
	neighbours_free(NULL);
	onlink_free(NULL);
	sessions_free(NULL);
}

/* Chains stay whole over a long random history: what is told is what is known. */
static void a_long_history(void **state)
{
	static const char *macs[] = {MACA, MACB, "\x02\0\0\0\0\x0c"};
	char text[ADDRESS_TEXT];
	unsigned seed = 5;
	for (int step = 0; step < 20000; step++) {
		bool four = rand_r(&seed) % 4 == 0;
		snprintf(text, sizeof text, four ? "10.0.0.%d" : "2001:db8::%d",
			 rand_r(&seed) % 40 + 1);
		const char *mac = macs[rand_r(&seed) % 3];
		int64_t now = T0 + step * NS_PER_S / 10;
		switch (rand_r(&seed) % 8) {
		case 0: sign_in(four ? "anna" : "bob", text); break;
		case 1:
		case 2: tell(RTM_DELNEIGH, 0, text, mac, now); break;
		default: tell(RTM_NEWNEIGH, NUD_STALE, text, mac, now);
		}
		assert_true(known() <= 64);
	}
	struct session_view v;
	uint32_t slot = 0;
	while (session_each(f.sessions, &slot, &v))
		assert_in_range(v.address_count, 1, SESSION_ADDRESSES);
}

int main(void)
{
#define TEST(name)      cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define FOLLOWING(name) cmocka_unit_test_setup_teardown(name, set_up_following, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_session_has_the_addresses_of_its_host),
		TEST(the_kernel_may_tell_before_and_after_the_login),
		TEST(another_host_ends_the_session_at_the_address),
		TEST(another_host_after_a_while),
		TEST(who_signs_in_again_has_the_host_that_is_there),
		TEST(several_ipv4_addresses_are_several_people),
		TEST(a_new_address_is_known_by_its_host),
		TEST(an_ipv4_address_that_was_left_counts_no_more),
		TEST(two_sessions_of_a_host_stay_apart),
		TEST(the_least_used_address_makes_room),
		cmocka_unit_test_setup_teardown(an_address_of_the_session_itself_is_no_move,
						set_up_moving, tear_down),
		cmocka_unit_test_setup_teardown(a_session_moves_with_its_host, set_up_moving,
						tear_down),
		TEST(other_links_and_states_are_not_taken),
		TEST(cut_messages_are_left),
		cmocka_unit_test_setup_teardown(a_full_table_learns_no_more, set_up_small,
						tear_down),
		TEST(a_twin_of_its_own_options),
		TEST(a_long_history),
		TEST(who_signs_in_keeps_the_address_when_the_host_parts),
		cmocka_unit_test_setup_teardown(a_joined_address_that_moves_leaves_the_others,
						set_up_moving, tear_down),
		TEST(whom_a_session_is_for_may_be_told_by_others),
		TEST(the_workers_are_told),
		TEST(a_segment_is_what_a_route_leads_to_without_a_router),
		TEST(a_router_of_the_other_family_is_a_router),
		TEST(nothing_is_freed),
		FOLLOWING(the_start_has_both_tables),
		FOLLOWING(what_was_lost_is_asked_for_again),
		FOLLOWING(a_refused_question_waits_for_the_answer_before),
		FOLLOWING(a_segment_is_asked_who_is_there),
		cmocka_unit_test_setup_teardown(told_and_sessions_left_alone, set_up_ignoring,
						tear_down),
		cmocka_unit_test_setup_teardown(a_long_history, set_up_moving, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
