/* traffic: what a client's flows send, packet by packet, as bytes that differ from flow to flow in
 * addresses, ports and name alone: real hellos with another name in the place of theirs. */
#pragma once
#include "../unit/name/seal.h"
#include "base/clock.h"
#include "source/source.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

BYTES_OF_FILE(chromium, "tests/unit/name/data/chromium.tls");
BYTES_OF_FILE(curl, "tests/unit/name/data/curl.tls");

enum {
	NAME_LEN = 24,
	DIGITS_AT = 5,
	DIGITS = 7,
	PACKET_ROOM = 2304,
	QUICS = 4096,
	INITIAL_LEN = 1242
};

/* What comes up, in the order in which it does; each is measured. */
#define KIND_LIST(X)                                                                               \
	X(QUERY, "DNS query", false)                                                               \
	X(ANSWER, "DNS answer, one address", false)                                                \
	X(SYN, "SYN that may go on", false)                                                        \
	X(HELLO, "TLS hello, 517 bytes", true)                                                     \
	X(FLIGHT, "data of a heard flow", false)                                                   \
	X(ACK, "empty ACK of a heard flow", false)                                                 \
	X(LONG, "TLS hello, 2017 bytes", true)                                                     \
	X(PART_1, "TLS hello in two: the first part", true)                                        \
	X(PART_2, "TLS hello in two: the second part", true)                                       \
	X(REQUEST, "HTTP request", true)                                                           \
	X(INITIAL, "QUIC hello in one Initial", true)                                              \
	X(INITIAL_ACK, "QUIC Initial that acknowledges", true)                                     \
	X(INITIAL_1, "QUIC hello in two: the first Initial", true)                                 \
	X(INITIAL_2, "QUIC hello in two: the second Initial", true)                                \
	X(KNOCK, "SYN that is denied", false)                                                      \
	X(KNOCK_AGAIN, "the same SYN again", false)                                                \
	X(END, "a flow's end and its record", false)

enum kind {
#define X(id, text, hello) KIND_##id,
	KIND_LIST(X)
#undef X
		KIND_COUNT
};

/* Bytes of a kind of packet, from the IP header on; whose, and the name, are put in for each. */
struct form {
	uint8_t bytes[PACKET_ROOM];
	uint32_t len, names[2]; /* names: where a name's digits stand; 0: nowhere */
	bool from_server;       /* of DNS: the resolver's */
	uint8_t entry;
	uint16_t port; /* the server's */
	int want;      /* the verdict; -1: none yet */
};

static struct form forms[KIND_COUNT];
/* Initials are sealed each with keys of its own: the whole datagram of flow i. */
static uint8_t (*initials[4])[INITIAL_LEN];

static inline void name_write(uint8_t *digits, uint32_t number)
{
	for (int i = DIGITS; i-- > 0; number >>= 4)
		digits[i] = (uint8_t) "0123456789abcdef"[number & 15];
}

/* "www.h0000000.example.com"; lists have the name without "www.". */
static inline void name_of(uint32_t number, char out[static NAME_LEN + 1])
{
	strcpy(out, "www.h0000000.example.com");
	name_write((uint8_t *)out + DIGITS_AT, number);
}

static inline void put_be16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void add_to_be16(uint8_t *p, size_t more)
{
	put_be16(p, ((size_t)p[0] << 8 | p[1]) + more);
}

/* A real hello (a record of TLS, whose one name is `of`) with a longer name; its new length. */
static inline size_t hello_named(const uint8_t *hello, size_t len, const char *of, uint8_t *out)
{
	char name[NAME_LEN + 1];
	size_t had = strlen(of), more = NAME_LEN - had;
	const uint8_t *at = memmem(hello, len, of, had);
	if (!at)
		abort();
	name_of(0, name);
	size_t before = (size_t)(at - hello), extension = before - 9;
	memcpy(out, hello, before);
	memcpy(out + before, name, NAME_LEN);
	memcpy(out + before + NAME_LEN, at + had, len - before - had);
	add_to_be16(out + 3, more);             /* record */
	add_to_be16(out + 7, more);             /* handshake message: low bytes of three */
	add_to_be16(out + extension + 2, more); /* extension, its list, its name */
	add_to_be16(out + extension + 4, more);
	add_to_be16(out + extension + 7, more);
	size_t session = 9 + 2 + 32, ciphers = session + 1 + out[session];
	size_t methods = ciphers + 2 + ((size_t)out[ciphers] << 8 | out[ciphers + 1]);
	add_to_be16(out + methods + 1 + out[methods], more); /* all extensions */
	return len + more;
}

