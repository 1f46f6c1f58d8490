#include "source/nfqueue.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/netlink.h"
#include "base/privilege.h"
#include "source/mark.h"
#include "source/racer.h"
#include "source/reply.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
	BURST = 64,
	COPY_RANGE = 65531, /* the most that the kernel copies: 64 KiB less an attribute's head */
	ROOM = COPY_RANGE + 4101, /* an odd number of cache lines, so that bursts don't alias */
	VERDICTS = 256,
	RECEIVE_BUFFER = 32 << 20,
	TICK_US = 100000,
	TICK_SOON_US = 10000,
	ORPHANS = 0x0dead, /* the sequence number of a message that may find nothing to do */
};

/* One verdict as the kernel reads it (linux/netfilter/nfnetlink_queue.h). */
struct verdict_message {
	struct nlmsghdr head;
	struct nfgenmsg family;
	struct nlattr verdict_attr;
	struct nfqnl_msg_verdict_hdr verdict;
	struct nlattr mark_attr;
	uint32_t mark;
};
static_assert(sizeof(struct verdict_message) == 40, "no holes: it goes to the kernel as it is");

struct nfqueue {
	struct source source;
	struct nfqueue_options o;
	struct mnl_socket *socket;
	int fd;
	uint8_t *room;
	struct mmsghdr message[BURST];
	struct sockaddr_nl from[BURST];
	struct iovec part[BURST];
	struct verdict_message verdict[VERDICTS];
	unsigned verdicts;
	bool soon;             /* the tick that the socket has */
	bool orphans;          /* the reader before us may have left packets without a verdict */
	struct racers *racers; /* or NULL */
	uint32_t mark_of[VERDICT_DROP_DENIED + 1];
	/* written by the worker, read by any thread */
	_Atomic uint64_t packets, bursts, verdict_errors, overruns, raced;
};

static struct nfqueue *of(struct source *s)
{
	return (struct nfqueue *)s;
}

static void add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/* --- packets ------------------------------------------------------------------------------- */

static void read_mac(struct cursor value, struct arrival *out)
{
	struct nfqnl_msg_packet_hw hardware;
	out->has_mac = cursor_copy(&value, &hardware, sizeof hardware) &&
		       ntohs(hardware.hw_addrlen) == sizeof out->mac;
	if (out->has_mac)
		memcpy(out->mac, hardware.hw_addr, sizeof out->mac);
}

/* True for the packet's id. */
static bool read_attribute(const struct netlink_attribute *attr, uint32_t *mark,
			   struct arrival *out)
{
	struct cursor value = attr->value;
	struct nfqnl_msg_packet_hdr head;
	switch (attr->type) {
	case NFQA_PACKET_HDR:
		if (!cursor_copy(&value, &head, sizeof head))
			return false;
		out->id = ntohl(head.packet_id);
		return true;
	case NFQA_MARK: netlink_be32(value, mark); break;
	case NFQA_HWADDR: read_mac(value, out); break;
	case NFQA_CAP_LEN: out->cut = true; break;
	case NFQA_PAYLOAD:
		out->bytes = value.pos;
		out->len = (uint32_t)cursor_left(&value);
		break;
	}
	return false;
}

/* False where the message is not a packet with an id. */
static bool read_packet(const struct nfqueue *q, struct cursor body, int64_t now, int64_t ahead,
			struct arrival *out)
{
	struct netlink_attribute attr;
	uint32_t mark = 0;
	bool has_id = false;
	*out = (struct arrival){.kind = ARRIVAL_CLIENT, .now = now, .ahead = ahead};
	if (!cursor_skip(&body, sizeof(struct nfgenmsg)))
		return false;
	while (netlink_attribute(&body, &attr))
		has_id |= read_attribute(&attr, &mark, out);
	out->entry = mark_entry_of(q->o.mark_mask, mark, q->o.epoch);
	out->id |= (uint64_t)mark << 32;
	return has_id;
}

/* A datagram is one packet, or the kernel's complaint about a verdict (its packet was gone: the
 * queue was unbound or its interface went down). */
static int read_datagram(struct nfqueue *q, const void *bytes, size_t len, int64_t now,
			 int64_t ahead, struct arrival *list, int max)
{
	struct cursor datagram = cursor_of(bytes, len);
	struct netlink_message m;
	int found = 0;
	while (found < max && netlink_next(&datagram, &m)) {
		if (m.type == (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET))
			found += read_packet(q, m.body, now, ahead, &list[found]);
		else if (m.type == NLMSG_ERROR && m.sequence != ORPHANS)
			add(&q->verdict_errors, 1);
	}
	return found;
}

