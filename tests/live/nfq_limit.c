/* nfq_limit: the cheapest useful NFQUEUE reader, as the limit a gateway is measured against.
 * usage: nfq_limit FIRST-QUEUE THREADS COPY-BYTES MARK BATCH
 * Accepts all; MARK != 0 sets the packet mark (BATCH=2: only on TCP packets with payload); BATCH=1
 * sends one batch verdict per received burst (only when MARK is the same for all). Prints packets/s
 * every second on stderr. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned copy_bytes, mark, batch;
static _Atomic unsigned long packets, recvs;

static struct nlmsghdr *head(char *buf, int type, unsigned queue)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	h->nlmsg_type = (NFNL_SUBSYS_QUEUE << 8) | type;
	h->nlmsg_flags = NLM_F_REQUEST;
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof *g);
	g->nfgen_family = AF_UNSPEC;
	g->version = NFNETLINK_V0;
	g->res_id = htons(queue);
	return h;
}
static int has_payload(struct nlattr **a)
{
	if (!a[NFQA_PAYLOAD])
		return 0;
	const unsigned char *p = mnl_attr_get_payload(a[NFQA_PAYLOAD]);
	unsigned n = mnl_attr_get_payload_len(a[NFQA_PAYLOAD]), ip = (p[0] & 15) * 4;
	return n > ip + 20 && p[9] == 6 && n > ip + (p[ip + 12] >> 4) * 4;
}
struct ctx {
	unsigned queue;
	uint32_t last;
	char *out;
	size_t used;
};
static int on_packet(const struct nlmsghdr *nlh, void *data)
{
	struct ctx *c = data;
	struct nlattr *a[NFQA_MAX + 1] = {0};
	if (nfq_nlmsg_parse(nlh, a) < 0 || !a[NFQA_PACKET_HDR])
		return MNL_CB_OK;
	struct nfqnl_msg_packet_hdr *ph = mnl_attr_get_payload(a[NFQA_PACKET_HDR]);
	c->last = ntohl(ph->packet_id);
	atomic_fetch_add_explicit(&packets, 1, memory_order_relaxed);
	if (batch == 1)
		return MNL_CB_OK;
	struct nlmsghdr *h = head(c->out + c->used, NFQNL_MSG_VERDICT, c->queue);
	nfq_nlmsg_verdict_put(h, c->last, NF_ACCEPT);
	if (mark && (batch != 2 || has_payload(a)))
		nfq_nlmsg_verdict_put_mark(h, mark);
	c->used += NLMSG_ALIGN(h->nlmsg_len);
	return MNL_CB_OK;
}
static void *worker(void *arg)
{
	struct ctx c = {.queue = (unsigned)(unsigned long)arg, .out = malloc(1 << 20)};
	struct mnl_socket *s = mnl_socket_open(NETLINK_NETFILTER);
	if (!s || mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0) {
		perror("bind");
		exit(1);
	}
	int fd = mnl_socket_get_fd(s), rcv = 64 << 20, one = 1;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &rcv, sizeof rcv);
	setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &one, sizeof one);
	char b[8192];
	struct nlmsghdr *h = head(b, NFQNL_MSG_CONFIG, c.queue);
	nfq_nlmsg_cfg_put_cmd(h, AF_INET, NFQNL_CFG_CMD_BIND);
	mnl_socket_sendto(s, h, h->nlmsg_len);
	h = head(b, NFQNL_MSG_CONFIG, c.queue);
	nfq_nlmsg_cfg_put_params(h, NFQNL_COPY_PACKET, copy_bytes);
	mnl_attr_put_u32(h, NFQA_CFG_FLAGS, htonl(NFQA_CFG_F_GSO | NFQA_CFG_F_FAIL_OPEN));
	mnl_attr_put_u32(h, NFQA_CFG_MASK, htonl(NFQA_CFG_F_GSO | NFQA_CFG_F_FAIL_OPEN));
	mnl_attr_put_u32(h, NFQA_CFG_QUEUE_MAXLEN, htonl(65536));
	mnl_socket_sendto(s, h, h->nlmsg_len);
	enum { N = 64, L = 1 << 17 };
	char *in = malloc((size_t)N * L);
	struct mmsghdr m[N];
	struct iovec v[N];
	for (;;) {
		for (int i = 0; i < N; i++) {
			v[i] = (struct iovec){in + (size_t)i * L, L};
			memset(&m[i], 0, sizeof m[i]);
			m[i].msg_hdr.msg_iov = &v[i];
			m[i].msg_hdr.msg_iovlen = 1;
		}
		int n = recvmmsg(fd, m, N, MSG_WAITFORONE, NULL);
		if (n < 0)
			continue;
		atomic_fetch_add_explicit(&recvs, 1, memory_order_relaxed);
		c.used = 0;
		unsigned long before = packets;
		for (int i = 0; i < n; i++)
			mnl_cb_run(v[i].iov_base, m[i].msg_len, 0, mnl_socket_get_portid(s),
				   on_packet, &c);
		if (batch == 1 && packets != before) {
			h = head(c.out, NFQNL_MSG_VERDICT_BATCH, c.queue);
			nfq_nlmsg_verdict_put(h, c.last, NF_ACCEPT);
			if (mark)
				nfq_nlmsg_verdict_put_mark(h, mark);
			c.used = h->nlmsg_len;
		}
		if (c.used)
			send(fd, c.out, c.used, 0);
	}
	return 0;
}
int main(int argc, char **argv)
{
	if (argc < 6)
		return 2;
	unsigned first = atoi(argv[1]), n = atoi(argv[2]);
	copy_bytes = atoi(argv[3]);
	mark = strtoul(argv[4], 0, 0);
	batch = atoi(argv[5]);
	for (unsigned i = 0; i < n; i++) {
		pthread_t t;
		pthread_create(&t, 0, worker, (void *)(unsigned long)(first + i));
	}
	for (unsigned long p = 0, r = 0;;) {
		sleep(1);
		unsigned long q = packets, s = recvs;
		fprintf(stderr, "%lu pkt/s %.1f pkt/recv\n", q - p,
			s > r ? (double)(q - p) / (s - r) : 0);
		p = q;
		r = s;
	}
}
