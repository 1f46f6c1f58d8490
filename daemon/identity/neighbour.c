#include "identity/neighbour.h"

#include "base/clock.h"
#include "base/netlink.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	EVENT_BUFFER = 1 << 20,
	READS_A_CALL = 64,
	MESSAGE_MAX = 32768,
	HOST_ADDRESSES = 64, /* looked at of one host */
};
#define GROUPS (RTMGRP_NEIGH | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE)
enum { ASK_ROUTES = 1, ASK_NEIGHBOURS = 2 };
#define NONE      UINT32_MAX
#define STALE_USE (3600 * NS_PER_S)
#define FIRST_MS  1000 /* that the start waits for the tables */
/* The states in which the kernel holds an address to be somewhere. */
#define NUD_HERE (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT)

struct station {
	int link;
	uint8_t mac[6];
};

struct entry {
	struct address address;
	struct station host;
	bool used;
	bool here;   /* false: the kernel has forgotten it */
	bool stale;  /* nothing was sent there for a while */
	bool joined; /* its session has the address from us */
	int64_t confirmed;
	uint32_t next_address, next_host; /* next_address also links what is free */
};

struct neighbours {
	struct neighbour_options o;
	char (*inside)[IF_NAMESIZE];
	size_t inside_count;
	struct mnl_socket *socket;
	int flags_fd; /* to ask for an interface's flags, or -1 */
	struct entry *entries;
	uint32_t *by_address, *by_host; /* heads of chains */
	uint32_t mask, used_to, free;
	uint64_t seed;
	int64_t swept;
	uint8_t wanted, asked; /* tables that are to be asked for, that is on its way */
	struct neighbour_counters counters;
};

/* --- the table ------------------------------------------------------------------------------ */

static uint32_t mix(const struct neighbours *n, uint64_t a, uint64_t b)
{
	uint64_t h = (a ^ n->seed) * UINT64_C(0x9e3779b97f4a7c15);
	h = (h ^ h >> 32 ^ b) * UINT64_C(0xd6e8feb86659fd93);
	h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return (uint32_t)(h >> 32) & n->mask;
}

static uint32_t *address_chain(const struct neighbours *n, const struct address *a)
{
	uint64_t words[2];
	memcpy(words, a->bytes, sizeof words);
	return &n->by_address[mix(n, words[0], words[1])];
}

static uint32_t *host_chain(const struct neighbours *n, const struct station *h)
{
	uint64_t mac = 0;
	memcpy(&mac, h->mac, sizeof h->mac);
	return &n->by_host[mix(n, mac, (uint64_t)h->link)];
}

static bool host_equal(const struct station *a, const struct station *b)
{
	return a->link == b->link && memcmp(a->mac, b->mac, sizeof a->mac) == 0;
}

static struct entry *find(struct neighbours *n, const struct address *a)
{
	for (uint32_t i = *address_chain(n, a); i != NONE; i = n->entries[i].next_address)
		if (address_equal(&n->entries[i].address, a))
			return &n->entries[i];
	return NULL;
}

static void unlink_station(struct neighbours *n, const struct entry *e)
{
	uint32_t *at = host_chain(n, &e->host), i = (uint32_t)(e - n->entries);
	while (*at != i)
		at = &n->entries[*at].next_host;
	*at = e->next_host;
}

static void link_station(struct neighbours *n, struct entry *e)
{
	uint32_t *head = host_chain(n, &e->host);
	e->next_host = *head;
	*head = (uint32_t)(e - n->entries);
}

static void forget(struct neighbours *n, struct entry *e)
{
	uint32_t *at = address_chain(n, &e->address), i = (uint32_t)(e - n->entries);
	unlink_station(n, e);
	while (*at != i)
		at = &n->entries[*at].next_address;
	*at = e->next_address;
	*e = (struct entry){.next_address = n->free};
	n->free = i;
	n->counters.known--;
}

/* What the kernel has forgotten is kept while a session is there: the MAC address still tells whose
 * the next address is. */
static void sweep(struct neighbours *n, int64_t now)
{
	struct session s;
	if (now - n->swept < NS_PER_S)
		return;
	n->swept = now;
	for (uint32_t i = 0; i < n->used_to; i++) {
		struct entry *e = &n->entries[i];
		if (e->used && !e->here && !session_at(n->o.sessions, &e->address, now, &s))
			forget(n, e);
	}
}

