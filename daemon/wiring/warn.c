#include "wiring/wiring.h"

#include "wiring/tool.h"
#include "wiring/links.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const uint8_t *bytes_of(const struct sockaddr *a, size_t *len)
{
	*len = a->sa_family == AF_INET ? 4 : 16;
	return a->sa_family == AF_INET
		       ? (const uint8_t *)&((const struct sockaddr_in *)(const void *)a)->sin_addr
		       : (const uint8_t *)&((const struct sockaddr_in6 *)(const void *)a)
				 ->sin6_addr;
}

/* Whether an address is on an interface's own network, and not the interface's. */
static bool on_link(const struct ifaddrs *i, const struct address *a)
{
	int family = address_is4(a) ? AF_INET : AF_INET6;
	size_t len;
	if (!i->ifa_addr || !i->ifa_netmask || i->ifa_addr->sa_family != family)
		return false;
	const uint8_t *own = bytes_of(i->ifa_addr, &len);
	const uint8_t *mask = bytes_of(i->ifa_netmask, &len);
	const uint8_t *other = a->bytes + sizeof a->bytes - len;
	if (memcmp(own, other, len) == 0)
		return false;
	for (size_t n = 0; n < len; n++)
		if ((own[n] ^ other[n]) & mask[n])
			return false;
	return true;
}

static bool is_inside(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->inside.count; i++)
		if (strcmp(c->inside.item[i], name) == 0)
			return true;
	return false;
}

/* A resolver may be given as a network: its first address stands for it. */
static void warn_of_resolver(const struct config *c, const struct network *n,
			     const struct ifaddrs *list, struct errors *warnings)
{
	char text[ADDRESS_TEXT];
	for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
		if (!is_inside(c, i->ifa_name) || !on_link(i, &n->base))
			continue;
		errors_add(
			warnings, NULL, 0,
			"resolver %s is a neighbour of the clients on %s: its answers to them do "
			"not cross the gateway; have it write dnstap",
			address_format(&n->base, text), i->ifa_name);
		return;
	}
}

static bool setting_is_on(const char *path)
{
	FILE *f = fopen(path, "re");
	int c = f ? fgetc(f) : '0';
	if (f)
		fclose(f);
	return c == '1';
}

void wiring_warn_of_resolvers(const struct config *c, struct errors *warnings)
{
	struct ifaddrs *list;
	if (c->dnstap_socket || getifaddrs(&list) < 0)
		return;
	for (size_t i = 0; i < c->resolvers.count; i++)
		warn_of_resolver(c, &c->resolvers.item[i], list, warnings);
	freeifaddrs(list);
}

/* The interface of a default route in a line of /proc/net/route or ipv6_route; "" where it is
 * another route, or leads nowhere: the kernel has such a one of its own for IPv6, by "lo". */
static void default_way(const char *line, bool four, char name[static IFNAMSIZ])
{
	char dest[33], mask[9] = "";
	unsigned bits = 0, flags = 0;
	int n = four ? sscanf(line, "%15s %8s %*s %x %*s %*s %*s %8s", name, dest, &flags, mask)
		     : sscanf(line, "%32s %2x %*s %*s %*s %*s %*s %*s %x %15s", dest, &bits, &flags,
			      name);
	if (n != 4 || bits || flags & RTF_REJECT || strspn(dest, "0") != strlen(dest) ||
	    strspn(mask, "0") != strlen(mask))
		name[0] = '\0';
}

static void warn_of_way(const struct config *c, bool four, struct errors *warnings)
{
	char line[256], name[IFNAMSIZ];
	FILE *f = fopen(four ? "/proc/net/route" : "/proc/net/ipv6_route", "re");
	while (f && fgets(line, sizeof line, f)) {
		default_way(line, four, name);
		if (!is_inside(c, name))
			continue;
		errors_add(
			warnings, NULL, 0,
			"inside: the default route of IPv%d leaves by \"%s\", as if the world were "
			"inside; write the interfaces of the clients, unless both are there",
			four ? 4 : 6, name);
		break;
	}
	if (f)
		fclose(f);
}

void wiring_warn_of_ways(const struct config *c, struct errors *warnings)
{
	warn_of_way(c, true, warnings);
	warn_of_way(c, false, warnings);
}

/* RFC 1918, RFC 6598 */
static bool is_private(const struct address *a)
{
	static const char *const text[] = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
					   "100.64.0.0/10"};
	struct network n;
	for (size_t i = 0; i < sizeof text / sizeof *text; i++)
		if (network_parse(text[i], &n) && network_has(&n, a))
			return true;
	return false;
}

