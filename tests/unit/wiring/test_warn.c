/* What may surprise an operator, by what the system says of itself: its files and interfaces are
 * the test's. */
#include "unit.h"
#include "wiring/tool.h"
#include "wiring/wiring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the system ---- */

static struct {
	const char *path, *text;
} files[8];

static const char *text_at(const char *path)
{
	for (size_t i = 0; i < 8 && files[i].path; i++)
		if (strcmp(files[i].path, path) == 0)
			return files[i].text;
	return NULL;
}

FILE *fopen(const char *path, const char *mode)
{
	const char *text = text_at(path);
	return text ? fmemopen((void *)text, strlen(text), "r") : NULL;
}

int access(const char *path, int mode)
{
	return text_at(path) ? 0 : -1;
}

static struct ifaddrs *list;
static bool no_list;

int getifaddrs(struct ifaddrs **out)
{
	*out = list;
	return no_list ? -1 : 0;
}

void freeifaddrs(struct ifaddrs *l)
{
}

static int euid;

uid_t geteuid(void)
{
	return (uid_t)euid;
}

static const char *ruleset; /* as nft lists it; NULL: it can't */
static int nft_status;

bool tool_run(struct tool *t, const char *const argv[], const char *input, bool print)
{
	assert_string_equal(argv[0], "nft");
	*t = (struct tool){.status = nft_status, .out = ruleset ? strdup(ruleset) : NULL};
	return ruleset;
}

void tool_deinit(struct tool *t)
{
	free(t->out);
}

/* ---- set up ---- */

static char *inside[] = {(char *)"lan0", (char *)"lan1"};
static struct network resolvers[2];
static struct config config;
static struct errors said;

static int begin(void **state)
{
	memset(files, 0, sizeof files);
	list = NULL;
	no_list = false;
	euid = nft_status = 0;
	ruleset = "";
	config = (struct config){.inside = {inside, 2}};
	return 0;
}

static int end(void **state)
{
	errors_deinit(&said);
	memset(&said, 0, sizeof said);
	return 0;
}

static void file(const char *path, const char *text)
{
	size_t i = 0;
	while (files[i].path && strcmp(files[i].path, path) != 0)
		i++;
	files[i].path = path;
	files[i].text = text;
}

static void warned(const char *sentence)
{
	if (said.count != (sentence != NULL) || (sentence && !strstr(said.lines[0], sentence)))
		fail_msg("%zu: %s", said.count, said.count ? said.lines[0] : "");
	errors_deinit(&said);
	memset(&said, 0, sizeof said);
}

/* ---- resolvers ---- */

static struct ifaddrs nic;
static union {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
} own, mask;

static void be_nic(const char *name, const char *address, const char *netmask)
{
	int family = strchr(address, ':') ? AF_INET6 : AF_INET;
	memset(&own, 0, sizeof own);
	memset(&mask, 0, sizeof mask);
	own.any.sa_family = mask.any.sa_family = (sa_family_t)family;
	if (family == AF_INET) {
		inet_pton(family, address, &own.four.sin_addr);
		inet_pton(family, netmask, &mask.four.sin_addr);
	} else {
		inet_pton(family, address, &own.six.sin6_addr);
		inet_pton(family, netmask, &mask.six.sin6_addr);
	}
	nic = (struct ifaddrs){
		.ifa_name = (char *)name, .ifa_addr = &own.any, .ifa_netmask = &mask.any};
	list = &nic;
}

static void resolver(const char *text, bool neighbour)
{
	char want[128];
	assert_true(network_parse(text, &resolvers[0]));
	config.resolvers.item = resolvers;
	config.resolvers.count = 1;
	wiring_warn_of_resolvers(&config, &said);
	snprintf(want, sizeof want, "resolver %s is a neighbour of the clients on lan1", text);
	warned(neighbour ? want : NULL);
}

static void a_resolver_among_the_clients_is_told(void **state)
{
	be_nic("lan1", "10.1.2.1", "255.255.254.0");
	resolver("10.1.2.53", true);
	resolver("10.1.3.255", true);
	resolver("10.1.4.0", false);
	resolver("10.1.1.255", false);
	resolver("10.1.2.1", false); /* the gateway's own */
	resolver("2001:db8::53", false);
	be_nic("lan1", "2001:db8::1", "ffff:ffff:ffff:ffff::");
	resolver("2001:db8::53", true);
	resolver("2001:db8:0:1::53", false);
	resolver("2001:db8::1", false);
	resolver("10.1.2.53", false);
	be_nic("wan0", "10.1.2.1", "255.255.254.0");
	resolver("10.1.2.53", false);
	be_nic("lan1", "10.1.2.1", "255.255.254.0");
	nic.ifa_netmask = NULL;
	resolver("10.1.2.53", false);
	nic.ifa_netmask = &mask.any;
	nic.ifa_addr = NULL;
	resolver("10.1.2.53", false);
	nic.ifa_addr = &own.any;
	no_list = true;
	resolver("10.1.2.53", false);
	no_list = false;
	config.dnstap_socket = (char *)"/dnstap"; /* it writes what it says */
	resolver("10.1.2.53", false);
}

