/* bulk_load: bytes a second on one flow that an allowed hello has opened.
 * server: bulk_load serve PORT [ADDRESS...]        TCP, and UDP at addresses: answers first bytes,
 * then sends without end client: bulk_load tcp|udp ADDRESS PORT SECONDS SOURCE FILE FILE holds the
 * first bytes (a TLS or QUIC hello); prints what came: Mbit/s, and for UDP datagrams lost. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
enum { DATAGRAM = 1200, GROUP = 40, PIECE = 1 << 20 };

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* A ServerHello's record as the gateway's rules know it, then application data. */
static const uint8_t answer[64] = {22, 3, 3, 0, 59, 2, 0, 0, 55, 3, 3};
static uint8_t zeros[PIECE];

static void *serve_one(void *arg)
{
	int fd = (int)(intptr_t)arg;
	uint8_t first[4096];
	if (read(fd, first, sizeof first) > 0 && write(fd, answer, sizeof answer) > 0)
		while (write(fd, zeros, sizeof zeros) > 0)
			;
	close(fd);
	return NULL;
}

/* Datagrams with a number each, a group a system call; until the client is silent for a second. */
static void send_datagrams(int fd, const struct sockaddr_storage *to, socklen_t len)
{
	uint8_t group[GROUP * DATAGRAM];
	int size = DATAGRAM;
	memset(group, 0, sizeof group);
	uint32_t number = 0;
	double heard = now();
	setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof size);
	while (now() < heard + 1) {
		uint8_t word[64];
		for (int i = 0; i < GROUP; i++, number++) {
			group[i * DATAGRAM] =
				0x40; /* a short header: not the first of a connection */
			memcpy(group + i * DATAGRAM + 4, &number, sizeof number);
		}
		if (sendto(fd, group, sizeof group, 0, (const void *)to, len) < 0 &&
		    errno != ENOBUFS && errno != EAGAIN)
			break;
		if (recv(fd, word, sizeof word, MSG_DONTWAIT) > 0)
			heard = now();
	}
	size = 0;
	setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof size);
}

static void *serve_udp(void *arg)
{
	int fd = (int)(intptr_t)arg;
	for (;;) {
		uint8_t first[2048];
		struct sockaddr_storage from;
		socklen_t len = sizeof from;
		ssize_t n = recvfrom(fd, first, sizeof first, 0, (void *)&from, &len);
		if (n >= DATAGRAM && sendto(fd, answer, sizeof answer, 0, (void *)&from, len) > 0)
			send_datagrams(fd, &from, len);
	}
	return NULL;
}

static socklen_t address(const char *text, int port, struct sockaddr_storage *out)
{
	struct sockaddr_in *four = (void *)out;
	struct sockaddr_in6 *six = (void *)out;
	if (!strchr(text, ':')) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		inet_pton(AF_INET, text, &four->sin_addr);
		return sizeof *four;
	}
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(port);
	inet_pton(AF_INET6, text, &six->sin6_addr);
	return sizeof *six;
}

static int bound(int type, const char *text, int port)
{
	struct sockaddr_storage at = {0};
	socklen_t len = address(text, port, &at);
	int fd = socket(at.ss_family, type, 0), one = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (void *)&at, len) < 0) {
		perror("bind");
		exit(1);
	}
	return fd;
}

/* UDP by address: what answers from another one is not heard. */
static int serve(int count, char **argv)
{
	pthread_t t;
	int port = atoi(argv[0]), l = bound(SOCK_STREAM, "::", port);
	const char *by = getenv("CONGESTION");
	if (by)
		setsockopt(l, IPPROTO_TCP, TCP_CONGESTION, by, strlen(by));
	listen(l, 64);
	for (int i = 1; i < count; i++)
		pthread_create(&t, NULL, serve_udp,
			       (void *)(intptr_t)bound(SOCK_DGRAM, argv[i], port));
	for (int fd; (fd = accept(l, NULL, NULL)) >= 0;)
		pthread_create(&t, NULL, serve_one, (void *)(intptr_t)fd);
	return 1;
}

static void take(int fd, bool udp, double seconds)
{
	static uint8_t room[PIECE];
	double start = now(), said = start;
	uint64_t bytes = 0, datagrams = 0;
	uint32_t first = 0, last = 0;
	while (now() < start + seconds) {
		ssize_t n = recv(fd, room, udp ? DATAGRAM : sizeof room, 0);
		if (n <= 0)
			break;
		bytes += (uint64_t)n;
		if (udp && n == DATAGRAM) {
			memcpy(&last, room + 4, sizeof last);
			if (!datagrams++)
				first = last;
		}
		if (udp && now() > said + 0.2 && send(fd, "\x40more", 5, 0) > 0)
			said = now();
	}
	printf("Mbit/s %.0f lost %.4f\n", bytes * 8 / (now() - start) / 1e6,
	       udp && last > first ? 1 - (double)datagrams / (last - first + 1) : 0);
}

static int dial(char **argv)
{
	bool udp = !strcmp(argv[1], "udp");
	struct sockaddr_storage to = {0}, from = {0};
	socklen_t len = address(argv[2], atoi(argv[3]), &to);
	static uint8_t hello[4096];
	FILE *f = fopen(argv[6], "r");
	size_t size = f ? fread(hello, 1, sizeof hello, f) : 0;
	int fd = socket(to.ss_family, udp ? SOCK_DGRAM : SOCK_STREAM, 0), room = 8 << 20;
	struct timeval limit = {.tv_sec = 3};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	if (udp)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
	address(argv[5], 0, &from);
	if (!size || bind(fd, (void *)&from, len) < 0 || connect(fd, (void *)&to, len) < 0 ||
	    send(fd, hello, size, 0) != (ssize_t)size) {
		perror("bulk_load");
		return 1;
	}
	take(fd, udp, atof(argv[4]));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 3 && !strcmp(argv[1], "serve"))
		return serve(argc - 2, argv + 2);
	if (argc == 7)
		return dial(argv);
	fputs("see the head of bulk_load.c\n", stderr);
	return 2;
}