static int set_tick(struct nfqueue *q, bool soon)
{
	struct timeval tick = {.tv_usec = soon ? TICK_SOON_US : TICK_US};
	q->soon = soon;
	return setsockopt(q->fd, SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof tick);
}

int nfqueue_take(struct source *s, const void *bytes, size_t len, int64_t now, struct arrival *list,
		 int max)
{
	return read_datagram(of(s), bytes, len, now, 0, list, max);
}

/* What the reader before us read and did not judge (it held it, or was killed) would wait for ever:
 * all that was in the queue before the first packet that comes to us. Their senders send again. */
static void drop_orphans(struct nfqueue *q, uint32_t first)
{
	char buffer[256];
	struct nlmsghdr *m = nfq_nlmsg_put(buffer, NFQNL_MSG_VERDICT_BATCH, q->o.queue);
	const struct nfqnl_msg_verdict_hdr drop = {htonl(NF_DROP), htonl(first - 1)};
	m->nlmsg_seq = ORPHANS;
	mnl_attr_put(m, NFQA_VERDICT_HDR, sizeof drop, &drop);
	if (mnl_socket_sendto(q->socket, m, m->nlmsg_len) < 0)
		log_warn("queue %u: packets of the daemon before stay in it: %m", q->o.queue);
	q->orphans = false;
}

static int nfqueue_receive(struct source *s, struct arrival *list, int max)
{
	struct nfqueue *q = of(s);
	if (s->soon != q->soon)
		set_tick(q, s->soon);
	int n = netlink_receive_many(q->fd, q->message, q->from,
				     (unsigned)(max < BURST ? max : BURST), MSG_WAITFORONE);
	if (n < 0 && errno == ENOBUFS)
		add(&q->overruns, 1);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -errno;
	int64_t now = clock_now(), ahead = clock_ahead();
	int found = 0;
	for (int i = 0; i < n; i++)
		found += read_datagram(q, q->part[i].iov_base, q->message[i].msg_len, now, ahead,
				       list + found, max - found);
	if (q->orphans && found)
		drop_orphans(q, (uint32_t)list[0].id);
	for (int i = 0; q->racers && i < found; i++)
		racers_see(q->racers, &list[i]);
	add(&q->bursts, 1);
	add(&q->packets, (uint64_t)found);
	return found;
}

/* A schedule's edge and a hello's time limit come on an idle queue, too. */
static int64_t nfqueue_now(struct source *s, int64_t *ahead)
{
	if (ahead)
		*ahead = clock_ahead();
	return clock_now();
}

/* --- verdicts ------------------------------------------------------------------------------ */

static void nfqueue_flush(struct source *s)
{
	struct nfqueue *q = of(s);
	if (!q->verdicts)
		return;
	size_t len = q->verdicts * sizeof q->verdict[0];
	if (send(q->fd, q->verdict, len, 0) != (ssize_t)len) {
		add(&q->verdict_errors, q->verdicts);
		LOG_LIMITED(log_error, clock_now(), "queue %u: verdicts not sent: %m", q->o.queue);
	}
	q->verdicts = 0;
}

/* A datagram that raced with its flow's first one goes on; whether it has been sent. */
static bool sent_along(struct nfqueue *q, uint64_t id, enum verdict v)
{
	if (v != VERDICT_PASS && v != VERDICT_PENDING && v != VERDICT_HEARD &&
	    v != VERDICT_ALLOWED) {
		racers_drop(q->racers, id);
		return false;
	}
	nfqueue_flush(&q->source);
	if (!racers_send(q->racers, id, q->o.raw4, q->o.raw6))
		return false;
	add(&q->raced, 1);
	return true;
}

static void nfqueue_verdict(struct source *s, uint64_t id, enum verdict v)
{
	struct nfqueue *q = of(s);
	bool drop = v == VERDICT_DROP || v == VERDICT_DROP_DENIED;
	if (q->racers && racers_has(q->racers, id))
		drop |= sent_along(q, id, v);
	struct verdict_message *m = &q->verdict[q->verdicts++];
	m->verdict.verdict = htonl(drop ? NF_DROP : NF_ACCEPT);
	m->verdict.id = htonl((uint32_t)id);
	m->mark = htonl(((uint32_t)(id >> 32) & ~q->o.mark_mask) | q->mark_of[v]);
	if (q->verdicts == VERDICTS)
		nfqueue_flush(s);
}