static void each_resolver_is_told_once(void **state)
{
	be_nic("lan1", "10.1.2.1", "255.255.254.0");
	struct ifaddrs second = nic;
	nic.ifa_next = &second;
	assert_true(network_parse("10.1.2.53", &resolvers[0]));
	assert_true(network_parse("10.1.2.54", &resolvers[1]));
	config.resolvers.item = resolvers;
	config.resolvers.count = 2;
	wiring_warn_of_resolvers(&config, &said);
	assert_int_equal(said.count, 2);
}

/* ---- default routes ---- */

#define HEAD4                                                                                      \
	"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
#define ROUTE4(name, to, flags, bits)                                                              \
	name "\t" to "\t0101A8C0\t" flags "\t0\t0\t0\t" bits "\t0\t0\t0\n"
#define ZEROS "00000000000000000000000000000000"
#define ROUTE6(to, bits, flags, name)                                                              \
	to " " bits " " ZEROS                                                                      \
	   " 00 fe800000000000000000000000000001 00000400 00000001 00000000 " flags "     " name   \
	   "\n"

static void ways(const char *four, const char *six, const char *sentence)
{
	file("/proc/net/route", four);
	file("/proc/net/ipv6_route", six);
	wiring_warn_of_ways(&config, &said);
	warned(sentence);
}

static void a_default_route_by_an_inside_interface_is_told(void **state)
{
	ways(HEAD4 ROUTE4("wan0", "00000000", "0003", "00000000"), "x", NULL);
	ways(HEAD4 ROUTE4("wan0", "00000000", "0003", "00000000")
		     ROUTE4("lan1", "00000000", "0003", "00000000"),
	     "x", "the default route of IPv4 leaves by \"lan1\", as if the world were inside");
	ways(HEAD4 ROUTE4("lan1", "0000000A", "0001", "000000FF"), "x", NULL);
	ways(HEAD4 ROUTE4("lan1", "00000000", "0001", "00000080"), "x", NULL); /* half of it */
	ways(HEAD4 ROUTE4("lan1", "00000000", "0203", "00000000"), "x", NULL); /* to nowhere */
	ways(HEAD4 "lan1\t00000000\n", "x", NULL);
	ways(HEAD4 ROUTE4("lan1", "00000000", "0003", "00000000")
		     ROUTE4("lan0", "00000000", "0003", "00000000"),
	     "x", "leaves by \"lan1\"");
	ways("x", ROUTE6(ZEROS, "00", "00000003", "lan0"),
	     "the default route of IPv6 leaves by \"lan0\"");
	ways("x", ROUTE6(ZEROS, "40", "00000003", "lan0"), NULL);
	ways("x", ROUTE6("20010db8000000000000000000000000", "00", "00000003", "lan0"), NULL);
	ways("x", ROUTE6(ZEROS, "00", "00200200", "lan0"), NULL);
	ways("x", ROUTE6(ZEROS, "00", "00000003", "wan0"), NULL);
	memset(files, 0, sizeof files); /* a system without either */
	wiring_warn_of_ways(&config, &said);
	warned(NULL);
}

/* ---- NAT ---- */

static void nat(const char *segment, const char *outside, bool told)
{
	static struct config_segment segments[2];
	assert_true(network_parse("2001:db8::/64", &segments[0].network));
	assert_true(network_parse(segment, &segments[1].network));
	config.segments = segments;
	config.segment_count = 2;
	be_nic("wan0", outside, "255.255.255.0");
	file("/proc/net/route", HEAD4 ROUTE4("wan1", "00000000", "0203", "00000000")
					ROUTE4("wan0", "00000000", "0003", "00000000"));
	wiring_warn_of_nat(&config, &said);
	warned(told ? "the world is reached by wan0 from 198.51.100.7, and no rule masquerades"
		    : NULL);
}