static struct entry *add(struct neighbours *n, const struct address *a, const struct station *h,
			 int64_t now)
{
	if (n->free == NONE && n->used_to == n->o.capacity)
		sweep(n, now);
	uint32_t i = n->free;
	if (i != NONE) {
		n->free = n->entries[i].next_address;
	} else if (n->used_to < n->o.capacity) {
		i = n->used_to++;
	} else {
		n->counters.refused++;
		return NULL;
	}
	uint32_t *head = address_chain(n, a);
	struct entry *e = &n->entries[i];
	*e = (struct entry){.address = *a, .host = *h, .used = true, .next_address = *head};
	*head = i;
	link_station(n, e);
	n->counters.known++;
	return e;
}

/* --- sessions ------------------------------------------------------------------------------- */

/* A host's addresses, and the one session that they have. */
struct host_view {
	struct entry *entry[HOST_ADDRESSES];
	unsigned count, v4; /* v4: that are in use */
	uint64_t session;   /* 0: none, or several */
};

/* The kernel keeps an address that a host has left; it is not in use for ever. */
static bool in_use(const struct entry *e, int64_t now)
{
	return e->here && (!e->stale || now - e->confirmed < STALE_USE);
}

static void view(struct neighbours *n, const struct station *h, int64_t now, struct host_view *out)
{
	struct session s;
	bool several = false;
	*out = (struct host_view){0};
	for (uint32_t i = *host_chain(n, h); i != NONE; i = n->entries[i].next_host) {
		struct entry *e = &n->entries[i];
		if (!host_equal(&e->host, h))
			continue;
		if (out->count < HOST_ADDRESSES)
			out->entry[out->count++] = e;
		out->v4 += address_is4(&e->address) && in_use(e, now);
		if (!session_at(n->o.sessions, &e->address, now, &s) ||
		    (s.has_mac && memcmp(s.mac, h->mac, sizeof s.mac) != 0))
			continue;
		several |= out->session && out->session != s.id;
		out->session = s.id;
	}
	if (several)
		out->session = 0;
}

/* Takes back the IPv6 address of a session that is least likely in use. */
static bool make_room(struct neighbours *n, const struct host_view *h, int64_t now)
{
	struct session s;
	struct entry *oldest = NULL;
	for (unsigned i = 0; i < h->count; i++) {
		struct entry *e = h->entry[i];
		if (address_is4(&e->address) || !session_at(n->o.sessions, &e->address, now, &s))
			continue;
		if (!oldest || e->here < oldest->here ||
		    (e->here == oldest->here && e->confirmed < oldest->confirmed))
			oldest = e;
	}
	return oldest && session_drop_address(n->o.sessions, &oldest->address);
}

/* newest: it is worth the place of another. */
static void give(struct neighbours *n, const struct host_view *h, struct entry *e, bool newest,
		 int64_t now)
{
	int error = session_add_address(n->o.sessions, h->session, &e->address);
	if (error == -ENOSPC && newest && make_room(n, h, now))
		error = session_add_address(n->o.sessions, h->session, &e->address);
	if (error)
		return;
	e->joined = true;
	n->counters.joined++;
}

/* Where the host is known, its next address is its own from the first packet on: IPv6 hosts take
 * new ones every day (RFC 8981). */
static void know(struct neighbours *n, const struct host_view *h)
{
	for (unsigned i = 0; i < h->count; i++) {
		struct entry *e = h->entry[i];
		if (!address_is4(&e->address) && h->session && e->here)
			session_add_network(n->o.sessions, h->session, &e->address, e->host.mac);
		else if (!address_is4(&e->address) && !h->session)
			session_drop_network(n->o.sessions, &e->address, e->host.mac);
	}
}

/* Several hosts after all: each address is by itself again. */
static void part(struct neighbours *n, const struct host_view *h)
{
	for (unsigned i = 0; i < h->count; i++) {
		session_drop_network(n->o.sessions, &h->entry[i]->address, h->entry[i]->host.mac);
		if (h->entry[i]->joined)
			session_drop_address(n->o.sessions, &h->entry[i]->address);
		h->entry[i]->joined = false;
	}
}