/* An IPv4 packet around a payload; seq counts from the client's first data byte. */
static inline void form_set(enum kind k, bool udp, uint16_t port, uint8_t flags, uint32_t seq,
			    const void *payload, size_t len)
{
	struct form *f = &forms[k];
	uint8_t *ip = f->bytes, *l4 = ip + 20;
	size_t head = udp ? 8 : 20;
	memset(ip, 0, 20 + head);
	ip[0] = 0x45;
	put_be16(ip + 2, 20 + head + len);
	ip[8] = 64;
	ip[9] = udp ? IPPROTO_UDP : IPPROTO_TCP;
	if (udp)
		put_be16(l4 + 4, 8 + len);
	put_be16(l4 + 2, port);
	if (!udp) {
		seq += 1001;
		put_be16(l4 + 4, seq >> 16);
		put_be16(l4 + 6, seq & 0xffff);
		l4[11] = 7;
		l4[12] = 5 << 4;
		l4[13] = flags;
		put_be16(l4 + 14, 64240);
	}
	if (len)
		memcpy(l4 + head, payload, len);
	f->len = (uint32_t)(20 + head + len);
	f->port = port;
	const uint8_t *name = memmem(ip, f->len, "h0000000", 8);
	f->names[0] = name ? (uint32_t)(name - ip) + 1 : 0;
}

static inline void form_expect(enum kind k, enum entry entry, int want)
{
	forms[k].entry = (uint8_t)entry;
	forms[k].want = want;
}

/* A query for a name's address, or its answer. */
static inline void form_dns(enum kind k, bool answer)
{
	static const uint8_t question[] = {3,   'w', 'w', 'w', 8,   'h', '0', '0', '0', '0',
					   '0', '0', '0', 7,   'e', 'x', 'a', 'm', 'p', 'l',
					   'e', 3,   'c', 'o', 'm', 0,   0,   1,   0,   1};
	static const uint8_t record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 0, 0, 0, 0};
	uint8_t b[128] = {0, 0, answer ? 0x81 : 1, answer ? 0x80 : 0, 0, 1, 0, answer};
	size_t len = 12;
	memcpy(b + len, question, sizeof question);
	len += sizeof question;
	memcpy(b + len, record, sizeof record);
	form_set(k, true, 53, 0, 0, b, len + (answer ? sizeof record : 0));
	forms[k].from_server = answer;
	form_expect(k, ENTRY_NONE, VERDICT_PENDING);
}

