#include "source/meter.h"

#include "base/clock.h"
#include "base/netlink.h"
#include "source/conntrack_message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>
#include <string.h>

enum {
	BATCH = 64,         /* flows a system call: their answers fit any socket's buffer */
	POLL = 32 * BATCH,  /* flows a call: a few milliseconds */
	MESSAGE = 160,      /* a question has less */
	ANSWER_MAX = 16384, /* an answer has less than 600 bytes */
};
#define UNBORN (5 * NS_PER_S) /* a flow may be told before the kernel has its entry */

struct metered {
	struct flow_entry entry;
	uint32_t tag;
	bool reverse; /* the kernel has it from the server's side */
	bool met;     /* what it carried before the first look is nobody's */
	uint64_t seen;
	int64_t since;
};

struct meter {
	struct meter_options o;
	struct mnl_socket *socket;
	struct flow_table *flows;
	uint32_t slot; /* where the round stands */
	/* what was asked last, for errors: they tell the question's number alone */
	struct flow_key asked[BATCH];
	uint32_t sequence; /* of asked[0] */
	size_t count;
	struct meter_counters counters;
};

/* ---- questions ---- */

static void put_tuple(struct nlmsghdr *m, const struct flow_key *k, bool reverse)
{
	const struct address *from = reverse ? &k->server : &k->client,
			     *to = reverse ? &k->client : &k->server;
	bool four = address_is4(from);
	struct nlattr *tuple = mnl_attr_nest_start(m, CTA_TUPLE_ORIG);
	struct nlattr *ip = mnl_attr_nest_start(m, CTA_TUPLE_IP);
	mnl_attr_put(m, four ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, four ? 4 : 16,
		     from->bytes + (four ? 12 : 0));
	mnl_attr_put(m, four ? CTA_IP_V4_DST : CTA_IP_V6_DST, four ? 4 : 16,
		     to->bytes + (four ? 12 : 0));
	mnl_attr_nest_end(m, ip);
	struct nlattr *proto = mnl_attr_nest_start(m, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(m, CTA_PROTO_NUM, k->transport);
	mnl_attr_put_u16(m, CTA_PROTO_SRC_PORT, htons(reverse ? k->server_port : k->client_port));
	mnl_attr_put_u16(m, CTA_PROTO_DST_PORT, htons(reverse ? k->client_port : k->server_port));
	mnl_attr_nest_end(m, proto);
	mnl_attr_nest_end(m, tuple);
}

static size_t put_question(char *to, const struct metered *f, uint32_t sequence)
{
	struct nlmsghdr *m = mnl_nlmsg_put_header(to);
	m->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	m->nlmsg_flags = NLM_F_REQUEST;
	m->nlmsg_seq = sequence;
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(m, sizeof *g);
	g->nfgen_family = address_is4(&f->entry.key.client) ? AF_INET : AF_INET6;
	g->version = NFNETLINK_V0;
	put_tuple(m, &f->entry.key, f->reverse);
	return m->nlmsg_len;
}

/* ---- answers ---- */

static struct metered *find(struct meter *m, const struct flow_key *k)
{
	const struct flow_key back = {k->server, k->client, k->server_port, k->client_port,
				      k->transport};
	struct metered *f = flow_find(m->flows, k);
	return f ? f : flow_find(m->flows, &back);
}

static void drop(struct meter *m, struct metered *f)
{
	m->o.left(m->o.ctx, f->tag);
	flow_remove(m->flows, f);
}

/* Fewer than before are those of another connection on the same ports. */
static void see(struct meter *m, struct metered *f, uint64_t bytes)
{
	uint64_t more = bytes >= f->seen ? bytes - f->seen : bytes;
	f->seen = bytes;
	bool counts = more && !f->met;
	f->met = false;
	if (counts)
		m->o.moved(m->o.ctx, f->tag, more);
}

/* Not there: from the server's side it may be, or not yet. */
static void miss(struct meter *m, uint32_t sequence, int64_t now)
{
	uint32_t i = sequence - m->sequence;
	struct metered *f = i < m->count ? flow_find(m->flows, &m->asked[i]) : NULL;
	if (!f)
		return;
	f->reverse = !f->reverse;
	if (!f->reverse && now - f->since > UNBORN)
		drop(m, f);
}

void meter_take(struct meter *m, const void *bytes, size_t len, int64_t now)
{
	struct cursor datagram = cursor_of(bytes, len);
	struct netlink_message message;
	struct conntrack_message entry;
	while (netlink_next(&datagram, &message)) {
		if (message.type == NLMSG_ERROR && netlink_error(&message) == -ENOENT)
			miss(m, message.sequence, now);
		if (message.type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW))
			continue;
		conntrack_message_read(message.body, &entry);
		struct metered *f = entry.has_key ? find(m, &entry.key) : NULL;
		if (f)
			see(m, f, entry.bytes);
	}
}

