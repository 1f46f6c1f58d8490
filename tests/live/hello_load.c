/* hello_load: new connections a second, each with a real TLS ClientHello.
 * server: hello_load serve PORT                answers every first bytes with one byte "k"
 * client: hello_load dial ADDRESS PORT SECONDS PARALLEL NAME[,NAME...] [SOURCE-ADDRESS [RATE]]
 * The client prints done (answered "k") and refused (reset or unreachable) a second, failed (no
 * answer in 3 s), and p50/p99/p99.9 microseconds from connect to answer. SIGTERM ends it early,
 * with its figures. A name given more than once weighs more. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t over;
static void on_signal(int s)
{
	(void)s;
	over = 1;
}
static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}
static unsigned put16(uint8_t *p, unsigned v)
{
	p[0] = v >> 8;
	p[1] = v;
	return 2;
}
static unsigned hello(uint8_t *out, const char *name)
{ /* TLS 1.3-shaped ClientHello: SNI, groups, sigalgs, versions, key_share, padded to 517 bytes */
	uint8_t *p = out + 9;
	put16(p, 0x0303);
	p += 2;
	for (int i = 0; i < 32; i++)
		*p++ = rand();
	*p++ = 32;
	for (int i = 0; i < 32; i++)
		*p++ = rand();
	static const uint16_t cs[] = {0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030};
	p += put16(p, sizeof cs);
	for (unsigned i = 0; i < 7; i++)
		p += put16(p, cs[i]);
	*p++ = 1;
	*p++ = 0;
	uint8_t *ext = p;
	p += 2;
	unsigned n = strlen(name);
	p += put16(p, 0);
	p += put16(p, n + 5);
	p += put16(p, n + 3);
	*p++ = 0;
	p += put16(p, n);
	memcpy(p, name, n);
	p += n;
	p += put16(p, 10);
	p += put16(p, 4);
	p += put16(p, 2);
	p += put16(p, 29);
	p += put16(p, 13);
	p += put16(p, 6);
	p += put16(p, 4);
	p += put16(p, 0x0403);
	p += put16(p, 0x0804);
	p += put16(p, 43);
	p += put16(p, 3);
	*p++ = 2;
	p += put16(p, 0x0304);
	p += put16(p, 51);
	p += put16(p, 38);
	p += put16(p, 36);
	p += put16(p, 29);
	p += put16(p, 32);
	for (int i = 0; i < 32; i++)
		*p++ = rand();
	unsigned so_far = p - out;
	if (so_far + 4 < 517) {
		unsigned pad = 517 - so_far - 4;
		p += put16(p, 21);
		p += put16(p, pad);
		memset(p, 0, pad);
		p += pad;
	}
	put16(ext, p - ext - 2);
	unsigned len = p - out;
	out[0] = 22;
	put16(out + 1, 0x0301);
	put16(out + 3, len - 5);
	out[5] = 1;
	out[6] = 0;
	put16(out + 7, len - 9);
	return len;
}
static int serve(int port)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int one = 1;
	int l = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(l, (void *)&a, sizeof a) || listen(l, 65535)) {
		perror("listen");
		return 1;
	}
	int e = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = l}, evs[256];
	epoll_ctl(e, EPOLL_CTL_ADD, l, &ev);
	for (;;) {
		int n = epoll_wait(e, evs, 256, -1);
		for (int i = 0; i < n; i++) {
			int f = evs[i].data.fd;
			if (f == l) {
				for (int c; (c = accept4(l, 0, 0, SOCK_NONBLOCK)) >= 0;) {
					ev.events = EPOLLIN;
					ev.data.fd = c;
					epoll_ctl(e, EPOLL_CTL_ADD, c, &ev);
				}
				continue;
			}
			char b[4096];
			ssize_t r = read(f, b, sizeof b);
			if (r > 0) {
				if (write(f, "k", 1) < 0) {
				}
			} else if (r == 0 || errno != EAGAIN)
				close(f);
		}
	}
}
struct conn {
	int fd;
	double at;
	unsigned name;
};
static int cmp(const void *a, const void *b)
{
	float x = *(float *)a, y = *(float *)b;
	return (x > y) - (x < y);
}
static int dial(int argc, char **argv)
{
	const char *addr = argv[2];
	int port = atoi(argv[3]);
	double secs = atof(argv[4]);
	int par = atoi(argv[5]);
	char *names[4096];
	unsigned nn = 0;
	for (char *s = strtok(argv[6], ","); s && nn < 4096; s = strtok(0, ","))
		names[nn++] = s;
	struct sockaddr_storage to = {0};
	socklen_t tl;
	int fam = strchr(addr, ':') ? AF_INET6 : AF_INET;
	if (fam == AF_INET) {
		struct sockaddr_in *i = (void *)&to;
		i->sin_family = AF_INET;
		i->sin_port = htons(port);
		inet_pton(AF_INET, addr, &i->sin_addr);
		tl = sizeof *i;
	} else {
		struct sockaddr_in6 *i = (void *)&to;
		i->sin6_family = AF_INET6;
		i->sin6_port = htons(port);
		inet_pton(AF_INET6, addr, &i->sin6_addr);
		tl = sizeof *i;
	}
	struct sockaddr_in from = {.sin_family = AF_INET};
	if (argc > 7)
		inet_pton(AF_INET, argv[7], &from.sin_addr);
	double rate =
		argc > 8 ? atof(argv[8]) : 0; /* new connections a second at most; 0: no limit */
	struct conn *c = calloc(par, sizeof *c);
	for (int i = 0; i < par; i++)
		c[i].fd = -1;
	int e = epoll_create1(0);
	struct epoll_event ev, evs[256];
	size_t cap = 1 << 22, done = 0, refused = 0, failed = 0;
	float *lat = malloc(cap * sizeof *lat);
	signal(SIGTERM, on_signal);
	double t0 = now(), end = t0 + secs, sweep = t0 + 1;
	unsigned seq = 0;
	uint8_t h[2048];
	for (double t = t0; t < end && !over; t = now()) {
		for (int i = 0; i < par; i++)
			if (c[i].fd < 0 && (!rate || seq < (t - t0) * rate)) {
				int f = socket(fam, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
				struct linger lg = {1, 0};
				setsockopt(f, SOL_SOCKET, SO_LINGER, &lg, sizeof lg);
				setsockopt(f, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
				if (argc > 7) {
					setsockopt(f, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one,
						   sizeof one);
					if (bind(f, (void *)&from, sizeof from)) {
						perror("bind");
						return 1;
					}
				}
				c[i] = (struct conn){f, now(), seq++ % nn};
				if (connect(f, (void *)&to, tl) < 0 && errno != EINPROGRESS) {
					close(f);
					c[i].fd = -1;
					failed++;
					continue;
				}
				ev.events = EPOLLOUT;
				ev.data.u32 = i;
				epoll_ctl(e, EPOLL_CTL_ADD, f, &ev);
			}
		int n = epoll_wait(e, evs, 256, rate ? 0 : 100);
		for (int k = 0; k < n; k++) {
			struct conn *x = &c[evs[k].data.u32];
			if (x->fd < 0)
				continue;
			if (evs[k].events & (EPOLLERR | EPOLLHUP)) {
				refused++;
				close(x->fd);
				x->fd = -1;
				continue;
			}
			if (evs[k].events & EPOLLOUT) {
				unsigned L = hello(h, names[x->name]);
				if (write(x->fd, h, L) != (ssize_t)L) {
					refused++;
					close(x->fd);
					x->fd = -1;
					continue;
				}
				ev.events = EPOLLIN;
				ev.data.u32 = evs[k].data.u32;
				epoll_ctl(e, EPOLL_CTL_MOD, x->fd, &ev);
				continue;
			}
			char b[8];
			if (read(x->fd, b, 8) > 0 && b[0] == 'k') {
				if (done < cap)
					lat[done] = (now() - x->at) * 1e6;
				done++;
			} else
				refused++;
			close(x->fd);
			x->fd = -1;
		}
		if (t > sweep) {
			sweep = t + 1;
			for (int i = 0; i < par; i++)
				if (c[i].fd >= 0 && t - c[i].at > 3) {
					failed++;
					close(c[i].fd);
					c[i].fd = -1;
				}
		}
	}
	double el = now() - t0;
	size_t m = done < cap ? done : cap;
	qsort(lat, m, sizeof *lat, cmp);
	printf("done/s %.0f refused/s %.2f failed %zu p50us %.0f p99us %.0f p999us %.0f\n",
	       done / el, refused / el, failed, m ? lat[m / 2] : 0, m ? lat[m * 99 / 100] : 0,
	       m ? lat[m * 999 / 1000] : 0);
	return 0;
}
int main(int argc, char **argv)
{
	if (argc >= 3 && !strcmp(argv[1], "serve"))
		return serve(atoi(argv[2]));
	if (argc >= 7 && !strcmp(argv[1], "dial"))
		return dial(argc, argv);
	fprintf(stderr, "see the head of hello_load.c\n");
	return 2;
}