/* The host has moved to another IPv4 address: it has one at a time. */
static void move_here(struct neighbours *n, const struct host_view *h, struct entry *e, int64_t now)
{
	give(n, h, e, true, now);
	e->joined = false; /* the session's own address from now on */
	for (unsigned i = 0; i < h->count; i++) {
		struct entry *old = h->entry[i];
		if (old == e || !address_is4(&old->address))
			continue;
		old->here = false;
		session_drop_address(n->o.sessions, &old->address);
	}
}

static void share(struct neighbours *n, struct entry *e, int64_t now)
{
	struct session s;
	struct host_view h;
	view(n, &e->host, now, &h);
	bool moves = n->o.change == CONFIG_HOST_MOVE && h.session && address_is4(&e->address) &&
		     !session_at(n->o.sessions, &e->address, now, &s);
	if (moves && h.v4 > 1) {
		move_here(n, &h, e, now);
	} else if (h.v4 > 1) {
		part(n, &h);
		return;
	}
	for (unsigned i = 0; h.session && i < h.count; i++)
		if (h.entry[i]->here && !session_at(n->o.sessions, &h.entry[i]->address, now, &s))
			give(n, &h, h.entry[i], h.entry[i] == e, now);
	know(n, &h);
}

/* A session at the address of another host ends there; one that has no host yet gets this one. Whom
 * a session is for by other word than the table's stays so: the table may be of yesterday, and only
 * that host's packets are the session's. */
static void claim(struct neighbours *n, struct entry *e, int64_t now)
{
	struct session s;
	if (n->o.change == CONFIG_HOST_MOVE || !session_at(n->o.sessions, &e->address, now, &s))
		return;
	if (!s.has_mac) {
		session_bind(n->o.sessions, s.id, e->host.mac);
	} else if (!s.mac_told && memcmp(s.mac, e->host.mac, sizeof s.mac) != 0) {
		session_drop_address(n->o.sessions, &e->address);
		e->joined = false;
		n->counters.ended++;
	}
}

void neighbours_join(struct neighbours *n, const struct address *a, int64_t now)
{
	struct session s;
	struct entry *e = find(n, a);
	if (!e || n->o.change == CONFIG_HOST_IGNORE)
		return;
	e->joined = false;
	bool there = session_at(n->o.sessions, a, now, &s);
	if (there && s.mac_told && memcmp(s.mac, e->host.mac, sizeof s.mac) != 0)
		return; /* another host is there than the session is for */
	if (there && n->o.change == CONFIG_HOST_END)
		session_bind(n->o.sessions, s.id, e->host.mac);
	share(n, e, now);
}

/* --- what the kernel tells ------------------------------------------------------------------ */

static void here(struct neighbours *n, const struct address *a, const struct station *h, bool stale,
		 int64_t now)
{
	struct host_view before;
	struct entry *e = find(n, a);
	onlink_set(n->o.onlink, a, h->mac);
	if (n->o.change == CONFIG_HOST_IGNORE)
		return;
	if (!e) {
		e = add(n, a, h, now);
	} else if (!host_equal(&e->host, h)) {
		view(n, &e->host, now, &before);
		if (n->o.change == CONFIG_HOST_MOVE && !e->joined)
			part(n, &before); /* a session that moves leaves the host */
		unlink_station(n, e);
		e->host = *h;
		link_station(n, e);
	}
	if (!e)
		return;
	e->here = true;
	e->stale = stale;
	e->confirmed = now;
	claim(n, e, now);
	share(n, e, now);
}

static void gone(struct neighbours *n, const struct address *a, int link)
{
	struct entry *e = find(n, a);
	if (e && e->host.link == link)
		e->here = false;
	if (!e || e->host.link == link)
		onlink_drop(n->o.onlink, a);
}

static bool is_inside(const struct neighbours *n, int link)
{
	char name[IF_NAMESIZE];
	if (link <= 0 || !if_indextoname((unsigned)link, name))
		return false;
	for (size_t i = 0; i < n->inside_count; i++)
		if (strcmp(n->inside[i], name) == 0)
			return true;
	return false;
}

