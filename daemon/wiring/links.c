#include "wiring/links.h"

#include "config/suggest.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

enum { LINKS_MAX = 65536, MESSAGE_MAX = 65536 };

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

static void copy_text(char *to, size_t size, const struct nlattr *a)
{
	size_t len = strnlen(mnl_attr_get_payload(a), mnl_attr_get_payload_len(a));
	if (len >= size)
		len = size - 1;
	memcpy(to, mnl_attr_get_payload(a), len);
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

static void add_altnames(struct links *l, const struct link *one, const struct nlattr *list)
{
	const struct nlattr *a;
	struct link other = *one;
	mnl_attr_for_each_nested(a, list)
	{
		if (mnl_attr_get_type(a) != IFLA_ALT_IFNAME)
			continue;
		copy_text(other.name, sizeof other.name, a);
		add(l, &other);
	}
}

static int on_link(const struct nlmsghdr *m, void *data)
{
	const struct nlattr *a, *names = NULL, *info;
	const struct ifinfomsg *i = mnl_nlmsg_get_payload(m);
	struct link one = {0};
	if (m->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(m) < sizeof *i)
		return MNL_CB_OK;
	one.index = (unsigned)i->ifi_index;
	one.loopback = i->ifi_flags & IFF_LOOPBACK;
	mnl_attr_for_each(a, m, sizeof *i)
	{
		uint16_t type = mnl_attr_get_type(a);
		if (type == IFLA_IFNAME)
			copy_text(one.own, sizeof one.own, a);
		else if (type == IFLA_MASTER && mnl_attr_get_payload_len(a) == 4)
			one.master = mnl_attr_get_u32(a);
		else if (type == IFLA_PROP_LIST)
			names = a;
		else if (type == IFLA_LINKINFO)
			mnl_attr_for_each_nested(info, a)
			{
				if (mnl_attr_get_type(info) == IFLA_INFO_SLAVE_KIND)
					copy_text(one.under, sizeof one.under, info);
			}
	}
	snprintf(one.name, sizeof one.name, "%s", one.own);
	add(data, &one);
	if (names)
		add_altnames(data, &one, names);
	return MNL_CB_OK;
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
	int rc = mnl_socket_sendto(s, m, m->nlmsg_len) < 0 ? -1 : MNL_CB_OK;
	while (rc == MNL_CB_OK) {
		ssize_t n = mnl_socket_recvfrom(s, bytes, sizeof bytes);
		rc = n < 0 ? -1
			   : mnl_cb_run(bytes, (size_t)n, 1, mnl_socket_get_portid(s), on_link, l);
	}
	return rc;
}

static bool read_links(struct links *l)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	bool ok = s && mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) == 0 && dump(s, l) >= 0;
	int error = errno;
	if (s)
		mnl_socket_close(s);
	errno = error;
	return ok;
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
