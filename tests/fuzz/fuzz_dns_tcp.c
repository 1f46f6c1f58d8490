/* A resolver's bytes, and in which pieces they come: {pieces 8 bits}, {offset 16 bits, length 8
 * bits} each, then the bytes. The messages given must be those that a plain walk finds in the bytes
 * that have come without a hole. */
#include "dns/dns_tcp.h"

#include <netinet/in.h>
#include <stdlib.h>

#define START 0xfffffff0u /* of the sequence numbers, which wrap */

static void require(bool holds)
{
	if (!holds)
		abort();
}

struct given {
	struct cursor rest; /* of the bytes: where the next message must be found */
	unsigned count;
};

static void message(void *ctx, const struct dns_peers *peers, bool from_client,
		    struct cursor message)
{
	struct given *g = ctx;
	size_t len = cursor_u16(&g->rest);
	require(!from_client && len == cursor_left(&message));
	const uint8_t *bytes = cursor_bytes(&g->rest, len);
	require(bytes && memcmp(bytes, message.pos, len) == 0);
	g->count++;
}

static struct packet packet(bool from_client, unsigned flags, uint32_t seq, struct cursor payload)
{
	struct packet p = {.transport = IPPROTO_TCP, .tcp_flags = (uint8_t)flags, .seq = seq};
	struct address client = {{[15] = 1}}, resolver = {{[15] = 2}};
	p.src = from_client ? client : resolver;
	p.dst = from_client ? resolver : client;
	p.src_port = from_client ? 4000 : 53;
	p.dst_port = from_client ? 53 : 4000;
	p.payload = payload;
	return p;
}

static unsigned plain_walk(struct cursor bytes, size_t come)
{
	unsigned count = 0;
	struct cursor c = cursor_sub(&bytes, come);
	for (;; count++)
		if (!cursor_skip(&c, cursor_u16(&c)) || c.bad)
			return count;
}

static void feed(struct dns_tcp *tcp, const struct packet *p, struct given *given)
{
	const struct host_key host = {{1}};
	dns_tcp_packet(tcp, p, p->dst_port == 53, &host, 0, message, given);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dns_tcp *tcp;
	static uint8_t there[65536 + 256];
	static uint32_t isn;
	if (!tcp)
		tcp = dns_tcp_new(2);
	struct cursor c = cursor_of(data, size), none = {0};
	unsigned pieces = cursor_u8(&c);
	struct cursor orders = cursor_sub(&c, 3 * pieces), bytes = c;
	struct given given = {.rest = bytes};
	if (c.bad || orders.bad)
		return 0;
	struct packet p = packet(true, TCP_SYN, isn += 7, none);
	feed(tcp, &p, &given);
	p = packet(false, TCP_SYN | TCP_ACK, START - 1, none);
	feed(tcp, &p, &given);
	memset(there, 0, size < 65536 ? size + 1 : sizeof there);
	uint64_t lost = dns_tcp_lost(tcp);
	size_t come = 0;
	while (cursor_left(&orders) && dns_tcp_lost(tcp) == lost) {
		size_t from = cursor_u16(&orders), len = cursor_u8(&orders);
		struct cursor at = bytes;
		if (!cursor_skip(&at, from))
			continue;
		len = len < cursor_left(&at) ? len : cursor_left(&at);
		p = packet(false, TCP_ACK, START + (uint32_t)from, cursor_sub(&at, len));
		feed(tcp, &p, &given);
		memset(there + from, 1, len);
		while (there[come])
			come++;
		require(dns_tcp_lost(tcp) != lost || given.count == plain_walk(bytes, come));
	}
	return 0;
}
