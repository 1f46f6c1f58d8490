#include "wiring/links.h"

#include "base/netlink.h"
#include "base/probe.h"
#include "config/suggest.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINKS_MAX = 65536, MESSAGE_MAX = 256 };

/* One name of an interface: its own, or an altname. */
struct link {
	char name[128];
	char own[IFNAMSIZ];   /* differs from name where that is an altname */
	char under[IFNAMSIZ]; /* what it is a port of ("bridge"); "" */
	unsigned index, master;
	bool loopback;
};

struct links {
	struct link *item;
	size_t count, room;
	bool full; /* not all of them are here */
};

static void copy_text(char *to, size_t size, struct cursor value)
{
	size_t len = strnlen((const char *)value.pos, cursor_left(&value));
	if (len >= size)
		len = size - 1;
	cursor_copy(&value, to, len);
	to[len] = '\0';
}

static void add(struct links *l, const struct link *one)
{
	if (l->count == l->room) {
		size_t room = l->room ? l->room * 2 : 64;
		struct link *item =
			room > LINKS_MAX ? NULL : reallocarray(l->item, room, sizeof *item);
		l->full |= !item;
		if (!item)
			return;
		l->item = item;
		l->room = room;
	}
	l->item[l->count++] = *one;
}

static void add_altnames(struct links *l, const struct link *one, struct cursor list)
{
	struct netlink_attribute a;
	struct link other = *one;
	while (netlink_attribute(&list, &a)) {
		if (a.type != IFLA_ALT_IFNAME)
			continue;
		copy_text(other.name, sizeof other.name, a.value);
		add(l, &other);
	}
}

static void on_link(void *data, const struct netlink_message *m)
{
	struct cursor body = m->body;
	struct ifinfomsg i;
	struct link one = {0};
	if (m->type != RTM_NEWLINK || !cursor_copy(&body, &i, sizeof i))
		return;
	one.index = (unsigned)i.ifi_index;
	one.loopback = i.ifi_flags & IFF_LOOPBACK;
	copy_text(one.own, sizeof one.own, netlink_child(body, IFLA_IFNAME));
	copy_text(one.under, sizeof one.under,
		  netlink_child(netlink_child(body, IFLA_LINKINFO), IFLA_INFO_SLAVE_KIND));
	netlink_u32(netlink_child(body, IFLA_MASTER), &one.master);
	snprintf(one.name, sizeof one.name, "%s", one.own);
	add(data, &one);
	add_altnames(data, &one, netlink_child(body, IFLA_PROP_LIST));
}

static int dump(struct mnl_socket *s, struct links *l)
{
	char bytes[MESSAGE_MAX];
	struct nlmsghdr *m = mnl_nlmsg_put_header(bytes);
	m->nlmsg_type = RTM_GETLINK;
	m->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	m->nlmsg_seq = 1;
	struct ifinfomsg *i = mnl_nlmsg_put_extra_header(m, sizeof *i);
	i->ifi_family = AF_UNSPEC;
	if (mnl_socket_sendto(s, m, m->nlmsg_len) < 0)
		return -errno;
	return netlink_dump(mnl_socket_get_fd(s), 1, on_link, l);
}

static bool read_links(struct links *l)
{
	struct mnl_socket *s = netlink_open(NETLINK_ROUTE, 0);
	int error = s ? -dump(s, l) : errno;
	if (s)
		mnl_socket_close(s);
	errno = error;
	return error == 0;
}

static const struct link *find(const struct links *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->item[i].name, name) == 0)
			return &l->item[i];
	return NULL;
}

static const char *name_of(const struct links *l, unsigned index)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->item[i].index == index)
			return l->item[i].own;
	return "another interface";
}

/* "lan0@br0", as ip(8) shows it, means lan0; else the nearest name, in any case of letters. */
static const char *meant(const struct links *l, const char *const *names, const char *name)
{
	size_t len = strcspn(name, "@");
	for (size_t i = 0; i < l->count; i++)
		if (strcasecmp(names[i], name) == 0 ||
		    (name[len] && strlen(names[i]) == len && strncmp(names[i], name, len) == 0))
			return names[i];
	return nearest(name, names, l->count);
}

static void say_absent(const struct links *l, const char *name, struct errors *faults)
{
	char text[512];
	struct buf b = BUF_OF(text);
	const char **names = calloc(l->count + 1, sizeof *names);
	for (size_t i = 0; names && i < l->count; i++)
		names[i] = l->item[i].name;
	const char *near = names ? meant(l, names, name) : NULL;
	if (near)
		buf_printf(&b, "did you mean \"%s\"?", near);
	else
		suggest(name, names, names ? l->count : 0, "interfaces", &b);
	free(names);
	errors_add(faults, NULL, 0,
		   "inside: no interface is called \"%s\" now, so nothing that arrives is governed "
		   "by it until one is; %s",
		   name, text);
}

/* VRFs alone let a port's packets meet the rules under the port's own name first. */
static void check_name(const struct links *l, const char *name, struct errors *faults)
{
	const struct link *k = find(l, name);
	if (!k && strcmp(name, PROBE_INSIDE) == 0)
		return;
	if (!k)
		say_absent(l, name, faults);
	else if (strcmp(k->own, k->name) != 0)
		errors_add(faults, NULL, 0,
			   "inside: \"%s\" is another name of \"%s\", and rules match that one "
			   "alone; write \"%s\"",
			   name, k->own, k->own);
	else if (*k->under && strcmp(k->under, "vrf") != 0)
		errors_add(faults, NULL, 0,
			   "inside: \"%s\" is a port of the %s \"%s\", by which its packets "
			   "arrive; write \"%s\"",
			   name, k->under, name_of(l, k->master), name_of(l, k->master));
	else if (k->loopback)
		errors_add(faults, NULL, 0,
			   "inside: \"%s\" is the gateway's loopback: no client's packet arrives "
			   "by it; write the interface of the clients",
			   name);
}

bool links_check(const struct strings *inside, struct errors *faults)
{
	struct links l = {0};
	bool ok = read_links(&l) && !l.full;
	if (!ok)
		errors_add(faults, NULL, 0, "inside: the interfaces can't be listed: %s",
			   l.full ? "there are too many" : strerror(errno));
	for (size_t i = 0; ok && i < inside->count; i++)
		check_name(&l, inside->item[i], faults);
	free(l.item);
	return ok;
}

bool links_skips(const char *name)
{
	char own[IFNAMSIZ] = "", path[64];
	unsigned index = if_nametoindex(name);
	snprintf(path, sizeof path, "/sys/class/net/%s/brport", name);
	return index && if_indextoname(index, own) && strcmp(own, name) == 0 &&
	       access(path, F_OK) != 0;
}
