/* wire: packets and hellos for tests, as bytes. */
#pragma once
#include "packet/packet.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

struct wire {
	uint8_t bytes[4096];
	uint32_t len;
};

static inline void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static inline void wire_ip(struct wire *w, const char *from, const char *to, uint8_t transport,
			   size_t len)
{
	struct address a, b;
	address_parse(from, &a);
	address_parse(to, &b);
	memset(w->bytes, 0, 40);
	w->bytes[0] = 0x45;
	put16(w->bytes + 2, (unsigned)(20 + len));
	w->bytes[8] = 64;
	w->bytes[9] = transport;
	memcpy(w->bytes + 12, a.bytes + 12, 4);
	memcpy(w->bytes + 16, b.bytes + 12, 4);
	w->len = (uint32_t)(20 + len);
}

static inline void wire_tcp(struct wire *w, const char *from, unsigned from_port, const char *to,
			    unsigned to_port, uint8_t flags, uint32_t seq, const void *data,
			    size_t len)
{
	wire_ip(w, from, to, IPPROTO_TCP, 20 + len);
	uint8_t *t = w->bytes + 20;
	put16(t, from_port);
	put16(t + 2, to_port);
	put32(t + 4, seq);
	put32(t + 8, flags & 0x10 ? 7 : 0);
	t[12] = 5 << 4;
	t[13] = flags;
	put16(t + 14, 64240);
	put32(t + 16, 0);
	if (len)
		memcpy(t + 20, data, len);
}

static inline void wire_udp(struct wire *w, const char *from, unsigned from_port, const char *to,
			    unsigned to_port, const void *data, size_t len)
{
	wire_ip(w, from, to, IPPROTO_UDP, 8 + len);
	uint8_t *u = w->bytes + 20;
	put16(u, from_port);
	put16(u + 2, to_port);
	put16(u + 4, (unsigned)(8 + len));
	put16(u + 6, 0);
	memcpy(u + 8, data, len);
}

/* A TLS 1.2 ClientHello record for a name, padded with `padding` bytes; returns its length. */
static inline size_t wire_hello(uint8_t *out, const char *name, size_t padding)
{
	size_t n = strlen(name), sni = 9 + n, pad = padding ? 4 + padding : 0;
	size_t extensions = sni + pad, body = 2 + 32 + 1 + 4 + 2 + 2 + extensions;
	uint8_t *p = out;
	memset(out, 0, 9 + body);
	*p++ = 22;
	put16(p, 0x0301);
	put16(p + 2, (unsigned)(4 + body));
	p += 4;
	*p++ = 1;
	*p++ = 0;
	put16(p, (unsigned)body);
	p += 2;
	put16(p, 0x0303);
	p += 2 + 32 + 1; /* version, random, no session id */
	put16(p, 2);
	put16(p + 2, 0x1301);
	p += 4;
	*p++ = 1; /* one compression method, null */
	*p++ = 0;
	put16(p, (unsigned)extensions);
	p += 2;
	put16(p, 0); /* server_name */
	put16(p + 2, (unsigned)(5 + n));
	put16(p + 4, (unsigned)(3 + n));
	p[6] = 0;
	put16(p + 7, (unsigned)n);
	memcpy(p + 9, name, n);
	p += sni;
	if (pad) {
		put16(p, 21);
		put16(p + 2, (unsigned)padding);
	}
	return 9 + body;
}
