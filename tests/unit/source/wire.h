/* wire: makes IP packets and captures of them, for tests of sources. */
#pragma once
#include "packet/packet.h"

#include <netinet/in.h>
#include <pcap/pcap.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

struct wire {
	uint8_t bytes[70000];
	size_t len;
};

static inline void wire_put(struct wire *w, const void *bytes, size_t len)
{
	assert_true(w->len + len <= sizeof w->bytes);
	memcpy(w->bytes + w->len, bytes, len);
	w->len += len;
}
#define WIRE_PUT(w, ...) wire_put(w, (uint8_t[]){__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__}))

static inline void wire_u16(struct wire *w, unsigned v)
{
	WIRE_PUT(w, (uint8_t)(v >> 8), (uint8_t)v);
}

/* Puts an IP header of the family of src before `body`; fragment: IPv4's field as it is sent. */
static inline struct wire wire_ip(const char *src, const char *dst, uint8_t protocol,
				  unsigned fragment, const void *body, size_t len)
{
	struct wire w = {.len = 0};
	struct address from, to;
	assert_true(address_parse(src, &from) && address_parse(dst, &to));
	if (address_is4(&from)) {
		WIRE_PUT(&w, 0x45, 0);
		wire_u16(&w, (unsigned)(20 + len));
		wire_u16(&w, 77);
		wire_u16(&w, fragment);
		WIRE_PUT(&w, 64, protocol, 0, 0);
		wire_put(&w, from.bytes + 12, 4);
		wire_put(&w, to.bytes + 12, 4);
	} else {
		WIRE_PUT(&w, 0x60, 0, 0, 0);
		wire_u16(&w, (unsigned)len);
		WIRE_PUT(&w, protocol, 64);
		wire_put(&w, from.bytes, 16);
		wire_put(&w, to.bytes, 16);
	}
	wire_put(&w, body, len);
	return w;
}

static inline struct wire wire_tcp(const char *src, unsigned sport, const char *dst, unsigned dport,
				   uint8_t flags, uint32_t seq, const char *payload)
{
	struct wire t = {.len = 0};
	wire_u16(&t, sport);
	wire_u16(&t, dport);
	wire_u16(&t, seq >> 16);
	wire_u16(&t, seq & 0xffff);
	/* all captures here answer a SYN of number 100 */
	WIRE_PUT(&t, 0, 0, 0, flags == (TCP_SYN | TCP_ACK) ? 101 : 0, 0x50, flags, 0, 0, 0, 0, 0,
		 0);
	wire_put(&t, payload, strlen(payload));
	return wire_ip(src, dst, IPPROTO_TCP, 0, t.bytes, t.len);
}

static inline struct wire wire_udp_body(unsigned sport, unsigned dport, const void *payload,
					size_t len)
{
	struct wire u = {.len = 0};
	wire_u16(&u, sport);
	wire_u16(&u, dport);
	wire_u16(&u, (unsigned)(8 + len));
	wire_u16(&u, 0);
	wire_put(&u, payload, len);
	return u;
}

static inline struct wire wire_udp(const char *src, unsigned sport, const char *dst, unsigned dport,
				   const char *payload)
{
	struct wire u = wire_udp_body(sport, dport, payload, strlen(payload));
	return wire_ip(src, dst, IPPROTO_UDP, 0, u.bytes, u.len);
}

/* A capture under construction. */
struct wire_file {
	char path[64];
	pcap_t *shape;
	pcap_dumper_t *dumper;
	struct timeval time; /* of the next frame; each takes a millisecond */
};

static inline void wire_open(struct wire_file *f, int link)
{
	strcpy(f->path, "/tmp/tiergate-test-XXXXXX");
	int fd = mkstemp(f->path);
	assert_true(fd >= 0);
	f->shape = pcap_open_dead(link, 65535);
	f->dumper = pcap_dump_fopen(f->shape, fdopen(fd, "wb"));
	assert_non_null(f->dumper);
	f->time = (struct timeval){1000, 0};
}

static inline void wire_frame(struct wire_file *f, const void *bytes, size_t len, size_t kept)
{
	struct pcap_pkthdr h = {f->time, (bpf_u_int32)kept, (bpf_u_int32)len};
	pcap_dump((u_char *)f->dumper, &h, bytes);
	f->time.tv_usec += 1000;
}

static inline void wire_packet(struct wire_file *f, struct wire w)
{
	wire_frame(f, w.bytes, w.len, w.len);
}

static inline void wire_close(struct wire_file *f)
{
	pcap_dump_close(f->dumper);
	pcap_close(f->shape);
}