/* The kernel has answered when the question is sent. */
static void ask(struct meter *m, const char *bytes, size_t len, int64_t now)
{
	char answer[ANSWER_MAX];
	ssize_t n = 1;
	if (mnl_socket_sendto(m->socket, bytes, len) < 0)
		return;
	m->counters.asked += m->count;
	while (n >= 0 || errno == EMSGSIZE || errno == ENOBUFS) {
		n = netlink_receive(mnl_socket_get_fd(m->socket), answer, sizeof answer,
				    MSG_DONTWAIT);
		if (n > 0)
			meter_take(m, answer, (size_t)n, now);
	}
}

void meter_poll(struct meter *m, int64_t now)
{
	char bytes[BATCH * MESSAGE];
	struct metered *f = NULL;
	for (int asked = 0; asked < POLL; asked += BATCH) {
		size_t len = 0;
		m->sequence += BATCH;
		for (m->count = 0; m->count < BATCH && (f = flow_each(m->flows, &m->slot));) {
			m->asked[m->count] = f->entry.key;
			len += put_question(bytes + len, f, m->sequence + (uint32_t)m->count++);
		}
		if (m->count)
			ask(m, bytes, len, now);
		if (!f) {
			m->slot = 0;
			return;
		}
	}
}

/* ---- flows ---- */

static void evicted(void *ctx, void *flow)
{
	struct meter *m = ctx;
	m->counters.forgotten++;
	m->o.left(m->o.ctx, ((struct metered *)flow)->tag);
}

static struct metered *watch(struct meter *m, const struct flow_key *key, uint32_t tag, int64_t now)
{
	const struct host_key host = host_key_address(&key->client);
	struct metered *f = flow_add(m->flows, key, &host);
	if (!f)
		return NULL;
	f->tag = tag;
	f->since = now;
	return f;
}

bool meter_watch(struct meter *m, const struct flow_key *key, uint32_t tag, bool young, int64_t now)
{
	struct metered *f = flow_find(m->flows, key);
	if (!f) {
		f = watch(m, key, tag, now);
		if (f)
			f->met = !young;
		return f;
	}
	m->o.left(m->o.ctx, f->tag);
	f->tag = tag;
	f->since = now;
	return true;
}

void meter_forget(struct meter *m, const struct flow_key *key)
{
	struct metered *f = flow_find(m->flows, key);
	if (f)
		drop(m, f);
}

void meter_ended(struct meter *m, const struct flow_key *key, uint64_t bytes, int64_t after)
{
	struct metered *f = find(m, key);
	if (!f)
		return;
	see(m, f, bytes);
	f->seen = 0;
	if (f->since <= after) /* else the next look tells */
		drop(m, f);
}

uint32_t meter_flows(const struct meter *m)
{
	return flow_count(m->flows);
}

bool meter_each(struct meter *m, uint32_t *slot, struct flow_key *key, uint32_t *tag,
		uint64_t *seen)
{
	const struct metered *f = flow_each(m->flows, slot);
	if (!f)
		return false;
	*key = f->entry.key;
	*tag = f->tag;
	*seen = f->seen;
	return true;
}

bool meter_restore(struct meter *m, const struct flow_key *key, uint32_t tag, uint64_t seen,
		   int64_t now)
{
	struct metered *f = flow_known(m->flows, key) ? NULL : watch(m, key, tag, now);
	if (f)
		f->seen = seen;
	return f;
}

/* ---- lifecycle ---- */

struct meter *meter_open(const struct meter_options *o, struct errors *errors)
{
	struct meter *m = calloc(1, sizeof *m);
	if (m) {
		m->o = *o;
		m->flows = flow_table_new(o->flows,
					  &(struct flow_owner){.size = sizeof(struct metered),
							       .evicted = evicted,
							       .ctx = m});
		m->socket = m->flows ? netlink_open(NETLINK_NETFILTER, 0) : NULL;
	}
	if (m && m->socket)
		return m;
	errors_add(errors, NULL, 0, "the counters of flows can't be read: %s", strerror(errno));
	meter_close(m);
	return NULL;
}

void meter_close(struct meter *m)
{
	if (!m)
		return;
	if (m->socket)
		mnl_socket_close(m->socket);
	flow_table_free(m->flows);
	free(m);
}

void meter_count(const struct meter *m, struct meter_counters *out)
{
	*out = m->counters;
	out->flows = flow_count(m->flows);
}

static const struct metric rows[] = {
	METRIC(meter_counters, flows, GAUGE, "flows", "open flows that count for a quota"),
	METRIC(meter_counters, asked, COUNTER, "flows",
	       "questions to the kernel for a flow's counters"),
	METRIC(meter_counters, forgotten, COUNTER, "flows",
	       "flows whose use is no longer counted, as there were too many"),
};
METRICS(meter_metrics, "meter", meter_counters, rows);