static void prepare_verdicts(struct nfqueue *q)
{
	for (unsigned v = 0; v <= VERDICT_DROP_DENIED; v++) {
		enum mark_kind kind = mark_of_verdict((enum verdict)v);
		q->mark_of[v] = kind ? mark_value(q->o.mark_mask, kind, q->o.epoch) : 0;
	}
	for (unsigned i = 0; i < VERDICTS; i++)
		q->verdict[i] = (struct verdict_message){
			.head = {.nlmsg_len = sizeof q->verdict[i],
				 .nlmsg_type = NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_VERDICT,
				 .nlmsg_flags = NLM_F_REQUEST},
			.family = {.nfgen_family = AF_UNSPEC, .res_id = htons(q->o.queue)},
			.verdict_attr = {.nla_len = 12, .nla_type = NFQA_VERDICT_HDR},
			.mark_attr = {.nla_len = 8, .nla_type = NFQA_MARK},
		};
}

static void nfqueue_reset_server(struct source *s, const struct flow_key *key, uint32_t seq)
{
	reply_reset_server(of(s)->o.raw4, of(s)->o.raw6, key, seq);
}

static void nfqueue_redirect(struct source *s, const struct reply_redirect *r)
{
	reply_redirect(of(s)->o.raw4, of(s)->o.raw6, r);
}

static bool nfqueue_remark(struct source *s, const struct flow_key *key, uint32_t isn,
			   enum verdict v)
{
	return !of(s)->o.remark || of(s)->o.remark(of(s)->o.ctx, key, isn, v);
}

/* --- opening ------------------------------------------------------------------------------- */

/* One line of /proc/net/netfilter/nfnetlink_queue. */
struct proc_line {
	uint32_t port, waiting;
	uint64_t full, overruns;
};

static bool proc_read(uint16_t queue, struct proc_line *out)
{
	FILE *f = fopen("/proc/net/netfilter/nfnetlink_queue", "re");
	if (!f)
		return false;
	char line[256];
	bool found = false;
	while (!found && fgets(line, sizeof line, f)) {
		unsigned number;
		int n = sscanf(line, "%u %u %u %*u %*u %lu %lu", &number, &out->port, &out->waiting,
			       &out->full, &out->overruns);
		found = n == 5 && number == queue;
	}
	fclose(f);
	return found;
}

bool nfqueue_bound(uint16_t queue, uint32_t *port)
{
	struct proc_line line;
	if (!proc_read(queue, &line))
		return false;
	*port = line.port;
	return true;
}

/* A netlink port is by custom the process id of the socket's first owner. */
static void say_in_use(const struct nfqueue *q, struct errors *errors)
{
	char path[64], name[32] = "another program";
	uint32_t port;
	if (!nfqueue_bound(q->o.queue, &port)) {
		errors_add(errors, NULL, 0, "queue %u is in use by another program", q->o.queue);
		return;
	}
	snprintf(path, sizeof path, "/proc/%u/comm", port);
	FILE *f = fopen(path, "re");
	if (f) {
		if (fgets(name, sizeof name, f))
			name[strcspn(name, "\n")] = '\0';
		fclose(f);
	}
	errors_add(errors, NULL, 0, "queue %u is in use by %s (netlink port %u)", q->o.queue, name,
		   port);
}

/* The kernel answers EPERM both to a missing right and to a queue that has a reader already. */
static void say_why(const struct nfqueue *q, int error, const char *step, struct errors *errors)
{
	if (error == EPERM && !privilege_net_admin())
		errors_add(errors, NULL, 0,
			   "no right to read queue %u: the capability CAP_NET_ADMIN is missing",
			   q->o.queue);
	else if (error == EPERM || error == EBUSY)
		say_in_use(q, errors);
	else if (error == EINVAL || error == EPROTONOSUPPORT || error == EOPNOTSUPP)
		errors_add(errors, NULL, 0,
			   "queue %u: this kernel has no packet queues (nfnetlink_queue): %s: %s",
			   q->o.queue, step, strerror(error));
	else
		errors_add(errors, NULL, 0, "queue %u: %s: %s", q->o.queue, step, strerror(error));
}

/* Sends one configuration message and waits for its ACK; 0 or -errno. Nothing is queued before copy
 * mode is set. Where the socket was taken over, packets are: the ACK would come among them, and
 * only an error is told, as one of the verdicts'. */