/* Addresses that are never forwarded are nobody's. */
static bool read_address(const struct nlattr *attr, uint8_t family, struct address *out)
{
	const uint8_t *bytes = mnl_attr_get_payload(attr);
	size_t len = mnl_attr_get_payload_len(attr);
	if (family == AF_INET && len == 4)
		*out = address_from4(bytes);
	else if (family == AF_INET6 && len == 16 && bytes[0] != 0xff &&
		 !(bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80))
		*out = address_from6(bytes);
	else
		return false;
	return true;
}

static bool read_network(const struct nlattr *dst, const struct rtmsg *rt, struct network *out)
{
	bool four = rt->rtm_family == AF_INET;
	if (!four && rt->rtm_family != AF_INET6)
		return false;
	out->base = four ? address_from4((const uint8_t[4]){0}) : (struct address){0};
	out->bits = (uint8_t)(rt->rtm_dst_len + (four ? 96 : 0));
	return rt->rtm_dst_len <= (four ? 32 : 128) &&
	       (!dst || read_address(dst, rt->rtm_family, &out->base));
}

/* An inside interface on which neighbours are resolved: a tunnel has none. */
static bool is_segment(const struct neighbours *n, int link)
{
	struct ifreq r = {0};
	if (!is_inside(n, link) || !if_indextoname((unsigned)link, r.ifr_name))
		return false;
	return n->flags_fd < 0 || ioctl(n->flags_fd, SIOCGIFFLAGS, &r) < 0 ||
	       !(r.ifr_flags & (IFF_NOARP | IFF_POINTOPOINT));
}

static void take_neighbour(struct neighbours *n, const struct nlmsghdr *m, int64_t now)
{
	const struct ndmsg *nd = mnl_nlmsg_get_payload(m);
	const struct nlattr *attr, *lladdr = NULL;
	struct address a;
	bool known = false;
	if (mnl_nlmsg_get_payload_len(m) < sizeof *nd)
		return;
	mnl_attr_for_each(attr, m, sizeof *nd)
	{
		if (mnl_attr_get_type(attr) == NDA_DST)
			known = read_address(attr, nd->ndm_family, &a);
		else if (mnl_attr_get_type(attr) == NDA_LLADDR)
			lladdr = attr;
	}
	if (!known)
		return;
	if (m->nlmsg_type == RTM_DELNEIGH || !(nd->ndm_state & NUD_HERE)) {
		gone(n, &a, nd->ndm_ifindex);
	} else if (lladdr && mnl_attr_get_payload_len(lladdr) == 6 &&
		   is_inside(n, nd->ndm_ifindex)) {
		struct station h = {.link = nd->ndm_ifindex};
		memcpy(h.mac, mnl_attr_get_payload(lladdr), sizeof h.mac);
		here(n, &a, &h, nd->ndm_state & NUD_STALE, now);
	}
}

/* A route over an inside interface that has MAC addresses: to a segment of ours, where it names no
 * router. */
static void take_route(struct neighbours *n, const struct nlmsghdr *m)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(m);
	const struct nlattr *attr, *dst = NULL;
	struct network net = {0};
	uint32_t table = 0;
	int link = 0;
	bool router = false;
	if (mnl_nlmsg_get_payload_len(m) < sizeof *rt)
		return;
	table = rt->rtm_table;
	mnl_attr_for_each(attr, m, sizeof *rt)
	{
		uint16_t type = mnl_attr_get_type(attr), len = mnl_attr_get_payload_len(attr);
		if (type == RTA_DST)
			dst = attr;
		else if (type == RTA_GATEWAY || type == RTA_VIA)
			router = true;
		else if (type == RTA_OIF && len == sizeof link)
			memcpy(&link, mnl_attr_get_payload(attr), sizeof link);
		else if (type == RTA_TABLE && len == sizeof table)
			table = mnl_attr_get_u32(attr);
	}
	if (rt->rtm_type != RTN_UNICAST || table != RT_TABLE_MAIN || !is_segment(n, link) ||
	    !read_network(dst, rt, &net))
		return;
	if (m->nlmsg_type == RTM_DELROUTE)
		onlink_route_gone(n->o.onlink, &net, link);
	else if (!onlink_route(n->o.onlink, &net, link, !router))
		n->counters.refused++;
}

