/* tiergatectl init: a first configuration, from what this machine shows: interfaces, routes,
 * resolvers. It observes and denies nothing. */
#include "ctl/ctl.h"

#include "base/address.h"
#include "base/clock.h"
#include "base/file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define USAGE                                                                                      \
	"init [--example school | office | runners] [--inside IF,...] [--resolvers A,...]\n"       \
	"                        [--out FILE] [--force]"
#define MANY 16

struct seen {
	char out[IFNAMSIZ]; /* by which the world is reached; "": none was found */
	char inside[MANY][IFNAMSIZ];
	size_t inside_count;
	struct network net[MANY]; /* of the inside interfaces */
	size_t net_count;
	char resolver[MANY][ADDRESS_TEXT];
	size_t resolver_count;
	char wrong[64]; /* what was named as a resolver and is no address */
};

/* ---- what is there ---- */

static void find_way_out(struct seen *s)
{
	char line[256], name[IFNAMSIZ];
	unsigned dest, flags, mask;
	FILE *f = fopen("/proc/net/route", "re");
	while (f && !s->out[0] && fgets(line, sizeof line, f))
		if (sscanf(line, "%15s %x %*s %x %*s %*s %*s %x", name, &dest, &flags, &mask) ==
			    4 &&
		    !dest && !mask && (flags & RTF_UP) && !(flags & RTF_REJECT))
			strcpy(s->out, name);
	if (f)
		fclose(f);
}

static bool is_inside(const struct seen *s, const char *name)
{
	for (size_t i = 0; i < s->inside_count; i++)
		if (strcmp(s->inside[i], name) == 0)
			return true;
	return false;
}

static void add_inside(struct seen *s, const char *name)
{
	if (!is_inside(s, name) && s->inside_count < MANY)
		snprintf(s->inside[s->inside_count++], IFNAMSIZ, "%s", name);
}

/* The network of an interface's address; false for what is none of ours to govern. */
static bool network_of(const struct ifaddrs *a, struct network *out)
{
	struct address address, mask;
	char text[ADDRESS_TEXT + 4];
	unsigned bits = 0;
	if (!a->ifa_addr || !a->ifa_netmask)
		return false;
	if (a->ifa_addr->sa_family == AF_INET) {
		address = address_from4((uint8_t *)&((struct sockaddr_in *)a->ifa_addr)->sin_addr);
		mask = address_from4((uint8_t *)&((struct sockaddr_in *)a->ifa_netmask)->sin_addr);
	} else if (a->ifa_addr->sa_family == AF_INET6) {
		memcpy(address.bytes, &((struct sockaddr_in6 *)a->ifa_addr)->sin6_addr, 16);
		memcpy(mask.bytes, &((struct sockaddr_in6 *)a->ifa_netmask)->sin6_addr, 16);
		if (address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80)
			return false; /* link-local: never forwarded */
	} else {
		return false;
	}
	bool four = address_is4(&address);
	for (size_t i = four ? 12 : 0; i < 16; i++) {
		address.bytes[i] &= mask.bytes[i];
		bits += (unsigned)__builtin_popcount(mask.bytes[i]);
	}
	address_format(&address, text);
	snprintf(text + strlen(text), 5, "/%u", bits);
	return network_parse(text, out);
}

/* Interfaces but the one to the world, where none were named; and the networks of those inside. */
static void find_networks(struct seen *s)
{
	struct ifaddrs *list, *a;
	bool named = s->inside_count > 0;
	if (getifaddrs(&list) < 0)
		return;
	for (a = list; a; a = a->ifa_next) {
		struct network n;
		bool ours = (a->ifa_flags & IFF_UP) && !(a->ifa_flags & IFF_LOOPBACK) &&
			    strcmp(a->ifa_name, s->out) != 0;
		if (!network_of(a, &n) ||
		    (named ? !is_inside(s, a->ifa_name) : !ours || !s->out[0]))
			continue;
		add_inside(s, a->ifa_name);
		if (s->net_count < MANY)
			s->net[s->net_count++] = n;
	}
	freeifaddrs(list);
}

static void add_resolver(struct seen *s, const char *text)
{
	static const struct address loopback6 = {{[15] = 1}};
	struct address a;
	if (!address_parse(text, &a)) {
		snprintf(s->wrong, sizeof s->wrong, "%s", text);
		return;
	}
	if (s->resolver_count == MANY || address_equal(&a, &loopback6) ||
	    (address_is4(&a) && a.bytes[12] == 127))
		return;
	address_format(&a, s->resolver[s->resolver_count++]);
}

/* Those that this host asks; one on itself tells nothing of whom the clients ask. */
static void find_resolvers(struct seen *s)
{
	char line[256], text[64];
	FILE *f = fopen("/etc/resolv.conf", "re");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, " nameserver %63s", text) == 1)
			add_resolver(s, text);
	if (f)
		fclose(f);
	s->wrong[0] = '\0'; /* nobody's who calls this */
}

