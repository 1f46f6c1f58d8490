/* Prints ns per packet parsed and per flow found, in tables of several fills, and ns per byte
 * joined. */
#include "packet/flow.h"
#include "packet/packet.h"
#include "packet/stream.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void say(const char *what, double start, size_t rounds)
{
	printf("%-34s %8.1f ns\n", what, (now_ns() - start) / (double)rounds);
}

static size_t make_packet(uint8_t *p, uint8_t protocol)
{
	static const uint8_t head[20] = {0x45, 0, 0,  0, 0, 0, 0,   0, 64, 0,
					 0,    0, 10, 0, 0, 1, 192, 0, 2,  1};
	size_t len = 20 + (protocol == IPPROTO_TCP ? 20 : 8) + 1200;
	memset(p, 0, len);
	memcpy(p, head, sizeof head);
	p[2] = (uint8_t)(len >> 8);
	p[3] = (uint8_t)len;
	p[9] = protocol;
	if (protocol == IPPROTO_TCP) {
		p[32] = 0x50;
		p[33] = TCP_ACK;
	} else {
		p[24] = 1208 >> 8;
		p[25] = 1208 & 0xff;
	}
	return len;
}

static void parse(const char *what, uint8_t protocol)
{
	enum { ROUNDS = 5000000 };
	uint8_t bytes[1500];
	size_t len = make_packet(bytes, protocol), sum = 0;
	struct packet p;
	double start = now_ns();
	for (int i = 0; i < ROUNDS; i++) {
		bytes[21] = (uint8_t)i;
		if (packet_parse(bytes, len, &p) == PACKET_OK)
			sum += p.src_port + cursor_left(&p.payload);
	}
	say(what, start, ROUNDS);
	if (sum == 0)
		abort();
}

static struct flow_key key_of(uint32_t n)
{
	const uint8_t client[4] = {10, 0, (uint8_t)(n >> 16), (uint8_t)(n >> 24)};
	const uint8_t server[4] = {192, 0, 2, (uint8_t)n};
	return (struct flow_key){address_from4(client), address_from4(server), (uint16_t)n, 443,
				 IPPROTO_TCP};
}

/* Flows found in random order, as many as there are. */
static void find(uint32_t count)
{
	enum { ROUNDS = 2000000 };
	struct flow_table *t = flow_table_new(count, &(struct flow_owner){.size = 256});
	for (uint32_t i = 0; i < count; i++) {
		struct flow_key key = key_of(i * 2654435761u);
		const struct host_key host = host_key_address(&key.client);
		flow_add(t, &key, &host);
	}
	uint32_t random = 1;
	size_t found = 0;
	double start = now_ns();
	for (int i = 0; i < ROUNDS; i++) {
		random = random * 1664525 + 1013904223;
		struct flow_key key =
			key_of((uint32_t)((uint64_t)random * count >> 32) * 2654435761u);
		found += flow_find(t, &key) != NULL;
	}
	char what[64];
	snprintf(what, sizeof what, "find one of %u flows", count);
	say(what, start, ROUNDS);
	start = now_ns();
	for (uint32_t i = 0; i < count; i++) {
		struct flow_key key = key_of((i + count) * 2654435761u);
		const struct host_key host = host_key_address(&key.client);
		flow_add(t, &key, &host);
	}
	snprintf(what, sizeof what, "add to %u flows, the oldest goes", count);
	say(what, start, count);
	flow_table_free(t);
	if (found != ROUNDS)
		abort();
}

static void join(void)
{
	enum { ROUNDS = 200000, PART = 1400 };
	static uint8_t bytes[PART];
	struct stream_pool *pool = stream_pool_new(1);
	double start = now_ns();
	for (int i = 0; i < ROUNDS; i++) {
		struct stream *s = stream_get(pool);
		stream_add(s, PART, bytes, PART);
		stream_add(s, 0, bytes, PART);
		stream_put(pool, s);
	}
	say("join two segments, out of order", start, ROUNDS);
	stream_pool_free(pool);
}

int main(void)
{
	parse("parse a TCP packet", IPPROTO_TCP);
	parse("parse a UDP packet", IPPROTO_UDP);
	find(1000);
	find(65536);
	find(500000);
	join();
	return 0;
}