static void private_segments_without_nat_are_told(void **state)
{
	static const char *const ours[] = {"10.9.0.0/16", "172.16.0.0/24", "172.31.255.0/24",
					   "192.168.1.0/24", "100.127.0.0/24"},
				 *const worlds[] = {"9.9.0.0/16", "172.15.0.0/24", "172.32.0.0/24",
						    "192.169.1.0/24", "100.128.0.0/24"};
	for (size_t i = 0; i < 5; i++) {
		nat(ours[i], "198.51.100.7", true);
		nat(worlds[i], "198.51.100.7", false);
	}
	nat("10.9.0.0/16", "10.0.0.2", false); /* another gateway does it */
	config.segment_count = 0;
	wiring_warn_of_nat(&config, &said);
	warned(NULL);
}

/* Only who sees all rules may say that there is none. */
static void where_a_rule_may_do_it_nothing_is_told(void **state)
{
	static const char *const rules[] = {"oifname \"wan0\" masquerade",
					    "ip saddr 10.0.0.0/8 snat to 198.51.100.7",
					    "-j MASQUERADE", "-j SNAT", NULL};
	nat("10.9.0.0/16", "198.51.100.7", true);
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		ruleset = rules[i];
		nat("10.9.0.0/16", "198.51.100.7", false);
	}
	ruleset = "";
	nft_status = 1;
	nat("10.9.0.0/16", "198.51.100.7", false);
	nft_status = 0;
	euid = 1000;
	nat("10.9.0.0/16", "198.51.100.7", false);
	euid = 0;
	file("/proc/net/ip_tables_names", "filter\nmangle\n");
	nat("10.9.0.0/16", "198.51.100.7", true);
	file("/proc/net/ip_tables_names", "filter\nnat\n"); /* legacy's, which nft does not list */
	nat("10.9.0.0/16", "198.51.100.7", false);
	file("/proc/net/ip_tables_names", "");
	nat("10.9.0.0/16", "198.51.100.7", true);
	no_list = true;
	nat("10.9.0.0/16", "198.51.100.7", false);
}

/* ---- settings ---- */

static void settings_that_break_ours_are_told(void **state)
{
	wiring_warn(&config, &said);
	warned(NULL);
	file("/proc/sys/net/ipv4/fwmark_reflect", "0\n");
	wiring_warn(&config, &said);
	warned(NULL);
	file("/proc/sys/net/ipv4/fwmark_reflect", "1\n");
	wiring_warn(&config, &said);
	warned("fwmark_reflect is on");
	file("/proc/sys/net/ipv4/fwmark_reflect", "0\n");
	file("/proc/sys/net/ipv6/fwmark_reflect", "1\n");
	wiring_warn(&config, &said);
	warned("fwmark_reflect is on");
}

/* Only of a bridge that is inside, and only where the setting is on. */
static void a_bridge_whose_ports_come_up_is_told(void **state)
{
	file("/proc/sys/net/bridge/bridge-nf-call-iptables", "1\n");
	wiring_warn(&config, &said);
	warned(NULL);
	file("/sys/class/net/lan1/bridge", "");
	wiring_warn(&config, &said);
	warned("net.bridge.bridge-nf-call-iptables is on: what the bridge lan1 carries");
	file("/proc/sys/net/bridge/bridge-nf-call-iptables", "0\n");
	wiring_warn(&config, &said);
	warned(NULL);
	file("/proc/sys/net/bridge/bridge-nf-call-ip6tables", "1\n");
	wiring_warn(&config, &said);
	warned("net.bridge.bridge-nf-call-ip6tables is on");
	file("/proc/sys/net/bridge/bridge-nf-call-iptables", "1\n");
	file("/sys/class/net/lan0/bridge", "");
	wiring_warn(&config, &said);
	assert_int_equal(said.count, 4);
}

static void all_of_it_is_told_at_once(void **state)
{
	file("/proc/sys/net/ipv4/fwmark_reflect", "1\n");
	file("/proc/net/route", HEAD4 ROUTE4("lan1", "00000000", "0003", "00000000"));
	be_nic("lan1", "10.1.2.1", "255.255.254.0");
	assert_true(network_parse("10.1.2.53", &resolvers[0]));
	config.resolvers.item = resolvers;
	config.resolvers.count = 1;
	wiring_warn(&config, &said);
	assert_int_equal(said.count, 3);
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		WITH(a_resolver_among_the_clients_is_told),
		WITH(each_resolver_is_told_once),
		WITH(a_default_route_by_an_inside_interface_is_told),
		WITH(private_segments_without_nat_are_told),
		WITH(where_a_rule_may_do_it_nothing_is_told),
		WITH(settings_that_break_ours_are_told),
		WITH(a_bridge_whose_ports_come_up_is_told),
		WITH(all_of_it_is_told_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