static bool has_private_segment(const struct config *c)
{
	for (size_t i = 0; i < c->segment_count; i++)
		if (is_private(&c->segments[i].network.base))
			return true;
	return false;
}

/* An address of an interface that the world can answer; "" where it has none. */
static void public_address(const char *name, char out[static ADDRESS_TEXT])
{
	struct ifaddrs *list;
	*out = '\0';
	if (getifaddrs(&list) < 0)
		return;
	for (const struct ifaddrs *i = list; i && !*out; i = i->ifa_next) {
		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET ||
		    strcmp(i->ifa_name, name) != 0)
			continue;
		struct address a = address_from_socket(i->ifa_addr);
		if (!is_private(&a))
			address_format(&a, out);
	}
	freeifaddrs(list);
}

static bool legacy_nat(void)
{
	char name[64] = "";
	FILE *f = fopen("/proc/net/ip_tables_names", "re");
	while (f && strcmp(name, "nat") != 0 && fscanf(f, "%63s", name) == 1)
		;
	if (f)
		fclose(f);
	return strcmp(name, "nat") == 0;
}

/* Of iptables' own rules nft tells the same words, but for legacy's. */
static bool masquerades(void)
{
	struct tool t;
	const char *const argv[] = {"nft", "-s", "-t", "list", "ruleset", NULL};
	bool some = !tool_run(&t, argv, NULL, false) || t.status != 0 || legacy_nat() ||
		    strcasestr(t.out, "masquerade") || strcasestr(t.out, "snat");
	tool_deinit(&t);
	return some;
}

void wiring_warn_of_nat(const struct config *c, struct errors *warnings)
{
	char line[256], name[IFNAMSIZ], address[ADDRESS_TEXT] = "";
	FILE *f = has_private_segment(c) ? fopen("/proc/net/route", "re") : NULL;
	while (f && !*address && fgets(line, sizeof line, f)) {
		default_way(line, true, name);
		if (*name)
			public_address(name, address);
	}
	if (f)
		fclose(f);
	if (*address && geteuid() == 0 && !masquerades())
		errors_add(warnings, NULL, 0,
			   "segments have private addresses, the world is reached by %s from %s, "
			   "and no rule masquerades: who answers them? nft add table ip nat; nft "
			   "add chain ip nat out '{ type nat hook postrouting priority srcnat; }'; "
			   "nft add rule ip nat out oifname %s masquerade",
			   name, address, name);
}

/* With br_netfilter's settings on, what a bridge carries from port to port comes to our rules as if
 * it were routed. Workers know it where both hosts are on a segment of ours. */
static void warn_of_bridges(const struct config *c, struct errors *warnings)
{
	static const char *const settings[] = {"bridge-nf-call-iptables",
					       "bridge-nf-call-ip6tables"};
	char path[96];
	for (size_t s = 0; s < sizeof settings / sizeof *settings; s++) {
		snprintf(path, sizeof path, "/proc/sys/net/bridge/%s", settings[s]);
		for (size_t i = 0; setting_is_on(path) && i < c->inside.count; i++) {
			const char *name = c->inside.item[i];
			char bridge[64];
			snprintf(bridge, sizeof bridge, "/sys/class/net/%s/bridge", name);
			if (access(bridge, F_OK) == 0)
				errors_add(
					warnings, NULL, 0,
					"net.bridge.%s is on: what the bridge %s carries from "
					"port to port comes up, too; between hosts of networks in "
					"which this gateway has no address it is decided as if it "
					"left them: set it to 0, or put those networks on %s into "
					"`internal`",
					settings[s], name, name);
		}
	}
}

void wiring_warn(const struct config *c, struct errors *warnings)
{
	if (setting_is_on("/proc/sys/net/ipv4/fwmark_reflect") ||
	    setting_is_on("/proc/sys/net/ipv6/fwmark_reflect"))
		errors_add(warnings, NULL, 0,
			   "fwmark_reflect is on: a reset carries the mark of what it answers, and "
			   "our backstop drops it");
	for (size_t i = 0; i < c->flowtable.count; i++)
		if (!links_skips(c->flowtable.item[i]))
			errors_add(warnings, NULL, 0,
				   "flowtable: \"%s\" is no interface by its own name now, or the "
				   "port of a bridge: what crosses it meets the rules as without; "
				   "`tiergatectl wiring up` once it is there",
				   c->flowtable.item[i]);
	warn_of_bridges(c, warnings);
	wiring_warn_of_ways(c, warnings);
	wiring_warn_of_resolvers(c, warnings);
}