static void answered(struct neighbours *n, bool interrupted);
static void refused(struct neighbours *n, const struct nlmsghdr *m);

void neighbours_take(struct neighbours *n, const void *bytes, size_t len, int64_t now)
{
	const struct nlmsghdr *m = bytes;
	int left = len > INT32_MAX ? 0 : (int)len;
	/* libmnl takes lengths as signed, and reads attributes up to the length rounded up */
	for (; mnl_nlmsg_ok(m, left) && m->nlmsg_len <= (unsigned)left &&
	       MNL_ALIGN(m->nlmsg_len) <= (unsigned)left;
	     m = mnl_nlmsg_next(m, &left)) {
		bool interrupted = m->nlmsg_flags & NLM_F_DUMP_INTR;
		if (m->nlmsg_type == RTM_NEWNEIGH || m->nlmsg_type == RTM_DELNEIGH)
			take_neighbour(n, m, now);
		else if (m->nlmsg_type == RTM_NEWROUTE || m->nlmsg_type == RTM_DELROUTE)
			take_route(n, m);
		else if (m->nlmsg_type == NLMSG_DONE)
			answered(n, interrupted);
		else if (m->nlmsg_type == NLMSG_ERROR)
			refused(n, m);
	}
}

/* The kernel answers one such question of a socket at a time. */
static void ask(struct neighbours *n, uint8_t tables)
{
	char bytes[128];
	struct nlmsghdr *m = mnl_nlmsg_put_header(bytes);
	n->wanted |= tables;
	if (!n->socket || n->asked || !n->wanted)
		return;
	uint8_t table = n->wanted & ASK_ROUTES ? ASK_ROUTES : ASK_NEIGHBOURS;
	m->nlmsg_type = table == ASK_ROUTES ? RTM_GETROUTE : RTM_GETNEIGH;
	m->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	if (table == ASK_ROUTES)
		mnl_nlmsg_put_extra_header(m, sizeof(struct rtmsg));
	else
		mnl_nlmsg_put_extra_header(m, sizeof(struct ndmsg));
	if (mnl_socket_sendto(n->socket, m, m->nlmsg_len) < 0)
		return;
	n->wanted &= (uint8_t)~table;
	n->asked = table;
}

static void answered(struct neighbours *n, bool interrupted)
{
	uint8_t again = interrupted ? n->asked : 0;
	n->asked = 0;
	ask(n, again);
}

/* Busy: another answer is on its way, and the question waits for its end. */
static void refused(struct neighbours *n, const struct nlmsghdr *m)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(m);
	if (mnl_nlmsg_get_payload_len(m) < sizeof *e || !n->asked ||
	    (e->msg.nlmsg_type != RTM_GETROUTE && e->msg.nlmsg_type != RTM_GETNEIGH))
		return;
	if (e->error == -EBUSY)
		n->wanted |= n->asked;
	else
		answered(n, false);
}

void neighbours_read(struct neighbours *n, int64_t now)
{
	_Alignas(struct nlmsghdr) char bytes[MESSAGE_MAX];
	for (int i = 0; i < READS_A_CALL; i++) {
		ssize_t got = netlink_receive(neighbours_fd(n), bytes, sizeof bytes, MSG_DONTWAIT);
		if (got >= 0) {
			neighbours_take(n, bytes, (size_t)got, now);
		} else if (errno == ENOBUFS || errno == EMSGSIZE) {
			n->counters.overruns++;
			n->asked = 0; /* its end may be what was lost */
			ask(n, ASK_ROUTES | ASK_NEIGHBOURS);
		} else {
			return;
		}
	}
}

/* As if a packet were to be sent there: the kernel asks the segment, and tells us who answers. */
void neighbours_solicit(struct neighbours *n, const struct address *a)
{
	char bytes[128];
	int link = onlink_link(n->o.onlink, a);
	struct nlmsghdr *m = mnl_nlmsg_put_header(bytes);
	m->nlmsg_type = RTM_NEWNEIGH;
	m->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE;
	struct ndmsg *nd = mnl_nlmsg_put_extra_header(m, sizeof *nd);
	nd->ndm_family = address_is4(a) ? AF_INET : AF_INET6;
	nd->ndm_ifindex = link;
	nd->ndm_flags = NTF_USE;
	if (address_is4(a))
		mnl_attr_put(m, NDA_DST, 4, a->bytes + 12);
	else
		mnl_attr_put(m, NDA_DST, 16, a->bytes);
	if (link && n->socket && mnl_socket_sendto(n->socket, m, m->nlmsg_len) >= 0)
		n->counters.solicited++;
}