/* An Initial of flow i, with keys of its own, that has so much of a hello, or acknowledges. */
static inline void seal_initial(unsigned which, unsigned i, uint32_t number, const uint8_t *crypto,
				size_t offset, size_t len)
{
	static struct bytes plain, out;
	static const uint8_t ack[] = {2, 0, 0, 0, 0};
	uint8_t id[8] = {(uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(which / 2), 7};
	struct seal s = {&seal_versions[0], id, 8, id, 8, NULL, number, 1, false, 0, 0};
	plain.len = out.len = 0;
	if (crypto)
		put_crypto(&plain, offset, crypto, len);
	else
		put(&plain, ack, sizeof ack);
	while (plain.len < 1205)
		put_number(&plain, 0, 1);
	put_initial(&out, &s, plain.at, plain.len);
	if (out.len != INITIAL_LEN)
		abort();
	memcpy(initials[which][i], out.at, INITIAL_LEN);
}

/* The name of QUIC flow i is drawn once: a datagram can't be given another. */
static inline void initials_make(uint32_t (*name_of_flow)(unsigned i))
{
	uint8_t small[1024], large[PACKET_ROOM];
	size_t small_len = hello_named(curl, (size_t)(curl_end - curl), "www.feas.test", small);
	size_t len =
		hello_named(chromium, (size_t)(chromium_end - chromium), "www.feas.test", large);
	size_t small_at = (size_t)((uint8_t *)memmem(small, small_len, "h0000000", 8) - small) + 1;
	size_t at = (size_t)((uint8_t *)memmem(large, len, "h0000000", 8) - large) + 1;
	for (unsigned w = 0; w < 4; w++)
		initials[w] = calloc(QUICS, sizeof *initials[w]);
	for (unsigned i = 0; i < QUICS; i++) {
		name_write(small + small_at, name_of_flow(i));
		name_write(large + at, name_of_flow(i));
		seal_initial(0, i, 0, small + 5, 0, small_len - 5);
		seal_initial(1, i, 1, NULL, 0, 0);
		seal_initial(2, i, 0, large + 5, 0, 1100);
		seal_initial(3, i, 1, large + 5 + 1100, 1100, len - 5 - 1100);
	}
}

static inline void initials_free(void)
{
	for (unsigned w = 0; w < 4; w++)
		free(initials[w]);
}

static inline void forms_of_tls(void)
{
	static const uint8_t flight[80] = {20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 69};
	uint8_t b[PACKET_ROOM];
	size_t len = hello_named(curl, (size_t)(curl_end - curl), "www.feas.test", b);
	form_set(KIND_SYN, false, 443, 2, UINT32_MAX, NULL, 0);
	form_expect(KIND_SYN, ENTRY_NONE, VERDICT_PENDING);
	form_set(KIND_HELLO, false, 443, 0x18, 0, b, len);
	form_expect(KIND_HELLO, ENTRY_ANSWERED, VERDICT_HEARD);
	form_set(KIND_FLIGHT, false, 443, 0x18, (uint32_t)len, flight, sizeof flight);
	form_expect(KIND_FLIGHT, ENTRY_HEARD, VERDICT_PASS);
	form_set(KIND_ACK, false, 443, 0x10, (uint32_t)len + 80, NULL, 0);
	form_expect(KIND_ACK, ENTRY_HEARD, VERDICT_PASS);
	len = hello_named(chromium, (size_t)(chromium_end - chromium), "www.feas.test", b);
	form_set(KIND_LONG, false, 443, 0x18, 0, b, len);
	form_expect(KIND_LONG, ENTRY_ANSWERED, VERDICT_HEARD);
	form_set(KIND_PART_1, false, 443, 0x18, 0, b, 1400);
	form_expect(KIND_PART_1, ENTRY_ANSWERED, -1);
	form_set(KIND_PART_2, false, 443, 0x18, 1400, b + 1400, len - 1400);
	form_expect(KIND_PART_2, ENTRY_ANSWERED, VERDICT_HEARD);
}

static inline void forms_make(void)
{
	static const char request[] =
		"GET /index.html HTTP/1.1\r\nHost: www.h0000000.example.com\r\n"
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n"
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9\r\n"
		"Accept-Language: en\r\nConnection: keep-alive\r\n\r\n";
	form_dns(KIND_QUERY, false);
	form_dns(KIND_ANSWER, true);
	forms_of_tls();
	form_set(KIND_REQUEST, false, 80, 0x18, 0, request, sizeof request - 1);
	form_expect(KIND_REQUEST, ENTRY_ANSWERED, VERDICT_HEARD);
	for (int i = 0; i < 4; i++) {
		static const enum kind kinds[] = {KIND_INITIAL, KIND_INITIAL_ACK, KIND_INITIAL_1,
						  KIND_INITIAL_2};
		form_set(kinds[i], true, 443, 0, 0, initials[i][0], INITIAL_LEN);
	}
	form_expect(KIND_INITIAL, ENTRY_NONE, VERDICT_HEARD);
	form_expect(KIND_INITIAL_ACK, ENTRY_HEARD, VERDICT_PASS);
	form_expect(KIND_INITIAL_1, ENTRY_NONE, -1);
	form_expect(KIND_INITIAL_2, ENTRY_NONE, VERDICT_HEARD);
	form_set(KIND_KNOCK, false, 22, 2, UINT32_MAX, NULL, 0);
	form_expect(KIND_KNOCK, ENTRY_NONE, VERDICT_DENIED);
	forms[KIND_KNOCK_AGAIN] = forms[KIND_KNOCK];
}