static int configure(struct nfqueue *q, struct nlmsghdr *message)
{
	static _Atomic uint32_t sequence = 1;
	if (q->orphans)
		return mnl_socket_sendto(q->socket, message, message->nlmsg_len) < 0 ? -errno : 0;
	message->nlmsg_flags |= NLM_F_ACK;
	message->nlmsg_seq = sequence++;
	if (mnl_socket_sendto(q->socket, message, message->nlmsg_len) < 0)
		return -errno;
	return netlink_acknowledged(q->fd, message->nlmsg_seq);
}

static int configure_flag(struct nfqueue *q, uint32_t flag)
{
	char buffer[256];
	struct nlmsghdr *m = nfq_nlmsg_put(buffer, NFQNL_MSG_CONFIG, q->o.queue);
	mnl_attr_put_u32(m, NFQA_CFG_FLAGS, htonl(flag));
	mnl_attr_put_u32(m, NFQA_CFG_MASK, htonl(flag));
	return configure(q, m);
}

/* Flags go one a message: of several, an unknown one would take the others with it. A kernel
 * without GSO flag segments for us, so only FAIL_OPEN is needed, and only where asked for. */
static int configure_flags(struct nfqueue *q)
{
	if (configure_flag(q, NFQA_CFG_F_GSO) < 0)
		log_warn("queue %u: the kernel does not hand up large packets whole", q->o.queue);
	if (!q->o.fail_open)
		return 0;
	return configure_flag(q, NFQA_CFG_F_FAIL_OPEN);
}

/* A queue that has a reader already is the kept socket's, where there is one. */
static int bind_queue(struct nfqueue *q)
{
	char buffer[256];
	struct nlmsghdr *m = nfq_nlmsg_put(buffer, NFQNL_MSG_CONFIG, q->o.queue);
	nfq_nlmsg_cfg_put_cmd(m, AF_UNSPEC, NFQNL_CFG_CMD_BIND);
	int error = configure(q, m);
	struct mnl_socket *kept = NULL;
	if ((error == -EPERM || error == -EBUSY) && q->o.kept >= 0 && privilege_net_admin())
		kept = mnl_socket_fdopen(q->o.kept);
	if (!kept)
		return error;
	mnl_socket_close(q->socket);
	q->socket = kept;
	q->fd = q->o.kept;
	q->o.kept = -1;
	q->orphans = true;
	return 0;
}

static bool configure_queue(struct nfqueue *q, struct errors *errors)
{
	char buffer[256];
	struct nlmsghdr *m;
	const char *step = "binding it";
	int error = bind_queue(q);
	if (!error) {
		step = "setting its flags";
		error = configure_flags(q);
	}
	if (!error) {
		step = "setting its length";
		m = nfq_nlmsg_put(buffer, NFQNL_MSG_CONFIG, q->o.queue);
		nfq_nlmsg_cfg_put_qmaxlen(m, q->o.length);
		error = configure(q, m);
	}
	if (!error) {
		step = "asking for whole packets";
		m = nfq_nlmsg_put(buffer, NFQNL_MSG_CONFIG, q->o.queue);
		nfq_nlmsg_cfg_put_params(m, NFQNL_COPY_PACKET, COPY_RANGE);
		error = configure(q, m);
	}
	if (error)
		say_why(q, -error, step, errors);
	return !error;
}

/* Overruns are the kernel's to count (/proc): told by ENOBUFS, the socket would refuse all further
 * packets until it is read empty, so one overrun would become many. */
