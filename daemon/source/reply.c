#include "source/reply.h"

#include "base/buf.h"
#include "base/handover.h"
#include "packet/packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IP4_HEADER = 20, IP6_HEADER = 40, TCP_HEADER = 20, HOPS = 64 };

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

static uint32_t sum(uint32_t start, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		start += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	return start;
}

static uint16_t fold(uint32_t s)
{
	s = (s & 0xffff) + (s >> 16);
	return (uint16_t) ~((s & 0xffff) + (s >> 16));
}

static size_t put_ip4(const struct reply_segment *s, uint8_t *ip)
{
	ip[0] = 0x45;
	put16(ip + 2, (uint32_t)(IP4_HEADER + TCP_HEADER + s->len));
	ip[6] = 0x40; /* don't fragment: no identification is needed */
	ip[8] = HOPS;
	ip[9] = IPPROTO_TCP;
	memcpy(ip + 12, s->from.bytes + 12, 4);
	memcpy(ip + 16, s->to.bytes + 12, 4);
	put16(ip + 10, fold(sum(0, ip, IP4_HEADER)));
	return IP4_HEADER;
}

static size_t put_ip6(const struct reply_segment *s, uint8_t *ip)
{
	ip[0] = 0x60;
	put16(ip + 4, (uint32_t)(TCP_HEADER + s->len));
	ip[6] = IPPROTO_TCP;
	ip[7] = HOPS;
	memcpy(ip + 8, s->from.bytes, 16);
	memcpy(ip + 24, s->to.bytes, 16);
	return IP6_HEADER;
}

/* The pseudo header's sum is over both addresses: a mapped IPv4 address counts by its last four
 * bytes. */
static uint32_t pseudo(const struct reply_segment *s)
{
	size_t skip = address_is4(&s->from) ? 12 : 0;
	uint32_t start = (uint32_t)(IPPROTO_TCP + TCP_HEADER + s->len);
	start = sum(start, s->from.bytes + skip, 16 - skip);
	return sum(start, s->to.bytes + skip, 16 - skip);
}

size_t reply_build(const struct reply_segment *s, uint8_t out[static REPLY_MAX])
{
	memset(out, 0, IP6_HEADER + TCP_HEADER);
	size_t ip = address_is4(&s->from) ? put_ip4(s, out) : put_ip6(s, out);
	uint8_t *tcp = out + ip;
	put16(tcp, s->from_port);
	put16(tcp + 2, s->to_port);
	put32(tcp + 4, s->seq);
	put32(tcp + 8, s->ack);
	tcp[12] = TCP_HEADER / 4 << 4;
	tcp[13] = s->flags;
	put16(tcp + 14, s->window);
	if (s->len)
		memcpy(tcp + TCP_HEADER, s->data, s->len);
	tcp[TCP_HEADER + s->len] = 0; /* the sum is over pairs */
	put16(tcp + 16, fold(sum(pseudo(s), tcp, TCP_HEADER + (s->len + 1) / 2 * 2)));
	return ip + TCP_HEADER + s->len;
}

static bool send_raw(int raw4, int raw6, const struct address *to, const void *bytes, size_t len)
{
	struct sockaddr_in four = {.sin_family = AF_INET};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	bool is4 = address_is4(to);
	memcpy(&four.sin_addr, to->bytes + 12, 4);
	memcpy(&six.sin6_addr, to->bytes, 16);
	const void *where = is4 ? (const void *)&four : &six;
	return (is4 ? raw4 : raw6) >= 0 && sendto(is4 ? raw4 : raw6, bytes, len, MSG_DONTWAIT,
						  where, is4 ? sizeof four : sizeof six) >= 0;
}

/* Best effort: a reset that is lost costs its receiver a timeout, and nothing waits for it. */
static void send_segment(int raw4, int raw6, const struct reply_segment *s)
{
	uint8_t bytes[REPLY_MAX];
	size_t len = reply_build(s, bytes);
	send_raw(raw4, raw6, &s->to, bytes, len);
}

/* The sum over pairs of a length that may be odd. */
static uint32_t sum_odd(uint32_t start, const uint8_t *bytes, size_t len)
{
	start = sum(start, bytes, len);
	return len % 2 ? start + ((uint32_t)bytes[len - 1] << 8) : start;
}

void reply_hop(uint8_t *bytes, const struct packet *p)
{
	bool four = address_is4(&p->src);
	uint8_t *udp = bytes + p->ip_header_len;
	size_t len = p->ip_len - p->ip_header_len;
	bytes[four ? 8 : 7]--;
	if (four) {
		put16(bytes + 10, 0);
		put16(bytes + 10, fold(sum(0, bytes, p->ip_header_len)));
	}
	if (four && !udp[6] && !udp[7]) /* RFC 768: none was made */
		return;
	put16(udp + 6, 0);
	uint32_t s = (uint32_t)(IPPROTO_UDP + len);
	s = four ? sum(s, bytes + 12, 8) : sum(s, bytes + 8, 32);
	uint16_t whole = fold(sum_odd(s, udp, len));
	put16(udp + 6, whole ? whole : 0xffff);
}

bool reply_forward(int raw4, int raw6, uint8_t *bytes, size_t len)
{
	struct packet p;
	if (packet_parse(bytes, len, &p) != PACKET_OK)
		return false;
	reply_hop(bytes, &p);
	return send_raw(raw4, raw6, &p.dst, bytes, len);
}