static void each_word(struct seen *s, char *list, void (*take)(struct seen *s, const char *word))
{
	for (char *word = strtok(list, ", "); word; word = strtok(NULL, ", "))
		take(s, word);
}

/* What could not be seen is asked for, where somebody is there to answer. */
static void ask(struct seen *s, const char *question,
		void (*take)(struct seen *s, const char *word))
{
	char line[512];
	if (!isatty(STDIN_FILENO))
		return;
	fprintf(stderr, "%s: ", question);
	if (!fgets(line, sizeof line, stdin))
		return;
	line[strcspn(line, "\n")] = '\0';
	each_word(s, line, take);
}

/* ---- what is written ---- */

static const struct example {
	const char *name, *about, *first, *second, *policy;
} examples[] = {
	{"school", "pupils by their rooms, staff by signing in", "pupil", "staff",
	 "sites = (\n"
	 "\t{ name = \"learning\"; hosts = [ \"wikipedia.org\", \"khanacademy.org\" ]; },\n"
	 "\t{ name = \"media\"; hosts = [ \"youtube.com\", \"vimeo.com\" ]; }\n"
	 ");\n\n"
	 "allow = (\n"
	 "\t{ tiers = [ \"pupil\" ]; sites = [ \"learning\" ]; },\n"
	 "\t{ tiers = [ \"staff\" ]; sites = [ \"media\" ]; }\n"
	 ");\n"},
	{"office", "everybody by the network, the press desk by signing in", "everybody", "press",
	 "sites = (\n"
	 "\t{ name = \"work\"; hosts = [ \"example.org\" ]; },\n"
	 "\t{ name = \"social\"; hosts = [ \"facebook.com\", \"instagram.com\" ]; }\n"
	 ");\n\n"
	 "allow = (\n"
	 "\t{ tiers = [ \"everybody\" ]; sites = [ \"work\" ]; },\n"
	 "\t{ tiers = [ \"press\" ]; sites = [ \"social\" ]; }\n"
	 ");\n"},
	{"runners", "machines that build and test, and nothing else", "runner", "release",
	 "sites = (\n"
	 "\t{ name = \"sources\"; hosts = [ \"code.example.org\" ]; },\n"
	 "\t{ name = \"uploads\"; hosts = [ \"releases.example.org\" ]; }\n"
	 ");\n\n"
	 "allow = (\n"
	 "\t{ tiers = [ \"runner\" ]; sites = [ \"sources\" ]; },\n"
	 "\t{ tiers = [ \"release\" ]; sites = [ \"uploads\" ]; }\n"
	 ");\n"},
};

static const struct example *example_of(const char *name)
{
	for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
		if (strcmp(examples[i].name, name) == 0)
			return &examples[i];
	return NULL;
}

static void put_internal(const struct seen *s, FILE *to)
{
	char text[ADDRESS_TEXT + 4];
	fputs("# Reached by everybody, signed in or not.\ninternal = [ \"10.0.0.0/8\", "
	      "\"172.16.0.0/12\", \"192.168.0.0/16\", \"fd00::/8\"",
	      to);
	for (size_t i = 0; i < s->net_count; i++) {
		struct buf b = BUF_OF(text);
		network_format(&s->net[i], &b);
		fprintf(to, ", \"%s\"", text);
	}
	fputs(" ];\n", to);
}

static void put_segments(const struct seen *s, const char *tier, FILE *to)
{
	char text[ADDRESS_TEXT + 4];
	fputs("\n# Who is where without signing in; the longest network counts.\nsegments = (", to);
	for (size_t i = 0; i < s->net_count; i++) {
		struct buf b = BUF_OF(text);
		network_format(&s->net[i], &b);
		fprintf(to, "%s\n\t{ network = \"%s\"; tier = \"%s\"; }", i ? "," : "", text, tier);
	}
	fputs("\n);\n", to);
}

static void put_list(FILE *to, const char *name, const char *items, size_t count, size_t size)
{
	fprintf(to, "%s = [", name);
	for (size_t i = 0; i < count; i++)
		fprintf(to, "%s \"%s\"", i ? "," : "", items + i * size);
	fputs(" ];\n", to);
}

static void put_all(const struct seen *s, const struct example *e, FILE *to)
{
	fprintf(to,
		"# tiergate, as `tiergatectl init` saw this machine. Example: %s (%s).\n"
		"# tiergate.conf(5) has every option; `tiergated check` says what is wrong.\n\n"
		"# Logs what would be denied (tiergate.would) and denies nothing, until it says "
		"\"enforce\".\n"
		"mode = \"observe\";\n\n"
		"# Interfaces whose traffic is governed. The world is reached by %s.\n",
		e->name, e->about, s->out[0] ? s->out : "another one");
	put_list(to, "inside", s->inside[0], s->inside_count, IFNAMSIZ);
	put_internal(s, to);
	fputs("# Resolvers that clients ask, and whose answers are believed.\n", to);
	put_list(to, "resolvers", s->resolver[0], s->resolver_count, ADDRESS_TEXT);
	put_segments(s, e->first, to);
	fprintf(to,
		"\n# %s may what %s may, and more: `tiergatectl passwd --user NAME --tier %s`.\n"
		"tiers = ( { name = \"%s\"; }, { name = \"%s\"; includes = [ \"%s\" ]; } );\n\n%s",
		e->second, e->first, e->second, e->first, e->second, e->first, e->policy);
}