static bool configure_socket(struct nfqueue *q, struct errors *errors)
{
	int size = RECEIVE_BUFFER, one = 1;
	q->socket = netlink_open(NETLINK_NETFILTER, 0);
	if (!q->socket) {
		say_why(q, errno, "opening a netlink socket", errors);
		return false;
	}
	q->fd = mnl_socket_get_fd(q->socket);
	if (setsockopt(q->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
		setsockopt(q->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	if (setsockopt(q->fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &one, sizeof one) < 0)
		log_warn("queue %u: overruns can't be ridden out: %m", q->o.queue);
	setsockopt(q->fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
	if (!configure_queue(q, errors))
		return false;
	return set_tick(q, false) == 0;
}

static bool make_room(struct nfqueue *q)
{
	size_t pitch = (ROOM + 63) / 64 * 64;
	q->room = mmap(NULL, BURST * pitch, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);
	if (q->room == MAP_FAILED) {
		q->room = NULL;
		return false;
	}
	for (unsigned i = 0; i < BURST; i++) {
		q->part[i] = (struct iovec){q->room + i * pitch, pitch};
		q->message[i].msg_hdr = (struct msghdr){.msg_iov = &q->part[i], .msg_iovlen = 1};
	}
	return true;
}

static void nfqueue_free(struct source *s)
{
	struct nfqueue *q = of(s);
	if (q->socket)
		mnl_socket_close(q->socket);
	if (q->o.kept >= 0)
		close(q->o.kept);
	racers_close(q->racers);
	if (q->room)
		munmap(q->room, BURST * (size_t)((ROOM + 63) / 64 * 64));
	free(q);
}

static const struct source_ops ops = {
	.receive = nfqueue_receive,
	.verdict = nfqueue_verdict,
	.now = nfqueue_now,
	.flush = nfqueue_flush,
	.reset_server = nfqueue_reset_server,
	.remark = nfqueue_remark,
	.redirect = nfqueue_redirect,
	.free = nfqueue_free,
};

struct source *nfqueue_open(const struct nfqueue_options *o, struct errors *errors)
{
	struct nfqueue *q = calloc(1, sizeof *q);
	if (!q || !make_room(q)) {
		errors_add(errors, NULL, 0, "queue %u: out of memory", o->queue);
		free(q);
		return NULL;
	}
	q->source.ops = &ops;
	q->o = *o;
	prepare_verdicts(q);
	if (!configure_socket(q, errors)) {
		nfqueue_free(&q->source);
		return NULL;
	}
	if (q->o.kept >= 0) /* it was another queue's, or of no use */
		close(q->o.kept);
	q->o.kept = -1;
	q->racers = racers_open(); /* after the queue's socket, which then has our process id */
	return &q->source;
}

int nfqueue_fd(const struct source *s)
{
	return ((const struct nfqueue *)s)->fd;
}

/* Without an ACK, which would come among the packets, to another thread. */
void nfqueue_fail_open(struct source *s, bool on)
{
	struct nfqueue *q = of(s);
	char buffer[256];
	struct nlmsghdr *m = nfq_nlmsg_put(buffer, NFQNL_MSG_CONFIG, q->o.queue);
	mnl_attr_put_u32(m, NFQA_CFG_FLAGS, htonl(on ? NFQA_CFG_F_FAIL_OPEN : 0));
	mnl_attr_put_u32(m, NFQA_CFG_MASK, htonl(NFQA_CFG_F_FAIL_OPEN));
	if (mnl_socket_sendto(q->socket, m, m->nlmsg_len) < 0)
		log_warn("queue %u: what a full queue does stays as it was: %m", q->o.queue);
}

void nfqueue_count(const struct source *s, struct nfqueue_counters *out)
{
	const struct nfqueue *q = (const struct nfqueue *)s;
	struct proc_line line = {0};
	*out = (struct nfqueue_counters){
		.packets = atomic_load_explicit(&q->packets, memory_order_relaxed),
		.bursts = atomic_load_explicit(&q->bursts, memory_order_relaxed),
		.verdict_errors = atomic_load_explicit(&q->verdict_errors, memory_order_relaxed),
		.overruns = atomic_load_explicit(&q->overruns, memory_order_relaxed),
		.racers = atomic_load_explicit(&q->raced, memory_order_relaxed),
	};
	if (!proc_read(q->o.queue, &line))
		return;
	out->overruns += line.overruns;
	out->full = line.full;
	out->waiting = line.waiting;
}

static const struct metric rows[] = {
	METRIC_AS("received", nfqueue_counters, packets, COUNTER, "packets",
		  "packets that the queue handed over"),
	METRIC(nfqueue_counters, bursts, COUNTER, "reads", "reads of the queue"),
	METRIC(nfqueue_counters, verdict_errors, COUNTER, "verdicts",
	       "verdicts that the kernel did not take"),
	METRIC_AS("sent_along", nfqueue_counters, racers, COUNTER, "packets",
		  "datagrams sent along their new flow's entry, so that NAT gives all one port"),
	METRIC(nfqueue_counters, overruns, COUNTER, "times",
	       "times that the socket was full and the kernel dropped packets"),
	METRIC(nfqueue_counters, full, COUNTER, "packets",
	       "packets that the full queue could not take: dropped, or passed with when_full = "
	       "\"open\""),
	METRIC(nfqueue_counters, waiting, GAUGE, "packets", "packets in the queue now"),
};
METRICS(nfqueue_metrics, "queue", nfqueue_counters, rows);