/* --- lifecycle ------------------------------------------------------------------------------ */

struct neighbours *neighbours_new(const struct neighbour_options *o)
{
	struct neighbours *n = calloc(1, sizeof *n);
	uint32_t chains = 16;
	if (!n)
		return NULL;
	while (chains < o->capacity)
		chains *= 2;
	n->o = *o;
	n->flags_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* of any family */
	n->inside_count = o->inside->count;
	n->inside = calloc(n->inside_count + 1, sizeof *n->inside);
	for (size_t i = 0; n->inside && i < n->inside_count; i++)
		snprintf(n->inside[i], sizeof *n->inside, "%s", o->inside->item[i]);
	n->mask = chains - 1;
	n->free = NONE;
	if (getrandom(&n->seed, sizeof n->seed, 0) != sizeof n->seed)
		n->seed = (uint64_t)clock_now();
	n->entries = calloc(o->capacity, sizeof *n->entries);
	n->by_address = malloc(chains * sizeof *n->by_address);
	n->by_host = malloc(chains * sizeof *n->by_host);
	if (!n->inside || !n->entries || !n->by_address || !n->by_host) {
		neighbours_free(n);
		return NULL;
	}
	memset(n->by_address, 0xff, chains * sizeof *n->by_address);
	memset(n->by_host, 0xff, chains * sizeof *n->by_host);
	return n;
}

void neighbours_free(struct neighbours *n)
{
	if (!n)
		return;
	if (n->socket)
		mnl_socket_close(n->socket);
	if (n->flags_fd >= 0)
		close(n->flags_fd);
	free(n->inside);
	free(n->entries);
	free(n->by_address);
	free(n->by_host);
	free(n);
}

bool neighbours_follow(struct neighbours *n, struct errors *errors)
{
	int size = EVENT_BUFFER;
	n->socket = netlink_open(NETLINK_ROUTE, GROUPS);
	if (!n->socket) {
		errors_add(errors, NULL, 0, "the neighbour table can't be followed: %s",
			   strerror(errno));
		return false;
	}
	setsockopt(neighbours_fd(n), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	ask(n, ASK_ROUTES | ASK_NEIGHBOURS);
	for (int64_t left = FIRST_MS * NS_PER_MS, now; n->asked && left > 0;
	     left -= clock_now() - now) {
		now = clock_now();
		poll(&(struct pollfd){neighbours_fd(n), POLLIN, 0}, 1, (int)(left / NS_PER_MS));
		neighbours_read(n, now);
	}
	return true;
}

bool neighbours_same(const struct neighbours *n, const struct strings *inside,
		     enum config_host_change change)
{
	if (!n)
		return false;
	if (n->o.change != change || n->inside_count != inside->count)
		return false;
	for (size_t i = 0; i < inside->count; i++)
		if (strcmp(n->inside[i], inside->item[i]) != 0)
			return false;
	return true;
}

int neighbours_fd(const struct neighbours *n)
{
	return mnl_socket_get_fd(n->socket);
}

void neighbours_count(const struct neighbours *n, struct neighbour_counters *out)
{
	*out = n->counters;
}

static const struct metric rows[] = {
	METRIC(neighbour_counters, known, GAUGE, "addresses",
	       "addresses of our segments whose MAC address is known"),
	METRIC(neighbour_counters, refused, COUNTER, "addresses",
	       "addresses not remembered for want of room"),
	METRIC(neighbour_counters, joined, COUNTER, "addresses",
	       "addresses given to their host's session"),
	METRIC(neighbour_counters, ended, COUNTER, "addresses",
	       "addresses taken from a session, the host being another"),
	METRIC(neighbour_counters, solicited, COUNTER, "questions", "questions put to a segment"),
	METRIC(neighbour_counters, overruns, COUNTER, "times",
	       "times that the kernel could not tell all changes"),
};
METRICS(neighbour_metrics, "neighbours", neighbour_counters, rows);