/* ---- the command ---- */

static void list_interfaces(void)
{
	struct if_nameindex *all = if_nameindex();
	for (struct if_nameindex *k = all; k && k->if_index; k++)
		if (strcmp(k->if_name, "lo") != 0)
			fprintf(stderr, " %s", k->if_name);
	fputc('\n', stderr);
	if (all)
		if_freenameindex(all);
}

/* Names of --inside that are none, each with those that are there; true where there is one. */
static bool say_unknown(const struct seen *s)
{
	bool any = false;
	for (size_t i = 0; i < s->inside_count; i++) {
		if (if_nametoindex(s->inside[i]))
			continue;
		any = true;
		fprintf(stderr, "tiergatectl: no interface is called %s; there are:", s->inside[i]);
		list_interfaces();
	}
	return any;
}

static bool complete(struct seen *s)
{
	if (say_unknown(s))
		return false;
	if (!s->inside_count) {
		ask(s, "interfaces of the clients, such as lan0", add_inside);
		find_networks(s);
	}
	if (!s->resolver_count)
		ask(s, "addresses of the resolvers that clients ask", add_resolver);
	if (s->wrong[0]) {
		fprintf(stderr, "tiergatectl: %s is no address of a resolver\n", s->wrong);
		return false;
	}
	if (s->inside_count && s->net_count)
		return !say_unknown(s);
	if (s->inside_count) {
		fprintf(stderr,
			"tiergatectl: %s has no address: give it one first (ip addr add), its "
			"network is "
			"what init writes of\n",
			s->inside[0]);
		return false;
	}
	fprintf(stderr,
		"tiergatectl: %s; name the interfaces of the clients with --inside; there are:",
		s->out[0]
			? "no interface of clients was found (one that is up, has an address, and "
			  "is not the default route's)"
			: "there is no default route, by which the way to the world would be "
			  "known");
	list_interfaces();
	return false;
}

static int write_to(const char *path, bool force, const struct seen *s, const struct example *e)
{
	struct file_new f;
	/* a package brings one, and where nobody has changed it nothing is lost */
	if (!force && access(path, F_OK) == 0 && !ctl_as_shipped(path, "tiergate.conf")) {
		fprintf(stderr,
			"tiergatectl: %s is there, and is not as it was installed: --out FILE "
			"writes "
			"another one, --force writes over it\n",
			path);
		return EXIT_NO;
	}
	int error = file_new_open(&f, path, 0644, (gid_t)-1);
	if (error == 0) {
		put_all(s, e, f.to);
		error = file_new_commit(&f);
	}
	if (error < 0) {
		fprintf(stderr, "tiergatectl: %s: %s\n", path, strerror(-error));
		return EXIT_CANNOT;
	}
	struct policy p = {0};
	bool good = ctl_policy(path, &p);
	policy_free(&p);
	if (!good)
		return EXIT_CANNOT;
	printf("%s is written, and good. Next:\n"
	       "  1. look at it, then: systemctl enable --now tiergate-wiring tiergated "
	       "(it observes)\n"
	       "  2. after a day: tiergatectl report --day; tiergatectl suggest\n"
	       "  3. set mode = \"enforce\", then: systemctl reload tiergated; tiergatectl "
	       "doctor\n",
	       path);
	if (!s->resolver_count)
		puts("No resolver was found: name those that clients ask in `resolvers`.");
	return EXIT_DONE;
}

int ctl_init(int argc, char **argv)
{
	const char *name = "office", *inside = NULL, *resolvers = NULL, *out = CTL_CONFIG;
	bool force = false;
	const struct ctl_option options[] = {
		{"example", &name, NULL},        {"inside", &inside, NULL},
		{"resolvers", &resolvers, NULL}, {"out", &out, NULL},
		{"force", NULL, &force},         {0}};
	struct seen s = {0};
	if (!ctl_options(argc, argv, options, NULL) || ctl.help)
		return ctl_usage(USAGE, NULL);
	const struct example *e = example_of(name);
	if (!e)
		return ctl_usage(USAGE, "--example is school, office or runners");
	char *words = strdup(inside ? inside : ""), *asked = strdup(resolvers ? resolvers : "");
	if (!words || !asked)
		abort();
	each_word(&s, words, add_inside);
	each_word(&s, asked, add_resolver);
	find_way_out(&s);
	find_networks(&s);
	if (!resolvers)
		find_resolvers(&s);
	int status = complete(&s) ? write_to(out, force, &s, e) : EXIT_NO;
	free(words);
	free(asked);
	return status;
}