void reply_reset_server(int raw4, int raw6, const struct flow_key *key, uint32_t seq)
{
	send_segment(raw4, raw6,
		     &(struct reply_segment){.from = key->client,
					     .to = key->server,
					     .from_port = key->client_port,
					     .to_port = key->server_port,
					     .seq = seq,
					     .flags = TCP_RST});
}

void reply_probe(int raw4, int raw6, const struct flow_key *key, uint32_t old)
{
	struct reply_segment s = {.from = key->client,
				  .to = key->server,
				  .from_port = key->client_port,
				  .to_port = key->server_port,
				  .seq = old,
				  .flags = TCP_ACK,
				  .window = 1024};
	send_segment(raw4, raw6, &s);
	s = (struct reply_segment){.from = key->server,
				   .to = key->client,
				   .from_port = key->server_port,
				   .to_port = key->client_port,
				   .seq = old,
				   .ack = old,
				   .flags = TCP_ACK,
				   .window = 1024};
	send_segment(raw4, raw6, &s);
}

/* What stands behind the portal's plain port sends on to its page by TLS, which says why. */
size_t reply_page(const struct reply_redirect *r, char out[static REPLY_DATA_MAX])
{
	struct buf all = {.data = out, .cap = REPLY_DATA_MAX}, *b = &all;
	char url[64 + HOST_MAX + ADDRESS_TEXT], address[ADDRESS_TEXT], page[sizeof url + 160] = "";
	struct buf u = BUF_OF(url), body = BUF_OF(page);
	address_format(&r->portal->address, address);
	buf_printf(&u, address_is4(&r->portal->address) ? "http://%s" : "http://[%s]", address);
	if (r->portal->port != 80)
		buf_printf(&u, ":%u", r->portal->port);
	buf_printf(&u, "/blocked?to=%s", r->to);
	if (r->follows) {
		buf_printf(b, "HTTP/1.1 302 Found\r\nLocation: %s\r\n", url);
	} else {
		buf_text(b, "HTTP/1.1 511 Network Authentication Required\r\n"
			    "Content-Type: text/html; charset=utf-8\r\n");
		buf_printf(&body,
			   "<!doctype html>\n<html lang=\"en\"><title>Not open to you</title>\n"
			   "<p>This network does not open this site to you: "
			   "<a href=\"%s\">why?</a></p></html>\n",
			   url);
	}
	buf_printf(b, "Cache-Control: no-store\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
		   body.len);
	buf_text(b, page);
	return b->len;
}

void reply_redirect(int raw4, int raw6, const struct reply_redirect *r)
{
	char page[REPLY_DATA_MAX];
	size_t len = reply_page(r, page);
	send_segment(raw4, raw6,
		     &(struct reply_segment){.from = r->key->server,
					     .to = r->key->client,
					     .from_port = r->key->server_port,
					     .to_port = r->key->client_port,
					     .seq = r->seq,
					     .ack = r->ack,
					     .flags = TCP_ACK | TCP_PSH | TCP_FIN,
					     .window = 1024,
					     .data = page,
					     .len = len});
}

static int new_raw(int family)
{
	return socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);
}

static const char *raw_name(int family)
{
	return family == AF_INET6 ? "raw6" : "raw4";
}

/* A service has no right to make one, and is given it. The next start is given another. */
static int open_raw(int family, uint32_t mark)
{
	int one = 1, fd = handover_take(raw_name(family));
	if (fd >= 0)
		handover_forget(raw_name(family));
	else
		fd = new_raw(family);
	if (fd < 0)
		return -errno;
	/* IPPROTO_RAW sockets of both families take the IP header from us. */
	bool ok =
		family == AF_INET6 || setsockopt(fd, IPPROTO_IP, IP_HDRINCL, &one, sizeof one) == 0;
	if (ok && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0)
		return fd;
	int error = -errno;
	close(fd);
	return error;
}

bool reply_open(uint32_t mark, int *raw4, int *raw6, struct errors *errors)
{
	*raw4 = open_raw(AF_INET, mark);
	*raw6 = open_raw(AF_INET6, mark);
	if (*raw4 < 0 || *raw6 == -EPERM) { /* a kernel without IPv6 is one, too */
		errors_add(errors, NULL, 0,
			   "no socket to send resets by: %s; CAP_NET_RAW is missing, or what "
			   "`tiergated sockets` hands over before",
			   strerror(*raw4 < 0 ? -*raw4 : -*raw6));
		if (*raw4 >= 0)
			close(*raw4);
		if (*raw6 >= 0)
			close(*raw6);
		*raw4 = *raw6 = -1;
		return false;
	}
	if (*raw6 < 0)
		*raw6 = -1;
	return true;
}

bool reply_hand_over(struct errors *errors)
{
	static const int families[] = {AF_INET, AF_INET6};
	int e = 0;
	for (int i = 0; i < 2; i++) {
		int fd = new_raw(families[i]);
		if (fd >= 0)
			handover_keep(raw_name(families[i]), fd);
		else if (errno == EPERM)
			e = -EPERM; /* else it is a kernel without that family */
		if (fd >= 0)
			close(fd);
	}
	if (e == 0)
		e = handover_wait();
	if (e < 0)
		errors_add(errors, NULL, 0, "raw sockets can't be handed over: %s", strerror(-e));
	return e == 0;
}
