#include "ctl/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_MS 3000 /* for the handshake, and for the hello */
#define LATE_MS    100  /* what was let through may be behind the reset */
#define HELLO_MAX  700

/* ---- a ClientHello (RFC 8446 4.1.2) ---- */

struct out {
	uint8_t bytes[HELLO_MAX];
	size_t len;
};

static void put(struct out *o, const void *bytes, size_t len)
{
	memcpy(o->bytes + o->len, bytes, len);
	o->len += len;
}

static void put16(struct out *o, size_t n)
{
	put(o, (uint8_t[]){(uint8_t)(n >> 8), (uint8_t)n}, 2);
}

static void set16(struct out *o, size_t at)
{
	size_t n = o->len - at - 2;
	o->bytes[at] = (uint8_t)(n >> 8);
	o->bytes[at + 1] = (uint8_t)n;
}

static void extensions(struct out *o, const char *name)
{
	static const uint8_t others[] = {
		0, 43, 0, 3,  2, 3,  4,           /* supported_versions: 1.3 */
		0, 10, 0, 4,  0, 2,  0, 29,       /* supported_groups: x25519 */
		0, 13, 0, 6,  0, 4,  4, 3,  8, 4, /* signature_algorithms */
		0, 51, 0, 38, 0, 36, 0, 29, 0, 32 /* key_share: 32 bytes follow */
	};
	uint8_t key[32];
	size_t len = strlen(name);
	put16(o, 0); /* server_name */
	put16(o, len + 5);
	put16(o, len + 3);
	put(o, "", 1);
	put16(o, len);
	put(o, name, len);
	put(o, others, sizeof others);
	if (getrandom(key, sizeof key, 0) < 0)
		memset(key, 9, sizeof key);
	put(o, key, sizeof key);
}

static void hello(struct out *o, const char *name)
{
	uint8_t random[32] = {1};
	o->len = 0;
	if (getrandom(random, sizeof random, 0) < 0)
		random[1] = 2;
	put(o, "\x16\x03\x01\0\0\x01\0\0\0\x03\x03", 11);
	put(o, random, sizeof random);
	put(o, "\0\0\x02\x13\x01\x01\0", 7); /* no session, one cipher, no compression */
	size_t at = o->len;
	put16(o, 0);
	extensions(o, name);
	set16(o, at);
	set16(o, 7); /* of the message: its first byte is 0 */
	set16(o, 3);
}

/* ---- across ---- */

static int dial(const struct probe_family *f)
{
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(443)};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(443)};
	bool is4 = inet_pton(AF_INET, f->server, &four.sin_addr) == 1;
	inet_pton(AF_INET6, f->server, &six.sin6_addr);
	int fd = socket(is4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const struct sockaddr *at = is4 ? (struct sockaddr *)&four : (struct sockaddr *)&six;
	if (fd >= 0 && connect(fd, at, is4 ? sizeof four : sizeof six) < 0 &&
	    errno != EINPROGRESS) {
		int e = errno;
		close(fd);
		errno = e;
		return -1;
	}
	return fd;
}

/* Connections of before are over. */
static void drain(int listener)
{
	int fd;
	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(fd);
}

static bool ready(int fd, short events, int ms)
{
	struct pollfd p = {fd, events, 0};
	while (poll(&p, 1, ms) < 0 && errno == EINTR)
		;
	return p.revents;
}

/* Whether the server has bytes of the hello; waits until the client is refused, too. */
static bool arrived(int client, int server, int ms)
{
	struct pollfd p[2] = {{server, POLLIN, 0}, {client, POLLIN, 0}};
	char byte;
	while (poll(p, 2, ms) < 0 && errno == EINTR)
		;
	if (!p[0].revents && p[1].revents)
		ready(server, POLLIN, LATE_MS);
	return recv(server, &byte, 1, MSG_DONTWAIT) == 1;
}

static enum crossed talk(int client, int listener, const char *name, const char **why)
{
	struct out o;
	int error = 0;
	socklen_t len = sizeof error;
	if (!ready(client, POLLOUT, CONNECT_MS)) {
		*why = "its connection is not answered";
		return CROSSED_NO;
	}
	getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error) {
		*why = error == ECONNREFUSED || error == ECONNRESET ? "its connection is refused"
								    : "its connection is not made";
		return CROSSED_NO;
	}
	ready(listener, POLLIN, CONNECT_MS);
	int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	hello(&o, name);
	if (server < 0 || send(client, o.bytes, o.len, MSG_NOSIGNAL) != (ssize_t)o.len) {
		*why = "its connection is answered by another than the probe's server";
		if (server >= 0)
			close(server);
		return CROSSED_NO;
	}
	bool came = arrived(client, server, CONNECT_MS);
	*why = came ? "its TLS hello came out" : "its TLS hello did not come out";
	close(server);
	return came ? CROSSED_YES : CROSSED_NO;
}

enum crossed probe_cross(const struct probe_family *f, const char *name, const char **why)
{
	drain(f->listener);
	int client = dial(f);
	if (client < 0) {
		*why = errno == ECONNREFUSED || errno == ENETUNREACH || errno == EHOSTUNREACH
			       ? "the gateway refuses its connection"
			       : "no connection can be tried";
		return errno == EMFILE || errno == ENOMEM ? CROSSED_UNKNOWN : CROSSED_NO;
	}
	enum crossed c = talk(client, f->listener, name, why);
	close(client);
	return c;
}
